"""Numbers over a region: fractional voxels for the mean, whole voxels for what has no fractions.

The mean weighs each voxel with the fraction of it that lies in the region. Maximum, minimum, median, SD and variance (n - 1) are over the
voxels of which at least half lies inside; their count is the pixel count. The effective volume is the sum of the fractions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray
from numpy.typing import ArrayLike, NDArray

from SphereVOILib.coverage import chord_radius_mm, disc_coverage, slice_distances_mm, sphere_coverage
from SphereVOILib.grid import Box, Grid
from SphereVOILib.settings import Region

INSIDE = 0.5  # of a voxel
PEAK_RADIUS_MM = (3.0 / (4.0 * math.pi)) ** (1 / 3) * 10.0  # 6.2035 mm: a sphere of 1 ml
A50_SHARE = 0.5


@dataclass(frozen=True)
class Statistics:
    """Numbers over one region, in image units; None where the region holds no voxel."""

    mean: float | None
    max: float | None
    min: float | None
    variance: float | None
    sd: float | None
    median: float | None
    pixel_count: int
    effective_volume_ml: float


@dataclass(frozen=True)
class SliceStatistics:
    """The part of a region in one slice: index k, position along the normal from the sphere's centre, and the voxels' values."""

    k: int
    distance_mm: float
    statistics: Statistics
    values: FloatArray  # (n,), of the voxels that count
    indices_ij: NDArray[np.intp]  # (n, 2)


@dataclass(frozen=True)
class RegionMask:
    """A region as fractions of voxels in a box."""

    box: Box
    fraction: FloatArray  # (k, j, i)
    values: FloatArray  # (k, j, i)


def region_mask(grid: Grid, center_lps: ArrayLike, radius_mm: float, region: Region, whole: bool = False) -> RegionMask:
    """Return the voxels of a region around a centre.

    Parameters
    ----------
    region : sphere; cylinder (a disc of the sphere's diameter in every slice whose plane cuts it); chord (the circle of that cut).
    whole : take whole voxels whose centre lies inside the sphere, as older scripts did.
    """
    box = grid.around(center_lps, radius_mm + max(grid.spacing_mm))
    if whole:
        fraction = (box.distances_mm(center_lps) <= radius_mm + 1e-6).astype(float)
    elif region is Region.SPHERE:
        fraction = sphere_coverage(box, center_lps, radius_mm)
    else:
        fraction = _discs(box, center_lps, radius_mm, region)
    return RegionMask(box, fraction, box.values())


def _discs(box: Box, center_lps: ArrayLike, radius_mm: float, region: Region) -> FloatArray:
    fraction = np.zeros(box.shape)
    for n, distance in enumerate(slice_distances_mm(box, center_lps)):
        chord = chord_radius_mm(radius_mm, float(distance))
        if chord > 0:
            one = Box(box.grid, (*box.low[:2], box.low[2] + n), (*box.high[:2], box.low[2] + n + 1))
            fraction[n] = disc_coverage(one, center_lps, radius_mm if region is Region.CYLINDER else chord)[0]
    return fraction


def measure_region(mask: RegionMask) -> Statistics:
    """Return the numbers over a region; voxels without a value are left out."""
    return _statistics(mask.fraction, mask.values, mask.box.grid.voxel_ml)


def measure_slices(mask: RegionMask, center_lps: ArrayLike) -> list[SliceStatistics]:
    """Return the numbers per slice that the region touches."""
    found = []
    for n, distance in enumerate(slice_distances_mm(mask.box, center_lps)):
        fraction, values = mask.fraction[n], mask.values[n]
        if not np.any(fraction > 0):
            continue
        j, i = np.nonzero((fraction >= INSIDE) & np.isfinite(values))
        indices = np.stack([i + mask.box.low[0], j + mask.box.low[1]], axis=1)
        statistics = _statistics(fraction, values, mask.box.grid.voxel_ml)
        found.append(SliceStatistics(mask.box.low[2] + n, float(distance), statistics, values[j, i], indices))
    return found


def _statistics(fraction: FloatArray, values: FloatArray, voxel_ml: float) -> Statistics:
    good = np.isfinite(values)
    weight = float(fraction[good].sum())
    inside = values[good & (fraction >= INSIDE)]
    mean = float(np.sum(fraction[good] * values[good]) / weight) if weight > 0 else None
    variance = float(np.var(inside, ddof=1)) if inside.size > 1 else None
    return Statistics(
        mean=mean,
        max=float(inside.max()) if inside.size else None,
        min=float(inside.min()) if inside.size else None,
        variance=variance,
        sd=None if variance is None else math.sqrt(variance),
        median=float(np.median(inside)) if inside.size else None,
        pixel_count=int(inside.size),
        effective_volume_ml=weight * voxel_ml,
    )


def peak_mean(grid: Grid, center_lps: ArrayLike, radius_mm: float, *, cold: bool = False) -> float | None:
    """Return the highest mean (cold: lowest) of a 1 ml sphere whose centre is a voxel within the sphere: SUVpeak.

    Reference: EARL's definition, the 1 ml sphere of highest mean; position and fractions by correlation.
    """
    from scipy.signal import fftconvolve

    box = grid.around(center_lps, radius_mm + PEAK_RADIUS_MM + 2 * max(grid.spacing_mm))
    values = box.values()
    middle = grid.point_of(np.round(grid.index_of(center_lps)))
    reach = np.ceil(grid.reach(PEAK_RADIUS_MM) + 0.5).astype(int)
    index = np.round(grid.index_of(center_lps)).astype(int)
    low, high = index - reach, index + reach + 1
    part = Box(grid, (int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2])))
    mask = sphere_coverage(part, middle, PEAK_RADIUS_MM)
    good = np.isfinite(values)
    level = float(values[good].mean()) if good.any() else 0.0
    flipped = mask[::-1, ::-1, ::-1]
    total = fftconvolve(np.where(good, values - level, 0.0), flipped, mode="same")
    weight = fftconvolve(good.astype(float), flipped, mode="same")
    allowed = (box.distances_mm(center_lps) <= max(radius_mm, 0.6 * max(grid.spacing_mm))) & (weight > 0.9 * mask.sum())
    if not allowed.any():
        return None
    means = total[allowed] / weight[allowed] + level
    return float(means.min() if cold else means.max())


def a50_mean(grid: Grid, center_lps: ArrayLike, radius_mm: float, background: float) -> tuple[float, float] | None:
    """Return mean and volume (ml) of the background-adapted 50 % isocontour: voxels >= (max + background) / 2.

    The hottest voxel in the sphere is the start; the contour is what hangs together with it, up to one and a half radii from the centre.
    For cold spheres the sign is turned. Reference: EARL's A50 VOI.
    """
    from scipy.ndimage import label

    box = grid.around(center_lps, 1.5 * radius_mm + max(grid.spacing_mm))
    distance, values = box.distances_mm(center_lps), box.values()
    away = np.where(np.isfinite(values), values - background, 0.0)
    within = distance <= radius_mm
    if not within.any():
        return None
    if abs(float(np.min(away[within]))) > abs(float(np.max(away[within]))):
        away = -away
    start = int(np.argmax(np.where(within, away, -np.inf)))
    top = float(away.flat[start])
    if top <= 0:
        return None
    marked, _ = label((away >= A50_SHARE * top) & (distance <= 1.5 * radius_mm + max(grid.spacing_mm)))
    chosen = marked == marked.flat[start]
    return float(values[chosen].mean()), float(np.count_nonzero(chosen)) * grid.voxel_ml
