"""Making images smaller: the geometry of the new grid, and an antialiased filter that leaves padding out.

The filter is a triangle as wide as the reduction (support: one new pixel to either side), separable, with normalised weights at the
borders; at a factor of one it is bilinear interpolation. It is not ITK's "linear", which takes point samples and lets fine detail alias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray
from numpy.typing import NDArray

FILTER_NAME = "bilinear (antialiased triangle filter)"
SAME_WEIGHT = 1e-6  # float32 rounding of equal weights
ROWS_AT_ONCE = 64  # new rows
LEAST_WEIGHT = 0.5  # a new pixel is padding where less than half of its weight fell on true pixels
_INT16 = np.iinfo(np.int16).max
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


@dataclass(frozen=True)
class _Piece:
    """Neighbouring new pixels that are made in one go: which old ones each tap of the filter reads, and how much they weigh.

    ``taps`` count from the first of the old pixels in ``reads``; ``weights`` are (taps, new pixels). ``is_even``: all new pixels weigh
    alike, and to both sides alike, as with a whole factor; two taps then share a multiplication. ``shares``: such weights as whole numbers
    of parts of their sum (1, 3, 3, 1 of 8), where the sum is a power of two.
    """

    makes: slice
    reads: slice
    taps: tuple[slice | NDArray[np.intp], ...]
    weights: NDArray[np.float32]
    is_even: bool
    shares: tuple[int, ...] = ()


@lru_cache(maxsize=32)
def _filter(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
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


@lru_cache(maxsize=32)
def _pieces(old: int, new: int, most: int) -> tuple[_Piece, ...]:
    """Cut the new pixels of one axis into pieces of at most ``most``: first the inner part, then what reaches beyond the borders."""
    index, weights = _filter(old, new)
    inner = np.flatnonzero((index[:, 0] >= 0) & (index[:, -1] < old))
    first, last = (int(inner[0]), int(inner[-1]) + 1) if len(inner) else (new, new)
    alike = weights[first:last]
    is_even = len(alike) > 0 and len(alike[0]) % 2 == 0 and np.abs(alike - alike[0, ::-1]).max() < SAME_WEIGHT
    found = []
    for start, stop, even in ((first, last, bool(is_even)), (0, first, False), (last, new, False)):
        for begin in range(start, stop, most):
            end = min(begin + most, stop)
            found.append(_piece(np.clip(index[begin:end], 0, old - 1), weights[begin:end], begin, even))
    return tuple(found)


def _piece(index: NDArray[np.intp], weights: NDArray[np.float32], begin: int, is_even: bool) -> _Piece:
    low, high = int(index.min()), int(index.max()) + 1
    taps = tuple(_evenly(column - low) for column in index.T)
    makes, reads = slice(begin, begin + len(index)), slice(low, high)
    return _Piece(makes, reads, taps, np.ascontiguousarray(weights.T), is_even, _shares(weights[0]) if is_even else ())


def _shares(weights: NDArray[np.float32]) -> tuple[int, ...]:
    """Return weights as multiples of the smallest, if they are such exactly and it is a power of two; else nothing."""
    parts = weights / weights[0]
    is_exact = (parts == np.rint(parts)).all() and np.frexp(weights[0])[0] == 0.5
    return tuple(parts.astype(int).tolist()) if is_exact else ()


def _evenly(chosen: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Turn evenly spaced indices (a whole reduction factor, or a single one) into a slice, which reads several times faster."""
    step = int(chosen[1] - chosen[0]) if len(chosen) > 1 else 1
    if step > 0 and (np.diff(chosen) == step).all():
        return slice(int(chosen[0]), int(chosen[-1]) + 1, step)
    return chosen


