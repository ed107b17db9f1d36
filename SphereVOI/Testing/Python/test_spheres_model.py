"""The closed forms and masks everything rests on, against quadrature, published values and exact volumes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from SphereVOILib.coverage import chord_radius_mm, disc_coverage, sphere_coverage
from SphereVOILib.grid import Box, Grid
from SphereVOILib.measure import MeasureSettings, measure
from SphereVOILib.model import blurred_sphere, blurred_sphere_fast, mean_inside, mean_recovery
from SphereVOILib.report import details, sphere_entry
from SphereVOILib.settings import SphereTarget
from SphereVOILib.testing_phantom import matrix_of, one_ball

# Recovery of 3D sphere means for FWHM 5 to 8 mm and the six IEC diameters, verified against quadrature elsewhere.
PUBLISHED = {
    5: (0.5223, 0.6229, 0.7073, 0.7718, 0.8199, 0.8632),
    6: (0.4429, 0.5549, 0.6520, 0.7277, 0.7846, 0.8362),
    7: (0.3721, 0.4908, 0.5985, 0.6844, 0.7497, 0.8093),
    8: (0.3106, 0.4314, 0.5471, 0.6421, 0.7153, 0.7827),
}


@pytest.mark.parametrize("fwhm", PUBLISHED)
def test_the_recovery_coefficient_has_the_published_values(fwhm: float) -> None:
    for diameter, expected in zip((10, 13, 17, 22, 28, 37), PUBLISHED[fwhm], strict=True):
        assert mean_recovery(diameter / 2, fwhm) == pytest.approx(expected, abs=6e-5)
        assert mean_inside(diameter / 2, diameter / 2, fwhm) == pytest.approx(
            mean_recovery(diameter / 2, fwhm), abs=1e-9
        )


def test_the_blurred_sphere_is_the_convolution() -> None:
    # At the centre, the share of a 3D Gaussian within R: a chi distribution of three degrees of freedom.
    from scipy.stats import chi

    assert blurred_sphere(np.array([0.0]), 8.5, 3.0).value[0] == pytest.approx(chi(3).cdf(8.5 / 3.0), abs=1e-7)
    r = np.linspace(0.01, 40, 400)
    volume = np.trapezoid(4 * np.pi * r**2 * blurred_sphere(r, 8.5, 3.0).value, r)
    assert volume == pytest.approx(4 / 3 * np.pi * 8.5**3, rel=1e-4)


@given(radius=st.floats(3, 20), sigma=st.floats(0.5, 6), r=st.floats(0.01, 40))
@settings(max_examples=60, deadline=None)
def test_the_derivatives_are_those_of_the_function(radius: float, sigma: float, r: float) -> None:
    at, step = np.array([r]), 1e-5
    profile = blurred_sphere(at, radius, sigma)
    by_r = (blurred_sphere(at + step, radius, sigma).value - blurred_sphere(at - step, radius, sigma).value) / (
        2 * step
    )
    by_s = (blurred_sphere(at, radius, sigma + step).value - blurred_sphere(at, radius, sigma - step).value) / (
        2 * step
    )
    assert profile.by_r[0] == pytest.approx(by_r[0], abs=1e-5)
    assert profile.by_sigma[0] == pytest.approx(by_s[0], abs=1e-5)


def test_the_table_of_the_fast_version_is_right_to_a_hundred_thousandth() -> None:
    r = np.random.default_rng(0).uniform(0, 30, 100_000)
    fast, exact = blurred_sphere_fast(r, 18.5, 3.0), blurred_sphere(r, 18.5, 3.0)
    assert np.abs(fast.value - exact.value).max() < 1e-5


@given(
    spacing=st.tuples(st.floats(1, 5), st.floats(1, 5), st.floats(1, 6)),
    turn=st.tuples(st.floats(-90, 90), st.floats(-90, 90), st.floats(-90, 90)),
    shift=st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)),
)
@settings(max_examples=25, deadline=None)
def test_the_fractional_sphere_has_the_volume_of_the_sphere_on_every_grid(
    spacing: tuple, turn: tuple, shift: tuple
) -> None:
    sizes = [int(50 / s) + 3 for s in reversed(spacing)]
    grid = Grid(np.zeros(sizes), matrix_of(spacing, (0.0, 0.0, 0.0), turn))
    center = grid.point_of((np.array(grid.size_ijk) - 1) / 2 + np.array(shift))
    box = grid.around(center, 25.0)
    assert sphere_coverage(box, center, 18.5).sum() * grid.voxel_ml == pytest.approx(4 / 3 * np.pi * 1.85**3, rel=0.004)


def test_discs_and_chords_have_the_area_of_the_circle() -> None:
    grid = Grid(np.zeros((5, 40, 40)), matrix_of((2.0, 3.0, 4.0), (0.0, 0.0, 0.0), (10.0, 20.0, 30.0)))
    center = grid.point_of([20.3, 19.8, 2.1])
    box = Box(grid, (0, 0, 2), (40, 40, 3))
    assert disc_coverage(box, center, 18.5).sum() * 6.0 == pytest.approx(np.pi * 18.5**2, rel=0.003)
    assert chord_radius_mm(5.0, 3.0) == pytest.approx(4.0)
    assert chord_radius_mm(5.0, 6.0) == 0.0


@pytest.mark.parametrize("diameter", [10.0, 17.0, 37.0])
def test_the_recovery_coefficient_of_the_fit_is_that_of_the_closed_form(diameter: float) -> None:
    # Phantom without walls, FWHM 7 mm as the voxels see it: truth is the closed form, nothing else.
    bias = []
    for seed in range(24):
        grid, center = one_ball(diameter, (2.0, 2.0, 2.0), wall_mm=0.0, noise=0.05, seed=seed)
        settings = MeasureSettings(refine=_no_wall())
        found = measure(grid, [SphereTarget("S", diameter, center)], settings)
        fitted = details(found.spheres[0], found, settings)
        recovered = (fitted["fit_mean"] - 1.0) / 3.0
        bias.append(recovered / mean_recovery(diameter / 2, 7.0) - 1)
    assert abs(np.mean(bias)) < 0.005


@pytest.mark.parametrize("diameter", [10.0, 17.0, 37.0])
def test_the_voxel_mean_has_the_recovery_of_the_blur_it_sees(diameter: float) -> None:
    # A fractional mask averages over a voxel once more: its variance d^2/12 adds to that of the blur (docs/spheres.md).
    bias = []
    for seed in range(20):
        grid, center = one_ball(diameter, (2.0, 2.0, 2.0), wall_mm=0.0, seed=seed)
        settings = MeasureSettings(refine=_no_wall())
        found = measure(grid, [SphereTarget("S", diameter, center)], settings)
        mean = sphere_entry(found.spheres[0], found, settings)["mean"]
        seen = np.sqrt(7.0**2 + 5.545 * 2.0**2 / 12)
        bias.append((mean - 1.0) / 3.0 / mean_recovery(diameter / 2, seen) - 1)
    assert abs(np.mean(bias)) < 0.005


def _no_wall():  # type: ignore[no-untyped-def]
    from SphereVOILib import RefineSettings

    return RefineSettings(psf_wall_mm=0.0)
