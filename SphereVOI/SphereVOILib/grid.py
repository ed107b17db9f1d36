"""A voxel grid in patient space, and boxes cut out of it.

Arrays are (k, j, i) = (slice, row, column); indices as points are (i, j, k); positions are LPS millimetres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from DicomWorkbenchLib.errors import GeometryError
from DicomWorkbenchLib.geometry import FloatArray, Point3, spacing_of, transform_points, voxel_volume_mm3
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Grid:
    """Voxel values and where they are.

    Attributes
    ----------
    array : shape (k, j, i), any number type; NaN marks voxels without a value.
    matrix_lps : (4, 4), index (i, j, k, 1) of a voxel's centre to LPS mm; may be oblique, anisotropic and sheared.

    Raises
    ------
    GeometryError : the array has not three axes, or the matrix cannot be inverted.
    """

    array: Array
    matrix_lps: FloatArray

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            raise GeometryError(f"expected a volume with three axes (slice, row, column), got shape {self.array.shape}")
        matrix = np.asarray(self.matrix_lps, dtype=float)
        if matrix.shape != (4, 4) or not np.all(np.isfinite(matrix)) or voxel_volume_mm3(matrix) < 1e-9:
            raise GeometryError("the volume's voxel size or orientation is missing or zero; check its spacing")

    @cached_property
    def inverse(self) -> FloatArray:
        """LPS mm to index (i, j, k)."""
        return np.asarray(np.linalg.inv(self.matrix_lps))

    @cached_property
    def spacing_mm(self) -> Point3:
        """Voxel size along (i, j, k)."""
        return spacing_of(self.matrix_lps)

    @cached_property
    def voxel_ml(self) -> float:
        """Volume of a voxel."""
        return voxel_volume_mm3(self.matrix_lps) / 1000.0

    @property
    def size_ijk(self) -> tuple[int, int, int]:
        """Number of voxels along (i, j, k)."""
        k, j, i = self.array.shape
        return i, j, k

    @cached_property
    def normal_lps(self) -> FloatArray:
        """Unit vector from slice to slice, at right angles to the slices."""
        normal = np.cross(self.matrix_lps[:3, 0], self.matrix_lps[:3, 1])
        normal = normal / np.linalg.norm(normal)
        return np.asarray(normal if normal @ self.matrix_lps[:3, 2] > 0 else -normal)

    def index_of(self, point_lps: ArrayLike) -> FloatArray:
        """Return the continuous index (i, j, k) of a point, or (N, 3) of points."""
        return transform_points(self.inverse, point_lps)

    def point_of(self, index_ijk: ArrayLike) -> FloatArray:
        """Return the LPS position of a continuous index (i, j, k), or (N, 3) of indices."""
        return transform_points(self.matrix_lps, index_ijk)

    def contains(self, point_lps: ArrayLike) -> bool:
        """True if the point lies within a voxel of the grid."""
        index = self.index_of(point_lps)
        return bool(np.all(index >= -0.5) and np.all(index <= np.array(self.size_ijk) - 0.5))

    def reach(self, radius_mm: float) -> FloatArray:
        """Return how many indices along (i, j, k) a sphere of this radius reaches from its centre."""
        return np.asarray(radius_mm * np.linalg.norm(self.inverse[:3, :3], axis=1))

    def around(self, center_lps: ArrayLike, radius_mm: float) -> Box:
        """Cut out the box of voxels whose centres can lie within ``radius_mm`` of a point; it may be empty."""
        index, reach = self.index_of(center_lps), self.reach(radius_mm)
        low = np.clip(np.ceil(index - reach - 1e-9), 0, np.array(self.size_ijk)).astype(int)
        high = np.clip(np.floor(index + reach + 1e-9) + 1, low, np.array(self.size_ijk)).astype(int)
        return Box(self, (int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2])))


@dataclass(frozen=True)
class Box:
    """A part of a grid: indices ``low`` (included) to ``high`` (not included), as (i, j, k)."""

    grid: Grid
    low: tuple[int, int, int]
    high: tuple[int, int, int]

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Slices to cut the box out of an array (k, j, i)."""
        i, j, k = (slice(a, b) for a, b in zip(self.low, self.high, strict=True))
        return k, j, i

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (k, j, i)."""
        i, j, k = (b - a for a, b in zip(self.low, self.high, strict=True))
        return k, j, i

    @property
    def is_empty(self) -> bool:
        """True without a single voxel."""
        return math.prod(self.shape) == 0

    def values(self) -> FloatArray:
        """Return the voxel values as float64, shape (k, j, i)."""
        return np.asarray(self.grid.array[self.slices], dtype=np.float64)

    def offsets_mm(self, center_lps: ArrayLike) -> FloatArray:
        """Return every voxel centre's position minus a point, LPS mm, shape (3, k, j, i)."""
        m = self.grid.matrix_lps
        k, j, i = (np.arange(s.start, s.stop) for s in self.slices)
        start = m[:3, 3] - np.asarray(center_lps, dtype=float)
        parts = [
            start[axis] + m[axis, 0] * i[None, None, :] + m[axis, 1] * j[None, :, None] + m[axis, 2] * k[:, None, None]
            for axis in range(3)
        ]
        return np.asarray(np.stack(parts))

    def in_plane_mm(self, center_lps: ArrayLike) -> FloatArray:
        """Return every voxel centre's offset from a point within its slice, along (row, at right angles to it), mm, shape (2, k, j, i)."""
        along = self.grid.matrix_lps[:3, 0] / np.linalg.norm(self.grid.matrix_lps[:3, 0])
        across = np.cross(self.grid.normal_lps, along)
        return np.asarray(np.tensordot(np.stack([along, across]), self.offsets_mm(center_lps), axes=(1, 0)))

    def distances_mm(self, center_lps: ArrayLike) -> FloatArray:
        """Return every voxel centre's distance to a point, mm, shape (k, j, i)."""
        return np.asarray(np.sqrt(np.sum(self.offsets_mm(center_lps) ** 2, axis=0)))

    def index_of(self, flat: int) -> FloatArray:
        """Return the grid index (i, j, k) of a position in the box's flattened array."""
        k, j, i = np.unravel_index(flat, self.shape)
        return np.asarray(np.array([i, j, k], dtype=float) + np.array(self.low))
