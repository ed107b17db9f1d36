"""Shapes that samples are drawn with: star-shaped outlines, so that contour, area and pixel coverage all come from one radius.

Coordinates are local millimetres of the slice (see `grid.ImageGrid`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from DicomWorkbenchLib.samples.grid import FloatArray, ImageGrid

ANGLES = 720  # half a degree: on a 170 mm body that is 1.5 mm along the skin
THETA: FloatArray = np.arange(ANGLES) * (2 * np.pi / ANGLES)
Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Outline:
    """A closed curve around a centre.

    Attributes
    ----------
    x_mm, y_mm : the centre.
    radii_mm : distance of the curve from the centre at `THETA`, shape (ANGLES,).
    """

    x_mm: float
    y_mm: float
    radii_mm: FloatArray

    @property
    def area_mm2(self) -> float:
        """Area inside, as the sum of thin sectors."""
        return float(0.5 * np.sum(self.radii_mm**2) * (2 * np.pi / ANGLES))

    def points(self, count: int) -> FloatArray:
        """Points on the curve, shape (count, 2), clockwise in a picture (y runs down)."""
        chosen = np.linspace(0, ANGLES, count, endpoint=False).astype(int)
        radii, theta = self.radii_mm[chosen], THETA[chosen]
        return np.column_stack([self.x_mm + radii * np.cos(theta), self.y_mm + radii * np.sin(theta)])

    def grown(self, millimetres: float) -> Outline:
        """Return the outline with every radius longer (or shorter, but never below zero)."""
        return replace(self, radii_mm=np.maximum(self.radii_mm + millimetres, 0.0))

    def scaled(self, factor: float | FloatArray) -> Outline:
        """Return the outline with every radius multiplied."""
        return replace(self, radii_mm=self.radii_mm * factor)


def ellipse(x: float, y: float, a: float, b: float, turn_deg: float = 0.0, power: float = 2.0) -> Outline:
    """Return an ellipse with semi-axes a (along x) and b (along y); a power above 2 makes it squarer."""
    theta = THETA - np.deg2rad(turn_deg)
    radii = (np.abs(np.cos(theta) / a) ** power + np.abs(np.sin(theta) / b) ** power) ** (-1 / power)
    return Outline(x, y, radii)


def circle(x: float, y: float, radius: float) -> Outline:
    """Return a circle."""
    return Outline(x, y, np.full(ANGLES, radius))


def bump(center_deg: float, width_deg: float) -> FloatArray:
    """Return a smooth bump of height 1 over the angles, for lobes and dents."""
    distance = np.angle(np.exp(1j * (THETA - np.deg2rad(center_deg))))
    result: FloatArray = np.exp(-((distance / np.deg2rad(width_deg)) ** 2))
    return result


def waves(random: np.random.Generator, size: float, orders: range = range(2, 9)) -> FloatArray:
    """Return a relative ripple of the radius with standard deviation ``size``, so that no organ is a perfect ellipse."""
    ripple = np.zeros(ANGLES)
    for order in orders:
        ripple += random.normal() / order * np.cos(order * THETA + random.uniform(0, 2 * np.pi))
    return 1 + size * ripple / max(float(ripple.std()), 1e-9)


def swell(z: float, low: float, high: float, power: float = 2.5) -> float:
    """Return how wide an organ between two heights is at z, 0 at its ends and 1 in its middle."""
    position = abs((z - (low + high) / 2) / ((high - low) / 2))
    return float((1 - position**power) ** (1 / power)) if position < 1 else 0.0


def coverage(outline: Outline, grid: ImageGrid, soft_mm: float) -> tuple[tuple[slice, slice], Image]:
    """Return the part of the image an outline touches and the fraction of each pixel inside it.

    Parameters
    ----------
    outline : the curve.
    grid : pixels it is drawn on.
    soft_mm : width of the edge, as a scanner's resolution makes it; at least a pixel.

    Returns
    -------
    (row slice, column slice) and a float32 array of that size, 0 outside to 1 inside.
    """
    reach = float(outline.radii_mm.max()) + soft_mm
    columns = _within(grid.x_mm, outline.x_mm, reach)
    rows = _within(grid.y_mm, outline.y_mm, reach)
    dx = (grid.x_mm[columns] - outline.x_mm).astype(np.float32)[None, :]
    dy = (grid.y_mm[rows] - outline.y_mm).astype(np.float32)[:, None]
    turn = np.arctan2(dy, dx) * np.float32(ANGLES / (2 * np.pi))
    edge = outline.radii_mm.astype(np.float32)[np.rint(turn).astype(np.int32) % ANGLES]
    inside = np.clip(0.5 + (edge - np.hypot(dx, dy)) / np.float32(soft_mm), 0, 1)
    return (rows, columns), inside.astype(np.float32)


def paint(image: Image, outline: Outline, grid: ImageGrid, value: float | Image, soft_mm: float) -> None:
    """Lay a value over an image inside an outline, blended at its edge; an array must have the image's size."""
    if float(outline.radii_mm.max()) <= 0:
        return
    window, inside = coverage(outline, grid, soft_mm)
    fill: Any = value[window] if isinstance(value, np.ndarray) else np.float32(value)
    image[window] += (fill - image[window]) * inside


def mask(outline: Outline | None, grid: ImageGrid) -> npt.NDArray[np.bool_]:
    """Return the pixels whose centre lies inside, shape (rows, columns)."""
    result = np.zeros((grid.rows, grid.columns), dtype=bool)
    if outline is not None and float(outline.radii_mm.max()) > 0:
        window, inside = coverage(outline, grid, min(grid.pixel_spacing_mm))
        result[window] = inside > 0.5
    return result


def _within(values: FloatArray, center: float, reach: float) -> slice:
    first, last = np.searchsorted(values, [center - reach, center + reach])
    return slice(int(first), int(last))
