"""Size and shape of a lesion in three dimensions: largest caliper distance, surface area, sphericity."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from TumorAnalysisLib.contour import LEVEL, crossing_points, hull_points
from TumorAnalysisLib.discretisation import MARGIN, smoothed
from TumorAnalysisLib.grid import BoolArray, FloatArray, Grid
from TumorAnalysisLib.masks import Mask

# The 13 directions between a voxel and its 26 neighbours, (i, j, k), one of each opposite pair.
DIRECTIONS = np.array(
    [(i, j, k) for k in (-1, 0, 1) for j in (-1, 0, 1) for i in (-1, 0, 1) if (k, j, i) > (0, 0, 0)], dtype=np.int64
)
APEX_SLICES = 3  # a section area that falls like a parabola needs three slices; every ellipsoid's does exactly
HULL_LIMIT = 3000  # corners of the hull compared pairwise; a finer hull of a very large lesion is thinned out


def feret_mm(mask: Mask, grid: Grid) -> float:
    """Measure the largest distance between two points of the lesion's surface, in any direction.

    The surface is the sub-pixel contour of each slice and, beyond the first and last slice, the tip to which the section areas
    fall: without it slices of 2.5 mm make a sphere of 10 mm up to 17 % too long. Only corners of the convex hull are compared.
    """
    corners = hull_points(surface_points_lps(mask, grid))
    if len(corners) > HULL_LIMIT:
        corners = corners[:: len(corners) // HULL_LIMIT + 1]
    from scipy.spatial.distance import pdist

    return float(pdist(corners).max())


def surface_points_lps(mask: Mask, grid: Grid) -> FloatArray:
    """Return (n, 3) points in LPS mm on the surface: contours of the slices and the tips at both ends."""
    padded = np.pad(mask.voxels, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))
    start_ij = np.array([mask.start_kji[2] - MARGIN, mask.start_kji[1] - MARGIN], dtype=np.float64)
    fields = smoothed(padded)
    points = []
    for k in np.flatnonzero(padded.any(axis=(1, 2))):
        # A part of few pixels vanishes under the kernel: there the plain contour has to do.
        field = fields[k] if (fields[k] >= LEVEL).any() else padded[k]
        ij = crossing_points(field, np.eye(2)) + start_ij
        points.append(np.column_stack([ij, np.full(len(ij), float(mask.start_kji[0] + k))]))
    points += [_tip(mask, from_top=False), _tip(mask, from_top=True)]
    return grid.to_lps(np.concatenate(points))


def _tip(mask: Mask, from_top: bool) -> FloatArray:
    """Extrapolate area and centre of the last sections to where the area is zero; at most one slice further."""
    slices = mask.voxels[::-1] if from_top else mask.voxels
    sections = [section for section in slices[:APEX_SLICES] if section.any()]
    centres = np.array([np.argwhere(section).mean(axis=0)[::-1] for section in sections])
    beyond = _slices_beyond([float(np.count_nonzero(section)) for section in sections])
    drift = centres[0] - centres[1] if len(centres) > 1 else np.zeros(2)
    end_k = mask.stop_kji[0] - 1 if from_top else mask.start_kji[0]
    i, j = centres[0] + beyond * drift + np.array([mask.start_kji[2], mask.start_kji[1]])
    return np.array([[i, j, end_k + (beyond if from_top else -beyond)]])


def _slices_beyond(areas: list[float]) -> float:
    # areas[0] is the last section; x counts slices outwards from it. The next slice is empty, so the tip lies within (0, 1).
    if len(areas) < 2 or areas[0] >= areas[1]:
        return 0.5
    if len(areas) == 2:
        return float(np.clip(areas[0] / (areas[1] - areas[0]), 0.0, 1.0))
    bend = (areas[0] - 2 * areas[1] + areas[2]) / 2
    slope = (3 * areas[0] - 4 * areas[1] + areas[2]) / 2
    roots = np.roots([bend, slope, areas[0]])
    ahead = [float(root.real) for root in roots if abs(root.imag) < 1e-9 and root.real > 0]
    return min([*ahead, 1.0])


def surface_area_mm2(voxels: BoolArray, grid: Grid) -> float:
    """Estimate the surface area from counts of boundary crossings along 13 directions (Cauchy-Crofton formula).

    Each direction counts for the part of the sphere of directions it is nearest to, computed in millimetres, which is what makes
    the estimate right for slices thicker than pixels and for oblique grids (Lehmann and Legland, Efficient N-dimensional surface
    estimation using Crofton formula and run-length encoding, Insight Journal 2012).
    """
    padded = np.pad(voxels, 1)
    weights = _direction_weights(tuple(grid.steps_mm.ravel()))
    lengths = np.linalg.norm(DIRECTIONS @ grid.steps_mm, axis=1)
    crossings = [np.count_nonzero(np.not_equal(*_shifted(padded, direction))) for direction in DIRECTIONS]
    return float(2 * grid.voxel_volume_mm3 * np.sum(weights * np.array(crossings) / lengths))


def _shifted(padded: BoolArray, direction_ijk: FloatArray) -> tuple[BoolArray, BoolArray]:
    here, there = [], []
    for step in direction_ijk[::-1]:
        here.append(slice(max(0, -step), None if step <= 0 else -step))
        there.append(slice(max(0, step), None if step >= 0 else step))
    return padded[tuple(here)], padded[tuple(there)]


@lru_cache(maxsize=16)
def _direction_weights(steps_mm: tuple[float, ...]) -> FloatArray:
    from scipy.spatial import SphericalVoronoi

    directions = DIRECTIONS @ np.array(steps_mm).reshape(3, 3)
    units = directions / np.linalg.norm(directions, axis=1)[:, None]
    areas = SphericalVoronoi(np.concatenate([units, -units]), radius=1.0).calculate_areas()
    weights = areas[: len(units)] + areas[len(units) :]
    return np.asarray(weights / weights.sum())


def sphericity(volume_mm3: float, area_mm2: float) -> float:
    """Area of the sphere of equal volume over the lesion's area (Wadell, J. Geology 43, 1935): 1 for a sphere, less for all else.

    Lesions of a few voxels can come out a little above 1 by discretisation and are reported as 1.
    """
    if area_mm2 <= 0:
        return float("nan")
    return float(min(np.pi ** (1 / 3) * (6 * volume_mm3) ** (2 / 3) / area_mm2, 1.0))
