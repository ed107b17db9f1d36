"""Headers by example: what the rules made of one slice serves as a stencil for the other slices of its series.

Slices of a series share nearly all of their header. A stencil keeps the elements of one slice, as they were read and as they were written.
Where the elements of another slice are the same bytes, what was written is the same too. An element that differs must be one whose fate
does not depend on its value: the image's own UID, number and position are computed anew, what was passed through or left out is passed
through or left out again. Anything else sends the slice the long way, through the rules.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

import numpy as np
from DicomWorkbenchLib.decimals import LONGEST
from DicomWorkbenchLib.uids import UidMap
from pydicom.dataset import Dataset

from DicomOptimizerLib.deidentify import Deidentifier
from DicomOptimizerLib.derivation import Treatment, moved_position, shorten_decimals
from DicomOptimizerLib.elements import numbers, pair, tag_of
from DicomOptimizerLib.reading import META_START, Element, meta_end, span_at, top_elements
from DicomOptimizerLib.writing import element, one_item, part_10_head

_SOP_INSTANCE, _NUMBER, _POSITION = tag_of("SOPInstanceUID"), tag_of("InstanceNumber"), tag_of("ImagePositionPatient")
_MEDIA_INSTANCE, _AFTER_META = tag_of("MediaStorageSOPInstanceUID"), 0x00030000
_SOURCES, _REFERENCED = tag_of("SourceImageSequence"), tag_of("ReferencedSOPInstanceUID")
_PET_COUNT, _TABLE = tag_of("NumberOfSlices"), tag_of("ModalityLUTSequence")
_PIXEL_HEAD, _ITEM_START = 12, 20  # bytes of an element's head; of that and of an item's head
_NEVER = ("SQ", "UI", "UN")  # references and what may be such
GEOMETRY = ("ImageOrientationPatient", "PixelSpacing")
_WINDOW = ("WindowCenter", "WindowWidth")  # replaced where grey values are reduced, whatever they were

# What the rules read or replace, by keyword: two slices that differ here have nothing to teach each other.
DECISIVE = (
    *GEOMETRY,
    *_WINDOW,
    "SpecificCharacterSet",
    "ImageType",
    "ConversionType",
    "DerivationDescription",
    "BurnedInAnnotation",
    "SpacingBetweenSlices",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
)
_DECISIVE_TAGS = frozenset(tag_of(keyword) for keyword in DECISIVE)
_WINDOW_TAGS = frozenset(tag_of(keyword) for keyword in _WINDOW)


class _Fate(enum.Enum):
    """What becomes of an element that differs from that of the stencil's slice."""

    UNKNOWN = enum.auto()
    PASSES = enum.auto()
    IGNORED = enum.auto()
    IDENTITY = enum.auto()
    POSITION = enum.auto()


class Filled(NamedTuple):
    """The header of one slice of the output, and where the pixels of the input lie."""

    header: list[bytes]
    pixels: int


