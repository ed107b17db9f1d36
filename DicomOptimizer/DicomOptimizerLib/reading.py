"""Files to data sets, quickly: the usual kind of file is taken apart here, everything else is left to pydicom."""

from __future__ import annotations

import hashlib
import io
import struct
from pathlib import Path
from typing import NamedTuple

import pydicom
from DicomWorkbenchLib.errors import FileError
from DicomWorkbenchLib.headers import quiet_pydicom
from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")  # PS3.5 7.1.2
_SHORT = (
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM",
    b"UI", b"UL", b"US",
)  # fmt: skip
_LENGTHS = {vr: (12, struct.Struct("<I"), 8) for vr in _LONG} | {vr: (8, struct.Struct("<H"), 6) for vr in _SHORT}
_NAMES = {vr: vr.decode() for vr in (*_LONG, *_SHORT)}
_TAG = struct.Struct("<HH")
_UNDEFINED = 0xFFFFFFFF
_CHARSET, _CONTOURS = 0x00080005, 0x30060040
_LATIN = ["iso8859"]
_ITEM = b"\xfe\xff\x00\xe0"
_MARK = b"DICM\x02\0\0\0UL\x04\0"  # at byte 128, before the length of the file meta information
_PLAIN_SYNTAX = b"\x02\0\x10\0UI\x14\0" + b"1.2.840.10008.1.2.1\0"
_PIXEL_DATA = 0x7FE00010
META_START = 144  # where the file meta information begins, behind its length
# What pydicom raises where bytes make no sense to it: when it reads a file, and later when somebody asks for a value.
BROKEN = (
    *(InvalidDicomError, BytesLengthException, ValueError, KeyError, IndexError, TypeError, AttributeError),
    *(OverflowError, EOFError, NotImplementedError, struct.error),
)


def read_file(path: Path, origin: str) -> tuple[Dataset, str, int]:
    """Read a whole file once: its data set, SHA-256 and size.

    Raises
    ------
    FileError : it cannot be read or is no DICOM; the message names it.
    """
    content, digest = read_content(path, origin)
    return dataset_of(content, origin), digest, len(content)


