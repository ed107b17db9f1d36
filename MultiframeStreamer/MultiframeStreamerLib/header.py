"""The header of a DICOM object as positions: which element lies where, up to the pixel data and never further.

Nothing is decoded that nobody asks for. The per-frame functional groups, which can be tens of megabytes, are kept as one byte range per
frame, so that the position of frame 4,711 costs one small read.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, field

from DicomWorkbenchLib.errors import FileError

from .sources import ByteSource
from .syntaxes import DEFLATED, EXPLICIT_BE, IMPLICIT_LE

UNDEFINED = 0xFFFFFFFF
FLOAT_PIXELS, DOUBLE_PIXELS, PIXELS = 0x7FE00008, 0x7FE00009, 0x7FE00010
PIXEL_TAGS = (FLOAT_PIXELS, DOUBLE_PIXELS, PIXELS)
PER_FRAME, SHARED = 0x52009230, 0x52009229
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_KNOWN = _LONG | frozenset(
    (
        b"AE",
        b"AS",
        b"AT",
        b"CS",
        b"DA",
        b"DS",
        b"DT",
        b"FD",
        b"FL",
        b"IS",
        b"LO",
        b"LT",
        b"PN",
        b"SH",
        b"SL",
        b"SS",
        b"ST",
        b"TM",
        b"UI",
        b"UL",
        b"US",
    )
)
_DEEPEST = 32  # real objects nest about eight deep
_MOST_ELEMENTS = 1 << 16  # of the top level: a real header has a few hundred
_CHUNK = 1 << 15
_LARGEST_VALUE = 1 << 28  # an Extended Offset Table of 33 million frames


@dataclass(frozen=True, slots=True)
class Element:
    """Where one value lies: its representation ("" in implicit syntaxes), first byte and length."""

    vr: str
    offset: int
    length: int


@dataclass
class Header:
    """What lies where in one object.

    Attributes
    ----------
    source : the bytes all positions refer to (for a deflated object the inflated spool).
    transfer_syntax : UID of the stored object; ``explicit`` and ``big_endian`` say how its elements are written.
    elements : top-level elements before the pixel data, by tag.
    pixel_tag, pixel_vr, pixel_offset, pixel_length : the pixel data; tag 0 where there are none, length `UNDEFINED` for items.
    end : where the pixel data element (or the file) begins: the header is the bytes before.
    frame_starts, frame_ends : byte range of each item's content in the Per-frame Functional Groups Sequence.
    """

    source: ByteSource
    transfer_syntax: str = IMPLICIT_LE
    explicit: bool = True
    big_endian: bool = False
    elements: dict[int, Element] = field(default_factory=dict)
    pixel_tag: int = 0
    pixel_vr: str = ""
    pixel_offset: int = 0
    pixel_length: int = 0
    end: int = 0
    frame_starts: array[int] = field(default_factory=lambda: array("Q"))
    frame_ends: array[int] = field(default_factory=lambda: array("Q"))

    def raw(self, tag: int) -> bytes:
        """Return the bytes of a value, empty if it is absent.

        Raises
        ------
        FileError : the value is larger than any real one.
        """
        element = self.elements.get(tag)
        if element is None or element.length == UNDEFINED:
            return b""
        if element.length > _LARGEST_VALUE:
            raise FileError(
                f"{self.source.name}: the value of {tag_name(tag)} has {element.length} bytes; the file is damaged"
            )
        return self.source.read_at(element.offset, element.length)

    def text(self, tag: int) -> str:
        """Return a value as text without padding (ASCII; what is not ASCII becomes a question mark)."""
        return self.raw(tag).decode("ascii", "replace").strip(" \0").replace("�", "?")

    def integer(self, tag: int) -> int | None:
        """Return the first value of an integer element, None if it is absent or empty.

        Raises
        ------
        FileError : there is a value and it is no integer.
        """
        raw = self.raw(tag)
        if not raw.strip(b" \0") and len(raw) not in (2, 4):
            return None
        if self._is_text(tag):
            try:
                return int(float(raw.split(b"\\")[0].strip(b" \0")))
            except (ValueError, OverflowError):
                raise FileError(f"{self.source.name}: {tag_name(tag)} is not a number; the header is damaged") from None
        order = "big" if self.big_endian else "little"
        return int.from_bytes(raw[: 4 if self.elements[tag].vr in ("UL", "SL") else 2], order)  # type: ignore[arg-type]

    def numbers(self, tag: int) -> list[float]:
        """Return the values of a decimal or integer string, empty if absent or broken."""
        try:
            return [float(part) for part in self.raw(tag).strip(b" \0").split(b"\\") if part.strip()]
        except ValueError:
            return []

    def offsets_table(self, tag: int) -> list[int]:
        """Return the values of an OV element (64-bit integers)."""
        raw = self.raw(tag)
        count = len(raw) // 8
        return list(struct.unpack(f"{'>' if self.big_endian else '<'}{count}Q", raw[: count * 8]))

    def _is_text(self, tag: int) -> bool:
        vr = self.elements[tag].vr
        return vr in ("IS", "DS") or (not vr and tag in _TEXT_IN_IMPLICIT)


_TEXT_IN_IMPLICIT = frozenset((0x00280008, 0x00200013, 0x00200011, 0x00181063, 0x00180040, 0x00082144))


def tag_name(tag: int) -> str:
    """Write a tag as the standard does."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


