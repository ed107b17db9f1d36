"""Detection, statistics, NEMA and EARL on a digital IEC phantom whose truth is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from DicomWorkbenchLib.errors import GeometryError, InputError
from SphereVOILib import EarlVersion, Grid, MeasureSettings, RefineSettings, Region, SphereTarget, measure, targets_of
from SphereVOILib.earl import BANDS, judge
from SphereVOILib.ring import fit_ring, place_hexagon
from SphereVOILib.statistics import a50_mean, measure_region, measure_slices, peak_mean, region_mask
from SphereVOILib.testing_phantom import iec_phantom, matrix_of, one_ball

ALL = MeasureSettings(nema=True, earl=EarlVersion.V2, auto=True)


def clicked(truth: dict[str, tuple[float, float, float]], offset: float = 3.0) -> list[SphereTarget]:
    return [
        SphereTarget(t.label, t.diameter_mm, tuple(np.add(truth[t.label], offset).tolist()))  # type: ignore[arg-type]
        for t in targets_of()
    ]


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (10.0, -8.0, 25.0)])
@pytest.mark.parametrize("activity", [4.0, 10.0])
def test_all_six_spheres_are_found_without_clicks(turn: tuple[float, float, float], activity: float) -> None:
    grid, truth = iec_phantom(spacing_mm=(4.07, 4.07, 3.0), activity=activity, noise=0.1, turn_deg=turn, seed=5)
    found = measure(grid, targets_of(), dataclasses.replace(ALL, contrast=activity))
    assert [s.label for s in found.found] == list(truth), found.warnings
    for sphere in found.spheres:
        assert np.linalg.norm(sphere.refined.center_lps_mm - np.array(truth[sphere.label])) < 0.8
    assert found.ring is not None
    assert found.ring.radius_mm == pytest.approx(57.2, abs=0.3)


def test_two_cold_and_four_hot_spheres_are_found_without_clicks() -> None:
    grid, truth = iec_phantom(activity=(0.0, 0.0, 4.0, 4.0, 4.0, 4.0), noise=0.03, seed=2)
    found = measure(grid, targets_of(), dataclasses.replace(ALL, nema=True, earl=None))
    assert len(found.found) == 6, found.warnings
    assert [str(s.refined.polarity) for s in found.spheres] == ["cold", "cold", "hot", "hot", "hot", "hot"]
    for sphere in found.spheres:
        assert np.linalg.norm(sphere.refined.center_lps_mm - np.array(truth[sphere.label])) < 0.5
    assert found.nema is not None
    assert 60 < (found.nema.spheres[0].contrast_recovery_percent or 0) < 100


def test_a_volume_without_the_phantom_is_refused_by_automatic_detection() -> None:
    random = np.random.default_rng(0)
    grid = Grid(1 + 0.1 * random.normal(size=(40, 60, 60)), matrix_of((4.0, 4.0, 4.0), (0.0, 0.0, 0.0)))
    with pytest.raises(InputError, match="was not found"):
        measure(grid, targets_of(), ALL)


def test_clicks_and_automatic_detection_give_the_same_centres() -> None:
    grid, truth = iec_phantom(noise=0.05, seed=8)
    by_clicks, by_itself = measure(grid, clicked(truth)), measure(grid, targets_of(), ALL)
    for a, b in zip(by_clicks.spheres, by_itself.spheres, strict=True):
        assert np.linalg.norm(a.refined.center_lps_mm - b.refined.center_lps_mm) < 0.02


def test_the_same_sphere_clicked_twice_counts_once() -> None:
    grid, truth = iec_phantom(noise=0.05, seed=8)
    targets = clicked(truth)
    targets[2] = dataclasses.replace(targets[2], lps_mm=tuple(np.add(truth["S2 28 mm"], -2).tolist()))  # type: ignore[arg-type]
    found = measure(grid, targets)
    assert not found.spheres[2].refined.found
    assert "clicked twice" in found.spheres[2].refined.reason
    assert found.spheres[1].refined.found
    assert any("overlap" in warning for warning in found.warnings)
    assert any("not found: S3 22 mm" in warning for warning in found.warnings)


def test_spheres_clicked_in_the_wrong_order_are_noticed() -> None:
    grid, truth = iec_phantom(noise=0.02, seed=8)
    targets = clicked(truth)
    targets[1], targets[4] = (
        dataclasses.replace(targets[1], lps_mm=truth["S5 13 mm"]),
        dataclasses.replace(targets[4], lps_mm=truth["S2 28 mm"]),
    )
    found = measure(grid, targets)
    wrong = [found.spheres[1], found.spheres[4]]
    assert all(not s.refined.found or any(s.label in w and "order" in w for w in found.warnings) for s in wrong)


def test_one_slice_is_no_volume() -> None:
    with pytest.raises(GeometryError, match="only one slice"):
        measure(Grid(np.ones((1, 32, 32)), np.eye(4)), [SphereTarget("S", 10.0, (5.0, 5.0, 0.0))])


def test_a_matrix_without_spacing_is_no_place() -> None:
    with pytest.raises(GeometryError, match="spacing"):
        Grid(np.ones((3, 3, 3)), np.zeros((4, 4)))


def test_statistics_of_a_uniform_region_are_those_of_the_value() -> None:
    grid = Grid(np.full((20, 20, 20), 3.5), matrix_of((2.0, 2.0, 3.0), (0.0, 0.0, 0.0)))
    center = grid.point_of([9.7, 10.2, 9.9])
    numbers = measure_region(region_mask(grid, center, 10.0, Region.SPHERE))
    assert (numbers.mean, numbers.max, numbers.min, numbers.sd, numbers.median) == pytest.approx(
        (3.5, 3.5, 3.5, 0.0, 3.5)
    )
    assert numbers.effective_volume_ml == pytest.approx(4 / 3 * np.pi, rel=0.003)
    assert numbers.pixel_count == pytest.approx(4 / 3 * np.pi * 1000 / 12, rel=0.05)
    assert peak_mean(grid, center, 10.0) == pytest.approx(3.5)


def test_the_variance_is_the_sample_variance_of_the_voxels_inside() -> None:
    random = np.random.default_rng(3)
    grid = Grid(random.normal(size=(12, 12, 12)), np.eye(4))
    mask = region_mask(grid, [5.5, 5.5, 5.5], 4.0, Region.SPHERE)
    inside = mask.values[mask.fraction >= 0.5]
    numbers = measure_region(mask)
    assert numbers.variance == pytest.approx(np.var(inside, ddof=1))
    assert numbers.mean == pytest.approx(np.sum(mask.fraction * mask.values) / np.sum(mask.fraction))
    assert numbers.pixel_count == inside.size


def test_the_slices_of_a_region_add_up_to_it() -> None:
    grid, center = one_ball(28.0, (3.0, 3.0, 4.0), noise=0.1)
    for region in Region:
        mask = region_mask(grid, center, 14.0, region)
        parts, whole = measure_slices(mask, center), measure_region(mask)
        assert sum(p.statistics.pixel_count for p in parts) == whole.pixel_count
        assert sum(p.statistics.effective_volume_ml for p in parts) == pytest.approx(whole.effective_volume_ml)
        assert max(abs(p.distance_mm) for p in parts) < 14.0 + 4.0


def test_the_cylinder_is_larger_than_the_chords_which_are_the_sphere() -> None:
    grid, center = one_ball(28.0, (2.0, 2.0, 2.0))
    volume = {r: measure_region(region_mask(grid, center, 14.0, r)).effective_volume_ml for r in Region}
    assert volume[Region.CHORD] == pytest.approx(volume[Region.SPHERE], rel=0.02)
    assert volume[Region.CYLINDER] == pytest.approx(np.pi * 1.4**2 * 2.8, rel=0.02)


def test_the_peak_and_the_isocontour_of_a_sharp_sphere_are_its_activity() -> None:
    grid, center = one_ball(37.0, (2.0, 2.0, 2.0), fwhm_mm=0.5, wall_mm=0.0)
    assert peak_mean(grid, center, 18.5) == pytest.approx(4.0, rel=1e-3)
    mean, volume = a50_mean(grid, center, 18.5, 1.0) or (0.0, 0.0)
    assert mean == pytest.approx(4.0, rel=0.02)
    assert volume == pytest.approx(4 / 3 * np.pi * 1.85**3, rel=0.03)


def test_nema_q_and_n_are_those_of_discs_in_the_common_slice() -> None:
    # Truth by integration: the mean of the blurred sphere over a disc through its centre; noise gives N by ROI size.
    from SphereVOILib.model import FWHM_PER_SIGMA, blurred_sphere

    grid, _ = iec_phantom(spacing_mm=(2.0, 2.0, 2.0), wall_mm=0.0, fwhm_mm=6.0, noise=0.0, seed=1)
    found = measure(grid, targets_of(), MeasureSettings(RefineSettings(psf_wall_mm=0.0), nema=True, auto=True))
    assert found.nema is not None
    assert not found.nema.reason
    for sphere, result in zip(found.nema.spheres, found.spheres, strict=True):
        assert sphere.background_mean == pytest.approx(1.0, rel=2e-3)
        assert sphere.background_variability_percent == pytest.approx(0.0, abs=0.1)
        height = (grid.point_of([0, 0, found.nema.common_slice]) - result.refined.center_lps_mm) @ grid.normal_lps
        rho = np.linspace(0, sphere.diameter_mm / 2, 2001)
        profile = blurred_sphere(np.hypot(rho, height), sphere.diameter_mm / 2, 6.0 / FWHM_PER_SIGMA).value
        disc = np.trapezoid(2 * rho * profile, rho) / (sphere.diameter_mm / 2) ** 2
        assert sphere.contrast_recovery_percent == pytest.approx(100 * disc, rel=0.02)


def test_the_background_variability_is_the_sd_over_roi_means() -> None:
    grid, _ = iec_phantom(spacing_mm=(3.0, 3.0, 3.0), noise=0.2, seed=6)
    found = measure(grid, targets_of(), ALL)
    assert found.nema is not None
    for sphere in found.nema.spheres:
        pixels = np.pi * sphere.diameter_mm**2 / 4 / 9.0
        assert sphere.background_variability_percent == pytest.approx(20.0 / np.sqrt(pixels), rel=0.35)
    assert found.nema.lung_residual_percent == pytest.approx(0.0, abs=2.0)
    assert len(found.nema.places_lps_mm) == 12
    apart = [
        np.linalg.norm(a - b) for n, a in enumerate(found.nema.places_lps_mm) for b in found.nema.places_lps_mm[:n]
    ]
    assert min(apart) >= 37.0


def test_without_an_insert_the_lung_residual_is_a_hundred_percent() -> None:
    grid, _ = iec_phantom(insert=False, noise=0.02, seed=6)
    found = measure(grid, targets_of(), ALL)
    assert found.nema is not None
    assert found.nema.lung_residual_percent == pytest.approx(100.0, abs=1.0)


def test_a_recovery_that_cannot_be_asks_for_the_true_contrast() -> None:
    grid, truth = iec_phantom(activity=9.7)
    for contrast, doubted in ((9.7, False), (4.0, True)):
        found = measure(grid, clicked(truth), MeasureSettings(nema=True, contrast=contrast))
        assert any("--contrast" in warning for warning in found.warnings) == doubted


def test_a_volume_too_short_for_nema_says_so() -> None:
    grid, truth = iec_phantom(noise=0.02, seed=6)
    k = round(float(grid.index_of(truth["S1 37 mm"])[2]))
    matrix = grid.matrix_lps.copy()
    matrix[:3, 3] = grid.point_of([0, 0, k - 12])
    short = Grid(grid.array[k - 12 : k + 4], matrix)
    found = measure(short, clicked(truth), MeasureSettings(nema=True))
    assert found.nema is not None
    assert "too short" in found.nema.reason


def test_earl_judges_by_its_bands() -> None:
    bands = BANDS[EarlVersion.V1]
    assert judge("S", 37.0, (8.0, 10.0, 9.0), 10.0, bands).verdict == "pass"
    assert judge("S", 37.0, (9.5, 10.0, 9.0), 10.0, bands).verdict == "fail: mean 0.950 above 0.76-0.89"
    assert "max 0.300 below 0.34-0.57" in judge("S", 10.0, (3.0, 3.0, None), 10.0, bands).verdict
    assert judge("S", 20.0, (3.0, 3.0, None), 10.0, bands).verdict.startswith("not judged")


def test_earl_at_another_contrast_warns() -> None:
    grid, _ = iec_phantom(noise=0.02, seed=6)
    found = measure(grid, targets_of(), ALL)
    assert any("EARL's bands hold for" in w for w in found.warnings)
    assert found.earl is not None
    true_rc = [s.rc_max for s in found.earl]
    assert true_rc[0] == pytest.approx(1.0, abs=0.1)


def test_the_ring_is_fitted_and_predicted() -> None:
    _, truth = iec_phantom(seed=3, turn_deg=(20.0, 10.0, 5.0))
    centers = np.array(list(truth.values()))
    ring = fit_ring(centers)
    assert ring is not None
    assert ring.radius_mm == pytest.approx(57.2, abs=0.05)
    assert np.abs(ring.out_of_plane_mm).max() < 1.2
    predicted = place_hexagon([*centers[:4], None, None], 57.2)
    assert predicted is not None
    assert np.linalg.norm(predicted - centers, axis=1).max() < 3.0
    assert fit_ring(centers[:3]) is None
