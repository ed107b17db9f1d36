"""Where the bytes of each frame lie in the pixel data of a file, native or encapsulated.

References
----------
DICOM PS3.5 8.1.1 (native), A.4 (encapsulated: items, basic offset table)
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from itertools import pairwise
from typing import TypeAlias

from DicomWorkbenchLib.errors import PixelDataError
from DicomWorkbenchLib.headers_parse import UNDEFINED
from DicomWorkbenchLib.pixels_format import PixelFormat

Stream: TypeAlias = io.FileIO | io.BytesIO
Span = tuple[int, int]  # offset, count of bytes
FrameBytes = Callable[[int], bytes]

_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
# First bytes of a compressed image: JPEG and JPEG-LS, JPEG 2000 and HTJ2K, JPEG XL (code stream, container).
_IMAGE_STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")


def native_frame_bytes(stream: Stream, start: int, length: int, form: PixelFormat, index: int) -> tuple[bytes, int]:
    """Return the bytes that hold frame ``index``, and the bit of the first of them at which it starts.

    Raises
    ------
    PixelDataError : the pixel data end before the frame does.
    """
    first_bit = index * form.frame_bits
    first, last = first_bit // 8, (first_bit + form.frame_bits + 7) // 8
    if last > length:
        form.check_length(length)
    before = first % 2 if form.swapped else 0
    stream.seek(start + first - before)
    data = stream.read(last - first + before + (last % 2 if form.swapped else 0))
    if form.swapped:
        data = _swapped(data)[before : before + last - first]
    if len(data) < last - first:
        raise PixelDataError("the file ends before its pixel data do")
    return data, first_bit % 8


def _swapped(data: bytes) -> bytes:
    even = bytearray(data[: len(data) // 2 * 2])
    even[0::2], even[1::2] = even[1::2], even[0::2]
    return bytes(even)


def encapsulated_spans(stream: Stream, start: int, frames: int) -> list[list[Span]]:
    """Return for each frame where its fragments lie.

    Parameters
    ----------
    stream, start : the file and the first byte of the pixel data's value.
    frames : NumberOfFrames.

    Raises
    ------
    PixelDataError : the items are broken, or nothing says which fragment belongs to which frame.
    """
    items = _items(stream, start)
    if not items:
        raise PixelDataError("the compressed pixel data are empty")
    table, fragments = items[0], items[1:]
    if not fragments:
        raise PixelDataError("the compressed pixel data hold no image")
    if frames == 1:
        return [fragments]
    if len(fragments) == frames:
        return [[fragment] for fragment in fragments]
    starts = _table_starts(stream, table, fragments, frames) or _marked_starts(stream, fragments)
    if len(starts) != frames:
        raise PixelDataError(f"{len(fragments)} fragments cannot be shared out to {frames} frames")
    return [fragments[first:last] for first, last in pairwise([*starts, len(fragments)])]


def _items(stream: Stream, start: int) -> list[Span]:
    """Walk the items; a missing delimiter at the end of the file is tolerated, a cut item is not."""
    end = stream.seek(0, 2)
    spans, offset = [], start
    while offset + 8 <= end:
        stream.seek(offset)
        group, element, count = struct.unpack("<HHI", stream.read(8))
        tag = group << 16 | element
        if tag == _SEQUENCE_END:
            break
        if tag != _ITEM or count == UNDEFINED:
            raise PixelDataError(f"({group:04x},{element:04x}) stands where a fragment of pixel data was expected")
        if offset + 8 + count > end:
            raise PixelDataError(f"the file is cut off: {offset + 8 + count - end} bytes of its pixel data are missing")
        spans.append((offset + 8, count))
        offset += 8 + count
    return spans


def _table_starts(stream: Stream, table: Span, fragments: list[Span], frames: int) -> list[int]:
    """Return the number of each frame's first fragment from the basic offset table; empty if that cannot be right."""
    if table[1] != 4 * frames:
        return []
    stream.seek(table[0])
    offsets = struct.unpack(f"<{frames}I", stream.read(table[1]))
    origin = table[0] + table[1]
    number = {fragment[0] - 8 - origin: place for place, fragment in enumerate(fragments)}
    starts = [number.get(offset, -1) for offset in offsets]
    ascending = all(one < other for one, other in pairwise(starts))
    return starts if starts[0] == 0 and ascending else []


def _marked_starts(stream: Stream, fragments: list[Span]) -> list[int]:
    """Return the numbers of the fragments that begin like a compressed image."""
    starts = []
    for number, (offset, _) in enumerate(fragments):
        stream.seek(offset)
        if stream.read(8).startswith(_IMAGE_STARTS):
            starts.append(number)
    return starts if starts[:1] == [0] else []


def joined(stream: Stream, spans: list[Span]) -> bytes:
    """Read the fragments of one frame."""
    parts = []
    for offset, count in spans:
        stream.seek(offset)
        parts.append(stream.read(count))
    return b"".join(parts)
