"""One segmentation from beginning to end, in a process of its own: ``python -m AutoSegmentQueueLib.job JOB.json``.

Progress goes to stdout as JSON lines, the log to stderr. What came of it is said by files alone: the result folder with its manifest, or
``result.failure.json`` with a class and a reason in the job's private folder. The exit code means nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from DicomWorkbenchLib.errors import Cancelled, DependencyError, InputError, ProcessError, SettingsError
from DicomWorkbenchLib.progress import CancelToken, Progress, json_lines_progress, part_of

from AutoSegmentQueueLib import engines
from AutoSegmentQueueLib.engines.model import EngineRequest
from AutoSegmentQueueLib.job_input import load
from AutoSegmentQueueLib.job_model import DeadlineError, JobToken, SegmentJob
from AutoSegmentQueueLib.job_result import finish
from AutoSegmentQueueLib.job_scene import write_results
from AutoSegmentQueueLib.job_slicer import inside_slicer, run_in_slicer

DONE, FAILED, USAGE, CANCELLED = 0, 1, 2, 130
SLICER_ENGINE = "slicer-totalsegmentator"
# The order matters: the first that fits decides.
_CLASSES: tuple[tuple[type[BaseException], str], ...] = (
    (DeadlineError, "timeout"),
    (MemoryError, "out-of-memory"),
    (SettingsError, "bad-input"),
    (InputError, "bad-input"),
    (DependencyError, "missing"),
    (ProcessError, "engine"),
)
EXPECTED = tuple(kind for kind, _ in _CLASSES)


def run(job: SegmentJob, progress: Progress, cancel: CancelToken) -> Path:
    """Do the job in this process; returns the path of the manifest.

    Raises
    ------
    InputError, DependencyError, ProcessError, MemoryError, Cancelled : see `failure_class`.
    """
    started = time.time()
    engine = engines.get(job.engine)
    if reason := engine.available():
        raise DependencyError(f"the engine {job.engine}", hint=reason)
    loaded = load(job.inputs, part_of(progress, 0, 10), cancel)
    request = EngineRequest(loaded.volume, job.engine_options, job.work)
    segmented = engine.segment(request, part_of(progress, 10, 65), cancel)
    cancel.check()
    outcome = write_results(job, loaded, segmented, started, part_of(progress, 65, 98), cancel)
    manifest = finish(job, outcome)
    progress(100, 100, "done")
    return manifest


def failure_class(error: BaseException) -> str:
    """Return the class of a failure, as the queue's ledger knows it."""
    return next((name for kind, name in _CLASSES if isinstance(error, kind)), "engine")


def do(job: SegmentJob) -> int:
    """Run a job and say on disk what came of it; returns the exit code."""
    token = JobToken(job.deadline_seconds)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: token.cancel())
    _use_private_folder(job)
    progress = json_lines_progress()
    try:
        if needs_slicer(job.engine):
            run_in_slicer(job, progress, token)
        else:
            run(job, progress, token)
    except Cancelled:
        sys.stderr.write("cancelled\n")
        return CANCELLED
    except EXPECTED as error:
        message = str(error) or "the memory was not enough"
        sys.stderr.write(f"{failure_class(error)}: {message}\n")
        job.fail(failure_class(error), message)
        return FAILED
    return DONE


def needs_slicer(engine: str) -> bool:
    """True if the job has to start Slicer: for its extension, or because there is no slicer-core (in Slicer's own Python)."""
    if inside_slicer():
        return False
    return engine == SLICER_ENGINE or find_spec("slicer_core") is None


def _use_private_folder(job: SegmentJob) -> None:
    """Let everything temporary, of ours and of what we start, lie in the job's own folder, which the queue removes."""
    folder = job.work / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    for variable in ("TMPDIR", "TEMP", "TMP"):
        os.environ[variable] = str(folder)
    tempfile.tempdir = str(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the job's file and do it; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) != 1:
        sys.stderr.write("usage: python -m AutoSegmentQueueLib.job JOB.json\n")
        return USAGE
    _lead_own_group()
    try:
        job = SegmentJob.read(Path(given[0]))
    except SettingsError as error:
        sys.stderr.write(f"bad-input: {error}\n")
        SegmentJob.say_unreadable(Path(given[0]), str(error))
        return USAGE
    return do(job)


def _lead_own_group() -> None:
    """Lead a process group (POSIX), so that whoever started us can end us together with what we start."""
    if os.name == "posix":
        with suppress(PermissionError):  # we lead one already
            os.setsid()


if __name__ == "__main__":
    sys.exit(main())
