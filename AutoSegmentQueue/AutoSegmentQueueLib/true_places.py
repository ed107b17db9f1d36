"""True places in scans whose slices are unevenly spaced: from the even grid of the voxels to the patient, and back."""

from __future__ import annotations

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray, transform_points
from numpy.typing import ArrayLike, NDArray


def true_places(points_lps: ArrayLike, matrix_lps: FloatArray, planes_lps: FloatArray | None) -> FloatArray:
    """Move points from the even grid to where they truly are: with the slices they lie in or between.

    Parameters
    ----------
    points_lps : (n, 3) on the even grid, LPS mm.
    matrix_lps : (4, 4) of that grid.
    planes_lps : (k, 3) true place of the first voxel of each slice; None where the grid is true, and nothing moves.
    """
    points = np.asarray(points_lps, float)
    if planes_lps is None:
        return points
    heights = transform_points(np.linalg.inv(matrix_lps), points)[:, 2]
    return points + _shift(heights, planes_lps - _even(matrix_lps, len(planes_lps)))


def grid_places(points_lps: ArrayLike, matrix_lps: FloatArray, planes_lps: FloatArray | None) -> FloatArray:
    """Move points back onto the even grid; the inverse of `true_places`."""
    points = np.asarray(points_lps, float)
    if planes_lps is None:
        return points
    normal = np.cross(matrix_lps[:3, 0], matrix_lps[:3, 1])
    normal = normal / np.linalg.norm(normal)
    normal = normal * np.sign(normal @ matrix_lps[:3, 2])
    heights = _between(points @ normal, planes_lps @ normal, np.arange(len(planes_lps), dtype=float))
    return points - _shift(heights, planes_lps - _even(matrix_lps, len(planes_lps)))


def true_centroid(
    voxels_kji: tuple[NDArray[np.integer], ...], first_ijk: ArrayLike, matrix_lps: FloatArray, planes_lps: FloatArray
) -> FloatArray:
    """Return the centre (3,) of voxels on their true slices, each voxel as thick as its slice, LPS mm.

    Parameters
    ----------
    voxels_kji : indices of the voxels, as `numpy.nonzero` gives them.
    first_ijk : index of the voxel they are counted from.
    """
    first = np.asarray(first_ijk)
    k, j, i = (axis + start for axis, start in zip(voxels_kji, first[::-1], strict=True))
    normal = np.cross(matrix_lps[:3, 0], matrix_lps[:3, 1])
    steps = np.abs(np.diff(planes_lps @ normal))
    slabs = np.concatenate([steps[:1], steps]) + np.concatenate([steps, steps[-1:]])
    places = planes_lps[k] + np.stack([i, j], axis=1) @ matrix_lps[:3, :2].T
    return np.asarray(np.average(places, axis=0, weights=slabs[k]))


def _even(matrix_lps: FloatArray, count: int) -> FloatArray:
    return np.asarray(matrix_lps[:3, 3] + np.arange(count)[:, None] * matrix_lps[:3, 2])


def _shift(heights: FloatArray, shifts: FloatArray) -> FloatArray:
    slices = np.arange(len(shifts), dtype=float)
    return np.stack([_between(heights, slices, shifts[:, axis]) for axis in range(3)], axis=1)


def _between(at: FloatArray, places: FloatArray, values: FloatArray) -> FloatArray:
    """Interpolate linearly, and go on beyond both ends as between the last two."""
    n = np.clip(np.searchsorted(places, at) - 1, 0, len(places) - 2)
    share = (at - places[n]) / (places[n + 1] - places[n])
    return np.asarray(values[n] + share * (values[n + 1] - values[n]))
