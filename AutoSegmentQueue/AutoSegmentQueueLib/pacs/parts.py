"""Reading ``multipart/related`` as it comes: each part goes to its own file, in any number of pieces, and never as a whole into memory.

References
----------
RFC 2387; DICOM PS3.18 section 8.6.1.2
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from DicomWorkbenchLib.errors import DependencyError, InputError

LONGEST_HEADERS = 64  # per part; the parser of python-multipart limits the length of each


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
    """Splits a body into files.

    Parameters
    ----------
    boundary : between the parts.
    new_file : gives the path of the next file.
    done : is called with each file when its part has ended.
    """

    def __init__(self, boundary: bytes, new_file: Callable[[], Path], done: Callable[[Path], None]) -> None:
        try:
            from python_multipart.multipart import MultipartParser
        except ImportError as error:
            raise DependencyError("python-multipart", extra="queue") from error
        self._new_file = new_file
        self._done = done
        self._path = Path()
        self._file: IO[bytes] | None = None
        self._ended = False
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_part_data": self._data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks, max_header_count=LONGEST_HEADERS)

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body.

        Raises
        ------
        BadMultipart : it makes no sense.
        OSError : the disk refused.
        """
        from python_multipart.exceptions import FormParserError

        try:
            self._parser.write(data)
        except FormParserError as error:
            raise BadMultipart("the multipart body is damaged") from error

    def finish(self) -> None:
        """Say that the body has ended.

        Raises
        ------
        BadMultipart : it ended too early.
        """
        if not self._ended:
            raise BadMultipart("the multipart body ends before its last boundary")

    def close(self) -> None:
        """Remove a part that has not ended."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._path.unlink(missing_ok=True)

    def _begin(self) -> None:
        self._path = self._new_file()
        self._file = open(self._path, "wb")  # noqa: SIM115 - closed when the part ends

    def _data(self, data: bytes, start: int, end: int) -> None:
        assert self._file is not None
        self._file.write(memoryview(data)[start:end])

    def _end_part(self) -> None:
        assert self._file is not None
        self._file.close()
        self._file = None
        self._done(self._path)

    def _end(self) -> None:
        self._ended = True
