"""RTSTRUCT: contours follow the kept slices, coordinates of everything else stay to the last digit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from DicomWorkbenchLib.decimals import decimal_strings
from DicomWorkbenchLib.geometry import FloatArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import Tag

from DicomOptimizerLib.contours import Contour, PlacedContour, RoiResult, remap
from DicomOptimizerLib.elements import texts
from DicomOptimizerLib.settings import ContourRule
from DicomOptimizerLib.stack import SliceStack

_DATA, _IMAGES = Tag("ContourData"), Tag("ContourImageSequence")
ASKED = 50  # contours of an ROI that are asked which series they belong to; they all belong to one


@dataclass
class StructureResult:
    """What became of a structure set: one entry per ROI, and sentences for the user."""

    rois: list[RoiResult] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def remap_structures(
    dataset: Dataset, stacks: Sequence[SliceStack], classes: Sequence[str], rule: ContourRule
) -> StructureResult:
    """Apply the contours' rule to every ROI of a structure set, in place.

    Parameters
    ----------
    dataset : an RTSTRUCT with the input's UIDs.
    stacks : the series it may refer to, in order of preference.
    classes : SOP class of each stack's images in the output.
    rule : what happens to contours of removed slices.
    """
    result = StructureResult()
    where = {uid: (n, k) for n, stack in enumerate(stacks) for k, uid in enumerate(stack.sop_uids)}
    names = {int(item.ROINumber): str(item.get("ROIName", "")) for item in dataset.get("StructureSetROISequence", ())}
    for roi in dataset.get("ROIContourSequence", ()):
        items = list(roi.get("ContourSequence", ()))
        number = int(roi.get("ReferencedROINumber", 0))
        if not items or not stacks:
            result.rois.append(RoiResult(names.get(number, ""), number, len(items), len(items), untouched=len(items)))
            continue
        chosen = _stack_of(items, where)
        stack = stacks[chosen]
        placed, counts = remap([_contour(n, item) for n, item in enumerate(items)], stack, rule)
        counts.name, counts.number = names.get(number, ""), number
        roi.ContourSequence = DicomSequence([_item(p, items, stack, classes[chosen]) for p in placed])
        _renumber(roi.ContourSequence)
        result.rois.append(counts)
    _warn(result)
    return result


def _warn(result: StructureResult) -> None:
    off = sum(roi.off_stack for roi in result.rois)
    if off:
        result.warnings.append(
            f"{off} contours lie outside the slices of their series; their coordinates were kept and they refer to no image"
        )
    emptied = [roi.number for roi in result.rois if roi.before and not roi.after]
    if emptied:  # cannot happen by the rules; said loudly if it ever does
        result.warnings.append(f"ROI number {', '.join(map(str, emptied))} lost all contours")


def _stack_of(items: Sequence[Dataset], where: dict[str, tuple[int, int]]) -> int:
    """Return the stack most contours of an ROI name, the first one where they name none."""
    votes: dict[int, int] = {}
    for item in items[:: max(1, len(items) // ASKED)]:
        for reference in item.get("ContourImageSequence", ()):
            found = where.get(str(reference.get("ReferencedSOPInstanceUID", "")))
            if found:
                votes[found[0]] = votes.get(found[0], 0) + 1
    return max(votes, key=votes.__getitem__) if votes else 0


class _ContourInFile(Contour):
    """A contour whose coordinates stay text until somebody needs them: most contours stay as they are, or are dropped."""

    def __init__(self, item: Dataset, kind: str, source: int) -> None:
        self.__dict__.update(item=item, kind=kind, source=source)

    @cached_property
    def points_lps_mm(self) -> FloatArray:
        return points_of(self.__dict__["item"])

    def extent(self, stack: SliceStack) -> tuple[float, float] | None:
        known = self.__dict__.get("known")  # asked for twice: when planes are told apart, and when they are placed
        if known is None or known[0] is not stack:
            known = self.__dict__["known"] = (stack, self._extent(stack))
        return known[1]

    def _extent(self, stack: SliceStack) -> tuple[float, float] | None:
        raw = self.__dict__["item"].get_item(_DATA) if _DATA in self.__dict__["item"] else None
        if raw is None or not isinstance(raw.value, bytes) or tuple(map(abs, stack.normal_lps)) != (0, 0, 1):
            return super().extent(stack)
        texts_xyz = raw.value.strip(b" \0").split(b"\\")
        whole = len(texts_xyz) // 3 * 3
        heights = [float(text) * stack.normal_lps[2] for text in set(texts_xyz[2:whole:3])]  # mostly one for all points
        return (min(heights), max(heights)) if heights else None


def _contour(number: int, item: Dataset) -> Contour:
    return _ContourInFile(item, next(iter(texts(item, "ContourGeometricType")), ""), number)


def points_of(item: Dataset) -> FloatArray:
    """Return the points (n, 3) of a contour item in LPS mm, without building a Python number for each (there are millions)."""
    if _DATA not in item:
        return np.empty((0, 3))
    raw = item.get_item(_DATA)
    value = raw.value
    if isinstance(value, bytes):
        text = value.strip(b" \0")
        numbers = np.array(list(map(float, text.split(b"\\")))) if text else np.empty(0)
    else:
        numbers = np.asarray(value if value is not None else (), dtype=float).reshape(-1)
    return np.asarray(numbers[: len(numbers) // 3 * 3].reshape(-1, 3))


def _item(placed: PlacedContour, items: Sequence[Dataset], stack: SliceStack, sop_class: str) -> Dataset:
    contour = placed.contour
    item = Dataset() if contour.source is None else items[contour.source]
    if placed.is_moved:
        item.ContourGeometricType = contour.kind
        item.NumberOfContourPoints = len(contour.points_lps_mm)
        value = decimal_strings(contour.points_lps_mm)
        item[_DATA] = RawDataElement(_DATA, "DS", len(value), value, 0, False, True)
    if placed.target is not None and not placed.is_moved and _names_only(item, stack.sop_uids[placed.target]):
        return item
    if placed.target is not None and ("ContourImageSequence" in item or contour.source is None):
        reference = Dataset()
        reference.ReferencedSOPClassUID = sop_class
        reference.ReferencedSOPInstanceUID = stack.sop_uids[placed.target]
        item.ContourImageSequence = DicomSequence([reference])
    elif placed.target is None and contour.source is not None:
        _keep_true_references(item, stack)
    return item


def _names_only(item: Dataset, uid: str) -> bool:
    references = list(item[_IMAGES].value or ()) if _IMAGES in item else []
    return len(references) == 1 and texts(references[0], "ReferencedSOPInstanceUID") == [uid]


def _keep_true_references(item: Dataset, stack: SliceStack) -> None:
    kept = {stack.sop_uids[k] for k in stack.kept} | {""}
    known = set(stack.sop_uids)
    references = [
        reference
        for reference in item.get("ContourImageSequence", ())
        if (uid := str(reference.get("ReferencedSOPInstanceUID", ""))) in kept or uid not in known
    ]
    if references:
        item.ContourImageSequence = DicomSequence(references)
    elif "ContourImageSequence" in item:
        del item.ContourImageSequence


def _renumber(items: DicomSequence) -> None:
    """Number the contours 1, 2, ... where they were numbered, and follow in AttachedContours."""
    if not any("ContourNumber" in item for item in items):
        return
    new = {int(item.ContourNumber): n for n, item in enumerate(items, 1) if "ContourNumber" in item}
    for n, item in enumerate(items, 1):
        item.ContourNumber = n
        if item.get("AttachedContours") is None:
            continue
        old = item.AttachedContours
        attached = [new[int(a)] for a in (old if item["AttachedContours"].VM > 1 else [old]) if int(a) in new]
        if attached:
            item.AttachedContours = attached
        else:
            del item.AttachedContours
