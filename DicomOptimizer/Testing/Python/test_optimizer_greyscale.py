"""Truth: DICOM's LINEAR window (PS3.3 C.11.2.1.2.1) written out by hand."""

from __future__ import annotations

import numpy as np
from DicomOptimizerLib.greyscale import GreyMap, window_of
from DicomWorkbenchLib.decimals import decimal_string
from DicomWorkbenchLib.windowing import Window

ABDOMEN = Window(40, 400)
HU = np.arange(-1000, 2000)


def test_grey_values_are_the_formula_rounded_once() -> None:
    expected = np.clip(np.round((HU + 160) * 255 / 399), 0, 255)
    found = GreyMap(ABDOMEN, has_padding=False).grey(HU, None)
    # float32 may tip exact halves the other way; there are none that differ by more
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert (found != expected).mean() < 1e-3


def test_hu_come_back_to_0_78_without_and_0_79_with_padding() -> None:
    inside = (HU >= -160) & (HU <= 239)
    for has_padding, limit in ((False, 0.783), (True, 0.786)):
        grey_map = GreyMap(ABDOMEN, has_padding)
        slope, intercept = (float(decimal_string(number)) for number in grey_map.rescale)
        back = grey_map.grey(HU, None) * slope + intercept
        error = back[inside] - HU[inside]
        assert np.abs(error).max() <= limit
        assert abs(error.mean()) < 0.05, "biased: truncated instead of rounded"
        assert grey_map.error <= limit


def test_the_slope_of_40_400_is_399_over_255_in_sixteen_characters() -> None:
    slope, intercept = GreyMap(ABDOMEN, has_padding=False).rescale
    assert decimal_string(slope) == "1.56470588235294"
    assert (len(decimal_string(slope)), intercept) == (16, -160)


def test_zero_is_kept_for_padding_alone() -> None:
    valid = np.ones(HU.shape, bool)
    valid[:10] = False
    grey = GreyMap(ABDOMEN, has_padding=True).grey(HU, valid)
    assert (grey[:10] == 0).all()
    assert grey[10:].min() == 1
    assert grey.max() == 255


def test_a_window_from_data_reaches_from_zero_to_nearly_the_maximum() -> None:
    values = np.concatenate([np.zeros(1000), np.linspace(0, 800, 9000), [90000.0]])
    window = window_of(values)
    assert window.low == 0
    assert 780 < window.high < 810


def test_a_window_from_signed_data_holds_its_middle_99_percent() -> None:
    values = np.linspace(-500, 500, 100001)
    window = window_of(values)
    np.testing.assert_allclose([window.low, window.high], [-495, 495], atol=0.1)


def test_a_constant_image_gets_a_window_too() -> None:
    assert window_of(np.full(100, 7.0)).width > 1


def test_decimal_strings_never_exceed_sixteen_characters() -> None:
    for number in (1 / 3, -1 / 3e7, 123456789.123456789, -(2.0**70), 1e-300, 0.1 + 0.2):
        text = decimal_string(number)
        assert len(text) <= 16
        np.testing.assert_allclose(float(text), number, rtol=1e-8)
