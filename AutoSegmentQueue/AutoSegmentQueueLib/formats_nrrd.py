"""NRRD: is all there that the header promises?

References
----------
Definition of NRRD File Format, teem.sourceforge.net/nrrd/format.html (fields "sizes", "type", "encoding", "line skip", "byte skip").
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import IO

from DicomWorkbenchLib.progress import CancelToken

from AutoSegmentQueueLib.formats import MOST_VOXELS, Checked, NotComplete, NotUsable, damaged

_LONGEST_HEADER = 1 << 20
_CHUNK = 1 << 18
_SPARE_BYTES = 1 << 20
_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(
        ("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t", "float"), 4
    ),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "int64", "int64_t", "double"), 8),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"), 8),
}


def check(path: Path, cancel: CancelToken) -> Checked:
    """Check a NRRD file, attached header, raw, gzip or text.

    Raises
    ------
    NotComplete, NotUsable : see `formats.check`.
    """
    with path.open("rb") as file:
        fields = _header(file)
        expected, voxels = _promised(fields)
        encoding = fields.get("encoding", "").lower()
        skip = _number(fields, "byte skip")
        for _ in range(_number(fields, "line skip")):
            file.readline(_LONGEST_HEADER)
        if encoding == "raw":
            _check_raw(path.stat().st_size - file.tell() - max(skip, 0), expected)
        elif encoding in ("gzip", "gz"):
            _check_gzip(path, file, expected + max(skip, 0), cancel)
        elif encoding not in ("ascii", "text", "txt", "hex", "bzip2", "bz2"):
            raise NotUsable(f"its encoding {encoding!r} is not known")
    return Checked("nrrd", voxels)


def _header(file: IO[bytes]) -> dict[str, str]:
    fields: dict[str, str] = {}
    while file.tell() < _LONGEST_HEADER:
        line = file.readline(_LONGEST_HEADER)
        if not line.endswith(b"\n"):
            raise NotComplete("its header has no end yet")
        text = line.decode("latin-1").strip()
        if not text:
            return fields
        name, colon, value = text.partition(":")
        if colon and not value.startswith("="):
            fields[name.strip().lower()] = value.strip()
    raise NotUsable("its header has no end")


def _promised(fields: dict[str, str]) -> tuple[int, int]:
    """Return the bytes of the voxels and their number."""
    if "data file" in fields or "datafile" in fields:
        raise NotUsable("its voxels are in another file; give one .nrrd file with both")
    try:
        sizes = [int(part) for part in fields["sizes"].split()]
        each = _BYTES[fields["type"].lower()]
    except (KeyError, ValueError) as error:
        raise NotUsable(f"its header lacks a usable {'type' if 'sizes' in fields else 'sizes'}") from error
    if not sizes or min(sizes) < 1 or len(sizes) != _number(fields, "dimension"):
        raise NotUsable("the sizes in its header make no sense")
    voxels = math.prod(sizes)
    if voxels > MOST_VOXELS:
        raise NotUsable(f"its header promises {voxels} voxels; that is more than any scan has")
    if sum(size > 1 for size in sizes) < 3:
        raise NotUsable("it is no volume: it has fewer than three dimensions")
    return voxels * each, voxels


def _number(fields: dict[str, str], name: str) -> int:
    try:
        return int(fields.get(name, fields.get(name.replace(" ", ""), "0")))
    except ValueError as error:
        raise NotUsable(f"the field {name!r} of its header is no number") from error


def _check_raw(size: int, expected: int) -> None:
    if size < expected:
        raise NotComplete(f"{max(size, 0)} of {expected} bytes of voxels are there")
    if size > expected + _SPARE_BYTES:
        raise NotUsable(f"it has {size} bytes of voxels and its header promises {expected}")


def _check_gzip(path: Path, file: IO[bytes], expected: int, cancel: CancelToken) -> None:
    inflater, count = zlib.decompressobj(wbits=31), 0
    try:
        while not inflater.eof and (packed := inflater.unconsumed_tail or file.read(_CHUNK)):
            cancel.check()
            count += len(inflater.decompress(packed, _CHUNK))
            if count > expected + _SPARE_BYTES:
                raise NotUsable(f"it unpacks to more than the {expected} bytes its header promises")
    except zlib.error as error:
        raise damaged(path, f"its gzip data is damaged ({error})") from error
    if not inflater.eof:
        raise NotComplete("its gzip data ends in the middle")
    if count < expected:
        raise NotUsable(f"it holds {count} bytes of voxels and its header promises {expected}")
