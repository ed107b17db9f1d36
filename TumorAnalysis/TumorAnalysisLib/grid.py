"""The voxel grid all masks of a patient share: shape and index-to-LPS matrix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from DicomWorkbenchLib.errors import GeometryError
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SUPERIOR = 2  # row of the LPS axes that points to the head


@dataclass(frozen=True)
class Grid:
    """Where the voxels of an image are.

    Attributes
    ----------
    shape_kji : number of slices, rows and columns.
    matrix_lps : (4, 4) float64; maps ``(i, j, k, 1)`` to LPS mm; may be oblique and anisotropic.
    """

    shape_kji: tuple[int, int, int]
    matrix_lps: FloatArray

    def __post_init__(self) -> None:
        if self.matrix_lps.shape != (4, 4) or not np.isfinite(self.matrix_lps).all():
            raise GeometryError("the index-to-patient matrix must be 4x4 and finite")
        if abs(np.linalg.det(self.matrix_lps[:3, :3])) < 1e-9:
            raise GeometryError("the index-to-patient matrix is singular: two axes of the image coincide")

    @cached_property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel: the determinant of the matrix, right for sheared and oblique grids too."""
        return float(abs(np.linalg.det(self.matrix_lps[:3, :3])))

    @cached_property
    def steps_mm(self) -> FloatArray:
        """(3, 3): row 0, 1, 2 is the step in LPS mm along i, j, k."""
        return np.ascontiguousarray(self.matrix_lps[:3, :3].T)

    @cached_property
    def spacing_ijk_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along columns (i), rows (j) and slices (k), mm."""
        i, j, k = np.linalg.norm(self.steps_mm, axis=1)
        return float(i), float(j), float(k)

    @cached_property
    def plane_mm(self) -> FloatArray:
        """(2, 2): turns ``(i, j)`` row vectors within a slice into millimetres of that plane."""
        step_i, step_j = self.steps_mm[0], self.steps_mm[1]
        along_i = step_i / np.linalg.norm(step_i)
        across = step_j - (step_j @ along_i) * along_i
        return np.array([[np.linalg.norm(step_i), 0.0], [step_j @ along_i, np.linalg.norm(across)]])

    def to_lps(self, points_ijk: FloatArray) -> FloatArray:
        """Map (n, 3) index points ``(i, j, k)`` to LPS mm."""
        return np.asarray(points_ijk, dtype=np.float64) @ self.steps_mm + self.matrix_lps[:3, 3]

    def matches(self, other: Grid, tolerance_mm: float = 0.05) -> bool:
        """True if both grids have the same shape and no voxel lies further apart than the tolerance."""
        if self.shape_kji != other.shape_kji:
            return False
        corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=np.float64)
        corners *= np.array(self.shape_kji[::-1]) - 1
        return bool(np.abs(self.to_lps(corners) - other.to_lps(corners)).max() <= tolerance_mm)


def axial_first(array: NDArray[Any], matrix_lps: FloatArray) -> tuple[NDArray[Any], FloatArray]:
    """Order the axes of an image so that its slices are the most axial planes it has.

    Diameters are measured in slices, and RECIST means axial ones. An axial image comes back unchanged, a coronal or sagittal one
    as a transposed view with the columns of its matrix exchanged; nothing is resampled and no axis is flipped.

    Parameters
    ----------
    array : (K, J, I) image, or (K, J, I, layers).
    matrix_lps : (4, 4), ``(i, j, k, 1)`` to LPS mm.
    """
    directions = matrix_lps[:3, :3] / np.linalg.norm(matrix_lps[:3, :3], axis=0)
    upright = int(np.argmax(np.abs(directions[SUPERIOR])))
    if upright == 2:
        return array, matrix_lps
    order_ijk = [axis for axis in (0, 1, 2) if axis != upright] + [upright]
    matrix = matrix_lps.copy()
    matrix[:, :3] = matrix_lps[:, order_ijk]
    return array.transpose([2 - axis for axis in order_ijk[::-1]] + list(range(3, array.ndim))), matrix
