"""Truth: contours made here, whose planes, holes and distances are known."""

from __future__ import annotations

import numpy as np
import pytest
from DicomOptimizerLib.contours import Contour, remap
from DicomOptimizerLib.regions import area_mm2
from DicomOptimizerLib.settings import ContourRule
from DicomOptimizerLib.stack import SliceStack, kept_indices
from numpy.typing import NDArray

TURNS = np.linspace(0, 2 * np.pi, 72, endpoint=False)


def make_stack(
    normal: NDArray[np.float64], row: NDArray[np.float64], count: int = 6, step: int = 2, spacing: float = 3.0
) -> SliceStack:
    return SliceStack(
        tuple(spacing * k for k in range(count)),
        tuple(normal.tolist()),
        tuple(row.tolist()),
        0.7,
        tuple(kept_indices(count, step)),
        tuple(f"1.{k}" for k in range(count)),
    )


AXIAL = make_stack(np.array([0.0, 0, 1]), np.array([1.0, 0, 0]))


def ring(stack: SliceStack, position: float, radius: float, kind: str = "CLOSED_PLANAR", source: int = 0) -> Contour:
    flat = np.stack([radius * np.cos(TURNS), radius * np.sin(TURNS)], axis=1)
    return Contour(stack.in_space(flat, position), kind, source)


def test_an_outer_and_its_hole_move_together() -> None:
    contours = [ring(AXIAL, 9, 20, source=0), ring(AXIAL, 9, 8, source=1)]
    placed, result = remap(contours, AXIAL, ContourRule.OWN_FIRST)
    assert [(p.contour.source, p.target, p.is_moved) for p in placed] == [(0, 2, True), (1, 2, True)]
    assert (result.moved, result.moved_mm) == (2, [-3.0, -3.0])
    assert {float(p.contour.points_lps_mm[0, 2]) for p in placed} == {6.0}


def test_contours_on_kept_slices_are_the_very_same_objects() -> None:
    contours = [ring(AXIAL, 6, 20), ring(AXIAL, 9, 20, source=1)]
    placed, result = remap(contours, AXIAL, ContourRule.OWN_FIRST)
    assert placed[0].contour is contours[0]
    assert not placed[0].is_moved
    assert (result.kept, result.dropped, result.after) == (1, 1, 1)


def test_contours_of_an_oblique_series_move_along_its_normal() -> None:
    normal = np.array([0.2, -0.3, 0.9])
    normal /= np.linalg.norm(normal)
    row = np.cross([0, 1, 0], normal)
    row /= np.linalg.norm(row)
    stack = make_stack(normal, row)
    contour = ring(stack, 9, 20)
    placed, _ = remap([contour], stack, ContourRule.OWN_FIRST)
    shift = placed[0].contour.points_lps_mm - contour.points_lps_mm
    np.testing.assert_allclose(shift, np.tile(-3 * normal, (len(shift), 1)), atol=1e-12)


def test_points_and_open_contours_keep_their_true_coordinates() -> None:
    point = Contour(np.array([[1.0, 2, 9]]), "POINT", 0)
    line = Contour(np.array([[0.0, 0, 9], [5, 5, 9], [9, 1, 9]]), "OPEN_PLANAR", 1)
    skew = Contour(np.array([[0.0, 0, 1], [5, 5, 4], [9, 1, 9]]), "OPEN_NONPLANAR", 2)
    placed, result = remap([point, line, skew], AXIAL, ContourRule.OWN_FIRST)
    assert [p.contour for p in placed] == [point, line, skew]
    assert not any(p.is_moved for p in placed)
    assert result.untouched == 3


def test_a_closed_contour_across_the_slices_is_not_forced_onto_one() -> None:
    sagittal = Contour(np.array([[0.0, 0, 0], [0, 10, 0], [0, 10, 12], [0, 0, 12]]), "CLOSED_PLANAR", 0)
    placed, result = remap([sagittal], AXIAL, ContourRule.OWN_FIRST)
    assert placed[0].contour is sagittal
    assert result.untouched == 1


def test_union_keeps_the_hole_that_both_planes_have_and_writes_it_as_its_source_did() -> None:
    for kind in ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR"):
        contours = [ring(AXIAL, z, r, kind, n) for n, (z, r) in enumerate([(6, 20), (6, 8), (9, 20), (9, 8)])]
        placed, result = remap(contours, AXIAL, ContourRule.UNION)
        assert [p.contour.kind for p in placed] == [kind, kind]
        polygons = [AXIAL.in_plane(p.contour.points_lps_mm) for p in placed]
        assert area_mm2(polygons) == pytest.approx(np.pi * (400 - 64), rel=5e-3)
        assert (result.merged, result.kept) == (2, 2)


def test_a_keyhole_stays_a_keyhole_in_a_union() -> None:
    outer, hole = ring(AXIAL, 6, 20).points_lps_mm, ring(AXIAL, 6, 8).points_lps_mm
    keyhole = np.concatenate([outer[:1], hole, hole[:1], outer])
    below = Contour(keyhole, "CLOSED_PLANAR", 0)
    above = Contour(keyhole + np.array([0, 0, 3]), "CLOSED_PLANAR", 1)
    placed, _ = remap([below, above], AXIAL, ContourRule.UNION)
    assert len(placed) == 1
    points = AXIAL.in_plane(placed[0].contour.points_lps_mm)
    x, y = points.T
    assert abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2 == pytest.approx(np.pi * (400 - 64), rel=0.01)


def test_interpolation_gives_the_kept_plane_the_shape_between() -> None:
    placed, result = remap([ring(AXIAL, 3, 10), ring(AXIAL, 9, 20, source=1)], AXIAL, ContourRule.INTERPOLATE)
    at_six = [p for p in placed if p.target == 2]
    assert len(at_six) == 1
    assert area_mm2([AXIAL.in_plane(at_six[0].contour.points_lps_mm)]) == pytest.approx(np.pi * 225, rel=0.01)
    assert result.blended == 2


def test_contours_off_the_volume_are_counted_and_stay() -> None:
    placed, result = remap([ring(AXIAL, -30, 10)], AXIAL, ContourRule.OWN_FIRST)
    assert result.off_stack == 1
    assert placed[0].target is None
    assert not placed[0].is_moved


def test_a_contour_without_points_does_no_harm() -> None:
    placed, result = remap([Contour(np.empty((0, 3)), "CLOSED_PLANAR", 0)], AXIAL, ContourRule.UNION)
    assert len(placed) == 1
    assert result.untouched == 1
