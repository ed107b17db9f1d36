"""Where the planes of an ROI go when slices are removed; contours and SEG frames follow the same rule.

Putting a removed slice's contour onto a plane that has one already makes readers combine the two by even-odd filling, which destroys the
ROI. So by default ("own first") a plane keeps its own contour, and a removed one moves only where there is none.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from DicomOptimizerLib.settings import ContourRule
from DicomOptimizerLib.stack import SliceStack


class Fate(enum.StrEnum):
    """What happens to one plane of an ROI."""

    STAYS = "stays"  # its slice is kept, or it lies off the stack: coordinates are untouched
    MOVES = "moves"  # to a kept plane that has none of this ROI
    MERGES = "merges"  # into the region of a kept plane
    BLENDS = "blends"  # gives its shape to the one interpolated on a kept plane
    DROPPED = "dropped"


@dataclass(frozen=True)
class Placed:
    """One plane of an ROI and its fate.

    Attributes
    ----------
    plane : index in the list of planes that was asked about.
    fate : what happens to it.
    target : slice index it belongs to afterwards, None if dropped or off the stack.
    distance_mm : signed distance along the normal it is moved by.
    """

    plane: int
    fate: Fate
    target: int | None = None
    distance_mm: float = 0.0


@dataclass(frozen=True)
class Blend:
    """A kept plane without the ROI between two removed ones with it: indices of those two planes, and how far along it lies.

    ``share`` is 0 at the lower plane and 1 at the upper one.
    """

    target: int
    below: int
    above: int
    share: float


@dataclass(frozen=True)
class Placement:
    """The fate of every plane of one ROI, in the order asked, and the planes to be interpolated."""

    planes: tuple[Placed, ...]
    blends: tuple[Blend, ...] = ()


def place(positions_mm: Sequence[float], stack: SliceStack, rule: ContourRule) -> Placement:
    """Decide for every plane of one ROI where it goes.

    Parameters
    ----------
    positions_mm : position along the normal of every plane that holds something of the ROI.
    stack : the slices, and which are kept.
    rule : own-first, union or interpolate.

    Notes
    -----
    Of several planes that would move to the same empty kept plane, the nearest moves; one whose two kept neighbours are equally near goes
    to the one that has the ROI already, so that an ROI never grows at its ends. A plane between slices belongs to the nearest slice.
    """
    slices = [stack.slice_at(position) for position in positions_mm]
    own = {k for k in slices if k is not None and k in stack.kept_set}
    placed = [
        Placed(p, Fate.STAYS, k) if k is None or k in stack.kept_set else Placed(p, Fate.DROPPED)
        for p, k in enumerate(slices)
    ]
    homeless = [p for p, k in enumerate(slices) if k is not None and k not in stack.kept_set]
    homeless.sort(key=lambda p: (_gap(positions_mm[p], stack, own), positions_mm[p]))
    blends = _blends(homeless, positions_mm, stack, own) if rule is ContourRule.INTERPOLATE else []
    for blend in blends:
        for p in (blend.below, blend.above):
            distance = float(stack.positions[blend.target] - positions_mm[p])
            if placed[p].fate is Fate.DROPPED or abs(distance) < abs(placed[p].distance_mm):
                placed[p] = Placed(p, Fate.BLENDS, blend.target, distance)
    taken = {blend.target for blend in blends}
    for p in (p for p in homeless if placed[p].fate is Fate.DROPPED):
        target = stack.nearest_kept(positions_mm[p], own)
        distance = float(stack.positions[target] - positions_mm[p])
        if target not in own and target not in taken:
            placed[p] = Placed(p, Fate.MOVES, target, distance)
            taken.add(target)
        elif rule is ContourRule.UNION:
            placed[p] = Placed(p, Fate.MERGES, target, distance)
    return Placement(tuple(placed), tuple(blends))


def _gap(position_mm: float, stack: SliceStack, own: set[int]) -> float:
    return round(abs(float(stack.positions[stack.nearest_kept(position_mm, own)]) - position_mm), 3)


def _blends(homeless: list[int], positions_mm: Sequence[float], stack: SliceStack, own: set[int]) -> list[Blend]:
    """Find the empty kept planes that lie between two removed planes, with no other kept slice in between."""
    found = []
    for at, k in enumerate(stack.kept):
        if k in own:
            continue
        here = float(stack.positions[k])
        low = stack.positions[stack.kept[at - 1]] if at else -np.inf
        high = stack.positions[stack.kept[at + 1]] if at + 1 < len(stack.kept) else np.inf
        under = [p for p in homeless if low < positions_mm[p] < here]
        over = [p for p in homeless if here < positions_mm[p] < high]
        if under and over:
            below, above = max(under, key=positions_mm.__getitem__), min(over, key=positions_mm.__getitem__)
            share = (here - positions_mm[below]) / (positions_mm[above] - positions_mm[below])
            found.append(Blend(k, below, above, float(share)))
    return found
