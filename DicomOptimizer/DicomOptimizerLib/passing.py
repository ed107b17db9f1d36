"""Images that are left as they are (colour, multi-frame): only identity, references and UIDs follow the job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.uids import UidMap

from DicomOptimizerLib.reading import read_file
from DicomOptimizerLib.references import rewire
from DicomOptimizerLib.slices import FileResult, Job
from DicomOptimizerLib.writing import save


@dataclass(frozen=True)
class CopyTask:
    """One image whose pixels stay as they are, bit for bit and in their own transfer syntax."""

    path: Path
    origin: str
    target: Path


def process_copy(task: CopyTask, job: Job, uids: UidMap) -> FileResult:
    """Write an image with its own pixels and the job's UIDs."""
    dataset, digest, size = read_file(task.path, task.origin)
    notes = job.deidentify.apply(dataset) if job.deidentify else []
    rewire(dataset, job.changes)
    uids.apply(dataset)
    return FileResult(digest, size, save(dataset, task.target), tuple(notes))
