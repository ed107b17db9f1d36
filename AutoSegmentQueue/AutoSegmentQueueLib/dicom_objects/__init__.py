"""Results as DICOM objects for an archive: Segmentation, RT Structure Set, measurement report, surfaces."""
