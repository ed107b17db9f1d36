"""SEG objects: their frames follow the kept slices by the contours' rule, and the pixels of a resized series.

References
----------
DICOM PS3.3 A.51, C.8.20; PS3.5 8.1.1 (frames of one-bit images are packed without padding between them)
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from DicomWorkbenchLib.decimals import decimal_string
from DicomWorkbenchLib.geometry import FloatArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import Tag

from DicomOptimizerLib.contours import RoiResult
from DicomOptimizerLib.placement import Fate, place
from DicomOptimizerLib.resampling import Resize
from DicomOptimizerLib.segmentation_pixels import Frames, blended, resized, resized_labels
from DicomOptimizerLib.settings import ContourRule
from DicomOptimizerLib.stack import SliceStack, regular_spacing_mm

SAME_GRID_MM = 0.01
_BY_POSITION = Tag("ImagePositionPatient")


@dataclass
class SegmentationResult:
    """What became of a segmentation: one entry per segment, and sentences for the user."""

    rois: list[RoiResult] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass
class _Frame:
    pixels: Frames
    item: Dataset
    position_mm: float
    target: int | None = None
    is_new_place: bool = False


def remap_segmentation(
    dataset: Dataset,
    frames: Frames,
    stack: SliceStack | None,
    resize: Resize | None,
    origins_lps: Sequence[tuple[float, float, float]],
    rule: ContourRule,
) -> tuple[Frames, SegmentationResult]:
    """Apply decimation and resizing of the images to a segmentation of them.

    Parameters
    ----------
    dataset : SEG with the input's UIDs, changed in place except its pixels.
    frames : its decoded frames (frames, rows, columns).
    stack : slices of the segmented series; None if that is not part of the job.
    resize : change of the images' size, None if there is none.
    origins_lps : ImagePositionPatient of every slice of the series before the job, mm.
    rule : the contours' rule.

    Returns
    -------
    The new frames and what happened.
    """
    result = SegmentationResult()
    if stack is None:
        result.warnings.append("a segmentation's images are not among the input; only its UIDs were mapped")
        return frames, result
    items = list(dataset.get("PerFrameFunctionalGroupsSequence", ()))
    geometry = [_geometry(dataset, item) for item in items]
    if len(items) != len(frames) or any(g is None or not _is_parallel(g, stack) for g in geometry):
        result.warnings.append("a segmentation does not lie in the slices of its images; only its UIDs were mapped")
        return frames, result
    held = [
        _Frame(pixels, item, float(stack.position_of(np.asarray(g.origin))))
        for pixels, item, g in zip(frames, items, geometry, strict=True)
        if g is not None
    ]
    is_labelmap = str(dataset.get("SegmentationType", "")) == "LABELMAP"
    _correct_spacing(dataset, items, stack)
    placed = (_place_labels if is_labelmap else _place_segments)(dataset, held, stack, rule, result)
    _write_places(dataset, placed, stack)
    first = geometry[0]
    if resize is not None and first is not None:
        _resize(dataset, placed, first, resize, np.asarray(origins_lps[0]), is_labelmap, result)
    dataset.NumberOfFrames = len(placed)
    dataset.PerFrameFunctionalGroupsSequence = DicomSequence([frame.item for frame in placed])
    _renumber_dimensions(dataset, stack)
    return np.stack([frame.pixels for frame in placed]), result


@dataclass(frozen=True)
class _Geometry:
    origin: tuple[float, float, float]
    orientation: tuple[float, ...]
    spacing: tuple[float, float] | None


def _group(dataset: Dataset, item: Dataset, keyword: str) -> Dataset | None:
    """Find a functional group in the frame's own groups, else in the shared ones."""
    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    for holder in (item, shared[0]):
        found = holder.get(keyword)
        if found:
            return found[0]  # type: ignore[no-any-return]
    return None


def _geometry(dataset: Dataset, item: Dataset) -> _Geometry | None:
    place_, direction = (
        _group(dataset, item, "PlanePositionSequence"),
        _group(dataset, item, "PlaneOrientationSequence"),
    )
    measures = _group(dataset, item, "PixelMeasuresSequence")
    if place_ is None or direction is None or "ImagePositionPatient" not in place_:
        return None
    x, y, z = (float(value) for value in place_.ImagePositionPatient)
    spacing = measures.get("PixelSpacing") if measures is not None else None
    return _Geometry(
        (x, y, z),
        tuple(float(value) for value in direction.ImageOrientationPatient),
        (float(spacing[0]), float(spacing[1])) if spacing is not None else None,
    )


def _is_parallel(geometry: _Geometry, stack: SliceStack) -> bool:
    normal = np.cross(geometry.orientation[:3], geometry.orientation[3:])
    return bool(abs(abs(float(normal @ np.asarray(stack.normal_lps))) - 1) < 1e-4)


