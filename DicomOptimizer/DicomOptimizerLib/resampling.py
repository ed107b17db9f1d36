"""Making images smaller: the geometry of the new grid, and an antialiased filter that leaves padding out.

The filter is a triangle as wide as the reduction (support: one new pixel to either side), separable, with normalised weights at the
borders; at a factor of one it is bilinear interpolation. It is not ITK's "linear", which takes point samples and lets fine detail alias.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray
from numpy.typing import NDArray

FILTER_NAME = "bilinear (antialiased triangle filter)"
SAME_WEIGHT = 1e-6  # float32 rounding of equal weights
LEAST_WEIGHT = 0.5  # a new pixel is padding where less than half of its weight fell on true pixels
FloatImage = NDArray[np.float32]


@dataclass(frozen=True)
class Resize:
    """A change of image size; sizes are (rows, columns)."""

    old: tuple[int, int]
    new: tuple[int, int]

    @property
    def factors(self) -> tuple[float, float]:
        """How many old pixels make a new one, along rows' and columns' direction: (rows, columns)."""
        return self.old[0] / self.new[0], self.old[1] / self.new[1]

    def spacing(self, old_spacing: tuple[float, float]) -> tuple[float, float]:
        """Return PixelSpacing (between rows, between columns) of the new image, so that the field of view stays the same."""
        return old_spacing[0] * self.factors[0], old_spacing[1] * self.factors[1]

    def origin(
        self, origin_lps: FloatArray, orientation_lps: FloatArray, old_spacing: tuple[float, float]
    ) -> FloatArray:
        """Return ImagePositionPatient of the new image: the first pixel's centre moves by half the growth of a pixel.

        References
        ----------
        DICOM PS3.3 C.7.6.2.1.1: the position is that of the centre of the first pixel, not of its corner.
        """
        rows, columns = self.factors
        along_row, along_column = np.asarray(orientation_lps[:3]), np.asarray(orientation_lps[3:])
        return np.asarray(
            np.asarray(origin_lps)
            + along_row * (0.5 * (columns - 1) * old_spacing[1])
            + along_column * (0.5 * (rows - 1) * old_spacing[0])
        )


def resize_for(rows: int, columns: int, longer_side: int | None) -> Resize | None:
    """Fit an image into ``longer_side`` pixels, shape kept; None if nothing is asked or it is small enough already."""
    longest = max(rows, columns)
    if longer_side is None or longest <= longer_side:
        return None
    factor = longest / longer_side
    return Resize((rows, columns), (max(1, round(rows / factor)), max(1, round(columns / factor))))


@lru_cache(maxsize=32)
def _taps(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return per new pixel the old ones it reads (new, taps) and their weights, which sum to one.

    Near the borders an index may lie outside; its weight is 0 there.
    """
    scale = old / new
    support = max(scale, 1.0)
    centres = (np.arange(new) + 0.5) * scale - 0.5
    first = np.ceil(centres - support - 1e-9).astype(np.intp)
    reach = np.arange(int(np.floor(2 * support)) + 2)
    index = first[:, None] + reach[None, :]
    weights = np.clip(1 - np.abs(index - centres[:, None]) / support, 0, None)
    weights[(index < 0) | (index >= old)] = 0
    used = weights.any(axis=0)
    weights = weights[:, used] / weights.sum(axis=1, keepdims=True)
    return index[:, used], weights.astype(np.float32)


def _along_rows(image: FloatImage, new: int) -> FloatImage:
    """Reduce the first axis; a transposed image serves for the other one."""
    old = image.shape[0]
    index, weights = _taps(old, new)
    out = np.empty((new, image.shape[1]), dtype=np.float32, order="C" if image.flags.c_contiguous else "F")
    inner = np.flatnonzero((index[:, 0] >= 0) & (index[:, -1] < old))
    first, last = (int(inner[0]), int(inner[-1]) + 1) if len(inner) else (new, new)
    for start, stop in ((0, first), (first, last), (last, new)):
        if start < stop:
            _weigh(image, np.clip(index[start:stop], 0, old - 1), weights[start:stop], out[start:stop])
    return out


