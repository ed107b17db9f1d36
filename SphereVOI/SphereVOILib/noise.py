"""Standard errors that stay true where the noise of neighbouring voxels is correlated and larger in hot regions.

Reconstruction and filters correlate PET noise over a few millimetres; the textbook covariance of a least-squares fit, made for independent
noise of one size, then promises errors two to three times too small. Here the covariance is the sandwich

    (A'WA)^-1  A'W Sigma W A  (A'WA)^-1

whose noise model Sigma is taken from what the fit leaves over: a variance that changes linearly with the image value, and a Gaussian
autocorrelation, rho(h) = rho_1 ^ (h^2) along each axis of the grid, as noise smoothed by a Gaussian filter has it. The fit follows part
of the noise, most where few voxels decide; the expected size of that part is added back, so that small spheres are not judged too well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray
from numpy.typing import NDArray

MOST_CORRELATION = 0.97  # neighbours alike beyond this mean a filter of ten voxels; no reconstruction does that
LEAST_VARIANCE = 0.05  # of the mean variance, so that a voxel with a lucky model value does not count as noise-free
MAD_TO_SD = 1.4826  # median absolute deviation to standard deviation, normal distribution
FARTHEST = 12  # voxels
ROUNDS = 4  # noise model and what the fit took of it depend on each other; they settle in three rounds
MANY_VOXELS = 8000  # where so many voxels decide, the fit's six parameters take nothing worth adding back


@dataclass(frozen=True)
class LinearFit:
    """A weighted least-squares fit at its solution, N voxels and P parameters.

    Attributes
    ----------
    derivatives : A, the model by each parameter, shape (N, P); column P-2 is the signal's share of each voxel.
    weights : W, shape (N,), 0 to 1: how much a voxel takes part, not how noisy it is.
    residual : data minus model, shape (N,).
    index : voxel index (i, j, k), shape (N, 3).
    """

    derivatives: FloatArray
    weights: FloatArray
    residual: FloatArray
    index: NDArray[np.intp]


@dataclass(frozen=True)
class NoiseModel:
    """Noise of a region: standard deviation at each voxel (N,) and correlation of direct neighbours along (i, j, k)."""

    sd: FloatArray
    neighbours: FloatArray


def covariance(fit: LinearFit) -> tuple[FloatArray, NoiseModel]:
    """Return the covariance (P, P) of the estimate, infinite where the data do not determine it, and the noise model."""
    weighted = fit.derivatives * fit.weights[:, None]
    bread = weighted.T @ fit.derivatives
    scale = np.sqrt(np.maximum(np.diag(bread), 0.0))
    flat = NoiseModel(np.full(len(fit.residual), float(np.std(fit.residual))), np.zeros(3))
    if not np.all(scale > 0) or not np.all(np.isfinite(bread)):
        return np.full(bread.shape, np.inf), flat
    inverse = np.linalg.pinv(bread / np.outer(scale, scale), rcond=1e-12) / np.outer(scale, scale)
    taken, model = np.zeros((0, 0)), flat
    for _ in range(ROUNDS if len(fit.residual) < MANY_VOXELS else 1):
        model = _noise_model(fit, taken)
        spread = model.sd[:, None] * _correlated(weighted * model.sd[:, None], fit.index, model.neighbours)
        cross = spread @ inverse  # (N, P): covariance of a voxel's noise with the estimate
        result = inverse @ (weighted.T @ cross)
        # r = e - A t: the covariance of r differs from that of the noise e by -A C' - C A' + A V A'
        taken = np.concatenate([fit.derivatives, fit.derivatives @ result - cross, -cross], axis=1)
    return np.asarray(0.5 * (result + result.T)), model


def amplitude_error(fit: LinearFit, model: NoiseModel, around: NoiseModel | None = None) -> float:
    """Return the standard error of signal minus background for a sphere whose place and width are given.

    This is what decides whether there is anything at all: with free place and width, noise can always be fitted by something small, and
    the few voxels of a small sphere then seem to hold little noise. So the noise of the surroundings, where given, is the least assumed.
    """
    if around is not None:
        model = NoiseModel(np.maximum(model.sd, around.sd), np.maximum(model.neighbours, around.neighbours))
    basis = fit.derivatives[:, -2:]
    weighted = basis * fit.weights[:, None]
    inverse = np.linalg.pinv(weighted.T @ basis)
    spread = model.sd[:, None] * _correlated(weighted * model.sd[:, None], fit.index, model.neighbours)
    result = inverse @ (weighted.T @ spread) @ inverse
    return float(np.sqrt(max(result[0, 0] + result[1, 1] - 2 * result[0, 1], 0.0)))


def noise_of_background(values: FloatArray, index: NDArray[np.intp]) -> NoiseModel:
    """Return size (one number) and correlation of the noise of voxels that should all have the same value, by medians."""
    away = values - np.median(values)
    sd = MAD_TO_SD * float(np.median(np.abs(away)))
    clipped = np.clip(away, -3 * sd, 3 * sd)  # neighbours' edges must not pass for noise
    ones = np.ones(len(values))
    basis = np.stack([np.zeros_like(ones), ones], axis=1)
    fit = LinearFit(basis, ones, clipped, index)
    neighbours = _neighbour_correlation(
        fit, np.zeros((0, 0)), ones, np.full(len(values), max(float(np.std(clipped)), 1e-300))
    )
    return NoiseModel(np.array(sd), neighbours)


def _noise_model(fit: LinearFit, taken: FloatArray) -> NoiseModel:
    """Estimate size and correlation of the noise; ``taken`` holds [A, A V - C, -C], or nothing in the first round."""
    parameters = fit.derivatives.shape[1]
    shares = np.sqrt(fit.weights)
    square = fit.residual**2
    if taken.size:
        a, avc, c = (taken[:, n * parameters : (n + 1) * parameters] for n in range(3))
        square = square - np.sum(a * avc, axis=1) - np.sum(c * a, axis=1)
    sd = _noise_sd(square, shares, fit.derivatives[:, parameters - 2])
    if not np.any(sd > 0):
        return NoiseModel(sd, np.zeros(3))
    return NoiseModel(sd, _neighbour_correlation(fit, taken, shares, sd))


def _noise_sd(square: FloatArray, shares: FloatArray, signal_share: FloatArray) -> FloatArray:
    """Draw a line through the squared noise over the image value, never below a small part of its mean."""
    mean = max(float(np.average(square, weights=shares)), 0.0)
    design = np.stack([np.ones_like(signal_share), signal_share], axis=1) * shares[:, None]
    line = np.linalg.lstsq(design, square * shares, rcond=None)[0]
    return np.asarray(np.sqrt(np.maximum(line[0] + line[1] * signal_share, LEAST_VARIANCE * mean)))


def _neighbour_correlation(fit: LinearFit, taken: FloatArray, shares: FloatArray, sd: FloatArray) -> FloatArray:
    parameters = fit.derivatives.shape[1]
    columns = [(fit.residual / sd)[:, None], shares[:, None]]
    if taken.size:
        columns.append(taken / sd[:, None])
    dense = _dense(np.concatenate(columns, axis=1), fit.index)
    result = np.zeros(3)
    for axis in range(3):
        low, high = (
            dense[tuple(s if a == axis else slice(None) for a in range(3))] for s in (slice(-1), slice(1, None))
        )
        pair = low[..., 1] * high[..., 1]
        product = low[..., 0] * high[..., 0]
        if taken.size:
            a, avc, c = (slice(2 + n * parameters, 2 + (n + 1) * parameters) for n in range(3))
            product = (
                product - np.sum(low[..., a] * high[..., avc], axis=-1) - np.sum(low[..., c] * high[..., a], axis=-1)
            )
        pairs = float(np.sum(pair))
        if pairs > 1:
            rho = float(np.sum(pair * product)) / pairs
            result[axis] = rho if rho > 1.0 / np.sqrt(pairs) else 0.0
    return np.asarray(np.clip(result, 0.0, MOST_CORRELATION))


def _correlated(columns: FloatArray, index: NDArray[np.intp], neighbours: FloatArray) -> FloatArray:
    """Apply the autocorrelation to every column: a separable Gaussian over the voxels' grid."""
    from scipy.ndimage import correlate1d

    if not np.any(neighbours > 0):
        return columns
    dense = _dense(columns, index)
    for axis, rho in enumerate(neighbours):
        if rho > 0:
            reach = min(int(np.ceil(np.sqrt(np.log(1e-4) / np.log(rho)))), FARTHEST)
            kernel = rho ** (np.arange(-reach, reach + 1.0) ** 2)
            dense = correlate1d(dense, kernel, axis=axis, mode="constant")
    i, j, k = (index - index.min(axis=0)).T
    return np.asarray(dense[i, j, k])


def _dense(columns: FloatArray, index: NDArray[np.intp]) -> FloatArray:
    low = index.min(axis=0)
    dense = np.zeros((*(index.max(axis=0) - low + 1), columns.shape[1]))
    i, j, k = (index - low).T
    dense[i, j, k] = columns
    return dense
