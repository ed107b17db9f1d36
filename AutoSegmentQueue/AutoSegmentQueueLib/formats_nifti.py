"""NIfTI-1 and -2, plain or gzipped: is all there that the header promises?

References
----------
nifti1.h and nifti2.h of the NIfTI Data Format Working Group (dim, bitpix, vox_offset, magic); RFC 1952 (gzip: CRC32 and ISIZE).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from DicomWorkbenchLib.progress import CancelToken

from AutoSegmentQueueLib.formats import MOST_VOXELS, Checked, NotComplete, NotUsable, damaged

HEADER_BYTES = 348
HEADER_2_BYTES = 540
_CHUNK = 1 << 18
_SPARE_BYTES = 1 << 20  # more data than the header promises is refused beyond this: it may be a bomb
_BITS = {2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304}  # datatype codes


def is_nifti(head: bytes) -> bool:
    """True if a file begins as NIfTI."""
    return _order(head) is not None


def check(path: Path, cancel: CancelToken) -> Checked:
    """Check a plain NIfTI file.

    Raises
    ------
    NotComplete, NotUsable : see `formats.check`.
    """
    with path.open("rb") as file:
        head = file.read(HEADER_2_BYTES)
    expected, voxels = _promised(head)
    _compare(path.stat().st_size, expected)
    return Checked("nifti", voxels)


def check_packed(path: Path, cancel: CancelToken) -> Checked:
    """Inflate a gzipped NIfTI file once, in small steps, and compare checksum and size.

    Raises
    ------
    NotComplete, NotUsable : see `formats.check`.
    """
    try:
        return _check_packed(path, cancel)
    except NotUsable as error:
        raise damaged(path, str(error)) from error


def _check_packed(path: Path, cancel: CancelToken) -> Checked:
    head, count, expected, voxels = b"", 0, 0, 0
    for chunk in _inflated(path, cancel):
        count += len(chunk)
        if len(head) < HEADER_2_BYTES:
            head += chunk[: HEADER_2_BYTES - len(head)]
            if len(head) < HEADER_2_BYTES:
                continue
        if not expected:
            expected, voxels = _promised(head)
        if count > expected + _SPARE_BYTES:
            raise NotUsable(f"it unpacks to more than the {expected} bytes its header promises")
    if not expected:
        expected, voxels = _promised(head)
    if count < expected:  # the gzip stream is whole, so no more will come
        raise NotUsable(f"it holds {count} bytes and its header promises {expected}")
    return Checked("nifti", voxels)


def _inflated(path: Path, cancel: CancelToken) -> Iterator[bytes]:
    """Give the content of all members of a gzip file; zlib itself compares CRC32 and ISIZE at the end of each."""
    inflater = zlib.decompressobj(wbits=31)
    with path.open("rb") as file:
        try:
            while packed := file.read(_CHUNK):
                while packed:
                    cancel.check()
                    if inflater.eof:
                        if not packed.strip(b"\0"):
                            packed = b""
                            continue
                        inflater = zlib.decompressobj(wbits=31)
                    yield inflater.decompress(packed, _CHUNK)
                    packed = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        except zlib.error as error:
            raise damaged(path, f"its gzip data is damaged ({error})") from error
    if not inflater.eof:
        raise NotComplete("its gzip data ends in the middle")


def _promised(head: bytes) -> tuple[int, int]:
    """Return the bytes a whole file must have and its voxels, from the header."""
    if len(head) < HEADER_BYTES:
        raise NotComplete(f"only {len(head)} bytes so far, the header alone has {HEADER_BYTES}")
    order = _order(head)
    if order is None:
        raise NotUsable("it is gzip, but not of a NIfTI file")
    second = struct.unpack_from(order + "i", head)[0] == HEADER_2_BYTES
    if second and len(head) < HEADER_2_BYTES:
        raise NotComplete(f"only {len(head)} bytes so far, the header alone has {HEADER_2_BYTES}")
    if second:
        kind, bits = struct.unpack_from(order + "hh", head, 12)
        dims = struct.unpack_from(order + "8q", head, 16)
        offset = float(struct.unpack_from(order + "q", head, 168)[0])
    else:
        dims = struct.unpack_from(order + "8h", head, 40)
        kind, bits = struct.unpack_from(order + "hh", head, 70)
        offset = struct.unpack_from(order + "f", head, 108)[0]
    magic = head[4:8] if second else head[344:348]
    if magic[:2] == b"ni":
        raise NotUsable("it is a NIfTI header whose voxels are in another file; give one .nii file")
    if not 1 <= dims[0] <= 7 or min(dims[1 : dims[0] + 1]) < 1:
        raise NotUsable("the dimensions in its header make no sense")
    if kind not in _BITS or bits not in (1, 8, 16, 24, 32, 64, 96, 128, 256) or not 0 <= offset < 1 << 40:
        raise NotUsable("the voxel type or offset in its header makes no sense")
    voxels = math.prod(dims[1 : dims[0] + 1])
    if voxels > MOST_VOXELS:
        raise NotUsable(f"its header promises {voxels} voxels; that is more than any scan has")
    if dims[0] < 3 or min(dims[1:4]) < 2:
        raise NotUsable("it is no volume: it has fewer than three dimensions")
    least = HEADER_2_BYTES if second else HEADER_BYTES
    return max(int(offset), least) + (voxels * bits + 7) // 8, voxels


def _order(head: bytes) -> str | None:
    for order in ("<", ">"):
        if len(head) >= HEADER_BYTES and struct.unpack_from(order + "i", head)[0] == HEADER_BYTES:
            if head[344:347] in (b"n+1", b"ni1"):
                return order
        elif (
            len(head) >= 8
            and struct.unpack_from(order + "i", head)[0] == HEADER_2_BYTES
            and head[4:7] in (b"n+2", b"ni2")
        ):
            return order
    return None


def _compare(size: int, expected: int) -> None:
    if size < expected:
        raise NotComplete(f"{size} of {expected} bytes are there")
    if size > expected + _SPARE_BYTES:
        raise NotUsable(f"it has {size} bytes and its header promises {expected}")
