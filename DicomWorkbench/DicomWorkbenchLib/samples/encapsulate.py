"""Encapsulated pixel data in every layout a file may have (PS3.5 A.4), valid ones and one that lies."""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from imagecodecs import packbits_encode
from pydicom.dataset import Dataset

_ITEM = b"\xfe\xff\x00\xe0"


class Table(enum.StrEnum):
    """How a file tells where its frames begin."""

    FILLED = "basic offset table"
    EMPTY = "empty basic offset table"
    EXTENDED = "extended offset table"
    LYING = "lying basic offset table"  # entries that point between the items
    SHIFTED = "shifted basic offset table"  # entries that point to items that begin no frame


@dataclass(frozen=True)
class Layout:
    """The way frames are laid into a file.

    Attributes
    ----------
    table : the offset table.
    fragments : how many fragments a frame is cut into.
    """

    table: Table
    fragments: int = 1

    @property
    def valid(self) -> bool:
        """False where the file tells an untruth on purpose."""
        return self.table not in (Table.LYING, Table.SHIFTED)


def set_pixel_data(dataset: Dataset, frames: Sequence[bytes], layout: Layout) -> None:
    """Lay encoded frames into a data set.

    Parameters
    ----------
    frames : encoded frames; those of odd length get a zero byte at their end.
    """
    pieces = [_cut(frame, layout.fragments) for frame in frames]
    sizes = [sum(8 + len(piece) for piece in parts) for parts in pieces]
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    table = _basic_table(layout.table, offsets, sum(sizes), len(pieces[0][0]))
    items = b"".join(_item(piece) for parts in pieces for piece in parts)
    dataset.PixelData = _item(table) + items  # pydicom adds the sequence delimiter
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    if layout.table is Table.EXTENDED:
        dataset.ExtendedOffsetTable = struct.pack(f"<{len(offsets)}Q", *offsets)
        dataset.ExtendedOffsetTableLengths = struct.pack(f"<{len(frames)}Q", *(len(frame) for frame in frames))


def rle_frame(picture: np.ndarray) -> bytes:
    """Encode a picture of 8-bit samples, shape (rows, columns, samples), as one RLE Lossless frame (PS3.5 annex G)."""
    segments = []
    for sample in range(picture.shape[2]):
        packed = b"".join(packbits_encode(row.tobytes()) for row in np.ascontiguousarray(picture[..., sample]))
        segments.append(packed + b"\0" * (len(packed) % 2))
    starts = np.cumsum([64, *map(len, segments[:-1])])
    header = struct.pack("<16I", len(segments), *starts, *([0] * (15 - len(segments))))
    return header + b"".join(segments)


def _basic_table(table: Table, offsets: np.ndarray, total: int, first_fragment: int) -> bytes:
    if table in (Table.EMPTY, Table.EXTENDED):
        return b""
    if table is Table.LYING:
        offsets = np.arange(len(offsets)) * (total // len(offsets) // 2 * 2)
    elif table is Table.SHIFTED:
        offsets = np.where(offsets > 0, offsets, 0)
        offsets[1:] = offsets[:-1]  # every frame after the first claims the place of the one before it
        offsets[1] = 8 + first_fragment  # and the second begins in the middle of the first
    return struct.pack(f"<{len(offsets)}I", *offsets.tolist())


def _cut(frame: bytes, count: int) -> list[bytes]:
    """Cut a frame into pieces of unequal, even length."""
    frame += b"\0" * (len(frame) % 2)
    shares = np.cumsum(np.arange(1, count + 1)) / (count * (count + 1) / 2)
    ends = [int(len(frame) * share) // 2 * 2 for share in shares[:-1]] + [len(frame)]
    return [frame[first:last] for first, last in zip([0, *ends[:-1]], ends, strict=True)]


def _item(content: bytes) -> bytes:
    return _ITEM + struct.pack("<I", len(content)) + content
