"""From the length of a digitised outline to the length of what was digitised.

The longest chord of a pixel outline is the largest of many noisy ones, so it is too long: by 5 % for a disc of 10 mm on pixels of
0.7 mm, by 3 % at 20 mm. Two models take that excess off:

- the ellipse of equal moments, where it explains the part to within pixel noise: its axes are the diameters;
- else the part's own outline, smoothed by a kernel that keeps curved edges in place: the outline is digitised on the same pixels at
  several sub-pixel positions, each is measured, and the mean excess over the outline's own length is taken off (a parametric
  bootstrap: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 10).

Between the two the results are blended.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from TumorAnalysisLib.contour import LEVEL, Chord, crossing_points, longest_across, longest_chord, segments
from TumorAnalysisLib.grid import BoolArray, FloatArray

PHASES = (0.0, 1 / 3, 2 / 3)  # sub-pixel positions at which the model is digitised, along each axis
SMOOTHING_PIXELS = 1.5
MARGIN = 8  # empty pixels around a part, so that the smoothing kernel fits
# Share of outline pixels in which mask and ellipse differ: digitised ellipses stay below 0.11, other shapes lie above 0.13.
ELLIPSE_BELOW, OUTLINE_ABOVE = 0.10, 0.15
FLATNESS_NOISE_PIXELS = 0.5  # how much the axes of a digitised disc differ by pixel noise alone


def true_lengths(mask: BoolArray, along: Chord, across: Chord, plane_mm: FloatArray) -> tuple[float, float]:
    """Estimate how long the chords of a part's 0.5-level contour are without the excess of digitisation.

    Parameters
    ----------
    mask : (j, i) one connected part of a slice.
    along, across : its longest chord and the longest one perpendicular to it.
    plane_mm : (2, 2) from `Grid.plane_mm`.

    Returns
    -------
    longest, short : mm.
    """
    mask = np.pad(mask, 2)  # room for the ellipse where it reaches a little further than the mask
    ellipse = Ellipse.of(mask, plane_mm)
    differing = np.count_nonzero(mask ^ ellipse.digitised(mask.shape))
    irregular = differing / max(len(crossing_points(mask, plane_mm)), 1)
    weight = float(np.clip((OUTLINE_ABOVE - irregular) / (OUTLINE_ABOVE - ELLIPSE_BELOW), 0.0, 1.0))
    by_ellipse = ellipse.axes_mm(plane_mm) if weight > 0 else (0.0, 0.0)
    excess = outline_excess(mask, plane_mm) if weight < 1 else (0.0, 0.0)
    longest, short = (
        weight * axis + (1 - weight) * (chord.length - extra)
        for axis, chord, extra in zip(by_ellipse, (along, across), excess, strict=True)
    )
    return longest, short


@dataclass(frozen=True)
class Ellipse:
    """An ellipse in pixel units: centre ``(i, j)`` and the matrix whose quadratic form is 1 on its outline."""

    centre_ij: FloatArray
    covariance: FloatArray

    @classmethod
    def of(cls, mask: BoolArray, plane_mm: FloatArray) -> Ellipse:
        """Return the ellipse with the area centre and second moments of a mask, rounded as far as noise may have flattened it."""
        j, i = np.nonzero(mask)
        points = np.stack([i, j]).astype(np.float64)
        centre = points.mean(axis=1)
        spread = points - centre[:, None]
        # A pixel is a square, not a point: its own second moment is 1/12 along each axis.
        return cls(centre, _rounded(spread @ spread.T / i.size + np.eye(2) / 12, plane_mm))

    def digitised(self, shape_ji: tuple[int, ...]) -> BoolArray:
        """Set the pixels whose centre lies inside the ellipse."""
        j, i = np.indices(shape_ji, dtype=np.float64)
        j -= self.centre_ij[1]
        i -= self.centre_ij[0]
        form = np.linalg.inv(4 * self.covariance)  # a uniform ellipse has a quarter of its squared half axes as moments
        return np.asarray(form[0, 0] * i * i + 2 * form[0, 1] * i * j + form[1, 1] * j * j <= 1.0)

    def axes_mm(self, plane_mm: FloatArray) -> tuple[float, float]:
        """Return the long and the short axis (full lengths) in millimetres."""
        short, long = 4 * np.sqrt(np.linalg.eigvalsh(plane_mm.T @ self.covariance @ plane_mm))
        return float(long), float(short)


def _rounded(covariance: FloatArray, plane_mm: FloatArray) -> FloatArray:
    # The moments of a digitised disc never come out equal, and the smaller one is always too small. A difference of the axes of the
    # size of that noise is shrunk towards the circle (positive-part James-Stein), a larger one is left as it is.
    values, axes = np.linalg.eigh(plane_mm.T @ covariance @ plane_mm)
    long, short = 4 * np.sqrt(values[1]), 4 * np.sqrt(values[0])
    noise = FLATNESS_NOISE_PIXELS * np.sqrt(abs(np.linalg.det(plane_mm)))
    keep = max(0.0, 1.0 - (noise / (long - short)) ** 2) if long > short else 0.0
    middle = values.mean()
    moments = axes @ np.diag(middle + keep * (values - middle)) @ axes.T
    back = np.linalg.inv(plane_mm)
    return np.asarray(back.T @ moments @ back)


def outline_excess(mask: BoolArray, plane_mm: FloatArray) -> tuple[float, float]:
    """Estimate by how much digitisation lengthens the longest chord and the one across it, mm."""
    field = smoothed(np.pad(mask, MARGIN))
    if not (field >= LEVEL).any():  # nothing of a part of a few pixels is left by the kernel
        return 0.0, 0.0
    longest = longest_chord(crossing_points(field, plane_mm)).length
    outline = segments(field, plane_mm)
    found = []
    for digitised in (_moved(field, dj, di) >= LEVEL for dj in PHASES for di in PHASES):
        along = longest_chord(crossing_points(digitised, plane_mm))
        across = longest_across(segments(digitised, plane_mm), along)
        # The truth across is taken in the measured direction: an error of the direction is no error of the outline.
        found.append((along.length - longest, across.length - longest_across(outline, along).length))
    extra_longest, extra_across = np.mean(found, axis=0)
    return float(extra_longest), float(extra_across)


def smoothed(mask: BoolArray, sigma: float = SMOOTHING_PIXELS) -> FloatArray:
    """Smooth a mask by a Gaussian minus its own second-order blur, so that edges of any curvature stay in place.

    Works on one slice or on a stack of slices, each in its own plane.
    """
    from scipy import ndimage

    sigmas = (0.0,) * (mask.ndim - 2) + (sigma, sigma)
    blurred = ndimage.gaussian_filter(mask.astype(np.float64), sigmas, mode="constant")
    curvature = np.zeros_like(blurred)
    for axis in (-2, -1):
        curvature += np.roll(blurred, 1, axis) + np.roll(blurred, -1, axis) - 2 * blurred
    return np.asarray(blurred - sigma**2 / 2 * curvature)


def _moved(field: FloatArray, shift_j: float, shift_i: float) -> FloatArray:
    out = field.copy()
    for axis, shift in ((0, shift_j), (1, shift_i)):
        out = (1 - shift) * out + shift * np.roll(out, 1, axis=axis)
    return out