def _segment_of(item: Dataset) -> int:
    identification = item.get("SegmentIdentificationSequence")
    return int(identification[0].ReferencedSegmentNumber) if identification else 0


def _labels(dataset: Dataset) -> dict[int, str]:
    return {int(s.SegmentNumber): str(s.get("SegmentLabel", "")) for s in dataset.get("SegmentSequence", ())}


def _place_segments(
    dataset: Dataset, held: list[_Frame], stack: SliceStack, rule: ContourRule, result: SegmentationResult
) -> list[_Frame]:
    by_segment: dict[int, list[_Frame]] = defaultdict(list)
    for frame in held:
        by_segment[_segment_of(frame.item)].append(frame)
    names = _labels(dataset)
    placed: list[_Frame] = []
    for number, frames in sorted(by_segment.items()):
        # An empty frame must not claim a plane, or it would push out one that has something of the segment.
        filled = [frame for frame in frames if frame.pixels.any()]
        counts = RoiResult(names.get(number, ""), number, before=len(filled))
        mine = _placed(filled, stack, rule, counts)
        taken = {frame.target for frame in mine}
        mine += [f for f in frames if not f.pixels.any() and _settle(f, stack) and f.target not in taken]
        counts.after = sum(bool(frame.pixels.any()) for frame in mine)
        result.rois.append(counts)
        placed += sorted(mine, key=lambda frame: frame.position_mm)
    return placed


def _settle(frame: _Frame, stack: SliceStack) -> bool:
    frame.target = stack.slice_at(frame.position_mm)
    return frame.target is None or frame.target in stack.kept_set


def _placed(frames: list[_Frame], stack: SliceStack, rule: ContourRule, counts: RoiResult) -> list[_Frame]:
    placement = place([frame.position_mm for frame in frames], stack, rule)
    kept: dict[int | None, _Frame] = {}
    result: list[_Frame] = []
    for one in placement.planes:
        frame = frames[one.plane]
        _count(one.fate, one.distance_mm, one.target is None, counts)
        if one.fate in (Fate.STAYS, Fate.MOVES):
            frame.target, frame.is_new_place = one.target, one.fate is Fate.MOVES
            result.append(frame)
            kept[one.target] = frame
    for one in placement.planes:
        if one.fate is Fate.MERGES:
            own = kept[one.target]
            own.pixels = np.maximum(own.pixels, frames[one.plane].pixels)
    for blend in placement.blends:
        below, above = frames[blend.below], frames[blend.above]
        made = _Frame(
            blended(below.pixels, above.pixels, blend.share), copy.deepcopy(below.item), 0.0, blend.target, True
        )
        made.position_mm = below.position_mm
        result.append(made)
    return result


def _count(fate: Fate, distance_mm: float, is_off: bool, counts: RoiResult) -> None:
    name = {
        Fate.STAYS: "kept",
        Fate.MOVES: "moved",
        Fate.MERGES: "merged",
        Fate.BLENDS: "blended",
        Fate.DROPPED: "dropped",
    }
    setattr(counts, name[fate], getattr(counts, name[fate]) + 1)
    counts.off_stack += int(fate is Fate.STAYS and is_off)
    if fate in (Fate.MOVES, Fate.MERGES, Fate.BLENDS):
        counts.moved_mm.append(round(distance_mm, 4))


def _place_labels(
    dataset: Dataset, held: list[_Frame], stack: SliceStack, rule: ContourRule, result: SegmentationResult
) -> list[_Frame]:
    """Treat every label like a segment of its own; a moved label fills background only."""
    names = _labels(dataset)
    own = {frame.target: frame for frame in held if _settle(frame, stack)}
    homes: list[_Frame] = [frame for frame in held if frame.target is None or frame.target in stack.kept_set]
    labels = sorted({int(label) for frame in held for label in np.unique(frame.pixels)} - {0})
    originals = [frame.pixels for frame in held]
    for label in labels:
        parts = [
            _Frame((pixels == label).astype(np.uint8), frame.item, frame.position_mm)
            for frame, pixels in zip(held, originals, strict=True)
            if (pixels == label).any()
        ]
        counts = RoiResult(names.get(label, ""), label, before=len(parts))
        for part in _placed(parts, stack, rule, counts):
            home = own.get(part.target)
            if home is None:
                if part.target is None:
                    continue  # off the stack: its frame stays as it is
                home = _Frame(
                    np.zeros_like(originals[0]), copy.deepcopy(part.item), part.position_mm, part.target, True
                )
                own[part.target] = home
                homes.append(home)
            home.pixels = np.where(
                (part.pixels > 0) & (home.pixels == 0), np.asarray(label, home.pixels.dtype), home.pixels
            )
        counts.after = sum(bool((frame.pixels == label).any()) for frame in homes)
        result.rois.append(counts)
    return sorted(homes, key=lambda frame: frame.position_mm)


