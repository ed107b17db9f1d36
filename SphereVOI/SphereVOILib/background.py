"""The activity around the spheres: shells just beyond the reach of their blur, without what belongs to other things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray

from SphereVOILib.grid import Grid
from SphereVOILib.noise import MAD_TO_SD

CLEAR_FWHM = 1.3  # beyond the wall, in FWHM: three standard deviations, the sphere's light is gone (0.1 %)
LEAST_CLEAR_MM = 5.0
SHELL_MM = 10.0
CLIP_SD = 3.0  # values further from the median belong to something else: the insert, the phantom's wall


@dataclass(frozen=True)
class Background:
    """Mean and SD of single voxels around the spheres, in image units; None where there is none."""

    mean: float | None
    sd: float | None
    voxels: int = 0


@dataclass(frozen=True)
class Ball:
    """A sphere that was found: centre, inner radius, and the image's FWHM there (None if not fitted)."""

    center_lps_mm: FloatArray
    radius_mm: float
    fwhm_mm: float | None


def background_around(grid: Grid, balls: Sequence[Ball], wall_mm: float) -> Background:
    """Measure the shells around all found spheres together."""
    parts = [_shell(grid, ball, balls, wall_mm) for ball in balls]
    values = np.concatenate(parts) if parts else np.zeros(0)
    if values.size < 10:
        return Background(None, None)
    # The body, not the air beyond its edge or the insert, is what most of the voxels show.
    for _ in range(5):
        middle = float(np.median(values))
        sd = MAD_TO_SD * float(np.median(np.abs(values - middle)))
        kept = values[np.abs(values - middle) <= CLIP_SD * sd] if sd > 0 else values[values == middle]
        if kept.size == values.size:
            break
        values = kept
    return Background(float(values.mean()), float(values.std(ddof=1)) if values.size > 1 else 0.0, int(values.size))


def _clear_mm(ball: Ball, wall_mm: float) -> float:
    return ball.radius_mm + wall_mm + max(CLEAR_FWHM * (ball.fwhm_mm or 0.0), LEAST_CLEAR_MM)


def _shell(grid: Grid, ball: Ball, balls: Sequence[Ball], wall_mm: float) -> FloatArray:
    near = _clear_mm(ball, wall_mm)
    box = grid.around(ball.center_lps_mm, near + SHELL_MM)
    distance, values = box.distances_mm(ball.center_lps_mm), box.values()
    chosen = (distance >= near) & (distance <= near + SHELL_MM) & np.isfinite(values)
    for other in balls:
        if other is not ball:
            chosen &= box.distances_mm(other.center_lps_mm) >= _clear_mm(other, wall_mm)
    return values[chosen]
