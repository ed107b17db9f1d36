"""First guess of a sphere's centre: slide its mask over the neighbourhood of the click.

The mask has fractional edges and is compared with the shell around the sphere, so that a slope of the background does not pull the
maximum away. The correlation runs by FFT in a small box, and a parabola through the extreme and its neighbours gives the fraction of a
voxel. `grid_search` is the search of older scripts: whole voxels, extreme mean, no fraction.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray
from numpy.typing import NDArray

from SphereVOILib.coverage import sphere_coverage
from SphereVOILib.grid import Box, Grid
from SphereVOILib.settings import Polarity

SHELL_MM = 6.0  # thickness of the shell whose mean stands for the background
SHELL_GAP_MM = 3.0  # between wall and shell: about half the resolution of a clinical scanner
_ENOUGH = 0.5  # a position counts if at least half of its mask lies on voxels that have a value


@dataclass(frozen=True)
class Peak:
    """The best position the search found.

    Attributes
    ----------
    center_lps_mm : with the fraction of a voxel where the method has it.
    contrast : mean of the sphere minus mean of its shell, in image units; its sign is the polarity.
    at_border : the extreme lies at the edge of the search region, so that the true one may lie outside.
    """

    center_lps_mm: FloatArray
    contrast: float
    at_border: bool


def find_peak(
    grid: Grid, click_lps: FloatArray, radius_mm: float, wall_mm: float, search_mm: float, polarity: Polarity
) -> Peak | None:
    """Return the position within ``search_mm`` of the click where the sphere stands out most; None without any value there."""
    inner, outer = radius_mm + wall_mm + SHELL_GAP_MM, radius_mm + wall_mm + SHELL_GAP_MM + SHELL_MM
    step = max(grid.spacing_mm)
    middle = grid.point_of(np.round(grid.index_of(click_lps)))
    sphere = _template(grid, middle, outer, lambda b: sphere_coverage(b, middle, radius_mm))
    shell = _template(grid, middle, outer, lambda b: _between(b.distances_mm(middle), inner, outer))
    searched = _searched(grid, click_lps, search_mm + step)
    box = grid.around(click_lps, search_mm + outer + step)
    if box.is_empty or searched.is_empty:
        return None
    contrast = _contrast_inside(searched, sphere, shell)
    if contrast is not None:
        return _extreme(searched, contrast, searched.distances_mm(click_lps), search_mm, polarity)
    contrast = _local_mean(box.values(), sphere) - _local_mean(box.values(), shell)
    return _extreme(box, contrast, box.distances_mm(click_lps), search_mm, polarity)


def _between(distance: FloatArray, inner: float, outer: float) -> FloatArray:
    return np.asarray((distance <= outer) & (distance >= inner), dtype=float)


def _searched(grid: Grid, click_lps: FloatArray, search_mm: float) -> Box:
    """Return the box of candidate positions, with a voxel more on each side for the parabola."""
    return grid.around(click_lps, search_mm + max(grid.spacing_mm))


def _contrast_inside(searched: Box, sphere: FloatArray, shell: FloatArray) -> FloatArray | None:
    """Compute sphere mean minus shell mean at all positions of a box in one correlation; None at edges and beside NaN."""
    from scipy.signal import fftconvolve

    reach = [(n - 1) // 2 for n in sphere.shape[::-1]]  # i, j, k
    low = [a - r for a, r in zip(searched.low, reach, strict=True)]
    high = [b + r for b, r in zip(searched.high, reach, strict=True)]
    size = searched.grid.size_ijk
    if min(low) < 0 or any(b > n for b, n in zip(high, size, strict=True)):
        return None
    values = Box(searched.grid, (low[0], low[1], low[2]), (high[0], high[1], high[2])).values()
    level = float(values.mean())
    if not np.isfinite(level) or not np.any(shell > 0):
        return None
    template = sphere / sphere.sum() - shell / shell.sum()
    return np.asarray(fftconvolve(values - level, template[::-1, ::-1, ::-1], mode="valid"))


def grid_search(
    grid: Grid, click_lps: FloatArray, radius_mm: float, search_mm: float, polarity: Polarity
) -> Peak | None:
    """Return the whole voxel whose sphere of whole voxels has the extreme mean, as older scripts did.

    A voxel belongs to the sphere if its centre lies within the radius. Positions are those within ``search_mm`` of the click along each
    axis of the grid. With polarity "auto" the maximum is sought.
    """
    box = grid.around(click_lps, math.sqrt(3) * search_mm + radius_mm + max(grid.spacing_mm))
    if box.is_empty:
        return None
    middle = grid.point_of(np.round(grid.index_of(click_lps)))
    mask = _template(
        grid, middle, radius_mm, lambda b: np.asarray(b.distances_mm(middle) <= radius_mm + 1e-6, dtype=float)
    )
    mean = _local_mean(box.values(), mask, enough=1.0 - 1e-6)
    offsets = _index_offsets(box, click_lps)
    spacing = np.array(grid.spacing_mm)[:, None, None, None]
    reach = np.max(np.abs(offsets) * spacing, axis=0)
    sign = -1.0 if polarity is Polarity.COLD else 1.0
    score = np.where((reach <= search_mm + 1e-6) & np.isfinite(mean), sign * mean, -np.inf)
    best = int(np.argmax(score))
    if not np.isfinite(score.flat[best]):
        return None
    rest = _shell_mean(grid, grid.point_of(box.index_of(best)), radius_mm)
    at_border = bool(reach.flat[best] > search_mm - max(grid.spacing_mm))
    return Peak(grid.point_of(box.index_of(best)), float(mean.flat[best]) - rest, at_border)


def _template(grid: Grid, middle: FloatArray, radius_mm: float, weigh: Callable[[Box], FloatArray]) -> FloatArray:
    """Sample a mask around a voxel, also where it reaches beyond the volume; shape (2a+1, 2b+1, 2c+1) as (k, j, i)."""
    reach = np.ceil(grid.reach(radius_mm) + 0.5).astype(int)
    index = np.round(grid.index_of(middle)).astype(int)
    low, high = index - reach, index + reach + 1
    return weigh(Box(grid, (int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2]))))


def _local_mean(values: FloatArray, mask: FloatArray, enough: float = _ENOUGH) -> FloatArray:
    """Return the mean under the mask, centred at each voxel; NaN where too little of the mask has a value."""
    from scipy.signal import fftconvolve

    flipped = mask[::-1, ::-1, ::-1]
    has_value = np.isfinite(values)
    level = (
        float(np.mean(values[has_value])) if has_value.any() else 0.0
    )  # taken off first: FFT rounding scales with size
    total = fftconvolve(np.where(has_value, values - level, 0.0), flipped, mode="full")
    weight = fftconvolve(has_value.astype(float), flipped, mode="full")
    start = [n // 2 for n in mask.shape]
    cut = tuple(slice(a, a + n) for a, n in zip(start, values.shape, strict=True))
    total, weight = total[cut], weight[cut]
    good = weight >= enough * mask.sum()
    mean = np.full(values.shape, np.nan)
    mean[good] = total[good] / weight[good] + level
    return mean


def _extreme(box: Box, contrast: FloatArray, distance: FloatArray, search_mm: float, polarity: Polarity) -> Peak | None:
    signed = {Polarity.HOT: contrast, Polarity.COLD: -contrast, Polarity.AUTO: np.abs(contrast)}[polarity]
    step = max(box.grid.spacing_mm)
    allowed = np.isfinite(contrast) & (distance <= max(search_mm, 0.5 * step))
    if not allowed.any():
        return None
    best = int(np.argmax(np.where(allowed, signed, -np.inf)))
    place = np.unravel_index(best, contrast.shape)
    shift, beyond = _parabola(signed, (int(place[0]), int(place[1]), int(place[2])), allowed)
    center = box.grid.point_of(box.index_of(best) + shift)
    return Peak(center, float(contrast.flat[best]), beyond)


def _parabola(values: FloatArray, place: tuple[int, int, int], allowed: NDArray[np.bool_]) -> tuple[FloatArray, bool]:
    """Return the fraction of a voxel to the top along (i, j, k), and whether a neighbour outside the region is higher."""
    shift, beyond = np.zeros(3), False
    for axis in range(3):
        sides = [tuple(p + d * (a == axis) for a, p in enumerate(place)) for d in (-1, 1)]
        if any(not 0 <= s[axis] < values.shape[axis] for s in sides):
            beyond = True
            continue
        low, high = (float(values[s]) for s in sides)
        top = float(values[place])
        beyond = beyond or any(values[s] > top and not allowed[s] for s in sides)
        bend = low - 2 * top + high
        if np.isfinite(bend) and bend < 0 and top >= max(low, high):
            shift[2 - axis] = 0.5 * (low - high) / bend
    return shift, beyond


def _index_offsets(box: Box, click_lps: FloatArray) -> FloatArray:
    index = np.round(box.grid.index_of(click_lps))
    k, j, i = np.meshgrid(*(np.arange(s.start, s.stop) for s in box.slices), indexing="ij")
    return np.stack([i - index[0], j - index[1], k - index[2]]).astype(float)


def _shell_mean(grid: Grid, center_lps: FloatArray, radius_mm: float) -> float:
    outer = radius_mm + SHELL_GAP_MM + SHELL_MM
    box = grid.around(center_lps, outer)
    distance, values = box.distances_mm(center_lps), box.values()
    chosen = (distance <= outer) & (distance >= radius_mm + SHELL_GAP_MM) & np.isfinite(values)
    return float(values[chosen].mean()) if chosen.any() else math.nan
