"""Where the slices of a sample image lie in the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from DicomWorkbenchLib.samples.dicom_writer import decimals

FloatArray = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class ImageGrid:
    """A stack of equal, parallel slices.

    A phantom is drawn in *local* millimetres: x along the rows (to the right of the picture), y down the columns, z along the slice
    normal, with the origin in the middle of the first slice. The grid turns and moves that into the patient (LPS).

    Attributes
    ----------
    slices, rows, columns : size.
    pixel_spacing_mm : between rows, between columns (as in the attribute PixelSpacing).
    slice_spacing_mm : between neighbouring slices along the normal.
    center_lps : LPS mm of the local origin.
    rotation_deg : turns about the L, P and S axes, in this order.
    gantry_tilt_deg : each slice is shifted along y as by a tilted gantry; the stack is then no right-angled block.
    """

    slices: int
    rows: int
    columns: int
    pixel_spacing_mm: tuple[float, float]
    slice_spacing_mm: float
    center_lps: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gantry_tilt_deg: float = 0.0

    @property
    def axes(self) -> FloatArray:
        """3x3 matrix whose columns are the row direction, the column direction and the normal, in LPS."""
        about_l, about_p, about_s = np.deg2rad(self.rotation_deg)
        turns = [_turn(0, about_l), _turn(1, about_p), _turn(2, about_s)]
        return turns[2] @ turns[1] @ turns[0]

    @property
    def x_mm(self) -> FloatArray:
        """Local x of every column, shape (columns,)."""
        return (np.arange(self.columns) - (self.columns - 1) / 2) * self.pixel_spacing_mm[1]

    @property
    def y_mm(self) -> FloatArray:
        """Local y of every row, shape (rows,)."""
        return (np.arange(self.rows) - (self.rows - 1) / 2) * self.pixel_spacing_mm[0]

    @property
    def z_mm(self) -> FloatArray:
        """Local z of every slice, shape (slices,)."""
        return np.arange(self.slices) * self.slice_spacing_mm

    def to_lps(self, points: npt.ArrayLike) -> FloatArray:
        """Turn local millimetres, shape (..., 3), into LPS millimetres."""
        local = np.array(points, dtype=np.float64)
        local[..., 1] += local[..., 2] * np.tan(np.deg2rad(self.gantry_tilt_deg))
        result: FloatArray = local @ self.axes.T + np.asarray(self.center_lps)
        return result

    @property
    def matrix_lps(self) -> FloatArray:
        """4x4 matrix from index (i, j, k, 1) to LPS mm."""
        first = np.array([self.x_mm[0], self.y_mm[0], 0.0])
        steps = np.diag([self.pixel_spacing_mm[1], self.pixel_spacing_mm[0], self.slice_spacing_mm])
        corners = self.to_lps(np.vstack([first, first + steps]))
        matrix = np.eye(4)
        matrix[:3, 3] = corners[0]
        matrix[:3, :3] = (corners[1:] - corners[0]).T
        return matrix

    def position_lps(self, k: int) -> FloatArray:
        """LPS mm of the centre of the first pixel of slice k."""
        return self.to_lps([self.x_mm[0], self.y_mm[0], self.z_mm[k]])

    @property
    def orientation_lps(self) -> FloatArray:
        """Row and column direction cosines, shape (6,)."""
        return self.axes[:, :2].T.ravel()

    def plane_elements(self, k: int) -> dict[str, Any]:
        """Return the attributes of the Image Plane module (PS3.3 C.7.6.2) of slice k."""
        position = self.position_lps(k)
        return {
            "ImagePositionPatient": decimals(position),
            "ImageOrientationPatient": decimals(self.orientation_lps),
            "PixelSpacing": decimals(self.pixel_spacing_mm),
            "SliceThickness": decimals([self.slice_spacing_mm])[0],
            "SliceLocation": decimals([position @ self.axes[:, 2]])[0],
        }

    def truth(self) -> dict[str, Any]:
        """Return the geometry for truth.json."""
        return {
            "shape_kji": [self.slices, self.rows, self.columns],
            "pixel_spacing_row_column_mm": list(self.pixel_spacing_mm),
            "slice_spacing_mm": self.slice_spacing_mm,
            "matrix_ijk_to_lps": rounded(self.matrix_lps),
        }


def rounded(values: npt.ArrayLike, digits: int = 6) -> Any:
    """Return nested lists of numbers rounded for a JSON file."""
    return np.round(np.asarray(values, dtype=np.float64), digits).tolist()


def stack(x: Sequence[float] | FloatArray, y: Sequence[float] | FloatArray, z: float) -> FloatArray:
    """Return points (n, 3) of one plane."""
    return np.column_stack([x, y, np.full(len(x), z)])


def _turn(axis: int, angle: float) -> FloatArray:
    matrix = np.eye(3)
    a, b = [(1, 2), (2, 0), (0, 1)][axis]
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[a, b], matrix[b, a] = -np.sin(angle), np.sin(angle)
    return matrix