def _weigh(
    picked: Sequence[FloatImage], weights: Sequence[NDArray[np.float32]], is_even: bool, out: FloatImage
) -> None:
    """Add up what the taps picked."""
    taps = len(picked)
    if is_even:
        np.add(picked[0], picked[-1], out=out)
        out *= weights[0].flat[0]
        for tap in range(1, taps // 2):
            pair = picked[tap] + picked[taps - 1 - tap]
            pair *= weights[tap].flat[0]
            out += pair
        return
    np.multiply(picked[0], weights[0], out=out)
    for tap in range(1, taps):
        out += picked[tap] * weights[tap]


def _along_columns(image: FloatImage, new: int) -> FloatImage:
    """Reduce the second axis."""
    out = np.empty((len(image), new), dtype=np.float32)
    inner, *borders = _pieces(image.shape[1], new, new)
    phases: dict[tuple[int, int], FloatImage] = {}
    if inner.is_even and image.shape[1] % new == 0:
        _in_one_line(image, inner, out)
    else:
        borders = [inner, *borders]
    for piece in borders:
        picked = [_columns(image, tap, piece.reads.start, phases) for tap in piece.taps]
        _weigh(picked, list(piece.weights), piece.is_even, out[:, piece.makes])
    return out


def _in_one_line(image: FloatImage, inner: _Piece, out: FloatImage) -> None:
    """Reduce the second axis by a whole factor, all rows as one long row, which is what processors like best.

    Copies of every n-th columns are as wide as the new image. Sums that reach over the end of a row are wrong; they stand where the
    borders will be written.
    """
    step = image.shape[1] // out.shape[1]
    lines = [np.ascontiguousarray(image[:, phase::step]).ravel() for phase in range(step)]
    count = out.size - (out.shape[1] - inner.weights.shape[1])
    starts = [inner.reads.start + tap.start for tap in inner.taps if isinstance(tap, slice)]
    picked = [lines[start % step][start // step :][:count] for start in starts]
    _weigh(picked, list(inner.weights[:, 0]), True, out.ravel()[inner.makes.start :][:count])


def _columns(
    image: FloatImage, tap: slice | NDArray[np.intp], first: int, phases: dict[tuple[int, int], FloatImage]
) -> FloatImage:
    """Read columns; every n-th ones from a copy in which they lie side by side, since arithmetic on strided columns is slow."""
    if not isinstance(tap, slice):
        return image[:, tap + first]
    start, count = tap.start + first, len(range(tap.start, tap.stop, tap.step))
    phase = (start % tap.step, tap.step)
    if phase not in phases:
        phases[phase] = np.ascontiguousarray(image[:, phase[0] :: tap.step])
    return phases[phase][:, start // tap.step : start // tap.step + count]


def resample(image: NDArray[np.generic], new: tuple[int, int], factor: NDArray[np.generic] | None = None) -> FloatImage:
    """Resample (rows, columns) to a smaller size without padding; ``factor`` (0 or 1, of the image's type) multiplies the old pixels.

    Rows are reduced a few at a time, so that what lies in between stays in the processor's cache.
    """
    reduced = np.empty((new[0], image.shape[1]), dtype=np.float32)
    for piece in _pieces(image.shape[0], new[0], ROWS_AT_ONCE):
        old = image[piece.reads]
        rows = old if factor is None else np.multiply(old, factor[piece.reads])
        if _fits(rows, piece.shares):
            _weigh_exactly([rows[tap] for tap in piece.taps], piece, reduced[piece.makes])
            continue
        floats = rows.astype(np.float32)
        _weigh(
            [floats[tap] for tap in piece.taps], list(piece.weights[:, :, None]), piece.is_even, reduced[piece.makes]
        )
    return _along_columns(reduced, new[1])


def _fits(rows: NDArray[np.generic], shares: tuple[int, ...]) -> bool:
    """True if 16-bit numbers hold all sums, as with most CT: they are exact like those of float32, and several times faster."""
    if not shares or rows.dtype != np.int16:
        return False
    most = _INT16 // sum(shares)
    return bool(rows.max() <= most and rows.min() >= -most)


def _weigh_exactly(picked: Sequence[NDArray[Any]], piece: _Piece, out: FloatImage) -> None:
    """Add up what the taps picked in whole numbers; the last step has nothing to round either."""
    taps = len(picked)
    total = picked[0] + picked[-1]
    for tap in range(1, taps // 2):
        pair = picked[tap] + picked[taps - 1 - tap]
        pair *= piece.shares[tap]
        total += pair
    np.multiply(total, piece.weights[0, 0], out=out)


class _LastMask:
    """The mask seen last and what follows from it: the round field of view of a scanner is the same on every slice."""

    valid: NDArray[np.bool_] | None = None
    factor: NDArray[np.generic] = np.empty((0, 0), dtype=np.float32)
    still: NDArray[np.bool_] = np.empty((0, 0), dtype=bool)
    inverse: FloatImage = np.empty((0, 0), dtype=np.float32)


def _after_mask(
    valid: NDArray[np.bool_], new: tuple[int, int], dtype: np.dtype[np.generic]
) -> tuple[NDArray[np.generic], NDArray[np.bool_], FloatImage]:
    """Return the mask as numbers, that of true pixels of the new image, and one over the weight that fell on them (0 where padding)."""
    last = _LastMask
    if last.valid is None or last.still.shape != new or not np.array_equal(valid, last.valid):
        weight = resample(valid, new)
        last.valid, last.factor, last.still = valid, valid.astype(dtype), weight >= LEAST_WEIGHT
        last.inverse = np.where(last.still, 1 / np.maximum(weight, LEAST_WEIGHT), 0).astype(np.float32)
    if last.factor.dtype != dtype:
        last.factor = valid.astype(dtype)
    return last.factor, last.still, last.inverse


def resample_masked(
    image: NDArray[np.generic], valid: NDArray[np.bool_], new: tuple[int, int]
) -> tuple[FloatImage, NDArray[np.bool_]]:
    """Resample true pixels only; padding never blends into them.

    Returns
    -------
    The new image (0 where padding) and the new mask of true pixels.
    """
    factor, still, inverse = _after_mask(valid, new, image.dtype)
    total = resample(image, new, factor)
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
