"""The DICOM images a label map belongs to: headers, and where each plane of the label map lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from DicomWorkbenchLib.derived_objects import source_header
from DicomWorkbenchLib.geometry import FloatArray, spacing_of, transform_points
from DicomWorkbenchLib.headers import read_dataset
from DicomWorkbenchLib.series_model import Series

if TYPE_CHECKING:
    from pydicom import Dataset

# What is asked of every image but the first.
_ASKED = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "InstanceNumber",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "Rows", "Columns", "ImageType",
)  # fmt: skip
UNEVEN_SHARE = 0.01  # of the slice step; positions in headers are rounded to less


@dataclass(frozen=True, eq=False)
class DicomSource:
    """The images of a scan and its planes in the order of the label map.

    Attributes
    ----------
    headers : one per file, without pixels; the first one is complete.
    plane_images : (header, frame) of each plane; frames count from 1, 0 where the file is one plane.
    origins_lps : (k, 3) centre of the first pixel of each plane of the label map, LPS mm.
    matrix_lps : of the label map; its first two columns are the steps within a plane.
    thickness_mm : nominal thickness of a slice.
    is_native : the label map has the images' own pixels; False where they were moved (gantry tilt).
    """

    headers: list[Dataset]
    plane_images: list[tuple[int, int]]
    origins_lps: FloatArray
    matrix_lps: FloatArray
    thickness_mm: float
    is_native: bool

    @property
    def normal_lps(self) -> FloatArray:
        """Unit vector (3,) along the stack."""
        normal = np.cross(self.matrix_lps[:3, 0], self.matrix_lps[:3, 1])
        return np.asarray(normal / np.linalg.norm(normal))

    @property
    def heights_mm(self) -> FloatArray:
        """Position (k,) of each plane along the normal."""
        return np.asarray(self.origins_lps @ self.normal_lps)

    @property
    def slab_mm(self) -> FloatArray:
        """Thickness (k,) each plane stands for: half the way to each neighbour; at the ends as far outwards as inwards."""
        if len(self.origins_lps) == 1:
            return np.array([self.thickness_mm])
        steps = np.abs(np.diff(self.heights_mm))
        return np.asarray((np.concatenate([steps[:1], steps]) + np.concatenate([steps, steps[-1:]])) / 2)

    @property
    def is_even(self) -> bool:
        """True if the planes are equally far apart."""
        steps = np.diff(self.heights_mm)
        return len(steps) < 2 or bool(np.ptp(steps) <= UNEVEN_SHARE * np.abs(steps).mean())

    def points_lps(self, plane: int, pixels: FloatArray) -> FloatArray:
        """Turn pixels (n, 2) = (column, row) of a plane into LPS mm (n, 3)."""
        return np.asarray(pixels @ self.matrix_lps[:3, :2].T + self.origins_lps[plane])

    def header_of(self, plane: int) -> tuple[Dataset, int]:
        """Return the image a plane came from, and its frame (0 where the file is one plane)."""
        file, frame = self.plane_images[plane]
        return self.headers[file], frame


def source_of(series: Series, matrix_lps: FloatArray) -> DicomSource:
    """Read the headers of a series.

    Parameters
    ----------
    series : whose planes the label map has, in its order.
    matrix_lps : (4, 4) of the label map; another one than the series' own where its slices were moved within their planes.

    Raises
    ------
    FileError : a header cannot be read.
    """
    paths = [instance.path for instance in series.instances]
    headers = [source_header(path) if n == 0 else read_dataset(path, tags=_ASKED) for n, path in enumerate(paths)]
    number = {id(instance): n for n, instance in enumerate(series.instances)}
    images = [
        (number[id(plane.instance)], plane.frame + 1 if plane.instance.frames > 1 else 0) for plane in series.planes
    ]
    is_native = bool(np.allclose(matrix_lps, series.matrix_lps, atol=1e-6))
    origins = np.array([plane.position_lps for plane in series.planes], float)
    step = abs(float(spacing_of(matrix_lps)[2]))
    thickness = series.planes[0].thickness_mm or step
    source = DicomSource(headers, images, origins, matrix_lps, thickness, is_native)
    return source if is_native else _moved(source)


def _moved(source: DicomSource) -> DicomSource:
    """Put the planes onto the upright grid: along the normal where the images are, within the plane where the grid is."""
    from dataclasses import replace

    upright = transform_points(source.matrix_lps, _along_k(len(source.origins_lps)))
    normal = source.normal_lps
    off = source.heights_mm - upright @ normal
    return replace(source, origins_lps=upright + off[:, None] * normal)


def _along_k(count: int) -> FloatArray:
    return np.stack([np.zeros(count), np.zeros(count), np.arange(count, dtype=float)], axis=1)


def missing_for_objects(source: DicomSource) -> str:
    """Say what the images lack for objects that refer to them; empty if nothing."""
    first = source.headers[0]
    needed = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID", "FrameOfReferenceUID")
    lacking = [keyword for keyword in needed if not str(first.get(keyword, ""))]
    if lacking:
        return f"the images have no {', '.join(lacking)}"
    if len({str(header.get("FrameOfReferenceUID", "")) for header in source.headers}) > 1:
        return "the images have different frames of reference"
    return ""


def files_of(source: DicomSource) -> Sequence[Any]:
    """Return (SOP class, SOP instance) of every image."""
    return [(str(header.SOPClassUID), str(header.SOPInstanceUID)) for header in source.headers]
