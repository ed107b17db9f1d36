"""Sphere centres against phantoms whose truth is exact: the figures of docs/spheres.md in short form, with fixed seeds."""

from __future__ import annotations

import numpy as np
import pytest
from SphereVOILib import Grid, Method, Polarity, RefineSettings, SphereTarget, refine
from SphereVOILib.testing_phantom import Ball, add_balls, iec_phantom, matrix_of, one_ball

COARSE, MIDDLE = (4.07, 4.07, 5.0), (2.0, 2.0, 2.0)
OBLIQUE = (12.0, -7.0, 20.0)


def click_at(
    center: tuple[float, float, float], offset_mm: float, random: np.random.Generator
) -> tuple[float, float, float]:
    direction = random.normal(size=3)
    x, y, z = np.array(center) + offset_mm * direction / np.linalg.norm(direction)
    return float(x), float(y), float(z)


def errors(
    diameter: float, spacing: tuple[float, float, float], count: int, offset_mm: float = 3.0, **phantom: object
) -> tuple:
    """Return errors (n, 3) and sigmas (n, 3) of the spheres that were found, and how many were not."""
    error, sigma, missing = [], [], 0
    for seed in range(count):
        grid, center = one_ball(diameter, spacing, seed=seed, **phantom)  # type: ignore[arg-type]
        click = click_at(center, offset_mm, np.random.default_rng(1000 + seed))
        one = refine(grid, SphereTarget("S", diameter, click), RefineSettings())
        if one.center_lps_mm is None or one.fit is None:
            missing += 1
            continue
        error.append(one.center_lps_mm - np.array(center))
        sigma.append(one.fit.sigma_mm)
    return np.array(error).reshape(-1, 3), np.array(sigma).reshape(-1, 3), missing


@pytest.mark.parametrize("diameter", [10.0, 17.0, 28.0])
@pytest.mark.parametrize("spacing", [COARSE, MIDDLE])
@pytest.mark.parametrize("parts", [1, 4])
def test_without_noise_the_centre_is_right_to_a_hundredth_of_a_millimetre(
    diameter: float, spacing: tuple[float, float, float], parts: int
) -> None:
    error, _, missing = errors(diameter, spacing, 3, turn_deg=OBLIQUE, parts=parts)
    assert missing == 0
    assert np.linalg.norm(error, axis=1).max() < 0.01


@pytest.mark.parametrize(("diameter", "limit"), [(10.0, 0.35), (17.0, 0.13), (22.0, 0.10), (28.0, 0.10), (37.0, 0.10)])
def test_with_ten_percent_noise_on_coarse_voxels_the_median_error_is_small(diameter: float, limit: float) -> None:
    error, _, missing = errors(diameter, COARSE, 25, noise=0.10, turn_deg=OBLIQUE)
    assert missing == 0
    assert np.median(np.linalg.norm(error, axis=1)) < limit


def test_the_median_over_the_spheres_from_17_mm_on_and_both_voxel_sizes_is_a_tenth_of_a_millimetre() -> None:
    found = [errors(d, s, 8, noise=0.10)[0] for d in (17.0, 22.0, 28.0, 37.0) for s in (COARSE, MIDDLE)]
    assert np.median(np.linalg.norm(np.concatenate(found), axis=1)) <= 0.10


@pytest.mark.parametrize("correlated_mm", [0.0, 5.0])
@pytest.mark.parametrize("diameter", [10.0, 17.0])
def test_the_standard_error_covers_about_two_thirds(diameter: float, correlated_mm: float) -> None:
    # 120 errors (40 spheres, three axes): sampling alone moves the share by 4 percentage points.
    error, sigma, _ = errors(diameter, COARSE, 40, noise=0.10, correlated_mm=correlated_mm)
    assert 0.57 < np.mean(np.abs(error) <= sigma) < 0.79


def test_cold_spheres_are_found_by_their_minimum() -> None:
    for polarity in (Polarity.COLD, Polarity.AUTO):
        grid, center = one_ball(17.0, COARSE, activity=0.0, noise=0.05, seed=4)
        one = refine(grid, SphereTarget("S", 17.0, center, polarity), RefineSettings())
        assert one.found, one.reason
        assert one.polarity is Polarity.COLD
        assert np.linalg.norm(np.array(one.center_lps_mm) - np.array(center)) < 0.6


def test_a_sphere_said_to_be_hot_that_is_cold_is_not_found() -> None:
    grid, center = one_ball(22.0, COARSE, activity=0.0, noise=0.02, seed=4)
    one = refine(grid, SphereTarget("S", 22.0, center, Polarity.HOT), RefineSettings())
    assert not one.found


def test_a_click_up_to_eight_millimetres_off_changes_nothing() -> None:
    for diameter in (10.0, 22.0, 37.0):
        grid, center = one_ball(diameter, COARSE, noise=0.10, seed=11)
        found = []
        for n, offset in enumerate((0.0, 3.0, 6.0, 8.0, 8.0, 8.0)):
            one = refine(
                grid, SphereTarget("S", diameter, click_at(center, offset, np.random.default_rng(n))), RefineSettings()
            )
            assert one.center_lps_mm is not None, one.reason
            found.append(one.center_lps_mm)
        assert np.linalg.norm(np.array(found) - found[0], axis=1).max() < 0.02


@pytest.mark.parametrize("correlated_mm", [0.0, 5.0])
def test_at_two_to_one_and_thirty_percent_noise_nothing_is_silently_wrong(correlated_mm: float) -> None:
    error, _, missing = errors(10.0, COARSE, 100, 8.0, activity=2.0, noise=0.30, correlated_mm=correlated_mm)
    assert missing + len(error) == 100
    assert not np.any(np.linalg.norm(error, axis=1) > 2.5)  # a quarter of the diameter


