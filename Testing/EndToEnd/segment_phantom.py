"""A trunk of ellipsoids with known organs, on any grid: what the small network learns, and what it is tested on.

Needs numpy only, because it runs in TotalSegmentator's environment too.
"""

from __future__ import annotations

import numpy as np

# Name, centre and half axes in RAS mm, HU. The names and their order are TotalSegmentator's labels 1 to 5.
ORGANS = (
    ("spleen", (-85, -25, 45), (28, 38, 45), 125),
    ("kidney_right", (52, -52, -25), (26, 24, 48), 190),
    ("kidney_left", (-52, -52, -20), (26, 24, 48), 190),
    ("gallbladder", (38, 48, -15), (15, 20, 26), 8),
    ("liver", (62, 18, 38), (68, 62, 62), 105),
)
FAR = 1e4  # half axis of what goes through the whole scan


def make_phantom(shape_kji, matrix_ras, seed, noise_hu=15.0):
    """Return CT (k, j, i) int16 in HU and labels (k, j, i) uint8 of one patient; ``matrix_ras`` maps (i, j, k, 1) to mm."""
    random = np.random.default_rng(seed)
    k, j, i = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape_kji), indexing="ij")
    index = np.stack([i, j, k], axis=-1)
    points = index @ np.asarray(matrix_ras, np.float32)[:3, :3].T + np.asarray(matrix_ras, np.float32)[:3, 3]

    def ellipsoid(center, half_axes):
        away = (points - np.float32(center)) / np.float32(half_axes)
        return (away**2).sum(axis=-1) <= 1

    size = random.uniform(0.93, 1.07)
    body = ellipsoid((0, 0, 0), (140 * size, 105 * size, FAR))
    ct = np.where(body, 30 + random.uniform(-15, 10), -1000).astype(np.float32)
    ct[ellipsoid((0, -70 * size, 0), (20 * size, 20 * size, FAR))] = 450 + random.uniform(-100, 100)  # spine
    ct[ellipsoid((-8 * size, -40 * size, 0), (11, 11, FAR))] = 160 + random.uniform(-40, 60)  # aorta
    labels = np.zeros(shape_kji, np.uint8)
    for label, (_, center, half_axes, hu) in enumerate(ORGANS, start=1):
        place = np.array(center) * size + random.uniform(-7, 7, 3)
        organ = ellipsoid(place, np.array(half_axes) * size * random.uniform(0.88, 1.1, 3)) & body
        ct[organ] = hu + random.uniform(-15, 15)
        labels[organ] = label
    ct += random.normal(0, noise_hu, shape_kji)
    return ct.astype(np.int16), labels


def centered_matrix_ras(shape_kji, spacing_ijk, directions=(1, 1, 1)):
    """Return the matrix of a grid around the origin; ``directions`` -1 turns an axis round (LPS: -1, -1, 1)."""
    matrix = np.eye(4)
    step = np.asarray(spacing_ijk, float) * np.asarray(directions)
    matrix[:3, :3] = np.diag(step)
    matrix[:3, 3] = -step * (np.asarray(shape_kji[::-1]) - 1) / 2
    return matrix


def dice(a, b):
    """Return the overlap of two masks, 1 for equal ones."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0
