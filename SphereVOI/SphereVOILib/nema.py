"""Image quality after NEMA NU 2: contrast recovery, background variability and the lung insert's residual.

    Q_H,j = 100 (C_H,j / C_B,j - 1) / (a_H / a_B - 1)      hot spheres
    Q_C,j = 100 (1 - C_C,j / C_B,j)                        cold spheres
    N_j   = 100 SD_j / C_B,j     SD_j over the means of the 60 background ROIs (K - 1)
    dC_lung = 100 C_lung / C_B,37    per slice; the mean over slices is reported

C_H,j is the mean in a two-dimensional circle of the sphere's inner diameter, in one slice common to all spheres; C_B,j the mean of sixty
circles of the same diameter: twelve places in each of five slices, the common one and those 10 and 20 mm away on both sides. Pixels at the
edge count by the fraction inside. These are not the three-dimensional sphere means of the other tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray

from SphereVOILib.background import Background
from SphereVOILib.circles import (
    LARGEST_MM,
    MARGINS_MM,
    SLICE_OFFSETS_MM,
    NemaTarget,
    body_outline,
    in_plane_all,
    place_circles,
    ring_middle,
)
from SphereVOILib.coverage import disc_coverage
from SphereVOILib.grid import Box, Grid

LUNG_ROI_MM = 30.0
LUNG_REACH_MM = 34.0  # around the ring's middle: the insert of 50 mm and its blur, and nothing of the spheres
LEAST_LACK = 0.2  # share of the activity that an insert takes from there; less is noise
MOST_RECOVERY_PERCENT = (
    130.0  # edges overshoot by up to a fifth with resolution modelling; beyond that the true contrast is another
)
FULL_BODY_SHARE = 0.95  # of the body's area in the common slice: nearer to the ends the slice does not count


@dataclass(frozen=True)
class NemaSphere:
    """One sphere: Q_H,j (or Q_C,j) and N_j in percent, C_H,j and C_B,j in image units."""

    label: str
    diameter_mm: float
    polarity: str
    contrast_recovery_percent: float | None
    background_variability_percent: float | None
    sphere_mean: float | None
    background_mean: float | None


@dataclass(frozen=True)
class LungSlice:
    """The lung insert in one slice."""

    k: int
    position_mm: float  # along the normal, from the common slice
    residual_percent: float


@dataclass(frozen=True)
class NemaResult:
    """All of it, with the places of the circles for the pictures; ``reason`` says why there is nothing."""

    reason: str = ""
    warnings: list[str] = field(default_factory=list)
    common_slice: int | None = None
    slices: list[int] = field(default_factory=list)
    places_lps_mm: list[FloatArray] = field(default_factory=list)  # in the common slice
    margin_mm: float | None = None
    spheres: list[NemaSphere] = field(default_factory=list)
    lung_center_lps_mm: FloatArray | None = None
    lung: list[LungSlice] = field(default_factory=list)

    @property
    def lung_residual_percent(self) -> float | None:
        """Mean over the slices."""
        return float(np.mean([s.residual_percent for s in self.lung])) if self.lung else None


def judge_nema(grid: Grid, targets: Sequence[NemaTarget], background: float, contrast: float) -> NemaResult:
    """Compute Q, N and the lung residual.

    Parameters
    ----------
    targets : found spheres.
    background : rough level of the body, to find the phantom's edge.
    contrast : a_H / a_B, true.
    """
    placed = place_circles(grid, targets, background)
    if isinstance(placed, str):
        return NemaResult(placed)
    common, slices, places, margin = placed.common_slice, placed.slices, placed.places_lps_mm, placed.margin_mm
    warnings = []
    if margin < MARGINS_MM[0]:
        warnings.append(
            f"NEMA: the background circles keep {margin:g} mm from edge and spheres instead of 15 mm: "
            "with 15 mm twelve circles would overlap"
        )
    result = NemaResult("", warnings, common, slices, places, margin)
    for target in targets:
        result.spheres.append(_sphere(grid, target, common, slices, places, contrast))
    highest = max((s.contrast_recovery_percent or 0.0 for s in result.spheres if s.polarity == "hot"), default=0.0)
    if highest > MOST_RECOVERY_PERCENT:
        warnings.append(
            f"NEMA: contrast recovery reaches {highest:.0f} %, more than any reconstruction's edges explain: "
            f"the true contrast is hardly {contrast:g}; give the one that was filled in (--contrast)"
        )
    return _with_lung(grid, result, targets, background)


def background_of_circles(grid: Grid, targets: Sequence[NemaTarget], level: float) -> Background | None:
    """Return mean and voxel SD in the sixty 37 mm circles, the phantom's background proper; None where they do not fit."""
    placed = place_circles(grid, targets, level)
    if isinstance(placed, str):
        return None
    inside = [_circle_values(grid, place, k) for k in placed.slices for place in placed.places_lps_mm]
    values = np.concatenate(inside)
    means = [float(v.mean()) for v in inside if v.size]
    return Background(float(np.mean(means)), float(values.std(ddof=1)), int(values.size))


