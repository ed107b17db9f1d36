"""RTSTRUCT: contours follow the kept slices, coordinates of everything else stay to the last digit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from DicomWorkbenchLib.decimals import decimal_strings
from DicomWorkbenchLib.geometry import FloatArray
from DicomWorkbenchLib.uids import UidMap
from pydicom.charset import default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import Tag

from DicomOptimizerLib.contour_items import (
    ContourItem,
    PlainItem,
    contour_items,
    finish_items,
    images_of,
    kind_of,
    points_of,
    put_items,
    text_of,
)
from DicomOptimizerLib.contours import Contour, PlacedContour, RoiResult, remap
from DicomOptimizerLib.references import Changes
from DicomOptimizerLib.settings import ContourRule
from DicomOptimizerLib.stack import SliceStack

_DATA = Tag("ContourData")
ASKED = 50  # contours of an ROI that are asked which series they belong to; they all belong to one


@dataclass
class StructureResult:
    """What became of a structure set: one entry per ROI, sentences for the user, and the contours for `finish`."""

    rois: list[RoiResult] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    items: list[tuple[Dataset, list[ContourItem]]] = field(default_factory=list)

    def finish(self, dataset: Dataset, changes: Changes, uids: UidMap) -> None:
        """Write the contours that stayed as they are; to be called when the rest of the structure set is as it is to be."""
        charset = dataset.get("SpecificCharacterSet", default_encoding)
        for roi, items in self.items:
            finish_items(roi, items, changes, uids, charset)


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
        items = contour_items(roi)
        number = int(roi.get("ReferencedROINumber", 0))
        if not items or not stacks:
            result.rois.append(RoiResult(names.get(number, ""), number, len(items), len(items), untouched=len(items)))
            continue
        chosen = _stack_of(items, where)
        stack = stacks[chosen]
        placed, counts = remap([_ContourInFile(one, n) for n, one in enumerate(items)], stack, rule)
        counts.name, counts.number = names.get(number, ""), number
        after = _renumbered([_item(p, items, stack, classes[chosen]) for p in placed])
        put_items(roi, after)
        result.items.append((roi, after))
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


def _stack_of(items: Sequence[ContourItem], where: dict[str, tuple[int, int]]) -> int:
    """Return the stack most contours of an ROI name, the first one where they name none."""
    votes: dict[int, int] = {}
    for item in items[:: max(1, len(items) // ASKED)]:
        for uid in images_of(item):
            if found := where.get(uid):
                votes[found[0]] = votes.get(found[0], 0) + 1
    return max(votes, key=votes.__getitem__) if votes else 0


class _ContourInFile(Contour):
    """A contour whose coordinates stay text until somebody needs them: most contours stay as they are, or are dropped."""

    def __init__(self, item: ContourItem, source: int) -> None:
        self.__dict__.update(item=item, kind=kind_of(item), source=source)

    @cached_property
    def points_lps_mm(self) -> FloatArray:
        return points_of(self.__dict__["item"])

    def extent(self, stack: SliceStack) -> tuple[float, float] | None:
        known = self.__dict__.get("known")  # asked for twice: when planes are told apart, and when they are placed
        if known is None or known[0] is not stack:
            known = self.__dict__["known"] = (stack, self._extent(stack))
        return known[1]

    def _extent(self, stack: SliceStack) -> tuple[float, float] | None:
        text = text_of(self.__dict__["item"])
        if text is None or tuple(map(abs, stack.normal_lps)) != (0, 0, 1):
            return super().extent(stack)
        numbers = text.strip(b" \0").split(b"\\")
        whole = len(numbers) // 3 * 3
        heights = [float(z) * stack.normal_lps[2] for z in set(numbers[2:whole:3])]  # mostly one for all points
        return (min(heights), max(heights)) if heights else None


def _item(placed: PlacedContour, items: Sequence[ContourItem], stack: SliceStack, sop_class: str) -> ContourItem:
    source = placed.contour.source
    given = Dataset() if source is None else items[source]
    if placed.target is not None and not placed.is_moved and images_of(given) == [stack.sop_uids[placed.target]]:
        return given
    item = given.dataset() if isinstance(given, PlainItem) else given
    if placed.is_moved:
        item.ContourGeometricType = placed.contour.kind
        item.NumberOfContourPoints = len(placed.contour.points_lps_mm)
        value = decimal_strings(placed.contour.points_lps_mm)
        item[_DATA] = RawDataElement(_DATA, "DS", len(value), value, 0, False, True)
    if placed.target is not None and ("ContourImageSequence" in item or source is None):
        reference = Dataset()
        reference.ReferencedSOPClassUID = sop_class
        reference.ReferencedSOPInstanceUID = stack.sop_uids[placed.target]
        item.ContourImageSequence = DicomSequence([reference])
    elif placed.target is None and source is not None:
        _keep_true_references(item, stack)
    return item


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


def _renumbered(items: list[ContourItem]) -> list[ContourItem]:
    """Number the contours 1, 2, ... where they were numbered, and follow in AttachedContours."""
    if not any(isinstance(item, Dataset) and "ContourNumber" in item for item in items):
        return items
    numbered = [item.dataset() if isinstance(item, PlainItem) else item for item in items]
    new = {int(item.ContourNumber): n for n, item in enumerate(numbered, 1) if "ContourNumber" in item}
    for n, item in enumerate(numbered, 1):
        item.ContourNumber = n
        if item.get("AttachedContours") is None:
            continue
        old = item.AttachedContours
        attached = [new[int(a)] for a in (old if item["AttachedContours"].VM > 1 else [old]) if int(a) in new]
        if attached:
            item.AttachedContours = attached
        else:
            del item.AttachedContours
    return list(numbered)
