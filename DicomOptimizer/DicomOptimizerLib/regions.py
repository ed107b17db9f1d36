"""Closed planar contours as regions: even-odd area, union and shape between two planes, and back to contours.

A set of closed contours of one plane is one region by even-odd filling: nested contours, keyhole contours and CLOSEDPLANAR_XOR sets all
mean the same with it (PS3.3 C.8.8.6.3). Regions are combined through their signed distances, which keeps sub-pixel positions: the smaller
of two distances is the union, their weighted mean the shape between two planes (Raya and Udupa 1990; Herman, Zheng and Bucholtz 1992).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray
from numpy.typing import NDArray

from DicomOptimizerLib.tracing import PlaneGrid, Polygon, trace


def inside(polygons: Sequence[Polygon], xs: FloatArray, ys: FloatArray) -> NDArray[np.bool_]:
    """Even-odd filling at the nodes of a grid: (rows, columns) bool, one scan line per row."""
    result = np.zeros((len(ys), len(xs)), dtype=bool)
    for polygon in polygons:
        a, b = polygon, np.roll(polygon, -1, axis=0)
        for row, y in enumerate(ys):
            crosses = (a[:, 1] <= y) != (b[:, 1] <= y)
            if crosses.any():
                p, q = a[crosses], b[crosses]
                x = np.sort(p[:, 0] + (y - p[:, 1]) * (q[:, 0] - p[:, 0]) / (q[:, 1] - p[:, 1]))
                result[row] ^= (np.searchsorted(x, xs, side="right") % 2).astype(bool)
    return result


def signed_distance(polygons: Sequence[Polygon], grid: PlaneGrid) -> FloatArray:
    """Distance to the boundary at every node, mm, negative inside; exact at the nearest edge.

    A keyhole's channel is walked twice and has no width; its edges are left out, or they would cut the region in two.
    """
    from scipy.spatial import cKDTree

    starts, ends = _edges(polygons)
    steps = np.maximum(1, np.ceil(np.linalg.norm(ends - starts, axis=1) / (grid.cell_mm / 2)).astype(int))
    owner = np.repeat(np.arange(len(starts)), steps)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(steps) - steps, steps)
    t = (offset + 0.5) / steps[owner]
    samples = starts[owner] + t[:, None] * (ends - starts)[owner]
    x, y = np.meshgrid(grid.xs, grid.ys)
    nodes = np.stack([x.ravel(), y.ravel()], axis=1)
    _, nearest = cKDTree(samples).query(nodes)
    edge = owner[nearest]
    distance = _to_segment(nodes, starts[edge], ends[edge]).reshape(grid.shape)
    return np.where(inside(polygons, grid.xs, grid.ys), -distance, distance)


def _edges(polygons: Sequence[Polygon]) -> tuple[FloatArray, FloatArray]:
    starts = np.concatenate(polygons)
    ends = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons])
    key = np.round(np.concatenate([starts, ends], axis=1), 4)
    there = {tuple(row) for row in key.tolist()}
    real = [tuple(row[2:] + row[:2]) not in there and row[:2] != row[2:] for row in key.tolist()]
    if not any(real):
        return starts, ends
    return starts[real], ends[real]


def _to_segment(points: FloatArray, starts: FloatArray, ends: FloatArray) -> FloatArray:
    along = ends - starts
    length2 = np.maximum((along * along).sum(axis=1), 1e-18)
    t = np.clip(((points - starts) * along).sum(axis=1) / length2, 0, 1)
    return np.asarray(np.linalg.norm(points - starts - t[:, None] * along, axis=1))


def union(regions: Sequence[Sequence[Polygon]], finest_mm: float) -> list[Polygon]:
    """Return the contours of the union of several regions, each a set of polygons of one plane."""
    grid = PlaneGrid.around([polygon for region in regions for polygon in region], finest_mm)
    return trace(np.minimum.reduce([signed_distance(region, grid) for region in regions]), grid)


def between(below: Sequence[Polygon], above: Sequence[Polygon], share: float, finest_mm: float) -> list[Polygon]:
    """Return the contours of the shape between two planes; ``share`` 0 gives ``below``, 1 ``above``."""
    grid = PlaneGrid.around([*below, *above], finest_mm)
    blended = (1 - share) * signed_distance(below, grid) + share * signed_distance(above, grid)
    return trace(blended, grid)


def area_mm2(polygons: Sequence[Polygon]) -> float:
    """Area of a region whose polygons are nested or apart: even-odd by depth of nesting."""
    total = 0.0
    for n, polygon in enumerate(polygons):
        x, y = polygon.T
        signless = abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
        total += signless if depth_of(n, polygons) % 2 == 0 else -signless
    return total


def depth_of(index: int, polygons: Sequence[Polygon]) -> int:
    """Count the other polygons that hold a polygon's first point."""
    x, y = polygons[index][0]
    point_x, point_y = np.asarray([x]), np.asarray([y])
    others = (polygon for n, polygon in enumerate(polygons) if n != index)
    return sum(bool(inside([polygon], point_x, point_y)[0, 0]) for polygon in others)


def keyholed(polygons: Sequence[Polygon]) -> list[Polygon]:
    """Join every hole to the contour around it by a channel of no width, as CLOSED_PLANAR wants holes (PS3.3 C.8.8.6.3)."""
    depths = [depth_of(n, polygons) for n in range(len(polygons))]
    joined = []
    for n, outer in enumerate(polygons):
        if depths[n] % 2:
            continue
        holes = [
            polygon
            for m, polygon in enumerate(polygons)
            if depths[m] == depths[n] + 1 and inside([outer], polygon[:1, 0], polygon[:1, 1])[0, 0]
        ]
        for hole in sorted(holes, key=lambda polygon: float(polygon[:, 0].max()), reverse=True):
            outer = _joined(outer, hole)
        joined.append(outer)
    return joined


def _joined(outer: Polygon, hole: Polygon) -> Polygon:
    # The hole's rightmost point and the nearest contour point to its right see each other in nearly all drawn shapes.
    h = int(np.argmax(hole[:, 0]))
    distances = np.linalg.norm(outer - hole[h], axis=1)
    right = np.where(outer[:, 0] >= hole[h, 0], distances, np.inf)
    o = int(np.argmin(right if np.isfinite(right).any() else distances))
    around = np.roll(hole, -h, axis=0)
    return np.concatenate([outer[: o + 1], around, around[:1], outer[o:]])
