"""Small pictures without a plotting library: grey images with coloured contours, as PNG."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]  # (rows, columns, 3)
Colour = tuple[int, int, int]


def enlarged(grey: NDArray[np.uint8], longer_side: int) -> tuple[Rgb, float]:
    """Show true pixels as squares in a picture of about ``longer_side``; returns it and picture pixels per image pixel."""
    rows, columns = grey.shape
    zoom = longer_side / max(rows, columns)
    j = np.minimum((np.arange(round(rows * zoom)) / zoom).astype(int), rows - 1)
    i = np.minimum((np.arange(round(columns * zoom)) / zoom).astype(int), columns - 1)
    return np.repeat(grey[np.ix_(j, i)][:, :, None], 3, axis=2), zoom


def draw(picture: Rgb, points_ij: FloatArray, colour: Colour, *, closed: bool) -> None:
    """Draw a line through points (n, 2) = (column, row), in place."""
    ends = np.roll(points_ij, -1, axis=0) if closed else points_ij[1:]
    for start, end in zip(points_ij, ends, strict=False):
        count = int(np.ceil(np.abs(end - start).max() * 2)) + 1
        i, j = np.rint(np.linspace(start, end, count)).astype(int).T
        inside = (i >= 0) & (j >= 0) & (i < picture.shape[1]) & (j < picture.shape[0])
        picture[j[inside], i[inside]] = colour


def beside(left: Rgb, right: Rgb, gap: int = 8) -> Rgb:
    """Put two pictures beside each other."""
    rows = max(len(left), len(right))
    both = np.zeros((rows, left.shape[1] + gap + right.shape[1], 3), dtype=np.uint8)
    both[: len(left), : left.shape[1]] = left
    both[: len(right), left.shape[1] + gap :] = right
    return both


def png(picture: Rgb) -> bytes:
    """Encode a picture as PNG (ISO/IEC 15948), with filter type 0 on every row."""
    rows, columns, _ = picture.shape
    raw = np.concatenate([np.zeros((rows, 1), np.uint8), picture.reshape(rows, -1)], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    chunks: Sequence[tuple[bytes, bytes]] = ((b"IHDR", header), (b"IDAT", zlib.compress(raw, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
