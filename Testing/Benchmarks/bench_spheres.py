"""Six spheres in 400 x 400 x 300 voxels, against the brute-force search and pylinac; and how right the centres are.

Peers
-----
brute force : the search of older scripts: every whole voxel within 10 mm of the click, a mask of the whole volume for each. It is timed on
    a few candidates and counted up, since all of it takes a quarter of an hour.
pylinac : the sphere search of `pylinac.nuclear.TomographicContrast`, called as that class calls it (Nelder-Mead on ``contrast_f``, 5 pixels
    and 3 slices around the start), since the class itself reads only NM files of a Jaszczak phantom. It knows cubic voxels only. It runs in
    an environment of its own and is left out where that cannot be made.

``main`` returns one row per measurement; ``python bench_spheres.py`` prints them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from peers import peer_python
from SphereVOILib import Grid, Method, RefineSettings, SphereTarget, measure, refine
from SphereVOILib.testing_phantom import iec_phantom, one_ball

Row = dict[str, Any]
COARSE, FINE = (4.07, 4.07, 5.0), (2.0, 2.0, 2.0)
CANDIDATES_TIMED = 6


def main(quick: bool = False) -> list[Row]:
    """Measure and return the rows."""
    size = (200, 200, 150) if quick else (400, 400, 300)
    spacing = (4.0, 4.0, 4.0) if quick else FINE
    return [
        *speed(size, spacing),
        *pylinac(install=not quick),
        *accuracy(4 if quick else 40),
        *honesty(20 if quick else 100),
    ]


def speed(size: tuple[int, int, int], spacing: tuple[float, float, float]) -> list[Row]:
    """Time six spheres against the brute-force search."""
    grid, truth = iec_phantom(spacing_mm=spacing, size_ijk=size, noise=0.1, seed=1)
    targets = [
        SphereTarget(label, float(label.split()[1]), _off(center, 5.0, n))
        for n, (label, center) in enumerate(truth.items())
    ]
    measure(grid, targets)  # imports and caches
    ours = statistics.median(_timed(lambda: measure(grid, targets)) for _ in range(5))
    refined = statistics.median(_timed(lambda: [refine(grid, t, RefineSettings()) for t in targets]) for _ in range(5))
    brute = sum(_brute_force_seconds(grid, t) for t in targets)
    name = f"six spheres, {size[0]} x {size[1]} x {size[2]}"
    peer = "brute force, whole-volume mask (centres)"
    return [
        _timing(f"{name}: centres", refined, peer, brute),
        _timing(f"{name}: centres, statistics, background", ours, peer, brute),
    ]


def _timing(name: str, ours_s: float, peer: str, peer_s: float) -> Row:
    ratio = round(peer_s / ours_s, 1)
    return {"name": name, "ours_s": round(ours_s, 3), "peer": peer, "peer_s": round(peer_s, 2), "ratio": ratio}


def _errors_row(name: str, ours_mm: float, peer: str, peer_mm: float) -> Row:
    ratio = round(peer_mm / ours_mm, 1)
    return {
        "name": name,
        "ours_median_mm": round(ours_mm, 3),
        "peer": peer,
        "peer_median_mm": round(peer_mm, 3),
        "ratio": ratio,
    }


PYLINAC = """
import json, sys, time
import numpy as np
from scipy.optimize import minimize
from pylinac.nuclear import contrast_f
array, job = np.load(sys.argv[1]), json.loads(sys.argv[2])
found = []
started = time.perf_counter()
for (x, y, z), radius in zip(job["clicks"], job["radii"]):
    bounds = [(x - 5, x + 5), (y - 5, y + 5), (z - 3, z + 3)]
    found.append(minimize(contrast_f, x0=(x, y, z), args=(array, radius, 1.0), method="Nelder-Mead", bounds=bounds).x.tolist())
print(json.dumps({"seconds": time.perf_counter() - started, "found": found}))
"""


def pylinac(*, install: bool) -> list[Row]:
    """Compare time and centres with pylinac's search on cubic voxels of 3 mm; nothing without pylinac."""
    python = peer_python("spheres", "pylinac", install=install)
    if python is None:
        return []
    grid, truth = iec_phantom(spacing_mm=(3.0, 3.0, 3.0), noise=0.1, seed=1)
    targets = [
        SphereTarget(t, float(t.split()[1]), _off(center, 4.0, n)) for n, (t, center) in enumerate(truth.items())
    ]
    clicks = [grid.index_of(np.array(t.lps_mm)).tolist() for t in targets]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "volume.npy")
        np.save(path, np.asarray(grid.array))
        job = json.dumps({"clicks": clicks, "radii": [t.radius_mm / 3.0 for t in targets]})
        done = subprocess.run([str(python), "-c", PYLINAC, str(path), job], capture_output=True, text=True, check=True)
    peer = json.loads(done.stdout.strip().splitlines()[-1])
    for target in targets:
        refine(grid, target, RefineSettings())
    started = time.perf_counter()
    ours = [refine(grid, t, RefineSettings()) for t in targets]
    seconds = time.perf_counter() - started
    errors = statistics.median(_distance(o.center_lps_mm, truth[o.target.label]) for o in ours)
    others = statistics.median(
        _distance(grid.point_of(np.array(f)), truth[t.label]) for f, t in zip(peer["found"], targets, strict=True)
    )
    return [
        _timing("six spheres, 3 mm voxels: time", seconds, "pylinac's search", peer["seconds"]),
        _errors_row("six spheres, 3 mm voxels: median centre error", errors, "pylinac's search", others),
    ]


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
