"""Find, measure and judge the spheres of one volume.

`measure` is the whole workflow on an array: targets in, numbers out; no file is read or written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from DicomWorkbenchLib.errors import GeometryError, InputError
from DicomWorkbenchLib.geometry import FloatArray
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress

from SphereVOILib.background import Background, Ball, background_around
from SphereVOILib.circles import NemaTarget
from SphereVOILib.compare import judge_together, overlapping
from SphereVOILib.detect import iec_candidates
from SphereVOILib.earl import BANDS, RATIO_HIGH, RATIO_LOW, EarlSphere, judge
from SphereVOILib.grid import Grid
from SphereVOILib.nema import NemaResult, background_of_circles, judge_nema
from SphereVOILib.refine import Refined, high_level, refine
from SphereVOILib.ring import Ring, fit_ring
from SphereVOILib.settings import (
    IEC_DIAMETERS_MM,
    MeasureSettings,
    Method,
    Polarity,
    RefineSettings,
    SphereTarget,
)
from SphereVOILib.statistics import (
    RegionMask,
    SliceStatistics,
    Statistics,
    a50_mean,
    measure_region,
    measure_slices,
    peak_mean,
    region_mask,
)

LEAST_OF_RING = 4  # spheres of six that make a ring sure; three can always be joined by a hexagon


class VolumeLike(Protocol):
    """Anything with voxels and their place: `DicomWorkbenchLib.volume.Volume` or `Grid`."""

    @property
    def array(self) -> Any:
        """Voxel values (k, j, i)."""

    @property
    def matrix_lps(self) -> FloatArray:
        """Index (i, j, k, 1) to LPS mm, (4, 4)."""


@dataclass(frozen=True)
class SphereResult:
    """One sphere: how it was found and what was measured; numbers are None if it was not found."""

    refined: Refined
    statistics: Statistics | None = None
    slices: list[SliceStatistics] = field(default_factory=list)
    mask: RegionMask | None = None
    suv_peak: float | None = None
    a50_mean: float | None = None
    a50_volume_ml: float | None = None

    @property
    def label(self) -> str:
        """The target's label."""
        return self.refined.target.label

    @property
    def diameter_mm(self) -> float:
        """The target's diameter."""
        return self.refined.target.diameter_mm


@dataclass(frozen=True)
class Measurement:
    """Everything about one volume, in the units its values had."""

    grid: Grid
    spheres: list[SphereResult]
    background: Background
    nema: NemaResult | None = None
    earl: list[EarlSphere] | None = None
    ring: Ring | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def found(self) -> list[SphereResult]:
        """The spheres that were found."""
        return [s for s in self.spheres if s.refined.found]


def measure(
    volume: VolumeLike,
    targets: Sequence[SphereTarget],
    settings: MeasureSettings | None = None,
    *,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
) -> Measurement:
    """Find, measure and judge spheres.

    Parameters
    ----------
    volume : voxels (k, j, i) and their matrix; the numbers come out in its units.
    targets : spheres with clicks, or without them where ``settings.auto`` is set.
    settings : how; the defaults if None.

    Raises
    ------
    GeometryError : the volume has too few slices.
    InputError : the IEC phantom was to be found and is not there.
    Cancelled : the token was turned.
    """
    settings = settings or MeasureSettings()
    grid = Grid(np.asarray(volume.array), np.asarray(volume.matrix_lps, dtype=float))
    require_volume(grid)
    level = high_level(grid)
    if settings.auto:
        progress(0, len(targets), "finding the phantom")
        refined = _find_phantom(grid, targets, settings.refine, level, cancel)
        warnings: list[str] = []
    else:
        warnings = overlapping(targets, settings.refine.search_mm)
        refined = _refine_all(grid, targets, settings.refine, level, progress, cancel)
    refined = judge_together(grid, refined, settings, level, warnings)
    progress(len(targets), len(targets), "measuring")
    return _measured(grid, refined, settings, warnings, cancel)


def _refine_all(
    grid: Grid,
    targets: Sequence[SphereTarget],
    settings: RefineSettings,
    level: float,
    progress: Progress,
    cancel: CancelToken,
) -> list[Refined]:
    refined = []
    for number, target in enumerate(targets):
        cancel.check()
        progress(number, len(targets), f"finding {target.label}")
        refined.append(refine(grid, target, settings, level))
    return refined


def _find_phantom(
    grid: Grid, targets: Sequence[SphereTarget], settings: RefineSettings, level: float, cancel: CancelToken
) -> list[Refined]:
    """Refine the guesses of automatic detection and keep the one in which most spheres are real."""
    best: list[Refined] = []
    for guess in iec_candidates(grid, targets, cancel):
        refined = _refine_all(grid, guess, settings, level, no_progress, cancel)
        if sum(r.found for r in refined) > sum(r.found for r in best):
            best = refined
        if all(r.found for r in refined):
            break
    if sum(r.found for r in best) < LEAST_OF_RING:
        raise InputError(
            "the ring of six spheres of the IEC body phantom was not found in this volume; "
            "is it the right scan? Otherwise place the spheres by hand"
        )
    return best


