"""Fit of a blurred sphere: centre and FWHM are searched, signal and background follow from them.

For given centre and FWHM the image is linear in signal and background (see `model`), so these two are solved exactly at every step
(variable projection, Golub and Pereyra 1973, with Kaufman's simpler Jacobian) and the search has four dimensions only. The region that
takes part moves with the centre and fades out towards its edge, so that the result does not depend on where the search began.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray
from numpy.typing import NDArray

from SphereVOILib.grid import Grid
from SphereVOILib.model import FWHM_PER_SIGMA, blurred_sphere_fast
from SphereVOILib.noise import LinearFit, NoiseModel, amplitude_error, covariance, noise_of_background

FWHM_START_MM = 6.5
FWHM_MOST_MM = 25.0  # SPECT with a low-energy collimator; wider than this no sphere of the phantom is resolved
FWHM_LEAST_VOXELS = 0.3  # an image without any blur but the voxel's own fits to about 0.7 voxels
SETTLED_MM = 5e-5
FEW_VOXELS = 3000
MOST_STEPS = 30
MOST_REGIONS = 8
SHELL_NEAR_MM, SHELL_FAR_MM = 5.0, 22.0  # where the surroundings of a sphere's outer surface tell their noise
LARGE_RADIUS_MM = 12.0
LEAST_SHELL_VOXELS = 100
_FULL_WEIGHT = 0.4  # share of the margin that takes part fully


@dataclass(frozen=True)
class SphereFit:
    """What the fit found.

    Attributes
    ----------
    center_lps_mm : (3,), LPS mm.
    fwhm_mm : of the image: scanner, filter and voxel together.
    signal, background : activity in and around the sphere, in image units.
    covariance : (6, 6) of centre x, y, z (mm), FWHM (mm), signal, background; noise correlation is in it.
    noise_sd : standard deviation of what the fit leaves over, in image units.
    neighbours : correlation of neighbouring voxels' noise along (i, j, k).
    significance : size of the contrast over its standard error, for this place and width.
    explained : share of the region's variance the model explains, 0 to 1.
    voxels : number of voxels in the region.
    at_bound : the FWHM ran into its limit.
    settled : the search came to rest.
    """

    center_lps_mm: FloatArray
    fwhm_mm: float
    signal: float
    background: float
    covariance: FloatArray
    noise_sd: float
    neighbours: FloatArray
    significance: float
    explained: float
    voxels: int
    at_bound: bool
    settled: bool

    @property
    def sigma_mm(self) -> FloatArray:
        """Standard error of the centre along x, y, z (LPS)."""
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance)[:3], 0.0)))

    @property
    def contrast(self) -> float:
        """Signal minus background, in image units."""
        return self.signal - self.background

    @property
    def contrast_error(self) -> float:
        """Standard error of `contrast`."""
        c = self.covariance
        return math.sqrt(max(c[4, 4] + c[5, 5] - 2 * c[4, 5], 0.0))


@dataclass(frozen=True)
class _Region:
    offsets: FloatArray  # (N, 3) voxel centres minus the region's centre, mm
    index: NDArray[np.intp]  # (N, 3) voxel indices, for the noise correlation
    values: FloatArray  # (N,)
    weights: FloatArray  # (N,), 1 inside, fading to 0
    start: FloatArray  # (3,) the region's centre, LPS

    def thinned(self, step: int) -> _Region:
        """Return every step-th voxel."""
        return _Region(self.offsets[::step], self.index[::step], self.values[::step], self.weights[::step], self.start)


@dataclass(frozen=True)
class _State:
    shift: FloatArray  # centre minus region centre, mm
    fwhm: float
    linear: FloatArray  # signal, background
    residual: FloatArray  # (N,), weighted
    jacobian: FloatArray  # (N, 6), weighted, of the model by all six parameters
    reduced: FloatArray  # (N, 4) with the linear part projected out
    cost: float


def fit_sphere(
    grid: Grid, start_lps: FloatArray, radius_mm: float, wall_mm: float, margin_mm: float
) -> SphereFit | None:
    """Fit centre, FWHM, signal and background from a start within about the radius; None without enough voxels."""
    center, fwhm = np.asarray(start_lps, dtype=float), FWHM_START_MM
    bounds = (FWHM_LEAST_VOXELS * min(grid.spacing_mm), FWHM_MOST_MM)
    settled = False
    for attempt in range(MOST_REGIONS):
        region = _region(grid, center, radius_mm + wall_mm, margin_mm)
        if attempt == 0:  # a rough look first: every some voxels of a large sphere
            region = region.thinned(1 + len(region.values) // FEW_VOXELS)
        if len(region.values) < 30 or _lies_outside(grid, center):
            return None
        state, rest = _search(region, radius_mm, wall_mm, fwhm, bounds)
        moved = float(np.linalg.norm(state.shift))
        center, fwhm = center + state.shift, state.fwhm
        settled = rest and moved < 20 * SETTLED_MM and attempt > 0
        if settled or moved > radius_mm + margin_mm:
            break
    return _result(region, state, center, bounds, settled, _noise_around(grid, center, radius_mm + wall_mm))


def _lies_outside(grid: Grid, center: FloatArray) -> bool:
    return not grid.contains(center)


def _region(grid: Grid, center: FloatArray, outer_mm: float, margin_mm: float) -> _Region:
    box = grid.around(center, outer_mm + margin_mm)
    offsets, values = box.offsets_mm(center), box.values()
    distance = np.sqrt(np.sum(offsets**2, axis=0))
    fade = np.clip((distance - outer_mm - _FULL_WEIGHT * margin_mm) / ((1 - _FULL_WEIGHT) * margin_mm), 0.0, 1.0)
    weights = np.cos(0.5 * np.pi * fade) ** 2
    chosen = (weights > 1e-6) & np.isfinite(values)
    k, j, i = np.nonzero(chosen)
    return _Region(offsets[:, chosen].T, np.stack([i, j, k], axis=1), values[chosen], weights[chosen], center)


def _noise_around(grid: Grid, center: FloatArray, outer_mm: float) -> NoiseModel | None:
    """Look at the noise in a shell around the sphere; large spheres hold enough voxels themselves."""
    if outer_mm > LARGE_RADIUS_MM:
        return None
    box = grid.around(center, outer_mm + SHELL_FAR_MM)
    distance, values = box.distances_mm(center), box.values()
    shell = (distance > outer_mm + SHELL_NEAR_MM) & (distance < outer_mm + SHELL_FAR_MM) & np.isfinite(values)
    if np.count_nonzero(shell) < LEAST_SHELL_VOXELS:
        return None
    k, j, i = np.nonzero(shell)
    return noise_of_background(values[shell], np.stack([i, j, k], axis=1))


def _evaluate(region: _Region, radius_mm: float, wall_mm: float, shift: FloatArray, fwhm: float) -> _State:
    away = region.offsets - shift
    r = np.sqrt(np.sum(away**2, axis=1))
    sigma = fwhm / FWHM_PER_SIGMA
    inner = blurred_sphere_fast(r, radius_mm, sigma)
    outer = inner if wall_mm == 0 else blurred_sphere_fast(r, radius_mm + wall_mm, sigma)
    root = np.sqrt(region.weights)
    basis = np.stack([inner.value, 1.0 - outer.value], axis=1) * root[:, None]
    q, triangle = np.linalg.qr(basis)
    linear = np.linalg.lstsq(triangle, q.T @ (region.values * root), rcond=None)[0]
    residual = region.values * root - basis @ linear
    by_r = (linear[0] * inner.by_r - linear[1] * outer.by_r) * root
    by_fwhm = (linear[0] * inner.by_sigma - linear[1] * outer.by_sigma) * root / FWHM_PER_SIGMA
    toward = -away / np.maximum(r, 1e-6)[:, None]
    nonlinear = np.concatenate([by_r[:, None] * toward, by_fwhm[:, None]], axis=1)
    reduced = nonlinear - q @ (q.T @ nonlinear)
    jacobian = np.concatenate([nonlinear, basis], axis=1)
    return _State(shift, fwhm, linear, residual, jacobian, reduced, float(residual @ residual))


def _search(
    region: _Region, radius_mm: float, wall_mm: float, fwhm: float, bounds: tuple[float, float]
) -> tuple[_State, bool]:
    """Levenberg-Marquardt on centre and FWHM; returns the best state and whether it came to rest."""
    state = _evaluate(region, radius_mm, wall_mm, np.zeros(3), fwhm)
    damping = 1e-3
    for _ in range(MOST_STEPS):
        normal, gradient = state.reduced.T @ state.reduced, state.reduced.T @ state.residual
        scale = np.diag(normal) + 1e-12 * max(float(np.trace(normal)), 1e-300)
        if not np.all(scale > 0):
            return state, False  # nothing in the image depends on the parameters: a flat region
        step = np.linalg.lstsq(normal + damping * np.diag(scale), gradient, rcond=None)[0]
        step *= min(1.0, radius_mm / max(float(np.linalg.norm(step[:3])), 1e-12))
        tried_fwhm = float(np.clip(state.fwhm + step[3], *bounds))
        tried = _evaluate(region, radius_mm, wall_mm, state.shift + step[:3], tried_fwhm)
        small = float(np.linalg.norm(step[:3])) < SETTLED_MM and abs(tried_fwhm - state.fwhm) < 1e-3
        if tried.cost <= state.cost:
            state, damping = tried, max(damping * 0.1, 1e-9)
        else:
            damping *= 8.0
        if small or damping > 1e9:
            return state, True
    return state, False


def _result(
    region: _Region,
    state: _State,
    center: FloatArray,
    bounds: tuple[float, float],
    settled: bool,
    around: NoiseModel | None,
) -> SphereFit:
    root = np.sqrt(region.weights)
    linear = LinearFit(state.jacobian / root[:, None], region.weights, state.residual / root, region.index)
    spread, noise = covariance(linear)
    contrast, error = float(state.linear[0] - state.linear[1]), amplitude_error(linear, noise, around)
    mean = np.average(region.values, weights=region.weights)
    variance = float(np.sum(region.weights * (region.values - mean) ** 2))
    return SphereFit(
        center_lps_mm=center,
        fwhm_mm=state.fwhm,
        signal=float(state.linear[0]),
        background=float(state.linear[1]),
        covariance=spread,
        noise_sd=float(np.average(noise.sd, weights=region.weights)),
        neighbours=noise.neighbours,
        significance=abs(contrast) / error if error > 0 else math.inf,
        explained=1.0 - state.cost / variance if variance > 0 else 0.0,
        voxels=len(region.values),
        at_bound=not bounds[0] * 1.001 < state.fwhm < bounds[1] * 0.999,
        settled=settled,
    )
