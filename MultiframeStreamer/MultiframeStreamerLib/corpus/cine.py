"""Large cine objects made on the spot, in the layouts that writers choose: for tests and measurements."""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib.pixels_encode import encode_frame

from MultiframeStreamerLib.corpus.writer import DELIMITER, ITEM, Writer, padded, text
from MultiframeStreamerLib.syntaxes import JPEG_BASELINE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PIECES = 4  # fragments of a frame in the fragmented layout
_MILLISECONDS = 40.0


class Layout(enum.StrEnum):
    """How frames are laid out in the pixel data."""

    BASIC = "basic table"
    EMPTY = "empty table"
    EXTENDED = "extended table"
    FRAGMENTS = "four fragments a frame, empty table"


def write_cine(
    path: Path,
    frames: int,
    encoded: Callable[[int], bytes],
    layout: Layout = Layout.EMPTY,
    *,
    rows: int,
    columns: int,
    syntax: str = JPEG_BASELINE,
    number: int = 0,
    **more: Any,
) -> None:
    """Write a cine object frame by frame; ``encoded(i)`` gives the code stream of frame ``i``.

    Parameters
    ----------
    number : fixes the UIDs; two objects with the same number are the same to a server.
    more : passed on to `Writer` (samples, photometric, bits, extra).
    """
    extra: dict[int, tuple[str, bytes]] = {
        0x00181063: ("DS", text(f"{_MILLISECONDS:g}")),
        0x00280009: ("AT", struct.pack("<HH", 0x0018, 0x1063)),
    } | more.pop("extra", {})
    sizes = [len(padded(encoded(i))) for i in range(frames)]
    if layout is Layout.EXTENDED:
        offsets = [0]
        for size in sizes[:-1]:
            offsets.append(offsets[-1] + size + 8)
        extra[0x7FE00001] = ("OV", struct.pack(f"<{frames}Q", *offsets))
        extra[0x7FE00002] = ("OV", struct.pack(f"<{frames}Q", *sizes))
    writer = Writer(syntax, frames=frames, rows=rows, columns=columns, extra=extra, number=number, **more)
    with path.open("wb") as stream:
        stream.write(writer.meta() + writer.dataset() + writer.pixels(b"", length=0xFFFFFFFF))
        table = _basic(sizes) if layout is Layout.BASIC else b""
        stream.write(ITEM + struct.pack("<I", len(table)) + table)
        for index in range(frames):
            for piece in _pieces(padded(encoded(index)), _PIECES if layout is Layout.FRAGMENTS else 1):
                stream.write(ITEM + struct.pack("<I", len(piece)))
                stream.write(piece)
        stream.write(DELIMITER)


def _basic(sizes: list[int]) -> bytes:
    offsets, position = [], 0
    for size in sizes:
        offsets.append(position % (1 << 32))
        position += size + 8
    return struct.pack(f"<{len(offsets)}I", *offsets)


def _pieces(frame: bytes, count: int) -> list[bytes]:
    size = (len(frame) // count) & ~1
    return [frame[i * size : (i + 1) * size] for i in range(count - 1)] + [frame[(count - 1) * size :]]


class JpegFrames:
    """JPEG code streams for any number of frames: a few pictures in turn, each stream with its number in a comment.

    Parameters
    ----------
    size : bytes every stream is stretched to with a comment, 0 to leave it; so a small picture can stand for a large one.
    """

    def __init__(
        self, rows: int, columns: int, *, different: int = 24, size: int = 0, quality: int = 90, noise: float = 12
    ) -> None:
        self._streams = [
            encode_frame(heart(rows, columns, i / different, noise), JPEG_BASELINE, quality=quality)
            for i in range(different)
        ]
        self._size = size

    def __call__(self, index: int) -> bytes:
        """Return the code stream of frame ``index``."""
        stream = self._streams[index % len(self._streams)]
        label = struct.pack(">I", index)
        parts = [b"\xff\xfe" + struct.pack(">H", 2 + len(label)) + label]
        missing = self._size - len(stream) - 8
        while missing > 4:
            content = min(missing - 4, 65532)
            parts.append(b"\xff\xfe" + struct.pack(">H", content + 2) + bytes(content))
            missing -= content + 4
        return stream[:2] + b"".join(parts) + stream[2:]

    def number_of(self, stream: bytes) -> int:
        """Return which frame a code stream is."""
        return int(struct.unpack(">I", stream[6:10])[0])


def heart(rows: int, columns: int, phase: float, noise: float = 12) -> NDArray[Any]:
    """Return an ultrasound-like picture of a beating cavity, 8 bits; ``phase`` runs from 0 to 1."""
    import numpy as np

    random = np.random.default_rng(int(phase * 1000) + 1)
    j, i = np.mgrid[0:rows, 0:columns]
    y, x = (j - rows * 0.08) / rows, (i - columns / 2) / columns
    radius, angle = np.hypot(y, x), np.arctan2(x, np.maximum(y, 1e-6))
    beat = 1 + 0.22 * np.sin(2 * np.pi * phase)
    tissue = 105 + 35 * np.sin(42 * radius) * np.cos(9 * angle) + random.normal(0, noise, (rows, columns))
    for center_y, center_x, size in (
        (0.42, -0.09, 0.155),
        (0.42, 0.13, 0.115),
        (0.70, -0.08, 0.10),
        (0.70, 0.12, 0.09),
    ):
        cavity = np.hypot((y - center_y) / 1.25, x - center_x) / (size * (beat if center_y < 0.5 else 2 - beat))
        tissue = np.where(cavity < 1, 14 + 0.12 * tissue, tissue + 70 * np.exp(-(((cavity - 1.06) / 0.06) ** 2)))
    inside = (y > 0) & (np.abs(angle) < 0.72) & (radius < 0.9) & (radius > 0.02)
    picture: NDArray[Any] = np.where(inside, np.clip(tissue * (1.12 - 0.45 * radius), 0, 255), 0).astype(np.uint8)
    return picture
