"""Measurements of digitised ellipsoids against formulas, on clinical and on oblique grids.

Every figure is the mean over random sub-voxel positions: a single digitised ball of 10 mm on slices of 2.5 mm is a matter of luck.
"""

from __future__ import annotations

import numpy as np
import pytest
from tumor_shapes import CLINICAL, Ellipsoid, about_slice_normal, grid_of, rotation, sphere
from TumorAnalysisLib.axial import axial_diameters
from TumorAnalysisLib.distances import gap_mm, surface_of
from TumorAnalysisLib.grid import Grid
from TumorAnalysisLib.lesions import centroid_lps
from TumorAnalysisLib.masks import Mask, crop
from TumorAnalysisLib.shape3d import feret_mm, sphericity, surface_area_mm2

REPEATS = 60


def spheroids(rng: np.random.Generator, axes: tuple[float, float, float]) -> list[tuple[Ellipsoid, Mask, Grid]]:
    found = []
    for _ in range(REPEATS):
        body = Ellipsoid(axes, about_slice_normal(rng.uniform(0, np.pi)))
        mask, grid, _ = body.digitised(rng, frame=rotation(rng))
        found.append((body, mask, grid))
    return found


@pytest.mark.parametrize("axes", [(5, 5, 5), (10, 10, 10), (5, 4, 6), (9, 6, 12)])
def test_volume_is_right_to_one_per_cent_from_10_mm(axes: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(1)
    ratios = [mask.count * grid.voxel_volume_mm3 / body.volume_mm3 for body, mask, grid in spheroids(rng, axes)]
    assert abs(np.mean(ratios) - 1) <= 0.01


@pytest.mark.parametrize(
    ("axes", "allowed"),
    [((5, 5, 5), 0.015), ((5, 4, 6), 0.015), ((10, 10, 10), 0.005), ((10, 7, 12), 0.005), ((10, 5, 9), 0.005)],
)
def test_longest_diameter_and_short_axis_have_no_bias(axes: tuple[float, float, float], allowed: float) -> None:
    rng = np.random.default_rng(2)
    longest, short = [], []
    for body, mask, grid in spheroids(rng, axes):
        found, (true_longest, true_short) = axial_diameters(mask, grid), body.central_section_mm()
        longest.append(found.longest_mm / true_longest)
        short.append(found.short_mm / true_short)
        assert found.longest_bounds_mm[0] <= found.longest_mm <= found.longest_bounds_mm[1]
        assert found.short_bounds_mm[0] <= found.short_mm <= found.short_bounds_mm[1]
    assert abs(np.mean(longest) - 1) <= allowed
    assert abs(np.mean(short) - 1) <= allowed


def test_the_bounds_enclose_the_true_diameter_of_a_slice() -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        # A cylinder: every slice is the same disc, so the truth does not depend on where the slices lie.
        centre, radius = 20 + rng.random(2), rng.uniform(4, 9)
        j, i = np.indices((41, 41))
        disc = (j - centre[0]) ** 2 + (i - centre[1]) ** 2 <= radius**2
        found = axial_diameters(crop(np.stack([disc] * 3)), grid_of((3, 41, 41), (1.0, 1.0, 2.5)))
        assert found.longest_bounds_mm[0] <= 2 * radius <= found.longest_bounds_mm[1]


def test_diameters_of_shapes_that_are_no_ellipses_are_right_to_a_third_of_a_pixel() -> None:
    # Truth: the same outline on pixels ten times finer.
    rng = np.random.default_rng(4)
    for lobes, depth in ((2, 0.10), (3, 0.10), (5, 0.08)):
        errors = []
        for _ in range(20):
            turn, (cj, ci) = rng.uniform(0, 2 * np.pi), rng.random(2)

            def blob(
                step: float, *, at: tuple[float, ...] = (turn, cj, ci), of: tuple[float, ...] = (lobes, depth)
            ) -> Mask:
                axis = np.arange(-22, 22, step)
                j, i = np.meshgrid(axis - at[1], axis - at[2], indexing="ij")
                angle = np.arctan2(j, i) + at[0]
                return crop((np.hypot(i, j) <= 12 * (1 + of[1] * np.cos(of[0] * angle)))[None])

            truth = axial_diameters(blob(0.1), grid_of((1, 440, 440), (0.1, 0.1, 1.0))).longest_mm
            errors.append(axial_diameters(blob(1.0), grid_of((1, 44, 44), (1.0, 1.0, 1.0))).longest_mm - truth)
        assert abs(np.mean(errors)) <= 1 / 3, f"{lobes} lobes"


def test_diameter_lines_are_as_long_as_the_diameters_and_perpendicular_on_an_oblique_grid() -> None:
    rng = np.random.default_rng(5)
    mask, grid, _ = Ellipsoid((12, 7, 9), rotation(rng)).digitised(rng, frame=rotation(rng))
    found = axial_diameters(mask, grid)
    along, across = np.diff(found.longest_lps, axis=0)[0], np.diff(found.short_lps, axis=0)[0]
    assert np.linalg.norm(along) == pytest.approx(found.longest_mm)
    assert np.linalg.norm(across) == pytest.approx(found.short_mm)
    assert along @ across == pytest.approx(0, abs=1e-6)
    assert np.abs((found.longest_lps - grid.matrix_lps[:3, 3]) @ np.linalg.inv(grid.steps_mm))[:, 2] == pytest.approx(
        found.slice_k
    )


def test_a_diameter_never_bridges_two_parts_of_a_slice() -> None:
    voxels = np.zeros((1, 30, 60), dtype=bool)
    voxels[0, 10:20, 5:15] = voxels[0, 10:20, 45:55] = True
    found = axial_diameters(crop(voxels), grid_of((1, 30, 60), (1.0, 1.0, 2.5)))
    assert found.longest_mm < 10 * np.sqrt(2) + 1


def test_one_voxel_has_a_size_between_its_bounds() -> None:
    voxels = np.zeros((3, 3, 3), dtype=bool)
    voxels[1, 1, 1] = True
    grid = grid_of((3, 3, 3), CLINICAL)
    found = axial_diameters(crop(voxels), grid)
    assert found.longest_bounds_mm == (0.0, pytest.approx(0.7 * np.sqrt(2)))
    assert 0 < found.longest_mm < 1
    assert feret_mm(crop(voxels), grid) > 0


@pytest.mark.parametrize("axes", [(5, 5, 5), (10, 10, 10), (5, 4, 6), (5, 5, 12), (10, 7, 12), (20, 12, 9)])
def test_feret_is_right_to_three_per_cent(axes: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(6)
    ratios = []
    for _ in range(REPEATS):
        mask, grid, _ = Ellipsoid(axes, rotation(rng)).digitised(rng, frame=rotation(rng))
        ratios.append(feret_mm(mask, grid) / (2 * max(axes)))
    assert abs(np.mean(ratios) - 1) <= 0.03


@pytest.mark.parametrize(
    ("diameter", "spacing"),
    [
        *((d, s) for d in (10, 20, 40) for s in (CLINICAL, (1.0, 1.0, 1.0))),
        (20, (0.6, 0.6, 4.0)),
        (40, (0.6, 0.6, 4.0)),
    ],
)
def test_a_sphere_has_sphericity_one(diameter: float, spacing: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(7)
    raw = []
    for _ in range(20):
        mask, grid, _ = sphere(diameter).digitised(rng, spacing, rotation(rng))
        volume, area = mask.count * grid.voxel_volume_mm3, surface_area_mm2(mask.voxels, grid)
        raw.append(np.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / area)
        assert sphericity(volume, area) == pytest.approx(1.0, abs=0.03)
    assert np.mean(raw) == pytest.approx(1.0, abs=0.03)  # before values above 1 are cut


def test_sphericity_of_a_spheroid_follows_its_formula() -> None:
    a, c = 8.0, 16.0  # prolate: area = 2 pi a^2 (1 + c/(a e) asin e)
    e = np.sqrt(1 - a**2 / c**2)
    truth = (np.pi ** (1 / 3) * (6 * 4 / 3 * np.pi * a * a * c) ** (2 / 3)) / (
        2 * np.pi * a**2 * (1 + c / (a * e) * np.arcsin(e))
    )
    rng = np.random.default_rng(8)
    found = []
    for _ in range(20):
        mask, grid, _ = Ellipsoid((a, a, c), rotation(rng)).digitised(rng)
        found.append(sphericity(mask.count * grid.voxel_volume_mm3, surface_area_mm2(mask.voxels, grid)))
    assert np.mean(found) == pytest.approx(truth, abs=0.03)


def test_distance_between_surfaces_is_right_to_half_a_voxel_diagonal() -> None:
    # A small sphere inside a large one, both about known centres: gap = R - r - distance of the centres.
    rng = np.random.default_rng(9)
    half_diagonal = float(np.linalg.norm(CLINICAL)) / 2
    for frame in (np.eye(3), rotation(rng)):
        for _ in range(6):
            grid = grid_of((40, 120, 120), CLINICAL, frame)
            k, j, i = np.indices(grid.shape_kji)
            points = np.stack([i * CLINICAL[0], j * CLINICAL[1], k * CLINICAL[2]], axis=-1)
            centre = np.array([42.0, 42.0, 49.0])
            shift = rng.normal(size=3)
            shift *= rng.uniform(0, 20) / np.linalg.norm(shift)
            organ = crop(((points - centre) ** 2).sum(-1) <= 40.0**2)
            lesion = crop(((points - centre - shift) ** 2).sum(-1) <= 8.0**2)
            surfaces = surface_of(lesion, grid), surface_of(organ, grid)
            assert surfaces[0] is not None
            assert surfaces[1] is not None
            assert gap_mm(surfaces[0], surfaces[1]) == pytest.approx(40 - 8 - np.linalg.norm(shift), abs=half_diagonal)


def test_the_centroid_of_an_oblique_ellipsoid_is_its_centre() -> None:
    rng = np.random.default_rng(10)
    mask, grid, centre = Ellipsoid((12, 7, 9), rotation(rng)).digitised(rng, frame=rotation(rng))
    assert np.linalg.norm(np.array(centroid_lps(mask, grid)) - centre) < 0.2
