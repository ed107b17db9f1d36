"""Truth: ramps, whose value at a place is known; Pillow's filter of the same name; areas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from DicomOptimizerLib.resampling import (
    SAME_WEIGHT,
    Resize,
    _filter,
    _fits,
    _pieces,
    coverage,
    resample,
    resample_masked,
    resize_for,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

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


def plainly(image: NDArray[Any], new: tuple[int, int]) -> NDArray[np.float32]:
    """The filter without anything that makes it quick: every tap of one axis on the whole image, in the same order."""
    for size in new:
        index, weights = _filter(len(image), size)
        picked = [image[np.clip(column, 0, len(image) - 1)].astype(np.float32) for column in index.T]
        apart = picked[0] * weights[:, :1]
        for one, weight in zip(picked[1:], weights.T[1:], strict=True):
            apart = apart + one * weight[:, None]
        inner = (index[:, 0] >= 0) & (index[:, -1] < len(image))
        first = weights[inner][0] if inner.any() else weights[0]
        if inner.any() and len(picked) % 2 == 0 and np.abs(weights[inner] - first[::-1]).max() < SAME_WEIGHT:
            together = (picked[0] + picked[-1]) * first[0]
            for n in range(1, len(picked) // 2):
                together = together + (picked[n] + picked[-1 - n]) * first[n]
            apart = np.where(inner[:, None], together, apart)
        image = apart.T
    return np.ascontiguousarray(image)


@settings(max_examples=60, deadline=None)
@given(
    new=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    ratio=st.sampled_from([1, 2, 3, 4, 8, 1.5, 2.3]),
    largest=st.sampled_from([1, 100, 1023, 4095, 4096, 32767]),
    kind=st.sampled_from([np.int16, np.uint16, np.uint8, np.float32]),
    masked=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_short_cut_gives_what_the_plain_filter_gives(
    new: tuple[int, int], ratio: float, largest: int, kind: type, masked: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    shape = [max(n, round(n * ratio)) for n in new]
    low = -largest if kind in (np.int16, np.float32) else 0
    image = random.integers(low, largest, shape, endpoint=True)
    image = (image + random.random(shape) if kind is np.float32 else image).astype(kind)
    factor = random.integers(0, 2, shape).astype(kind) if masked else None
    given_ = image if factor is None else image * factor
    np.testing.assert_array_equal(resample(image, new, factor), plainly(given_, new))


@pytest.mark.parametrize(("ratio", "shares"), [(2, (1, 3, 3, 1)), (4, (1, 3, 5, 7, 7, 5, 3, 1)), (6, ()), (2.5, ())])
def test_whole_numbers_are_used_where_they_are_exact(ratio: float, shares: tuple[int, ...]) -> None:
    assert _pieces(round(64 * ratio), 64, 64)[0].shares == shares
    assert _fits(np.array([[4095, -4095]], np.int16), (1, 3, 3, 1))
    assert not _fits(np.array([[4096, 0]], np.int16), (1, 3, 3, 1))
    assert not _fits(np.array([[0, -32768]], np.int16), (1, 3, 3, 1))
