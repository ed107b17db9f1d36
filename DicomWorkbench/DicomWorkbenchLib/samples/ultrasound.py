"""An invented heart in an ultrasound sector: speckle that moves with the wall, chambers that beat, colour flow. No text."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from DicomWorkbenchLib.samples.outline import Image

HALF_ANGLE_DEG = 41.0
DEPTH_MM = 165.0
FRAMES_PER_BEAT = 30
Rgb = npt.NDArray[np.uint8]


class Heart:
    """Draws the frames of an apical view.

    Parameters
    ----------
    rows, columns : of a frame.
    seed : of the speckle.
    """

    def __init__(self, rows: int = 480, columns: int = 640, seed: int = 1) -> None:
        self.shape = (rows, columns)
        self.pixel_mm = DEPTH_MM / (rows * 0.96)
        y = (np.arange(rows) - 0.02 * rows)[:, None] * self.pixel_mm
        x = (np.arange(columns) - columns / 2)[None, :] * self.pixel_mm
        self._x, self._y = (np.broadcast_to(v, self.shape).astype(np.float32) for v in (x, y))
        self._r, self._theta = np.hypot(x, y).astype(np.float32), np.arctan2(x, y).astype(np.float32)
        half = np.deg2rad(HALF_ANGLE_DEG)
        self.sector = (np.abs(self._theta) < half) & (self._r > 4) & (self._r < DEPTH_MM - 3)
        random = np.random.default_rng([seed, 41])
        self._fine = _speckle(random, (600, 400), (1.1, 2.0))
        self._slow = _speckle(random, (600, 400), (9.0, 14.0))

    def frame(self, number: int) -> Rgb:
        """Return frame ``number``, shape (rows, columns, 3)."""
        phase = 2 * np.pi * (number % FRAMES_PER_BEAT) / FRAMES_PER_BEAT
        squeeze = 0.5 - 0.5 * np.cos(phase)  # 0 filled, 1 contracted
        echo, blood = self._echo_db(float(squeeze))
        texture = self._texture(self._fine, float(squeeze)) * 9.0 + self._texture(self._slow, float(squeeze)) * 3.0
        level = (echo + texture + 58.0) / 62.0
        gray = np.clip(level, 0, 1) ** 1.15 * self.sector
        picture = np.stack([gray * 255, gray * 248, gray * 232], axis=-1)
        self._color_flow(picture, blood, phase)
        self._ticks(picture)
        result: Rgb = np.rint(picture).astype(np.uint8)
        return result

    def frames(self, count: int) -> Iterator[Rgb]:
        """Yield the first frames."""
        for number in range(count):
            yield self.frame(number)

    def _echo_db(self, squeeze: float) -> tuple[Image, Image]:
        """Return the echo level in dB and the share of each pixel that is blood."""
        wide, thick = 1 - 0.30 * squeeze, 9 + 5 * squeeze
        lv = self._inside(8, 72 + 3 * squeeze, 23 * wide, 43 * (1 - 0.14 * squeeze), -8)
        rv = self._inside(-35, 80, 14 * (1 - 0.2 * squeeze), 34, 12)
        la = self._inside(12, 133, 23 * (1 + 0.12 * squeeze), 17 * (1 + 0.15 * squeeze), 0)
        ra = self._inside(-30, 134, 19 * (1 + 0.1 * squeeze), 16, 0)
        muscle = self._inside(8, 72, 23 * wide + thick, 46 + thick * 0.7, -8)
        right = self._inside(-35, 82, 19, 40, 12)
        sac = self._inside(-8, 88, 62, 84, 0)
        echo = np.full(self.shape, -32.0, dtype=np.float32)
        for share, level in ((sac, -24.0), (right, -17.0), (muscle, -15.0), (la, -52.0), (ra, -52.0), (rv, -52.0)):
            echo += (level - echo) * share
        echo += (-54.0 - echo) * lv
        echo += 26 * np.exp(-(((self._rim(-8, 88, 62, 84) - 1) / 0.022) ** 2)) * (self._y > 20)  # pericardium
        self._valves(echo, squeeze)
        echo -= 0.03 * self._r + 9 * np.abs(self._theta) ** 2
        blood = np.maximum.reduce([lv, rv, la, ra])
        return echo, blood

    def _valves(self, echo: Image, squeeze: float) -> None:
        """Draw two pairs of leaflets that shut while the heart contracts."""
        swing = np.deg2rad(8 + 58 * (1 - squeeze))
        for x, y, length, sign in ((-14, 114, 17, 1), (28, 113, 17, -1), (-50, 115, 14, 1), (-20, 116, 13, -1)):
            tip_x, tip_y = sign * np.cos(swing), -np.sin(swing)
            along = (self._x - x) * tip_x + (self._y - y) * tip_y
            off = (self._x - x) * tip_y - (self._y - y) * tip_x
            leaf = np.exp(-((off / 1.3) ** 2)) * np.clip(along, 0, 1) * np.clip(length - along, 0, 1)
            echo += (-6 - echo) * np.clip(leaf, 0, 1)

    def _rim(self, x: float, y: float, a: float, b: float, turn_deg: float = 0.0) -> Image:
        turn = np.deg2rad(turn_deg)
        dx, dy = self._x - x, self._y - y
        u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
        result: Image = np.hypot(u / a, v / b)
        return result

    def _inside(self, x: float, y: float, a: float, b: float, turn_deg: float) -> Image:
        result: Image = np.clip((1 - self._rim(x, y, a, b, turn_deg)) * min(a, b) / 1.6 + 0.5, 0, 1)
        return result

    def _texture(self, made: Image, squeeze: float) -> Image:
        """Look speckle up along depth and angle, so that it broadens with depth; it moves with the muscle."""
        moved = self._r + 6 * squeeze * np.exp(-(((self._r - 75) / 45) ** 2))
        i = np.clip(moved / DEPTH_MM * (made.shape[0] - 1), 0, made.shape[0] - 1).astype(np.int32)
        half = np.deg2rad(HALF_ANGLE_DEG)
        j = np.clip((self._theta / half + 1) / 2 * (made.shape[1] - 1), 0, made.shape[1] - 1).astype(np.int32)
        looked_up: Image = made[i, j]
        return looked_up

    def _color_flow(self, picture: npt.NDArray[np.float64], blood: Image, phase: float) -> None:
        """Paint flow through the mitral valve: red towards the probe while the heart fills, blue away from it after."""
        box = (np.abs(self._theta - 0.07) < 0.24) & (self._r > 62) & (self._r < 146)
        speed = np.cos(phase) * np.exp(-(((self._x - 8) / 11) ** 2) - ((self._y - 104) / 30) ** 2)
        share = np.clip(np.abs(speed) * 2.2 - 0.35, 0, 1) * blood * box
        hue = np.where((speed > 0)[..., None], (235.0, 70.0, 20.0), (30.0, 90.0, 240.0))
        bright = (0.45 + 0.55 * np.abs(speed))[..., None]
        picture += (hue * bright - picture) * share[..., None]

    def _ticks(self, picture: npt.NDArray[np.float64]) -> None:
        """Draw the depth scale and the colour bar: marks, no letters."""
        rows, columns = self.shape
        for millimetres in range(0, int(DEPTH_MM), 10):
            row = round(0.02 * rows + millimetres / self.pixel_mm)
            long = 9 if millimetres % 50 == 0 else 4
            picture[row : row + 1, columns - 30 : columns - 30 + long] = 190
        ramp = np.linspace(1, -1, rows // 4)[:, None]
        bar = np.where((ramp > 0)[..., None], (235.0, 70.0, 20.0), (30.0, 90.0, 240.0)) * np.abs(ramp)[..., None]
        picture[rows // 20 : rows // 20 + len(ramp), 14:26] = bar


def _speckle(random: np.random.Generator, shape: tuple[int, int], size: tuple[float, float]) -> Image:
    """Return speckle as log-compressed Rayleigh noise with mean 0 and standard deviation 1."""
    real, imaginary = (gaussian_filter(random.standard_normal(shape), size, mode="wrap") for _ in range(2))
    level = np.log(np.hypot(real, imaginary) + 0.05 * real.std())
    result: Image = ((level - level.mean()) / level.std()).astype(np.float32)
    return result
