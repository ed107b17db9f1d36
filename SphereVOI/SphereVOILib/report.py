"""report.json: every number of the job under the names that scripts rely on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray, lps_to_ras
from DicomWorkbenchLib.report import Report

from SphereVOILib.earl import BANDS
from SphereVOILib.measure import Measurement, SphereResult
from SphereVOILib.model import FWHM_PER_SIGMA, blurred_sphere, mean_inside, mean_recovery
from SphereVOILib.settings import MeasureSettings
from SphereVOILib.suv import SuvScaling

UNKNOWN_UNIT = "unknown"


def unit_after(unit: str) -> str:
    """Return the unit to stand behind a number: " SUVbw", or nothing where it is not known."""
    return "" if unit == UNKNOWN_UNIT else f" {unit}"


def values_in(unit: str) -> str:
    """Say in words what the values are in."""
    return "values without a known unit" if unit == UNKNOWN_UNIT else f"values in {unit}"


@dataclass
class SphereReport(Report):
    """Report of the verb ``spheres``.

    Attributes
    ----------
    unit : of all values: "SUVbw", "Bq/ml", ..., "unknown" where the file does not say.
    spheres, background, nema, earl, suv, ring : see docs/spheres.md; of a batch, those of the first scan.
    scans : of a batch, one entry per scan with its name, folder and spheres found.
    """

    unit: str = ""
    spheres: list[dict[str, Any]] = field(default_factory=list)
    background: dict[str, Any] = field(default_factory=dict)
    nema: dict[str, Any] | None = None
    earl: dict[str, Any] | None = None
    suv: dict[str, Any] = field(default_factory=dict)
    ring: dict[str, Any] | None = None
    scans: list[dict[str, Any]] = field(default_factory=list)


def fill(report: SphereReport, measurement: Measurement, scaling: SuvScaling, settings: MeasureSettings) -> None:
    """Put a measurement into a report."""
    report.unit = scaling.unit
    report.spheres = [sphere_entry(s, measurement, settings) for s in measurement.spheres]
    report.background = {"mean": measurement.background.mean, "sd": measurement.background.sd}
    report.nema = nema_entry(measurement)
    report.earl = earl_entry(measurement, settings)
    report.suv = {
        "factor": scaling.factor,
        "tags": [{"tag": t.tag, "name": t.name, "value": t.value} for t in scaling.tags],
        "reason": scaling.reason,
        "notes": list(scaling.notes),
    }
    if len(scaling.factors) > 1:
        report.suv["factors_per_slice"] = scaling.factors.tolist()
    if measurement.ring is not None:
        ring = measurement.ring
        report.ring = {
            "radius_mm": ring.radius_mm,
            "center_lps_mm": ring.center_lps_mm.tolist(),
            "rms_mm": ring.rms_mm,
            "out_of_plane_mm": ring.out_of_plane_mm.tolist(),
        }


def sphere_entry(sphere: SphereResult, measurement: Measurement, settings: MeasureSettings) -> dict[str, Any]:
    """Return one sphere's entry; what is not known is None."""
    refined, statistics, fit = sphere.refined, sphere.statistics, sphere.refined.fit
    center = refined.center_lps_mm
    known = fit if refined.found else None
    return {
        "label": sphere.label,
        "diameter_mm": sphere.diameter_mm,
        "click_lps_mm": None if refined.target.lps_mm is None else list(refined.target.lps_mm),
        "center_lps_mm": _list(center),
        "center_ras_mm": None if center is None else lps_to_ras(center).tolist(),
        "center_kji": None if center is None else measurement.grid.index_of(center)[::-1].tolist(),
        "found": refined.found,
        "reason": refined.reason,
        "polarity": str(refined.polarity),
        "sigma_mm": None if known is None else known.sigma_mm.tolist(),
        "fwhm_mm": None if known is None else known.fwhm_mm,
        **{name: getattr(statistics, name, None) for name in STATISTICS},
        "a50_mean": sphere.a50_mean,
        "suv_peak": sphere.suv_peak,
        "details": details(sphere, measurement, settings),
    }


STATISTICS = ("mean", "max", "min", "variance", "sd", "median", "pixel_count", "effective_volume_ml")


