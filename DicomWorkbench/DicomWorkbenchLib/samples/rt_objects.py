"""RT Structure Set, RT Plan and RT Dose that belong to a CT series."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID, RTDoseStorage, RTPlanStorage, RTStructureSetStorage

from DicomWorkbenchLib.samples.dicom_writer import DATE, TIME, SeriesOf, decimal, decimals, item, reference
from DicomWorkbenchLib.samples.grid import ImageGrid
from DicomWorkbenchLib.samples.rois import Contour, Roi

STUDY_MANAGEMENT_UID = UID(
    "1.2.840.10008.3.1.2.3.1"
)  # the class RT objects name for a study (retired, still what they write)


def structure_set(series: SeriesOf, images: list[Dataset], rois: list[Roi], grid: ImageGrid) -> Dataset:
    """Return an RT Structure Set (PS3.3 A.19) whose contours name the slice they were drawn on."""
    dataset = series.dataset(RTStructureSetStorage, 1)
    dataset.OperatorsName = ""
    dataset.StructureSetLabel = "SAMPLE"
    dataset.StructureSetDate, dataset.StructureSetTime = DATE, TIME
    frame = series.subject.frame_of_reference_uid
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = frame, ""
    referenced_series = item(
        SeriesInstanceUID=images[0].SeriesInstanceUID, ContourImageSequence=[reference(image) for image in images]
    )
    referenced_study = item(
        ReferencedSOPClassUID=STUDY_MANAGEMENT_UID,
        ReferencedSOPInstanceUID=series.subject.study_uid,
        RTReferencedSeriesSequence=[referenced_series],
    )
    dataset.ReferencedFrameOfReferenceSequence = [
        item(FrameOfReferenceUID=frame, RTReferencedStudySequence=[referenced_study])
    ]
    dataset.StructureSetROISequence = [
        item(
            ROINumber=number, ReferencedFrameOfReferenceUID=frame, ROIName=roi.name, ROIGenerationAlgorithm="AUTOMATIC"
        )
        for number, roi in enumerate(rois, 1)
    ]
    dataset.ROIContourSequence = [_contours(roi, number, images, grid) for number, roi in enumerate(rois, 1)]
    dataset.RTROIObservationsSequence = [
        item(
            ObservationNumber=number,
            ReferencedROINumber=number,
            RTROIInterpretedType=roi.interpreted_type,
            ROIInterpreter="",
        )
        for number, roi in enumerate(rois, 1)
    ]
    dataset.ApprovalStatus = "UNAPPROVED"
    return dataset


def _contours(roi: Roi, number: int, images: list[Dataset], grid: ImageGrid) -> Dataset:
    made = [_contour(contour, n, images, grid) for n, contour in enumerate(roi.contours, 1)]
    return item(ROIDisplayColor=list(roi.color), ReferencedROINumber=number, ContourSequence=made)


def _contour(contour: Contour, number: int, images: list[Dataset], grid: ImageGrid) -> Dataset:
    made = Dataset()
    if contour.slice_index is not None:
        made.ContourImageSequence = [reference(images[contour.slice_index])]
    made.ContourGeometricType = contour.kind
    made.NumberOfContourPoints = len(contour.points)
    made.ContourNumber = number
    points = np.round(grid.to_lps(contour.points), 4)
    made.ContourData = [f"{value:.4f}".rstrip("0").rstrip(".") for value in points.ravel()]
    return made


def plan(series: SeriesOf, structures: Dataset) -> Dataset:
    """Return an RT Plan (PS3.3 A.20) with one fraction group and no beams: what a dose may refer to."""
    dataset = series.dataset(RTPlanStorage, 1)
    dataset.OperatorsName = ""
    dataset.FrameOfReferenceUID = series.subject.frame_of_reference_uid
    dataset.PositionReferenceIndicator = ""
    dataset.RTPlanLabel = "SAMPLE"
    dataset.RTPlanDate, dataset.RTPlanTime = DATE, TIME
    dataset.RTPlanGeometry = "PATIENT"
    dataset.ReferencedStructureSetSequence = [reference(structures)]
    dataset.FractionGroupSequence = [
        item(FractionGroupNumber=1, NumberOfFractionsPlanned=20, NumberOfBeams=0, NumberOfBrachyApplicationSetups=0)
    ]
    dataset.ApprovalStatus = "UNAPPROVED"
    return dataset


def dose_grid(grid: ImageGrid, spacing_mm: float = 5.0) -> ImageGrid:
    """Return a dose grid of its own around the lesion: coarser, smaller and off the image's pixels."""
    depth = min(140.0, float(grid.z_mm[-1]))
    slices = max(int(depth / spacing_mm), 2)
    first_z = (float(grid.z_mm[-1]) - (slices - 1) * spacing_mm) / 2
    center = grid.to_lps([-40.3, 1.7, first_z])
    return ImageGrid(
        slices, 36, 44, (spacing_mm, spacing_mm), spacing_mm, (center[0], center[1], center[2]), grid.rotation_deg
    )


def dose(series: SeriesOf, grid: ImageGrid, center_lps: np.ndarray, plan_set: Dataset, bits: int = 16) -> Dataset:
    """Return an RT Dose (PS3.3 A.18): 60 Gy at a centre, falling off in all directions.

    Parameters
    ----------
    grid : the dose grid.
    center_lps : LPS mm of the maximum.
    bits : 16 or 32 bits a voxel.
    """
    dataset = series.dataset(RTDoseStorage, 1)
    dataset.OperatorsName = ""
    dataset.FrameOfReferenceUID = series.subject.frame_of_reference_uid
    dataset.PositionReferenceIndicator = ""
    for name, value in grid.plane_elements(0).items():
        if name != "SliceLocation":
            setattr(dataset, name, value)
    values = dose_gray(grid, center_lps)
    scaling = float(decimal(float(values.max()) / (2**bits - 1)))
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = grid.slices, grid.rows, grid.columns
    dataset.FrameIncrementPointer = Tag("GridFrameOffsetVector")
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
    dataset.DoseUnits, dataset.DoseType, dataset.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    dataset.ContentDate, dataset.ContentTime = DATE, TIME
    dataset.GridFrameOffsetVector = decimals(grid.z_mm)
    dataset.DoseGridScaling = decimal(scaling)
    dataset.ReferencedRTPlanSequence = [reference(plan_set)]
    stored = np.minimum(np.rint(values / scaling), 2**bits - 1).astype(f"<u{bits // 8}")
    dataset.PixelData = stored.tobytes()
    return dataset


def dose_gray(grid: ImageGrid, center_lps: np.ndarray) -> np.ndarray:
    """Return the dose in Gy, shape (k, j, i): 60 Gy times a Gaussian of 35 mm standard deviation."""
    k, j, i = np.indices((grid.slices, grid.rows, grid.columns)).reshape(3, -1)
    points = np.column_stack([i, j, k, np.ones(len(i))]) @ grid.matrix_lps.T
    squared = np.sum((points[:, :3] - center_lps) ** 2, axis=1)
    result: np.ndarray = (60.0 * np.exp(-squared / (2 * 35.0**2))).reshape(grid.slices, grid.rows, grid.columns)
    return result
