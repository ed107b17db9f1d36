"""Names of archive entries: which are dangerous, and which place each gets on any file system."""

from __future__ import annotations

import re
import stat
import unicodedata
import zipfile
import zlib
from pathlib import Path

from DicomWorkbenchLib.errors import ArchiveError

LONGEST_NAME = 180  # bytes of one path component; file systems allow 255
_RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]')
_DRIVE = re.compile(r"^[A-Za-z]:")


def safe_parts(entry: zipfile.ZipInfo, archive: str) -> tuple[list[str], bool]:
    """Return the components of an entry's name, fit for every file system, and whether it is a folder.

    Raises
    ------
    ArchiveError : the name leads out of the folder, or the entry is a link or a device.
    """
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveError(f"{archive} holds a link or device ({entry.filename!r}); it is refused")
    # Some Windows programs write backslashes; they separate folders there, so they do here.
    name = entry.orig_filename.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or _DRIVE.match(name):
        raise ArchiveError(f"{archive} holds a name that leads out of its folder ({entry.filename!r}); it is refused")
    return [_portable(part) for part in parts], name.endswith("/")


def _portable(part: str) -> str:
    """Return a component that every file system takes: no reserved names or signs, no dot or space at the end."""
    part = _FORBIDDEN.sub("_", part).rstrip(". ") or "_"
    if _RESERVED.match(part):
        part = f"_{part}"
    encoded = part.encode("utf-8", "replace")
    if len(encoded) <= LONGEST_NAME:
        return encoded.decode("utf-8")
    return encoded[:LONGEST_NAME].decode("utf-8", "ignore") + f"_{zlib.crc32(encoded):08x}"


class Places:
    """Gives every entry a place of its own, also where the file system ignores case or composes accents."""

    def __init__(self, root: Path) -> None:
        self._folders: dict[tuple[str, ...], Path] = {(): root}
        self._taken: set[tuple[str, ...]] = set()

    def folder(self, parts: list[str]) -> Path:
        """Return the folder for some components, made if needed."""
        key: tuple[str, ...] = ()
        for part in parts:
            parent, above = self._folders[key], key
            key = (*above, _folded(part))
            if key not in self._folders:
                path = parent / self._free(above, part)
                path.mkdir()
                self._folders[key] = path
        return self._folders[key]

    def file(self, parts: list[str]) -> Path:
        """Return a free path for a file."""
        return self.folder(parts[:-1]) / self._free(tuple(_folded(part) for part in parts[:-1]), parts[-1])

    def _free(self, above: tuple[str, ...], part: str) -> str:
        """Return the name itself, or with a number if something in that folder has it already."""
        stem, suffix = Path(part).stem, Path(part).suffix
        candidate, number = part, 2
        while (*above, _folded(candidate)) in self._taken:
            candidate = f"{stem}_{number}{suffix}"
            number += 1
        self._taken.add((*above, _folded(candidate)))
        return candidate


def _folded(part: str) -> str:
    return unicodedata.normalize("NFC", part).casefold()
