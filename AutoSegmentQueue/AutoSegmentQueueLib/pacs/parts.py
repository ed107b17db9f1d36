"""Reading ``multipart/related`` as it comes: each part goes to its own file, in any number of pieces, and never as a whole into memory.

References
----------
RFC 2387; DICOM PS3.18 section 8.6.1.2
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

from DicomWorkbenchLib.errors import InputError

LONGEST_HEADERS = 16 << 10  # bytes per part


class BadMultipart(InputError):
    """A body is not what its Content-Type says."""


def boundary_of(content_type: str) -> tuple[str, bytes]:
    """Return the type of the parts (empty where not said) and the boundary.

    Raises
    ------
    BadMultipart : it is no multipart/related, or has no boundary.
    """
    from email.message import Message

    message = Message()
    message["Content-Type"] = content_type
    if message.get_content_type() != "multipart/related":
        raise BadMultipart(f"multipart/related is expected, got {message.get_content_type()}")
    boundary = message.get_param("boundary")
    if not isinstance(boundary, str) or not boundary:
        raise BadMultipart("the Content-Type of a multipart body must name its boundary")
    kind = message.get_param("type")
    return (kind.lower() if isinstance(kind, str) else ""), boundary.encode("latin-1", "replace")


class PartFiles:
    """Splits a body into files, at the speed of searching bytes: general parsers go letter by letter, at a tenth of it.

    Parameters
    ----------
    boundary : between the parts.
    new_file : gives the path of the next file.
    done : is called with each file when its part has ended.
    """

    def __init__(self, boundary: bytes, new_file: Callable[[], Path], done: Callable[[Path], None]) -> None:
        self._mark = b"\r\n--" + boundary
        self._new_file = new_file
        self._done = done
        self._rest = bytearray(b"\r\n")  # so that a body may begin with its first boundary
        self._step: Callable[[], bool] = self._preamble
        self._path = Path()
        self._file: IO[bytes] | None = None

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body.

        Raises
        ------
        BadMultipart : it makes no sense.
        OSError : the disk refused.
        """
        self._rest += data
        while self._step():
            pass

    def finish(self) -> None:
        """Say that the body has ended.

        Raises
        ------
        BadMultipart : it ended too early.
        """
        if self._step != self._epilogue:
            raise BadMultipart("the multipart body ends before its last boundary")

    def close(self) -> None:
        """Remove a part that has not ended."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._path.unlink(missing_ok=True)

    # Each step takes what it can from the rest and says whether another one may go on.

    def _preamble(self) -> bool:
        found = self._rest.find(self._mark)
        if found < 0:
            if len(self._rest) > LONGEST_HEADERS:
                raise BadMultipart("the multipart body does not begin with its boundary")
            return False
        del self._rest[: found + len(self._mark)]
        self._step = self._after_mark
        return True

    def _after_mark(self) -> bool:
        if self._rest.startswith(b"--"):
            self._step = self._epilogue
            return True
        end = self._rest.find(b"\r\n")
        if end < 0 and len(self._rest) < LONGEST_HEADERS:
            return False
        if end < 0 or self._rest[:end].strip(b" \t"):
            raise BadMultipart("the multipart body is damaged: letters follow a boundary")
        del self._rest[:end]  # the line's end stays: headers may be none
        self._step = self._headers
        return True

    def _headers(self) -> bool:
        end = self._rest.find(b"\r\n\r\n")
        if end < 0:
            if len(self._rest) > LONGEST_HEADERS:
                raise BadMultipart("the headers of a part are too long")
            return False
        del self._rest[: end + 4]
        self._path = self._new_file()
        self._file = open(self._path, "wb")  # noqa: SIM115 - closed when the part ends
        self._step = self._data
        return True

    def _data(self) -> bool:
        assert self._file is not None
        found = self._rest.find(self._mark)
        sure = len(self._rest) - len(self._mark) + 1 if found < 0 else found  # the end may be the beginning of a mark
        if sure > 0:
            with memoryview(self._rest) as view, view[:sure] as piece:
                self._file.write(piece)
            del self._rest[:sure]
        if found < 0:
            return False
        del self._rest[: len(self._mark)]
        self._file.close()
        self._file = None
        self._done(self._path)
        self._step = self._after_mark
        return True

    def _epilogue(self) -> bool:
        self._rest.clear()
        return False
