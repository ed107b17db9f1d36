"""CT numbers inside a mask, and how they stand out from the parenchyma around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorAnalysisLib.masks import Mask

IMPLAUSIBLE_BELOW_HU, IMPLAUSIBLE_ABOVE_HU = -200.0, 300.0  # air, metal, or a mask that has slipped


@dataclass(frozen=True)
class Intensity:
    """Distribution of the CT numbers of a mask, HU.

    Attributes
    ----------
    implausible : fraction of voxels below -200 or above 300 HU.
    """

    mean: float
    sd: float
    median: float
    p5: float
    p25: float
    p75: float
    p95: float
    implausible: float


def intensity(image: NDArray[Any], mask: Mask) -> Intensity | None:
    """Describe the CT numbers under a mask; None for an empty one.

    Parameters
    ----------
    image : (K, J, I) CT numbers in HU.
    """
    if mask.empty:
        return None
    values = image[mask.box][mask.voxels]
    p5, p25, median, p75, p95 = (float(v) for v in np.percentile(values, [5, 25, 50, 75, 95]))
    outside = np.count_nonzero((values < IMPLAUSIBLE_BELOW_HU) | (values > IMPLAUSIBLE_ABOVE_HU))
    values = values.astype(np.float64, copy=False)
    sd = float(values.std(ddof=1)) if values.size > 1 else 0.0
    return Intensity(float(values.mean()), sd, median, p5, p25, p75, p95, outside / values.size)


def contrast_hu(lesion: Intensity | None, parenchyma: Intensity | None) -> float | None:
    """Mean of the lesion minus mean of the parenchyma, HU; negative for a hypodense lesion."""
    return None if lesion is None or parenchyma is None else lesion.mean - parenchyma.mean


def contrast_to_noise(lesion: Intensity | None, parenchyma: Intensity | None) -> float | None:
    """Contrast divided by the standard deviation of the parenchyma."""
    contrast = contrast_hu(lesion, parenchyma)
    return None if contrast is None or parenchyma is None or parenchyma.sd == 0 else contrast / parenchyma.sd
