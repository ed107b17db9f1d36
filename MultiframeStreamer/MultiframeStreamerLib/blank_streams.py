"""Blank frames of every codec, stretched to a given length so that items, tables and offsets need not change."""

from __future__ import annotations

import struct
import zlib

from DicomWorkbenchLib.errors import PixelDataError
from DicomWorkbenchLib.pixels_encode import JPEG_BASELINE, JPEG_LOSSLESS, encode_frame

from .pixel_format import PixelFormat
from .syntaxes import DEFLATED_FRAMES, ENCAPSULATED_UNCOMPRESSED, RLE, Family

_RLE_NOTHING = b"\x80"  # the run that stands for nothing (PS3.5 G.3.1)
_LONGEST_COMMENT = 65533  # bytes of a JPEG comment's content
_SAME_ENCODER = {"51": JPEG_BASELINE, "57": JPEG_LOSSLESS, "81": "80", "91": "90", "203": "202"}


def blank_frame(pixels: PixelFormat, syntax: str) -> bytes:
    """Return the shortest code stream of an all-zero frame.

    Raises
    ------
    PixelDataError, DependencyError : no encoder here can make one.
    """
    import numpy as np

    zeros = np.zeros(pixels.shape, pixels.dtype)
    if syntax == RLE:
        return _blank_rle(pixels)
    if syntax == DEFLATED_FRAMES:
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        return packer.compress(zeros.tobytes()) + packer.flush()
    if syntax == ENCAPSULATED_UNCOMPRESSED:
        return bytes((pixels.frame_bits(native=True) + 7) // 8)
    root, _, last = syntax.rpartition(".")
    other = _SAME_ENCODER.get(last, last) if root.endswith("1.2.4") else last
    if syntax.endswith(".51") and pixels.bits_stored > 8:
        raise PixelDataError("no encoder for 12 bit JPEG")
    return encode_frame(zeros, other if "." in other else f"{root}.{other}", quality=50)


def _blank_rle(pixels: PixelFormat) -> bytes:
    """One repeat run after the other, at most 128 bytes each (PS3.5 annex G)."""
    count = pixels.rows * pixels.columns
    segment = b"\x81\0" * (count // 128)
    if count % 128:
        segment += bytes((257 - count % 128, 0)) if count % 128 > 1 else b"\0\0"
    segments = pixels.samples * pixels.sample_bytes
    offsets = [64 + i * len(segment) for i in range(segments)]
    return struct.pack("<16I", segments, *offsets, *[0] * (15 - segments)) + segment * segments


def fitted(blank: bytes, length: int, family: Family) -> bytes:
    """Stretch a blank code stream to a length; where it does not fit, its beginning keeps the place."""
    if not blank or len(blank) > length:
        return blank[:length].ljust(length, b"\0")
    if family is Family.RLE:
        return blank + _RLE_NOTHING * (length - len(blank))
    if family in (Family.JPEG, Family.JPEG_LS):
        return _with_comments(blank, length - len(blank))
    return blank + bytes(length - len(blank))


def _with_comments(stream: bytes, surplus: int) -> bytes:
    """Fill a JPEG with comments behind its start marker, so that it still ends with its end marker."""
    tail = surplus % 2  # a padding byte may follow the end marker
    surplus -= tail
    comments = bytearray()
    while surplus >= 4:
        content = min(surplus - 4, _LONGEST_COMMENT - 1)
        comments += b"\xff\xfe" + struct.pack(">H", content + 2) + bytes(content)
        surplus -= content + 4
    fill = b"\xff" * surplus  # two bytes that are left over: fill bytes before a marker
    return stream[:2] + bytes(comments) + fill + stream[2:] + bytes(tail)
