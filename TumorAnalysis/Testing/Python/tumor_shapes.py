"""Digitised ellipsoids whose measurements are known by formula."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from TumorAnalysisLib.grid import FloatArray, Grid
from TumorAnalysisLib.masks import Mask, crop

CLINICAL = (0.7, 0.7, 2.5)  # mm along i, j, k


def rotation(rng: np.random.Generator) -> FloatArray:
    """Return a random rotation."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


def about_slice_normal(angle: float) -> FloatArray:
    """Return a rotation about the third axis."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def grid_of(
    shape_kji: tuple[int, int, int], spacing_ijk: tuple[float, float, float], frame: FloatArray | None = None
) -> Grid:
    """Return a grid; ``frame`` turns its axes in LPS."""
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if frame is None else frame) * np.array(spacing_ijk)
    matrix[:3, 3] = (-31.0, 17.0, 211.0)
    return Grid(shape_kji, matrix)


@dataclass(frozen=True)
class Ellipsoid:
    """Half axes in mm and the rotation from its own axes to those of the grid."""

    axes_mm: tuple[float, float, float]
    turn: FloatArray

    def digitised(
        self, rng: np.random.Generator, spacing: tuple[float, float, float] = CLINICAL, frame: FloatArray | None = None
    ) -> tuple[Mask, Grid, FloatArray]:
        """Return the mask at a random sub-voxel position, its grid, and the centre in LPS mm."""
        half = np.ceil(max(self.axes_mm) / np.array(spacing)).astype(int) + 3
        i, j, k = (np.arange(2 * n + 1) for n in half)
        centre = (half + rng.random(3) - 0.5) * np.array(spacing)
        z, y, x = np.meshgrid(k * spacing[2], j * spacing[1], i * spacing[0], indexing="ij")
        local = (np.stack([x, y, z], axis=-1) - centre) @ self.turn
        inside = ((local / np.array(self.axes_mm)) ** 2).sum(axis=-1) <= 1.0
        grid = grid_of(inside.shape, spacing, frame)
        return crop(inside), grid, grid.to_lps((centre / np.array(spacing))[None])[0]

    @property
    def volume_mm3(self) -> float:
        """Volume."""
        return float(4 / 3 * np.pi * np.prod(self.axes_mm))

    def central_section_mm(self) -> tuple[float, float]:
        """Return the long and the short axis of the section through the centre, along the slices."""
        form = self.turn @ np.diag(1 / np.array(self.axes_mm) ** 2) @ self.turn.T
        low, high = np.linalg.eigvalsh(form[:2, :2])
        return float(2 / np.sqrt(low)), float(2 / np.sqrt(high))


def sphere(diameter_mm: float) -> Ellipsoid:
    """Return a sphere."""
    radius = diameter_mm / 2
    return Ellipsoid((radius, radius, radius), np.eye(3))
