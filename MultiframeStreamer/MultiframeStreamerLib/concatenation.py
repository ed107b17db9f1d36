"""Concatenations: one multi-frame object that its writer split into several files (PS3.3 C.7.6.16.2.2.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.errors import FileError, InputError, NoDicomError
from DicomWorkbenchLib.outputs import is_hidden_stage

from .header import Header, read_header
from .sources import LocalSource

CONCATENATION, NUMBER, TOTAL, FRAME_OFFSET = 0x00209161, 0x00209162, 0x00209163, 0x00209228
_FRAMES = 0x00280008


@dataclass(frozen=True)
class Part:
    """One file of a concatenation: its place in the whole, counted from 0."""

    path: Path
    uid: str
    number: int
    total: int
    first_frame: int | None
    frames: int


def part_of_concatenation(path: Path, header: Header) -> Part | None:
    """Return what a header says of its place in a concatenation, None if it is no part of one."""
    uid = header.text(CONCATENATION)
    if not uid:
        return None
    return Part(
        path,
        uid,
        header.integer(NUMBER) or 0,
        header.integer(TOTAL) or 0,
        header.integer(FRAME_OFFSET),
        header.integer(_FRAMES) or 1,
    )


def dicom_files(place: Path) -> list[Path]:
    """Return the regular files below a folder in order of their names, or the file itself; hidden files are passed over."""
    if not place.is_dir():
        return [place]
    found = (p for p in sorted(place.rglob("*")) if p.is_file())
    return [p for p in found if not is_hidden_stage(p) and not p.name.startswith(".")]


def joined_with_siblings(path: Path, header: Header) -> list[Path]:
    """Return all parts of the concatenation a file belongs to that lie in its folder, in order; else the file alone.

    Raises
    ------
    InputError : parts overlap or one is missing, so that frames could not be counted.
    """
    own = part_of_concatenation(path, header)
    if own is None:
        return [path]
    parts = [part for part in _parts_in(path.parent) if part.uid == own.uid]
    return [part.path for part in ordered(parts)]


def joined_in_folder(folder: Path) -> list[Path]:
    """Return the parts of the one object that lies in a folder.

    Raises
    ------
    NoDicomError, InputError : there is none, or more than one.
    """
    found = _parts_in(folder, also_single=True)
    if not found:
        raise NoDicomError(f"{folder} holds no DICOM file")
    if len({part.uid or str(part.path) for part in found}) > 1:
        raise InputError(f"{folder} holds {len(found)} DICOM files that are not one concatenation; name one of them")
    return [part.path for part in ordered(found)]


def ordered(parts: Sequence[Part]) -> list[Part]:
    """Sort parts and hold them together.

    Raises
    ------
    InputError : a part is missing, doubled, or frame offsets disagree.
    """
    parts = sorted(parts, key=lambda part: part.number)
    numbers = [part.number for part in parts]
    total = max((part.total for part in parts), default=0) or len(parts)
    if len(parts) == 1 and not parts[0].uid:
        return list(parts)
    if len(set(numbers)) != len(numbers):
        raise InputError(
            f"{parts[0].path.parent}: the concatenation has two parts with the same number; keep one of them"
        )
    missing = sorted(set(range(1, total + 1)) - set(numbers))
    if missing:
        named = ", ".join(map(str, missing[:10]))
        raise InputError(
            f"{parts[0].path.parent}: part {named} of {total} of the concatenation is missing; put all parts together"
        )
    expected = 0
    for part in parts:
        if part.first_frame is not None and part.first_frame != expected:
            raise InputError(
                f"{part.path} says that {part.first_frame} frames come before it; the other parts have {expected}"
            )
        expected += part.frames
    return list(parts)


def _parts_in(folder: Path, *, also_single: bool = False) -> list[Part]:
    found = []
    for path in dicom_files(folder):
        header = _readable(path)
        if header is None:
            continue
        part = part_of_concatenation(path, header)
        if part is None and also_single and header.pixel_tag:
            part = Part(path, "", 1, 1, None, header.integer(_FRAMES) or 1)
        if part is not None:
            found.append(part)
    return found


def _readable(path: Path) -> Header | None:
    try:
        source = LocalSource(path)
    except FileError:
        return None
    try:
        header = read_header(source)
        for tag in (CONCATENATION, NUMBER, TOTAL, FRAME_OFFSET, _FRAMES):
            header.raw(tag)
    except FileError:
        return None
    else:
        return _Detached.of(header)
    finally:
        source.close()


class _Detached(Header):
    """A header whose few values were read before its file was closed."""

    @classmethod
    def of(cls, header: Header) -> _Detached:
        kept = cls(
            header.source, header.transfer_syntax, header.explicit, header.big_endian, header.elements, header.pixel_tag
        )
        kept.values = {tag: header.raw(tag) for tag in (CONCATENATION, NUMBER, TOTAL, FRAME_OFFSET, _FRAMES)}
        return kept

    values: dict[int, bytes]

    def raw(self, tag: int) -> bytes:
        return self.values.get(tag, b"")