class Cut(Exception):
    """The bytes end where more were promised (internal)."""


class Cursor:
    """Reads small pieces through a window that moves forward, so that a header costs few reads."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._start, self._window = 0, b""

    def take(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes; raises `Cut` where the source ends earlier."""
        begin = offset - self._start
        if begin < 0 or begin + length > len(self._window):
            self._start, begin = offset, 0
            self._window = self._source.read_at(offset, max(length, _CHUNK))
            if len(self._window) < length:
                raise Cut(f"the file ends at byte {self._source.size}, inside an element that begins at byte {offset}")
        return self._window[begin : begin + length]


def read_header(source: ByteSource) -> Header:
    """Find the elements of a DICOM object up to its pixel data; a deflated data set is not looked into.

    Raises
    ------
    FileError : not DICOM, cut inside the header, or an element that no writer can have meant.
    """
    if source.read_at(128, 4) != b"DICM":
        raise FileError(f"{source.name} is not a DICOM file: the letters DICM are missing at byte 128")
    header = Header(source)
    cursor = Cursor(source)
    try:
        start = _read_meta(header, cursor)
        if header.transfer_syntax == DEFLATED:
            header.end = start
            return header
        _Walker(header, cursor).top_level(start)
    except Cut as cut:
        raise FileError(f"{source.name} is cut off in its header: {cut}") from None
    return header


def _read_meta(header: Header, cursor: Cursor) -> int:
    """Read group 2, always explicit little endian; returns where the data set begins."""
    position, size = 132, header.source.size
    while position + 8 <= size:
        head = cursor.take(position, 8)
        if head[:2] != b"\x02\x00":
            break
        _vr, length, value = _explicit(cursor, position, head, "<", header.source.name)
        if length > size - value:
            raise Cut(f"the file ends at byte {size}, inside its file meta information")
        if head[2:4] == b"\x10\x00":
            uid = cursor.take(value, min(length, 64)).decode("ascii", "replace").strip(" \0")
            header.transfer_syntax = uid
        position = value + length
    header.explicit = header.transfer_syntax != IMPLICIT_LE
    header.big_endian = header.transfer_syntax == EXPLICIT_BE
    return position


def read_inflated(source: ByteSource, start: int, transfer_syntax: str) -> Header:
    """Find the elements of a data set that begins at ``start`` of a spool: explicit little endian."""
    header = Header(source, transfer_syntax)
    try:
        _Walker(header, Cursor(source)).top_level(start)
    except Cut as cut:
        raise FileError(f"{source.name} is cut off in its header: {cut}") from None
    return header


