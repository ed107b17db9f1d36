"""Frames for the corpus: small, each different, so that a frame taken for another one shows."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib.pixels_encode import encode_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

ROWS, COLUMNS, FRAMES = 18, 22, 5  # odd numbers of bits per row and frame; no dimension equals another


def grey(index: int, *, bits: int = 8, rows: int = ROWS, columns: int = COLUMNS, signed: bool = False) -> Array:
    """Return a ramp with a bright square whose place tells the frame."""
    import numpy as np

    j, i = np.mgrid[0:rows, 0:columns]
    top = (1 << bits) - 1
    image = (j * 3 + i * 5 + index * 17) * (top // 255 or 1) % (top + 1)
    image[2 + index % (rows - 6) : 6 + index % (rows - 6), 3:8] = top - index
    if signed:
        image = image - (1 << (bits - 1))
    typed: Array = image.astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")
    return typed


def colour(index: int, *, rows: int = ROWS, columns: int = COLUMNS) -> Array:
    """Return an RGB image of smooth, frame-dependent colours."""
    import numpy as np

    j, i = np.mgrid[0:rows, 0:columns]
    planes = [(i * 9 + index * 20) % 256, (j * 12 + index * 10) % 256, np.full_like(i, (40 * index + 30) % 256)]
    return np.stack(planes, axis=-1).astype(np.uint8)


def bits(index: int, *, rows: int = ROWS, columns: int = COLUMNS) -> Array:
    """Return a binary image."""
    import numpy as np

    j, i = np.mgrid[0:rows, 0:columns]
    image: Array = ((i * 7 + j * 3 + index * 5) % 11 < 4).astype(np.uint8)
    return image


@cache
def coded(syntax: str, index: int, kind: str = "grey", depth: int = 8) -> bytes:
    """Return a frame encoded for a transfer syntax."""
    return encode_frame(colour(index) if kind == "colour" else grey(index, bits=depth), syntax)


def rle(image: Array) -> bytes:
    """Encode a grey image as DICOM RLE with literal runs and repeats (PS3.5 annex G)."""
    import struct

    size = image.dtype.itemsize
    planes = [image.reshape(-1).view("u1")[size - 1 - plane :: size].tobytes() for plane in range(size)]
    segments = [_packbits(plane) for plane in planes]
    offsets, position = [], 64
    for segment in segments:
        offsets.append(position)
        position += len(segment)
    header = struct.pack("<16I", size, *offsets, *[0] * (15 - size))
    return header + b"".join(segments)


def _packbits(data: bytes) -> bytes:
    packed, at = bytearray(), 0
    while at < len(data):
        run = 1
        while run < 128 and at + run < len(data) and data[at + run] == data[at]:
            run += 1
        if run > 2:
            packed += bytes((257 - run, data[at]))
        else:
            run = min(128, len(data) - at) if len(data) - at < 3 else 2
            packed += bytes((run - 1,)) + data[at : at + run]
        at += run
    return bytes(packed + b"\0" * (len(packed) % 2))
