"""A uniform sphere seen through a Gaussian point spread function: closed forms.

With s = FWHM / 2.35482, a sphere of radius R and activity 1 appears at the distance r from its centre as

    F(r) = 1/2 [erf(u) + erf(v)] - s / (r sqrt(2 pi)) [exp(-u^2) - exp(-v^2)],  u, v = (R -+ r) / (sqrt(2) s)

which is the convolution of the ball with the three-dimensional Gaussian. The image of a filled sphere with a wall that holds no activity,
in a uniform background, is linear in both activities:  S F_R(r) + B [1 - F_(R + wall)(r)].

FWHM is that of the image: the voxel's own averaging (about 5.545 d^2 / 12 in FWHM^2) is part of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
_CLOSEST = 1e-3  # mm; nearer to the centre the differences in F cancel, and F is flat there
_TABLE_STEP = 0.01  # in units of the smallest scale; linear interpolation is then right to 1e-5


@dataclass(frozen=True)
class RadialProfile:
    """F and its derivatives at distances r: all arrays have the shape of r."""

    value: FloatArray
    by_r: FloatArray
    by_sigma: FloatArray


def blurred_sphere(r_mm: FloatArray, radius_mm: float, sigma_mm: float) -> RadialProfile:
    """Return F(r), dF/dr and dF/dsigma of a unit sphere blurred by a Gaussian of standard deviation ``sigma_mm``."""
    from scipy.special import erf

    r = np.maximum(r_mm, _CLOSEST)
    near, far = (radius_mm - r) / sigma_mm, (radius_mm + r) / sigma_mm
    e_near, e_far = np.exp(-0.5 * near**2), np.exp(-0.5 * far**2)
    norm = 1.0 / math.sqrt(2.0 * math.pi)
    value = 0.5 * (erf(near / math.sqrt(2)) + erf(far / math.sqrt(2))) - sigma_mm * norm / r * (e_near - e_far)
    by_r = sigma_mm * norm / r**2 * (e_near - e_far) - radius_mm * norm / (sigma_mm * r) * (e_near + e_far)
    edge = -norm / sigma_mm * (near * e_near + far * e_far)
    tail = -norm / r * ((1 + near**2) * e_near - (1 + far**2) * e_far)
    return RadialProfile(value, by_r, edge + tail)


def blurred_sphere_fast(r_mm: FloatArray, radius_mm: float, sigma_mm: float) -> RadialProfile:
    """`blurred_sphere` from a table over r, for many voxels: right to about 1e-5."""
    step = _TABLE_STEP * min(sigma_mm, radius_mm)
    last = float(r_mm.max(initial=0.0)) + step
    if r_mm.size < 4 * last / step:
        return blurred_sphere(r_mm, radius_mm, sigma_mm)
    grid = np.arange(0.0, last + step, step)
    table = blurred_sphere(grid, radius_mm, sigma_mm)
    place = r_mm / step
    low = place.astype(np.intp)
    share = place - low

    def at(values: FloatArray) -> FloatArray:
        return np.asarray(values[low] + share * (values[low + 1] - values[low]))

    return RadialProfile(at(table.value), at(table.by_r), at(table.by_sigma))


def mean_recovery(radius_mm: float, fwhm_mm: float) -> float:
    """Return the mean of F over the sphere itself: the recovery coefficient of a 3D sphere VOI without background.

    Closed form with a = sqrt(2) R / s:  erf(a) - 2 a e / sqrt(pi) - 3 m1 / (4 R) + m3 / (16 R^3), e = exp(-a^2).
    """
    if fwhm_mm <= 0:
        return 1.0
    s, big_r = fwhm_mm / FWHM_PER_SIGMA, radius_mm
    a = math.sqrt(2) * big_r / s
    e, k = math.exp(-a * a), math.sqrt(2 / math.pi)
    m1 = 2 * k * s * (1 - (1 + a * a) * e)
    m3 = 8 * k * s**3 * (1 - (1 + a * a + a**4 / 2) * e)
    return math.erf(a) - 2 * a * e / math.sqrt(math.pi) - 3 * m1 / (4 * big_r) + m3 / (16 * big_r**3)


def mean_inside(inner_mm: float, outer_mm: float, fwhm_mm: float, points: int = 200) -> float:
    """Return the mean over the sphere of radius ``inner_mm`` of a blurred unit sphere of radius ``outer_mm``.

    For equal radii this is `mean_recovery`; with the wall's outer radius it tells how much of the background's shadow lies inside.
    """
    x, weights = np.polynomial.legendre.leggauss(points)
    r = inner_mm * (x + 1) / 2
    profile = blurred_sphere(r, outer_mm, max(fwhm_mm, 1e-6) / FWHM_PER_SIGMA)
    return float(np.sum(weights * r**2 * profile.value) * inner_mm / 2 * 3 / inner_mm**3)
