"""The few header fields that scanning and stacking need, read without building a pydicom data set.

A header is read up to the pixel data and never further. The parser in `headers_parse` knows explicit and implicit VR, both byte orders,
deflated data sets and files without preamble; where it meets something it does not know, pydicom is asked for its opinion.
"""

from __future__ import annotations

import io
import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib.errors import FileError
from DicomWorkbenchLib.headers_parse import NotDicom, ParsedHeader, Unusual, inflating, parse_header
from DicomWorkbenchLib.headers_tags import Tag

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["Header", "NotDicom", "Tag", "inflated", "quiet_pydicom", "read_dataset", "read_header"]

_BINARY = {2: "H", 4: "I"}  # bytes of one US or UL value -> struct code


class Header:
    """Typed access to the fields of one file's header; a field that is absent or broken is empty or None."""

    __slots__ = ("parsed",)

    def __init__(self, parsed: ParsedHeader) -> None:
        self.parsed = parsed

    def __contains__(self, tag: int) -> bool:
        return tag in self.parsed.values

    @property
    def transfer_syntax_uid(self) -> str:
        """Transfer syntax of the file meta information, or the one guessed where there is none."""
        return self.parsed.transfer_syntax_uid

    def text(self, tag: int) -> str:
        """Return a text field, without padding; non-ASCII text is decoded by SpecificCharacterSet."""
        raw = self.parsed.values.get(tag, b"").rstrip(b" \0").lstrip(b" ")
        return raw.decode("ascii") if raw.isascii() else _decode_text(raw, self.text(Tag.SPECIFIC_CHARACTER_SET))

    def numbers(self, tag: int) -> tuple[float, ...]:
        """Return the values of a decimal string (DS) or FD field; empty if absent, broken or not finite."""
        raw = self.parsed.values.get(tag)
        if not raw:
            return ()
        try:
            if tag in Tag.DOUBLES:
                numbers = struct.unpack(f"{self._order}{len(raw) // 8}d", raw)
            else:
                numbers = tuple(float(part) for part in raw.rstrip(b" \0").split(b"\\"))
        except (ValueError, struct.error):
            return ()
        return numbers if all(abs(number) < float("inf") for number in numbers) else ()

    def number(self, tag: int) -> float | None:
        """Return the first value of a DS or FD field."""
        values = self.numbers(tag)
        return values[0] if values else None

    def integer(self, tag: int) -> int | None:
        """Return the first value of an integer string (IS) or a US or UL field."""
        raw = self.parsed.values.get(tag)
        if not raw:
            return None
        if tag in Tag.BINARY_INTEGERS:
            code = _BINARY.get(len(raw), "H")
            return int(struct.unpack_from(self._order + code, raw)[0]) if len(raw) >= 2 else None
        try:
            return int(float(raw.rstrip(b" \0").split(b"\\")[0]))
        except (ValueError, OverflowError):
            return None

    @property
    def _order(self) -> str:
        return ">" if self.parsed.big_endian else "<"


def read_header(path: str | Path) -> Header:
    """Read the header fields of one file, up to its pixel data.

    Raises
    ------
    NotDicom : the file is something else.
    FileError : the file cannot be opened, or is DICOM whose header is broken.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            try:
                return Header(parse_header(file))
            except Unusual as unusual:
                return Header(_parse_with_pydicom(file, unusual))
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error


def read_dataset(path: Path, *, pixels: bool = True, tags: Sequence[str] | None = None) -> Dataset:
    """Read one file with pydicom, quietly.

    Parameters
    ----------
    path : the file; it may lack preamble and file meta information.
    pixels : whether to read the pixel data too.
    tags : the keywords of the only top-level elements to keep; None keeps all.

    Raises
    ------
    FileError : the file cannot be opened or is not DICOM; the message names it.
    """
    import pydicom

    wanted = None if tags is None else list(tags)
    try:
        with quiet_pydicom(f"{path} is a broken DICOM file"):
            force = _lacks_preamble(path)
            return pydicom.dcmread(path, stop_before_pixels=not pixels, specific_tags=wanted, force=force)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except NotDicom as error:
        raise FileError(f"{path} is not a DICOM file") from error


def inflated(path: Path, count: int) -> bytes:
    """Return the first ``count`` bytes of the data set of a deflated file, fewer if it ends before.

    Raises
    ------
    FileError : the file cannot be opened, or its data set cannot be inflated.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            return inflating(file, parse_header(file).data_offset, count)(0, count)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except (Unusual, NotDicom, zlib.error) as error:
        raise FileError(f"{path} is a broken deflated DICOM file: {error}") from error


