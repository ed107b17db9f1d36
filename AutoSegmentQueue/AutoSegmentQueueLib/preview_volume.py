"""A small copy of scan and labels in the result folder, to look at slices when the scan itself is archived or gone.

Written as ``preview.npz``: at most `MOST_VOXELS` voxels, turned onto the patient's axes by swapping and flipping alone (nothing is
interpolated), so that its axes run towards superior, posterior and left. Means of blocks stand for the scan, the block's centre for
the labels: fit to be looked at, not to be measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from DicomWorkbenchLib.errors import FileError
from DicomWorkbenchLib.geometry import FloatArray, spacing_of
from DicomWorkbenchLib.windowing import PRESETS, Window
from numpy.typing import NDArray

from AutoSegmentQueueLib.engines.model import ImageVolume, Labels

NAME = "preview.npz"
MOST_VOXELS = 6_000_000  # about 4 MB in the file
MOST_ALONG = 256
HU_STEP = 2  # a screen shows no less of it, and the file is much smaller
CT_LOWEST = -500  # a scan with less than this is a CT, whatever its header leaves out
_LEVELS = 4095


@dataclass(frozen=True, eq=False)
class PreviewVolume:
    """Scan and labels on a coarse grid along the patient's axes.

    Attributes
    ----------
    scan : (k, j, i) int16, HU of a CT, levels 0 to 4095 otherwise; k runs to superior, j to posterior, i to the patient's left.
    labels : (k, j, i) values of the engine's label map.
    matrix_lps : (4, 4) from index (i, j, k, 1) to LPS mm; oblique scans stay oblique.
    window : what is shown at first, in the unit of ``scan``.
    is_ct : values are HU, so that windows by name mean something.
    """

    scan: NDArray[np.int16]
    labels: NDArray[Any]
    matrix_lps: FloatArray
    window: Window
    is_ct: bool

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along (i, j, k)."""
        return spacing_of(self.matrix_lps)


def make(volume: ImageVolume, labelmap: Labels) -> PreviewVolume:
    """Make the small copy of a scan and its labels, both (k, j, i) on one grid."""
    array, labels, matrix = _on_patient_axes(volume.array, labelmap, volume.matrix_lps)
    factors_kji = _factors(array.shape, spacing_of(matrix)[::-1])
    scan, labels, matrix = _coarser(array, labels, matrix, factors_kji)
    is_ct = volume.units == "HU" or volume.modality == "CT" or (not volume.modality and float(scan.min()) < CT_LOWEST)
    stored = np.clip(np.rint(scan / HU_STEP) * HU_STEP, -32768, 32767) if is_ct else _levels(scan)
    small = labels.astype(np.uint8) if labels.max(initial=0) < 256 else labels
    return PreviewVolume(stored.astype(np.int16), small, matrix, _window(stored, is_ct), is_ct)


def write(path: Path, preview: PreviewVolume) -> None:
    """Write the copy; equal content is an equal file."""
    numbers = np.array([preview.window.level, preview.window.width, preview.is_ct], float)
    with path.open("wb") as stream:
        np.savez_compressed(
            stream, scan=preview.scan, labels=preview.labels, matrix_lps=preview.matrix_lps, numbers=numbers
        )


def read(path: Path) -> PreviewVolume:
    """Read the copy.

    Raises
    ------
    FileError : it is not there or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as parts:
            level, width, is_ct = (float(value) for value in parts["numbers"])
            scan, labels, matrix = parts["scan"], parts["labels"], parts["matrix_lps"]
            return PreviewVolume(scan, labels, matrix, Window(level, width), bool(is_ct))
    except (OSError, ValueError, KeyError) as error:
        raise FileError(
            f"{path.name} cannot be read: {type(error).__name__}; the result has no slices to show"
        ) from error


def _on_patient_axes(
    array: NDArray[Any], labels: NDArray[Any], matrix_lps: FloatArray
) -> tuple[NDArray[Any], NDArray[Any], FloatArray]:
    """Swap and flip axes so that i, j, k run mostly to left, posterior, superior."""
    axes = matrix_lps[:3, :3] / np.linalg.norm(matrix_lps[:3, :3], axis=0)
    order = max(permutations(range(3)), key=lambda p: sum(abs(axes[row, p[row]]) for row in range(3)))
    swapped = np.eye(4)
    swapped[:3, :3] = matrix_lps[:3, list(order)]
    swapped[:3, 3] = matrix_lps[:3, 3]
    numpy_order = [2 - order[2 - axis] for axis in range(3)]
    array, labels = array.transpose(numpy_order), labels.transpose(numpy_order)
    for axis in range(3):
        if swapped[axis, axis] < 0:
            last = array.shape[2 - axis] - 1
            swapped[:3, 3] += last * swapped[:3, axis]
            swapped[:3, axis] *= -1
            array, labels = np.flip(array, 2 - axis), np.flip(labels, 2 - axis)
    return array, labels, swapped


def _factors(shape_kji: tuple[int, ...], spacing_kji: tuple[float, ...]) -> tuple[int, ...]:
    """Return how many voxels become one along each axis, so that the result is small and its voxels are nearly cubes."""
    wanted = min(spacing_kji)
    while True:
        factors = tuple(max(1, round(wanted / mm)) for mm in spacing_kji)
        sizes = [length // factor for length, factor in zip(shape_kji, factors, strict=True)]
        if max(sizes) <= MOST_ALONG and np.prod(sizes, dtype=float) <= MOST_VOXELS:
            return tuple(min(f, length) for f, length in zip(factors, shape_kji, strict=True))
        wanted *= 1.1


def _coarser(
    array: NDArray[Any], labels: NDArray[Any], matrix: FloatArray, factors_kji: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[Any], FloatArray]:
    sizes = [length // factor for length, factor in zip(array.shape, factors_kji, strict=True)]
    box = tuple(slice(0, size * factor) for size, factor in zip(sizes, factors_kji, strict=True))
    (k, fk), (j, fj), (i, fi) = zip(sizes, factors_kji, strict=True)
    coarse = np.empty(sizes, np.float32)
    for number in range(k):  # plane by plane: a float copy of the whole scan may not fit
        planes = array[number * fk : (number + 1) * fk, box[1], box[2]]
        coarse[number] = planes.reshape(fk, j, fj, i, fi).mean(axis=(0, 2, 4), dtype=np.float32)
    centers = tuple(slice(factor // 2, size * factor, factor) for size, factor in zip(sizes, factors_kji, strict=True))
    scaled = matrix.copy()
    for axis, factor in enumerate(reversed(factors_kji)):
        scaled[:3, 3] += (factor - 1) / 2 * matrix[:3, axis]
        scaled[:3, axis] *= factor
    return coarse, np.ascontiguousarray(labels[centers]), scaled


def _levels(scan: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = float(scan.min()), float(scan.max())
    levels: NDArray[np.float32] = np.rint((scan - low) * np.float32(_LEVELS / max(high - low, 1e-6)))
    return levels


def _window(stored: NDArray[np.float32], is_ct: bool) -> Window:
    if is_ct:
        return PRESETS["soft tissue"]
    low, high = (float(value) for value in np.percentile(stored[:: max(1, len(stored) // 40)], (1, 99.5)))
    return Window((low + high) / 2, max(high - low, 2.0))
