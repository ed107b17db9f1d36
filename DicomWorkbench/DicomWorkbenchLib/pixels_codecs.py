"""Bytes of one compressed frame to an array, by imagecodecs.

Every codec here is under a permissive licence. Where imagecodecs is not installed (inside Slicer), `pixels` asks pydicom's plugins.

References
----------
DICOM PS3.5 A.4.1 to A.4.12 and PS3.6 annex A (transfer syntaxes)
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from DicomWorkbenchLib.codestreams import describe, problem_of
from DicomWorkbenchLib.errors import PixelDataError
from DicomWorkbenchLib.pixels_format import PixelFormat
from DicomWorkbenchLib.pixels_native import PixelArray, native_frame, to_rgb, without_unused_bits

_UID = "1.2.840.10008.1.2"
DEFLATED_FRAME = f"{_UID}.8.1"
UNCOMPRESSED_FRAME = f"{_UID}.1.98"
RLE = f"{_UID}.5"
JPEG_LOSSY = frozenset({f"{_UID}.4.50", f"{_UID}.4.51"})
JPEG_LOSSLESS = frozenset({f"{_UID}.4.57", f"{_UID}.4.70"})
JPEG_LS = frozenset({f"{_UID}.4.80", f"{_UID}.4.81"})
JPEG_2000 = frozenset({f"{_UID}.4.90", f"{_UID}.4.91", f"{_UID}.4.92", f"{_UID}.4.93"})
HTJ2K = frozenset({f"{_UID}.4.201", f"{_UID}.4.202", f"{_UID}.4.203"})
JPEG_XL = frozenset({f"{_UID}.4.110", f"{_UID}.4.111", f"{_UID}.4.112"})
VIDEO = frozenset(f"{_UID}.4.{last}" for last in (100, 101, 102, 103, 104, 105, 106, 107, 108))
BY_ZLIB = frozenset({DEFLATED_FRAME, UNCOMPRESSED_FRAME})  # need no codec package
WITHOUT_STREAM = BY_ZLIB | {RLE}  # no code stream that tells its own size


def decode_frame(data: bytes, form: PixelFormat) -> PixelArray:
    """Return a frame (rows, columns) or (rows, columns, samples), colour as RGB.

    Raises
    ------
    PixelDataError : the bytes are broken, have another size than the header says, or the transfer syntax is not known.
    """
    decode = _decoder(form.transfer_syntax_uid)
    if form.transfer_syntax_uid not in WITHOUT_STREAM and (
        problem := problem_of(data, form.rows, form.columns, form.samples, form.bits_allocated)
    ):
        raise PixelDataError(f"the compressed pixel data cannot be decoded: {problem}")
    try:
        values = decode(data, form)
    except PixelDataError:
        raise
    except (RuntimeError, ValueError, TypeError, OverflowError, MemoryError, zlib.error, struct.error) as error:
        raise PixelDataError(f"the compressed pixel data cannot be decoded: {error}") from error
    expected = (form.rows, form.columns) if form.samples == 1 else (form.rows, form.columns, form.samples)
    if values.shape != expected:
        raise PixelDataError(f"the compressed image is {values.shape} pixels large, the header says {expected}")
    return _as_stored(values, form)


def _decoder(syntax: str) -> Callable[[bytes, PixelFormat], PixelArray]:
    if syntax == RLE:
        return _rle
    if syntax in BY_ZLIB:
        return _deflated if syntax == DEFLATED_FRAME else _uncompressed
    for syntaxes, decoder in _DECODERS.items():
        if syntax in syntaxes:
            return decoder
    if syntax in VIDEO:
        raise PixelDataError("the images are a video stream, which has no single frames; convert it to images first")
    raise PixelDataError(f"the transfer syntax {syntax or '(none)'} is not known; convert the files first")


def _as_stored(values: PixelArray, form: PixelFormat) -> PixelArray:
    """Give decoded values the type and sign that the header promises."""
    if form.samples > 1:
        return values if values.dtype == form.dtype else values.astype(form.dtype)
    precision = min(form.bits_stored, values.dtype.itemsize * 8)
    unsigned = values.view(f"u{values.dtype.itemsize}").astype(f"u{form.dtype.itemsize}")
    stored = unsigned.view(form.dtype)
    # Code streams do not always carry the sign, so the header decides: the topmost stored bit is the sign, or none.
    unused = form.dtype.itemsize * 8 - precision
    if unused and form.signed:
        np.left_shift(stored, unused, out=stored)
        np.right_shift(stored, unused, out=stored)
    elif unused:
        np.bitwise_and(stored, stored.dtype.type((1 << precision) - 1), out=stored)
    return stored


def _jpeg(data: bytes, form: PixelFormat) -> PixelArray:
    import imagecodecs

    if form.samples == 1:
        return _image(imagecodecs.jpeg8_decode(data))
    return _image(imagecodecs.jpeg8_decode(data, colorspace=_jpeg_colours(data, form), outcolorspace="RGB"))


def _jpeg_lossless(data: bytes, form: PixelFormat) -> PixelArray:
    import imagecodecs

    try:
        values = _image(imagecodecs.jpeg8_decode(data))
    except RuntimeError:  # libjpeg-turbo is the fastest but declines some unusual streams
        values = _image(imagecodecs.jpegsof3_decode(data))
    return values if form.samples == 1 else to_rgb(values, form.photometric)


def _jpeg_ls(data: bytes, form: PixelFormat) -> PixelArray:
    import imagecodecs

    values = _image(imagecodecs.jpegls_decode(data))
    return values if form.samples == 1 else to_rgb(values, form.photometric)


def _jpeg_2000(data: bytes, form: PixelFormat) -> PixelArray:
    import imagecodecs

    values = _image(imagecodecs.jpeg2k_decode(data))
    return values if form.samples == 1 else to_rgb(values, form.photometric)


def _htj2k(data: bytes, form: PixelFormat) -> PixelArray:
    import imagecodecs

    values = _image(imagecodecs.htj2k_decode(data))
    return values if form.samples == 1 else to_rgb(values, form.photometric)


def _jpeg_xl(data: bytes, form: PixelFormat) -> PixelArray:
    import imagecodecs

    return _image(imagecodecs.jpegxl_decode(data))


def _rle(data: bytes, form: PixelFormat) -> PixelArray:
    import imagecodecs

    size = form.samples * form.rows * form.columns * form.dtype.itemsize
    decoded = imagecodecs.dicomrle_decode(data, form.dtype, out=size)
    if len(decoded) != size:
        raise PixelDataError(f"the frame has {len(decoded)} bytes after decoding, expected {size}")
    planes = np.frombuffer(bytearray(decoded), form.dtype).reshape(form.samples, form.rows, form.columns)
    values = planes[0] if form.samples == 1 else planes.transpose(1, 2, 0)
    return without_unused_bits(values, form) if form.samples == 1 else to_rgb(values, form.photometric)


def _deflated(data: bytes, form: PixelFormat) -> PixelArray:
    needed = (form.frame_bits + 7) // 8
    return _uncompressed(zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, needed), form)


def _uncompressed(data: bytes, form: PixelFormat) -> PixelArray:
    needed = (form.frame_bits + 7) // 8
    if len(data) < needed:
        raise PixelDataError(f"a frame has {len(data)} bytes, {form.rows} x {form.columns} pixels need {needed}")
    return native_frame(data[:needed], 0, form)


_DECODERS: dict[frozenset[str], Callable[[bytes, PixelFormat], PixelArray]] = {
    JPEG_LOSSY: _jpeg,
    JPEG_LOSSLESS: _jpeg_lossless,
    JPEG_LS: _jpeg_ls,
    JPEG_2000: _jpeg_2000,
    HTJ2K: _htj2k,
    JPEG_XL: _jpeg_xl,
}


def _image(values: Any) -> PixelArray:
    return np.ascontiguousarray(values)


def _jpeg_colours(data: bytes, form: PixelFormat) -> str:
    """Return the colour space of a JPEG stream: what its own markers say, else what the header says."""
    stream = describe(data)
    if stream is None or stream.ycc is None:
        return "RGB" if form.photometric == "RGB" else "YCBCR"
    return "YCBCR" if stream.ycc else "RGB"