def test_noise_alone_is_never_a_sphere() -> None:
    error, _, missing = errors(10.0, COARSE, 40, activity=1.0, wall_mm=0.0, noise=0.30)
    assert (missing, len(error)) == (40, 0)


def test_nan_and_negative_voxels_do_no_harm() -> None:
    grid, center = one_ball(22.0, COARSE, noise=0.10, seed=2)
    grid.array[...] -= 1.0  # background around zero, many voxels negative
    index = np.round(grid.index_of(center)).astype(int)
    grid.array[index[2] + 2, index[1], index[0]] = np.nan
    grid.array[0] = np.nan
    one = refine(grid, SphereTarget("S", 22.0, click_at(center, 4, np.random.default_rng(0))), RefineSettings())
    assert one.center_lps_mm is not None, one.reason
    assert np.linalg.norm(one.center_lps_mm - np.array(center)) < 0.3


def test_the_fit_returns_width_signal_and_background() -> None:
    grid, center = one_ball(17.0, MIDDLE, fwhm_mm=6.0, turn_deg=OBLIQUE)
    one = refine(grid, SphereTarget("S", 17.0, center), RefineSettings())
    assert one.fit is not None
    assert one.fit.fwhm_mm == pytest.approx(6.0, abs=1e-3)
    assert one.fit.signal == pytest.approx(4.0, abs=1e-3)
    assert one.fit.background == pytest.approx(1.0, abs=1e-3)


def test_the_grid_method_is_the_old_search_for_the_largest_mean_of_whole_voxels() -> None:
    grid, center = one_ball(17.0, COARSE, noise=0.10, seed=5)
    click = click_at(center, 5, np.random.default_rng(5))
    one = refine(grid, SphereTarget("S", 17.0, click), RefineSettings(method=Method.GRID))
    assert one.center_lps_mm is not None
    index = grid.index_of(one.center_lps_mm)
    assert np.allclose(index, np.round(index), atol=1e-6)
    assert np.allclose(index, brute_force(grid, np.array(click), 8.5, 10.0))


def brute_force(grid: Grid, click: np.ndarray, radius: float, search: float) -> np.ndarray:
    """The old script: a mask of the whole volume for every whole voxel within the search box."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.array.shape), indexing="ij")
    points = grid.point_of(np.stack([i, j, k], axis=-1).reshape(-1, 3).astype(float))
    start = np.round(grid.index_of(click)).astype(int)
    reach = [int(search / s + 1e-6) for s in grid.spacing_mm]
    best, where = -np.inf, start.astype(float)
    for dk in range(-reach[2], reach[2] + 1):
        for dj in range(-reach[1], reach[1] + 1):
            for di in range(-reach[0], reach[0] + 1):
                candidate = start + np.array([di, dj, dk])
                mask = np.linalg.norm(points - grid.point_of(candidate.astype(float)), axis=1) <= radius
                mean = float(grid.array.reshape(-1)[mask].mean())
                if mean > best:
                    best, where = mean, candidate.astype(float)
    return where


def test_a_sheared_grid_of_a_tilted_gantry_is_measured_in_millimetres() -> None:
    matrix = matrix_of(COARSE, (0.0, 0.0, 0.0))
    matrix[1, 2] = 1.5  # every slice is moved along y
    grid = Grid(np.ones((24, 32, 32)), matrix)
    center = tuple(grid.point_of([15.2, 15.9, 11.7]).tolist())
    add_balls(grid, [Ball(center, 22.0, 4.0)], 7.0, 1.0)
    one = refine(grid, SphereTarget("S", 22.0, click_at(center, 5, np.random.default_rng(0))), RefineSettings())
    assert one.center_lps_mm is not None
    assert np.linalg.norm(one.center_lps_mm - np.array(center)) < 0.01


@pytest.mark.parametrize(
    ("click", "diameter", "said"),
    [
        ((900.0, 0.0, 0.0), 37.0, "outside the volume"),
        ((-150.0, -125.0, 0.0), 37.0, "in air"),
        ((0.0, 85.0, -40.0), 22.0, "contrast below noise"),
        ((0.0, 0.0, 0.0), 400.0, "larger than the volume"),
    ],
)
def test_a_click_where_no_sphere_can_be_is_explained(
    click: tuple[float, float, float], diameter: float, said: str
) -> None:
    grid, _ = iec_phantom(noise=0.1, seed=1)
    one = refine(grid, SphereTarget("S", diameter, click), RefineSettings())
    assert not one.found
    assert said in one.reason
    assert one.center_lps_mm is None


def test_a_click_too_far_from_any_sphere_says_how_to_help() -> None:
    grid, truth = iec_phantom(noise=0.02, seed=1)
    x, y, z = truth["S4 17 mm"]
    one = refine(grid, SphereTarget("S", 17.0, (x, y, z + 22.0)), RefineSettings())
    assert not one.found
    x, y, z = truth["S1 37 mm"]
    far = refine(grid, SphereTarget("S", 37.0, (x, y, z + 15.0)), RefineSettings())
    assert not far.found
    assert "longer search" in far.reason
    assert refine(grid, SphereTarget("S", 37.0, (x, y, z + 15.0)), RefineSettings(search_mm=18.0)).found


def test_a_sphere_cut_off_by_the_volumes_edge_is_not_measured() -> None:
    grid, center = one_ball(28.0, COARSE)
    index = int(np.round(grid.index_of(center))[2])
    half = Grid(grid.array[index:], grid.matrix_lps @ shift(index))
    one = refine(half, SphereTarget("S", 28.0, center), RefineSettings())
    assert not one.found


def shift(k: int) -> np.ndarray:
    matrix = np.eye(4)
    matrix[2, 3] = k
    return matrix
