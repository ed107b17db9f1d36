"""CT and masks from NIfTI and NRRD files: LiTS pairs, and a CT with a Slicer segmentation beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from DicomWorkbenchLib.errors import FileError, GeometryError
from numpy.typing import NDArray

from TumorAnalysisLib.grid import FloatArray, Grid, axial_first
from TumorAnalysisLib.masks import EMPTY, Mask, crop
from TumorAnalysisLib.patient import PatientData, Structure

LIVER_FROM, TUMOR = 1, 2  # LiTS labels: 1 liver, 2 tumour, which is part of the liver
LITS_CT = re.compile(r"^volume-(\d+)\.nii(\.gz)?$", re.IGNORECASE)
CT_FILE = re.compile(r"^ct\.nrrd$", re.IGNORECASE)
SEGMENTATION_SUFFIX = ".seg.nrrd"
_SEGMENT_KEY = re.compile(r"^Segment(\d+)_(Name|Layer|LabelValue|ID)$")


def lits_mask_of(ct: Path) -> Path | None:
    """Return the segmentation that belongs to a LiTS volume, or None."""
    number = LITS_CT.match(ct.name)
    if number is None:
        return None
    names = (f"segmentation-{number.group(1)}.nii", f"segmentation-{number.group(1)}.nii.gz")
    return next((ct.with_name(name) for name in names if ct.with_name(name).is_file()), None)


def read_lits(ct: Path, patient_id: str) -> PatientData:
    """Read one LiTS pair: labels 1 and 2 are the liver, 2 is tumour, each connected piece a lesion.

    Raises
    ------
    FileError : a file is missing or broken.
    GeometryError : the segmentation does not lie on the volume.
    """
    mask_file = lits_mask_of(ct)
    if mask_file is None:
        raise FileError(f"{ct.name} has no segmentation-N.nii beside it")
    image, matrix = _oriented(_read(ct))
    grid = _grid(image, matrix)
    labels, label_matrix = _oriented(_read(mask_file))
    if not grid.matches(_grid(labels, label_matrix)):
        raise GeometryError(
            f"{mask_file.name} does not lie on the voxels of {ct.name}: shape, spacing or position differ"
        )
    structures = (
        Structure("liver", crop(labels >= LIVER_FROM)),
        Structure("livertumor", crop(labels == TUMOR), one_lesion=False),
    )
    return PatientData(patient_id, image, grid, structures, grid.spacing_ijk_mm[2], {"modality": "CT"})


def segmentation_beside(ct: Path) -> Path | None:
    """Return the one ``.seg.nrrd`` in the folder of a CT, or None."""
    found = sorted(ct.parent.glob(f"*{SEGMENTATION_SUFFIX}"))
    return found[0] if len(found) == 1 else None


def read_slicer(ct: Path, patient_id: str) -> PatientData:
    """Read a CT (``ct.nrrd``) and the Slicer segmentation beside it; each segment is a structure.

    Raises
    ------
    FileError, GeometryError : a file is missing or broken, or the segmentation does not lie on the CT.
    """
    file = segmentation_beside(ct)
    if file is None:
        raise FileError(f"{ct.name} needs exactly one {SEGMENTATION_SUFFIX} file beside it")
    image, matrix = _oriented(_read(ct))
    grid = _grid(image, matrix)
    structures = tuple(_segments(_read(file), grid))
    return PatientData(patient_id, image, grid, structures, grid.spacing_ijk_mm[2], {"modality": "CT"})


def _segments(segmentation: Any, grid: Grid) -> list[Structure]:
    voxels, matrix = _oriented(segmentation)
    start = _offset(grid, matrix)
    layers = voxels if voxels.ndim == 4 else voxels[..., None]
    described: dict[int, dict[str, str]] = {}
    for key in segmentation.GetMetaDataKeys():
        match = _SEGMENT_KEY.match(key)
        if match:
            described.setdefault(int(match.group(1)), {})[match.group(2)] = segmentation.GetMetaData(key)
    found = []
    for number in sorted(described):
        facts = described[number]
        layer = layers[..., int(facts.get("Layer", 0))]
        found.append(
            _clipped(
                facts.get("Name", f"segment {number}"), crop(layer == int(facts.get("LabelValue", 1)), start), grid
            )
        )
    return found


def _clipped(name: str, mask: Mask, grid: Grid) -> Structure:
    outside = any(low < 0 for low in mask.start_kji) or any(
        stop > size for stop, size in zip(mask.stop_kji, grid.shape_kji, strict=True)
    )
    if mask.empty or not outside:
        return Structure(name, mask, notes=("the mask is empty",) if mask.empty else ())
    return Structure(name, EMPTY, refused="it reaches beyond the CT")


def _offset(grid: Grid, matrix: FloatArray) -> tuple[int, int, int]:
    """Return where a cropped image starts in the grid, (k, j, i)."""
    steps = matrix[:3, :3].T
    if np.abs(steps - grid.steps_mm).max() > 1e-3 * np.abs(grid.steps_mm).max():
        raise GeometryError(
            "spacing or orientation of the segmentation differ from the CT's; resample it to the CT first"
        )
    at = (matrix[:3, 3] - grid.matrix_lps[:3, 3]) @ np.linalg.inv(grid.steps_mm)
    if np.abs(at - np.rint(at)).max() > 0.05:
        raise GeometryError("the segmentation lies between the voxels of the CT; resample it to the CT first")
    i, j, k = (int(v) for v in np.rint(at))
    return k, j, i


def _read(file: Path) -> Any:
    import SimpleITK as sitk

    try:
        return sitk.ReadImage(str(file))
    except RuntimeError as error:
        raise FileError(f"{file.name} is no readable NIfTI or NRRD file") from error


def _oriented(image: Any) -> tuple[NDArray[Any], FloatArray]:
    import SimpleITK as sitk

    if image.GetDimension() != 3:
        raise GeometryError(f"the image has {image.GetDimension()} dimensions, expected 3")
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    voxels = sitk.GetArrayFromImage(image)
    return axial_first(voxels, matrix)


def _grid(image: NDArray[Any], matrix: FloatArray) -> Grid:
    k, j, i = image.shape[:3]
    return Grid((k, j, i), matrix)
