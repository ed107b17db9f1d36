"""Truth: ramps, whose value at a place is known; Pillow's filter of the same name; areas."""

from __future__ import annotations

import numpy as np
import pytest
from DicomOptimizerLib.resampling import Resize, coverage, resample, resample_masked, resize_for
from hypothesis import given, settings
from hypothesis import strategies as st

rng = np.random.default_rng(3)


def test_a_ramp_stays_at_its_place() -> None:
    ramp = np.tile(np.arange(512.0), (512, 1))
    small = resample(ramp, (256, 256))
    # The centre of new pixel n lies between old pixels 2n and 2n + 1.
    np.testing.assert_allclose(small[100, 2:-2], np.arange(256)[2:-2] * 2 + 0.5, atol=1e-3)


def test_a_landmark_keeps_its_patient_coordinates_only_with_the_half_pixel_shift() -> None:
    """Centre of mass of a blob in mm, before and after, on an oblique plane."""
    orientation = np.array([0.96, 0.28, 0, -0.28, 0.96, 0])
    origin, spacing = np.array([-100.0, 20, 5]), (0.8, 0.6)
    resize = Resize((512, 400), (256, 200))
    j, i = np.mgrid[:512, :400]
    blob = np.exp(-((j - 200.3) ** 2 + (i - 111.7) ** 2) / 200)

    def place(image: np.ndarray, first: np.ndarray, between: tuple[float, float]) -> np.ndarray:
        jj, ii = np.mgrid[: image.shape[0], : image.shape[1]]
        row, column = (image * jj).sum() / image.sum(), (image * ii).sum() / image.sum()
        return np.asarray(first + orientation[:3] * column * between[1] + orientation[3:] * row * between[0])

    small = resample(blob, resize.new)
    moved = resize.origin(origin, orientation, spacing)
    np.testing.assert_allclose(place(small, moved, resize.spacing(spacing)), place(blob, origin, spacing), atol=2e-3)
    assert np.linalg.norm(moved - origin) == pytest.approx(np.hypot(0.3, 0.4))


@pytest.mark.parametrize("new", [(256, 256), (200, 200), (171, 256), (511, 300)])
def test_the_filter_is_pillows_bilinear(new: tuple[int, int]) -> None:
    image_module = pytest.importorskip("PIL.Image")
    image = rng.normal(0, 300, (512, 512)).astype(np.float32)
    theirs = np.asarray(image_module.fromarray(image).resize(new[::-1], image_module.Resampling.BILINEAR))
    np.testing.assert_allclose(resample(image, new), theirs, atol=2e-3)


def test_padding_never_blends_into_true_pixels() -> None:
    image = np.full((64, 64), 40.0)
    valid = np.zeros((64, 64), bool)
    valid[:, 21:] = True
    image[~valid] = -2000
    small, still = resample_masked(image, valid, (32, 32))
    np.testing.assert_allclose(small[still], 40, atol=1e-3)
    assert still[:, 11:].all()
    assert not still[:, :10].any()


def test_images_are_fitted_never_stretched_and_never_enlarged() -> None:
    assert resize_for(512, 512, 256) == Resize((512, 512), (256, 256))
    assert resize_for(512, 400, 256) == Resize((512, 400), (256, 200))
    assert resize_for(128, 128, 256) is None
    assert resize_for(512, 512, None) is None
    assert resize_for(300, 301, 256) == Resize((300, 301), (255, 256))


@settings(deadline=None)  # a busy machine stalls any example
@given(st.integers(8, 60), st.integers(8, 60), st.integers(3, 60), st.integers(3, 60))
def test_coverage_conserves_area(rows: int, columns: int, new_rows: int, new_columns: int) -> None:
    mask = np.random.default_rng(rows * columns).random((rows, columns)) > 0.5
    new = (min(new_rows, rows), min(new_columns, columns))
    assert coverage(mask, new).mean() == pytest.approx(mask.mean(), abs=1e-4)


def test_a_constant_image_stays_constant_at_any_ratio() -> None:
    np.testing.assert_allclose(resample(np.full((77, 91), 7.0), (31, 53)), 7, atol=1e-4)
