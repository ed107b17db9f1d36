"""Unpacking zip archives that nobody vouches for.

Nothing an archive says about itself is believed: sizes are measured while inflating, names cannot leave the folder, links and devices
are refused. Either everything is unpacked or nothing is left behind.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from DicomWorkbenchLib.errors import ArchiveError
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress

CHUNK = 1 << 18  # bytes inflated between two looks at limits and cancel token
SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
SPARE_DISK_SHARE = 0.95  # of the free space an archive may fill
LARGEST_DIRECTORY_ENTRY = 512  # bytes; a directory with longer entries on average is made to exhaust memory
LONGEST_NAME = 180  # bytes of one path component; file systems allow 255
# The only methods DICOM media use. The others (bzip2, LZMA) let a few bytes claim gigabytes of memory at once.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]')


@dataclass(frozen=True)
class Limits:
    """How much an archive may unpack to.

    Parameters
    ----------
    entries : files and folders, nested archives included.
    total_bytes : all files together.
    file_bytes : one file.
    ratio : unpacked bytes per byte of the archive given. Masks that are zero almost everywhere reach 500; a bomb of zeros 1000.
    ratio_from_bytes : the ratio is judged only above this total, as a small file harms nobody.
    depth : archives within archives; a cohort in the layout of 3D-IRCADb has two levels.
    """

    entries: int = 500_000
    total_bytes: int = 200 << 30
    file_bytes: int = 64 << 30
    ratio: float = 700.0
    ratio_from_bytes: int = 64 << 20
    depth: int = 4


def unpack(
    archive: Path,
    into: Path,
    *,
    limits: Limits | None = None,
    nested: bool = True,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
) -> list[Path]:
    """Unpack a zip archive, and the zip archives inside it, into a folder.

    A nested archive becomes a folder of its name. One that is damaged or encrypted stays as a file. Names that are used twice, also if
    only by upper and lower case, get a number: nothing is overwritten.

    Parameters
    ----------
    archive : the zip file.
    into : the folder to make; it must not exist, or be empty.
    limits : how much may come out; None takes the defaults.
    nested : whether archives inside are unpacked too; if not, they stay as files for later.
    progress : called with entries done and entries of the outer archive.

    Returns
    -------
    list of the files, in the order of the archive.

    Raises
    ------
    ArchiveError : the archive is damaged, encrypted or dangerous, or the disk cannot hold it; nothing is left in ``into``.
    Cancelled : nothing is left in ``into``.
    """
    existed = into.exists()
    if existed and any(into.iterdir()):
        raise ArchiveError(f"{into} is not empty; {archive.name} is unpacked only into a new folder")
    try:
        into.mkdir(parents=True, exist_ok=True)
        budget = _Budget(archive, into, limits or Limits(), cancel, nested)
        return _unpack(archive, archive.name, into, budget, progress, 1)
    except BaseException as error:
        shutil.rmtree(into, ignore_errors=True)
        if existed:
            into.mkdir(exist_ok=True)
        if isinstance(error, OSError):
            raise ArchiveError(f"{archive} could not be unpacked: {error.strerror or error}") from error
        raise


class _Unopenable(ArchiveError):
    """The archive is damaged or encrypted: useless, but not dangerous."""


class _Budget:
    """Counts what comes out of an archive and stops it in time."""

    def __init__(self, archive: Path, into: Path, limits: Limits, cancel: CancelToken, nested: bool) -> None:
        self.name = str(archive)
        self.packed_bytes = max(archive.stat().st_size, 1)
        self.limits = limits
        self.cancel = cancel
        self.nested = nested
        self.entries = 0
        self.bytes = 0
        self.free_bytes = int(shutil.disk_usage(into).free * SPARE_DISK_SHARE)

    def entry(self) -> None:
        self.cancel.check()
        self.entries += 1
        if self.entries > self.limits.entries:
            raise ArchiveError(f"{self.name} holds more than {self.limits.entries} files; it is refused")

    def write(self, count: int, of_file: int, entry: str) -> None:
        """Account for ``count`` more bytes, the file being ``of_file`` bytes long so far."""
        self.cancel.check()
        self.bytes += count
        limits = self.limits
        if of_file > limits.file_bytes:
            raise ArchiveError(f"{entry} in {self.name} unpacks to more than {_size(limits.file_bytes)}; it is refused")
        if self.bytes > limits.total_bytes:
            raise ArchiveError(f"{self.name} unpacks to more than {_size(limits.total_bytes)}; it is refused")
        if self.bytes > limits.ratio_from_bytes and self.bytes > limits.ratio * self.packed_bytes:
            raise ArchiveError(
                f"{self.name} unpacks to more than {limits.ratio:.0f} times its size, as archives made to do harm do; it is "
                "refused. Unpack it by hand if you trust it"
            )
        if self.bytes > self.free_bytes:
            raise ArchiveError(f"{self.name} needs more than the free space on the disk; free some space and run again")


def _unpack(archive: Path, label: str, into: Path, budget: _Budget, progress: Progress, depth: int) -> list[Path]:
    if depth > budget.limits.depth:
        raise ArchiveError(f"{budget.name} holds archives more than {budget.limits.depth} levels deep; it is refused")
    files: list[Path] = []
    names = _Names(into)
    with _opened(archive, label, budget.limits) as source:
        entries = source.infolist()
        for number, entry in enumerate(entries):
            budget.entry()
            progress(number, len(entries), f"unpacking {archive.name}")
            parts = _safe_parts(entry, budget.name)
            if entry.is_dir():
                names.folder(parts)
                continue
            target = names.file(parts)
            _inflate(source, entry, target, label, budget)
            files += _nested(target, f"{label}/{'/'.join(parts)}", names, budget, depth)
    return files


def _nested(file: Path, label: str, names: _Names, budget: _Budget, depth: int) -> list[Path]:
    """Unpack a file in place if it is an archive; otherwise return the file itself."""
    if not budget.nested or file.suffix.lower() != ".zip" or not _has_signature(file):
        return [file]
    packed = names.beside(file)
    file.rename(packed)
    file.mkdir()
    try:
        files = _unpack(packed, label, file, budget, no_progress, depth + 1)
    except _Unopenable:
        shutil.rmtree(file)
        packed.rename(file)
        return [file]
    packed.unlink()
    return files


def _has_signature(file: Path) -> bool:
    with open(file, "rb") as opened:
        return opened.read(4) in SIGNATURES


def _opened(archive: Path, label: str, limits: Limits) -> zipfile.ZipFile:
    _check_directory(archive, label, limits)
    try:
        source = zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, EOFError) as error:
        raise _Unopenable(f"{label} is a damaged zip archive: {error}") from error
    try:
        for entry in source.infolist():
            if entry.flag_bits & 0x1:
                raise _Unopenable(f"{label} is encrypted; unpack it with its password first and give the folder")
            if entry.compress_type not in METHODS:
                raise _Unopenable(f"{label} uses a compression other than deflate; unpack it first and give the folder")
    except _Unopenable:
        source.close()
        raise
    return source


def _check_directory(archive: Path, label: str, limits: Limits) -> None:
    """Refuse an archive whose directory alone would fill the memory; zipfile reads it as a whole.

    References
    ----------
    PKWARE APPNOTE 4.3.14 to 4.3.16 (end of central directory, also of Zip64)
    """
    with open(archive, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        tail_size = min(size, 65_535 + 22 + 20)
        file.seek(size - tail_size)
        tail = file.read(tail_size)
        end = tail.rfind(b"PK\x05\x06")
        if end < 0 or end + 22 > len(tail):
            raise _Unopenable(f"{label} is a damaged zip archive: it has no directory at its end")
        (directory_bytes,) = struct.unpack_from("<I", tail, end + 12)
        if directory_bytes == 0xFFFFFFFF and tail[end - 20 : end - 16] == b"PK\x06\x07":
            (place,) = struct.unpack_from("<Q", tail, end - 12)
            file.seek(min(place, size))
            record = file.read(56)
            directory_bytes = struct.unpack_from("<Q", record, 40)[0] if len(record) == 56 else 0
    if directory_bytes > limits.entries * LARGEST_DIRECTORY_ENTRY:
        raise ArchiveError(f"{label} has a directory of {_size(directory_bytes)}; it is refused")


def _safe_parts(entry: zipfile.ZipInfo, archive: str) -> list[str]:
    """Return the components of an entry's name, or refuse the archive."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveError(f"{archive} holds a link or device ({entry.filename!r}); it is refused")
    # Some Windows programs write backslashes; they separate folders there, so they do here.
    name = entry.orig_filename.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or re.match(r"^[A-Za-z]:", name):
        raise ArchiveError(f"{archive} holds a name that leads out of its folder ({entry.filename!r}); it is refused")
    if not parts:
        raise ArchiveError(f"{archive} holds an entry without a name; it is refused")
    return [_portable(part) for part in parts]


