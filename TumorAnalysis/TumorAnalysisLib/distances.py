"""Distances between surfaces: lesion to liver capsule, to the nearest lesion, to vessels.

A surface is a set of points: the contours of the slices, and between two slices the height at which the one contour turns into the other
(shape-based interpolation: Raya and Udupa, IEEE Trans Med Imaging 9, 1990). So a distance is right to half a voxel diagonal on thick
slices too. Points, not distance maps: a map of the liver costs seconds and hundreds of megabytes, the points a fraction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from TumorAnalysisLib.components import Connectivity, label
from TumorAnalysisLib.grid import BoolArray, FloatArray, Grid
from TumorAnalysisLib.masks import Mask, crop

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
    points = boundary_points_lps(mask, grid)
    return Surface(points, cKDTree(points, balanced_tree=False, compact_nodes=False))


def boundary_points_lps(mask: Mask, grid: Grid) -> FloatArray:
    """Return (n, 3) points in LPS mm on the surface of a mask."""
    padded = np.pad(mask.voxels, 1)
    contours = _contours(padded)
    trees = [cKDTree(points @ grid.plane_mm) if len(points) else None for points in contours]
    areas = np.count_nonzero(padded, axis=(1, 2)).astype(np.float64)
    found = [np.column_stack([points, np.full(len(points), float(k))]) for k, points in enumerate(contours)]
    for step in (1, -1):
        for k in range(1, len(padded) - 1):
            j, i = np.nonzero(padded[k] & ~padded[k + step])
            if i.size:
                points = np.stack([i, j], axis=1).astype(np.float64)
                tip = _tip_slices(areas, k, step)
                height = _heights(points @ grid.plane_mm, trees[k], trees[k + step], tip)
                found.append(np.column_stack([points, k + step * height]))
    ijk = np.concatenate(found) + np.array(mask.start_kji[::-1]) - 1
    return grid.to_lps(ijk)


def _contours(padded: BoolArray) -> list[FloatArray]:
    """Return the points (i, j) halfway between inside and outside pixels, slice by slice."""
    parts = []
    for axis, offset in ((1, (0.0, 0.5)), (2, (0.5, 0.0))):
        lower = padded[:, :-1] if axis == 1 else padded[:, :, :-1]
        upper = padded[:, 1:] if axis == 1 else padded[:, :, 1:]
        k, j, i = np.nonzero(lower != upper)
        parts.append(np.column_stack([k, i + offset[0], j + offset[1]]))
    points = np.concatenate(parts)
    points = points[np.argsort(points[:, 0], kind="stable")]
    ends = np.searchsorted(points[:, 0], np.arange(1, len(padded)))
    return [part[:, 1:] for part in np.split(points, ends)]


def _heights(points: FloatArray, own: cKDTree | None, other: cKDTree | None, tip: float) -> FloatArray:
    """Return how many slices (0 to 1) above its own slice the surface lies over pixels that the next slice does not have."""
    if own is None:
        return np.zeros(len(points))
    inwards = own.query(points)[0]
    if other is None:
        # Nothing follows: a cap, taken for a paraboloid over the contour.
        from_axis = 1 - inwards / np.max(inwards)
        return np.asarray(tip * (1 - from_axis**2))
    return np.asarray(inwards / (inwards + other.query(points)[0]))


def _tip_slices(areas: FloatArray, k: int, step: int) -> float:
    # The sections of a paraboloid shrink evenly: where they come to nothing lies its tip, before the next, empty slice.
    before = areas[k - step] if 0 <= k - step < len(areas) else 0.0
    return float(np.clip(areas[k] / (before - areas[k]), 0.0, 1.0)) if before > areas[k] else 0.5


def touch(a: Mask, b: Mask) -> bool:
    """True if a voxel of one mask shares a face with one of the other, or is one."""
    start, shape = _rim(a)
    return bool((_grown(b.within(start, shape)) & a.within(start, shape)).any())


def reaches_surface(lesion: Mask, organ: Mask) -> bool:
    """True if a voxel of the lesion lies outside of the organ or shares a face with a voxel outside of it."""
    start, shape = _rim(lesion)
    return bool((_grown(~organ.within(start, shape)) & lesion.within(start, shape)).any())


def _rim(mask: Mask) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    (k, j, i), (nk, nj, ni) = mask.start_kji, mask.voxels.shape
    return (k - 1, j - 1, i - 1), (nk + 2, nj + 2, ni + 2)


def _grown(voxels: BoolArray) -> BoolArray:
    out = voxels.copy()
    for axis in range(3):
        low = tuple(slice(0, -1) if a == axis else slice(None) for a in range(3))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        out[low] |= voxels[high]
        out[high] |= voxels[low]
    return out


def gap_mm(a: Surface, b: Surface) -> float:
    """Smallest distance between two surfaces, mm; whether their masks touch is asked by `touch`."""
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
