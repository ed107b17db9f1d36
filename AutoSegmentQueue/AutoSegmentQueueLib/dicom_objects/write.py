"""All DICOM objects of one result, and sentences about what could not be written and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import DependencyError, InputError
from DicomWorkbenchLib.progress import CancelToken

from AutoSegmentQueueLib.dicom_objects.identity import Identity
from AutoSegmentQueueLib.dicom_objects.source import DicomSource, missing_for_objects
from AutoSegmentQueueLib.engines.model import ImageVolume, Segmented
from AutoSegmentQueueLib.export_mesh import Mesh, file_name, write_stl
from AutoSegmentQueueLib.statistics import StructureFigures

SEGMENTATION, STRUCTURES, MEASUREMENTS = "segmentation.dcm", "rtstruct.dcm", "measurements.dcm"
SURFACES = "surfaces"


@dataclass(frozen=True, eq=False)
class Result:
    """What there is to be written: scan, labels, figures, surfaces, and the options they came from."""

    volume: ImageVolume
    segmented: Segmented
    figures: list[StructureFigures]
    meshes: Sequence[Mesh]
    options: dict[str, Any]


def write_objects(
    folder: Path, source: DicomSource, result: Result, wanted: Sequence[str], cancel: CancelToken
) -> list[str]:
    """Write the objects that are wanted into a folder; returns warnings.

    Parameters
    ----------
    wanted : of "seg", "seg-labelmap", "rtstruct", "sr", "stl".
    """
    if not wanted:
        return []
    if reason := missing_for_objects(source):
        return [f"no DICOM objects were written: {reason}"]
    try:
        return _write(folder, source, result, wanted, cancel)
    except DependencyError as error:
        return [f"not all DICOM objects were written: {error}"]


def _write(folder: Path, source: DicomSource, result: Result, wanted: Sequence[str], cancel: CancelToken) -> list[str]:
    from AutoSegmentQueueLib.dicom_objects.report_sr import write_report
    from AutoSegmentQueueLib.dicom_objects.rtstruct import write_structure_set
    from AutoSegmentQueueLib.dicom_objects.seg import write_segmentation

    segmented, warnings = result.segmented, _remarks(source)
    identity = Identity.of(source, segmented, result.options)
    if "rtstruct" in wanted:
        write_structure_set(folder / STRUCTURES, source, segmented, identity, cancel)
    if "stl" in wanted:
        _surfaces(folder, source, result, identity)
    if not {"seg", "seg-labelmap", "sr"} & set(wanted):
        return warnings
    cancel.check()
    try:
        segmentation = write_segmentation(
            folder / SEGMENTATION, source, segmented, identity, labelmap="seg-labelmap" in wanted
        )
    except InputError as error:
        warnings.append(f"the segmentation was written as BINARY: {error}")
        segmentation = write_segmentation(folder / SEGMENTATION, source, segmented, identity)
    cancel.check()
    if "sr" in wanted:
        figures, units = result.figures, result.volume.units
        write_report(folder / MEASUREMENTS, source, segmentation, segmented.structures, figures, identity, units)
    return warnings


def _remarks(source: DicomSource) -> list[str]:
    found = []
    if not source.is_native:
        found.append(
            "the gantry was tilted: the DICOM segmentation has the upright grid's pixels, not those of the images; "
            "viewers that want equal pixels show the structure set only"
        )
    if not source.is_even:
        found.append(
            "the slices are unevenly spaced: DICOM objects, models, volumes and centres follow the true positions of the slices; "
            "the .seg.nrrd file can only have the mean distance"
        )
    return found


def _surfaces(folder: Path, source: DicomSource, result: Result, identity: Identity) -> None:
    from AutoSegmentQueueLib.dicom_objects.encapsulated import write_encapsulated_stl

    (folder / SURFACES).mkdir(exist_ok=True)
    by_name = {structure.name: structure for structure in result.segmented.structures}
    for number, mesh in enumerate(result.meshes, 1):
        path = folder / SURFACES / f"{file_name(mesh.name)}.dcm"
        stl = path.with_suffix(".stl")
        write_stl(stl, mesh)
        write_encapsulated_stl(path, stl, source, by_name[mesh.name], identity, number)
        stl.unlink()
