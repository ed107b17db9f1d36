"""A digital IEC body phantom as an array, exact up to float rounding: for tests, benchmarks and trying things out.

The spheres' images are closed forms (see `model`), evaluated at voxel centres, so the FWHM given is the image's. Body and insert are
elliptic and round cylinders with Gaussian edges; noise is white, or smoothed, or grows with the image value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray, Point3

from SphereVOILib.grid import Box, Grid
from SphereVOILib.model import FWHM_PER_SIGMA, blurred_sphere
from SphereVOILib.settings import IEC_DIAMETERS_MM, IEC_RING_RADIUS_MM

BODY_MM = (148.0, 116.0)  # half axes of the ellipse that stands for the body's outline
BODY_LENGTH_MM = 180.0
INSERT_RADIUS_MM = 25.0


@dataclass(frozen=True)
class Ball:
    """A sphere of the phantom: centre LPS mm, inner diameter, activity where the background has 1."""

    center_lps_mm: Point3
    diameter_mm: float
    activity: float


def rotation(degrees: Point3) -> FloatArray:
    """Return the matrix that turns about x, then y, then z."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_euler("xyz", degrees, degrees=True).as_matrix())


def matrix_of(spacing_mm: Point3, origin_lps: Sequence[float], turn_deg: Point3 = (0.0, 0.0, 0.0)) -> FloatArray:
    """Return an index-to-LPS matrix (4, 4), turned."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(turn_deg) @ np.diag(spacing_mm)
    matrix[:3, 3] = origin_lps
    return matrix


def add_balls(grid: Grid, balls: Sequence[Ball], fwhm_mm: float, wall_mm: float, parts: int = 1) -> None:
    """Add blurred spheres to a grid that holds a background of 1.

    Parameters
    ----------
    parts : 1 evaluates at voxel centres; more averages over parts^3 points of each voxel.
    """
    sigma = fwhm_mm / FWHM_PER_SIGMA
    middles = (np.arange(parts) + 0.5) / parts - 0.5
    steps = np.stack(np.meshgrid(middles, middles, middles), axis=-1).reshape(-1, 3) @ grid.matrix_lps[:3, :3].T
    for ball in balls:
        radius = ball.diameter_mm / 2
        box = grid.around(ball.center_lps_mm, radius + wall_mm + 5 * sigma + 6)
        image = np.zeros(box.shape)
        for step in steps:
            r = box.distances_mm(np.array(ball.center_lps_mm) - step)
            image += ball.activity * blurred_sphere(r, radius, sigma).value
            image -= blurred_sphere(r, radius + wall_mm, sigma).value
        grid.array[box.slices] += image / len(steps)


def noise_like(
    shape: tuple[int, ...], spacing_mm: Point3, correlated_mm: float, random: np.random.Generator
) -> FloatArray:
    """Return noise of standard deviation 1, white or smoothed by a Gaussian of that FWHM."""
    from scipy.ndimage import gaussian_filter

    noise = random.normal(size=shape)
    if correlated_mm > 0:
        noise = gaussian_filter(noise, [correlated_mm / FWHM_PER_SIGMA / s for s in spacing_mm[::-1]], mode="wrap")
        noise /= noise.std()
    return np.asarray(noise)


def one_ball(
    diameter_mm: float,
    spacing_mm: Point3,
    *,
    activity: float = 4.0,
    fwhm_mm: float = 7.0,
    wall_mm: float = 1.0,
    noise: float = 0.0,
    correlated_mm: float = 0.0,
    turn_deg: Point3 = (0.0, 0.0, 0.0),
    parts: int = 1,
    seed: int = 0,
) -> tuple[Grid, Point3]:
    """Return a small volume with one sphere at a random place within the middle voxel, in a background of 1; and its centre."""
    random = np.random.default_rng(seed)
    half = diameter_mm / 2 + 35
    i, j, k = (int(2 * half / s) + 1 for s in spacing_mm)
    grid = Grid(np.ones((k, j, i)), matrix_of(spacing_mm, random.uniform(-50, 50, 3).tolist(), turn_deg))
    x, y, z = (float(v) for v in grid.point_of((np.array([i, j, k]) - 1) / 2 + random.uniform(-0.5, 0.5, 3)))
    add_balls(grid, [Ball((x, y, z), diameter_mm, activity)], fwhm_mm, wall_mm, parts)
    if noise:
        grid.array[...] += noise * noise_like((k, j, i), spacing_mm, correlated_mm, random)
    return grid, (x, y, z)


def iec_phantom(
    *,
    spacing_mm: Point3 = (4.0, 4.0, 4.0),
    size_ijk: tuple[int, int, int] | None = None,
    activity: float | Sequence[float] = 4.0,
    fwhm_mm: float = 6.0,
    wall_mm: float = 1.0,
    noise: float = 0.0,
    turn_deg: Point3 = (0.0, 0.0, 0.0),
    ring_turn_deg: float = 7.0,
    insert: bool = True,
    seed: int = 0,
) -> tuple[Grid, dict[str, Point3]]:
    """Return the phantom and the true centres by label ("S1 37 mm"); the background is 1."""
    random = np.random.default_rng(seed)
    i, j, k = size_ijk or (round(340 / spacing_mm[0]), round(280 / spacing_mm[1]), round(220 / spacing_mm[2]))
    matrix = matrix_of(spacing_mm, (0.0, 0.0, 0.0), turn_deg)
    matrix[:3, 3] = -matrix[:3, :3] @ ((np.array([i, j, k]) - 1) / 2)
    grid = Grid(np.ones((k, j, i), dtype=np.float32), matrix)
    activities = [float(activity)] * 6 if isinstance(activity, int | float) else [float(a) for a in activity]
    balls = []
    for n, diameter in enumerate(IEC_DIAMETERS_MM):
        angle = np.deg2rad(60.0 * n + ring_turn_deg)
        place = np.array(
            [IEC_RING_RADIUS_MM * np.cos(angle), IEC_RING_RADIUS_MM * np.sin(angle), 10.0 + random.uniform(-1, 1)]
        )
        x, y, z = (float(v) for v in rotation(turn_deg) @ place)
        balls.append(Ball((x, y, z), diameter, activities[n]))
    add_balls(grid, balls, fwhm_mm, wall_mm)
    _cut_body(grid, fwhm_mm, turn_deg, insert)
    if noise:
        grid.array[...] += noise * random.standard_normal(grid.array.shape).astype(np.float32)
    return grid, {
        f"S{n} {d:g} mm": ball.center_lps_mm for n, (d, ball) in enumerate(zip(IEC_DIAMETERS_MM, balls, strict=True), 1)
    }


def _cut_body(grid: Grid, fwhm_mm: float, turn_deg: Point3, insert: bool) -> None:
    """Take away what lies outside the body, and the insert, with edges blurred as by the scanner."""
    from scipy.special import ndtr

    sigma, turned = fwhm_mm / FWHM_PER_SIGMA, rotation(turn_deg)
    for k in range(grid.size_ijk[2]):
        plane = Box(grid, (0, 0, k), (grid.size_ijk[0], grid.size_ijk[1], k + 1))
        x, y, z = np.tensordot(turned.T, plane.offsets_mm((0.0, 0.0, 0.0))[:, 0], axes=(1, 0))
        distance = (1 - np.hypot(x / BODY_MM[0], y / BODY_MM[1])) * min(
            BODY_MM
        )  # exact where it matters: its sign and slope
        inside = ndtr(distance / sigma) * ndtr((BODY_LENGTH_MM / 2 - np.abs(z)) / sigma)
        if insert:
            inside = inside * ndtr((np.hypot(x, y) - INSERT_RADIUS_MM) / sigma)
        grid.array[k] *= inside
