"""A DICOMweb server over files as they lie: no import, no copy (DICOM PS3.18)."""
