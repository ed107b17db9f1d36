"""Data sets to files, quickly: elements that nobody touched are passed through as the bytes they were read as.

pydicom's writer gives the same bytes for data sets without undefined lengths (a test holds that) and takes several times longer, because
it builds and encodes every element anew. What this writer does not know it hands to pydicom element by element.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydicom
from DicomWorkbenchLib.headers import quiet_pydicom
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr, write_data_element
from pydicom.tag import BaseTag
from pydicom.uid import UID, ImplicitVRLittleEndian

from DicomOptimizerLib.encoding import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

_LONG = frozenset(
    ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
)  # 32-bit length, PS3.5 7.1.2
_PLAIN_TEXT = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"))  # never in another character set
_UNDEFINED = 0xFFFFFFFF
_ITEM, _SEQUENCE_END = struct.pack("<HH", 0xFFFE, 0xE000), struct.pack("<HH", 0xFFFE, 0xE0DD)
_SHORT_LIMIT = 0xFFFF
_PIXEL_DATA = BaseTag(0x7FE00010)


def save(dataset: Dataset, target: Path) -> int:
    """Write a data set as a DICOM file with fresh file meta information; returns its size in bytes."""
    return store([encoded(dataset)], target)


def encoded(dataset: Dataset) -> bytes:
    """Return a data set as a DICOM file with fresh file meta information."""
    dataset.file_meta = _meta(dataset)
    syntax = dataset.file_meta.TransferSyntaxUID
    with quiet_pydicom():
        if syntax.is_little_endian and not syntax.is_deflated:
            return encode_file(dataset)
        buffer = io.BytesIO()
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
        return buffer.getvalue()


def store(parts: Sequence[bytes], target: Path) -> int:
    """Write a new file; returns its size in bytes."""
    try:
        file = target.open("wb")
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("wb")
    with file:
        file.writelines(parts)
        return file.tell()


def _meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(dataset.file_meta.TransferSyntaxUID)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    return meta


def encode_file(dataset: Dataset) -> bytes:
    """Return a whole DICOM file (PS3.10 7.1); the transfer syntax of the file meta must be little endian and not deflated."""
    head = part_10_head([_Encoder(implicit=False).encode(dataset.file_meta, default_encoding)])
    implicit = dataset.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    if dataset.original_encoding[0] is not False and not implicit:  # elements of implicit files do not know US from SS
        correct_ambiguous_vr(dataset, True)
    return head + _Encoder(implicit).encode(dataset, default_encoding)


def part_10_head(meta: Sequence[bytes]) -> bytes:
    """Return all that stands before the data set, from the elements of the file meta information."""
    length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, sum(map(len, meta)))
    return b"".join((b"\0" * 128, b"DICM", length, *meta))


def element(tag: BaseTag, vr: str, value: bytes) -> bytes:
    """Return an element in explicit VR little endian; its value is padded to even length."""
    value += (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
    return _EXPLICIT.head(tag, vr, len(value)) + value


def item(content: bytes) -> bytes:
    """Return an item of a sequence in explicit VR little endian."""
    return _ITEM + struct.pack("<I", len(content)) + content


def encoded_item(dataset: Dataset, charset: Any) -> bytes:
    """Return a data set as an item of a sequence in explicit VR little endian; ``charset`` is that of the file."""
    return item(_EXPLICIT.encode(dataset, charset))


def one_item(tag: BaseTag, content: bytes) -> bytes:
    """Return a sequence of one item in explicit VR little endian."""
    return _EXPLICIT.head(tag, "SQ", len(content) + 8) + item(content)


def pixel_element(value: bytes, vr: str, *, encapsulated: bool) -> bytes:
    """Return the pixel data in explicit VR little endian."""
    if encapsulated:
        return b"".join((_EXPLICIT.head(_PIXEL_DATA, vr, _UNDEFINED), value, _SEQUENCE_END, b"\0\0\0\0"))
    return _EXPLICIT.head(_PIXEL_DATA, vr, len(value)) + value


class _Encoder:
    def __init__(self, implicit: bool) -> None:
        self._implicit = implicit

    def encode(self, dataset: Dataset, charset: Any) -> bytes:
        charset = dataset.get("SpecificCharacterSet", charset)
        parts: list[bytes] = []
        for tag in sorted(dataset.keys(), key=int):  # tags compare slowly
            if tag.element == 0 and (tag.group > 6 or tag.group == 2):
                continue  # group lengths would be wrong now; that of the file meta is written apart
            self._element(dataset, tag, charset, parts)
        return b"".join(parts)

    def _element(self, dataset: Dataset, tag: Any, charset: Any, parts: list[bytes]) -> None:
        element = dataset.get_item(tag)
        if isinstance(element, RawDataElement) and self._passes(element):
            value = element.value or b""
            parts += (self.head(tag, str(element.VR), len(value)), value)
            return
        element = dataset[tag]
        if element.VR == "SQ":
            body = b"".join(item(self.encode(one, charset)) for one in element.value or ())
            parts += (self.head(tag, "SQ", len(body)), body)
        elif element.VR in _PLAIN_TEXT:
            text = _text(element)
            parts += (
                (self.head(tag, element.VR, len(text)), text)
                if len(text) <= _SHORT_LIMIT
                else (self._by_pydicom(element, charset),)
            )
        elif element.VR == "US":
            value = element.value
            numbers = [] if value is None else [value] if isinstance(value, int) else list(value)
            parts += (self.head(tag, "US", 2 * len(numbers)), struct.pack(f"<{len(numbers)}H", *numbers))
        elif element.VR in ("OB", "OW") and isinstance(element.value, bytes) and not element.is_undefined_length:
            parts += (self.head(tag, element.VR, len(element.value)), element.value)
        elif element.is_undefined_length and isinstance(element.value, bytes):
            parts += (self.head(tag, element.VR, _UNDEFINED), element.value, _SEQUENCE_END, b"\0\0\0\0")
        else:
            parts.append(self._by_pydicom(element, charset))

    def _passes(self, raw: RawDataElement) -> bool:
        """True if the bytes of an element stand as they are in the output: same encoding, no sequence that may have changed inside."""
        return (
            raw.is_little_endian
            and raw.is_implicit_VR == self._implicit
            and raw.length != _UNDEFINED
            and (self._implicit or raw.VR is not None)
            and len(raw.value or b"") % 2 == 0
            and (self._implicit or raw.VR in _LONG or len(raw.value or b"") <= _SHORT_LIMIT)
        )

    def head(self, tag: Any, vr: str, length: int) -> bytes:
        """Return tag, value representation and length of an element."""
        if self._implicit:
            return struct.pack("<HHI", tag.group, tag.element, length)
        if vr in _LONG:
            return struct.pack("<HH2sHI", tag.group, tag.element, vr.encode(), 0, length)
        return struct.pack("<HH2sH", tag.group, tag.element, vr.encode(), length)

    def _by_pydicom(self, element: DataElement, charset: Any) -> bytes:
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, self._implicit
        write_data_element(buffer, element, convert_encodings(charset))
        return bytes(buffer.getvalue())


_EXPLICIT = _Encoder(implicit=False)


def _text(element: DataElement) -> bytes:
    value = element.value
    if value is None:
        return b""
    text = str(value) if isinstance(value, str) or not hasattr(value, "__iter__") else "\\".join(map(str, value))
    padding = "\0" if element.VR == "UI" else " "
    return (text + padding * (len(text) % 2)).encode("ascii")
