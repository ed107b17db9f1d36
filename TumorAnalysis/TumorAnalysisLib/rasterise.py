"""Contours of an RTSTRUCT to voxels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from DicomWorkbenchLib.errors import GeometryError
from DicomWorkbenchLib.polygons import polygon_pixels

from TumorAnalysisLib.grid import FloatArray, Grid
from TumorAnalysisLib.masks import EMPTY, Mask, crop

PLANE_TOLERANCE = 0.1  # of a slice step between a contour and the slice it is drawn on


def mask_of_contours(contours_lps: Sequence[FloatArray], grid: Grid) -> Mask:
    """Set the voxels whose centre lies inside closed planar contours; a contour inside another one cuts a hole.

    Parameters
    ----------
    contours_lps : each (n, 3) corners in LPS mm, on a slice of the grid.

    Raises
    ------
    GeometryError : a contour lies on no slice or leaves the image.
    """
    by_slice: dict[int, list[FloatArray]] = defaultdict(list)
    for contour in contours_lps:
        ijk = (contour - grid.matrix_lps[:3, 3]) @ np.linalg.inv(grid.steps_mm)
        k = int(np.rint(ijk[:, 2].mean()))
        if np.abs(ijk[:, 2] - k).max() > PLANE_TOLERANCE or not 0 <= k < grid.shape_kji[0]:
            raise GeometryError("a contour lies on no slice of the CT")
        by_slice[k].append(ijk[:, :2])
    if not by_slice:
        return EMPTY
    first, last = min(by_slice), max(by_slice)
    voxels = np.zeros((last - first + 1, *grid.shape_kji[1:]), dtype=np.bool_)
    for k, polygons in by_slice.items():
        for polygon in polygons:
            voxels[k - first] ^= polygon_pixels(polygon, grid.shape_kji[1:])
    return crop(voxels, (first, 0, 0))
