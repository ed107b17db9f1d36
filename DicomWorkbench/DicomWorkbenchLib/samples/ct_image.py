"""The CT picture of the invented trunk: anatomy, vessels, couch, texture and noise of one slice after the other."""

from __future__ import annotations

import numpy as np

from DicomWorkbenchLib.samples import noise
from DicomWorkbenchLib.samples.anatomy import AIR, Trunk
from DicomWorkbenchLib.samples.grid import FloatArray, ImageGrid
from DicomWorkbenchLib.samples.outline import Image, coverage, ellipse, paint

NOISE_HU = 11.0  # in the middle of the body, as in a diagnostic abdominal scan of 3 mm
TEXTURE_HU = 4.0


class CtPicture:
    """Draws slices; shapes are in local millimetres of the grid."""

    def __init__(self, grid: ImageGrid, trunk: Trunk, seed: int, *, first_z_mm: float = 0.0) -> None:
        self.grid, self.trunk, self.seed, self.first_z_mm = grid, trunk, seed, first_z_mm
        size = max(grid.rows, grid.columns)
        random = np.random.default_rng([seed, 23])
        self._noise = noise.tiles(random, size, 0.06, 0.30)
        self._texture = noise.tiles(random, size, 0.005, 0.06)
        x, y = grid.x_mm[None, :] / 168, grid.y_mm[:, None] / 114
        depth = np.clip(1 - x**2 - y**2, 0, 1)
        self._noise_hu = (NOISE_HU * (0.45 + 0.55 * depth)).astype(np.float32)
        self._body_share = np.clip(depth * 8, 0, 1).astype(np.float32)

    def hounsfield(self, k: int) -> Image:
        """Return slice k, shape (rows, columns), in HU, without the padding outside the field of view."""
        return self.noisy(self.clean(k), k)

    def clean(self, k: int) -> Image:
        """Return slice k without texture and noise."""
        z = float(self.grid.z_mm[k]) + self.first_z_mm
        pixel = max(self.grid.pixel_spacing_mm)
        image = np.full((self.grid.rows, self.grid.columns), AIR, dtype=np.float32)
        self._couch(image)
        for layer in self.trunk.layers(z):
            paint(image, layer.outline, self.grid, layer.hu, max(layer.soft_mm, 1.3 * pixel))
        self._vessels(image, z)
        return image

    def _couch(self, image: Image) -> None:
        y = 134.0 - self.grid.x_mm**2 * 0.00085  # a cradle
        depth = self.grid.y_mm[:, None] - y[None, :]
        wide = np.abs(self.grid.x_mm)[None, :] < 192
        shell = (np.abs(depth) < 1.4) | (np.abs(depth - 24 + np.abs(self.grid.x_mm)[None, :] * 0.08) < 1.2)
        foam = (depth > 0) & (depth < 24 - np.abs(self.grid.x_mm)[None, :] * 0.08)
        image[foam & wide] = -930
        image[shell & wide] = -20

    def _vessels(self, image: Image, z: float) -> None:
        liver, pixel = self.trunk.liver(z), max(self.grid.pixel_spacing_mm)
        lungs = [lung for lung in (self.trunk.lung(z, -1), self.trunk.lung(z, 1)) if lung is not None]
        for start, end, radius, hu in self.trunk.vessels:
            share = (z - start[2]) / (end[2] - start[2])
            if not 0.04 < share < 1:
                continue
            x, y = (start + share * (end - start))[:2]
            homes = lungs if hu < 100 else [liver]
            if any(home is not None and _inside(home.x_mm - x, home.y_mm - y, home.radii_mm) for home in homes):
                self._vessel(image, (x, y), end - start, radius * (1.05 - share), hu, pixel)

    def _vessel(
        self, image: Image, at: tuple[float, float], way: FloatArray, radius: float, hu: float, pixel: float
    ) -> None:
        """Draw the cut through a slanted tube: an ellipse along its way in the slice."""
        long = min(np.linalg.norm(way) / abs(way[2]), 7.0) * radius
        outline = ellipse(at[0], at[1], long, radius, float(np.rad2deg(np.arctan2(way[1], way[0]))))
        window, share = coverage(outline, self.grid, max(1.6, 1.3 * pixel))
        lung = image[window] < -500
        home = lung if hu < 100 else (image[window] > 95) & (image[window] < hu)
        image[window] += np.where(home, (hu - image[window]) * share, 0).astype(np.float32)

    def noisy(self, image: Image, k: int) -> Image:
        """Return an image of slice k with its texture and noise."""
        random = np.random.default_rng([self.seed, 31, k])
        rows, columns = image.shape
        speckle = noise.shifted(random, self._texture, rows, columns) * (TEXTURE_HU * self._body_share)
        lung = np.where((image < -600) & (image > -950), np.float32(6.0), np.float32(1.0))
        grain = noise.shifted(random, self._noise, rows, columns) * self._noise_hu
        result: Image = image + speckle * lung + grain
        return result


def _inside(dx: float, dy: float, radii: FloatArray) -> bool:
    theta = np.arctan2(-dy, -dx) / (2 * np.pi) * len(radii)
    return bool(np.hypot(dx, dy) < radii[round(float(theta)) % len(radii)] - 1.5)
