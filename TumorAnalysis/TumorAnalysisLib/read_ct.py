"""The CT of a patient from a folder of DICOM files, with what is needed to place masks on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import NoDicomError
from DicomWorkbenchLib.headers import Tag, quiet_pydicom, read_dataset, read_header
from DicomWorkbenchLib.progress import CancelToken, Progress
from DicomWorkbenchLib.series import Series, Severity, scan
from DicomWorkbenchLib.volume import read_volume
from numpy.typing import NDArray

from TumorAnalysisLib.audit import ReferenceSlices
from TumorAnalysisLib.grid import Grid
from TumorAnalysisLib.metadata import KEYWORDS, metadata_of, slice_thickness


@dataclass(frozen=True)
class Ct:
    """A CT volume with its header facts."""

    image: NDArray[Any]
    grid: Grid
    reference: ReferenceSlices
    metadata: Mapping[str, Any]
    slice_thickness_mm: float
    notes: tuple[str, ...]
    files: tuple[Path, ...]


def read_ct(folders: list[Path], *, jobs: int, progress: Progress, cancel: CancelToken) -> Ct:
    """Read the largest volume among the DICOM files of some folders.

    Raises
    ------
    NoDicomError : there is no volume.
    GeometryError, PixelDataError : the slices cannot be stacked or read.
    """
    with scan(folders, progress=progress, cancel=cancel, jobs=jobs) as found:
        volumes = found.require_images().volumes()
        if not volumes:
            raise NoDicomError(f"no CT volume among {found.files_seen} files: {found.series[0].obstacle}")
        others = [f"{one.label} with {len(one.planes)} slices is not used" for one in volumes[1:]]
        return ct_of(volumes[0], jobs=jobs, progress=progress, cancel=cancel, notes=tuple(others))


def ct_of(series: Series, *, jobs: int, progress: Progress, cancel: CancelToken, notes: tuple[str, ...] = ()) -> Ct:
    """Read one series as the CT of a patient."""
    volume = read_volume(series, progress=progress, cancel=cancel, jobs=jobs)
    k, j, i = volume.array.shape
    grid = Grid((k, j, i), volume.matrix_lps)
    instances = [plane.instance for plane in series.planes]
    header = read_dataset(instances[0].path, pixels=False, tags=KEYWORDS)
    with quiet_pydicom(
        f"{instances[0].origin} has a broken header"
    ):  # its values are only understood when they are asked for
        metadata = metadata_of(header)
    names = {instance.path.name: number for number, instance in enumerate(instances)}
    numbers = {one.instance_number: number for number, one in enumerate(instances) if one.instance_number is not None}
    reference = ReferenceSlices(
        grid,
        names if len(names) == k else {},
        numbers if len(numbers) == k else {},
        read_header(instances[0].path).text(Tag.PATIENT_ID),
    )
    remarks = tuple(str(problem) for problem in series.problems if problem.severity is not Severity.NOTE)
    return Ct(
        volume.array,
        grid,
        reference,
        metadata,
        slice_thickness(metadata, grid.spacing_ijk_mm[2]),
        notes + remarks,
        tuple(instance.path for instance in series.instances),
    )
