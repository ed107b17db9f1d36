"""Files to data sets, quickly: the usual kind of file is taken apart here, everything else is left to pydicom."""

from __future__ import annotations

import hashlib
import io
import struct
from pathlib import Path

import pydicom
from DicomWorkbenchLib.errors import FileError
from DicomWorkbenchLib.headers import quiet_pydicom
from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
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
_CHARSET = 0x00080005
_LATIN = ["iso8859"]
_ITEM = b"\xfe\xff\x00\xe0"
_BROKEN = (InvalidDicomError, ValueError, KeyError, TypeError, AttributeError, EOFError, NotImplementedError)


def read_file(path: Path, origin: str) -> tuple[Dataset, str, int]:
    """Read a whole file once: its data set, SHA-256 and size.

    Raises
    ------
    FileError : it cannot be read or is no DICOM; the message names it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileError(f"{origin} cannot be read: {error.strerror or error}") from error
    digest = hashlib.sha256(content).hexdigest()
    return parse(content) or _by_pydicom(content, origin), digest, len(content)


def parse(content: bytes) -> Dataset | None:
    """Take a Part 10 file in explicit VR little endian apart; None for every other kind, and for anything unusual.

    Values stay bytes until somebody asks for them; sequences are taken apart at once, which is several times faster here than later.
    """
    if content[128:140] != b"DICM\x02\0\0\0UL\x04\0":
        return None
    after_meta = 144 + int.from_bytes(content[140:144], "little")
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
        if vr == b"SQ":
            items = _items(content, first, at, charset)
            if items is None:
                return None
            elements[tag] = DataElement(tag, "SQ", Sequence(items))
        else:
            elements[tag] = RawDataElement(tag, _NAMES[vr], length, content[first:at], 0, False, True)
            if tag == _CHARSET:  # stands before all text and all sequences
                charset = convert_encodings(content[first:at].decode("ascii", "replace").strip().split("\\"))
    dataset = Dataset(elements)
    dataset.set_original_encoding(False, True, charset)
    return dataset


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
    except _BROKEN as error:
        raise FileError(f"{origin} is a broken DICOM file: {error}") from error
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
