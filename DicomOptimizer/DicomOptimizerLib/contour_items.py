"""The contours of an ROI as they lie in a file.

A structure set has thousands of contours, and most of them stay as they are or are dropped. Those that hold what nearly all hold, points
and the one image they are drawn on, therefore stay bytes; all others, and those that change, become data sets and go through the rules.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray
from DicomWorkbenchLib.uids import UidMap
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from DicomOptimizerLib.elements import tag_of, texts
from DicomOptimizerLib.reading import items_of
from DicomOptimizerLib.references import Changes
from DicomOptimizerLib.writing import element, encoded_item, item, one_item

CONTOURS = tag_of("ContourSequence")
_DATA, _IMAGES = tag_of("ContourData"), tag_of("ContourImageSequence")
_CLASS, _UID = tag_of("ReferencedSOPClassUID"), tag_of("ReferencedSOPInstanceUID")
# An item in explicit VR little endian: lengths are looked at afterwards, when the values are known.
_LAYOUT = re.compile(
    rb"""
    \xfe\xff\x00\xe0 (....)
    (?: \x06\x30\x16\x00 SQ \x00\x00 (....)
        \xfe\xff\x00\xe0 (....)
        \x08\x00\x50\x11 UI (..) ([0-9.]*\x00?)
        \x08\x00\x55\x11 UI (..) ([0-9.]*\x00?)
    )?
    ( \x06\x30\x42\x00 CS (..) ([A-Z_ ]*)
      \x06\x30\x46\x00 IS (..) ([0-9 ]*)
      \x06\x30\x50\x00 DS (..) )
    """,
    re.DOTALL | re.VERBOSE,
)
_ITEM_HEAD, _SEQUENCE_HEAD, _ELEMENT_HEAD = 8, 12, 8  # bytes


class PlainItem(NamedTuple):
    """A contour with nothing unusual about it, as bytes.

    Attributes
    ----------
    content, start, end : the item is ``content[start:end]``.
    own : where the elements behind ContourImageSequence begin.
    data : where the value of ContourData begins.
    kind : ContourGeometricType.
    image : class and UID of the image it is drawn on; None if it names none.
    """

    content: bytes
    start: int
    own: int
    data: int
    end: int
    kind: str
    image: tuple[str, str] | None

    @property
    def text(self) -> bytes:
        """The value of ContourData."""
        return self.content[self.data : self.end]

    def dataset(self) -> Dataset:
        """Take it apart."""
        return (items_of(self.content[self.start : self.end]) or [])[0]


ContourItem = PlainItem | Dataset


def contour_items(roi: Dataset) -> list[ContourItem]:
    """Return the contours of an ROI, as little taken apart as possible."""
    raw = roi.get_item(CONTOURS) if CONTOURS in roi else None
    is_explicit = isinstance(raw, RawDataElement) and raw.is_little_endian and not raw.is_implicit_VR
    found = _cut(raw.value) if raw is not None and is_explicit and isinstance(raw.value, bytes) else None
    return found if found is not None else list(roi.get("ContourSequence", ()))


def _cut(content: bytes) -> list[ContourItem] | None:
    """Cut the value of a sequence into its items; None if they are of a kind that is left to pydicom."""
    found: list[ContourItem] = []
    at = 0
    while at < len(content):
        one = _plain(content, at)
        if one is None:
            end = at + _ITEM_HEAD + int.from_bytes(content[at + 4 : at + _ITEM_HEAD], "little")
            parsed = items_of(content[at:end])
            if parsed is None or end > len(content):
                return None
            found += parsed
            at = end
        else:
            found.append(one)
            at = one.end
    return found


def _plain(content: bytes, at: int) -> PlainItem | None:
    layout = _LAYOUT.match(content, at)
    if layout is None:
        return None
    item_length, *images, _, kind_length, kind, count_length, count, data_length = layout.groups()
    data = layout.end()
    end = data + int.from_bytes(data_length, "little")
    claimed = struct.unpack("<IHH", item_length + kind_length + count_length)
    is_true = claimed == (end - at - _ITEM_HEAD, len(kind), len(count)) and end <= len(content)
    is_even = (len(kind) | len(count) | end - data) % 2 == 0
    if not (is_true and is_even and _is_one_image(*images)):
        return None
    _, _, _, sop_class, _, uid = images
    image = None if uid is None else (sop_class.rstrip(b"\0").decode("ascii"), uid.rstrip(b"\0").decode("ascii"))
    return PlainItem(content, at, layout.start(8), data, end, kind.decode("ascii").strip(), image)


def _is_one_image(
    sequence_length: bytes | None,
    item_length: bytes,
    class_length: bytes,
    sop_class: bytes,
    uid_length: bytes,
    uid: bytes,
) -> bool:
    if sequence_length is None:
        return True
    length = 2 * _ELEMENT_HEAD + len(sop_class) + len(uid)
    claimed = struct.unpack("<IIHH", sequence_length + item_length + class_length + uid_length)
    return claimed == (length + _ITEM_HEAD, length, len(sop_class), len(uid)) and (len(sop_class) | len(uid)) % 2 == 0


def kind_of(one: ContourItem) -> str:
    """ContourGeometricType of a contour."""
    return one.kind if isinstance(one, PlainItem) else next(iter(texts(one, "ContourGeometricType")), "")


def images_of(one: ContourItem) -> list[str]:
    """UIDs of the images a contour is drawn on."""
    if isinstance(one, PlainItem):
        return [] if one.image is None else [one.image[1]]
    references = list(one[_IMAGES].value or ()) if _IMAGES in one else []
    return [next(iter(texts(reference, "ReferencedSOPInstanceUID")), "") for reference in references]


def text_of(one: ContourItem) -> bytes | None:
    """Return the coordinates of a contour as they stand in the file; None if it has none, or somebody made numbers of them."""
    if isinstance(one, PlainItem):
        return one.text
    value = one.get_item(_DATA).value if _DATA in one else None
    return value if isinstance(value, bytes) else None


def points_of(one: ContourItem) -> FloatArray:
    """Return the points (n, 3) of a contour in LPS mm, without building a Python number for each (there are millions)."""
    text = text_of(one)
    if text is not None:
        text = text.strip(b" \0")
        numbers = np.array(list(map(float, text.split(b"\\")))) if text else np.empty(0)
    else:
        value = one[_DATA].value if isinstance(one, Dataset) and _DATA in one else None
        numbers = np.asarray(value if value is not None else (), dtype=float).reshape(-1)
    return np.asarray(numbers[: len(numbers) // 3 * 3].reshape(-1, 3))


def put_items(roi: Dataset, items: Sequence[ContourItem]) -> None:
    """Give an ROI those of its contours that are data sets, for the rules to work on; `finish_items` brings the others back."""
    datasets = DicomSequence([one for one in items if isinstance(one, Dataset)])
    roi[CONTOURS] = DataElement(CONTOURS, "SQ", datasets)  # by its name, pydicom would take the old value apart first


def finish_items(roi: Dataset, items: Sequence[ContourItem], changes: Changes, uids: UidMap, charset: Any) -> None:
    """Write all contours of an ROI, after the rules changed the references and UIDs of those that are data sets."""
    if not any(isinstance(one, PlainItem) for one in items):
        return

    @cache
    def images(sop_class: str, uid: str) -> bytes:
        new = changes.new_class.get(uid, sop_class), uids.new(uid)
        names = zip((_CLASS, _UID), new, strict=True)
        return one_item(_IMAGES, b"".join(element(tag, "UI", value.encode("ascii")) for tag, value in names))

    value = b"".join(
        item((images(*one.image) if one.image else b"") + one.content[one.own : one.end])
        if isinstance(one, PlainItem)
        else encoded_item(one, charset)
        for one in items
    )
    roi[CONTOURS] = RawDataElement(CONTOURS, "SQ", len(value), value, 0, False, True)
