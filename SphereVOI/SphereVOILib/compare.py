"""Spheres held against each other: the same one clicked twice, one off the ring, a blur unlike the others'."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from SphereVOILib.grid import Grid
from SphereVOILib.refine import Refined, refine
from SphereVOILib.ring import place_hexagon
from SphereVOILib.settings import IEC_RING_RADIUS_MM, MeasureSettings, RefineSettings, SphereTarget

OFF_RING_MM = 4.0  # real spheres are within 2 mm of the ideal ring
AGAIN_SEARCH_MM = 6.0  # around the place the ring predicts for a sphere that was missed
ODD_WIDTH = 1.5  # ratio of a fitted FWHM to the others' that a wrong diameter makes, noise hardly


def overlapping(targets: Sequence[SphereTarget], search_mm: float) -> list[str]:
    """Warn of clicks whose search regions overlap by more than half: both may find the same sphere."""
    warnings = []
    for a, b in itertools.combinations([t for t in targets if t.lps_mm is not None], 2):
        apart = float(np.linalg.norm(np.subtract(a.lps_mm, b.lps_mm)))  # type: ignore[arg-type]
        if apart < max(2 * search_mm, a.radius_mm + b.radius_mm):
            warnings.append(
                f"the clicks of {a.label} and {b.label} are {apart:.0f} mm apart: their search regions overlap, "
                "check that each found its own sphere"
            )
    return warnings


def judge_together(
    grid: Grid, refined: list[Refined], settings: MeasureSettings, level: float, warnings: list[str]
) -> list[Refined]:
    """Compare the spheres with each other: the same one twice, off the ring, a width unlike the others'."""
    refined = _without_doubles(refined)
    if settings.auto:
        refined = _without_doubles(_again_on_ring(grid, refined, settings.refine, level))
    warnings += _odd_widths(refined)
    missing = [r.target.label for r in refined if not r.found]
    if missing:
        warnings.append(f"not found: {', '.join(missing)} (the reasons are in the table of centres)")
    return refined


def _without_doubles(refined: list[Refined]) -> list[Refined]:
    """Say of two clicks that went to the same place which one counts."""
    result = list(refined)
    for a, b in itertools.combinations(range(len(result)), 2):
        first, second = result[a], result[b]
        if not (first.found or second.found) or not _same_place(first, second):
            continue
        second_wins = not first.found or (second.found and _fits_better(second, first))
        loser, winner = (a, second) if second_wins else (b, first)
        reason = f"{winner.target.label} was found at the same place: the same sphere was clicked twice"
        result[loser] = replace(result[loser], found=False, reason=reason, center_lps_mm=None)
    return result


def _same_place(a: Refined, b: Refined) -> bool:
    places = [r.center_lps_mm if r.fit is None else r.fit.center_lps_mm for r in (a, b)]
    if places[0] is None or places[1] is None:
        return False
    return float(np.linalg.norm(places[0] - places[1])) < max(a.target.radius_mm, b.target.radius_mm)


def _fits_better(a: Refined, b: Refined) -> bool:
    """True if a's diameter explains the image clearly better than b's; otherwise the first click counts."""
    if a.fit is None or b.fit is None or a.target.diameter_mm == b.target.diameter_mm:
        return False
    return a.fit.noise_sd < b.fit.noise_sd


def _again_on_ring(grid: Grid, refined: list[Refined], settings: RefineSettings, level: float) -> list[Refined]:
    """Look again, near the place the ring predicts, for what was missed or lies off the ring."""
    order = sorted(range(len(refined)), key=lambda n: -refined[n].target.diameter_mm)
    places = place_hexagon([refined[n].center_lps_mm for n in order], IEC_RING_RADIUS_MM)
    if places is None:
        return refined
    result = list(refined)
    for rank, n in enumerate(order):
        center = result[n].center_lps_mm
        if center is not None and float(np.linalg.norm(center - places[rank])) <= OFF_RING_MM:
            continue
        x, y, z = (float(v) for v in places[rank])
        near = replace(result[n].target, lps_mm=(x, y, z))
        again = refine(grid, near, replace(settings, search_mm=min(AGAIN_SEARCH_MM, settings.search_mm)), level)
        if again.found or center is None:
            result[n] = again
        else:
            result[n] = replace(
                again, reason="the sphere lies more than 4 mm off the ring of the others: " + again.reason
            )
    return result


def _odd_widths(refined: Sequence[Refined]) -> list[str]:
    widths = {r.target.label: r.fit for r in refined if r.found and r.fit is not None}
    if len(widths) < 3:
        return []
    middle = float(np.median([fit.fwhm_mm for fit in widths.values()]))
    warnings = []
    for label, fit in widths.items():
        error = float(np.sqrt(max(fit.covariance[3, 3], 0.0)))
        ratio = fit.fwhm_mm / middle
        if (ratio > ODD_WIDTH or ratio < 1 / ODD_WIDTH) and abs(fit.fwhm_mm - middle) > 4 * error:
            warnings.append(
                f"{label}: its blur ({fit.fwhm_mm:.1f} mm FWHM) is unlike the others' ({middle:.1f} mm); "
                "is its diameter right, and were the spheres clicked in the table's order?"
            )
    return warnings