def _portable(part: str) -> str:
    """Return a component that every file system takes: no reserved names or signs, no dot or space at the end."""
    part = _FORBIDDEN.sub("_", part).rstrip(". ") or "_"
    if _RESERVED.match(part):
        part = f"_{part}"
    encoded = part.encode("utf-8", "replace")
    if len(encoded) <= LONGEST_NAME:
        return encoded.decode("utf-8")
    return encoded[:LONGEST_NAME].decode("utf-8", "ignore") + f"_{zlib.crc32(encoded):08x}"


class _Names:
    """Gives every entry a place of its own, on file systems that ignore case or compose accents too."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[tuple[str, ...], Path] = {(): root}
        self._taken: set[tuple[str, ...]] = set()

    def folder(self, parts: list[str]) -> Path:
        """Return the folder for some components, made if needed."""
        key: tuple[str, ...] = ()
        for part in parts:
            parent, key = self._folders[key], (*key, _folded(part))
            if key not in self._folders:
                path = self._free(parent, part, key)
                path.mkdir()
                self._folders[key] = path
        return self._folders[key]

    def file(self, parts: list[str]) -> Path:
        """Return a free path for a file."""
        parent = self.folder(parts[:-1])
        return self._free(parent, parts[-1], tuple(_folded(part) for part in parts))

    def beside(self, file: Path) -> Path:
        """Return a free path in the same folder that no entry can have."""
        return file.with_name(f".{zlib.crc32(file.name.encode()):08x}.packed")

    def _free(self, parent: Path, part: str, key: tuple[str, ...]) -> Path:
        stem, suffix = Path(part).stem, Path(part).suffix
        candidate, number = part, 2
        place = (*key[:-1], _folded(part))
        while place in self._taken:
            candidate = f"{stem}_{number}{suffix}"
            place = (*key[:-1], _folded(candidate))
            number += 1
        self._taken.add(place)
        return parent / candidate


def _folded(part: str) -> str:
    return unicodedata.normalize("NFC", part).casefold()


def _inflate(source: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, label: str, budget: _Budget) -> None:
    try:
        with source.open(entry) as packed, open(target, "xb") as file:
            size = 0
            for chunk in _chunks(packed):
                size += len(chunk)
                budget.write(len(chunk), size, entry.filename)
                file.write(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error) as error:
        raise _Unopenable(f"{label} is a damaged zip archive: {entry.filename!r}: {error}") from error


def _chunks(packed: IO[bytes]) -> Iterator[bytes]:
    while chunk := packed.read(CHUNK):
        yield chunk


def _size(count: int) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1024 or unit == "GB":
            return f"{count:.0f} {unit}"
        count = count // 1024
    return str(count)
