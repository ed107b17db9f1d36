"""Windows: which values are shown, and as which grey.

The formula is DICOM's LINEAR one (PS3.3 C.11.2.1.2.1), whose ends are half a value off the naive reading: level 40, width 400 shows
-160 .. 239 HU in 399 steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from DicomWorkbenchLib.errors import SettingsError


@dataclass(frozen=True)
class Window:
    """Level and width of a window in the units of the image (HU for CT)."""

    level: float
    width: float

    def __post_init__(self) -> None:
        if not self.width > 1:
            raise SettingsError(f"a window's width must be greater than 1, got {self.width}")
        if not np.isfinite(self.level):
            raise SettingsError(f"a window's level must be a number, got {self.level}")

    @property
    def low(self) -> float:
        """Largest value that is shown black."""
        return self.level - 0.5 - (self.width - 1) / 2

    @property
    def high(self) -> float:
        """Smallest value that is shown white."""
        return self.level - 0.5 + (self.width - 1) / 2

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read "level/width", such as "40/400", or a preset's name.

        Raises
        ------
        SettingsError : the text is neither.
        """
        if text.strip().lower() in PRESETS:
            return PRESETS[text.strip().lower()]
        try:
            level, width = (float(part) for part in text.split("/"))
        except ValueError:
            names = ", ".join(PRESETS)
            raise SettingsError(
                f"a window is written level/width, such as 40/400, or one of {names}; got {text!r}"
            ) from None
        return cls(level, width)


PRESETS: dict[str, Window] = {
    "abdomen": Window(40, 400),
    "liver": Window(60, 160),
    "soft tissue": Window(50, 350),
    "lung": Window(-600, 1600),
    "bone": Window(500, 2000),
    "brain": Window(40, 80),
}


def apply_window(values: ArrayLike, window: Window, maximum: int = 255) -> NDArray[Any]:
    """Map values to 0 .. ``maximum`` by DICOM's LINEAR function, rounded once to the nearest integer.

    Returns
    -------
    uint8 array (uint16 where ``maximum`` is above 255) of the same shape; NaN becomes 0.
    """
    scaled = np.asarray(values, dtype=np.float32) - np.float32(window.low)
    scaled *= np.float32(maximum / (window.width - 1))
    np.rint(scaled, out=scaled)
    np.clip(scaled, np.float32(0), np.float32(maximum), out=scaled)
    if np.isnan(np.min(scaled, initial=0)):
        scaled[np.isnan(scaled)] = 0
    return scaled.astype(np.uint8 if maximum <= 255 else np.uint16)


def rescale_for(window: Window, maximum: int = 255) -> tuple[float, float]:
    """Return (slope, intercept) that turn the result of `apply_window` back into values.

    For level 40, width 400 at 8 bit: slope 399/255, intercept -160; the error is at most half a slope inside the window.
    """
    return (window.width - 1) / maximum, window.low
