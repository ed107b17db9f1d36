"""What lies in the input folder, as units: a file or a folder of DICOM that makes one job."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
import zlib
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.outputs import is_hidden_stage
from DicomWorkbenchLib.progress import NEVER, CancelToken
from DicomWorkbenchLib.report import sha256_of

from AutoSegmentQueueLib.formats_dicom import LITTER, files_of
from AutoSegmentQueueLib.ledger_rows import Content

PARTIAL = (".part", ".partial", ".crdownload", ".download", ".tmp", ".filepart")
DONE_MARK = ".done"
LONGEST_NAME = 80
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Unit:
    """A file or folder that was found, or files that were named together.

    Attributes
    ----------
    newest : time of the last change, seconds of the wall clock.
    marked : its ``.done`` mark says that it is complete.
    slices : the files that were named together, ``path`` being the first; otherwise empty.
    """

    path: Path
    signature: str
    newest: float
    marked: bool
    slices: tuple[Path, ...] = ()


def units_in(folder: Path, but: Container[Path] = ()) -> list[Unit]:
    """Return what lies in the input folder, without what is only half there by its name, and without some paths."""
    names = sorted(entry.name for entry in os.scandir(folder) if not is_left_alone(Path(entry.path)))
    present = set(names)
    found = []
    for name in names:
        if folder / name in but or (name.endswith(DONE_MARK) and name.removesuffix(DONE_MARK) in present):
            continue
        unit = look_at(folder / name)
        if unit is not None:
            found.append(unit)
    return found


def look_at(path: Path) -> Unit | None:
    """Return a file or folder as it is now; None if it is gone, a link, or an empty folder."""
    try:
        status = path.lstat()
        if path.is_symlink():
            return None
        marked = path.with_name(path.name + DONE_MARK).exists()
        if not path.is_dir():
            return Unit(path, _signature([("", status)]), status.st_mtime, marked)
        inside = [(str(p.relative_to(path)), p.lstat()) for p in sorted(path.rglob("*")) if p.is_file()]
    except OSError:  # taken away or renamed while we looked
        return None
    if not inside:
        return None
    newest = max(one.st_mtime for _, one in inside)
    return Unit(path, _signature(inside), newest, marked or (path / DONE_MARK).exists())


def unit_of(inputs: Sequence[str]) -> Unit | None:
    """Return the input of a job as it is now: one file or folder, or slices; None if it, or one of them, is gone."""
    if len(inputs) < 2:
        return look_at(Path(inputs[0])) if inputs else None
    paths = tuple(Path(one) for one in inputs)
    found = [look_at(path) for path in paths]
    units = [unit for unit in found if unit is not None]
    if len(units) < len(found):
        return None
    lines = "\n".join(f"{unit.path}|{unit.signature}" for unit in units)
    signature = hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()[:24] + f"-{len(units)}"
    return Unit(paths[0], signature, max(unit.newest for unit in units), marked=False, slices=paths)


def content_of(path: Path, cancel: CancelToken = NEVER, slices: Sequence[Path] = ()) -> Content:
    """Hash a complete input; a folder, or slices, by the contents of the files, whatever they are called.

    Raises
    ------
    OSError : it cannot be read.
    """
    if not slices and not path.is_dir():
        return Content(sha256_of(path), path.stat().st_size)
    digests, size = [], 0
    for file in slices or files_of(path):
        cancel.check()
        digests.append(sha256_of(file))
        size += file.stat().st_size
    return Content(hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest(), size)


def safe_name(name: str) -> str:
    """Return a name fit for every file system: no separators, reserved names or signs, not too long, never empty."""
    plain = unicodedata.normalize("NFC", name)
    plain = "".join(sign for sign in plain if unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    plain = _FORBIDDEN.sub("_", plain).strip().strip(". ") or "scan"
    if _RESERVED.match(plain):
        plain = f"_{plain}"
    encoded = plain.encode("utf-8")
    if len(encoded) <= LONGEST_NAME:
        return plain
    return encoded[: LONGEST_NAME - 9].decode("utf-8", "ignore") + f"_{zlib.crc32(encoded):08x}"


def is_left_alone(path: Path) -> bool:
    """True for what is hidden, half there by its name, or litter of file managers."""
    name = path.name.lower()
    return name.startswith((".", "~")) or name in LITTER or name.endswith(PARTIAL) or is_hidden_stage(path)


def _signature(entries: list[tuple[str, os.stat_result]]) -> str:
    """Return what changes whenever a file is written, replaced or added: names, sizes, times, file numbers."""
    lines = [f"{name}|{s.st_size}|{s.st_mtime_ns}|{s.st_ino}" for name, s in entries]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:24] + f"-{sum(s.st_size for _, s in entries)}"
