"""Image quality after NEMA NU 2: contrast recovery, background variability and the lung insert's residual.

    Q_H,j = 100 (C_H,j / C_B,j - 1) / (a_H / a_B - 1)      hot spheres
    Q_C,j = 100 (1 - C_C,j / C_B,j)                        cold spheres
    N_j   = 100 SD_j / C_B,j     SD_j over the means of the 60 background ROIs (K - 1)
    dC_lung = 100 C_lung / C_B,37    per slice; the mean over slices is reported

C_H,j is the mean in a two-dimensional circle of the sphere's inner diameter, in one slice common to all spheres; C_B,j the mean of sixty
circles of the same diameter: twelve places in each of five slices, the common one and those 10 and 20 mm away on both sides. Pixels at the
edge count by the fraction inside. These are not the three-dimensional sphere means of the other tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray
from numpy.typing import NDArray

from SphereVOILib.background import Background, Ball
from SphereVOILib.coverage import disc_coverage
from SphereVOILib.grid import Box, Grid

PLACES = 12
SLICE_OFFSETS_MM = (-20.0, -10.0, 0.0, 10.0, 20.0)
LARGEST_MM = 37.0  # circles of all sizes share the middles of the largest
# From the phantom's edge, the spheres and the insert. NEMA asks for 15; with it, twelve circles overlap in a real phantom.
MARGINS_MM = (15.0, 12.0, 10.0, 9.0, 8.0)
LEAST_APART_MM = 25.0  # circles that overlap more than this repeat each other
STARTS = 24
MANY_PLACES = 2000  # a choice among so many is as good as among all
LUNG_ROI_MM = 30.0
LUNG_REACH_MM = 34.0  # around the ring's middle: the insert of 50 mm and its blur, and nothing of the spheres
LEAST_LACK = 0.2  # share of the activity that an insert takes from there; less is noise
BODY_SHARE = 0.5  # of the background: the phantom's edge in the image
FULL_BODY_SHARE = 0.95  # of the body's area in the common slice: nearer to the ends the slice does not count


@dataclass(frozen=True)
class NemaSphere:
    """One sphere: Q_H,j (or Q_C,j) and N_j in percent, C_H,j and C_B,j in image units."""

    label: str
    diameter_mm: float
    polarity: str
    contrast_recovery_percent: float | None
    background_variability_percent: float | None
    sphere_mean: float | None
    background_mean: float | None


@dataclass(frozen=True)
class LungSlice:
    """The lung insert in one slice."""

    k: int
    position_mm: float  # along the normal, from the common slice
    residual_percent: float


@dataclass(frozen=True)
class NemaResult:
    """All of it, with the places of the circles for the pictures; ``reason`` says why there is nothing."""

    reason: str = ""
    warnings: list[str] = field(default_factory=list)
    common_slice: int | None = None
    slices: list[int] = field(default_factory=list)
    places_lps_mm: list[FloatArray] = field(default_factory=list)  # in the common slice
    margin_mm: float | None = None
    spheres: list[NemaSphere] = field(default_factory=list)
    lung_center_lps_mm: FloatArray | None = None
    lung: list[LungSlice] = field(default_factory=list)

    @property
    def lung_residual_percent(self) -> float | None:
        """Mean over the slices."""
        return float(np.mean([s.residual_percent for s in self.lung])) if self.lung else None


@dataclass(frozen=True)
class NemaTarget:
    """A found sphere to be judged: what it is and where."""

    label: str
    diameter_mm: float
    cold: bool
    ball: Ball


def judge_nema(grid: Grid, targets: Sequence[NemaTarget], background: float, contrast: float) -> NemaResult:
    """Compute Q, N and the lung residual.

    Parameters
    ----------
    targets : found spheres.
    background : rough level of the body, to find the phantom's edge.
    contrast : a_H / a_B, true.
    """
    placed = place_circles(grid, targets, background)
    if isinstance(placed, str):
        return NemaResult(placed)
    common, slices, places, margin = placed.common_slice, placed.slices, placed.places_lps_mm, placed.margin_mm
    warnings = []
    if margin < MARGINS_MM[0]:
        warnings.append(
            f"NEMA: the background circles keep {margin:g} mm from edge and spheres instead of 15 mm: "
            "with 15 mm twelve circles would overlap"
        )
    result = NemaResult("", warnings, common, slices, places, margin)
    for target in targets:
        result.spheres.append(_sphere(grid, target, common, slices, places, contrast))
    return _with_lung(grid, result, targets, background)


def background_of_circles(grid: Grid, targets: Sequence[NemaTarget], level: float) -> Background | None:
    """Return mean and voxel SD in the sixty 37 mm circles, the phantom's background proper; None where they do not fit."""
    placed = place_circles(grid, targets, level)
    if isinstance(placed, str):
        return None
    inside = [_circle_values(grid, place, k) for k in placed.slices for place in placed.places_lps_mm]
    values = np.concatenate(inside)
    means = [float(v.mean()) for v in inside if v.size]
    return Background(float(np.mean(means)), float(values.std(ddof=1)), int(values.size))


def _circle_values(grid: Grid, place: FloatArray, k: int) -> FloatArray:
    around = grid.around(place + _to_slice(grid, place, k), LARGEST_MM / 2 + max(grid.spacing_mm))
    box = Box(grid, (*around.low[:2], k), (*around.high[:2], k + 1))
    values = box.values()
    return np.asarray(values[(disc_coverage(box, place, LARGEST_MM / 2) >= 0.5) & np.isfinite(values)])


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
    body = np.logical_and.reduce([_body(grid, k, level) for k in slices])
    found = _place(grid, body, common, targets)
    if found is None:
        return "twelve background circles of 37 mm do not fit between the spheres and the phantom's edge"
    return Circles(common, slices, found[0], found[1])


