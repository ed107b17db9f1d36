"""The ring on which the spheres of the IEC body phantom lie: fitted to centres, and predicted for spheres that are hard to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray


@dataclass(frozen=True)
class Ring:
    """A circle through sphere centres.

    Attributes
    ----------
    center_lps_mm, normal_lps : (3,).
    radius_mm : of the circle that fits best.
    rms_mm : root mean square distance of the centres from that circle, in plane.
    out_of_plane_mm : distance of each centre from the plane, signed; real phantoms reach 2 mm.
    """

    center_lps_mm: FloatArray
    normal_lps: FloatArray
    radius_mm: float
    rms_mm: float
    out_of_plane_mm: FloatArray


def fit_ring(centers_lps: FloatArray) -> Ring | None:
    """Fit plane and circle to at least four centres (N, 3); None for fewer."""
    if len(centers_lps) < 4:
        return None
    middle = centers_lps.mean(axis=0)
    _, _, axes = np.linalg.svd(centers_lps - middle)
    flat = (centers_lps - middle) @ axes.T  # in-plane x, y and height
    center = _circle_center(flat[:, :2])
    for _ in range(20):  # geometric circle: Gauss-Newton from the algebraic one
        away = flat[:, :2] - center
        distance = np.linalg.norm(away, axis=1)
        design = np.concatenate([-away / distance[:, None], -np.ones((len(flat), 1))], axis=1)
        radius = float(distance.mean())
        step = np.linalg.lstsq(design, -(distance - radius), rcond=None)[0]
        center = center + step[:2]
    distance = np.linalg.norm(flat[:, :2] - center, axis=1)
    radius = float(distance.mean())
    rms = float(np.sqrt(np.mean((distance - radius) ** 2)))
    return Ring(middle + center @ axes[:2], axes[2], radius, rms, flat[:, 2])


def place_hexagon(centers_lps: Sequence[FloatArray | None], radius_mm: float) -> FloatArray | None:
    """Predict all six centres, 60 degrees apart on a ring of known radius, from at least three known ones in ring order.

    Returns (6, 3) LPS mm, the rigid fit (Kabsch) of the ideal hexagon to the known centres; None with fewer than three.
    """
    known = [n for n, center in enumerate(centers_lps) if center is not None]
    if len(known) < 3:
        return None
    angles = np.deg2rad(60.0 * np.arange(6))
    ideal = radius_mm * np.stack([np.cos(angles), np.sin(angles), np.zeros(6)], axis=1)
    points = np.array([centers_lps[n] for n in known], dtype=float)
    return _rigid(ideal, ideal[known], points)


def _rigid(ideal: FloatArray, source: FloatArray, target: FloatArray) -> FloatArray:
    source_middle, target_middle = source.mean(axis=0), target.mean(axis=0)
    u, _, v = np.linalg.svd((source - source_middle).T @ (target - target_middle))
    # The ring is flat: a mirrored hexagon is the same hexagon turned over, so a proper rotation always exists.
    flip = np.diag([1.0, 1.0, float(np.sign(np.linalg.det(u @ v))) or 1.0])
    return np.asarray((ideal - source_middle) @ (u @ flip @ v) + target_middle)


def _circle_center(flat: FloatArray) -> FloatArray:
    design = np.concatenate([2 * flat, np.ones((len(flat), 1))], axis=1)
    return np.asarray(np.linalg.lstsq(design, np.sum(flat**2, axis=1), rcond=None)[0][:2])
