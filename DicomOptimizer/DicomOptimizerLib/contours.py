"""The contours of one ROI after slices were removed. Pure geometry; reading and writing RTSTRUCT is `rtstruct`'s work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray

from DicomOptimizerLib.placement import Fate, Placed, place
from DicomOptimizerLib.regions import between, inside, keyholed, union
from DicomOptimizerLib.settings import ContourRule
from DicomOptimizerLib.stack import SAME_PLANE_MM, SliceStack
from DicomOptimizerLib.tracing import Polygon

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
FLAT_SHARE = 0.25  # a contour whose points spread over more than this share of a slice step is not drawn on a slice


@dataclass(frozen=True)
class Contour:
    """A contour: points (n, 3) in LPS mm, its ContourGeometricType, and the item it came from (None: newly made)."""

    points_lps_mm: FloatArray
    kind: str
    source: int | None = None

    def extent(self, stack: SliceStack) -> tuple[float, float] | None:
        """Lowest and highest position along the slices' normal, mm; None without points."""
        heights = stack.position_of(self.points_lps_mm)
        return (float(heights.min()), float(heights.max())) if len(heights) else None


@dataclass(frozen=True)
class PlacedContour:
    """A contour of the result; ``target`` is the slice it lies on, None if it belongs to none; ``is_moved`` if its points changed."""

    contour: Contour
    target: int | None
    is_moved: bool = False


@dataclass
class RoiResult:
    """What became of one ROI: counts of contours, and the distance of every one that moved, in mm along the normal."""

    name: str = ""
    number: int = 0
    before: int = 0
    after: int = 0
    kept: int = 0
    moved: int = 0
    merged: int = 0
    blended: int = 0
    dropped: int = 0
    untouched: int = 0  # points, open contours and contours that lie on no slice: true coordinates are kept
    off_stack: int = 0
    moved_mm: list[float] = field(default_factory=list)


def remap(contours: Sequence[Contour], stack: SliceStack, rule: ContourRule) -> tuple[list[PlacedContour], RoiResult]:
    """Apply the contours' rule to one ROI.

    Parameters
    ----------
    contours : all contours of the ROI.
    stack : slices before, and which are kept.
    rule : what happens to contours of removed slices.

    Returns
    -------
    The contours of the result in the order of their sources, and the counts.
    """
    result = RoiResult(before=len(contours))
    planes, loose = _planes(contours, stack)
    placed = [PlacedContour(c, _slice_of(c, stack)) for c in loose]
    result.untouched = len(loose)
    positions = [_position(group, stack) for group in planes]
    placement = place(positions, stack, rule)
    for fate in placement.planes:
        _count(fate, len(planes[fate.plane]), result)
    merging = {p.target for p in placement.planes if p.fate is Fate.MERGES}
    for fate in placement.planes:
        if fate.fate in (Fate.STAYS, Fate.MOVES) and (fate.target is None or fate.target not in merging):
            placed.extend(_shifted(planes[fate.plane], fate, stack))
    for target in sorted(t for t in merging if t is not None):
        members = [planes[p.plane] for p in placement.planes if p.target == target]
        own = [p.plane for p in placement.planes if p.target == target and p.fate is Fate.STAYS]
        position = positions[own[0]] if own else float(stack.positions[target])
        shape = union([_polygons(group, stack) for group in members], stack.pixel_mm)
        placed.extend(_made(shape, members, target, position, stack))
    for blend in placement.blends:
        members = [planes[blend.below], planes[blend.above]]
        shape = between(_polygons(members[0], stack), _polygons(members[1], stack), blend.share, stack.pixel_mm)
        if not shape:  # two islands that do not overlap have nothing in between: keep the nearer one
            shape = _polygons(members[round(blend.share)], stack)
        placed.extend(_made(shape, members, blend.target, float(stack.positions[blend.target]), stack))
    result.after = len(placed)
    return sorted(placed, key=_order), result


def _order(placed: PlacedContour) -> tuple[bool, int, int]:
    source = placed.contour.source
    return (source is None, source or 0, placed.target or 0)


