"""Noise that looks like a scanner's: band-limited, made once as a few periodic tiles and shifted for each slice."""

from __future__ import annotations

import numpy as np

from DicomWorkbenchLib.samples.outline import Image

TILES = 5


def tiles(random: np.random.Generator, size: int, low: float, high: float, count: int = TILES) -> list[Image]:
    """Return periodic noise images with standard deviation 1.

    Parameters
    ----------
    random : source.
    size : pixels along each side.
    low, high : spatial frequencies in cycles per pixel between which most of the power lies (0 to 0.5).
    """
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    frequency = np.hypot(fy, fx)
    band = (frequency / (frequency + low + 1e-9)) * np.exp(-((frequency / high) ** 2))
    band[0, 0] = 0
    made = []
    for _ in range(count):
        white = random.standard_normal((size, size))
        image = np.fft.irfft2(np.fft.rfft2(white) * band, s=(size, size))
        made.append((image / image.std()).astype(np.float32))
    return made


def shifted(random: np.random.Generator, made: list[Image], rows: int, columns: int) -> Image:
    """Return noise for one slice: the sum of two tiles, each rolled by a random amount, standard deviation 1."""
    first, second = random.choice(len(made), size=2, replace=False)
    parts = []
    for index in (first, second):
        size = made[index].shape[0]
        parts.append(np.roll(made[index], tuple(random.integers(0, size, 2)), axis=(0, 1))[:rows, :columns])
    result: Image = (parts[0] + parts[1]) * np.float32(0.5**0.5)
    return result
