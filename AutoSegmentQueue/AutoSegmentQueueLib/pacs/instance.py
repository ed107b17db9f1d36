"""Who an instance is, read from its file: the UIDs that name it."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.errors import InputError
from DicomWorkbenchLib.headers_parse import NotDicom, Unusual, parse_header
from DicomWorkbenchLib.headers_tags import Tag

# PS3.5 9.1 wants at most 64 digits and dots; what old systems write beyond it is taken too, as long as it is plain
_UID = re.compile(rb"^[0-9A-Za-z.\-_]{1,128}$")


class NotAnInstance(InputError):
    """The file is no DICOM instance that can be told from others."""


@dataclass(frozen=True)
class Instance:
    """The UIDs of an instance; ``data_offset``: bytes before its data set."""

    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    data_offset: int


def read_instance(path: Path) -> Instance:
    """Read the UIDs of a DICOM file.

    Raises
    ------
    NotAnInstance : it is damaged, or one of the UIDs is missing.
    OSError : it cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        try:
            header = parse_header(file)
        except (NotDicom, Unusual, struct.error) as error:
            raise NotAnInstance(f"the data set cannot be read: {error}") from error
    if header.truncated:
        raise NotAnInstance("the data set ends in the middle of an element")
    values = header.values
    return Instance(
        _uid(values, Tag.SOP_CLASS),
        _uid(values, Tag.SOP_INSTANCE),
        _uid(values, Tag.STUDY),
        _uid(values, Tag.SERIES),
        header.data_offset,
    )


def _uid(values: dict[int, bytes], tag: int) -> str:
    raw = values.get(tag, b"").rstrip(b" \0")
    if not _UID.match(raw):
        raise NotAnInstance(f"the data set has no usable UID in ({tag >> 16:04X},{tag & 0xFFFF:04X})")
    return raw.decode("ascii")
