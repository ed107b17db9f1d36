"""What a worker process does: it answers batches of tasks one by one."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from DicomWorkbenchLib.errors import FileError, WorkbenchError
from DicomWorkbenchLib.uids import UidMap

from DicomOptimizerLib.linked import LinkedTask, process_linked
from DicomOptimizerLib.making import SliceMaker
from DicomOptimizerLib.messages import receive, send
from DicomOptimizerLib.passing import CopyTask, process_copy
from DicomOptimizerLib.reading import BROKEN, read_content
from DicomOptimizerLib.slices import FileResult, Job, SliceTask


@dataclass(frozen=True)
class HashTask:
    """A file that is only read for its SHA-256: a removed slice."""

    path: Path
    origin: str


Task = SliceTask | LinkedTask | CopyTask | HashTask


class Doer:
    """Does the tasks of one job, in one process."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._uids = UidMap(job.salt)
        self._slices = SliceMaker(job, self._uids)

    def do(self, task: Task) -> FileResult:
        """Do one task."""
        if isinstance(task, SliceTask):
            return self._slices.make(task)
        if isinstance(task, LinkedTask):
            return process_linked(task, self._job, self._uids)
        if isinstance(task, CopyTask):
            return process_copy(task, self._job, self._uids)
        content, digest = read_content(task.path, task.origin)
        return FileResult(digest, len(content))

    def attempt(self, task: Task) -> FileResult | WorkbenchError | OSError:
        """Return the result, or the error that a task may end with; what a file's values bring about is that file's fault."""
        try:
            return self.do(task)
        except (WorkbenchError, OSError) as error:
            return error
        except BROKEN as error:  # its text may quote a value, so it is only the cause
            broken = FileError(f"{task.origin} is a broken DICOM file: a value is not what its attribute needs")
            broken.__cause__ = error
            return broken


def main() -> None:
    """Answer the tasks that come on standard input."""
    results = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing a library prints may get between the answers
    answer(sys.stdin.buffer, results)


def answer(requests: IO[bytes], results: IO[bytes]) -> None:
    """Answer batches of tasks until the other end is gone."""
    try:
        doer = Doer(receive(requests))
        while True:
            batch: list[Task] = receive(requests)
            send(results, [doer.attempt(task) for task in batch])
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
