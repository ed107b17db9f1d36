"""Surfaces as Encapsulated STL (PS3.3 A.104), in LPS mm of the images' frame of reference."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import UID, EncapsulatedSTLStorage

from AutoSegmentQueueLib.dicom_objects.codes import kind_of
from AutoSegmentQueueLib.dicom_objects.identity import Identity, label_of
from AutoSegmentQueueLib.dicom_objects.rtstruct import general_head, image_reference
from AutoSegmentQueueLib.dicom_objects.source import DicomSource
from AutoSegmentQueueLib.engines.model import Structure

STL_TYPE = "model/stl"


def write_encapsulated_stl(
    path: Path, stl: Path, source: DicomSource, structure: Structure, identity: Identity, number: int
) -> Dataset:
    """Write the surface of one structure.

    Parameters
    ----------
    stl : binary STL file, LPS mm.
    number : InstanceNumber in the series of surfaces.
    """
    dataset = general_head(source, identity, "M3D", EncapsulatedSTLStorage, "Surfaces")
    uid = UID(identity.instance("M3D", structure.name))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.InstanceNumber = number
    dataset.FrameOfReferenceUID = source.headers[0].FrameOfReferenceUID
    dataset.PositionReferenceIndicator = ""
    dataset.ContentDate, dataset.ContentTime = dataset.InstanceCreationDate, dataset.InstanceCreationTime
    dataset.AcquisitionDateTime = ""
    dataset.BurnedInAnnotation = "NO"
    dataset.DocumentTitle = label_of(structure.name)
    dataset.ConceptNameCodeSequence = [_code("85040-4", "LN", "3D Printing Model")]
    dataset.MIMETypeOfEncapsulatedDocument = STL_TYPE
    content = stl.read_bytes()
    dataset.EncapsulatedDocumentLength = len(content)
    dataset.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    units = _code("mm", "UCUM", "mm")
    dataset.MeasurementUnitsCodeSequence = [units]
    dataset.ModelModification, dataset.ModelMirroring = "NO", "NO"
    kind, _ = kind_of(structure)
    dataset.ContentDescription = kind.meaning
    images = [image_reference(source, plane) for plane in range(len(source.plane_images))]
    dataset.SourceInstanceSequence = images
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedInstanceSequence = source.headers[0].SeriesInstanceUID, images
    dataset.ReferencedSeriesSequence = [series]
    dataset.save_as(path, enforce_file_format=True)
    return dataset


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