def _weigh(image: FloatImage, index: NDArray[np.intp], weights: NDArray[np.float32], out: FloatImage) -> None:
    taps = index.shape[1]
    is_whole = taps % 2 == 0 and bool(np.abs(weights - weights[0, ::-1]).max() < SAME_WEIGHT)
    if is_whole:  # a whole factor: every new pixel weighs alike, and to both sides
        np.add(_picked(image, index[:, 0]), _picked(image, index[:, -1]), out=out)
        out *= weights[0, 0]
        for tap in range(1, taps // 2):
            pair = _picked(image, index[:, tap]) + _picked(image, index[:, taps - 1 - tap])
            pair *= weights[0, tap]
            out += pair
        return
    np.multiply(_picked(image, index[:, 0]), weights[:, 0, None], out=out)
    for tap in range(1, taps):
        out += _picked(image, index[:, tap]) * weights[:, tap, None]


def _picked(image: FloatImage, rows: NDArray[np.intp]) -> FloatImage:
    """Read rows as a strided view where they are evenly spaced (a whole reduction factor), which is several times faster."""
    step = int(rows[1] - rows[0]) if len(rows) > 1 else 0
    if step > 0 and (np.diff(rows) == step).all():
        return image[rows[0] : rows[-1] + 1 : step]
    return image[rows]


def resample(image: NDArray[np.generic], new: tuple[int, int]) -> FloatImage:
    """Resample (rows, columns) to a smaller size without padding."""
    reduced = _along_rows(np.ascontiguousarray(image, dtype=np.float32), new[0])
    return np.ascontiguousarray(_along_rows(reduced.T, new[1]).T)


class _LastMask:
    """The mask seen last and what follows from it: the round field of view of a scanner is the same on every slice."""

    valid: NDArray[np.bool_] | None = None
    still: NDArray[np.bool_] = np.empty((0, 0), dtype=bool)
    inverse: FloatImage = np.empty((0, 0), dtype=np.float32)


def _after_mask(valid: NDArray[np.bool_], new: tuple[int, int]) -> tuple[NDArray[np.bool_], FloatImage]:
    """Return the mask of true pixels of the new image, and one over the weight that fell on them (0 where padding)."""
    last = _LastMask
    if last.valid is None or last.still.shape != new or not np.array_equal(valid, last.valid):
        weight = resample(valid, new)
        last.valid, last.still = valid, weight >= LEAST_WEIGHT
        last.inverse = np.where(last.still, 1 / np.maximum(weight, LEAST_WEIGHT), 0).astype(np.float32)
    return last.still, last.inverse


def resample_masked(
    image: NDArray[np.generic], valid: NDArray[np.bool_], new: tuple[int, int]
) -> tuple[FloatImage, NDArray[np.bool_]]:
    """Resample true pixels only; padding never blends into them.

    Returns
    -------
    The new image (0 where padding) and the new mask of true pixels.
    """
    still, inverse = _after_mask(valid, new)
    total = resample(np.multiply(image, valid, dtype=np.float32), new)
    total *= inverse
    return total, still.copy()


def coverage(mask: NDArray[np.generic], new: tuple[int, int]) -> FloatImage:
    """Area share (0 .. 1) of every new pixel that a mask covers: a box filter, exact for any ratio."""
    return _box(_box(np.ascontiguousarray(mask, dtype=np.float32), new[0]).T, new[1]).T


def _box(image: FloatImage, new: int) -> FloatImage:
    old = image.shape[0]
    sums = np.concatenate([np.zeros((1, image.shape[1])), np.cumsum(image, axis=0, dtype=np.float64)])
    edges = np.linspace(0, old, new + 1)
    whole = np.minimum(edges.astype(int), old - 1)
    at_edges = sums[whole] + (edges - whole)[:, None] * image[whole]
    return np.asarray(np.diff(at_edges, axis=0) * (new / old), dtype=np.float32)