def _explicit(cursor: Cursor, position: int, head: bytes, order: str, name: str) -> tuple[str, int, int]:
    """Return representation, length and the value's position of an explicit element whose first eight bytes are ``head``."""
    vr = head[4:6]
    if vr not in _KNOWN:
        raise FileError(
            f"{name}: at byte {position} there is no DICOM element (unknown value representation); the header is damaged"
        )
    if vr in _LONG:
        return vr.decode(), struct.unpack(order + "I", cursor.take(position + 8, 4))[0], position + 12
    return vr.decode(), struct.unpack(order + "H", head[6:8])[0], position + 8


class _Walker:
    """Steps from element to element."""

    def __init__(self, header: Header, cursor: Cursor) -> None:
        self.header, self.cursor = header, cursor
        self.order = ">" if header.big_endian else "<"
        self.size = header.source.size

    def top_level(self, position: int) -> None:
        """Fill the header's elements and stop at the pixel data or the end of the file."""
        header = self.header
        while position + 8 <= self.size:
            tag, vr, length, value = self.element(position, header.explicit)
            if tag in PIXEL_TAGS:
                header.pixel_tag, header.pixel_vr, header.pixel_offset, header.pixel_length = tag, vr, value, length
                header.end = position
                return
            if tag > PIXELS:
                break  # trailing padding or signatures of an object without pixel data
            if len(header.elements) > _MOST_ELEMENTS:
                raise FileError(f"{header.source.name} has more than {_MOST_ELEMENTS} elements; it is damaged")
            end = self.end_of(tag, vr, length, value, header.explicit, 0)
            header.elements[tag] = Element(vr, value, length if length != UNDEFINED else end - value)
            position = end
        header.end = min(position, self.size)

    def element(self, position: int, explicit: bool) -> tuple[int, str, int, int]:
        """Return tag, representation, length and value position of the element at ``position``."""
        head = self.cursor.take(position, 8)
        group, number = struct.unpack(self.order + "HH", head[:4])
        tag = group << 16 | number
        if not explicit or group == 0xFFFE:
            return tag, "", struct.unpack(self.order + "I", head[4:8])[0], position + 8
        return tag, *_explicit(self.cursor, position, head, self.order, self.header.source.name)

    def end_of(self, tag: int, vr: str, length: int, value: int, explicit: bool, depth: int) -> int:
        """Return where the element after this one begins; remembers the items of the per-frame groups."""
        frames = depth == 0 and tag == PER_FRAME
        if length == UNDEFINED:
            inner = explicit and vr != "UN"  # PS3.5 6.2.2: a UN sequence is written implicitly
            return self.items(value, None, inner, depth + 1, frames)
        if value + length > self.size:
            raise Cut(f"{tag_name(tag)} at byte {value} promises {length} bytes, {max(self.size - value, 0)} are left")
        if frames:
            self.items(value, value + length, explicit, depth + 1, frames)
        return value + length

    def items(self, position: int, end: int | None, explicit: bool, depth: int, frames: bool) -> int:
        """Step over the items of a sequence; returns where it ends."""
        if depth > _DEEPEST:
            raise FileError(
                f"{self.header.source.name}: sequences are nested more than {_DEEPEST} deep; the header is damaged"
            )
        while end is None or position < end:
            tag, _, length, value = self.element(position, explicit=False)
            if tag == SEQUENCE_END and end is None:
                return value
            if tag != ITEM:
                raise FileError(
                    f"{self.header.source.name}: at byte {position} a sequence item was expected; the header is damaged"
                )
            position = self._item(value, length, explicit, depth)
            if frames:
                self.header.frame_starts.append(value)
                self.header.frame_ends.append(position - 8 if length == UNDEFINED else position)
        return position

    def _item(self, value: int, length: int, explicit: bool, depth: int) -> int:
        if length != UNDEFINED:
            if value + length > self.size:
                raise Cut(f"a sequence item at byte {value} promises {length} bytes")
            return value + length
        position = value
        while True:
            tag, vr, inner_length, inner = self.element(position, explicit)
            if tag == ITEM_END:
                return inner
            position = self.end_of(tag, vr, inner_length, inner, explicit, depth)
