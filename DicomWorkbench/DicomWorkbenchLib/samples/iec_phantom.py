"""The NEMA IEC body phantom as a PET scanner sees it: exact shapes, blurred by a Gaussian point spread.

Local millimetres of the grid: x and y in the slice with the origin in the middle of the lung insert, z along the slices. Dimensions:
IEC 61675-1 / NEMA NU 2 body phantom: half disc of radius 147 mm on top, corners of radius 77 mm below, spheres on a ring of 57.2 mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.special import erf

from DicomWorkbenchLib.samples.grid import FloatArray, ImageGrid

DIAMETERS_MM = (10.0, 13.0, 17.0, 22.0, 28.0, 37.0)
RING_RADIUS_MM = 57.2
RING_FIRST_DEG = 60.0  # the 10 mm sphere; the others follow in steps of 60 degrees towards the back of the ring
TOP_RADIUS_MM, CORNER_RADIUS_MM, CORNER_X_MM, ARC_CENTER_Y_MM = 147.0, 77.0, 70.0, 35.0
LUNG_DIAMETER_MM = 50.0
LENGTH_MM = 180.0
FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
_FINE = 5  # sub-pixels along each side for the outline; odd, so that one of them lies in the pixel's middle

Volume = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sphere:
    """A fillable sphere: local centre, inner diameter (mm) and activity concentration (Bq/ml)."""

    center_mm: tuple[float, float, float]
    diameter_mm: float
    activity_bqml: float


def ring(z_mm: float, out_of_plane_mm: tuple[float, ...], turn_deg: float, activity_bqml: float) -> list[Sphere]:
    """Return the six spheres; each may lie a little out of the common plane, as in real phantoms."""
    spheres = []
    for n, (diameter, off) in enumerate(zip(DIAMETERS_MM, out_of_plane_mm, strict=True)):
        angle = np.deg2rad(RING_FIRST_DEG + 60.0 * n + turn_deg)
        center = (float(RING_RADIUS_MM * np.cos(angle)), float(RING_RADIUS_MM * np.sin(angle)), z_mm + off)
        spheres.append(Sphere(center, diameter, activity_bqml))
    return spheres


def blurred_sphere(distance_mm: FloatArray, radius_mm: float, sigma_mm: float) -> FloatArray:
    """Return a sphere of height 1 convolved with a 3D Gaussian, at distances from its centre.

    The closed form follows from integrating the Gaussian over the ball in spherical coordinates.
    """
    r = np.maximum(distance_mm, 1e-6 * radius_mm)
    plus, minus = (radius_mm + r) / (np.sqrt(2) * sigma_mm), (radius_mm - r) / (np.sqrt(2) * sigma_mm)
    tails = sigma_mm / (np.sqrt(2 * np.pi) * r) * (np.exp(-(minus**2)) - np.exp(-(plus**2)))
    result: FloatArray = 0.5 * (erf(plus) + erf(minus)) - tails
    return result


def activity(
    grid: ImageGrid,
    spheres: list[Sphere],
    *,
    background_bqml: float,
    wall_mm: float,
    fwhm_mm: float,
    first_z_mm: float,
) -> Volume:
    """Return the noiseless image, shape (k, j, i), in Bq/ml: the blurred activity at each voxel's centre.

    Parameters
    ----------
    grid : voxels, in local mm.
    spheres : hot (or cold) spheres; a wall without activity lies around each.
    background_bqml : activity concentration of the body.
    wall_mm : thickness of the spheres' walls.
    fwhm_mm : full width at half maximum of the point spread; the voxel's own size is not added.
    first_z_mm : where the body begins; it is `LENGTH_MM` long.
    """
    sigma = fwhm_mm / FWHM_PER_SIGMA
    along = (grid.z_mm - first_z_mm) / (np.sqrt(2) * sigma), (grid.z_mm - first_z_mm - LENGTH_MM) / (np.sqrt(2) * sigma)
    slab = 0.5 * (erf(along[0]) - erf(along[1]))
    image = (slab[:, None, None] * (background_bqml * _blurred_section(grid, sigma))[None]).astype(np.float32)
    for sphere in spheres:
        radius, center = sphere.diameter_mm / 2, np.asarray(sphere.center_mm)
        window = _around(grid, center, radius + wall_mm + 6 * sigma)
        z, y, x = (axis[part] for axis, part in zip((grid.z_mm, grid.y_mm, grid.x_mm), window, strict=True))
        squared = (z - center[2])[:, None, None] ** 2 + (y - center[1])[:, None] ** 2 + (x - center[0]) ** 2
        distance = np.sqrt(squared)
        hot = sphere.activity_bqml * blurred_sphere(distance, radius, sigma)
        displaced = background_bqml * blurred_sphere(distance, radius + wall_mm, sigma)
        image[window] += (hot - displaced).astype(np.float32)
    result: Volume = image
    return result


def inside_body(x: FloatArray, y: FloatArray) -> npt.NDArray[np.bool_]:
    """Return where points of the slice lie inside the phantom's inner outline."""
    low = y - ARC_CENTER_Y_MM
    top = (low <= 0) & (np.hypot(x, low) <= TOP_RADIUS_MM)
    middle = (low > 0) & (low <= CORNER_RADIUS_MM) & (np.abs(x) <= CORNER_X_MM)
    corner = (low > 0) & (np.hypot(np.abs(x) - CORNER_X_MM, low) <= CORNER_RADIUS_MM)
    inside: npt.NDArray[np.bool_] = top | middle | corner
    return inside


def _blurred_section(grid: ImageGrid, sigma: float) -> FloatArray:
    """Return body minus lung insert, blurred in the slice, at pixel centres; drawn on finer pixels first."""
    row_mm, column_mm = grid.pixel_spacing_mm
    fine = (np.arange(_FINE) - _FINE // 2) / _FINE
    y = (grid.y_mm[:, None] + fine * row_mm).ravel()
    x = (grid.x_mm[:, None] + fine * column_mm).ravel()
    yy, xx = np.meshgrid(y, x, indexing="ij")
    section = inside_body(xx, yy) & (np.hypot(xx, yy) > LUNG_DIAMETER_MM / 2)
    blurred = gaussian_filter(section.astype(np.float64), (sigma * _FINE / row_mm, sigma * _FINE / column_mm))
    result: FloatArray = blurred[_FINE // 2 :: _FINE, _FINE // 2 :: _FINE]
    return result


def _around(grid: ImageGrid, center: FloatArray, reach: float) -> tuple[slice, slice, slice]:
    parts = []
    for axis, middle in zip((grid.z_mm, grid.y_mm, grid.x_mm), center[::-1], strict=True):
        first, last = np.searchsorted(axis, [middle - reach, middle + reach])
        parts.append(slice(int(first), int(last)))
    return parts[0], parts[1], parts[2]
