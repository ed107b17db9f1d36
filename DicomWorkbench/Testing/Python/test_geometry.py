"""Matrices and frames against analytic truth."""

import numpy as np
import pytest
from DicomWorkbenchLib import geometry
from DicomWorkbenchLib.errors import GeometryError
from hypothesis import given
from hypothesis import strategies as st

AXIAL = (1, 0, 0, 0, 1, 0)


def test_the_normal_of_an_axial_slice_points_to_the_head():
    assert geometry.slice_normal(AXIAL) == pytest.approx([0, 0, 1])


@pytest.mark.parametrize("broken", [(1, 0, 0, 1, 0, 0), (2, 0, 0, 0, 1, 0), (1, 0, 0, 0, 1), (np.nan, 0, 0, 0, 1, 0)])
def test_orientations_that_span_no_plane_are_refused(broken):
    with pytest.raises(GeometryError, match="ImageOrientationPatient"):
        geometry.slice_normal(broken)


def test_the_matrix_puts_each_index_where_the_standard_says():
    matrix = geometry.index_matrix_lps((-100, -50, 7), AXIAL, (0.8, 0.5), (0, 0, 2.5))
    assert geometry.transform_points(matrix, (3, 2, 4)) == pytest.approx([-100 + 3 * 0.5, -50 + 2 * 0.8, 7 + 4 * 2.5])
    assert geometry.spacing_of(matrix) == pytest.approx((0.5, 0.8, 2.5))
    assert geometry.voxel_volume_mm3(matrix) == pytest.approx(1.0)


def test_a_tilted_gantry_shears_the_grid_but_keeps_the_volume_of_a_voxel():
    matrix = geometry.index_matrix_lps((0, 0, 0), AXIAL, (1, 1), (0, 0.5, 3))
    assert geometry.voxel_volume_mm3(matrix) == pytest.approx(3.0)


@given(st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3))
def test_lps_to_ras_and_back_changes_nothing(point):
    assert geometry.ras_to_lps(geometry.lps_to_ras(point)) == pytest.approx(point)


def test_a_matrix_and_a_point_turn_to_ras_the_same_way():
    matrix = geometry.index_matrix_lps((10, 20, 30), AXIAL, (1, 2), (0, 0, 3))
    point_lps = geometry.transform_points(matrix, (1, 2, 3))
    point_ras = geometry.transform_points(geometry.lps_to_ras(matrix), (1, 2, 3))
    assert point_ras == pytest.approx(geometry.lps_to_ras(point_lps))


def test_pixel_spacing_of_zero_is_refused():
    with pytest.raises(GeometryError, match="PixelSpacing"):
        geometry.index_matrix_lps((0, 0, 0), AXIAL, (0, 1), (0, 0, 1))
