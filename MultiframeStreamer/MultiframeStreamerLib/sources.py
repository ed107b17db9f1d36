"""Where bytes come from: a local file read by position, never by a shared cursor, so that threads need no lock.

Every source knows its size and an identity that changes when its content does; nothing here reads more than it is asked for.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from DicomWorkbenchLib.errors import FileError

_CHUNK = 1 << 26  # Linux returns at most 2 GiB from one pread; smaller pieces also let a cancel through


class ByteSource(Protocol):
    """Bytes that can be read from any position by any thread."""

    @property
    def name(self) -> str:
        """What messages call it: a path or an address."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    @property
    def remote(self) -> bool:
        """True where every read costs a journey over the network."""

    @property
    def identity(self) -> tuple[str, ...]:
        """What changes when the content does: size, time, inode; or size and entity tag."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``, fewer where the source ends."""

    def check_unchanged(self) -> None:
        """Raise `FileError` if the content is no longer what was opened."""

    def close(self) -> None:
        """Let go of it; closing twice does nothing."""


def quick_reader(source: ByteSource) -> Callable[[int, int], bytes]:
    """Return the quickest way to read a few bytes: for a local file the system call itself."""
    if isinstance(source, LocalSource) and hasattr(os, "pread"):
        handle, pread = source.handle, os.pread

        def read(offset: int, length: int) -> bytes:
            return pread(handle, length, offset)

        return read
    return source.read_at


class LocalSource:
    """A regular file, opened read-only.

    Parameters
    ----------
    path : the file; links are followed, pipes and devices are refused (reading them could wait for ever).

    Raises
    ------
    FileError : it does not exist, is no regular file or may not be read.
    """

    remote = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self._lock = threading.Lock()
        self._handle = -1
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise FileError(f"{path} is not a file; give a DICOM file or a folder of them")
            self._handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
            self._opened = os.fstat(self._handle)
        except OSError as error:
            self.close()
            raise FileError(f"{path} cannot be opened: {error.strerror or error}") from error
        if hasattr(os, "posix_fadvise"):  # Linux: no read-ahead for the few bytes of item headers
            os.posix_fadvise(self._handle, 0, 0, os.POSIX_FADV_RANDOM)

    @property
    def handle(self) -> int:
        """The file descriptor, -1 when closed."""
        return self._handle

    @property
    def size(self) -> int:
        """Bytes in the file when it was opened."""
        return self._opened.st_size

    @property
    def identity(self) -> tuple[str, ...]:
        """Size, time of the last change in nanoseconds, and inode."""
        return (str(self._opened.st_size), str(self._opened.st_mtime_ns), str(self._opened.st_ino))

    def read_at(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``, fewer where the file ends.

        Raises
        ------
        FileError : the disk or the network path failed, or the source is closed.
        """
        wanted = min(length, max(self.size - offset, 0))
        try:
            piece = self._pread(min(wanted, _CHUNK), offset)
            if len(piece) == wanted or not piece:
                return piece
            pieces, got = [piece], len(piece)
            while got < wanted and (piece := self._pread(min(wanted - got, _CHUNK), offset + got)):
                pieces.append(piece)
                got += len(piece)
        except OSError as error:
            raise FileError(f"{self.name} cannot be read at byte {offset}: {error.strerror or error}") from error
        return b"".join(pieces)

    def _pread(self, length: int, offset: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._handle, length, offset)
        with self._lock:  # Windows has no pread
            os.lseek(self._handle, offset, os.SEEK_SET)
            return os.read(self._handle, length)

    def check_unchanged(self) -> None:
        """Raise `FileError` if the file was written to since it was opened.

        A file that was removed or replaced by another stays readable as it was: the handle still holds the old content.
        """
        try:
            now = os.fstat(self._handle)
        except OSError as error:
            raise FileError(f"{self.name} is closed") from error
        if (now.st_size, now.st_mtime_ns) != (self._opened.st_size, self._opened.st_mtime_ns):
            raise FileError(f"{self.name} was changed while it was open; open it again to see its new frames")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)