def read_content(path: Path, origin: str) -> tuple[bytes, str]:
    """Read a whole file once: its bytes and their SHA-256; raises FileError like `read_file`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileError(f"{origin} cannot be read: {error.strerror or error}") from error
    return content, hashlib.sha256(content).hexdigest()


def dataset_of(content: bytes, origin: str) -> Dataset:
    """Take the bytes of a file apart; raises FileError like `read_file`."""
    return parse(content) or _by_pydicom(content, origin)


def parse(content: bytes) -> Dataset | None:
    """Take a Part 10 file in explicit VR little endian apart; None for every other kind, and for anything unusual.

    Values stay bytes until somebody asks for them; sequences are taken apart at once, which is several times faster here than later. Only
    contours stay bytes too, as `contour_items` knows them better.
    """
    if content[128:140] != _MARK:
        return None
    after_meta = META_START + int.from_bytes(content[140:META_START], "little")
    meta = _dataset(content, 132, after_meta, _LATIN)
    if meta is None or meta.get("TransferSyntaxUID") != ExplicitVRLittleEndian:
        return None
    dataset = _dataset(content, after_meta, len(content), _LATIN)
    if dataset is None:
        return None
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _dataset(content: bytes, at: int, end: int, charset: list[str]) -> Dataset | None:
    elements: dict[BaseTag, DataElement | RawDataElement] = {}
    while at < end:
        vr = content[at + 4 : at + 6]
        entry = _LENGTHS.get(vr)
        if entry is None or at + entry[0] > end:
            return None
        header, form, where = entry
        length = form.unpack_from(content, at + where)[0]
        group, number = _TAG.unpack_from(content, at)
        first, at = at + header, at + header + length
        if length == _UNDEFINED or at > end:
            return None
        tag = BaseTag(group << 16 | number)
        if vr == b"SQ" and tag != _CONTOURS:
            items = _items(content, first, at, charset)
            if items is None:
                return None
            elements[tag] = DataElement(tag, "SQ", Sequence(items))
        else:
            elements[tag] = RawDataElement(tag, _NAMES[vr], length, content[first:at], 0, False, True)
            if tag == _CHARSET:  # stands before all text and all sequences
                charset = convert_encodings(content[first:at].decode("ascii", "replace").strip().split("\\"))
    dataset = _dataset_of(elements)
    dataset.set_original_encoding(False, True, charset)
    return dataset


_FRESH = vars(Dataset())


def _dataset_of(elements: dict[BaseTag, DataElement | RawDataElement]) -> Dataset:
    """Make a data set as its constructor does, in a tenth of the time; structure sets have tens of thousands of items."""
    dataset = Dataset.__new__(Dataset)
    state = {name: value.copy() if isinstance(value, dict) else value for name, value in _FRESH.items()}
    vars(dataset).update(state, _dict=elements)
    return dataset


class Element(NamedTuple):
    """An element as it lies in a file: tag, value representation, and all of its bytes."""

    tag: BaseTag
    vr: str
    content: bytes


def meta_end(content: bytes) -> int | None:
    """Return where the data set of a file in explicit VR little endian begins; None for files of other kinds."""
    end = META_START + int.from_bytes(content[140:META_START], "little")
    return end if content[128:140] == _MARK and content.find(_PLAIN_SYNTAX, META_START, end) > 0 else None


def span_at(content: bytes, at: int) -> tuple[int, int] | None:
    """Return where the value of the element at a place begins and ends; None if its length is undefined or makes no sense."""
    entry = _LENGTHS.get(content[at + 4 : at + 6])
    if entry is None or at + entry[0] > len(content):
        return None
    length = entry[1].unpack_from(content, at + entry[2])[0]
    first = at + entry[0]
    return (first, first + length) if first + length <= len(content) else None


def top_elements(content: bytes, at: int, until: int = _PIXEL_DATA) -> tuple[list[Element], int]:
    """Cut a data set in explicit VR little endian into its elements, up to tag ``until``; returns also where that one begins.

    Raises
    ------
    ValueError : there is no such tag, elements are out of order, or of undefined length.
    """
    found: list[Element] = []
    last = -1
    while at + 8 <= len(content):
        group, number = _TAG.unpack_from(content, at)
        tag = BaseTag(group << 16 | number)
        span = span_at(content, at)
        if tag >= until:
            return found, at
        if span is None or tag <= last:
            break
        found.append(Element(tag, content[at + 4 : at + 6].decode("ascii"), content[at : span[1]]))
        last, at = tag, span[1]
    raise ValueError("the file's elements cannot be told apart")


def items_of(value: bytes) -> list[Dataset] | None:
    """Take the value of a sequence in explicit VR little endian apart; None if something about it is unusual."""
    return _items(value, 0, len(value), _LATIN)


def _items(content: bytes, at: int, end: int, charset: list[str]) -> list[Dataset] | None:
    items = []
    while at < end:
        if content[at : at + 4] != _ITEM or at + 8 > end:
            return None
        first = at + 8
        at = first + int.from_bytes(content[at + 4 : first], "little")
        item = _dataset(content, first, at, charset) if at <= end else None
        if item is None:
            return None
        items.append(item)
    return items


def _by_pydicom(content: bytes, origin: str) -> Dataset:
    try:
        with quiet_pydicom():
            dataset = pydicom.dcmread(io.BytesIO(content), force=content[128:132] != b"DICM")
    except BROKEN as error:
        # What pydicom says is only the cause, as it may quote the bytes of a patient's name.
        raise FileError(f"{origin} is a broken DICOM file: its elements cannot be told apart") from error
    if not hasattr(dataset, "file_meta") or dataset.file_meta is None:
        dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = _guessed_syntax(dataset)
    return dataset


def _guessed_syntax(dataset: Dataset) -> UID:
    implicit, little = dataset.original_encoding
    if implicit or implicit is None:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian
