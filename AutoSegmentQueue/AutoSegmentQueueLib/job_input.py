"""From a job's input to voxels: DICOM sorted and checked for gaps, NRRD and NIfTI as they are, tilted scans put upright."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from DicomWorkbenchLib.errors import DependencyError, FileError, InputError
from DicomWorkbenchLib.geometry import FloatArray, spacing_of
from DicomWorkbenchLib.progress import CancelToken, Progress
from DicomWorkbenchLib.report import InputFile, sha256_of
from DicomWorkbenchLib.series import scan
from DicomWorkbenchLib.volume import read_volume

from AutoSegmentQueueLib.dicom_objects.source import DicomSource, source_of
from AutoSegmentQueueLib.engines.model import ImageVolume

SIMPLEITK_ENDINGS = (".nrrd", ".nii", ".nii.gz")
LEAST_VOXELS = 2  # along each axis; less is a picture, not a scan
SHEAR_TOLERANCE = 1e-3  # cosine between slice normal and step; headers carry 6 digits


@dataclass(frozen=True, eq=False)
class LoadedInput:
    """A scan that was read: voxels, the files it came from, and what a user should know."""

    volume: ImageVolume
    files: list[InputFile]
    warnings: list[str]
    source: DicomSource | None = None  # of DICOM scans


def load(paths: Sequence[Path], progress: Progress, cancel: CancelToken) -> LoadedInput:
    """Read the scan of a job.

    Raises
    ------
    InputError : it is missing, broken, or no three-dimensional image.
    """
    for path in paths:
        if not path.exists():
            raise InputError(f"the input {path.name} is not there any more; add it again")
    if len(paths) == 1 and paths[0].is_file() and paths[0].name.lower().endswith(SIMPLEITK_ENDINGS):
        loaded = _image_file(paths[0])
    else:
        loaded = _dicom(paths, progress, cancel)
    cancel.check()
    _check(loaded.volume)
    return loaded


def _dicom(paths: Sequence[Path], progress: Progress, cancel: CancelToken) -> LoadedInput:
    with scan(paths, progress=progress, cancel=cancel) as found:
        volumes = found.require_images().volumes()
        if not volumes:
            found.series[0].require_volume()  # raises with the reason
        series = volumes[0]
        read = read_volume(series, progress=progress, cancel=cancel)
        warnings = list(dict.fromkeys(read.warnings))
        if len(volumes) > 1:
            warnings.append(
                f"{len(volumes)} series were found; the one with most slices, {series.label}, was segmented"
            )
        files = _hashed(paths, [instance.path for instance in series.instances])
        uids = tuple(instance.sop_instance_uid for instance in series.instances)
        array, matrix = read.array, read.matrix_lps
        if not _is_upright(matrix):
            array, matrix = _upright(array, matrix)
            warnings.append("the gantry was tilted; the slices were moved onto an upright grid before segmentation")
        source = source_of(read.series, matrix)
    true = (None, None) if source.is_even else (source.slab_mm, source.origins_lps)
    return LoadedInput(ImageVolume(array, matrix, read.units, series.modality, uids, *true), files, warnings, source)


def _hashed(given: Sequence[Path], used: Sequence[Path]) -> list[InputFile]:
    """Return what was given with its hash: an archive as a whole, of a folder the files that were used.

    Results are passed on, so they name files without the folders of this computer.
    """
    archives = [path for path in given if path.is_file()]
    root = given[0].parent
    return [
        InputFile(path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name, sha256_of(path))
        for path in (archives or used)
    ]


def _image_file(path: Path) -> LoadedInput:
    try:
        import SimpleITK as sitk
    except ImportError as error:
        raise DependencyError("SimpleITK", extra="queue") from error
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        reason = str(error).strip().rpartition("\n")[2][:200]
        raise FileError(f"{path.name} cannot be read as an image: {reason}") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(
            f"{path.name} has {image.GetDimension()} dimensions and {image.GetNumberOfComponentsPerPixel()} components "
            "per voxel; a scan with three dimensions and one value per voxel is needed"
        )
    direction = np.asarray(image.GetDirection()).reshape(3, 3)
    matrix = np.eye(4)
    matrix[:3, :3] = direction * np.asarray(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    array, warnings = _numbers(sitk.GetArrayFromImage(image))
    if path.name.lower().endswith(".nrrd") and not image.HasMetaDataKey("NRRD_space"):
        warnings.append("the NRRD file does not say in which space its directions are; LPS was assumed")
    return LoadedInput(ImageVolume(array, matrix), [InputFile(path.name, sha256_of(path))], warnings)


def _numbers(array: Any) -> tuple[Any, list[str]]:
    """Return int16 or float32 values; what is no number becomes the lowest value, and is reported."""
    if np.issubdtype(array.dtype, np.integer):
        low, high = int(array.min()), int(array.max())
        return array.astype(np.int16 if low >= -32768 and high <= 32767 else np.float32), []
    finite = np.isfinite(array)
    if finite.all():
        return array.astype(np.float32), []
    if not finite.any():
        raise InputError("the image holds no numbers, only NaN or infinite values")
    mended = np.where(finite, array, array[finite].min()).astype(np.float32)
    return mended, [f"{int((~finite).sum())} voxels hold no number and were taken for the lowest value"]


def _check(volume: ImageVolume) -> None:
    if min(volume.array.shape) < LEAST_VOXELS:
        shape = " x ".join(str(n) for n in reversed(volume.array.shape))
        raise InputError(f"the scan has {shape} voxels; at least {LEAST_VOXELS} along each axis are needed")
    if volume.array.min() == volume.array.max():
        raise InputError("all voxels of the scan have the same value; there is nothing to segment")


def _is_upright(matrix: FloatArray) -> bool:
    axes = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() < SHEAR_TOLERANCE)


def _upright(array: Any, matrix: FloatArray) -> tuple[Any, FloatArray]:
    """Move the slices of a sheared volume within their planes, so that the grid becomes orthogonal.

    The grid grows to hold every slice; what was not measured gets the lowest value.
    """
    from scipy.ndimage import shift

    i_mm, j_mm, _ = spacing_of(matrix)
    right, down = matrix[:3, 0] / i_mm, matrix[:3, 1] / j_mm
    normal = np.cross(right, down)
    step = matrix[:3, 2]
    per_slice = np.array([step @ down / j_mm, step @ right / i_mm])  # (j, i) voxels from one slice to the next
    moved = np.arange(len(array))[:, None] * per_slice
    first = np.floor(moved.min(axis=0)).astype(int)
    rows, columns = np.asarray(array.shape[1:]) + np.ceil(moved.max(axis=0)).astype(int) - first
    low = array.min()
    upright = np.full((len(array), rows, columns), low, array.dtype)
    for k, one in enumerate(array):
        upright[k, : one.shape[0], : one.shape[1]] = one
        shift(upright[k].copy(), moved[k] - first, upright[k], order=1, mode="constant", cval=float(low))
    new = matrix.copy()
    new[:3, 2] = normal * (step @ normal)
    new[:3, 3] = matrix[:3, 3] + first[0] * matrix[:3, 1] + first[1] * matrix[:3, 0]
    return upright, new
