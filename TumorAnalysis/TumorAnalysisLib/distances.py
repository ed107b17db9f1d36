"""Distances between surfaces: lesion to liver capsule, to the nearest lesion, to vessels.

A surface is the set of points halfway between an inside and an outside voxel along the grid axes, so a distance is known to about half
a voxel diagonal. Points, not distance maps: a map of the liver costs seconds and hundreds of megabytes, the points a fraction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from TumorAnalysisLib.components import Connectivity, label
from TumorAnalysisLib.grid import BoolArray, FloatArray, Grid
from TumorAnalysisLib.masks import Mask, crop

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

FIRST_LOOK = 64  # points that give an upper bound, with which the search for all others ends early


@dataclass(frozen=True)
class Surface:
    """The boundary points of a mask in LPS mm, and a tree to find the nearest one."""

    points_lps: FloatArray
    tree: cKDTree


def surface_of(mask: Mask, grid: Grid) -> Surface | None:
    """Return the boundary of a mask; None for an empty one."""
    if mask.empty:
        return None
    from scipy.spatial import cKDTree

    points = boundary_points_lps(mask, grid)
    return Surface(points, cKDTree(points, balanced_tree=False, compact_nodes=False))


def boundary_points_lps(mask: Mask, grid: Grid) -> FloatArray:
    """Return (n, 3) points in LPS mm halfway between each inside voxel and its outside neighbours along the grid axes."""
    found = []
    for axis in range(3):
        changes = np.flatnonzero(_changes(mask.voxels, axis))
        shape = list(mask.voxels.shape)
        shape[axis] += 1
        kji = np.stack(np.unravel_index(changes, shape), axis=1).astype(np.float64)
        kji[:, axis] -= 0.5
        found.append(kji)
    kji = np.concatenate(found) + np.array(mask.start_kji)
    return grid.to_lps(kji[:, ::-1])


def _changes(voxels: BoolArray, axis: int) -> BoolArray:
    # Entry n is true where voxel n - 1 and voxel n differ; beyond both ends all is outside.
    shape = list(voxels.shape)
    shape[axis] += 1
    out = np.zeros(shape, dtype=np.bool_)
    lower = [slice(None)] * 3
    upper = [slice(None)] * 3
    lower[axis], upper[axis] = slice(0, -1), slice(1, None)
    out[tuple(lower)] = voxels
    out[tuple(upper)] ^= voxels
    return out


def gap_mm(a: Surface, b: Surface) -> float:
    """Smallest distance between two surfaces, mm; 0 where they touch."""
    few, many = (a, b) if len(a.points_lps) <= len(b.points_lps) else (b, a)
    points = few.points_lps
    step = max(len(points) // FIRST_LOOK, 1)
    bound = float(np.min(many.tree.query(points[::step])[0]))
    if len(points) <= FIRST_LOOK or bound == 0.0:
        return bound
    nearest, _ = many.tree.query(points, distance_upper_bound=bound)
    return min(float(np.min(nearest)), bound)


def _shape(mask: Mask) -> tuple[int, int, int]:
    k, j, i = mask.voxels.shape
    return k, j, i


def filled(mask: Mask) -> Mask:
    """Close the holes of a mask: everything that outside voxels cannot reach across faces is inside."""
    if mask.empty:
        return mask
    labels, _ = label(np.pad(~mask.voxels, 1, constant_values=True), Connectivity.FACES)
    outer = labels[0, 0, 0]
    return crop((labels != outer)[1:-1, 1:-1, 1:-1], mask.start_kji)


def fraction_within(mask: Mask, organ: Mask, organ_surface: Surface | None, margin_mm: float, grid: Grid) -> float:
    """Fraction of a mask's voxels that lie in the organ or no further than a margin from its surface.

    This is the overlap with the organ dilated by a ball of that radius, without making the dilated mask.
    """
    if mask.empty or organ.empty or organ_surface is None:
        return 0.0
    outside = Mask(mask.start_kji, mask.voxels & ~organ.within(mask.start_kji, _shape(mask)))
    indices = outside.indices_ijk()
    inside = mask.count - len(indices)
    near = _near_box(grid.to_lps(indices.astype(np.float64)), organ_surface, margin_mm)
    if len(near):
        distances, _ = organ_surface.tree.query(near, distance_upper_bound=margin_mm)
        inside += int(np.count_nonzero(np.isfinite(distances)))
    return inside / mask.count


def _near_box(points: FloatArray, surface: Surface, margin_mm: float) -> FloatArray:
    low, high = surface.points_lps.min(axis=0) - margin_mm, surface.points_lps.max(axis=0) + margin_mm
    return np.asarray(points[((points >= low) & (points <= high)).all(axis=1)])