def _five_slices(grid: Grid, common: int) -> list[int] | None:
    step = abs(float(grid.matrix_lps[:3, 2] @ grid.normal_lps))
    slices = [common + round(offset / step) for offset in SLICE_OFFSETS_MM]
    inside = all(0 <= k < grid.size_ijk[2] for k in slices)
    return slices if inside and len(set(slices)) == len(slices) else None


def _body(grid: Grid, k: int, background: float) -> NDArray[np.bool_]:
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
    lung = _ring_middle(targets)
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
    return np.asarray(_in_plane_all(box, center_lps)[0])


def _in_plane_all(box: Box, center_lps: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.sum(box.in_plane_mm(center_lps) ** 2, axis=0)))


def _ring_middle(targets: Sequence[NemaTarget]) -> FloatArray | None:
    from SphereVOILib.ring import fit_ring

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


def disc_mean(grid: Grid, center_lps: FloatArray, k: int, diameter_mm: float) -> float | None:
    """Return the mean in a circle of slice k, pixels at its edge by fraction; the circle is moved there along the slice normal."""
    around = grid.around(center_lps + _to_slice(grid, center_lps, k), diameter_mm / 2 + 2 * max(grid.spacing_mm))
    if around.is_empty or not around.low[2] <= k < around.high[2]:
        return None
    box = Box(grid, (*around.low[:2], k), (*around.high[:2], k + 1))
    fraction, values = disc_coverage(box, center_lps, diameter_mm / 2), box.values()
    good = np.isfinite(values)
    weight = float(fraction[good].sum())
    return float(np.sum(fraction[good] * values[good]) / weight) if weight > 0 else None


def _to_slice(grid: Grid, center_lps: FloatArray, k: int) -> FloatArray:
    height = float((grid.point_of([0.0, 0.0, float(k)]) - center_lps) @ grid.normal_lps)
    return np.asarray(height * grid.normal_lps)


def _sphere(
    grid: Grid, target: NemaTarget, common: int, slices: Sequence[int], places: Sequence[FloatArray], contrast: float
) -> NemaSphere:
    rois = [disc_mean(grid, place, k, target.diameter_mm) for k in slices for place in places]
    means = np.array([m for m in rois if m is not None])
    measured = disc_mean(grid, target.ball.center_lps_mm, common, target.diameter_mm)
    if measured is None or len(means) < 2 or means.mean() == 0:
        return NemaSphere(target.label, target.diameter_mm, _name(target), None, None, measured, None)
    background = float(means.mean())
    if target.cold:
        recovery: float | None = 100.0 * (1.0 - measured / background)
    else:
        recovery = 100.0 * (measured / background - 1.0) / (contrast - 1.0) if contrast > 1 else None
    variability = 100.0 * float(means.std(ddof=1)) / background
    return NemaSphere(target.label, target.diameter_mm, _name(target), recovery, variability, measured, background)


def _name(target: NemaTarget) -> str:
    return "cold" if target.cold else "hot"


def _with_lung(grid: Grid, result: NemaResult, targets: Sequence[NemaTarget], background: float) -> NemaResult:
    """Add the lung insert: its axis goes through the ring's middle along the slice normal."""
    middle = _ring_middle(targets)
    if middle is None or result.common_slice is None:
        return result
    reference = [disc_mean(grid, place, k, LARGEST_MM) for k in result.slices for place in result.places_lps_mm]
    level = float(np.mean([r for r in reference if r is not None]))
    center = _insert(grid, middle, result.slices, level)
    area = np.count_nonzero(_body(grid, result.common_slice, background))
    lung = []
    for k in range(grid.size_ijk[2]):
        height = float((grid.point_of([0.0, 0.0, float(k)]) - middle) @ grid.normal_lps)
        if abs(height) > 100 or np.count_nonzero(_body(grid, k, background)) < FULL_BODY_SHARE * area:
            continue
        mean = disc_mean(grid, center, k, LUNG_ROI_MM)
        if mean is not None and level:
            lung.append(LungSlice(k, height, 100.0 * mean / level))
    return NemaResult(**{**result.__dict__, "lung_center_lps_mm": center, "lung": lung})


def _insert(grid: Grid, middle: FloatArray, slices: Sequence[int], level: float) -> FloatArray:
    """Move to the centre of what lacks activity around the ring's middle; the insert may stand a few millimetres off."""
    box = grid.around(middle, LUNG_REACH_MM + abs(SLICE_OFFSETS_MM[0]))
    box = Box(grid, (*box.low[:2], min(slices)), (*box.high[:2], max(slices) + 1))
    lack = np.clip(level - np.nan_to_num(box.values(), nan=level), 0.0, None) * (
        _in_plane_all(box, middle) < LUNG_REACH_MM
    )
    if lack.sum() < LEAST_LACK * level * np.count_nonzero(_in_plane_all(box, middle) < LUNG_REACH_MM):
        return middle  # no cold insert
    offsets = box.offsets_mm(middle)
    away = np.array([float(np.sum(lack * offsets[axis])) for axis in range(3)]) / float(lack.sum())
    return np.asarray(middle + away - (away @ grid.normal_lps) * grid.normal_lps)