class _Quiet:
    """Silences pydicom while anybody in the process uses it on foreign files.

    Warning filters and loggers belong to the whole process: the first to come changes them, the last to leave puts them back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._undo = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._undo.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
                logger = logging.getLogger("pydicom")
                self._undo.callback(logger.setLevel, logger.level)
                logger.setLevel(logging.CRITICAL)

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._undo.close()


_QUIET = _Quiet()


@contextmanager
def quiet_pydicom(problem: str = "") -> Iterator[None]:
    """Use pydicom on files nobody vouches for: without its warnings, and with its many errors turned into one.

    Parameters
    ----------
    problem : what to say if pydicom cannot make sense of the bytes; empty lets its errors through.

    Raises
    ------
    FileError : with ``problem``; what pydicom says stays the cause only, as it may quote the bytes of a patient's name.
    """
    with _QUIET:
        try:
            yield
        except _pydicom_errors() as error:
            if problem:
                raise FileError(problem) from error
            raise


def _pydicom_errors() -> tuple[type[Exception], ...]:
    """Name what pydicom lets through when bytes make no sense to it."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (
        *(BytesLengthException, InvalidDicomError, ValueError, KeyError, IndexError, TypeError, AttributeError),
        *(NotImplementedError, struct.error, EOFError, RecursionError, OverflowError, MemoryError, zlib.error),
    )


def _lacks_preamble(path: Path) -> bool:
    """True for DICOM without preamble; raises NotDicom for anything that is no DICOM at all."""
    with open(path, "rb") as file:
        if file.read(132)[128:] == b"DICM":
            return False
    try:
        read_header(path)
    except FileError as error:
        raise NotDicom(str(error)) from error
    return True


def _parse_with_pydicom(file: io.FileIO, unusual: Unusual) -> ParsedHeader:
    """Ask pydicom about a header that our parser does not understand."""
    import pydicom

    problem = f"{file.name!s} is a broken DICOM file: {unusual}"
    if unusual.deflated:  # pydicom would inflate all of it, however large that is
        raise FileError(problem) from unusual
    file.seek(0)
    try:
        with quiet_pydicom(problem):
            dataset = pydicom.dcmread(io.BufferedReader(_Unclosable(file)), stop_before_pixels=True, force=True)
            parsed = _from_dataset(dataset)
    except FileError as error:
        if unusual.marked:
            raise
        raise NotDicom(str(unusual)) from error
    if not unusual.marked and not {Tag.SOP_CLASS, Tag.SERIES} <= parsed.values.keys():
        raise NotDicom(str(unusual))
    return parsed


class _Unclosable(io.RawIOBase):
    """Lend a file to a reader that would close it."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)


def _from_dataset(dataset: Dataset) -> ParsedHeader:
    parsed = ParsedHeader()
    for tag in Tag.WANTED:
        if tag in dataset:
            parsed.values[tag] = _to_bytes(tag, dataset[tag].value)
    meta = getattr(dataset, "file_meta", None)
    parsed.transfer_syntax_uid = str(meta.get("TransferSyntaxUID", "")) if meta is not None else ""
    return parsed


def _to_bytes(tag: int, value: Any) -> bytes:
    """Write a pydicom value as its little-endian bytes, the form our own parser keeps."""
    values = list(value) if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
    if tag in Tag.SEQUENCES:
        return b"present"
    if tag in Tag.DOUBLES:
        return struct.pack(f"<{len(values)}d", *values)
    if tag in Tag.BINARY_INTEGERS:
        if not values or values[0] is None:
            return b""
        return struct.pack("<H", int(values[0]) & 0xFFFF)  # negative padding values too, as two bytes
    return b"\\".join(b"" if item is None else str(item).encode("utf-8") for item in values)


def _decode_text(raw: bytes, character_set: str) -> str:
    from pydicom.charset import convert_encodings, decode_bytes

    try:
        with quiet_pydicom():
            encodings = convert_encodings(character_set.split("\\") if character_set else None)
            return decode_bytes(raw, encodings, {ord(sign) for sign in "\n\r\t\f"})
    except (LookupError, ValueError):
        return raw.decode("utf-8", "replace")