def _correct_spacing(dataset: Dataset, items: Sequence[Dataset], stack: SliceStack) -> None:
    before = regular_spacing_mm(stack.positions_mm)
    after = regular_spacing_mm([stack.positions_mm[k] for k in stack.kept])
    for holder in (*dataset.get("SharedFunctionalGroupsSequence", ()), *items):
        for measures in holder.get("PixelMeasuresSequence", ()):
            if "SpacingBetweenSlices" not in measures:
                continue
            if before is None or after is None:
                del measures.SpacingBetweenSlices
            else:
                measures.SpacingBetweenSlices = decimal_string(float(measures.SpacingBetweenSlices) * after / before)


def _numbers(values: object) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def _write_places(dataset: Dataset, placed: Sequence[_Frame], stack: SliceStack) -> None:
    """Move frames along the normal to their slice and let them name that slice as their source."""
    known = {uid: k for k, uid in enumerate(stack.sop_uids)}
    for frame in placed:
        if frame.target is None:
            continue
        if frame.is_new_place:
            holder = _group(dataset, frame.item, "PlanePositionSequence")
            assert holder is not None  # its geometry was read before
            moved = _numbers(holder.ImagePositionPatient) + (
                stack.positions[frame.target] - frame.position_mm
            ) * np.asarray(stack.normal_lps)
            place_ = Dataset()
            place_.ImagePositionPatient = [decimal_string(round(float(value), 9)) for value in moved]
            frame.item.PlanePositionSequence = DicomSequence([place_])
            frame.position_mm = float(stack.positions[frame.target])
        for derivation in frame.item.get("DerivationImageSequence", ()):
            for source in derivation.get("SourceImageSequence", ()):
                if str(source.get("ReferencedSOPInstanceUID", "")) in known:
                    source.ReferencedSOPInstanceUID = stack.sop_uids[frame.target]


def _resize(
    dataset: Dataset,
    placed: Sequence[_Frame],
    geometry: _Geometry,
    resize: Resize,
    image_origin: FloatArray,
    is_labelmap: bool,
    result: SegmentationResult,
) -> None:
    """Resize frames that lie on the images' own pixel grid; a segmentation in a grid of its own keeps it."""
    offset = np.asarray(geometry.origin) - image_origin
    normal = np.cross(geometry.orientation[:3], geometry.orientation[3:])
    in_plane = offset - normal * (offset @ normal)
    if placed[0].pixels.shape != resize.old or np.abs(in_plane).max() > SAME_GRID_MM or geometry.spacing is None:
        result.warnings.append("a segmentation lies in a pixel grid of its own; it was not resized")
        return
    for frame in placed:
        frame.pixels = (
            resized_labels(frame.pixels, resize.new) if is_labelmap else resized(dataset, frame.pixels, resize.new)
        )
        holder = _group(dataset, frame.item, "PlanePositionSequence")
        if holder is not None:
            moved = resize.origin(
                np.asarray(holder.ImagePositionPatient, float), np.asarray(geometry.orientation), geometry.spacing
            )
            place_ = Dataset()
            place_.ImagePositionPatient = [decimal_string(round(float(value), 9)) for value in moved]
            frame.item.PlanePositionSequence = DicomSequence([place_])
    dataset.Rows, dataset.Columns = resize.new
    for holder in (*dataset.get("SharedFunctionalGroupsSequence", ()), *(frame.item for frame in placed)):
        for measures in holder.get("PixelMeasuresSequence", ()):
            old = measures.PixelSpacing
            measures.PixelSpacing = [decimal_string(v) for v in resize.spacing((float(old[0]), float(old[1])))]


def _renumber_dimensions(dataset: Dataset, stack: SliceStack) -> None:
    """Make the index values of the dimension "position" count 1, 2, ... without holes again (PS3.3 C.7.6.17)."""
    dimensions = dataset.get("DimensionIndexSequence")
    items = dataset.PerFrameFunctionalGroupsSequence
    if not dimensions:
        return
    pointers = [dimension.get("DimensionIndexPointer") for dimension in dimensions]
    if _BY_POSITION not in pointers:
        return
    at = pointers.index(_BY_POSITION)
    places = [
        tuple(float(v) for v in item.PlanePositionSequence[0].ImagePositionPatient)
        for item in items
        if "PlanePositionSequence" in item
    ]
    if len(places) != len(items):
        return
    rank = {
        place_: n
        for n, place_ in enumerate(sorted(set(places), key=lambda p: float(stack.position_of(np.asarray(p)))), 1)
    }
    for item, place_ in zip(items, places, strict=True):
        content = item.get("FrameContentSequence")
        if content and "DimensionIndexValues" in content[0]:
            values = [int(v) for v in np.atleast_1d(content[0].DimensionIndexValues)]
            values[at] = rank[place_]
            content[0].DimensionIndexValues = values
