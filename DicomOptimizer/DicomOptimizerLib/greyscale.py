"""256 grey values from which the real values come back: v = round((value - low) * levels / (width - 1)), rounded once.

Where a series has padding, 0 is kept for it alone and data takes 1 .. 255 (PS3.3 C.7.5.1.1.2); level 40, width 400 then recovers HU to
399/254/2 = 0.79 HU, without padding to 399/255/2 = 0.78 HU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from DicomWorkbenchLib.windowing import Window, apply_window, rescale_for
from numpy.typing import NDArray

WHITE = 255
DATA_PERCENTILES = (0.5, 99.5)  # a few hot pixels or metal must not decide the window of an MR or PET series


@dataclass(frozen=True)
class GreyMap:
    """How real values become grey values, for a whole series."""

    window: Window
    has_padding: bool

    @property
    def levels(self) -> int:
        """Steps between black and white: 255, or 254 where 0 is padding."""
        return WHITE - 1 if self.has_padding else WHITE

    @property
    def rescale(self) -> tuple[float, float]:
        """(slope, intercept) that turn grey values back into real ones."""
        slope, intercept = rescale_for(self.window, self.levels)
        return slope, intercept - slope * (WHITE - self.levels)

    @property
    def error(self) -> float:
        """Largest error of a recovered value inside the window, in the image's units."""
        return self.rescale[0] / 2

    def grey(self, values: NDArray[np.generic], valid: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
        """Turn real values into grey values; pixels that are not valid become 0."""
        grey = np.asarray(apply_window(values, self.window, self.levels), dtype=np.uint8)
        if self.has_padding:
            grey += np.uint8(1)
            if valid is not None:
                grey *= valid.view(np.uint8)
        return grey


def window_of(values: NDArray[Any]) -> Window:
    """Find a window that shows what a sample of a series holds; its ends are values 0.5 % and 99.5 % of the sample.

    For data that is never negative (PET, most MR) black is zero, so that nothing is cut from the low end.
    """
    low, high = (float(v) for v in np.percentile(values, DATA_PERCENTILES)) if values.size else (0.0, 1.0)
    if values.size and float(np.min(values)) >= 0:
        low = 0.0
    spread = max(high - low, 1.0)
    # DICOM's LINEAR function reaches from level - 0.5 - (width - 1)/2 to level - 0.5 + (width - 1)/2.
    return Window(level=low + spread / 2 + 0.5, width=spread + 1)
