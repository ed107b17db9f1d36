"""Where NEMA's background circles go: twelve places between the spheres and the phantom's edge, in five slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray
from numpy.typing import NDArray

from SphereVOILib.background import Ball
from SphereVOILib.grid import Box, Grid
from SphereVOILib.ring import fit_ring

PLACES = 12
SLICE_OFFSETS_MM = (-20.0, -10.0, 0.0, 10.0, 20.0)
LARGEST_MM = 37.0  # circles of all sizes share the middles of the largest
# From the phantom's edge, the spheres and the insert. NEMA asks for 15; with it, twelve circles overlap in a real phantom.
MARGINS_MM = (15.0, 12.0, 10.0, 9.0, 8.0)
LEAST_APART_MM = 25.0  # circles that overlap more than this repeat each other
STARTS = 24
MANY_PLACES = 2000  # a choice among so many is as good as among all
BODY_SHARE = 0.5  # of the background: the phantom's edge in the image


@dataclass(frozen=True)
class NemaTarget:
    """A found sphere to be judged: what it is and where."""

    label: str
    diameter_mm: float
    cold: bool
    ball: Ball


@dataclass(frozen=True)
class Circles:
    """Where the background circles are: the common slice, the five slices, and twelve places in the common one."""

    common_slice: int
    slices: list[int]
    places_lps_mm: list[FloatArray]
    margin_mm: float


def place_circles(grid: Grid, targets: Sequence[NemaTarget], level: float) -> Circles | str:
    """Place the twelve circles, or say why it cannot be done."""
    if not targets:
        return "no sphere was found"
    centers = np.array([grid.index_of(t.ball.center_lps_mm) for t in targets])
    common = round(float(centers[:, 2].mean()))
    slices = _five_slices(grid, common)
    if slices is None:
        return "NEMA needs slices 10 and 20 mm on both sides of the spheres; the volume is too short"
    body = np.logical_and.reduce([body_outline(grid, k, level) for k in slices])
    found = _place(grid, body, common, targets)
    if found is None:
        return "twelve background circles of 37 mm do not fit between the spheres and the phantom's edge"
    return Circles(common, slices, found[0], found[1])


def _five_slices(grid: Grid, common: int) -> list[int] | None:
    step = abs(float(grid.matrix_lps[:3, 2] @ grid.normal_lps))
    slices = [common + round(offset / step) for offset in SLICE_OFFSETS_MM]
    inside = all(0 <= k < grid.size_ijk[2] for k in slices)
    return slices if inside and len(set(slices)) == len(slices) else None


def body_outline(grid: Grid, k: int, background: float) -> NDArray[np.bool_]:
    """Return where the phantom is in one slice: its outline, with everything inside."""
    from scipy.ndimage import binary_fill_holes, gaussian_filter, label

    spacing = np.array(grid.spacing_mm)[1::-1]
    image = gaussian_filter(np.nan_to_num(np.asarray(grid.array[k], dtype=float)), 4.0 / spacing)
    marked, count = label(image > BODY_SHARE * background)
    if count == 0:
        return np.zeros(image.shape, bool)
    largest = int(np.argmax(np.bincount(marked.ravel())[1:])) + 1
    return np.asarray(binary_fill_holes(marked == largest))


def _place(
    grid: Grid, body: NDArray[np.bool_], common: int, targets: Sequence[NemaTarget]
) -> tuple[list[FloatArray], float] | None:
    """Find twelve places as far from each other as the phantom allows, with the widest margin that leaves room."""
    from scipy.ndimage import distance_transform_edt

    spacing = np.array(grid.spacing_mm)[1::-1]
    depth = distance_transform_edt(np.pad(body, 1), sampling=spacing)[1:-1, 1:-1]
    box = Box(grid, (0, 0, common), (grid.size_ijk[0], grid.size_ijk[1], common + 1))
    free = np.min([_in_plane_mm(box, t.ball.center_lps_mm) - t.diameter_mm / 2 for t in targets], axis=0)
    lung = ring_middle(targets)
    if lung is not None:
        free = np.minimum(free, _in_plane_mm(box, lung) - 25.0)
    best: tuple[float, list[FloatArray], float] | None = None
    for margin in MARGINS_MM:
        need = margin + LARGEST_MM / 2
        j, i = np.nonzero((depth >= need) & (free >= need))
        step = 1 + len(i) // MANY_PLACES
        index = np.stack([i, j, np.full_like(i, common)], axis=1)[::step]
        points = grid.point_of(index.astype(float))
        apart, chosen = _farthest(points)
        if apart >= LARGEST_MM:
            return chosen, margin
        if apart >= LEAST_APART_MM and (best is None or apart > best[0]):
            best = (apart, chosen, margin)
    return None if best is None else (best[1], best[2])


def _in_plane_mm(box: Box, center_lps: FloatArray) -> FloatArray:
    return np.asarray(in_plane_all(box, center_lps)[0])


def in_plane_all(box: Box, center_lps: FloatArray) -> FloatArray:
    """Return the distance in the slice of every voxel of a box from a centre in LPS mm."""
    return np.asarray(np.sqrt(np.sum(box.in_plane_mm(center_lps) ** 2, axis=0)))


def ring_middle(targets: Sequence[NemaTarget]) -> FloatArray | None:
    """Return the middle (3,) of the ring of spheres in LPS mm, or None where they lie on no ring."""
    ring = fit_ring(np.array([t.ball.center_lps_mm for t in targets]))
    return None if ring is None else ring.center_lps_mm


def _farthest(points: FloatArray) -> tuple[float, list[FloatArray]]:
    """Choose twelve points far from each other; returns the least distance between two of them as well.

    From each of several starts, the point farthest from all chosen ones is taken next; the start that leaves most room wins.
    """
    best: tuple[float, list[int]] = (0.0, [])
    if len(points) < PLACES:
        return 0.0, []
    for start in np.linspace(0, len(points) - 1, STARTS).astype(int):
        chosen, apart = [int(start)], np.inf
        distance = np.linalg.norm(points - points[start], axis=1)
        while len(chosen) < PLACES:
            chosen.append(int(np.argmax(distance)))
            apart = min(apart, float(distance[chosen[-1]]))
            distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
        best = max(best, (apart, chosen))
    middle = points[best[1]].mean(axis=0)
    around = sorted(best[1], key=lambda n: float(np.arctan2(points[n][1] - middle[1], points[n][0] - middle[0])))
    return best[0], [points[n] for n in around]
