"""Points, directions and matrices in patient space.

Two frames are in use and every name says which: LPS (left, posterior, superior; DICOM) and RAS (right, anterior, superior; Slicer). All
lengths are millimetres. A matrix of shape (4, 4) maps the index (i, j, k, 1) = (column, row, slice, 1) of a voxel's centre to a
point; arrays are indexed the other way round, ``array[k, j, i]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from DicomWorkbenchLib.errors import GeometryError

Point3: TypeAlias = tuple[float, float, float]
FloatArray: TypeAlias = NDArray[np.float64]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
LPS_TO_RAS.setflags(write=False)

ORTHOGONAL_TOLERANCE = 1e-3  # cosine; headers carry 6 digits, real ones that are further off are broken


def lps_to_ras(value: ArrayLike) -> FloatArray:
    """Turn a (4, 4) matrix, a point (3,) or points (N, 3) from LPS to RAS; the way back is the same."""
    array = np.asarray(value, dtype=float)
    if array.shape == (4, 4):
        return np.asarray(LPS_TO_RAS @ array)
    if array.shape[-1:] == (3,):
        return np.asarray(array * np.array([-1.0, -1.0, 1.0]))
    raise GeometryError(f"expected a 4x4 matrix or points with 3 coordinates, got an array of shape {array.shape}")


ras_to_lps = lps_to_ras


def slice_normal(orientation_lps: Sequence[float]) -> FloatArray:
    """Return the unit normal (3,) of a slice: row direction x column direction.

    Parameters
    ----------
    orientation_lps : the six direction cosines of ImageOrientationPatient (0020,0037), row first.

    Raises
    ------
    GeometryError : they are not six numbers, or not two perpendicular unit vectors.

    References
    ----------
    DICOM PS3.3 C.7.6.2.1.1
    """
    cosines = np.asarray(orientation_lps, dtype=float)
    if cosines.shape != (6,) or not np.all(np.isfinite(cosines)):
        raise GeometryError(f"ImageOrientationPatient must hold six numbers, got {list(orientation_lps)}")
    row, column = cosines[:3], cosines[3:]
    off = (float(row @ row) - 1, float(column @ column) - 1, float(row @ column))
    if max(abs(value) for value in off) > ORTHOGONAL_TOLERANCE:
        raise GeometryError(f"ImageOrientationPatient {cosines.tolist()} is not a pair of perpendicular unit vectors")
    normal = np.cross(row, column)
    return np.asarray(normal / np.linalg.norm(normal))


def index_matrix_lps(
    origin_lps: Sequence[float],
    orientation_lps: Sequence[float],
    pixel_spacing: Sequence[float],
    step_lps: Sequence[float],
) -> FloatArray:
    """Build the (4, 4) matrix from index (i, j, k, 1) to LPS millimetres.

    Parameters
    ----------
    origin_lps : ImagePositionPatient of the first slice: the centre of its first pixel, mm.
    orientation_lps : the six cosines of ImageOrientationPatient.
    pixel_spacing : PixelSpacing (0028,0030): distance between rows, then between columns, mm.
    step_lps : vector from one slice's first pixel to the next slice's, mm; it may be oblique to the slice (gantry tilt).

    References
    ----------
    DICOM PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1
    """
    slice_normal(orientation_lps)  # its checks
    cosines = np.asarray(orientation_lps, dtype=float)
    between_rows, between_columns = (float(value) for value in pixel_spacing)
    if not (between_rows > 0 and between_columns > 0):
        raise GeometryError(f"PixelSpacing must be two positive numbers, got {list(pixel_spacing)}")
    matrix = np.eye(4)
    matrix[:3, 0] = cosines[:3] * between_columns
    matrix[:3, 1] = cosines[3:] * between_rows
    matrix[:3, 2] = np.asarray(step_lps, dtype=float)
    matrix[:3, 3] = np.asarray(origin_lps, dtype=float)
    return matrix


def transform_points(matrix: ArrayLike, points: ArrayLike) -> FloatArray:
    """Apply a (4, 4) matrix to points (N, 3) or one point (3,); the shape stays."""
    m = np.asarray(matrix, dtype=float)
    return np.asarray(np.asarray(points, dtype=float) @ m[:3, :3].T + m[:3, 3])


def spacing_of(matrix: ArrayLike) -> Point3:
    """Return the voxel size along (i, j, k) in mm: the lengths of the matrix's columns."""
    i, j, k = np.linalg.norm(np.asarray(matrix, dtype=float)[:3, :3], axis=0)
    return float(i), float(j), float(k)


def voxel_volume_mm3(matrix: ArrayLike) -> float:
    """Return the volume of one voxel in mm³: the determinant, right for oblique and sheared grids too."""
    return abs(float(np.linalg.det(np.asarray(matrix, dtype=float)[:3, :3])))
