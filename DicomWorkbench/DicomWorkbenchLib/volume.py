"""A series to an array with its geometry and units."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from DicomWorkbenchLib.errors import PixelDataError
from DicomWorkbenchLib.geometry import FloatArray, Point3, lps_to_ras, spacing_of
from DicomWorkbenchLib.headers import read_dataset
from DicomWorkbenchLib.pixels import decode_pixels
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from DicomWorkbenchLib.series_model import Problem, ProblemKind, Series

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["Volume", "decode_pixels", "read_volume"]


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels (k, j, i) in real-world units, with the matrix from index (i, j, k, 1) to LPS mm."""

    array: NDArray[Any]
    matrix_lps: FloatArray
    units: str
    series: Series
    problems: list[Problem] = field(default_factory=list)

    @property
    def matrix_ras(self) -> FloatArray:
        """Matrix (4, 4) from index (i, j, k, 1) to RAS mm."""
        return lps_to_ras(self.matrix_lps)

    @property
    def spacing_mm(self) -> Point3:
        """Voxel size along (i, j, k)."""
        return spacing_of(self.matrix_lps)


def read_volume(
    series: Series,
    *,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
    jobs: int | None = None,
    on_bad_slice: Literal["stop", "skip"] = "stop",
) -> Volume:
    """Read the voxels of a series."""
    series.require_volume()
    slices: list[NDArray[Any] | None] = []
    problems: list[Problem] = []
    units = ""
    for number, plane in enumerate(series.planes):
        cancel.check()
        dataset = read_dataset(plane.instance.path)
        try:
            stored = decode_pixels(dataset)[plane.frame]
        except PixelDataError as error:
            message = f"{plane.instance.origin}: {error}"
            if on_bad_slice == "stop":
                raise PixelDataError(message) from error
            problems.append(Problem(ProblemKind.BAD_SLICE, message, (plane.instance.origin,)))
            continue
        units = units or _units(dataset)
        slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
        slices.append(stored * slope + intercept)
        progress(number + 1, len(series.planes), "reading slices")
    array = np.stack(slices)
    whole = np.rint(array)
    if np.array_equal(whole, array) and abs(array).max() < 32768:
        array = array.astype(np.int16)
    else:
        array = array.astype(np.float32)
    return Volume(array, series.matrix_lps, units, series, problems)


def _units(dataset: Dataset) -> str:
    if dataset.get("Units"):
        return {"BQML": "Bq/ml"}.get(dataset.Units, dataset.Units)
    return dataset.get("RescaleType") or ("HU" if dataset.get("Modality") == "CT" else "")
