"""What a worker process does: it answers batches of tasks one by one. Messages are a length (8 bytes) and a pickle; both ends are ours."""

from __future__ import annotations

import hashlib
import os
import pickle
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from DicomWorkbenchLib.errors import FileError, WorkbenchError
from DicomWorkbenchLib.uids import UidMap

from DicomOptimizerLib.linked import LinkedTask, process_linked
from DicomOptimizerLib.passing import CopyTask, process_copy
from DicomOptimizerLib.slices import FileResult, Job, SliceTask, process

_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class HashTask:
    """A file that is only read for its SHA-256: a removed slice."""

    path: Path
    origin: str


Task = SliceTask | LinkedTask | CopyTask | HashTask


def do(task: Task, job: Job, uids: UidMap) -> FileResult:
    """Do one task."""
    if isinstance(task, SliceTask):
        return process(task, job, uids)
    if isinstance(task, LinkedTask):
        return process_linked(task, job, uids)
    if isinstance(task, CopyTask):
        return process_copy(task, job, uids)
    try:
        content = task.path.read_bytes()
    except OSError as error:
        raise FileError(f"{task.origin} cannot be read: {error.strerror or error}") from error
    return FileResult(hashlib.sha256(content).hexdigest(), len(content))


def attempt(work: Callable[[], FileResult]) -> FileResult | WorkbenchError | OSError:
    """Return the result, or the error that a task may end with."""
    try:
        return work()
    except (WorkbenchError, OSError) as error:
        return error


def send(stream: IO[bytes], message: Any) -> None:
    """Write one message."""
    content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(_LENGTH.pack(len(content)) + content)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read one message; raises EOFError when the other end is gone."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    return pickle.loads(stream.read(_LENGTH.unpack(head)[0]))


def main() -> None:
    """Answer the tasks that come on standard input."""
    results = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing a library prints may get between the answers
    answer(sys.stdin.buffer, results)


def answer(requests: IO[bytes], results: IO[bytes]) -> None:
    """Answer batches of tasks until the other end is gone."""
    try:
        job: Job = receive(requests)
        uids = UidMap(job.salt)
        while True:
            batch: list[Task] = receive(requests)
            send(results, [attempt(lambda t=task: do(t, job, uids)) for task in batch])  # type: ignore[misc]
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