def _circle_values(grid: Grid, place: FloatArray, k: int) -> FloatArray:
    around = grid.around(place + _to_slice(grid, place, k), LARGEST_MM / 2 + max(grid.spacing_mm))
    box = Box(grid, (*around.low[:2], k), (*around.high[:2], k + 1))
    values = box.values()
    return np.asarray(values[(disc_coverage(box, place, LARGEST_MM / 2) >= 0.5) & np.isfinite(values)])


def disc_mean(grid: Grid, center_lps: FloatArray, k: int, diameter_mm: float) -> float | None:
    """Return the mean in a circle of slice k, pixels at its edge by fraction; the circle is moved there along the slice normal."""
    around = grid.around(center_lps + _to_slice(grid, center_lps, k), diameter_mm / 2 + 2 * max(grid.spacing_mm))
    if around.is_empty or not around.low[2] <= k < around.high[2]:
        return None
    box = Box(grid, (*around.low[:2], k), (*around.high[:2], k + 1))
    fraction, values = disc_coverage(box, center_lps, diameter_mm / 2), box.values()
    good = np.isfinite(values)
    weight = float(fraction[good].sum())
    return float(np.sum(fraction[good] * values[good]) / weight) if weight > 0 else None


def _to_slice(grid: Grid, center_lps: FloatArray, k: int) -> FloatArray:
    height = float((grid.point_of([0.0, 0.0, float(k)]) - center_lps) @ grid.normal_lps)
    return np.asarray(height * grid.normal_lps)


def _sphere(
    grid: Grid, target: NemaTarget, common: int, slices: Sequence[int], places: Sequence[FloatArray], contrast: float
) -> NemaSphere:
    rois = [disc_mean(grid, place, k, target.diameter_mm) for k in slices for place in places]
    means = np.array([m for m in rois if m is not None])
    measured = disc_mean(grid, target.ball.center_lps_mm, common, target.diameter_mm)
    if measured is None or len(means) < 2 or means.mean() == 0:
        return NemaSphere(target.label, target.diameter_mm, _name(target), None, None, measured, None)
    background = float(means.mean())
    if target.cold:
        recovery: float | None = 100.0 * (1.0 - measured / background)
    else:
        recovery = 100.0 * (measured / background - 1.0) / (contrast - 1.0) if contrast > 1 else None
    variability = 100.0 * float(means.std(ddof=1)) / background
    return NemaSphere(target.label, target.diameter_mm, _name(target), recovery, variability, measured, background)


def _name(target: NemaTarget) -> str:
    return "cold" if target.cold else "hot"


def _with_lung(grid: Grid, result: NemaResult, targets: Sequence[NemaTarget], background: float) -> NemaResult:
    """Add the lung insert: its axis goes through the ring's middle along the slice normal."""
    middle = ring_middle(targets)
    if middle is None or result.common_slice is None:
        return result
    reference = [disc_mean(grid, place, k, LARGEST_MM) for k in result.slices for place in result.places_lps_mm]
    level = float(np.mean([r for r in reference if r is not None]))
    center = _insert(grid, middle, result.slices, level)
    area = np.count_nonzero(body_outline(grid, result.common_slice, background))
    lung = []
    for k in range(grid.size_ijk[2]):
        height = float((grid.point_of([0.0, 0.0, float(k)]) - middle) @ grid.normal_lps)
        if abs(height) > 100 or np.count_nonzero(body_outline(grid, k, background)) < FULL_BODY_SHARE * area:
            continue
        mean = disc_mean(grid, center, k, LUNG_ROI_MM)
        if mean is not None and level:
            lung.append(LungSlice(k, height, 100.0 * mean / level))
    return NemaResult(**{**result.__dict__, "lung_center_lps_mm": center, "lung": lung})


def _insert(grid: Grid, middle: FloatArray, slices: Sequence[int], level: float) -> FloatArray:
    """Move to the centre of what lacks activity around the ring's middle; the insert may stand a few millimetres off."""
    box = grid.around(middle, LUNG_REACH_MM + abs(SLICE_OFFSETS_MM[0]))
    box = Box(grid, (*box.low[:2], min(slices)), (*box.high[:2], max(slices) + 1))
    lack = np.clip(level - np.nan_to_num(box.values(), nan=level), 0.0, None) * (
        in_plane_all(box, middle) < LUNG_REACH_MM
    )
    if lack.sum() < LEAST_LACK * level * np.count_nonzero(in_plane_all(box, middle) < LUNG_REACH_MM):
        return middle  # no cold insert
    offsets = box.offsets_mm(middle)
    away = np.array([float(np.sum(lack * offsets[axis])) for axis in range(3)]) / float(lack.sum())
    return np.asarray(middle + away - (away @ grid.normal_lps) * grid.normal_lps)
