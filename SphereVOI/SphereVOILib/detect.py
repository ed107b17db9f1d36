"""Find the six spheres of the IEC body phantom without a click.

Spots that differ from their surroundings are looked for in a coarse copy of the volume; three of them that form consecutive corners of
a hexagon with sides of 57.2 mm tell where the other three must be. Which corner is which sphere follows from the activity each holds
beyond the background: it goes with the cube of the diameter, and the sizes go round the ring in order.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray, Point3
from DicomWorkbenchLib.progress import NEVER, CancelToken

from SphereVOILib.correlate import find_peak
from SphereVOILib.grid import Grid
from SphereVOILib.settings import IEC_RING_RADIUS_MM, SphereTarget

COARSE_MM = 4.0
SPOT_SIGMA_MM, AROUND_SIGMA_MM = 5.0, 9.0
MOST_SPOTS = 48
SIDE_TOLERANCE_MM = 6.0  # a spot's place in the coarse volume is right to about 2 mm; real rings are off by 2 mm
CORNER_SEARCH_MM = 8.0
EXCESS_RADIUS_MM = 24.0  # holds a 37 mm sphere with its blur, and nothing of its neighbours or the insert
LEAST_LIKENESS = 0.85  # correlation of the activities found with the cubes of the diameters


@dataclass(frozen=True)
class _Corners:
    points_lps: FloatArray  # (6, 3) in ring order
    strength: float


def iec_candidates(
    grid: Grid, targets: Sequence[SphereTarget], cancel: CancelToken = NEVER
) -> Iterator[tuple[SphereTarget, ...]]:
    """Give each of the six targets a click near its sphere; several guesses, the likeliest first.

    The first looks for hot spheres only, the second for cold ones as well. Whether a guess is right is seen when it is refined.
    """
    coarse = _coarse(grid)
    cancel.check()
    difference = _difference(coarse)
    for hot_only in (True, False):
        best = _best_corners(coarse, difference if hot_only else np.abs(difference), cancel)
        if best is None:
            continue
        order, likeness = _which_is_which(coarse, best.points_lps, targets, hot_only)
        if likeness >= LEAST_LIKENESS:
            corners = [best.points_lps[order[n]] for n in range(6)]
            yield tuple(replace(t, lps_mm=_nearer(coarse, c, t)) for c, t in zip(corners, targets, strict=True))


def _coarse(grid: Grid) -> Grid:
    """Average blocks of voxels to about `COARSE_MM`; missing values count as 0."""
    steps = [max(1, round(COARSE_MM / s)) for s in grid.spacing_mm]  # i, j, k
    i, j, k = (n // step for n, step in zip(grid.size_ijk, steps, strict=True))
    whole = grid.array[: k * steps[2], : j * steps[1], : i * steps[0]]
    total = np.zeros((k, j, i), dtype=np.float32)
    for dk, dj, di in itertools.product(range(steps[2]), range(steps[1]), range(steps[0])):
        total += whole[dk :: steps[2], dj :: steps[1], di :: steps[0]]
    matrix = grid.matrix_lps.copy()
    matrix[:3, 3] = grid.point_of((np.array(steps) - 1) / 2)
    matrix[:3, :3] = grid.matrix_lps[:3, :3] * np.array(steps)
    return Grid(np.nan_to_num(total / np.float32(np.prod(steps)), nan=0.0, posinf=0.0, neginf=0.0), matrix)


def _difference(coarse: Grid) -> FloatArray:
    from scipy.ndimage import gaussian_filter

    spacing = np.array(coarse.spacing_mm)[::-1]
    near = gaussian_filter(coarse.array, SPOT_SIGMA_MM / spacing)
    far = gaussian_filter(coarse.array, AROUND_SIGMA_MM / spacing)
    return np.asarray(near - far, dtype=float)


def _spots(coarse: Grid, strength: FloatArray) -> FloatArray:
    """Return the positions (N, 3) of the strongest local maxima, strongest first."""
    from scipy.ndimage import maximum_filter

    size = [2 * max(1, round(CORNER_SEARCH_MM / s)) + 1 for s in coarse.spacing_mm[::-1]]
    top = (strength == maximum_filter(strength, size=size)) & (strength > 0)
    k, j, i = np.nonzero(top)
    order = np.argsort(-strength[k, j, i])[:MOST_SPOTS]
    return coarse.point_of(np.stack([i, j, k], axis=1)[order].astype(float))


def _best_corners(coarse: Grid, strength: FloatArray, cancel: CancelToken) -> _Corners | None:
    spots = _spots(coarse, strength)
    apart = np.linalg.norm(spots[:, None] - spots[None], axis=2)
    side = np.abs(apart - IEC_RING_RADIUS_MM) < SIDE_TOLERANCE_MM
    across = np.abs(apart - np.sqrt(3) * IEC_RING_RADIUS_MM) < np.sqrt(3) * SIDE_TOLERANCE_MM
    best: _Corners | None = None
    for b in range(len(spots)):
        cancel.check()
        for a, c in itertools.combinations(np.nonzero(side[b])[0], 2):
            if across[a, c]:
                found = _hexagon(coarse, strength, spots[a], spots[b], spots[c])
                if found is not None and (best is None or found.strength > best.strength):
                    best = found
    return best


def _hexagon(coarse: Grid, strength: FloatArray, a: FloatArray, b: FloatArray, c: FloatArray) -> _Corners | None:
    """Complete three consecutive corners to six; each moves to the strongest spot near it."""
    middle = a + c - b
    if abs(float(np.linalg.norm(b - middle)) - IEC_RING_RADIUS_MM) > SIDE_TOLERANCE_MM:
        return None
    ideal = [a, b, c, 2 * middle - a, 2 * middle - b, 2 * middle - c]
    corners, total = [], 0.0
    for point in ideal:
        box = coarse.around(point, CORNER_SEARCH_MM)
        if box.is_empty:
            return None
        near = np.where(box.distances_mm(point) <= CORNER_SEARCH_MM, strength[box.slices], -np.inf)
        best = int(np.argmax(near))
        # The root keeps one very hot thing from outweighing five missing spheres
        total += float(np.sqrt(max(near.flat[best], 0.0)))
        corners.append(coarse.point_of(box.index_of(best)))
    return _Corners(np.array(corners), total)


def _which_is_which(
    coarse: Grid, corners: FloatArray, targets: Sequence[SphereTarget], hot_only: bool
) -> tuple[list[int], float]:
    """Return the corner of each target, and how well the activities go with the cubes of the diameters (0 to 1)."""
    excess = np.array([_excess(coarse, corner) for corner in corners])
    excess = np.maximum(excess, 0.0) if hot_only else np.abs(excess)
    by_size = sorted(range(6), key=lambda n: -targets[n].diameter_mm)
    cubes = np.array([targets[n].diameter_mm ** 3 for n in by_size])
    best: tuple[float, list[int]] = (-1.0, [0] * 6)
    for start, direction in itertools.product(range(6), (1, -1)):
        order = [(start + direction * n) % 6 for n in range(6)]
        found = excess[order]
        size = float(np.linalg.norm(found) * np.linalg.norm(cubes))
        best = max(best, (float(found @ cubes) / size if size > 0 else 0.0, order))
    likeness, order = best
    place = [0] * 6
    for rank, target in enumerate(by_size):
        place[target] = order[rank]
    return place, likeness


def _nearer(coarse: Grid, corner: FloatArray, target: SphereTarget) -> Point3:
    """Move a corner to where a sphere of the right size fits best."""
    peak = find_peak(coarse, corner, target.radius_mm, 1.0, EXCESS_RADIUS_MM / 2, target.polarity)
    place = corner if peak is None else peak.center_lps_mm
    return float(place[0]), float(place[1]), float(place[2])


def _excess(coarse: Grid, center: FloatArray) -> float:
    box = coarse.around(center, EXCESS_RADIUS_MM + 6.0)
    distance, values = box.distances_mm(center), box.values()
    shell = values[(distance > EXCESS_RADIUS_MM) & (distance <= EXCESS_RADIUS_MM + 6.0)]
    rest = float(np.median(shell)) if shell.size else 0.0
    return float(np.sum(values[distance <= EXCESS_RADIUS_MM] - rest))
