"""Truth: areas of circles, rings and lenses in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from DicomOptimizerLib.regions import area_mm2, between, inside, keyholed, union
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

TURNS = np.linspace(0, 2 * np.pi, 180, endpoint=False)
PIXEL = 0.7


def circle(x: float, y: float, radius: float) -> NDArray[np.float64]:
    return np.stack([x + radius * np.cos(TURNS), y + radius * np.sin(TURNS)], axis=1)


def lens(distance: float, radius: float) -> float:
    return float(2 * radius**2 * np.arccos(distance / 2 / radius) - distance / 2 * np.sqrt(4 * radius**2 - distance**2))


def test_union_of_two_circles_has_the_area_of_both_less_their_lens() -> None:
    found = union([[circle(0, 0, 20)], [circle(9, 0, 20)]], PIXEL)
    assert len(found) == 1
    assert area_mm2(found) == pytest.approx(2 * np.pi * 400 - lens(9, 20), rel=2e-3)


def test_a_hole_of_both_regions_stays_a_hole() -> None:
    ring = [circle(0, 0, 20), circle(0, 0, 8)]
    found = union([ring, ring], PIXEL)
    assert len(found) == 2
    assert area_mm2(found) == pytest.approx(np.pi * (400 - 64), rel=2e-3)


def test_a_hole_of_one_region_only_is_filled() -> None:
    found = union([[circle(0, 0, 20), circle(0, 0, 8)], [circle(0, 0, 15)]], PIXEL)
    assert area_mm2(found) == pytest.approx(np.pi * 400, rel=2e-3)


def test_a_keyhole_contour_means_the_same_as_a_nested_pair() -> None:
    ring = [circle(0, 0, 20), circle(3, 2, 8)]
    joined = keyholed(ring)
    assert len(joined) == 1
    nodes = np.arange(-25.013, 25, 0.5)
    np.testing.assert_array_equal(inside(joined, nodes, nodes), inside(ring, nodes, nodes))
    assert area_mm2(union([joined, joined], PIXEL)) == pytest.approx(np.pi * (400 - 64), rel=3e-3)


def test_half_way_between_two_circles_lies_the_circle_of_mean_radius() -> None:
    found = between([circle(0, 0, 20)], [circle(0, 0, 10)], 0.5, PIXEL)
    assert area_mm2(found) == pytest.approx(np.pi * 225, rel=3e-3)


def test_islands_apart_stay_two() -> None:
    found = union([[circle(0, 0, 5)], [circle(30, 0, 5)]], PIXEL)
    assert len(found) == 2


@settings(max_examples=25, deadline=None)
@given(st.floats(3, 40), st.floats(-50, 50), st.floats(-50, 50), st.floats(0.3, 1.5))
def test_a_region_united_with_itself_keeps_its_area(radius: float, x: float, y: float, pixel: float) -> None:
    shape = [circle(x, y, radius)]
    assert area_mm2(union([shape, shape], pixel)) == pytest.approx(area_mm2(shape), rel=0.01)
