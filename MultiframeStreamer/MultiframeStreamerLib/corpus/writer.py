"""Writes DICOM bytes by hand, wrong ones too: a proper library would refuse to."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence

_LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UN", "UR", "UT", "UC"}
_ROOT = "2.25.271828182845904523536028747135266249"
ITEM, DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
_numbers = itertools.count(1)  # every object gets UIDs of its own
MULTIFRAME_GREY, MULTIFRAME_COLOUR = "1.2.840.10008.5.1.4.1.1.7.2", "1.2.840.10008.5.1.4.1.1.7.4"


def element(
    tag: int, vr: str, value: bytes, *, explicit: bool = True, order: str = "<", length: int | None = None
) -> bytes:
    """Return one data element; ``length`` overrides the true one."""
    size = len(value) if length is None else length
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if not explicit:
        return head + struct.pack(order + "I", size) + value
    if vr in _LONG:
        return head + vr.encode() + b"\0\0" + struct.pack(order + "I", size) + value
    return head + vr.encode() + struct.pack(order + "H", size) + value


def text(value: str) -> bytes:
    """Return text padded to an even length."""
    raw = value.encode()
    return raw + b" " * (len(raw) % 2)


def uid(value: str) -> bytes:
    """Return a UID padded to an even length."""
    raw = value.encode()
    return raw + b"\0" * (len(raw) % 2)


def item(value: bytes, length: int | None = None) -> bytes:
    """Return one item of encapsulated pixel data."""
    return ITEM + struct.pack("<I", len(value) if length is None else length) + value


def padded(frame: bytes) -> bytes:
    """Return a frame with its padding byte if it needs one."""
    return frame + b"\0" * (len(frame) % 2)


def basic_table(fragments: Sequence[Sequence[bytes]]) -> bytes:
    """Return the right Basic Offset Table for frames given as lists of fragments."""
    offsets, position = [], 0
    for frame in fragments:
        offsets.append(position)
        position += sum(8 + len(fragment) for fragment in frame)
    return struct.pack(f"<{len(offsets)}I", *(offset % (1 << 32) for offset in offsets))


class Writer:
    """One object: `build` puts preamble, meta information, header and pixel data together.

    Parameters
    ----------
    rows, columns, ... : Image Pixel module; ``frames`` None leaves NumberOfFrames out.
    extra : more elements by tag, as (representation, bytes).
    """

    def __init__(
        self,
        syntax: str,
        *,
        frames: int | None,
        rows: int,
        columns: int,
        samples: int = 1,
        photometric: str = "MONOCHROME2",
        bits: int = 8,
        stored: int = 0,
        signed: bool = False,
        planar: int | None = None,
        extra: dict[int, tuple[str, bytes]] | None = None,
        number: int = 0,
        meta_syntax: str = "",
    ) -> None:
        number = number or next(_numbers)
        self.syntax, self.meta_syntax = syntax, meta_syntax or syntax
        self.order = ">" if syntax == "1.2.840.10008.1.2.2" else "<"
        self.explicit = syntax != "1.2.840.10008.1.2"
        self.sop_class = MULTIFRAME_COLOUR if samples > 1 else MULTIFRAME_GREY
        self.number = number
        values: dict[int, tuple[str, bytes]] = {
            0x00080016: ("UI", uid(self.sop_class)),
            0x00080018: ("UI", uid(f"{_ROOT}.{number}.1")),
            0x00080060: ("CS", text("OT")),
            0x00080020: ("DA", b"20260101"),
            0x00081030: ("LO", text("Unusual files")),
            0x00100010: ("PN", text("Corpus^Case")),
            0x00100020: ("LO", text("CORPUS")),
            0x0020000D: ("UI", uid(f"{_ROOT}.1")),
            0x0020000E: ("UI", uid(f"{_ROOT}.{number}.2")),
            0x00200011: ("IS", text("1")),
            0x00200013: ("IS", text(str(number))),
            0x00280002: ("US", self._short(samples)),
            0x00280004: ("CS", text(photometric)),
            0x00280010: ("US", self._short(rows)),
            0x00280011: ("US", self._short(columns)),
            0x00280100: ("US", self._short(bits)),
            0x00280101: ("US", self._short(stored or bits)),
            0x00280102: ("US", self._short((stored or bits) - 1)),
            0x00280103: ("US", self._short(int(signed))),
        }
        if frames is not None:
            values[0x00280008] = ("IS", text(str(frames)))
        if planar is not None:
            values[0x00280006] = ("US", self._short(planar))
        self.values = values | (extra or {})

    def _short(self, value: int) -> bytes:
        return struct.pack(self.order + "H", value)

    def meta(self) -> bytes:
        """Return preamble and file meta information."""
        body = element(0x00020001, "OB", b"\0\1")
        body += element(0x00020002, "UI", uid(self.sop_class))
        body += element(0x00020003, "UI", uid(f"{_ROOT}.{self.number}.1"))
        body += element(0x00020010, "UI", uid(self.meta_syntax))
        body += element(0x00020012, "UI", uid(f"{_ROOT}.9"))
        return b"\0" * 128 + b"DICM" + element(0x00020000, "UL", struct.pack("<I", len(body))) + body

    def dataset(self) -> bytes:
        """Return the elements before the pixel data."""
        return b"".join(
            element(tag, vr, value, explicit=self.explicit, order=self.order)
            for tag, (vr, value) in sorted(self.values.items())
        )

    def pixels(self, value: bytes, *, vr: str = "OB", tag: int = 0x7FE00010, length: int | None = None) -> bytes:
        """Return the pixel data element."""
        return element(tag, vr, value, explicit=self.explicit, order=self.order, length=length)

    def native(self, value: bytes, *, vr: str = "OW", tag: int = 0x7FE00010) -> bytes:
        """Return the whole object with uncompressed pixel data."""
        return self.meta() + self.dataset() + self.pixels(value + b"\0" * (len(value) % 2), vr=vr, tag=tag)

    def encapsulated(self, value: bytes, *, length: int | None = 0xFFFFFFFF, after: bytes = b"") -> bytes:
        """Return the whole object with items as pixel data; ``value`` holds them all, the delimiter included."""
        return self.meta() + self.dataset() + self.pixels(value, length=length) + after
