"""Which fraction of every voxel lies inside a sphere or a disc.

A mask of whole voxels makes a 10 mm sphere jump by a tenth of its volume when its centre moves by half a voxel; fractions do not. Voxels
that the surface may cut are divided into at least 6 x 6 x 6 parts.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray
from numpy.typing import ArrayLike, NDArray

from SphereVOILib.grid import Box, Grid

FEWEST_PARTS, MOST_PARTS = 6, 16
FINEST_MM = 0.5  # parts need not be smaller; the volume of a 10 mm sphere is then right to 0.1 %
_CHUNK = 4000  # voxels whose parts are looked at together: about 60 MB


def sphere_coverage(box: Box, center_lps: ArrayLike, radius_mm: float) -> FloatArray:
    """Return the fraction of each voxel of a box that lies inside a sphere, shape (k, j, i), 0 to 1."""
    offsets = box.offsets_mm(center_lps)
    distance = np.sqrt(np.sum(offsets**2, axis=0))
    half_diagonal = 0.5 * _longest_diagonal(box.grid)
    fraction = (distance <= radius_mm).astype(np.float64)
    cut = np.abs(distance - radius_mm) < half_diagonal
    parts = _parts_mm(box.grid)
    positions = offsets[:, cut].T  # (N, 3)
    fraction[cut] = _share_within(positions, parts, radius_mm)
    return np.asarray(fraction)


def disc_coverage(box: Box, center_lps: ArrayLike, radius_mm: float) -> FloatArray:
    """Return the fraction of each pixel inside a disc in the slice's plane, shape (k, j, i).

    The disc's centre is the point moved along the slice normal into each slice, so that it is the same circle in all of them; whole
    slices are taken, thickness does not matter.
    """
    flat = box.in_plane_mm(center_lps)
    distance = np.sqrt(np.sum(flat**2, axis=0))
    half_diagonal = 0.5 * _longest_diagonal(box.grid)
    fraction = (distance <= radius_mm).astype(np.float64)
    cut = np.abs(distance - radius_mm) < half_diagonal
    fraction[cut] = _share_within(flat[:, cut].T, _parts_in_plane_mm(box.grid), radius_mm)
    return np.asarray(fraction)


def slice_distances_mm(box: Box, center_lps: ArrayLike) -> FloatArray:
    """Return the signed distance of each slice of a box from a point along the slice normal, mm, shape (k,)."""
    grid = box.grid
    k = np.arange(box.low[2], box.high[2])
    origin = (grid.matrix_lps[:3, 3] - np.asarray(center_lps, dtype=float)) @ grid.normal_lps
    return np.asarray(origin + k * float(grid.matrix_lps[:3, 2] @ grid.normal_lps))


def chord_radius_mm(radius_mm: float, distance_mm: float) -> float:
    """Return the radius of the circle in which a plane at this distance cuts a sphere; 0 beyond it."""
    return math.sqrt(max(radius_mm**2 - distance_mm**2, 0.0))


def _share_within(positions: FloatArray, parts: FloatArray, radius_mm: float) -> FloatArray:
    share = np.empty(len(positions))
    square, length = radius_mm**2, np.sum(parts**2, axis=1)
    for first in range(0, len(positions), _CHUNK):
        block = positions[first : first + _CHUNK]
        # |p + q|^2 = |p|^2 + 2 p.q + |q|^2: one matrix product instead of a large array of differences
        distance = 2.0 * block @ parts.T
        distance += np.sum(block**2, axis=1)[:, None]
        distance += length
        share[first : first + _CHUNK] = np.count_nonzero(distance <= square, axis=1) / len(parts)
    return share


def _parts_mm(grid: Grid) -> FloatArray:
    matrix = tuple(map(tuple, np.round(grid.matrix_lps[:3, :3], 9).tolist()))
    return _parts(matrix, _count(grid.spacing_mm[0]), _count(grid.spacing_mm[1]), _count(grid.spacing_mm[2]))


def _parts_in_plane_mm(grid: Grid) -> FloatArray:
    along, normal = grid.matrix_lps[:3, 0] / grid.spacing_mm[0], grid.normal_lps
    column = grid.matrix_lps[:3, 1]
    flat = np.array([[grid.spacing_mm[0], along @ column, 0.0], [0.0, np.cross(normal, along) @ column, 0.0]])
    matrix = tuple(map(tuple, np.round(flat, 9).tolist()))
    return _parts(matrix, 2 * _count(grid.spacing_mm[0]), 2 * _count(grid.spacing_mm[1]), 1)


def _count(spacing_mm: float) -> int:
    return int(min(max(math.ceil(spacing_mm / FINEST_MM), FEWEST_PARTS), MOST_PARTS))


@lru_cache(maxsize=16)
def _parts(matrix: tuple[tuple[float, ...], ...], n_i: int, n_j: int, n_k: int) -> FloatArray:
    middles = [(np.arange(n) + 0.5) / n - 0.5 for n in (n_i, n_j, n_k)]
    index = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(index @ np.array(matrix).T)


def _longest_diagonal(grid: Grid) -> float:
    signs: NDArray[np.float64] = np.array([[1, a, b] for a in (-1, 1) for b in (-1, 1)], dtype=float)
    return float(np.linalg.norm(signs @ grid.matrix_lps[:3, :3].T, axis=1).max())
