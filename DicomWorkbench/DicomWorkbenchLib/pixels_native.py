"""Bytes of one uncompressed frame to an array."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from DicomWorkbenchLib.pixels_format import PixelFormat

PixelArray = NDArray[Any]


def native_frame(data: bytes, first_bit: int, form: PixelFormat) -> PixelArray:
    """Return a frame (rows, columns) or (rows, columns, samples) in native byte order, colour as RGB.

    Parameters
    ----------
    data : the bytes that hold the frame.
    first_bit : the bit of the first byte at which the frame starts; only frames of 1-bit images start inside a byte.
    form : how the frame is stored.
    """
    if form.bits_allocated == 1 and not form.float_bits:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return bits[first_bit : first_bit + form.frame_bits].reshape(form.rows, form.columns)
    stored = form.dtype.newbyteorder(">" if form.big_endian_pixels else "<")
    values = np.frombuffer(data, stored).astype(form.dtype)
    if form.samples == 1:
        return without_unused_bits(values.reshape(form.rows, form.columns), form)
    if form.photometric == "YBR_FULL_422":
        values = _full_chroma(values, form)
    elif form.planar:
        values = values.reshape(form.samples, form.rows, form.columns).transpose(1, 2, 0)
    return to_rgb(values.reshape(form.rows, form.columns, form.samples), form.photometric)


def without_unused_bits(values: PixelArray, form: PixelFormat) -> PixelArray:
    """Keep the stored bits alone, moved to the low end and with their sign, in place.

    Old images carry overlays in the other bits.
    """
    above = max(form.bits_allocated - form.bits_stored - form.low_bit, 0)
    if form.float_bits or form.bits_allocated == 1 or (above == 0 and form.low_bit == 0):
        return values
    if form.signed or form.low_bit:
        np.left_shift(values, above, out=values)
        np.right_shift(values, above + form.low_bit, out=values)
    else:
        np.bitwise_and(values, values.dtype.type((1 << form.bits_stored) - 1), out=values)
    return values


def to_rgb(values: PixelArray, photometric: str) -> PixelArray:
    """Turn full-range YCbCr (rows, columns, 3) into RGB; anything else is returned as it is.

    References
    ----------
    DICOM PS3.3 C.7.6.3.1.2
    """
    if photometric not in ("YBR_FULL", "YBR_FULL_422") or values.dtype != np.uint8:
        return np.ascontiguousarray(values)
    from pydicom.pixels.processing import convert_color_space

    return np.ascontiguousarray(convert_color_space(np.ascontiguousarray(values), "YBR_FULL", "RGB"))


def _full_chroma(values: PixelArray, form: PixelFormat) -> PixelArray:
    """Give each pixel of a 4:2:2 frame (Y1 Y2 Cb Cr) its own colour samples."""
    pairs = values.reshape(-1, 4)
    full = np.empty((len(pairs) * 2, 3), values.dtype)
    full[0::2, 0], full[1::2, 0] = pairs[:, 0], pairs[:, 1]
    full[:, 1], full[:, 2] = np.repeat(pairs[:, 2], 2), np.repeat(pairs[:, 3], 2)
    return full.reshape(form.rows, form.columns, 3)
