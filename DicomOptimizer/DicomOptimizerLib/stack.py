"""Slices along their normal, and which of them a decimated series keeps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray, Point3

SAME_PLANE_MM = 0.01  # coordinates are written with a few decimals; no scanner steps this finely
REGULAR_MM = 0.02  # spacing may differ by this much and still be called regular


def kept_indices(count: int, step: int, keep_last: bool = False) -> list[int]:
    """Return 0, step, 2 step, ... below ``count``, with the last index added on request."""
    kept = list(range(0, count, step))
    if keep_last and count and kept[-1] != count - 1:
        kept.append(count - 1)
    return kept


@dataclass(frozen=True)
class SliceStack:
    """The parallel slices of one series, sorted along their normal.

    Attributes
    ----------
    positions_mm : position of every slice along the normal, ascending.
    normal_lps, row_lps : unit vectors: across the slices, and along their rows.
    pixel_mm : smaller in-plane pixel spacing of the slices as they were.
    kept : indices of the slices that stay.
    sop_uids : instance UIDs of the slices as they were.
    """

    positions_mm: tuple[float, ...]
    normal_lps: Point3
    row_lps: Point3
    pixel_mm: float
    kept: tuple[int, ...]
    sop_uids: tuple[str, ...]

    @cached_property
    def positions(self) -> FloatArray:
        """Positions along the normal as an array (n,), mm."""
        return np.asarray(self.positions_mm, dtype=float)

    @cached_property
    def kept_set(self) -> frozenset[int]:
        """Kept indices for membership tests."""
        return frozenset(self.kept)

    @cached_property
    def half_steps_mm(self) -> tuple[float, float]:
        """How far the first slice reaches down and the last one up, mm: half the distance to their neighbours."""
        if len(self.positions) < 2:
            return 0.5, 0.5
        steps = np.diff(self.positions)
        return float(steps[0]) / 2, float(steps[-1]) / 2

    def position_of(self, points_lps_mm: FloatArray) -> FloatArray:
        """Project points (n, 3) onto the normal, mm."""
        return np.asarray(points_lps_mm @ np.asarray(self.normal_lps))

    def in_plane(self, points_lps_mm: FloatArray) -> FloatArray:
        """Return the coordinates (n, 2) of points (n, 3) along the rows and the columns, mm."""
        return np.asarray(points_lps_mm @ self._plane_axes.T)

    def in_space(self, points_mm: FloatArray, position_mm: float) -> FloatArray:
        """Turn in-plane coordinates (n, 2) at a position along the normal back into points (n, 3) in LPS, mm."""
        return np.asarray(points_mm @ self._plane_axes + position_mm * np.asarray(self.normal_lps))

    @cached_property
    def _plane_axes(self) -> FloatArray:
        row = np.asarray(self.row_lps)
        return np.stack([row, np.cross(np.asarray(self.normal_lps), row)])

    def slice_at(self, position_mm: float) -> int | None:
        """Return the slice nearest to a position, or None beyond both ends of the stack."""
        down, up = self.half_steps_mm
        first, last = self.positions[0] - down - SAME_PLANE_MM, self.positions[-1] + up + SAME_PLANE_MM
        if not first <= position_mm <= last:
            return None
        near = _near(self.positions_mm, position_mm)
        return min(near, key=lambda k: abs(self.positions_mm[k] - position_mm))

    def nearest_kept(self, position_mm: float, preferred: frozenset[int] | set[int] = frozenset()) -> int:
        """Return the kept slice nearest to a position; of two equally near ones a preferred one, else the lower."""
        near = _near(self._kept_positions, position_mm)
        distances = [abs(self._kept_positions[n] - position_mm) for n in near]
        limit = min(distances) + SAME_PLANE_MM
        found = [self.kept[n] for n, distance in zip(near, distances, strict=True) if distance <= limit]
        return next((k for k in found if k in preferred), found[0])

    @cached_property
    def _kept_positions(self) -> tuple[float, ...]:
        return tuple(self.positions_mm[k] for k in self.kept)


def _near(ascending: Sequence[float], position: float) -> range:
    """Return the indices of the value nearest to a position, and of all that are about as near."""
    at = bisect_left(ascending, position)
    reach = min(abs(value - position) for value in ascending[max(at - 1, 0) : at + 1]) + 2 * SAME_PLANE_MM
    return range(bisect_left(ascending, position - reach), bisect_right(ascending, position + reach))


def regular_spacing_mm(positions_mm: Sequence[float]) -> float | None:
    """Return the spacing of slices if it is regular, else None."""
    steps = np.diff(np.asarray(positions_mm, dtype=float))
    if not len(steps) or np.ptp(steps) > REGULAR_MM:
        return None
    return float(np.mean(steps))
