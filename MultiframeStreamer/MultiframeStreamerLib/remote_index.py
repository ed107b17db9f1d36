"""The index of a file behind a network: a good offset table is taken on trial, and each frame is checked when it is read.

Walking along 5,000 items would cost 5,000 journeys. So a table whose sampled entries land on items is used at once; a frame is then
fetched with one request, from its entry to the next one, and its items must fill that range exactly.
"""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass, field

from DicomWorkbenchLib.errors import PixelDataError

from .items import Items
from .pixel_format import PixelFormat
from .sources import ByteSource
from .syntaxes import Syntax, frame_begins
from .tables import Table

_SAMPLES = 8  # entries looked at before a table is taken on trial
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"


@dataclass
class TableIndex:
    """Positions of frames by an offset table alone."""

    frames: int
    starts: list[int]
    size_of_source: int
    true_lengths: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    witness: str = ""
    table: str = "basic"

    def span(self, index: int) -> tuple[int, int] | None:
        """Return None: the exact range is known only after reading."""
        return None

    def size(self, index: int) -> int:
        """Bytes of a stored frame where the table says so, else 0."""
        return self.true_lengths[index] if self.true_lengths else 0

    def read(self, source: ByteSource, index: int) -> bytes:
        """Fetch a frame and take it out of its items.

        Raises
        ------
        PixelDataError : the range does not hold whole items; the table was wrong here.
        """
        start = self.starts[index]
        last = index + 1 == len(self.starts)
        raw = self._last(source, start) if last else source.read_at(start, self.starts[index + 1] - start)
        data = _from_items(raw, last)
        if data is None:
            raise PixelDataError(f"{source.name}: frame {index + 1} does not lie where the offset table says")
        return data[: self.true_lengths[index]] if self.true_lengths else data

    def _last(self, source: ByteSource, start: int) -> bytes:
        """Read the last frame item by item: how far it goes is not in the table."""
        pieces: list[bytes] = []
        position = start
        while True:
            head = source.read_at(position, 8)
            if len(head) < 8 or head[:4] != _ITEM:
                return b"".join(pieces)
            length = struct.unpack("<I", head[4:])[0]
            if position + 8 + length > self.size_of_source:
                return b"".join(pieces) + head
            pieces.append(head + source.read_at(position + 8, length))
            position += 8 + length


def _from_items(raw: bytes, last: bool) -> bytes | None:
    """Join the values of items that fill ``raw`` exactly; None if they do not."""
    pieces: list[bytes] = []
    position = 0
    while position < len(raw):
        if raw[position : position + 4] != _ITEM or position + 8 > len(raw):
            return None
        length = struct.unpack_from("<I", raw, position + 4)[0]
        if position + 8 + length > len(raw):
            return None
        pieces.append(raw[position + 8 : position + 8 + length])
        position += 8 + length
    return b"".join(pieces) if pieces else None


def table_index(
    source: ByteSource, items: Items, syntax: Syntax, pixels: PixelFormat, tables: list[Table]
) -> TableIndex | None:
    """Return an index by the first table whose number of entries is right and whose samples land on frames."""
    for table in tables:
        positions = table.positions(items.first_item)
        count = len(positions)
        if count != pixels.declared_frames or positions[0] != items.first_item:
            continue
        if any(a >= b for a, b in itertools.pairwise(positions)):
            continue
        step = max(count // _SAMPLES, 1)
        if all(_lands(source, positions[i], syntax) for i in [*range(0, count, step), count - 1]):
            lengths = table.lengths if table.lengths and max(table.lengths) < source.size else []
            witness = f"{table.kind.capitalize()} Offset Table, sampled; every frame is checked when read"
            return TableIndex(count, positions, source.size, lengths, items.notes, witness, table.kind)
    return None


def _lands(source: ByteSource, position: int, syntax: Syntax) -> bool:
    head = source.read_at(position, 12)
    return head[:4] == _ITEM and (not syntax.has_start_marker or frame_begins(syntax.family, head[8:]))
