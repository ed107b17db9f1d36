"""The 0.5-level contour of a slice, and what is measured on it: the longest chord and the longest one across it.

All points are ``(i, j)`` row vectors in millimetres of the slice plane (`Grid.plane_mm`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from TumorAnalysisLib.grid import BoolArray, FloatArray

LEVEL = 0.5
CHORD_LINES = (
    65  # lines across the longest chord; between two of them a chord changes by far less than a tenth of a pixel
)

# Corners of a cell of four pixel centres, counter-clockwise from (0, 0): bit n of the cell's case is set if corner n is inside.
# Edge n joins corner n and corner n + 1. Diagonal cases are read as connected (8-neighbours in the plane).
_EDGES_OF_CASE: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((3, 0),), 2: ((0, 1),), 3: ((3, 1),), 4: ((1, 2),), 5: ((0, 1), (2, 3)), 6: ((0, 2),), 7: ((3, 2),),
    8: ((2, 3),), 9: ((0, 2),), 10: ((3, 0), (1, 2)), 11: ((1, 2),), 12: ((3, 1),), 13: ((0, 1),), 14: ((3, 0),),
}  # fmt: skip
_CORNERS_JI = np.array([[0, 0], [0, 1], [1, 1], [1, 0]])


@dataclass(frozen=True)
class Chord:
    """A straight line between two points of a slice, mm in its plane."""

    start: FloatArray
    stop: FloatArray

    @property
    def length(self) -> float:
        """Length, mm."""
        return float(np.linalg.norm(self.stop - self.start))

    @property
    def across(self) -> FloatArray:
        """Unit vector perpendicular to the chord; arbitrary for a chord of length 0."""
        along = (self.stop - self.start) / self.length if self.length else np.array([1.0, 0.0])
        return np.array([-along[1], along[0]])


def crossing_points(field: NDArray[np.generic], plane_mm: FloatArray) -> FloatArray:
    """Find where the grid lines of a slice cross the 0.5 level.

    Parameters
    ----------
    field : (j, i) mask or smooth image; the outermost pixels must be outside.
    plane_mm : (2, 2) from `Grid.plane_mm`.

    Returns
    -------
    (n, 2) points in mm; for a mask these are the midpoints between an inside and an outside pixel centre.
    """
    values = field.astype(np.float64)
    found = []
    for axis in (0, 1):
        low = values[:-1, :] if axis == 0 else values[:, :-1]
        high = values[1:, :] if axis == 0 else values[:, 1:]
        j, i = np.nonzero((low >= LEVEL) != (high >= LEVEL))
        share = (LEVEL - low[j, i]) / (high[j, i] - low[j, i])
        found.append(np.stack([i + share * (axis == 1), j + share * (axis == 0)], axis=1))
    return np.concatenate(found) @ plane_mm


def segments(field: NDArray[np.generic], plane_mm: FloatArray) -> FloatArray:
    """Trace the 0.5-level contour as unordered line segments (marching squares).

    Returns
    -------
    (n, 2, 2) float64: segment, end, (i, j) mm.
    """
    values = field.astype(np.float64)
    inside = values >= LEVEL
    case = (
        inside[:-1, :-1].astype(np.uint8)
        | inside[:-1, 1:].astype(np.uint8) << 1
        | inside[1:, 1:].astype(np.uint8) << 2
        | inside[1:, :-1].astype(np.uint8) << 3
    )
    found = [np.empty((0, 2, 2))]
    for number, edges in _EDGES_OF_CASE.items():
        cells = np.argwhere(case == number)
        if cells.size:
            found += [np.stack([_on_edge(values, cells, a), _on_edge(values, cells, b)], axis=1) for a, b in edges]
    return np.concatenate(found) @ plane_mm


def _on_edge(values: FloatArray, cells_ji: NDArray[np.int64], edge: int) -> FloatArray:
    a, b = cells_ji + _CORNERS_JI[edge], cells_ji + _CORNERS_JI[(edge + 1) % 4]
    low, high = values[a[:, 0], a[:, 1]], values[b[:, 0], b[:, 1]]
    share = ((LEVEL - low) / (high - low))[:, None]
    return np.asarray((a + share * (b - a))[:, ::-1])


def corner_points(mask: BoolArray, plane_mm: FloatArray) -> FloatArray:
    """Return the corners of the border pixels: the largest extent the pixels can stand for."""
    centres = _border(mask)
    corners = [centres + offset for offset in ((-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5))]
    return np.concatenate(corners) @ plane_mm


def centre_points(mask: BoolArray, plane_mm: FloatArray) -> FloatArray:
    """Return the centres of the border pixels: the smallest extent the pixels can stand for."""
    return _border(mask) @ plane_mm


def _border(mask: BoolArray) -> FloatArray:
    # First and last pixel of each row: enough for every extent, and few.
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([first, rows], axis=1), np.stack([last, rows], axis=1)]).astype(np.float64)


def longest_chord(points: FloatArray) -> Chord:
    """Find the two points that lie furthest apart (the maximum Feret diameter of the set), mm."""
    corners = hull_points(points)
    squared = ((corners[:, None, :] - corners[None, :, :]) ** 2).sum(axis=2)
    a, b = np.unravel_index(int(np.argmax(squared)), squared.shape)
    return Chord(corners[a], corners[b])


def hull_points(points: FloatArray) -> FloatArray:
    """Keep the points on the convex hull; a set without an area (one row, one point) is kept as it is."""
    if len(points) <= 8:
        return points
    from scipy.spatial import ConvexHull, QhullError

    try:
        return np.ascontiguousarray(points[ConvexHull(points).vertices])
    except QhullError:
        return points


def longest_across(lines: FloatArray, along: Chord) -> Chord:
    """Find the longest chord perpendicular to another one that stays inside the contour.

    Parameters
    ----------
    lines : (n, 2, 2) contour segments from `segments`.
    along : the longest chord.

    Returns
    -------
    Chord; of length 0 at the middle of ``along`` if nothing lies across it.
    """
    middle = (along.start + along.stop) / 2
    if along.length == 0 or not len(lines):
        return Chord(middle, middle)
    axis, across = (along.stop - along.start) / along.length, along.across
    local = np.stack([(lines - middle) @ axis, (lines - middle) @ across], axis=2)
    where, low, high = _inside_runs(local, _lines_across(local))
    if not where.size:
        return Chord(middle, middle)
    best = int(np.argmax(high - low))
    foot = middle + where[best] * axis
    return Chord(foot + low[best] * across, foot + high[best] * across)


def _lines_across(local: FloatArray) -> FloatArray:
    # Odd steps between the ends, so that no line meets a contour vertex exactly and is counted twice.
    low, high = local[:, :, 0].min(), local[:, :, 0].max()
    return np.asarray(low + (high - low) * (np.arange(CHORD_LINES) + 0.4973) / CHORD_LINES)


def _inside_runs(local: FloatArray, at: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    x0, x1 = local[:, 0, 0], local[:, 1, 0]
    line, segment = np.nonzero((x0[None, :] <= at[:, None]) != (x1[None, :] <= at[:, None]))
    x = at[line]
    y0, y1 = local[segment, 0, 1], local[segment, 1, 1]
    y = y0 + (x - x0[segment]) / (x1[segment] - x0[segment]) * (y1 - y0)
    order = np.lexsort((y, line))
    # A closed contour crosses each line an even number of times: inside between the 1st and 2nd, 3rd and 4th, ...
    y, x = y[order], x[order]
    pairs = len(y) // 2 * 2
    return x[0:pairs:2], y[0:pairs:2], y[1:pairs:2]