def details(sphere: SphereResult, measurement: Measurement, settings: MeasureSettings) -> dict[str, Any]:
    """Return what goes beyond the agreed fields: the fit, the way from the click, recovery of the three-dimensional mean."""
    fit = sphere.refined.fit
    found: dict[str, Any] = {"moved_mm": sphere.refined.moved_mm, "a50_volume_ml": sphere.a50_volume_ml}
    found["contrast_recovery_3d_percent"] = contrast_recovery_3d(sphere, measurement, settings)
    if fit is None or not sphere.refined.found:
        return found
    radius, wall = sphere.diameter_mm / 2, settings.refine.psf_wall_mm
    inner, shadow = mean_recovery(radius, fit.fwhm_mm), mean_inside(radius, radius + wall, fit.fwhm_mm)
    return {
        **found,
        "fit_signal": fit.signal,
        "fit_background": fit.background,
        "fit_mean": fit.signal * inner + fit.background * (1 - shadow),
        "fit_recovery_coefficient": inner,
        "fwhm_sigma_mm": float(np.sqrt(max(fit.covariance[3, 3], 0.0))),
        "significance": min(fit.significance, 1e9),
        "noise_sd": fit.noise_sd,
        "noise_correlation_ijk": fit.neighbours.tolist(),
        "explained_variance": fit.explained,
        "profile": profile(sphere, measurement, wall),
    }


PROFILE_STEP_MM = 2.0
PROFILE_BEYOND_MM = 16.0


def profile(sphere: SphereResult, measurement: Measurement, wall_mm: float) -> dict[str, list[float]]:
    """Return the mean voxel value over the distance from the centre, and the fitted curve at the same distances (mm)."""
    fit, radius, grid = sphere.refined.fit, sphere.diameter_mm / 2, measurement.grid
    if fit is None:
        return {}
    box = grid.around(fit.center_lps_mm, radius + PROFILE_BEYOND_MM)
    distance, values = box.distances_mm(fit.center_lps_mm).ravel(), box.values().ravel()
    edges = np.arange(0.0, radius + PROFILE_BEYOND_MM + 0.1, max(PROFILE_STEP_MM, max(grid.spacing_mm) / 2))
    place = np.where(np.isfinite(values), np.digitize(distance, edges), 0)
    shells = [n for n in range(1, len(edges)) if np.any(place == n)]
    r = np.array([distance[place == n].mean() for n in shells])
    sigma = fit.fwhm_mm / FWHM_PER_SIGMA
    inner, outer = blurred_sphere(r, radius, sigma).value, blurred_sphere(r, radius + wall_mm, sigma).value
    return {
        "distance_mm": r.tolist(),
        "mean": [float(values[place == n].mean()) for n in shells],
        "fit": (fit.signal * inner + fit.background * (1 - outer)).tolist(),
    }


def contrast_recovery_3d(sphere: SphereResult, measurement: Measurement, settings: MeasureSettings) -> float | None:
    """Return 100 (mean / B - 1) / (contrast - 1) of the three-dimensional sphere mean; for cold spheres 100 (1 - mean / B)."""
    background, statistics = measurement.background.mean, sphere.statistics
    if statistics is None or statistics.mean is None or not background or settings.contrast == 1:
        return None
    ratio = statistics.mean / background
    if sphere.refined.polarity.value == "cold":
        return 100.0 * (1.0 - ratio)
    return 100.0 * (ratio - 1.0) / (settings.contrast - 1.0) if settings.contrast > 1 else None


def nema_entry(measurement: Measurement) -> dict[str, Any] | None:
    """Return NEMA's part, or None if it was not asked for."""
    nema = measurement.nema
    if nema is None:
        return None
    fields = ("label", "diameter_mm", "polarity", "contrast_recovery_percent", "background_variability_percent")
    spheres = [{name: getattr(s, name) for name in (*fields, "background_mean", "sphere_mean")} for s in nema.spheres]
    return {
        "spheres": spheres,
        "lung_residual_percent": nema.lung_residual_percent,
        "lung_slices": [s.__dict__ for s in nema.lung],
        "common_slice_k": nema.common_slice,
        "slices_k": nema.slices,
        "margin_mm": nema.margin_mm,
        "roi_centers_lps_mm": [place.tolist() for place in nema.places_lps_mm],
        "reason": nema.reason,
    }


def earl_entry(measurement: Measurement, settings: MeasureSettings) -> dict[str, Any] | None:
    """Return EARL's part, or None if it was not asked for."""
    if measurement.earl is None or settings.earl is None:
        return None
    bands = BANDS[settings.earl]
    rows: dict[str, list[float | None]] = {}
    for name, band in (("mean", bands.mean), ("max", bands.max)):
        for n, side in enumerate(("lower", "upper")):
            limits = [band.get(s.diameter_mm) for s in measurement.earl]
            rows[f"{name} band {side}"] = [None if limit is None else limit[n] for limit in limits]
    return {"version": str(settings.earl), "spheres": [dict(s.__dict__) for s in measurement.earl], "bands": rows}


def _list(point: FloatArray | None) -> list[float] | None:
    return None if point is None else [float(v) for v in point]
