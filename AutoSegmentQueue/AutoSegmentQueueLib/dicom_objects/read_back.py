"""Structures read back out of a DICOM Segmentation and a structure set, onto planes that are known; see `check`.

Written on pydicom alone, not on what wrote the objects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from DicomWorkbenchLib.errors import FileError
from DicomWorkbenchLib.geometry import FloatArray
from DicomWorkbenchLib.headers import read_dataset
from DicomWorkbenchLib.polygons import polygon_pixels
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pydicom import Dataset

PLACE_TOLERANCE_MM = 0.01  # objects keep a ten-thousandth of a millimetre; nothing else may differ


@dataclass(frozen=True, eq=False)
class Planes:
    """Where planes of pixels lie.

    Attributes
    ----------
    origins_lps : (k, 3) centre of each plane's first pixel.
    steps_lps : (3, 2) from one column, and one row, to the next.
    shape_ji : rows, columns.
    """

    origins_lps: FloatArray
    steps_lps: FloatArray
    shape_ji: tuple[int, int]

    def plane_of(self, point_lps: FloatArray) -> int:
        """Return the plane a point lies in.

        Raises
        ------
        FileError : it lies in none.
        """
        normal = np.cross(self.steps_lps[:, 0], self.steps_lps[:, 1])
        normal /= np.linalg.norm(normal)
        off = np.abs((self.origins_lps - point_lps) @ normal)
        if off.min() > PLACE_TOLERANCE_MM:
            raise FileError(f"something lies {off.min():.3f} mm beside the planes of the scan")
        return int(off.argmin())

    def pixels_of(self, plane: int, points_lps: FloatArray) -> FloatArray:
        """Turn LPS mm (n, 3) into (column, row) of a plane."""
        found, *_ = np.linalg.lstsq(self.steps_lps, (points_lps - self.origins_lps[plane]).T, rcond=None)
        return np.asarray(found.T)


Mask = NDArray[np.bool_]


def structures_of_segmentation(path: Path, planes: Planes) -> Iterator[tuple[str, Mask]]:
    """Give each segment's label and voxels (k, j, i).

    Raises
    ------
    FileError : it cannot be read, or lies elsewhere.
    """
    dataset = read_dataset(path)
    shape = int(dataset.Rows), int(dataset.Columns)
    if shape != planes.shape_ji:
        raise FileError(
            f"{path.name} has {shape[1]} x {shape[0]} pixels, not {planes.shape_ji[1]} x {planes.shape_ji[0]}"
        )
    shared = dataset.SharedFunctionalGroupsSequence[0]
    frames = list(dataset.PerFrameFunctionalGroupsSequence)
    _check_steps(shared, frames[0], planes, path)
    where = [_plane(group_of(frame, shared, "PlanePosition"), planes, path) for frame in frames]
    is_labelmap = dataset.SegmentationType == "LABELMAP"
    by_segment: dict[int, list[int]] = defaultdict(list)
    for number, frame in enumerate(frames):
        if not is_labelmap:
            by_segment[int(group_of(frame, shared, "SegmentIdentification").ReferencedSegmentNumber)].append(number)
    for item in dataset.SegmentSequence:
        segment = int(item.SegmentNumber)
        if segment == 0:
            continue
        mask = np.zeros((len(planes.origins_lps), *shape), bool)
        for number in range(len(frames)) if is_labelmap else by_segment[segment]:
            mask[where[number]] |= _frame(dataset, number) == (segment if is_labelmap else 1)
        yield str(item.SegmentLabel), mask


def group_of(frame: Dataset, shared: Dataset, name: str) -> Dataset:
    """Return a functional group of a frame, which stands with all frames together where it is the same for all."""
    keyword = f"{name}Sequence"
    found: Dataset = (frame if keyword in frame else shared)[keyword].value[0]
    return found


def _check_steps(shared: Dataset, frame: Dataset, planes: Planes, path: Path) -> None:
    measures = group_of(frame, shared, "PixelMeasures")
    orientation = group_of(frame, shared, "PlaneOrientation")
    row_mm, column_mm = (float(value) for value in measures.PixelSpacing)
    axes = np.asarray(orientation.ImageOrientationPatient, float).reshape(2, 3).T
    across = np.array(planes.shape_ji[::-1])
    if np.abs((axes * [column_mm, row_mm] - planes.steps_lps) * across).max() > PLACE_TOLERANCE_MM:
        raise FileError(f"{path.name} has other axes or pixel sizes than the scan")


def _plane(place: Dataset, planes: Planes, path: Path) -> int:
    position = np.asarray(place.ImagePositionPatient, float)
    plane = planes.plane_of(position)
    if np.abs(planes.origins_lps[plane] - position).max() > PLACE_TOLERANCE_MM:
        raise FileError(f"a frame of {path.name} is shifted against the scan")
    return plane


def _frame(dataset: Dataset, number: int) -> NDArray[np.generic]:
    """Return one frame; frames of one bit a pixel are not aligned to bytes (PS3.5 8.1.1)."""
    shape = int(dataset.Rows), int(dataset.Columns)
    pixels = shape[0] * shape[1]
    if int(dataset.BitsAllocated) != 1:
        kind = np.dtype(f"<u{int(dataset.BitsAllocated) // 8}")
        return np.frombuffer(dataset.PixelData, kind, pixels, number * pixels * kind.itemsize).reshape(shape)
    first = number * pixels
    bits = np.frombuffer(dataset.PixelData, np.uint8)[first // 8 : (first + pixels + 7) // 8]
    return np.unpackbits(bits, bitorder="little")[first % 8 : first % 8 + pixels].reshape(shape)


def structures_of_structure_set(path: Path, planes: Planes) -> Iterator[tuple[str, Mask]]:
    """Give each ROI's name and voxels (k, j, i): those whose centres its contours enclose, by the even-odd rule.

    Raises
    ------
    FileError : it cannot be read, or a contour lies on no plane.
    """
    dataset = read_dataset(path)
    names = {int(item.ROINumber): str(item.ROIName) for item in dataset.StructureSetROISequence}
    for roi in dataset.ROIContourSequence:
        mask = np.zeros((len(planes.origins_lps), *planes.shape_ji), bool)
        for contour in roi.get("ContourSequence", ()):
            points = points_of(contour)
            plane = planes.plane_of(points[0])
            mask[plane] ^= polygon_pixels(planes.pixels_of(plane, points), planes.shape_ji)
        yield names[int(roi.ReferencedROINumber)], mask


def points_of(contour: Dataset) -> FloatArray:
    """Return a contour's corners (n, 3), LPS mm."""
    raw = contour.get_item("ContourData").value
    text = raw if isinstance(raw, bytes) else "\\".join(map(str, raw)).encode()
    return np.array([float(part) for part in text.split(b"\\")]).reshape(-1, 3)
