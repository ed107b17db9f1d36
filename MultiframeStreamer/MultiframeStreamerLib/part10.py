"""Writes multi-frame objects the way every reader likes them: one fragment a frame and an offset table that is right.

Source: DICOM PS3.10 section 7, PS3.5 A.4, PS3.3 C.7.6.3.1.8 (the Extended Offset Table needs an empty Basic one).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, BinaryIO

from DicomWorkbenchLib.headers import quiet_pydicom

from .tables import EXTENDED_LENGTHS, EXTENDED_OFFSETS

if TYPE_CHECKING:
    from pydicom import Dataset

_ITEM = b"\xfe\xff\x00\xe0"
_DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"
LARGEST_BASIC = (1 << 32) - 1  # of an entry of the Basic Offset Table, and of a written length


def header_bytes(dataset: Dataset, transfer_syntax: str) -> bytes:
    """Return preamble, file meta information and data set (without pixel data) in explicit little endian."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset, write_file_meta_info
    from pydicom.uid import UID

    from . import IMPLEMENTATION_UID

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    dataset.file_meta = meta
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    buffer.write(b"\0" * 128 + b"DICM")
    with quiet_pydicom():
        _as_little_endian(dataset)
        write_file_meta_info(buffer, meta, enforce_standard=True)
        write_dataset(buffer, dataset)
    return bytes(buffer.getvalue())


def _as_little_endian(dataset: Dataset) -> None:
    """Decode every element, so that it is encoded anew; words of big endian binary values are turned round."""
    big = dataset.original_encoding[1] is False
    for element in dataset.iterall():
        if big and element.VR == "OW" and isinstance(element.value, bytes):
            raw = bytearray(element.value)
            raw[0::2], raw[1::2] = element.value[1::2], element.value[0::2]
            element.value = bytes(raw)
    if big:
        dataset.set_original_encoding(False, True)


class EncapsulatedWriter:
    """Writes frames one after the other; tables are filled in at the end, so nothing is held in memory.

    Parameters
    ----------
    stream : an empty file, open for writing and seeking.
    dataset : header without pixel data; gets the Extended Offset Table where ``sizes`` need one.
    sizes : upper limit of the bytes of all frames, which decides between the two tables.
    frames : number of frames that will come.
    """

    def __init__(self, stream: BinaryIO, dataset: Dataset, transfer_syntax: str, frames: int, sizes: int) -> None:
        self._stream, self._frames = stream, frames
        self._extended = sizes + 9 * frames > LARGEST_BASIC
        self._offsets: list[int] = []
        self._lengths: list[int] = []
        if self._extended:
            dataset.add_new(EXTENDED_OFFSETS, "OV", b"\0" * 8 * frames)
            dataset.add_new(EXTENDED_LENGTHS, "OV", b"\0" * 8 * frames)
        head = header_bytes(dataset, transfer_syntax)
        # both tables are the last elements of the header, each behind twelve bytes of its own
        self._table_at = len(head) - 2 * 8 * frames - 12 if self._extended else len(head) + 12 + 8
        table = b"" if self._extended else b"\0" * 4 * frames
        stream.write(head + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF))
        stream.write(_ITEM + struct.pack("<I", len(table)) + table)
        self._first = stream.tell()

    def write(self, frame: bytes) -> None:
        """Append a frame."""
        self._offsets.append(self._stream.tell() - self._first)
        self._lengths.append(len(frame))
        padded = frame + b"\0" * (len(frame) % 2)
        self._stream.write(_ITEM + struct.pack("<I", len(padded)) + padded)

    def finish(self) -> None:
        """Write the delimiter and the tables."""
        count = len(self._offsets)
        self._stream.write(_DELIMITER)
        self._stream.seek(self._table_at)
        if self._extended:
            self._stream.write(struct.pack(f"<{count}Q", *self._offsets))
            self._stream.seek(12, io.SEEK_CUR)
            self._stream.write(struct.pack(f"<{count}Q", *self._lengths))
        else:
            self._stream.write(struct.pack(f"<{count}I", *self._offsets))


def write_native(
    stream: BinaryIO,
    dataset: Dataset,
    transfer_syntax: str,
    chunks: Iterable[bytes],
    length: int,
    element: tuple[int, str],
) -> None:
    """Write uncompressed pixel data of a known length; ``element`` is tag and representation."""
    tag, vr = element
    stream.write(header_bytes(dataset, transfer_syntax))
    stream.write(struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, length + length % 2))
    for chunk in chunks:
        stream.write(chunk)
    stream.write(b"\0" * (length % 2))


def joined_bits(frames: Sequence[bytes] | Iterable[bytes], bits: int) -> Iterable[bytes]:
    """Put 1-bit frames, each beginning at bit 0, one after the other without padding."""
    rest, held = 0, 0
    for frame in frames:
        rest |= (int.from_bytes(frame, "little") & ((1 << bits) - 1)) << held
        held += bits
        whole = held // 8
        yield (rest & ((1 << 8 * whole) - 1)).to_bytes(whole, "little")
        rest >>= 8 * whole
        held -= 8 * whole
    if held:
        yield rest.to_bytes(1, "little")
