"""Headers as pydicom data sets: of the whole object, and of one frame with its functional groups brought to the top.

A frame's groups are parsed alone, from their own bytes; the other thousands of frames stay unread.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from DicomWorkbenchLib.errors import FileError
from DicomWorkbenchLib.headers import quiet_pydicom

from .header import PER_FRAME, SHARED, Header
from .sources import ByteSource
from .tables import EXTENDED_LENGTHS, EXTENDED_OFFSETS

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

_LARGEST_HEADER = 1 << 29
_PARSE_ERRORS = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    NotImplementedError,
    EOFError,
    OSError,
    RecursionError,
)


def whole_header(header: Header) -> Dataset:
    """Return everything before the pixel data as a data set, file meta information included.

    Raises
    ------
    FileError : pydicom cannot make sense of it, or it is larger than any real header.
    """
    return _parse(header.source, 0, header.end, None)


def common_header(header: Header) -> Dataset:
    """Return the header without the per-frame functional groups and offset tables."""
    left_out = [
        header.elements[tag] for tag in (PER_FRAME, EXTENDED_OFFSETS, EXTENDED_LENGTHS) if tag in header.elements
    ]
    if PER_FRAME not in header.elements:
        dataset = whole_header(header)
    else:
        element = header.elements[PER_FRAME]
        begin = element.offset - (12 if header.explicit else 8)
        before = header.source.read_at(0, begin)
        after = header.source.read_at(element.offset + element.length, header.end - element.offset - element.length)
        dataset = _parsed(before + after, header.source.name)
    if left_out:
        for tag in (EXTENDED_OFFSETS, EXTENDED_LENGTHS):
            if tag in dataset:
                del dataset[tag]
    return dataset


def groups_of_frame(header: Header, index: int) -> Dataset | None:
    """Return the functional groups of one frame, None where the object has none."""
    if index >= len(header.frame_starts):
        return None
    start, end = header.frame_starts[index], header.frame_ends[index]
    raw = header.source.read_at(start, end - start)
    return _item(raw, header)


def frame_header(common: Dataset, groups: Dataset | None) -> Dataset:
    """Return the attributes of one frame at one level: the object's, overlaid by shared, then by its own functional groups.

    The sequences themselves stay where they are meant to be nested (references, codes); macros with one item are opened.
    """
    from pydicom import Dataset

    flat = Dataset()
    for element in common:
        if element.tag not in (PER_FRAME, SHARED, 0x00280008):
            flat[element.tag] = element
    flat.set_original_encoding(*common.original_encoding)
    shared = common.get("SharedFunctionalGroupsSequence")
    for source in (shared[0] if shared else None, groups):
        for element in source or ():
            _overlay(flat, element)
    if hasattr(common, "file_meta"):
        flat.file_meta = common.file_meta
    return flat


def _overlay(flat: Dataset, element: DataElement) -> None:
    if element.VR == "SQ" and len(element.value) == 1 and _is_macro(element):
        for inner in element.value[0]:
            flat[inner.tag] = inner
    else:
        flat[element.tag] = element


def _is_macro(element: DataElement) -> bool:
    """A functional group macro, not a reference or a code that happens to have one item."""
    keyword = element.keyword
    return (
        not keyword.endswith(("CodeSequence", "ImageSequence", "InstanceSequence", "ReferenceSequence")) or not keyword
    )


def _parse(source: ByteSource, start: int, end: int, header: Header | None) -> Dataset:
    if end - start > _LARGEST_HEADER:
        raise FileError(f"{source.name}: its header has {(end - start) >> 20} MB; it is damaged")
    return _parsed(source.read_at(start, end - start), source.name)


def _parsed(raw: bytes, name: str) -> Dataset:
    import pydicom

    if b"1.2.840.10008.1.2.1.99" in raw[:1024]:
        raw = _as_plain(raw)
    try:
        with quiet_pydicom():
            return pydicom.dcmread(io.BytesIO(raw), stop_before_pixels=True)
    except _PARSE_ERRORS as error:
        raise FileError(f"{name}: its header cannot be read: {type(error).__name__}") from error


def _as_plain(raw: bytes) -> bytes:
    """The spool of a deflated object is explicit little endian already; say so, in place, so that it is not inflated again."""
    at = raw.index(b"1.2.840.10008.1.2.1.99", 132)
    return raw[:at] + b"1.2.840.10008.1.2.1\0\0\0" + raw[at + 22 :]


def _item(raw: bytes, header: Header) -> Dataset:
    from pydicom.filereader import read_dataset

    try:
        with quiet_pydicom():
            return read_dataset(io.BytesIO(raw), not header.explicit, not header.big_endian)
    except _PARSE_ERRORS as error:
        raise FileError(f"{header.source.name}: the functional groups of a frame cannot be read") from error
