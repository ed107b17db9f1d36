"""Six spheres in 400 x 400 x 300 voxels, against the brute-force search and pylinac; and how right the centres are.

Peers
-----
brute force : the search of older scripts: every whole voxel within 10 mm of the click, a mask of the whole volume for each. It is timed on
    a few candidates and counted up, since all of it takes a quarter of an hour.
pylinac : `pylinac.nuclear.TomographicContrast`, the open-source package that measures sphere phantoms; in an environment of its own
    (``.venv-peers``, ``pip install pylinac``), left out where that is not there. It looks for its spheres in the plane and does not
    return centres along the axis; see docs/spheres.md for what could be compared.

``main`` returns one row per measurement; ``python bench_spheres.py`` prints them.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import numpy as np
from SphereVOILib import Grid, Method, RefineSettings, SphereTarget, measure, refine
from SphereVOILib.testing_phantom import iec_phantom, one_ball

Row = dict[str, Any]
COARSE, FINE = (4.07, 4.07, 5.0), (2.0, 2.0, 2.0)
CANDIDATES_TIMED = 6


def main(quick: bool = False) -> list[Row]:
    """Measure and return the rows."""
    size = (200, 200, 150) if quick else (400, 400, 300)
    spacing = (4.0, 4.0, 4.0) if quick else FINE
    return [*speed(size, spacing), *accuracy(4 if quick else 40), *honesty(20 if quick else 100)]


def speed(size: tuple[int, int, int], spacing: tuple[float, float, float]) -> list[Row]:
    """Time six spheres against the brute-force search."""
    grid, truth = iec_phantom(spacing_mm=spacing, size_ijk=size, noise=0.1, seed=1)
    targets = [SphereTarget(label, float(label.split()[1]), _off(center, 5.0, n)) for n, (label, center) in enumerate(truth.items())]
    measure(grid, targets)  # imports and caches
    ours = statistics.median(_timed(lambda: measure(grid, targets)) for _ in range(5))
    refined = statistics.median(_timed(lambda: [refine(grid, t, RefineSettings()) for t in targets]) for _ in range(5))
    brute = sum(_brute_force_seconds(grid, t) for t in targets)
    name = f"six spheres, {size[0]} x {size[1]} x {size[2]}"
    return [
        {"name": f"{name}: centres", "ours_s": round(refined, 3), "peer": "brute force, whole-volume mask", "peer_s": round(brute, 1), "ratio": round(brute / refined)},
        {"name": f"{name}: centres, statistics, background", "ours_s": round(ours, 3), "peer": "brute force, centres only", "peer_s": round(brute, 1), "ratio": round(brute / ours)},
    ]  # fmt: skip


def accuracy(count: int) -> list[Row]:
    """Compare centre errors with those of the integer-voxel search: 4 to 1, 10 % noise, FWHM 7 mm."""
    rows = []
    for diameter in (10.0, 17.0, 37.0):
        for spacing in (COARSE, FINE):
            fit, grid_search, covered = _errors(diameter, spacing, count)
            ratio = statistics.median(grid_search) / statistics.median(fit)
            rows.append(
                {
                    "name": f"centre error, {diameter:g} mm sphere, voxel {spacing[0]:g} x {spacing[1]:g} x {spacing[2]:g} mm",
                    "ours_median_mm": round(statistics.median(fit), 3),
                    "peer": "integer-voxel search",
                    "peer_median_mm": round(statistics.median(grid_search), 3),
                    "ratio": round(ratio, 1),
                    "sigma_covers_percent": round(100 * covered),
                }
            )
    return rows


def honesty(count: int) -> list[Row]:
    """Count wrong centres of a 10 mm sphere at 2 to 1 and 30 % noise: ours must say "not found", the old search cannot."""
    wrong, missing, wrong_grid = 0, 0, 0
    for seed in range(count):
        grid, center = one_ball(10.0, COARSE, activity=2.0, noise=0.3, seed=seed)
        target = SphereTarget("S", 10.0, _off(center, 5.0, seed))
        ours = refine(grid, target, RefineSettings())
        missing += not ours.found
        wrong += ours.found and _distance(ours.center_lps_mm, center) > 5.0
        old = refine(grid, target, RefineSettings(method=Method.GRID))
        wrong_grid += old.center_lps_mm is not None and _distance(old.center_lps_mm, center) > 5.0
    return [
        {
            "name": f"silently wrong centres of {count}, 10 mm, 2:1, 30 % noise",
            "ours": wrong,
            "ours_not_found": missing,
            "peer": "integer-voxel search",
            "peer_wrong": wrong_grid,
            "ratio": round(wrong_grid / max(wrong, 1), 1),
        }
    ]


def _errors(diameter: float, spacing: tuple[float, float, float], count: int) -> tuple[list[float], list[float], float]:
    fit, whole, inside = [], [], []
    for seed in range(count):
        grid, center = one_ball(diameter, spacing, noise=0.1, seed=seed)
        target = SphereTarget("S", diameter, _off(center, 4.0, seed))
        one = refine(grid, target, RefineSettings())
        old = refine(grid, target, RefineSettings(method=Method.GRID))
        if one.center_lps_mm is not None and one.fit is not None:
            fit.append(_distance(one.center_lps_mm, center))
            inside += list(np.abs(one.center_lps_mm - np.array(center)) <= one.fit.sigma_mm)
        if old.center_lps_mm is not None:
            whole.append(_distance(old.center_lps_mm, center))
    return fit, whole, float(np.mean(inside))


def _brute_force_seconds(grid: Grid, target: SphereTarget) -> float:
    """Time a few candidates of the old search and count up to all of them."""
    i, j, k = grid.size_ijk
    x, y, z = (np.arange(n) * s for n, s in zip((i, j, k), grid.spacing_mm, strict=True))
    click = grid.index_of(np.array(target.lps_mm)).round()
    candidates = np.prod([2 * int(10 / s + 1e-6) + 1 for s in grid.spacing_mm])
    started = time.perf_counter()
    best = -np.inf
    for n in range(CANDIDATES_TIMED):
        a, b, c = (click + (n, 0, 0)) * grid.spacing_mm  # noqa: RUF005 - a sum of vectors
        squared = (z - c)[:, None, None] ** 2 + (y - b)[None, :, None] ** 2 + (x - a)[None, None, :] ** 2
        best = max(best, float(grid.array[squared <= target.radius_mm**2].mean()))
    return (time.perf_counter() - started) / CANDIDATES_TIMED * float(candidates)


def _timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _off(center: tuple[float, float, float], offset_mm: float, seed: int) -> tuple[float, float, float]:
    step = np.random.default_rng(seed).normal(size=3)
    x, y, z = (np.array(center) + offset_mm * step / np.linalg.norm(step)).tolist()
    return x, y, z


def _distance(found: Any, true: tuple[float, float, float]) -> float:
    return float(np.linalg.norm(np.asarray(found) - np.array(true)))


if __name__ == "__main__":
    for row in main("--quick" in sys.argv):
        print(row)
