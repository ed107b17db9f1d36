"""A deflated data set has no random access: it is inflated once, into a temporary file that goes away with the reader.

Source: DICOM PS3.5 A.5 (Deflated Explicit VR Little Endian: everything after the file meta information is one deflate stream).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zlib
from pathlib import Path

from DicomWorkbenchLib.errors import FileError
from DicomWorkbenchLib.progress import NEVER, CancelToken

from .sources import ByteSource, LocalSource

LARGEST_SPOOL = 1 << 36  # 64 GiB; a deflate stream of 64 MiB could ask for that much
_LEAVE_FREE = 1 << 30  # bytes of disk that are never used
_BLOCK = 1 << 20


class SpooledSource(LocalSource):
    """An inflated copy of a deflated object: the same file meta information, then the plain data set.

    The copy is readable by this user only and is removed on close.
    """

    def __init__(self, path: Path, original: ByteSource) -> None:
        super().__init__(path)
        self.name = original.name
        self._original = original

    @property
    def identity(self) -> tuple[str, ...]:
        """Identity of the file that was inflated."""
        return self._original.identity

    def check_unchanged(self) -> None:
        """Raise `FileError` if the deflated file was changed."""
        self._original.check_unchanged()

    def close(self) -> None:
        """Close and remove the copy."""
        super().close()
        if hasattr(self, "_original"):
            self._original.close()
        self.path.unlink(missing_ok=True)


def inflate(source: ByteSource, start: int, *, cancel: CancelToken = NEVER) -> SpooledSource:
    """Inflate the data set that begins at ``start``.

    Raises
    ------
    FileError : the stream is damaged, cut off, or would fill the disk.
    """
    handle, name = tempfile.mkstemp(prefix="dicom-workbench-", suffix=".spool")
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as spool:
            spool.write(source.read_at(0, start))
            _inflate_into(spool, source, start, _room(path), cancel)
        return SpooledSource(path, source)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _room(path: Path) -> int:
    return min(LARGEST_SPOOL, max(shutil.disk_usage(path.parent).free - _LEAVE_FREE, 0))


def _inflate_into(spool: object, source: ByteSource, start: int, room: int, cancel: CancelToken) -> None:
    head = source.read_at(start, 2)
    # Raw deflate is the rule; some writers add the two bytes of a zlib header.
    zlib_header = len(head) == 2 and head[0] & 0x0F == 8 and int.from_bytes(head, "big") % 31 == 0
    inflater = zlib.decompressobj(zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS)
    position, written, pending = start, 0, b""
    while not inflater.eof:
        cancel.check()
        if not pending:
            pending = source.read_at(position, _BLOCK)
            position += len(pending)
            if not pending:
                raise FileError(f"{source.name} is cut off inside its deflated data set")
        try:
            piece = inflater.decompress(pending, _BLOCK)
        except zlib.error as error:
            raise FileError(f"{source.name}: its deflated data set is damaged near byte {position}") from error
        pending = inflater.unconsumed_tail
        written += len(piece)
        if written > room:
            raise FileError(
                f"{source.name} inflates to more than {room >> 20} MB, which the disk for temporary files does not have"
            )
        spool.write(piece)  # type: ignore[attr-defined]
