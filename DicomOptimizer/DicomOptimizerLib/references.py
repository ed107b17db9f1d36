"""References between objects: those to removed slices go, those to changed ones get their new class.

Done before the UIDs are mapped, so everything here speaks in the input's UIDs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag

from DicomOptimizerLib.elements import has, put, texts

_INSTANCE = Tag("ReferencedSOPInstanceUID")
_CONTENT = Tag("ContentSequence")


@dataclass(frozen=True)
class Changes:
    """What happened to the images of a job, in the input's UIDs.

    Attributes
    ----------
    removed : SOP instance UIDs that are not in the output.
    new_class : SOP instance UID -> SOP class UID, where the class changed.
    """

    removed: frozenset[str] = frozenset()
    new_class: Mapping[str, str] = field(default_factory=dict)


def rewire(dataset: Dataset, changes: Changes) -> int:
    """Drop references to removed instances at every depth and correct the class of those that changed; returns how many were dropped.

    A sequence that loses its last item goes too, and so does an item that only held such a list. In structured reports the content item
    that shows a removed image goes, and with it a coordinate drawn on that image.
    """
    dropped = 0
    for tag in sorted(_sequences(dataset)):
        items = dataset[tag].value or []
        if not len(items):
            continue
        kept = []
        for item in items:
            uid = next(iter(texts(item, "ReferencedSOPInstanceUID")), "")
            if uid in changes.removed:
                dropped += 1
                continue
            if uid in changes.new_class and has(item, "ReferencedSOPClassUID"):
                put(item, "ReferencedSOPClassUID", changes.new_class[uid])
            lost = rewire(item, changes)
            dropped += lost
            if lost and (_is_hollow(item) or (tag == _CONTENT and _lost_its_image(item))):
                continue
            kept.append(item)
        if len(kept) == len(items):
            continue
        if kept:
            dataset[tag].value = Sequence(kept)
        else:
            del dataset[tag]
    return dropped


def _sequences(dataset: Dataset) -> list[BaseTag]:
    """Find the sequences without building the values of all other elements, which would take most of the time."""
    found = []
    for tag, element in list(dataset.items()):
        vr = element.VR
        if vr == "SQ" or (vr in (None, "UN") and dataset[tag].VR == "SQ"):
            found.append(tag)
    return found


def _is_hollow(item: Dataset) -> bool:
    """True for an item that lost its list of images and holds nothing besides UIDs and codes of purpose any more."""
    if _INSTANCE in item:
        return False
    return all(e.VR == "UI" or (e.VR == "SQ" and e.keyword.endswith("CodeSequence")) for e in item)


def _lost_its_image(item: Dataset) -> bool:
    kind = item.get("ValueType", "")
    if kind in ("IMAGE", "COMPOSITE", "WAVEFORM"):
        return "ReferencedSOPSequence" not in item
    return kind in ("SCOORD", "TCOORD") and "ContentSequence" not in item
