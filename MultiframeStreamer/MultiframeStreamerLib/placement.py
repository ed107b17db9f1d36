"""Where a frame lies in the patient: the matrix from its pixels to millimetres.

Source: DICOM PS3.3 C.7.6.2.1.1 (equation C.7.6.2.1-1), C.7.6.16.2.1-4 (functional groups).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib.geometry import FloatArray, index_matrix_lps, slice_normal

if TYPE_CHECKING:
    from pydicom import Dataset

_SAME_DIRECTION = 1e-4  # difference of direction cosines that is still the same orientation (0.006 degrees)
_EVEN_STEPS = 0.01  # relative difference of frame distances that still counts as even


@dataclass(frozen=True)
class Placement:
    """Position, orientation and pixel size of one frame; ``in_patient`` is False where the file has none and pixels count."""

    origin_lps_mm: tuple[float, float, float]
    orientation_lps: tuple[float, float, float, float, float, float]
    pixel_spacing_mm: tuple[float, float]  # row distance, column distance
    thickness_mm: float
    in_patient: bool

    @property
    def normal_lps(self) -> FloatArray:
        """Unit vector along which slices are stacked."""
        return slice_normal(self.orientation_lps)

    def matrix_lps(self, step_mm: Any = None) -> FloatArray:
        """Return the 4x4 matrix from (i, j, k, 1) to LPS mm; ``step_mm`` is the vector from one frame to the next."""
        step = [float(v) for v in (self.normal_lps * self.thickness_mm if step_mm is None else step_mm)]
        return index_matrix_lps(self.origin_lps_mm, self.orientation_lps, self.pixel_spacing_mm, step)


def placement_of(frame: Dataset) -> Placement:
    """Read the placement of a frame from its flattened header; what is missing becomes an image at the origin with 1 mm pixels."""
    position, orientation = _floats(frame, "ImagePositionPatient", 3), _floats(frame, "ImageOrientationPatient", 6)
    spacing = _floats(frame, "PixelSpacing", 2) or _floats(frame, "ImagerPixelSpacing", 2) or _ultrasound_spacing(frame)
    thickness = _floats(frame, "SpacingBetweenSlices", 1) or _floats(frame, "SliceThickness", 1)
    return Placement(
        origin_lps_mm=(position[0], position[1], position[2]) if position else (0.0, 0.0, 0.0),
        orientation_lps=tuple(orientation) if _is_rotation(orientation) else (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),  # type: ignore[arg-type]
        pixel_spacing_mm=(spacing[0], spacing[1]) if spacing and min(spacing) > 0 else (1.0, 1.0),
        thickness_mm=thickness[0] if thickness and thickness[0] > 0 else 1.0,
        in_patient=bool(position) and _is_rotation(orientation),
    )


def even_step(placements: list[Placement]) -> FloatArray | None:
    """Return the vector from one frame to the next if frames are parallel and evenly spaced along their normal, else None."""
    import numpy as np

    first = placements[0]
    if len(placements) < 2 or not all(p.in_patient for p in placements):
        return None
    if any(
        abs(a - b) > _SAME_DIRECTION
        for p in placements
        for a, b in zip(p.orientation_lps, first.orientation_lps, strict=True)
    ):
        return None
    origins = np.array([p.origin_lps_mm for p in placements])
    steps = np.diff(origins, axis=0)
    mean = steps.mean(axis=0)
    length = float(np.linalg.norm(mean))
    along = abs(float(mean @ first.normal_lps))
    if length < 1e-6 or along < length * 0.5 or np.abs(steps - mean).max() > _EVEN_STEPS * length:
        return None
    return np.asarray(mean, dtype=float)


def _floats(frame: Dataset, keyword: str, count: int) -> list[float]:
    value = frame.get(keyword)
    if value is None or value == "":
        return []
    try:
        numbers = [float(v) for v in value] if count > 1 else [float(value)]
    except (TypeError, ValueError):
        return []
    return numbers if len(numbers) == count and all(abs(n) < 1e7 for n in numbers) else []


def _is_rotation(orientation: list[float]) -> bool:
    import numpy as np

    if len(orientation) != 6:
        return False
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    return bool(
        abs(np.linalg.norm(row) - 1) < 0.01 and abs(np.linalg.norm(column) - 1) < 0.01 and abs(row @ column) < 0.01
    )


def _ultrasound_spacing(frame: Dataset) -> list[float]:
    """Pixel size of the first calibrated 2-D ultrasound region in cm (PS3.3 C.8.5.5)."""
    for region in frame.get("SequenceOfUltrasoundRegions") or ():
        if region.get("PhysicalUnitsXDirection") == 3 and region.get("PhysicalUnitsYDirection") == 3:
            return [abs(float(region.PhysicalDeltaY)) * 10, abs(float(region.PhysicalDeltaX)) * 10]
    return []
