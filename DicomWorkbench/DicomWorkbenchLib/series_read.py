"""One file of a scan: what it is, and the record that grouping and linking need."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from DicomWorkbenchLib.errors import FileError, GeometryError
from DicomWorkbenchLib.geometry import slice_normal
from DicomWorkbenchLib.headers import Header, NotDicom, Tag, read_header
from DicomWorkbenchLib.headers_parse import UNDEFINED
from DicomWorkbenchLib.series_frames import ENHANCED_CLASSES, frame_planes
from DicomWorkbenchLib.series_links import LINKED_CLASSES, read_linked
from DicomWorkbenchLib.series_model import Instance, LinkedObject, Orientation, Plane, Problem, ProblemKind

DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
# Office documents and packages are zip archives too; nobody means them when handing over scans.
NOT_ARCHIVES = frozenset(
    [
        ".docx",
        ".xlsx",
        ".pptx",
        ".odt",
        ".ods",
        ".odp",
        ".jar",
        ".whl",
        ".apk",
        ".epub",
        ".mrb",
        ".mrml",
        ".npz",
        ".egg",
        ".vsix",
        ".nupkg",
        ".xpi",
        ".3mf",
    ]
)


class SeriesFacts(NamedTuple):
    """What all files of one series share."""

    series_instance_uid: str
    study_instance_uid: str
    frame_of_reference_uid: str
    modality: str
    description: str
    number: int | None
    sop_class_uid: str


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image file: its instance, the planes in it and what it shares with its series."""

    instance: Instance
    planes: tuple[Plane, ...]
    facts: SeriesFacts
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip archive that is still to be unpacked."""

    path: str
    origin: str


class Ignored(NamedTuple):
    """A file that is no DICOM, or a DICOMDIR: counted and otherwise passed over."""

    origin: str


Examined = ImageRecord | LinkedObject | Archive | Problem | Ignored


def examine(path: str, origin: str) -> Examined:
    """Say what one file is; whatever is wrong with it comes back as a problem, never as an exception."""
    try:
        header = read_header(path)
    except NotDicom:
        return Archive(path, origin) if _is_archive(path) else Ignored(origin)
    except FileError as error:
        message = str(error).replace(path, origin)
        return Problem(ProblemKind.UNREADABLE_FILE, message, (origin,))
    sop_class = header.text(Tag.SOP_CLASS) or header.text(Tag.MEDIA_SOP_CLASS)
    if sop_class == DICOMDIR_CLASS or header.text(Tag.MEDIA_SOP_CLASS) == DICOMDIR_CLASS:
        return Ignored(origin)
    if sop_class in LINKED_CLASSES:
        return _linked(path, origin)
    if not header.integer(Tag.ROWS) or not header.integer(Tag.COLUMNS):
        return _no_image(header, origin)
    return _image(header, path, origin, sop_class)


def _is_archive(path: str) -> bool:
    if Path(path).suffix.lower() in NOT_ARCHIVES:
        return False
    try:
        with open(path, "rb") as file:
            return file.read(4) in ZIP_SIGNATURES
    except OSError:
        return False


def _linked(path: str, origin: str) -> LinkedObject | Problem:
    try:
        return read_linked(Path(path), origin)
    except FileError as error:
        return Problem(ProblemKind.UNREADABLE_FILE, str(error).replace(path, origin), (origin,))


def _no_image(header: Header, origin: str) -> Problem:
    if header.parsed.truncated:
        return Problem(ProblemKind.UNREADABLE_FILE, f"{origin} ends in the middle of its header", (origin,))
    kind = header.text(Tag.MODALITY) or "unknown"
    return Problem(ProblemKind.NON_IMAGE, f"{origin} holds no image (modality {kind})", (origin,))


def _image(header: Header, path: str, origin: str, sop_class: str) -> ImageRecord | Problem:
    frames = header.integer(Tag.FRAMES) or 1
    position = _position(header)
    instance = Instance(
        path=Path(path),
        origin=origin,
        sop_instance_uid=header.text(Tag.SOP_INSTANCE) or header.text(Tag.MEDIA_SOP_INSTANCE),
        sop_class_uid=sys.intern(sop_class),
        transfer_syntax_uid=sys.intern(header.transfer_syntax_uid),
        position_lps=position,
        instance_number=header.integer(Tag.INSTANCE_NUMBER),
        rows=header.integer(Tag.ROWS) or 0,
        columns=header.integer(Tag.COLUMNS) or 0,
        frames=frames,
    )
    problem = _state_of_pixels(header, path, origin)
    if sop_class in ENHANCED_CLASSES and Tag.PER_FRAME_GROUPS in header:
        try:
            planes = frame_planes(instance)
        except FileError as error:
            return Problem(ProblemKind.UNREADABLE_FILE, str(error).replace(path, origin), (origin,))
    else:
        planes = (_plane(header, instance, position),)
    return ImageRecord(instance, planes, _facts(header, sop_class), problem)


def _state_of_pixels(header: Header, path: str, origin: str) -> Problem | None:
    parsed = header.parsed
    if not parsed.pixel_tag:
        if parsed.truncated:
            return Problem(ProblemKind.TRUNCATED, f"{origin} ends in the middle of its header", (origin,))
        return Problem(ProblemKind.NO_PIXELS, f"{origin} has an image header and no pixel data", (origin,))
    if parsed.pixel_length != UNDEFINED and not parsed.deflated:
        missing = parsed.pixel_offset + parsed.pixel_length - parsed.file_size
        if missing > 0:
            message = f"{origin} is cut off: the last {missing} bytes of its pixel data are missing"
            return Problem(ProblemKind.TRUNCATED, message, (origin,))
    return None


def _plane(header: Header, instance: Instance, position: tuple[float, float, float] | None) -> Plane:
    return Plane(
        instance=instance,
        frame=0,
        position_lps=position,
        orientation_lps=_orientation(header.numbers(Tag.ORIENTATION)),
        pixel_spacing_mm=_spacing(header.numbers(Tag.PIXEL_SPACING)),
        thickness_mm=header.number(Tag.SPACING_BETWEEN_SLICES) or header.number(Tag.SLICE_THICKNESS),
        marks=_marks(header),
    )


def _position(header: Header) -> tuple[float, float, float] | None:
    values = header.numbers(Tag.POSITION)
    return (values[0], values[1], values[2]) if len(values) == 3 else None


@lru_cache(maxsize=4096)
def _orientation(values: tuple[float, ...]) -> Orientation | None:
    """Return the six cosines, the same object for the same values; None if they are not two perpendicular unit vectors."""
    try:
        slice_normal(values)
    except GeometryError:
        return None
    return (values[0], values[1], values[2], values[3], values[4], values[5])


@lru_cache(maxsize=4096)
def _spacing(values: tuple[float, ...]) -> tuple[float, float] | None:
    return (values[0], values[1]) if len(values) == 2 and min(values) > 0 else None


def _marks(header: Header) -> tuple[object, ...]:
    """Collect what tells planes at one position apart, in the order of `series_stacks.MARK_NAMES`."""
    return _same_tuple(
        (
            header.integer(Tag.TEMPORAL_POSITION),
            header.integer(Tag.ACQUISITION_NUMBER),
            header.integer(Tag.ECHO_NUMBER),
            header.number(Tag.ECHO_TIME),
            header.number(Tag.B_VALUE),
            header.number(Tag.TRIGGER_TIME),
            header.number(Tag.FRAME_REFERENCE_TIME),
            header.text(Tag.IMAGE_TYPE),
        )
    )


def _facts(header: Header, sop_class: str) -> SeriesFacts:
    return _same_facts(
        SeriesFacts(
            header.text(Tag.SERIES),
            header.text(Tag.STUDY),
            header.text(Tag.FRAME_OF_REFERENCE),
            header.text(Tag.MODALITY),
            header.text(Tag.SERIES_DESCRIPTION),
            header.integer(Tag.SERIES_NUMBER),
            sop_class,
        )
    )


# Thousands of files share these values; one object each keeps a large scan small.
@lru_cache(maxsize=4096)
def _same_tuple(value: tuple[object, ...]) -> tuple[object, ...]:
    return value


@lru_cache(maxsize=4096)
def _same_facts(value: SeriesFacts) -> SeriesFacts:
    return value
