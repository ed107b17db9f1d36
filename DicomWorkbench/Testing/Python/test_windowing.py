"""Windows against the formula of PS3.3 C.11.2.1.2.1."""

import numpy as np
import pytest
from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.windowing import PRESETS, Window, apply_window, rescale_for
from hypothesis import given
from hypothesis import strategies as st


def standard_linear(x: float, c: float, w: float) -> float:
    """Return y for 0..255 exactly as the standard's pseudo code has it."""
    if x <= c - 0.5 - (w - 1) / 2:
        return 0.0
    if x > c - 0.5 + (w - 1) / 2:
        return 255.0
    return ((x - (c - 0.5)) / (w - 1) + 0.5) * 255


@given(st.integers(-2000, 3000), st.sampled_from(sorted(PRESETS)))
def test_every_preset_follows_the_standard(value, name):
    window = PRESETS[name]
    expected = standard_linear(value, window.level, window.width)
    assert abs(int(apply_window([value], window)[0]) - expected) <= 0.5 + 1e-3


def test_level_40_width_400_shows_minus_160_to_239_in_399_steps():
    window = Window(40, 400)
    assert (window.low, window.high) == (-160, 239)
    assert list(apply_window([-161, -160, 239, 240], window)) == [0, 0, 255, 255]


def test_values_come_back_within_half_a_step():
    window = Window(40, 400)
    values = np.arange(-160, 240)
    slope, intercept = rescale_for(window)
    back = apply_window(values, window) * slope + intercept
    assert np.abs(back - values).max() <= slope / 2 + 1e-9
    assert (slope, intercept) == (399 / 255, -160)


def test_nan_and_infinity_do_not_wrap_around():
    assert list(apply_window([np.nan, np.inf, -np.inf], Window(40, 400))) == [0, 255, 0]


@pytest.mark.parametrize(
    "text, window", [("40/400", Window(40, 400)), (" Lung ", Window(-600, 1600)), ("-600/1500", Window(-600, 1500))]
)
def test_windows_are_read_as_users_write_them(text, window):
    assert Window.parse(text) == window


@pytest.mark.parametrize("text", ["40", "a/b", "40/1", "40/-3", "nan/400", ""])
def test_windows_that_cannot_work_are_refused(text):
    with pytest.raises(SettingsError, match="window"):
        Window.parse(text)
