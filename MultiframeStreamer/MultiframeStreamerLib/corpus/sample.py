"""A small enhanced CT with positions, for the self-test and for trying things out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib.pixels_encode import encode_frame
from DicomWorkbenchLib.uids import new_uid

from MultiframeStreamerLib.part10 import EncapsulatedWriter
from MultiframeStreamerLib.syntaxes import HTJ2K_RPCL

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
_SPACING_MM, _STEP_MM, _FIRST_LPS_MM = (0.8, 0.6), 2.5, (-10.0, 5.0, 20.0)


def small_stack(
    folder: Path, *, frames: int = 12, rows: int = 40, columns: int = 48, uneven: bool = False, oblique: bool = True
) -> tuple[Path, NDArray[Any]]:
    """Write an HTJ2K object with functional groups and return its path and its values in HU (frames, rows, columns).

    Parameters
    ----------
    uneven : put the last frame at a distance of its own.
    oblique : tilt the stack, so that a wrong axis shows.
    """
    import numpy as np

    k, j, i = np.mgrid[0:frames, 0:rows, 0:columns]
    stored = (1000 + 30 * k + 4 * i + 7 * j).astype(np.uint16)
    path = folder / "enhanced.dcm"
    dataset = _header(frames, rows, columns, oblique, uneven)
    with path.open("w+b") as stream:
        writer = EncapsulatedWriter(stream, dataset, HTJ2K_RPCL, frames, stored.nbytes * 2)
        for number in range(frames):
            writer.write(encode_frame(stored[number], HTJ2K_RPCL))
        writer.finish()
    return path, stored.astype(np.float32) - 1024


def directions(oblique: bool) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the unit vectors of rows, columns and stack in LPS."""
    import numpy as np

    if not oblique:
        return np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), np.array([0, 0, 1.0])
    angle = np.deg2rad(20)
    row = np.array([np.cos(angle), np.sin(angle), 0])
    column = np.array([0.0, 0.0, -1.0])
    return row, column, np.cross(row, column)


def _header(frames: int, rows: int, columns: int, oblique: bool, uneven: bool) -> Dataset:
    from pydicom import Dataset

    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = ENHANCED_CT, new_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = new_uid(), new_uid(), new_uid()
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "CT", 1, 1
    dataset.PatientName, dataset.PatientID = "Sample^Stack", "SAMPLE"
    dataset.StudyDate, dataset.SeriesDescription = "20260101", "Enhanced CT"
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL", "NONE"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = rows, columns, frames
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    row, column, normal = directions(oblique)
    dataset.SharedFunctionalGroupsSequence = [_shared(row, column)]
    steps = [number * _STEP_MM for number in range(frames)]
    if uneven:
        steps[-1] += 3.0
    dataset.PerFrameFunctionalGroupsSequence = [_group(number, step * normal) for number, step in enumerate(steps)]
    return dataset


def _shared(row: NDArray[Any], column: NDArray[Any]) -> Dataset:
    from pydicom import Dataset

    measures, orientation, values, window, group = (Dataset() for _ in range(5))
    measures.PixelSpacing, measures.SliceThickness = list(_SPACING_MM), _STEP_MM
    orientation.ImageOrientationPatient = [round(float(v), 10) for v in (*row, *column)]
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 1, -1024, "HU"
    window.WindowCenter, window.WindowWidth = 300, 900
    group.PixelMeasuresSequence, group.PlaneOrientationSequence = [measures], [orientation]
    group.PixelValueTransformationSequence, group.FrameVOILUTSequence = [values], [window]
    return group


def _group(number: int, offset: NDArray[Any]) -> Dataset:
    from pydicom import Dataset

    position, content, group = Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient = [round(float(a) + b, 6) for a, b in zip(offset, _FIRST_LPS_MM, strict=True)]
    content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = "1", number + 1, [number + 1]
    group.PlanePositionSequence, group.FrameContentSequence = [position], [content]
    return group
