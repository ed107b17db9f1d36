"""Regions of pixels as closed polygons and back: outlines along the pixels' edges, holes joined by a channel of no width.

Coordinates are pixels, (column, row), with whole numbers at pixel centres. An outline runs along pixel edges, so it encloses exactly the
area of its pixels, has their centroid, and whoever fills it by pixel centres gets the same pixels back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from DicomWorkbenchLib.geometry import FloatArray

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Ring:
    """A closed line along pixel edges: corners (n, 2), the first not repeated; ``is_hole`` if pixels lie around it."""

    corners: FloatArray
    is_hole: bool


def pixel_rings(mask: BoolArray) -> list[Ring]:
    """Trace the edges of a region; pixels that touch by a corner alone are not joined.

    Parameters
    ----------
    mask : (rows, columns), True inside.
    """
    padded = np.pad(mask, 1)
    a, b, c, d = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    y, x = np.nonzero(a ^ b ^ c ^ d)
    saddle_y, saddle_x = np.nonzero((a == d) & (b == c) & (a != b))
    # Where two pixels touch by a corner, two corners of the outline lie: the first belongs to what is on the left.
    falls = a[saddle_y, saddle_x].astype(int)  # the left one lies above
    xs = np.concatenate([x, saddle_x, saddle_x])
    ys = np.concatenate([y, saddle_y, saddle_y])
    by_row = np.concatenate([np.zeros(len(x), int), np.zeros_like(falls), np.ones_like(falls)])
    by_column = np.concatenate([np.zeros(len(x), int), 1 - falls, falls])
    partner = _partners(np.lexsort((by_row, xs, ys))), _partners(np.lexsort((by_column, ys, xs)))
    corners = np.stack([xs, ys], axis=1) - 0.5
    rings = _cycles(*(p.tolist() for p in partner))
    return [_ring(corners[ring], is_hole=not mask[_pixel_below(xs, ys, ring)]) for ring in rings]


def _ring(corners: FloatArray, *, is_hole: bool) -> Ring:
    """Turn outlines one way and holes the other, so that filling by either rule and the sum of areas come out the same."""
    x, y = corners.T
    turns_right = float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) > 0
    return Ring(corners[::-1] if turns_right == is_hole else corners, is_hole)


def _partners(order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Corners in the order along a line of the grid are joined two by two."""
    partner = np.empty_like(order)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    return partner


def _cycles(along_row: list[int], along_column: list[int]) -> list[list[int]]:
    left = [True] * len(along_row)
    found = []
    for start in range(len(along_row)):
        if not left[start]:
            continue
        ring, at = [], start
        while left[at]:
            other = along_row[at]
            ring += [at, other]
            left[at] = left[other] = False
            at = along_column[other]
        found.append(ring)
    return found


def _pixel_below(xs: NDArray[np.intp], ys: NDArray[np.intp], ring: list[int]) -> tuple[int, int]:
    """Return the pixel (row, column) that lies inside of a ring's uppermost edge, at its left end."""
    ring_x, ring_y = xs[ring], ys[ring]
    top = int(ring_y.min())
    return top, int(ring_x[ring_y == top].min())


def outlines(mask: BoolArray) -> list[FloatArray]:
    """Return the region as polygons (n, 2) of which none holds another: every hole is joined to the outline around it.

    References
    ----------
    DICOM PS3.3 C.8.8.6.3: an inner and an outer contour are joined by a channel to form one CLOSED_PLANAR contour.
    """
    rings = pixel_rings(mask)
    outer = [ring.corners for ring in rings if not ring.is_hole]
    for hole in sorted(
        (ring.corners for ring in rings if ring.is_hole), key=lambda corners: float(corners[:, 0].min())
    ):
        at = min(range(len(hole)), key=lambda n: (hole[n, 0], hole[n, 1]))
        owner, edge, column = _first_to_the_left(outer, hole[at])
        outer[owner] = _joined(outer[owner], edge, column, np.roll(hole, -at, axis=0))
    return outer


def _first_to_the_left(polygons: Sequence[FloatArray], point: FloatArray) -> tuple[int, int, float]:
    """Return polygon, edge and column where the line to the left first meets an edge that runs along a column.

    Holes come in the order of their leftmost corners, so what lies to the left of one is joined already.
    """
    best = (-1, -1, -np.inf)
    for number, polygon in enumerate(polygons):
        ends = np.roll(polygon, -1, axis=0)
        low, high = np.minimum(polygon[:, 1], ends[:, 1]), np.maximum(polygon[:, 1], ends[:, 1])
        upright = polygon[:, 0] == ends[:, 0]
        meets = np.flatnonzero(upright & (low <= point[1]) & (point[1] <= high) & (polygon[:, 0] <= point[0]))
        if len(meets):
            edge = int(meets[np.argmax(polygon[meets, 0])])
            if polygon[edge, 0] > best[2]:
                best = (number, edge, float(polygon[edge, 0]))
    return best


def _joined(outer: FloatArray, edge: int, column: float, hole: FloatArray) -> FloatArray:
    """Go along a row of the grid's lines from an outline's edge to a hole, around it, and back the same way."""
    door = np.array([[column, hole[0, 1]]])
    return np.concatenate([outer[: edge + 1], door, hole, hole[:1], door, outer[edge + 1 :]])


def area_and_centroid(polygon: FloatArray) -> tuple[float, FloatArray]:
    """Return a polygon's area without its sign, and the centroid (2,) of what it encloses; channels count for nothing."""
    middle = polygon.mean(axis=0)
    x, y = (polygon - middle).T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    cross = x * next_y - next_x * y
    double = float(cross.sum())
    if double == 0:
        return 0.0, middle
    center = np.array([((x + next_x) * cross).sum(), ((y + next_y) * cross).sum()]) / (3 * double)
    return abs(double) / 2, middle + center


def polygon_pixels(polygon_ij: FloatArray, shape_ji: tuple[int, int]) -> BoolArray:
    """Set the pixels whose centre lies inside a polygon (even-odd rule)."""
    starts, stops = polygon_ij, np.roll(polygon_ij, -1, axis=0)
    inside = np.zeros(shape_ji, dtype=np.bool_)
    low = max(int(np.ceil(polygon_ij[:, 1].min())), 0)
    high = min(int(np.floor(polygon_ij[:, 1].max())), shape_ji[0] - 1)
    columns = np.arange(shape_ji[1])
    for row in range(low, high + 1):
        crosses = (starts[:, 1] <= row) != (stops[:, 1] <= row)
        a, b = starts[crosses], stops[crosses]
        at = np.sort(a[:, 0] + (row - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0]))
        inside[row] = np.searchsorted(at, columns, side="left") % 2 == 1
    return inside
