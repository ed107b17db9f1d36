"""The zero line of a sampled function as closed polygons (marching squares)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray

Polygon = FloatArray  # (n, 2) in the plane, mm, open: the first point is not repeated
MOST_CELLS = 400_000  # a finer grid than about 630 x 630 says nothing about a drawn contour
FEWEST_ACROSS = 48  # cells across the smaller extent, so that small regions keep their shape


@dataclass(frozen=True)
class PlaneGrid:
    """A regular grid in a plane: lower corner (x, y), cell size and shape (rows along y, columns along x)."""

    corner: tuple[float, float]
    cell_mm: float
    shape: tuple[int, int]

    @classmethod
    def around(cls, polygons: Sequence[Polygon], finest_mm: float) -> PlaneGrid:
        """Build a grid that holds all polygons with a margin; ``finest_mm`` is the pixel size they were drawn on."""
        points = np.concatenate(polygons)
        low, high = points.min(axis=0), points.max(axis=0)
        extent = np.maximum(high - low, 1e-3)
        cell = min(finest_mm, float(extent.min()) / FEWEST_ACROSS)
        cell = max(cell, finest_mm / 8, float(np.sqrt(extent.prod() / MOST_CELLS)))
        corner = low - 2.5 * cell  # off the lattice of the contour points, so that few nodes lie exactly on an edge
        columns, rows = (np.ceil((high - corner) / cell) + 3).astype(int)
        return cls((float(corner[0]), float(corner[1])), cell, (int(rows), int(columns)))

    @property
    def xs(self) -> FloatArray:
        """Coordinates of the columns."""
        return np.asarray(self.corner[0] + self.cell_mm * np.arange(self.shape[1]))

    @property
    def ys(self) -> FloatArray:
        """Coordinates of the rows."""
        return np.asarray(self.corner[1] + self.cell_mm * np.arange(self.shape[0]))


# Cell corners: 0 lower left, 1 lower right, 2 upper right, 3 upper left (bit values 1, 2, 4, 8 where negative, that is inside). Edges: 0
# bottom, 1 right, 2 top, 3 left. Per case the segments as (from edge, to edge), inside on the left. The saddles 5 and 10 keep the two
# inside corners apart.
_SEGMENTS: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((0, 3),),
    2: ((1, 0),),
    3: ((1, 3),),
    4: ((2, 1),),
    5: ((0, 3), (2, 1)),
    6: ((2, 0),),
    7: ((2, 3),),
    8: ((3, 2),),
    9: ((0, 2),),
    10: ((1, 0), (3, 2)),
    11: ((1, 2),),
    12: ((3, 1),),
    13: ((0, 1),),
    14: ((3, 0),),
}
_SMALLEST_CELLS = 0.5  # traces that enclose less than half a cell are sampling noise
Edge = tuple[int, int, int]  # (row, column, 0 along x or 1 along y): an edge of the grid, named by its lower left node


def trace(values: FloatArray, grid: PlaneGrid) -> list[Polygon]:
    """Return the closed zero lines of ``values`` (negative inside) on ``grid``, in mm; nothing negative may touch the border."""
    following = _links(values)
    polygons = []
    while following:
        start, edge = next(iter(following.items()))
        del following[start]
        ring = [start]
        while edge != start:
            ring.append(edge)
            edge = following.pop(edge)
        polygon = _points(ring, values, grid)
        if len(polygon) >= 3 and _area(polygon) > _SMALLEST_CELLS * grid.cell_mm**2:
            polygons.append(polygon)
    return sorted(polygons, key=_area, reverse=True)


def _links(values: FloatArray) -> dict[Edge, Edge]:
    negative = values < 0
    case = negative[:-1, :-1] * 1 + negative[:-1, 1:] * 2 + negative[1:, 1:] * 4 + negative[1:, :-1] * 8
    links: dict[Edge, Edge] = {}
    for row, column in np.argwhere((case > 0) & (case < 15)).tolist():
        edges = ((row, column, 0), (row, column + 1, 1), (row + 1, column, 0), (row, column, 1))
        for first, second in _SEGMENTS[int(case[row, column])]:
            links[edges[first]] = edges[second]
    return links


def _points(ring: list[Edge], values: FloatArray, grid: PlaneGrid) -> Polygon:
    rows, columns, vertical = np.asarray(ring).T
    here = values[rows, columns]
    there = values[rows + vertical, columns + 1 - vertical]
    share = here / (here - there)
    x = grid.corner[0] + grid.cell_mm * (columns + share * (1 - vertical))
    y = grid.corner[1] + grid.cell_mm * (rows + share * vertical)
    points = np.stack([x, y], axis=1)
    # Only points that turn are kept: on a straight line most crossings say nothing.
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turn = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0])
    return np.asarray(points[turn > 1e-6 * grid.cell_mm**2])


def _area(polygon: Polygon) -> float:
    x, y = polygon.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
