"""The header parser: bytes of a DICOM file to the raw values of the few tags we need.

References
----------
DICOM PS3.5 section 7 (data elements), 7.5 (sequences), A.1-A.5 (transfer syntaxes); PS3.10 section 7 (file meta information).
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from typing import Final

from DicomWorkbenchLib.headers_tags import Tag

Read = Callable[[int, int], bytes]  # (offset, count) -> the bytes there, fewer at the end

IMPLICIT_LE: Final = "1.2.840.10008.1.2"
EXPLICIT_LE: Final = "1.2.840.10008.1.2.1"
DEFLATED_LE: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE: Final = "1.2.840.10008.1.2.2"

CHUNK = 8192  # bytes read at once; the header of a usual CT slice is 2 to 6 kB
LARGEST_VALUE = 1 << 20  # bytes; none of the wanted fields is anywhere near this
LARGEST_INFLATED_HEADER = 1 << 28  # bytes of a deflated data set that we look through for its pixel data
DEEPEST_SEQUENCE = 64
UNDEFINED = 0xFFFFFFFF

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())


# A tag as it is read: one 32-bit word. In little endian files its two halves come in the other order.
_WANTED_BIG = {tag: tag for tag in Tag.WANTED | Tag.PIXEL_DATA}
_WANTED_LITTLE = {(tag & 0xFFFF) << 16 | tag >> 16: tag for tag in Tag.WANTED | Tag.PIXEL_DATA}


class NotDicom(Exception):
    """The file is something else than DICOM."""


class Unusual(Exception):
    """The parser met bytes that it does not understand."""

    def __init__(self, message: str, *, deflated: bool = False, marked: bool = True) -> None:
        super().__init__(message)
        self.deflated = deflated
        self.marked = marked  # the file has the DICM mark, so DICOM it is meant to be


class ParsedHeader:
    """Raw values of the wanted tags and where the pixel data lie."""

    __slots__ = (
        "big_endian",
        "data_offset",
        "deflated",
        "end",
        "explicit",
        "file_size",
        "pixel_length",
        "pixel_offset",
        "pixel_tag",
        "pixel_vr",
        "transfer_syntax_uid",
        "truncated",
        "values",
    )

    def __init__(self) -> None:
        self.values: dict[int, bytes] = {}
        self.transfer_syntax_uid = ""
        self.big_endian = False
        self.deflated = False
        self.data_offset = 0  # bytes from the start of the file to the data set
        self.file_size = 0  # bytes on disk
        self.explicit = True
        self.pixel_tag = 0  # 0: the file has no pixel data
        self.pixel_vr = b""  # empty with implicit VR
        self.pixel_offset = 0  # bytes from the start of the file (deflated: of the inflated data set)
        self.pixel_length = 0  # bytes; UNDEFINED where the pixel data are encapsulated
        self.end = 0  # where reading stopped
        self.truncated = False  # the file ends inside an element


def parse_header(file: io.FileIO) -> ParsedHeader:
    """Read the wanted tags of an open file.

    Raises
    ------
    NotDicom : it is something else.
    Unusual : it says it is DICOM, and the bytes make no sense.
    """

    def read_file(offset: int, count: int) -> bytes:
        file.seek(offset)
        return file.read(count)

    read: Read = read_file
    head = read(0, CHUNK)
    header = ParsedHeader()
    header.file_size = os.fstat(file.fileno()).st_size
    marked = head[128:132] == b"DICM"
    try:
        start = _parse_meta(head, 132, header) if marked else _guess_without_preamble(head, header)
        header.deflated = header.transfer_syntax_uid == DEFLATED_LE
        header.data_offset = start
        if header.deflated:
            read, start = inflating(file, start, LARGEST_INFLATED_HEADER), 0
            head = read(0, CHUNK)
        _peek_encoding(read, start, header)
        _walk(read, head, start, header)
    except (Unusual, struct.error, zlib.error) as error:
        raise Unusual(str(error), deflated=header.deflated, marked=marked) from error
    if not marked and not {Tag.SOP_CLASS, Tag.SERIES} <= header.values.keys():
        raise NotDicom("no DICM mark, and no SOP class and series either")
    return header


def _parse_meta(head: bytes, position: int, header: ParsedHeader) -> int:
    """Read group 0002, always explicit little endian; returns where the data set starts."""
    while position + 8 <= len(head):
        group, element, vr, length = struct.unpack_from("<HH2sH", head, position)
        if group != 2:
            break
        position += 8
        if vr in _LONG_VRS:
            length = int.from_bytes(head[position : position + 4], "little")
            position += 4
        elif vr not in _SHORT_VRS:
            raise Unusual(f"file meta element (0002,{element:04x}) has no value representation")
        if position + length > len(head):
            raise Unusual("the file meta information is longer than it can be")
        tag = group << 16 | element
        if tag in Tag.WANTED:
            header.values[tag] = head[position : position + length]
        position += length
    uid = header.values.get(Tag.TRANSFER_SYNTAX, b"").rstrip(b" \0").decode("ascii", "replace")
    header.transfer_syntax_uid = uid
    header.explicit = uid != IMPLICIT_LE
    header.big_endian = uid == EXPLICIT_BE
    return position


def _guess_without_preamble(head: bytes, header: ParsedHeader) -> int:
    """Decide whether a file without the DICM mark may be a bare data set, and how that is encoded."""
    if len(head) < 16:
        raise NotDicom("too short")
    if head[:2] == b"\x02\x00" and head[4:6] in _SHORT_VRS | _LONG_VRS:
        return _parse_meta(head, 0, header)
    explicit = head[4:6] in _SHORT_VRS | _LONG_VRS
    if head[:2] == b"\x08\x00":
        header.transfer_syntax_uid = EXPLICIT_LE if explicit else IMPLICIT_LE
    elif head[:2] == b"\x00\x08" and explicit:
        header.transfer_syntax_uid, header.big_endian = EXPLICIT_BE, True
    else:
        raise NotDicom("no DICM mark")
    header.explicit = explicit
    return 0


def _peek_encoding(read: Read, start: int, header: ParsedHeader) -> None:
    """Believe the first element more than the transfer syntax: some writers state the wrong one."""
    first = read(start, 8)
    if len(first) < 8:
        return
    explicit = first[4:6] in _SHORT_VRS | _LONG_VRS
    if explicit != header.explicit and not header.big_endian:
        header.explicit = explicit


def inflating(file: io.FileIO, start: int, most: int) -> Read:
    """Read a deflated data set as far as needed, in small steps, and never more than about ``most`` bytes of it.

    Parameters
    ----------
    file, start : the open file and the offset of the data set in it.
    most : bytes beyond which `Unusual` is raised: a small file may inflate to anything.
    """
    inflated = bytearray()
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    file_position = start

    def read(offset: int, count: int) -> bytes:
        nonlocal file_position
        while len(inflated) < offset + count and not inflater.eof:
            if len(inflated) > most:
                raise Unusual("the deflated data set is larger than it can be")
            packed = inflater.unconsumed_tail
            if not packed:
                file.seek(file_position)
                packed = file.read(CHUNK)
                file_position += len(packed)
                if not packed:
                    break
            inflated.extend(inflater.decompress(packed, 1 << 20))
        return bytes(inflated[offset : offset + count])

    return read


def _walk(read: Read, buffer: bytes, position: int, header: ParsedHeader) -> None:
    """Go from element to element up to the pixel data and keep the wanted values.

    This loop runs a hundred times and more for each file of a scan; it is written for speed.
    """
    order = ">" if header.big_endian else "<"
    unpack_explicit = struct.Struct(order + "I2sH").unpack_from
    unpack_implicit = struct.Struct(order + "II").unpack_from
    unpack_length = struct.Struct(order + "I").unpack_from
    short, long, explicit = _SHORT_VRS, _LONG_VRS, header.explicit
    wanted = _WANTED_BIG if header.big_endian else _WANTED_LITTLE
    base, size, vr = 0, len(buffer), b""
    while True:
        if position + 12 > size:  # also after a jump over a long value
            base += position
            buffer, position = read(base, CHUNK), 0
            size = len(buffer)
            if size < 8:
                break
        if explicit:
            word, vr, length = unpack_explicit(buffer, position)
            if vr in short:
                position += 8
            elif vr in long:
                if position + 12 > size:
                    break
                (length,) = unpack_length(buffer, position + 8)
                position += 12
            else:
                raise Unusual(f"an element has the value representation {vr!r}")
        else:
            word, length = unpack_implicit(buffer, position)
            position += 8
        tag = wanted.get(word)
        if tag is not None:
            if tag in Tag.PIXEL_DATA:
                header.pixel_tag, header.pixel_vr = tag, vr
                header.pixel_offset, header.pixel_length = base + position, length
                break
            header.values[tag] = (
                b"present" if tag in Tag.SEQUENCES else _value(read, buffer, base, position, length, header)
            )
        if length == UNDEFINED:
            nested_explicit = explicit and vr != b"UN"  # PS3.5 6.2.2 note 2: UN of undefined length holds implicit VR
            position = _skip_sequence(read, base + position, nested_explicit, header.big_endian, 0) - base
        else:
            position += length
    _finish(read, header, base + position)


def _value(read: Read, buffer: bytes, base: int, position: int, length: int, header: ParsedHeader) -> bytes:
    if position + length <= len(buffer):
        return buffer[position : position + length]
    if length > LARGEST_VALUE:
        raise Unusual(f"a short field claims {length} bytes")
    value = read(base + position, length)
    if len(value) < length:
        header.truncated = True
    return value


def _finish(read: Read, header: ParsedHeader, end: int) -> None:
    """Notice a file that ends inside an element: a jump went beyond its end."""
    header.end = end
    if not header.pixel_tag and end > 0 and len(read(end - 1, 1)) < 1:
        header.truncated = True


def _skip_sequence(read: Read, offset: int, explicit: bool, big_endian: bool, depth: int) -> int:
    """Return the offset behind a sequence (or encapsulated data) of undefined length that starts at ``offset``."""
    if depth > DEEPEST_SEQUENCE:
        raise Unusual("sequences are nested deeper than in any real file")
    order = ">" if big_endian else "<"
    while True:
        head = read(offset, 8)
        if len(head) < 8:
            return offset + 8  # beyond the end: the caller sees a truncated file
        group, element, length = struct.unpack(order + "HHI", head)
        tag = group << 16 | element
        offset += 8
        if tag == _SEQUENCE_END:
            return offset
        if tag != _ITEM:
            raise Unusual(f"({group:04x},{element:04x}) stands where a sequence item was expected")
        offset = offset + length if length != UNDEFINED else _skip_item(read, offset, explicit, big_endian, depth)


def _skip_item(read: Read, offset: int, explicit: bool, big_endian: bool, depth: int) -> int:
    """Return the offset behind an item of undefined length whose first element is at ``offset``."""
    order = ">" if big_endian else "<"
    while True:
        head = read(offset, 12)
        if len(head) < 8:
            return offset + 8
        group, element, length = struct.unpack_from(order + "HHI", head)
        vr = head[4:6]
        if group << 16 | element == _ITEM_END:
            return offset + 8
        offset += 8
        if explicit and vr in _LONG_VRS:
            if len(head) < 12:
                return offset + 4
            (length,) = struct.unpack_from(order + "I", head, 8)
            offset += 4
        elif explicit and vr in _SHORT_VRS:
            (length,) = struct.unpack_from(order + "H", head, 6)
        elif explicit:
            raise Unusual(f"element ({group:04x},{element:04x}) in a sequence has no value representation")
        if length == UNDEFINED:
            offset = _skip_sequence(read, offset, explicit and vr != b"UN", big_endian, depth + 1)
        else:
            offset += length
