"""From a rough click to a centre that can be trusted, or to a reason why there is none.

The click is moved to the best position of the sphere's mask, the blurred sphere is fitted from there, and then the result has to be
plausible: it stayed near, its width is a resolution, its contrast is not noise. What fails is "not found" and never a number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray

from SphereVOILib.correlate import Peak, find_peak, grid_search
from SphereVOILib.fit import SphereFit, fit_sphere
from SphereVOILib.grid import Grid
from SphereVOILib.settings import Method, Polarity, RefineSettings, SphereTarget

AIR_SHARE = 0.03  # of the volume's high level; scatter and noise outside a phantom stay below it
HIGH_PERCENTILE = 99.5  # of the voxels: the phantom, not a hot spot
SAMPLES_FOR_LEVEL = 200_000
LEAST_INSIDE = 0.98  # of a sphere's volume that must lie in the volume and have values
MOST_UNCERTAIN = 1.0 / 4.0  # of the radius: a centre known no better than this is not found
LEAST_FREE_SIGNIFICANCE = 3.0  # of the contrast with place and width free as well
LEAST_EXPLAINED = 0.35  # of the variance, where what is left over is structure and not noise
SHARP_EXPLAINED = 0.8  # a model without blur that explains this much is an image without blur
STRUCTURE = 0.6  # correlation of neighbouring residuals above which they are structure or smoothed noise


@dataclass(frozen=True)
class Refined:
    """What became of one target.

    Attributes
    ----------
    target : as asked for, with the click.
    found : whether there is a centre.
    reason : why not; empty if found.
    polarity : hot or cold; "auto" if not found before it was decided.
    center_lps_mm : (3,), or None if not found.
    fit : the fit behind it; None with method "grid" or where it did not come so far.
    """

    target: SphereTarget
    found: bool
    reason: str = ""
    polarity: Polarity = Polarity.AUTO
    center_lps_mm: FloatArray | None = None
    fit: SphereFit | None = None

    @property
    def moved_mm(self) -> float | None:
        """Distance from the click to the centre."""
        if self.center_lps_mm is None or self.target.lps_mm is None:
            return None
        return float(np.linalg.norm(self.center_lps_mm - np.array(self.target.lps_mm)))


def refine(grid: Grid, target: SphereTarget, settings: RefineSettings, level: float | None = None) -> Refined:
    """Find the sphere near its click.

    Parameters
    ----------
    grid : the volume; needs at least two slices.
    target : with a click.
    level : `high_level` of the volume, to tell air; computed if not given.
    """
    if target.lps_mm is None:
        return Refined(target, False, "no click was placed for this sphere")
    click = np.array(target.lps_mm)
    if reason := _unusable(grid, target, click):
        return Refined(target, False, reason)
    found = (_by_grid if settings.method is Method.GRID else _by_fit)(grid, target, click, settings)
    if not found.found and _is_air(grid, target, click, settings, level):
        return replace(found, reason="the click lies in air: there is no activity around it")
    return found


def high_level(grid: Grid) -> float:
    """Return the size of the values in the phantom: a high percentile of a sample of the voxels."""
    step = max(1, round((grid.array.size / SAMPLES_FOR_LEVEL) ** (1 / 3)))
    sample = np.abs(np.asarray(grid.array[::step, ::step, ::step], dtype=float))
    sample = sample[np.isfinite(sample)]
    return float(np.percentile(sample, HIGH_PERCENTILE)) if sample.size else 0.0


def _unusable(grid: Grid, target: SphereTarget, click: FloatArray) -> str:
    if not grid.contains(click):
        return f"the click at {_mm(click)} lies outside the volume; is it in LPS, and of this scan?"
    extent = [n * s for n, s in zip(grid.size_ijk, grid.spacing_mm, strict=True)]
    if target.diameter_mm > min(extent):
        size = " x ".join(f"{e:.0f}" for e in extent)
        return f"the sphere of {target.diameter_mm:g} mm is larger than the volume ({size} mm)"
    if not np.isfinite(grid.around(click, target.radius_mm + max(grid.spacing_mm)).values()).any():
        return "there are no values around the click, only NaN"
    return ""


def _is_air(grid: Grid, target: SphereTarget, click: FloatArray, settings: RefineSettings, level: float | None) -> bool:
    box = grid.around(click, settings.search_mm + target.radius_mm)
    values = box.values()[box.distances_mm(click) <= settings.search_mm + target.radius_mm]
    values = values[np.isfinite(values)]
    level = high_level(grid) if level is None else level
    return bool(values.size and abs(float(values.mean())) <= AIR_SHARE * level)


def _by_grid(grid: Grid, target: SphereTarget, click: FloatArray, settings: RefineSettings) -> Refined:
    peak = grid_search(grid, click, target.radius_mm, settings.search_mm, target.polarity)
    if peak is None:
        return Refined(target, False, _CUT_OFF)
    sign = Polarity.HOT if peak.contrast > 0 else Polarity.COLD
    wanted = Polarity.COLD if target.polarity is Polarity.COLD else Polarity.HOT
    if sign is not wanted:
        return Refined(
            target, False, f"the extreme mean is no {wanted} sphere: its surroundings are more extreme", sign
        )
    if peak.at_border:
        return Refined(target, False, _border(settings), sign)
    return Refined(target, True, "", sign, peak.center_lps_mm)


def _by_fit(grid: Grid, target: SphereTarget, click: FloatArray, settings: RefineSettings) -> Refined:
    wall = settings.psf_wall_mm
    peak = find_peak(grid, click, target.radius_mm, wall, settings.search_mm, target.polarity)
    if peak is None:
        return Refined(target, False, _CUT_OFF)
    fit = fit_sphere(grid, peak.center_lps_mm, target.radius_mm, wall, settings.fit_margin_mm)
    if fit is None:
        return Refined(target, False, "the fit left the volume, or too few voxels have values")
    sign = Polarity.HOT if fit.contrast > 0 else Polarity.COLD
    reason = _implausible(grid, target, click, peak, fit, settings)
    return Refined(target, not reason, reason, sign, None if reason else fit.center_lps_mm, fit)


def _implausible(
    grid: Grid, target: SphereTarget, click: FloatArray, peak: Peak, fit: SphereFit, settings: RefineSettings
) -> str:
    """Say why a fit cannot be trusted, the most telling reason first; empty if it can."""
    error = fit.contrast_error
    strength = 0.0 if fit.contrast == 0 else fit.significance
    free = abs(fit.contrast) / error if error > 0 else math.inf
    if not (strength >= settings.significance and free >= LEAST_FREE_SIGNIFICANCE):
        return (
            f"contrast below noise: it is {min(strength, free):.1f} standard errors from zero, "
            f"{settings.significance if free >= LEAST_FREE_SIGNIFICANCE else LEAST_FREE_SIGNIFICANCE:g} are asked for"
        )
    wrong = {Polarity.HOT: fit.contrast < 0, Polarity.COLD: fit.contrast > 0, Polarity.AUTO: False}[target.polarity]
    if wrong:
        return f"the sphere was said to be {target.polarity}, the image shows the opposite there"
    if float(np.linalg.norm(fit.center_lps_mm - peak.center_lps_mm)) > target.radius_mm:
        return "the fit ran away by more than the sphere's radius"
    moved, slack = float(np.linalg.norm(fit.center_lps_mm - click)), 0.5 * max(grid.spacing_mm)
    if moved > settings.search_mm + slack:
        return f"the fit moved {moved:.1f} mm from the click; {_border(settings)}"
    sharp = fit.fwhm_mm < max(grid.spacing_mm) and fit.explained > SHARP_EXPLAINED  # a phantom drawn without blur
    if (fit.at_bound and not sharp) or not (fit.settled or sharp):
        return f"the fitted width ran into its limit ({fit.fwhm_mm:.1f} mm FWHM): this is not a blurred sphere"
    uncertain = float(np.linalg.norm(fit.sigma_mm))
    if not uncertain <= MOST_UNCERTAIN * target.radius_mm:
        return f"the centre is uncertain by {uncertain:.1f} mm; the image is too noisy for this sphere"
    return _shape(grid, target, fit)


def _shape(grid: Grid, target: SphereTarget, fit: SphereFit) -> str:
    if fit.explained < LEAST_EXPLAINED and float(np.max(fit.neighbours)) > STRUCTURE:
        return f"the image around it is not a sphere of {target.diameter_mm:g} mm in a uniform background"
    from SphereVOILib.coverage import sphere_coverage

    box = grid.around(fit.center_lps_mm, target.radius_mm + max(grid.spacing_mm))
    inside = float(np.sum(sphere_coverage(box, fit.center_lps_mm, target.radius_mm) * np.isfinite(box.values())))
    if inside * grid.voxel_ml < LEAST_INSIDE * math.pi * target.diameter_mm**3 / 6000:
        return _CUT_OFF
    return ""


_CUT_OFF = "the sphere is cut off by the edge of the volume, or its voxels have no values"


def _border(settings: RefineSettings) -> str:
    return f"no sphere within {settings.search_mm:g} mm of it: click nearer, or allow a longer search"


def _mm(point: FloatArray) -> str:
    return "(" + ", ".join(f"{v:.1f}" for v in point) + ") mm"
