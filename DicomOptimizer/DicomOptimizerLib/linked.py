"""Objects that refer to images, from file to file: structure sets, segmentations, doses, plans, presentation states, reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from DicomWorkbenchLib.uids import UidMap
from pydicom.dataset import Dataset

from DicomOptimizerLib.contours import RoiResult
from DicomOptimizerLib.deidentify import STRUCTURED_REPORTS
from DicomOptimizerLib.presentation import scale_coordinates
from DicomOptimizerLib.reading import read_file
from DicomOptimizerLib.references import rewire
from DicomOptimizerLib.resampling import Resize
from DicomOptimizerLib.rtstruct import StructureResult, remap_structures
from DicomOptimizerLib.segmentation import remap_segmentation
from DicomOptimizerLib.segmentation_pixels import pack_frames, unpack_frames
from DicomOptimizerLib.settings import ContourRule
from DicomOptimizerLib.slices import FileResult, Job
from DicomOptimizerLib.stack import SliceStack
from DicomOptimizerLib.writing import save


@dataclass(frozen=True)
class LinkedSeries:
    """A series as linked objects see it: its slices, how they change, and where they were.

    ``origins_lps`` holds ImagePositionPatient of every slice before the job; ``sop_class`` is the images' class in the output.
    """

    stack: SliceStack
    resize: Resize | None
    origins_lps: tuple[tuple[float, float, float], ...]
    sop_class: str


@dataclass(frozen=True)
class LinkedTask:
    """One linked object to be written; ``series`` are those it refers to that are part of the job, the main one first."""

    path: Path
    origin: str
    target: Path
    modality: str
    series: tuple[LinkedSeries, ...]
    rule: ContourRule


@dataclass(frozen=True)
class LinkedResult(FileResult):
    """What a linked object came to; ``is_left_out`` if it would have said nothing any more."""

    rois: tuple[RoiResult, ...] = ()
    references_dropped: int = 0
    is_left_out: bool = field(default=False)


def process_linked(task: LinkedTask, job: Job, uids: UidMap) -> LinkedResult:
    """Make one linked object of the output.

    Raises
    ------
    FileError, PixelDataError : the file or its pixels cannot be read.
    """
    dataset, digest, size = read_file(task.path, task.origin)
    if job.deidentify is not None and str(dataset.SOPClassUID).startswith(STRUCTURED_REPORTS):
        note = "a report was left out: its free text may name the patient anywhere"
        return LinkedResult(digest, size, warnings=(note,), is_left_out=True)
    notes, rois, structures = _follow(dataset, task)
    resized = {uid: one.resize for one in task.series if one.resize is not None for uid in one.stack.sop_uids}
    scale_coordinates(dataset, resized)
    referred = _refers_to_images(dataset)
    dropped = rewire(dataset, job.changes)
    if dropped and referred and not _refers_to_images(dataset):
        note = f"a {task.modality} object was left out: all images it refers to were removed"
        return LinkedResult(digest, size, warnings=(note,), references_dropped=dropped, is_left_out=True)
    notes += job.deidentify.apply(dataset) if job.deidentify else []
    if job.deidentify is not None:
        for roi in rois:
            roi.name = f"ROI {roi.number}"
    uids.apply(dataset)
    if structures is not None:
        structures.finish(dataset, job.changes, uids)
    return LinkedResult(digest, size, save(dataset, task.target), tuple(notes), tuple(rois), dropped)


def _follow(dataset: Dataset, task: LinkedTask) -> tuple[list[str], list[RoiResult], StructureResult | None]:
    """Let contours or frames follow their slices; a structure set is to be finished when everything else is done."""
    if task.modality == "RTSTRUCT":
        if not task.series:
            return (
                ["a structure set's images are not among the input; its contours and references were left as they are"],
                [],
                None,
            )
        stacks, classes = [one.stack for one in task.series], [one.sop_class for one in task.series]
        structures = remap_structures(dataset, stacks, classes, task.rule)
        return structures.warnings, structures.rois, structures
    if task.modality == "SEG":
        main = task.series[0] if task.series else None
        frames, found = remap_segmentation(
            dataset,
            unpack_frames(dataset),
            main.stack if main else None,
            main.resize if main else None,
            main.origins_lps if main else (),
            task.rule,
        )
        pack_frames(dataset, frames)
        return found.warnings, found.rois, None
    return [], [], None


def _refers_to_images(dataset: Dataset) -> bool:
    """True if the lists at the top of a presentation state or key object selection name anything."""
    lists: Mapping[str, str] = {
        "ReferencedSeriesSequence": "ReferencedImageSequence",
        "CurrentRequestedProcedureEvidenceSequence": "ReferencedSeriesSequence",
    }
    return any(item.get(inner) for outer, inner in lists.items() for item in dataset.get(outer, ()))
