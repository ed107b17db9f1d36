"""The PET sample against closed forms: recovery of a blurred sphere, SUV of the background, places of the spheres."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from DicomWorkbenchLib.samples.grid import FloatArray
from DicomWorkbenchLib.samples.iec_phantom import DIAMETERS_MM, FWHM_PER_SIGMA, RING_RADIUS_MM, blurred_sphere
from DicomWorkbenchLib.samples.pet_phantom import make_pet_phantom
from DicomWorkbenchLib.samples.truth import read_truth


@pytest.fixture(scope="module")
def pet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples") / "pet"
    make_pet_phantom(folder, size=84, slice_mm=4.0)
    return folder


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples") / "clean"
    make_pet_phantom(folder, size=160, pixel_mm=2.0, slice_mm=2.0, noise_fraction=0.0, wall_mm=0.0)
    return folder


def volume_of(folder: Path) -> FloatArray:
    images = [pydicom.dcmread(path) for path in (folder / "pet").iterdir()]
    images.sort(key=lambda image: float(image.ImagePositionPatient[2]))
    return np.stack([image.pixel_array * float(image.RescaleSlope) for image in images])


@pytest.mark.parametrize(
    ("diameter", "recovery"), [(10, 0.4429), (13, 0.5549), (17, 0.6520), (22, 0.7277), (28, 0.7846), (37, 0.8362)]
)
def test_mean_of_a_blurred_sphere_is_the_known_recovery_coefficient(diameter: float, recovery: float) -> None:
    """Published closed form for a uniform sphere and a Gaussian of 6 mm."""
    radius = diameter / 2
    r = (np.arange(4000) + 0.5) * radius / 4000
    mean = np.average(blurred_sphere(r, radius, 6 / FWHM_PER_SIGMA), weights=r**2)
    assert mean == pytest.approx(recovery, abs=1e-4)


def test_activity_in_and_around_a_sphere_is_what_was_filled_in(clean: Path) -> None:
    """Blurring moves activity but loses none: the sum over background is volume times contrast."""
    truth, image = read_truth(clean), volume_of(clean)
    matrix = np.array(truth["pet"]["matrix_ijk_to_lps"])
    k, j, i = np.indices(image.shape)
    points = np.stack([i, j, k], -1) @ matrix[:3, :3].T + matrix[:3, 3]
    for sphere in truth["spheres"][:3]:  # the larger ones reach into the lung insert's blur
        near = np.linalg.norm(points - sphere["center_lps_mm"], axis=-1) < sphere["diameter_mm"] / 2 + 9
        extra = (image[near] - truth["background_bqml"]).sum() * 8 / 1000
        filled = (truth["contrast"] - 1) * truth["background_bqml"] * np.pi / 6 * sphere["diameter_mm"] ** 3 / 1000
        assert extra == pytest.approx(filled, rel=0.01)


def test_spheres_lie_on_the_ring_sixty_degrees_apart(pet: Path) -> None:
    truth = read_truth(pet)
    offsets = np.array([s["center_lps_mm"] for s in truth["spheres"]]) - truth["ring"]["center_lps_mm"]
    np.testing.assert_allclose(np.hypot(offsets[:, 0], offsets[:, 1]), RING_RADIUS_MM, atol=1e-4)
    turns = np.degrees(np.diff(np.unwrap(np.arctan2(offsets[:, 1], offsets[:, 0]))))
    np.testing.assert_allclose(turns, 60, atol=1e-3)
    assert tuple(s["diameter_mm"] for s in truth["spheres"]) == DIAMETERS_MM


def test_suv_from_the_attributes_is_the_truth(pet: Path) -> None:
    image = pydicom.dcmread(pet / "pet" / "PT000010.dcm")
    isotope = image.RadiopharmaceuticalInformationSequence[0]
    seconds = 3600.0 * (int(image.SeriesTime[:2]) - int(isotope.RadiopharmaceuticalStartTime[:2])) + 60.0 * (
        int(image.SeriesTime[2:4]) - int(isotope.RadiopharmaceuticalStartTime[2:4])
    )
    dose = float(isotope.RadionuclideTotalDose) * 2 ** (-seconds / float(isotope.RadionuclideHalfLife))
    factor = float(image.PatientWeight) * 1000 / dose
    assert factor == pytest.approx(read_truth(pet)["suv"]["factor_g_per_bq"], rel=1e-9)
    assert {"ATTN", "DECY"} <= set(image.CorrectedImage) and image.DecayCorrection == "START"


def test_background_has_the_mean_and_the_noise_that_were_asked_for(pet: Path) -> None:
    truth, image = read_truth(pet), volume_of(pet)
    matrix = np.linalg.inv(truth["pet"]["matrix_ijk_to_lps"])
    i, j, k = np.rint((matrix @ [*np.add(truth["ring"]["center_lps_mm"], (0, 0, 50)), 1])[:3]).astype(int)
    region = image[k - 4 : k + 9, j - 9 : j + 10, i + 10 : i + 25]
    assert region.mean() == pytest.approx(truth["background_bqml"], rel=0.01)
    assert region.std() / region.mean() == pytest.approx(0.10, rel=0.15)


def test_every_slice_has_a_rescale_slope_of_its_own(pet: Path) -> None:
    slopes = {pydicom.dcmread(path, stop_before_pixels=True).RescaleSlope for path in (pet / "pet").iterdir()}
    assert len(slopes) > 40


@pytest.mark.needs("dciodvfy", "dcentvfy")
def test_dciodvfy_and_dcentvfy_find_no_error(pet: Path) -> None:
    files = sorted(str(path) for path in (pet / "pet").iterdir())
    for command in (["dciodvfy", "-new", files[0]], ["dciodvfy", "-new", files[30]], ["dcentvfy", *files]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "Error" not in done.stdout + done.stderr
