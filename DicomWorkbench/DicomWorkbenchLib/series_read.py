"""One file of a scan: what it is, and the record that grouping and linking need."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from DicomWorkbenchLib.archives import is_archive
from DicomWorkbenchLib.errors import FileError, PixelDataError
from DicomWorkbenchLib.headers import Header, NotDicom, Tag, read_header
from DicomWorkbenchLib.headers_parse import UNDEFINED
from DicomWorkbenchLib.pixels_format import PixelFormat
from DicomWorkbenchLib.series_frames import ENHANCED_CLASSES, NM_CLASS, enhanced_planes, nm_planes
from DicomWorkbenchLib.series_links import LINKED_CLASSES, read_linked
from DicomWorkbenchLib.series_model import Instance, LinkedObject, Plane, orientation_of, point_of, spacing_pair
from DicomWorkbenchLib.series_problems import Problem, ProblemKind

DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
Identity = tuple[str, str, str, str]  # UIDs: series, study, frame of reference, SOP class


class SeriesFacts(NamedTuple):
    """What all files of one series should share; only its UIDs decide what belongs together."""

    series_instance_uid: str
    study_instance_uid: str
    frame_of_reference_uid: str
    modality: str
    description: str
    number: int | None
    sop_class_uid: str

    @property
    def identity(self) -> Identity:
        """What planes of one stack have in common."""
        return self.series_instance_uid, self.study_instance_uid, self.frame_of_reference_uid, self.sop_class_uid


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image file: its instance, the planes in it, what it shares with its series, and where its pixel data lie."""

    instance: Instance
    planes: tuple[Plane, ...]
    facts: SeriesFacts
    pixel_offset: int
    pixel_length: int
    problem: Problem | None = None


class Archive(NamedTuple):
    """A zip archive that is still to be unpacked."""

    path: str
    origin: str


class NoImage(NamedTuple):
    """A DICOM file that holds neither an image nor anything that can be linked to one."""

    origin: str
    modality: str


class Ignored(NamedTuple):
    """A file that is no DICOM, or a DICOMDIR: counted and otherwise passed over."""

    origin: str


class Later(NamedTuple):
    """A linked object that is still to be looked into, which takes pydicom."""

    path: str
    origin: str


Examined = ImageRecord | LinkedObject | Archive | NoImage | Problem | Ignored | Later


def examine(path: str, origin: str, *, linked: bool = True) -> Examined:
    """Say what one file is; whatever is wrong with it comes back as a problem, never as an exception.

    Parameters
    ----------
    linked : look into linked objects; False leaves them for later.
    """
    try:
        header = read_header(path)
        return _dicom(header, path, origin, linked)
    except NotDicom:
        return _no_dicom(path, origin)
    except FileError as error:
        return Problem(ProblemKind.UNREADABLE_FILE, str(error).replace(path, origin), (origin,))


def _no_dicom(path: str, origin: str) -> Archive | Ignored | Problem:
    try:
        return Archive(path, origin) if is_archive(Path(path)) else Ignored(origin)
    except OSError as error:
        message = f"{origin} cannot be read: {error.strerror or error}"
        return Problem(ProblemKind.UNREADABLE_FILE, message, (origin,))


def _dicom(header: Header, path: str, origin: str, linked: bool) -> Examined:
    media_class = header.text(Tag.MEDIA_SOP_CLASS)
    sop_class = header.text(Tag.SOP_CLASS) or media_class
    if DICOMDIR_CLASS in (sop_class, media_class):
        return Ignored(origin)
    if sop_class in LINKED_CLASSES:
        return read_linked(Path(path), origin) if linked else Later(path, origin)
    if header.integer(Tag.ROWS) and header.integer(Tag.COLUMNS):
        return _image(header, path, origin, sys.intern(sop_class))
    if header.parsed.truncated:
        return Problem(ProblemKind.UNREADABLE_FILE, f"{origin} ends in the middle of its header", (origin,))
    return NoImage(origin, header.text(Tag.MODALITY))


def _image(header: Header, path: str, origin: str, sop_class: str) -> ImageRecord:
    instance = Instance(
        path=Path(path),
        origin=origin,
        sop_instance_uid=header.text(Tag.SOP_INSTANCE) or header.text(Tag.MEDIA_SOP_INSTANCE),
        sop_class_uid=sop_class,
        transfer_syntax_uid=sys.intern(header.transfer_syntax_uid),
        position_lps=point_of(header.numbers(Tag.POSITION)),
        instance_number=header.integer(Tag.INSTANCE_NUMBER),
        rows=header.integer(Tag.ROWS) or 0,
        columns=header.integer(Tag.COLUMNS) or 0,
        frames=max(header.integer(Tag.FRAMES) or 1, 1),
    )
    return ImageRecord(
        instance=instance,
        planes=_planes(header, instance),
        facts=_facts(header, sop_class),
        pixel_offset=header.parsed.pixel_offset,
        pixel_length=header.parsed.pixel_length,
        problem=_state_of_pixels(header, origin),
    )


def _planes(header: Header, instance: Instance) -> tuple[Plane, ...]:
    planes: tuple[Plane, ...] = ()
    if instance.sop_class_uid in ENHANCED_CLASSES and Tag.PER_FRAME_GROUPS in header:
        planes = enhanced_planes(instance)
    elif instance.sop_class_uid == NM_CLASS and instance.frames > 1:
        planes = nm_planes(instance)
    return planes if len(planes) == instance.frames and planes else (_plane(header, instance),)


def _state_of_pixels(header: Header, origin: str) -> Problem | None:
    parsed = header.parsed
    if not parsed.pixel_tag and parsed.truncated:
        return Problem(ProblemKind.TRUNCATED, f"{origin} ends in the middle of its header", (origin,))
    if not parsed.pixel_tag:
        return Problem(ProblemKind.NO_PIXELS, f"{origin} has the header of an image and no pixel data", (origin,))
    if parsed.pixel_length == UNDEFINED:
        return None
    missing = 0 if parsed.deflated else parsed.pixel_offset + parsed.pixel_length - parsed.file_size
    if missing > 0:
        message = f"{origin} is cut off: the last {missing} bytes of its pixel data are missing"
        return Problem(ProblemKind.TRUNCATED, message, (origin,))
    try:
        PixelFormat.of_header(header).check_length(parsed.pixel_length)
    except PixelDataError as error:
        return Problem(ProblemKind.SHORT_PIXELS, f"{origin}: {error}", (origin,))
    return None


def _plane(header: Header, instance: Instance) -> Plane:
    return Plane(
        instance=instance,
        frame=0,
        position_lps=instance.position_lps,
        orientation_lps=orientation_of(header.numbers(Tag.ORIENTATION)),
        pixel_spacing_mm=spacing_pair(header.numbers(Tag.PIXEL_SPACING)),
        thickness_mm=abs(header.number(Tag.SPACING_BETWEEN_SLICES) or header.number(Tag.SLICE_THICKNESS) or 0) or None,
        marks=_marks(header),
        whole=instance.frames > 1,
    )


def _marks(header: Header) -> tuple[object, ...]:
    """Collect what tells planes at one position apart, in the order of `series_stacks.MARK_NAMES`."""
    return _same_marks(
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
def _same_marks(value: tuple[object, ...]) -> tuple[object, ...]:
    return value


@lru_cache(maxsize=4096)
def _same_facts(value: SeriesFacts) -> SeriesFacts:
    return value