def require_volume(grid: Grid) -> None:
    """Raise `GeometryError` for a volume in which no sphere has a centre."""
    few = min(grid.array.shape)
    if few < 3:
        what = "one slice" if few == 1 else f"{few} slices"
        raise GeometryError(
            f"the volume has only {what} along one axis; a sphere's centre cannot be found in it. Choose the whole series"
        )


def _measured(
    grid: Grid, refined: Sequence[Refined], settings: MeasureSettings, warnings: list[str], cancel: CancelToken
) -> Measurement:
    found = [r for r in refined if r.center_lps_mm is not None]
    balls = {r.target.label: ball_of(r) for r in found}
    background = _background(grid, refined, balls, settings)
    spheres = []
    for one in refined:
        cancel.check()
        spheres.append(measure_one(grid, one, settings, background))
    if any(np.isnan(s.mask.values).any() for s in spheres if s.mask is not None):
        warnings.append("some voxels at the spheres have no value (NaN); they were left out")
    ring = (
        fit_ring(np.array([r.center_lps_mm for r in found])) if is_iec([r.target for r in refined]) and found else None
    )
    nema = _nema(grid, found, balls, settings, background) if settings.nema else None
    if nema is not None:
        warnings += nema.warnings + ([f"NEMA: {nema.reason}"] if nema.reason else [])
    earl = _earl(spheres, settings, background, warnings)
    return Measurement(grid, spheres, background, nema, earl, ring, warnings)


def _background(
    grid: Grid, refined: Sequence[Refined], balls: dict[str, Ball], settings: MeasureSettings
) -> Background:
    """Measure around the spheres; in the IEC phantom, in NEMA's circles, where neither insert nor walls play in."""
    around = background_around(grid, list(balls.values()), settings.refine.psf_wall_mm)
    if around.mean is None or around.mean <= 0 or len(balls) < 4 or not is_iec([r.target for r in refined]):
        return around
    return background_of_circles(grid, _nema_targets(refined, balls), around.mean) or around


def _nema_targets(refined: Sequence[Refined], balls: dict[str, Ball]) -> list[NemaTarget]:
    return [
        NemaTarget(r.target.label, r.target.diameter_mm, r.polarity is Polarity.COLD, balls[r.target.label])
        for r in refined
        if r.found
    ]


def is_iec(targets: Sequence[SphereTarget]) -> bool:
    """True for the six diameters of the IEC body phantom."""
    return sorted(t.diameter_mm for t in targets) == sorted(IEC_DIAMETERS_MM)


def ball_of(refined: Refined) -> Ball:
    """Return centre, radius and blur of a found sphere."""
    assert refined.center_lps_mm is not None
    return Ball(refined.center_lps_mm, refined.target.radius_mm, refined.fit.fwhm_mm if refined.fit else None)


def measure_one(grid: Grid, refined: Refined, settings: MeasureSettings, background: Background) -> SphereResult:
    """Measure one found sphere; one that was not found comes back without numbers."""
    center = refined.center_lps_mm
    if center is None:
        return SphereResult(refined)
    radius, cold = refined.target.radius_mm, refined.polarity is Polarity.COLD
    mask = region_mask(grid, center, radius, settings.region, whole=settings.refine.method is Method.GRID)
    contour = None if background.mean is None else a50_mean(grid, center, radius, background.mean)
    return SphereResult(
        refined=refined,
        statistics=measure_region(mask),
        slices=measure_slices(mask, center),
        mask=mask,
        suv_peak=peak_mean(grid, center, radius, cold=cold),
        a50_mean=None if contour is None else contour[0],
        a50_volume_ml=None if contour is None else contour[1],
    )


def _nema(
    grid: Grid, found: Sequence[Refined], balls: dict[str, Ball], settings: MeasureSettings, background: Background
) -> NemaResult:
    if background.mean is None or background.mean <= 0:
        return NemaResult("there is no background activity around the spheres")
    return judge_nema(grid, _nema_targets(found, balls), background.mean, settings.contrast)


def _earl(
    spheres: Sequence[SphereResult], settings: MeasureSettings, background: Background, warnings: list[str]
) -> list[EarlSphere] | None:
    if settings.earl is None:
        return None
    if not RATIO_LOW <= settings.contrast <= RATIO_HIGH:
        warnings.append(
            f"EARL's bands hold for a sphere-to-background ratio of about 10; the true contrast was given as "
            f"{settings.contrast:g} (--contrast)"
        )
    true = (background.mean or 0.0) * settings.contrast
    rows = []
    for sphere in spheres:
        if sphere.statistics is None or true <= 0:
            reason = "not found" if sphere.statistics is None else "not judged: no background activity"
            rows.append(EarlSphere(sphere.label, sphere.diameter_mm, None, None, None, reason))
            continue
        measured = (sphere.a50_mean, sphere.statistics.max, sphere.suv_peak)
        rows.append(judge(sphere.label, sphere.diameter_mm, measured, true, BANDS[settings.earl]))
    return rows


def require_found(measurement: Measurement) -> Measurement:
    """Raise `InputError` if not one sphere was found."""
    if measurement.found:
        return measurement
    reasons = "; ".join(f"{s.label}: {s.refined.reason}" for s in measurement.spheres[:3])
    raise InputError(f"no sphere was found ({reasons})")
