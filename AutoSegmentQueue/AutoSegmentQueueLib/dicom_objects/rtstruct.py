"""The structures as an RT Structure Set (PS3.3 A.19): contours in the images' frame of reference, each naming its image."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
from DicomWorkbenchLib import __version__
from DicomWorkbenchLib.decimals import decimal_strings
from DicomWorkbenchLib.derived_objects import MANUFACTURER, PATIENT_AND_STUDY
from DicomWorkbenchLib.progress import CancelToken
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, RTStructureSetStorage

from AutoSegmentQueueLib.dicom_objects.codes import kind_of, rgb
from AutoSegmentQueueLib.dicom_objects.contours import PlaneContour, contours_of
from AutoSegmentQueueLib.dicom_objects.identity import (
    MODEL,
    SERIAL,
    SERIES_NUMBERS,
    WARNING,
    Identity,
    description,
    label_of,
)
from AutoSegmentQueueLib.dicom_objects.source import DicomSource
from AutoSegmentQueueLib.engines.model import Code, Segmented, Structure

STUDY_MANAGEMENT = "1.2.840.10008.3.1.2.3.1"  # the class RT objects name for a study; retired, still what they write
_DATA = Tag("ContourData")
_DIGITS = 4  # of a millimetre: a ten-thousandth
# What may be taken over besides; absent in many images.
_IF_PRESENT = (
    "SpecificCharacterSet",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyDescription",
    "IssuerOfPatientID",
)


def write_structure_set(
    path: Path, source: DicomSource, segmented: Segmented, identity: Identity, cancel: CancelToken
) -> Dataset:
    """Write the object and return it."""
    dataset = _head(source, identity)
    dataset.StructureSetROISequence = [
        _roi(n, structure, dataset.FrameOfReferenceUID, segmented)
        for n, structure in enumerate(segmented.structures, 1)
    ]
    dataset.ROIContourSequence = [
        _contours(n, structure, segmented, source, cancel) for n, structure in enumerate(segmented.structures, 1)
    ]
    dataset.RTROIObservationsSequence = [
        _observation(n, structure) for n, structure in enumerate(segmented.structures, 1)
    ]
    dataset.ApprovalStatus = "UNAPPROVED"
    dataset.save_as(path, enforce_file_format=True)
    return dataset


def general_head(source: DicomSource, identity: Identity, kind: str, sop_class: str, what: str) -> Dataset:
    """Return an object of the images' patient and study with everything that all objects have."""
    first, now = source.headers[0], datetime.datetime.now()
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(identity.instance(kind))
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, identity.instance(kind)
    for keyword in PATIENT_AND_STUDY:
        setattr(dataset, keyword, first.get(keyword, ""))
    for keyword in _IF_PRESENT:
        if keyword in first:
            dataset[keyword] = first[keyword]
    dataset.StudyInstanceUID = first.StudyInstanceUID
    dataset.SeriesInstanceUID, dataset.SeriesNumber = identity.series(kind), SERIES_NUMBERS[kind]
    dataset.Modality, dataset.SeriesDescription, dataset.InstanceNumber = kind, description(what), 1
    dataset.Manufacturer, dataset.ManufacturerModelName = MANUFACTURER, MODEL
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = SERIAL, __version__
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    dataset.SeriesDate, dataset.SeriesTime = dataset.InstanceCreationDate, dataset.InstanceCreationTime
    return dataset


def _head(source: DicomSource, identity: Identity) -> Dataset:
    dataset = general_head(source, identity, "RTSTRUCT", RTStructureSetStorage, "Structures")
    first = source.headers[0]
    dataset.OperatorsName = ""
    dataset.StructureSetLabel, dataset.StructureSetDescription = "AUTOMATIC", WARNING
    dataset.StructureSetDate, dataset.StructureSetTime = dataset.InstanceCreationDate, dataset.InstanceCreationTime
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = first.FrameOfReferenceUID, ""
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = first.SeriesInstanceUID
    series.ContourImageSequence = [image_reference(source, plane) for plane in range(len(source.plane_images))]
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = STUDY_MANAGEMENT, first.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = first.FrameOfReferenceUID, [study]
    dataset.ReferencedFrameOfReferenceSequence = [frame]
    return dataset


def image_reference(source: DicomSource, plane: int) -> Dataset:
    """Return an item that names the image, and the frame where it has several, of a plane."""
    header, number = source.header_of(plane)
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    if number:
        item.ReferencedFrameNumber = number
    return item


def _roi(number: int, structure: Structure, frame: str, segmented: Segmented) -> Dataset:
    item = Dataset()
    item.ROINumber, item.ReferencedFrameOfReferenceUID, item.ROIName = number, frame, label_of(structure.name)
    item.ROIGenerationAlgorithm = "AUTOMATIC"
    item.ROIGenerationDescription = " ".join(segmented.version.get(key, "") for key in ("name", "version")).strip()[:64]
    return item


def _contours(
    number: int, structure: Structure, segmented: Segmented, source: DicomSource, cancel: CancelToken
) -> Dataset:
    item = Dataset()
    item.ROIDisplayColor, item.ReferencedROINumber = rgb(structure.color), number
    found = contours_of(structure, segmented.labelmap, cancel)
    item.ContourSequence = [_contour(n, contour, source) for n, contour in enumerate(found, 1)]
    return item


def _contour(number: int, contour: PlaneContour, source: DicomSource) -> Dataset:
    item = Dataset()
    item.ContourImageSequence = [image_reference(source, contour.plane)]
    item.ContourGeometricType = "CLOSED_PLANAR"
    item.NumberOfContourPoints, item.ContourNumber = len(contour.corners), number
    points = np.round(source.points_lps(contour.plane, contour.corners), _DIGITS) + 0.0  # no minus before a zero
    value = decimal_strings(points)
    item[_DATA] = RawDataElement(_DATA, "DS", len(value), value, 0, False, True)
    return item


def _observation(number: int, structure: Structure) -> Dataset:
    item = Dataset()
    item.ObservationNumber, item.ReferencedROINumber = number, number
    item.RTROIInterpretedType, item.ROIInterpreter = "ORGAN", ""
    item.RTROIIdentificationCodeSequence = [_code(kind_of(structure)[0])]
    return item


def _code(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning[:64]
    return item
