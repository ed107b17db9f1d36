"""Truth: the rules of the issue, worked out by hand on small stacks, and invariants on random ones."""

from __future__ import annotations

import numpy as np
import pytest
from DicomOptimizerLib.placement import Fate, place
from DicomOptimizerLib.settings import ContourRule
from DicomOptimizerLib.stack import SAME_PLANE_MM, SliceStack, kept_indices, regular_spacing_mm
from hypothesis import given, settings
from hypothesis import strategies as st

OWN, UNION, BLEND = ContourRule.OWN_FIRST, ContourRule.UNION, ContourRule.INTERPOLATE


def stack(count: int, step: int, keep_last: bool = False, spacing: float = 1.0) -> SliceStack:
    positions = tuple(spacing * k for k in range(count))
    kept = tuple(kept_indices(count, step, keep_last))
    return SliceStack(positions, (0, 0, 1), (1, 0, 0), 0.7, kept, tuple(f"1.{k}" for k in range(count)))


def fates(positions: list[float], slices: SliceStack, rule: ContourRule) -> list[tuple[str, int | None]]:
    return [(p.fate.value, p.target) for p in place(positions, slices, rule).planes]


def test_every_nth_slice_from_the_first_is_kept_and_the_last_one_on_request() -> None:
    assert kept_indices(7, 3) == [0, 3, 6]
    assert kept_indices(8, 3) == [0, 3, 6]
    assert kept_indices(8, 3, keep_last=True) == [0, 3, 6, 7]
    assert kept_indices(0, 2) == []


def test_own_first_drops_contours_whose_neighbour_has_its_own() -> None:
    assert fates([0, 1, 2, 3, 4], stack(5, 2), OWN) == [
        ("stays", 0), ("dropped", None), ("stays", 2), ("dropped", None), ("stays", 4),
    ]  # fmt: skip


def test_an_roi_does_not_grow_at_its_ends_when_both_neighbours_are_equally_near() -> None:
    assert fates([1, 2, 3], stack(5, 2), OWN) == [("dropped", None), ("stays", 2), ("dropped", None)]


def test_an_roi_that_lived_only_on_removed_slices_survives() -> None:
    assert fates([3], stack(6, 2), OWN) == [("moves", 2)]
    assert fates([1, 3, 5], stack(6, 2), OWN) == [("moves", 0), ("moves", 2), ("moves", 4)]


def test_of_two_planes_for_one_empty_slice_the_nearer_moves() -> None:
    assert fates([3, 2, 5], stack(9, 4), OWN) == [("moves", 4), ("moves", 0), ("dropped", None)]


def test_union_merges_what_own_first_would_drop() -> None:
    assert fates([0, 1, 2], stack(3, 2), UNION) == [("stays", 0), ("merges", 0), ("stays", 2)]


def test_interpolation_fills_a_kept_plane_between_two_removed_ones() -> None:
    placement = place([1, 3], stack(5, 2), BLEND)
    assert [(b.target, b.below, b.above, b.share) for b in placement.blends] == [(2, 0, 1, 0.5)]
    assert [p.fate for p in placement.planes] == [Fate.BLENDS, Fate.BLENDS]


def test_interpolation_never_bridges_a_kept_slice() -> None:
    assert place([1, 7], stack(9, 2), BLEND).blends == ()


def test_a_contour_between_slices_belongs_to_the_nearest_one() -> None:
    assert fates([2.3], stack(5, 2), OWN) == [("stays", 2)]
    moved = place([2.6], stack(5, 2), OWN).planes[0]
    assert (moved.fate, moved.target) == (Fate.MOVES, 2)
    assert moved.distance_mm == pytest.approx(-0.6)


def test_contours_off_the_stack_stay_where_they_are() -> None:
    assert fates([-3, 9], stack(5, 2), OWN) == [("stays", None), ("stays", None)]


@settings(deadline=None)  # a busy machine stalls any example
@given(
    st.lists(st.integers(0, 29), min_size=1, max_size=30, unique=True),
    st.integers(1, 7),
    st.sampled_from(list(ContourRule)),
)
def test_no_plane_gets_two_and_no_roi_is_lost(planes: list[int], step: int, rule: ContourRule) -> None:
    slices = stack(30, step)
    placement = place([float(p) for p in planes], slices, rule)
    single = [p.target for p in placement.planes if p.fate in (Fate.STAYS, Fate.MOVES)]
    single += [blend.target for blend in placement.blends]
    assert single, "the ROI is gone"
    assert len(single) == len(set(single)), "two contours on one plane: readers would combine them by even-odd"
    assert all(target in slices.kept_set for target in single if target is not None)
    own = set(planes) & slices.kept_set
    assert own <= set(single), "a kept slice lost its own contour"


def test_spacing_is_regular_only_if_all_steps_agree() -> None:
    assert regular_spacing_mm([0, 2, 4]) == 2
    assert regular_spacing_mm([0, 2, 5]) is None
    assert regular_spacing_mm([1]) is None


@given(
    st.lists(st.floats(0, 0.05) | st.floats(0.05, 5), min_size=1, max_size=30),
    st.floats(-3, 90),
    st.integers(1, 4),
    st.sets(st.integers(0, 29)),
)
def test_the_nearest_slice_is_the_one_that_measuring_all_distances_finds(
    steps: list[float], position: float, step: int, preferred: set[int]
) -> None:
    positions = np.cumsum(steps)
    kept = np.arange(0, len(positions), step)
    slices = SliceStack(tuple(positions.tolist()), (0, 0, 1), (1, 0, 0), 0.7, tuple(kept.tolist()), ())
    if (found := slices.slice_at(position)) is not None:
        assert found == np.argmin(np.abs(positions - position))
    distances = np.abs(positions[kept] - position)
    near = kept[distances <= distances.min() + SAME_PLANE_MM].tolist()
    assert slices.nearest_kept(position, preferred) == next((k for k in near if k in preferred), near[0])