def _planes(contours: Sequence[Contour], stack: SliceStack) -> tuple[list[list[Contour]], list[Contour]]:
    """Group closed contours that share a plane parallel to the slices; everything else is loose."""
    step = float(np.diff(stack.positions).min()) if len(stack.positions) > 1 else 1.0
    flat: list[tuple[float, Contour]] = []
    loose = []
    for contour in contours:
        low, high = contour.extent(stack) or (0.0, np.inf)
        if contour.kind in CLOSED and high - low <= max(FLAT_SHARE * step, SAME_PLANE_MM):
            flat.append(((low + high) / 2, contour))
        else:
            loose.append(contour)
    planes: list[list[Contour]] = []
    last = -np.inf
    for height, contour in sorted(flat, key=lambda pair: pair[0]):
        if height - last > SAME_PLANE_MM:
            planes.append([])
        planes[-1].append(contour)
        last = height
    return planes, loose


def _position(group: Sequence[Contour], stack: SliceStack) -> float:
    low, high = group[0].extent(stack) or (0.0, 0.0)
    return (low + high) / 2


def _slice_of(contour: Contour, stack: SliceStack) -> int | None:
    """Return the kept slice a loose contour lies on entirely, if there is one."""
    heights = stack.position_of(contour.points_lps_mm)
    if not len(heights):
        return None
    at = stack.slice_at(float(np.median(heights)))
    if at is None or at not in stack.kept_set or np.abs(heights - stack.positions[at]).max() > 0.5:
        return None
    return at


def _count(fate: Placed, contours: int, result: RoiResult) -> None:
    name = {
        Fate.STAYS: "kept",
        Fate.MOVES: "moved",
        Fate.MERGES: "merged",
        Fate.BLENDS: "blended",
        Fate.DROPPED: "dropped",
    }
    setattr(result, name[fate.fate], getattr(result, name[fate.fate]) + contours)
    if fate.fate is Fate.STAYS and fate.target is None:
        result.off_stack += contours
    if fate.fate in (Fate.MOVES, Fate.MERGES, Fate.BLENDS):
        result.moved_mm.extend([round(fate.distance_mm, 4)] * contours)


def _shifted(group: Sequence[Contour], fate: Placed, stack: SliceStack) -> list[PlacedContour]:
    if fate.fate is Fate.STAYS:
        return [PlacedContour(contour, fate.target) for contour in group]
    shift = fate.distance_mm * np.asarray(stack.normal_lps)
    return [
        PlacedContour(Contour(c.points_lps_mm + shift, c.kind, c.source), fate.target, is_moved=True) for c in group
    ]


def _polygons(group: Sequence[Contour], stack: SliceStack) -> list[Polygon]:
    return [stack.in_plane(contour.points_lps_mm) for contour in group if len(contour.points_lps_mm) >= 3]


def _made(
    shape: Sequence[Polygon], members: Sequence[Sequence[Contour]], target: int, position_mm: float, stack: SliceStack
) -> list[PlacedContour]:
    """Write a region the way its sources wrote holes: XOR sets stay such, nested contours nested, keyholes keyholes."""
    sources = [contour for group in members for contour in group]
    kind = "CLOSEDPLANAR_XOR" if any(c.kind == "CLOSEDPLANAR_XOR" for c in sources) else "CLOSED_PLANAR"
    is_nested = any(_has_nested(_polygons(group, stack)) for group in members)
    polygons = list(shape) if kind == "CLOSEDPLANAR_XOR" or is_nested else keyholed(shape)
    return [
        PlacedContour(Contour(stack.in_space(polygon, position_mm), kind), target, is_moved=True)
        for polygon in polygons
    ]


def _has_nested(polygons: Sequence[Polygon]) -> bool:
    return any(
        inside([outer], inner[:1, 0], inner[:1, 1])[0, 0]
        for n, outer in enumerate(polygons)
        for m, inner in enumerate(polygons)
        if n != m
    )
