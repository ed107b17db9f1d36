"""Files that are copies of each other, and files that wrongly share an identity.

A copy shows the same picture under the same SOP Instance UID. Careless programs also give one UID to different pictures (masks that
inherit the header of their CT slice): those are kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from DicomWorkbenchLib.headers_parse import UNDEFINED
from DicomWorkbenchLib.progress import CancelToken
from DicomWorkbenchLib.series_model import Instance, LinkedObject
from DicomWorkbenchLib.series_problems import Problem, ProblemKind, counted, named
from DicomWorkbenchLib.series_read import ImageRecord

_BLOCK = 1 << 18  # bytes compared at once


def without_copies(records: Iterable[ImageRecord], cancel: CancelToken) -> tuple[list[ImageRecord], list[Problem]]:
    """Keep one file of each picture, complete files before cut ones; returns the problems too."""
    kept: dict[str, list[ImageRecord]] = defaultdict(list)
    copies: list[tuple[str, str]] = []
    shared: list[tuple[str, str]] = []
    in_order = sorted(records, key=lambda one: (one.problem is not None, one.instance.origin))
    for record in in_order:
        origin, uid = record.instance.origin, record.instance.sop_instance_uid
        same = kept[uid] if uid else []
        cancel.check()
        original = next((other for other in same if _is_copy(record, other)), None)
        if original is not None:
            copies.append((origin, original.instance.origin))
            continue
        if same:
            shared.append((origin, same[0].instance.origin))
        kept[uid].append(record)
    result = sorted((one for group in kept.values() for one in group), key=lambda one: one.instance.origin)
    return result, [*_copied(copies), *_shared(shared)]


def without_copied_objects(objects: Iterable[LinkedObject]) -> tuple[list[LinkedObject], list[Problem]]:
    """Keep the first of several linked objects with one SOP Instance UID; returns a problem that names the others."""
    kept: dict[str, LinkedObject] = {}
    copies = []
    for one in objects:
        original = kept.setdefault(one.sop_instance_uid or one.origin, one)
        if original is not one:
            copies.append((one.origin, original.origin))
    return list(kept.values()), _copied(copies)


def _copied(pairs: list[tuple[str, str]]) -> list[Problem]:
    if not pairs:
        return []
    examples = named([f"{copy} (of {original})" for copy, original in pairs])
    message = f"{counted(len(pairs), 'file')} left out as copies of others: {examples}"
    return [Problem(ProblemKind.DUPLICATE_INSTANCE, message, tuple(copy for copy, _ in pairs))]


def _shared(pairs: list[tuple[str, str]]) -> list[Problem]:
    if not pairs:
        return []
    examples = named([f"{one} and {other}" for one, other in pairs])
    message = f"different pictures carry the same SOP Instance UID; all are kept: {examples}"
    origins = dict.fromkeys(origin for pair in pairs for origin in pair)
    return [Problem(ProblemKind.SHARED_IDENTITY, message, tuple(origins))]


def _is_copy(one: ImageRecord, other: ImageRecord) -> bool:
    """True if two files with one SOP Instance UID show the same picture at the same place."""
    a, b = one.instance, other.instance
    if one.facts.identity != other.facts.identity or _place(a) != _place(b):
        return False
    if a.transfer_syntax_uid != b.transfer_syntax_uid or one.problem is not None:
        return True  # the same picture, compressed in another way or cut off
    return _same_pixels(one, other)


def _place(instance: Instance) -> tuple[object, ...]:
    return instance.position_lps, instance.instance_number, instance.rows, instance.columns, instance.frames


def _same_pixels(one: ImageRecord, other: ImageRecord) -> bool:
    """Compare the pixel data of two files; different ones are told apart at the first block that differs."""
    if UNDEFINED in (one.pixel_length, other.pixel_length) and one.pixel_length != other.pixel_length:
        return False
    left = min(one.pixel_length, other.pixel_length)  # a longer one is padded; UNDEFINED reads to the end of the file
    try:
        with open(one.instance.path, "rb") as a, open(other.instance.path, "rb") as b:
            a.seek(one.pixel_offset)
            b.seek(other.pixel_offset)
            while left > 0 and (block := a.read(min(_BLOCK, left))):
                if block != b.read(len(block)):
                    return False
                left -= len(block)
            return True
    except OSError:
        return False
