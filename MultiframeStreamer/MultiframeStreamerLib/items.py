"""Walk along the items of encapsulated pixel data, reading twelve bytes of each and nothing else.

Source: DICOM PS3.5 A.4 (encapsulation), table A.4-1 and A.4-2.
"""

from __future__ import annotations

import enum
import struct
from array import array
from dataclasses import dataclass, field

from DicomWorkbenchLib.errors import FileError, PixelDataError

from .sources import ByteSource, quick_reader
from .syntaxes import START_MARKERS, Family, frame_begins

_ITEM = b"\xfe\xff\x00\xe0"
_END = b"\xfe\xff\xdd\xe0"
_LENGTH = struct.Struct("<I")
_HEAD = 12  # item tag, length and the first four bytes of the value
_MOST_ITEMS = 1 << 22  # 64 MB of positions; a real file of this many fragments would have 4 million frames
_AFTER = (b"\xfc\xff\xfc\xff", b"\xfa\xff\xfa\xff")  # trailing padding and signatures: the delimiter was forgotten


class End(enum.Enum):
    """How the walk ended."""

    DELIMITER = "a sequence delimiter"
    MISSING = "no sequence delimiter"
    CUT = "the end of the file inside an item"
    BROKEN = "a place where no item begins"


@dataclass
class Items:
    """Fragments of encapsulated pixel data.

    Attributes
    ----------
    first_item : position of the first fragment's item tag: what offset tables count from.
    offsets, lengths : position and length of each fragment's value.
    begins : 1 where a frame can begin, by the first bytes.
    gaps : indexes of fragments after which the chain of items was lost.
    table : values of the Basic Offset Table as stored.
    """

    first_item: int
    offsets: array[int] = field(default_factory=lambda: array("Q"))
    lengths: array[int] = field(default_factory=lambda: array("Q"))
    begins: bytearray = field(default_factory=bytearray)
    gaps: list[int] = field(default_factory=list)
    table: list[int] = field(default_factory=list)
    end: End = End.MISSING
    end_position: int = 0
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.offsets)

    def note(self, text: str) -> None:
        """Remember a departure from the standard, once."""
        if text not in self.notes:
            self.notes.append(text)


def read_offset_table(source: ByteSource, start: int, family: Family) -> Items:
    """Read the Basic Offset Table item at the beginning of encapsulated pixel data.

    Raises
    ------
    PixelDataError : the pixel data do not begin with an item.
    """
    head = source.read_at(start, _HEAD)
    if len(head) < 8:
        raise PixelDataError(f"{source.name} is cut off at the beginning of its pixel data")
    if head[:4] != _ITEM:
        raise PixelDataError(
            f"{source.name}: its transfer syntax says that frames are compressed, but its pixel data do not begin with an item"
        )
    length = struct.unpack("<I", head[4:8])[0]
    # A table's first value is 0; a code stream never begins with four zero bytes (JPEG XL boxes begin 0000000C).
    if length and head[8:12] != b"\0\0\0\0" and frame_begins(family, source.read_at(start + 8, min(length, 64))):
        items = Items(start)
        items.note("the Basic Offset Table item is missing")
        return items
    if start + 8 + length > source.size:
        raise PixelDataError(f"{source.name} is cut off inside its Basic Offset Table, or the table's length is wrong")
    items = Items(start + 8 + length)
    if length % 4:
        items.note("the Basic Offset Table has a length that is no multiple of four; it is not used")
    elif length > 4 * _MOST_ITEMS:
        raise PixelDataError(f"{source.name}: its Basic Offset Table has more than {_MOST_ITEMS} entries")
    elif length:
        items.table = list(struct.unpack(f"<{length // 4}I", source.read_at(start + 8, length)))
    return items


def walk(source: ByteSource, items: Items, family: Family, end: int | None, restarts: list[int]) -> None:
    """Find every fragment from ``items.first_item`` on.

    Parameters
    ----------
    end : where the pixel data end if their length is written (which it should not be), else None.
    restarts : ascending positions of item tags known from an offset table; used only where the chain is broken.
    """
    limit = source.size if end is None else min(end, source.size)
    position = items.first_item
    while True:
        try:
            position = _chain(source, items, family, position, limit)
        except OSError as error:  # from the bare system call of `quick_reader`
            raise FileError(f"{source.name} cannot be read near byte {position}: {error.strerror or error}") from error
        if items.end is not End.BROKEN:
            return
        again = next((p for p in restarts if p > position and source.read_at(p, 4) == _ITEM), None)
        if again is None:
            items.note(f"the chain of items is broken at byte {position}")
            return
        items.gaps.append(len(items) - 1)
        items.note(f"the chain of items is broken at byte {position}; it goes on at byte {again} by the offset table")
        position = again


def _chain(source: ByteSource, items: Items, family: Family, position: int, limit: int) -> int:
    """Follow items until something else comes; returns where, and says in ``items.end`` what."""
    # Twenty thousand items have to be stepped over in a tenth of a second: everything the loop needs is a local name.
    read, size, unpack = quick_reader(source), limit, _LENGTH.unpack_from
    offsets, lengths, begins = items.offsets, items.lengths, items.begins
    markers, is_rle = START_MARKERS.get(family, ()), family is Family.RLE
    while position < size:
        head = read(position, _HEAD)
        if head[:4] != _ITEM:
            if not _is_odd_padding(items, position) or read(position + 1, 4) not in (_ITEM, _END):
                break
            items.note("items of odd length are followed by a padding byte")
            position += 1
            continue
        if len(head) < 8:
            break
        length = unpack(head, 4)[0]
        if length == 0xFFFFFFFF:
            items.end, items.end_position = End.BROKEN, position
            return position
        if position + 8 + length > size:
            _cut(items, family, head, position, size)
            return size
        if len(offsets) >= _MOST_ITEMS:
            raise PixelDataError(f"{source.name} has more than {_MOST_ITEMS} fragments; it is damaged")
        offsets.append(position + 8)
        lengths.append(length)
        if is_rle:
            begins.append(length > 3 and frame_begins(family, head[8:]))
        else:
            begins.append(length > 3 and head.startswith(markers, 8))
        if length % 2:
            items.note("items have odd lengths")
        position += 8 + length
    _finish(source, items, position, size)
    return position


def _is_odd_padding(items: Items, position: int) -> bool:
    return bool(items.lengths) and items.lengths[-1] % 2 == 1 and position == items.offsets[-1] + items.lengths[-1]


def _cut(items: Items, family: Family, head: bytes, position: int, size: int) -> None:
    left = max(size - position - 8, 0)
    items.offsets.append(position + 8)
    items.lengths.append(left)
    items.begins.append(left > 3 and frame_begins(family, head[8:]))
    items.end, items.end_position = End.CUT, size
    items.note("the file is cut off inside an item")


def _finish(source: ByteSource, items: Items, position: int, size: int) -> None:
    items.end_position = position
    head = source.read_at(position, min(8, max(size - position, 0)))
    if head[:4] == _END:
        items.end = End.DELIMITER
    elif not head.strip(b"\0") or head[:4] in _AFTER:
        items.end = End.MISSING
        items.note("the sequence delimiter is missing")
    elif len(head) < 8:
        items.end = End.CUT
        items.note("the file is cut off inside an item header")
    else:
        items.end = End.BROKEN