class Stencil:
    """The header of one slice as an example for others.

    Parameters
    ----------
    content : the slice's file, as read.
    made : the same slice, as the rules wrote it.
    dataset : its elements named in `GEOMETRY`, as read.
    treatment, deidentify : what was done to it.

    Raises
    ------
    ValueError : files of this kind cannot serve as an example.
    """

    def __init__(
        self, content: bytes, made: bytes, dataset: Dataset, treatment: Treatment, deidentify: Deidentifier | None
    ) -> None:
        start = meta_end(content)
        if start is None:
            raise ValueError("not in explicit VR little endian")
        given, pixels = top_elements(content, start)
        if span_at(content, pixels) != (pixels + _PIXEL_HEAD, len(content)):
            raise ValueError("something stands behind the pixels, or they are compressed")
        self._meta, start = top_elements(made, META_START, until=_AFTER_META)
        self._written, _ = top_elements(made, start)
        self._place = {one.tag: n for n, one in enumerate(self._written)}
        if (
            _TABLE in {one.tag for one in given}
            or _PET_COUNT in self._place
            or not {_SOP_INSTANCE, _NUMBER} <= self._place.keys()
        ):
            raise ValueError("numbered twice, or with a table of values of its own")
        self._treatment, self._deidentify = treatment, deidentify
        self._given = [(one.tag, one.content, self._fate(one)) for one in given]
        self._pixel_head = content[pixels : pixels + _PIXEL_HEAD]
        self._source = self._around_source() if _SOURCES in self._place else None
        geometry = Dataset({tag: dataset.get_item(tag) for tag in map(tag_of, GEOMETRY) if tag in dataset})
        shorten_decimals(geometry)  # as the rules do before they read it; the pixels' slope stays as it was read
        self._orientation, self._spacing = numbers(geometry, GEOMETRY[0]), pair(geometry, GEOMETRY[1])

    def _fate(self, given: Element) -> _Fate:
        if given.tag == _SOP_INSTANCE:
            return _Fate.IDENTITY
        if given.tag == _POSITION and self._treatment.resize is not None:
            return _Fate.POSITION
        if given.tag == _NUMBER or (given.tag in _WINDOW_TAGS and self._treatment.grey is not None):
            return _Fate.IGNORED
        if given.vr in _NEVER or given.tag in _DECISIVE_TAGS:
            return _Fate.UNKNOWN
        at = self._place.get(given.tag)
        if at is None or (self._deidentify is not None and self._deidentify.forgets(given.tag, given.vr)):
            return _Fate.IGNORED  # what is left out is left out for its tag or its kind
        is_left_alone = self._deidentify is None or self._deidentify.leaves_alone(given.tag, given.vr)
        return _Fate.PASSES if is_left_alone and given.content == self._written[at].content else _Fate.UNKNOWN

    def _around_source(self) -> tuple[bytes, bytes]:
        """Return what stands before and behind the original's UID in the only item of SourceImageSequence."""
        item = self._written[self._place[_SOURCES]].content[_ITEM_START:]
        at = item.index(element(_REFERENCED, "UI", b"")[:6])
        return item[:at], item[at + 8 + int.from_bytes(item[at + 6 : at + 8], "little") :]

    def fill(self, content: bytes, number: int, uids: UidMap) -> Filled | None:
        """Make the header of another slice; None if only the rules can.

        Parameters
        ----------
        content : its file, as read.
        number : InstanceNumber of the image in the output.
        uids : the job's map.
        """
        at = meta_end(content)
        if at is None:
            return None
        header = [one.content for one in self._written]
        uid = b""
        for tag, given, fate in self._given:
            stop = at + len(given)
            if fate is not _Fate.IDENTITY and content[at:stop] == given:
                at = stop
                continue
            span = span_at(content, at)
            if span is None or content[at : at + 6] != given[:6]:
                return None
            value = content[span[0] : span[1]]
            if fate is _Fate.IDENTITY:
                uid = value.rstrip(b"\0 ")
            elif fate is _Fate.PASSES and _passes(given, value):
                header[self._place[tag]] = content[at : span[1]]
            elif fate is _Fate.POSITION and (moved := self._moved(value)):
                header[self._place[_POSITION]] = moved
            elif fate is not _Fate.IGNORED:
                return None
            at = span[1]
        if content[at : at + _PIXEL_HEAD] != self._pixel_head or span_at(content, at) != (
            at + _PIXEL_HEAD,
            len(content),
        ):
            return None
        if not uid.replace(b".", b"").isdigit():
            return None
        self._identify(header, uid, number, uids)
        return Filled(header, at + _PIXEL_HEAD)

    def _moved(self, value: bytes) -> bytes | None:
        """Return the element of the new position; None if the old one is not three numbers of legal length."""
        parts = value.strip(b" \0").split(b"\\")
        if self._orientation is None or self._spacing is None or self._treatment.resize is None:
            return None
        try:
            origin = np.array([float(part) for part in parts if len(part) <= LONGEST])
        except ValueError:
            return None
        if len(parts) != 3 or len(origin) != 3:
            return None
        moved = moved_position(self._treatment.resize, origin, self._orientation, self._spacing)
        return element(_POSITION, "DS", "\\".join(moved).encode("ascii"))

    def _identify(self, header: list[bytes], old: bytes, number: int, uids: UidMap) -> None:
        """Put in what only this image has: UID, number, the original it came from; and the file meta information."""
        new = uids.new(old.decode("ascii")).encode("ascii")
        header[self._place[_SOP_INSTANCE]] = element(_SOP_INSTANCE, "UI", new)
        header[self._place[_NUMBER]] = element(_NUMBER, "IS", b"%d" % number)
        if self._source is not None:
            before, behind = self._source
            header[self._place[_SOURCES]] = one_item(_SOURCES, before + element(_REFERENCED, "UI", old) + behind)
        meta = [element(one.tag, "UI", new) if one.tag == _MEDIA_INSTANCE else one.content for one in self._meta]
        header.insert(0, part_10_head(meta))


def _passes(given: bytes, value: bytes) -> bool:
    """False for a value that the rules would write in another way: of odd length, or with decimals that are too long."""
    is_decimal = given[4:6] == b"DS" and len(value) > LONGEST
    return len(value) % 2 == 0 and not (
        is_decimal and any(len(part) > LONGEST for part in value.strip(b" \0").split(b"\\"))
    )
