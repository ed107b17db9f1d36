"""Outlines of pixels: truth are the pixels themselves, their number and their centre."""

from __future__ import annotations

import numpy as np
import pytest
from DicomWorkbenchLib.polygons import area_and_centroid, outlines, pixel_rings, polygon_pixels


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_any_region_comes_back_with_its_area_and_centre(share: float) -> None:
    random = np.random.default_rng(round(share * 10))
    for _ in range(40):
        mask = random.random(tuple(random.integers(1, 25, 2))) < share
        filled, area, center = np.zeros_like(mask), 0.0, np.zeros(2)
        for outline in outlines(mask):
            pixels = polygon_pixels(outline, (mask.shape[0], mask.shape[1]))
            assert not (pixels & filled).any(), "two outlines of one region overlap"
            filled |= pixels
            one, at = area_and_centroid(outline)
            area, center = area + one, center + one * at
        assert (filled == mask).all()
        assert area == pytest.approx(mask.sum())
        if mask.any():
            rows, columns = np.nonzero(mask)
            assert center / area == pytest.approx([columns.mean(), rows.mean()])


def test_pixels_that_touch_by_a_corner_are_two_outlines_and_a_hole_is_joined_to_its_outline() -> None:
    assert len(outlines(np.eye(3, dtype=bool))) == 3
    ring = np.ones((5, 6), bool)
    ring[2, 2:4] = False
    assert sorted(one.is_hole for one in pixel_rings(ring)) == [False, True]
    (outline,) = outlines(ring)
    assert len(outline) == 4 + 4 + 1 + 2  # both rings' corners, the hole's first one again, and the door twice


def test_an_empty_region_has_no_outline_and_one_without_area_its_points_middle() -> None:
    assert outlines(np.zeros((3, 3), bool)) == []
    area, center = area_and_centroid(np.array([[0.0, 0.0], [2.0, 0.0]]))
    assert area == 0 and center.tolist() == [1.0, 0.0]
