"""A job that runs inside the Slicer application: starting it, watching it, and what happens in there.

Both sides speak through files, as an exit code or a pipe of a graphical application cannot be relied upon: progress lines in
``slicer-progress.jsonl``, results and failures as every job writes them.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from DicomWorkbenchLib.errors import DependencyError, ProcessError
from DicomWorkbenchLib.progress import CancelToken, Progress, json_lines_progress

from AutoSegmentQueueLib.engines.child import run_child
from AutoSegmentQueueLib.engines.slicer import EXTENSIONS, INSIDE, SlicerEngine, inside_slicer, slicer_command
from AutoSegmentQueueLib.engines.totalsegmentator import private_variables
from AutoSegmentQueueLib.job_model import FAILURE, MANIFEST, SegmentJob

__all__ = ["inside_slicer", "main_inside", "run_in_slicer"]

PROGRESS = "slicer-progress.jsonl"
SCRIPT = "job_in_slicer.py"
CRASHED = 3
_SILENT = ("infoDisplay", "warningDisplay", "delayDisplay", "showStatusMessage")
_ASKING = (
    "messageBox",
    "errorDisplay",
    "confirmOkCancelDisplay",
    "confirmYesNoDisplay",
    "confirmRetryCloseDisplay",
    "pip_install",
)


def run_in_slicer(job: SegmentJob, progress: Progress, cancel: CancelToken) -> None:
    """Start Slicer, let it do the job, and return when its manifest or its failure is on disk.

    Raises
    ------
    DependencyError : Slicer cannot be started, or does not know our extension.
    MemoryError : it was ended for its memory.
    SystemExit : it ended without a word; the queue counts that as a crash and tries again.
    DeadlineError, Cancelled : see `JobToken`; Slicer and all it started have ended.
    """
    folder = job.work / "slicer"
    folder.mkdir(parents=True, exist_ok=True)
    watch = _ProgressFile(job.work / PROGRESS, progress)
    progress(0, 100, "starting Slicer")
    result = run_child(
        slicer_arguments(job.path),
        environment=slicer_environment(folder, job),
        folder=folder,
        on_line=lambda line: _log(line),
        cancel=cancel,
        on_poll=watch.read,
    )
    if (job.result / MANIFEST).is_file() or (job.work / FAILURE).is_file():
        return
    if result.out_of_memory:
        raise MemoryError(f"Slicer ran out of memory: {result.reason}")
    if any("No module named 'AutoSegmentQueueLib'" in line for line in result.lines):
        raise DependencyError(
            "the extension DicomWorkbench in Slicer", hint="install it with Slicer's Extensions Manager"
        )
    _log(f"Slicer ended with exit code {result.exit_code} and neither result nor reason: {result.reason}")
    raise SystemExit(CRASHED)


def slicer_arguments(job_file: Path) -> list[str]:
    """Return the command line; in a checkout Slicer is told where our modules are."""
    library = Path(__file__).resolve().parent
    rooms = [library.parent, library.parents[1] / "DicomWorkbench"]
    in_checkout = all((room / f"{room.name}.py").is_file() for room in rooms)
    ours = ["--additional-module-paths", *map(str, rooms)] if in_checkout else []
    quiet = ["--no-splash", "--no-main-window", "--ignore-slicerrc"]
    return [*slicer_command(), *quiet, *ours, "--python-script", str(library / SCRIPT), "--", str(job_file.absolute())]


def slicer_environment(folder: Path, job: SegmentJob) -> dict[str, str | None]:
    """Return the variables for Slicer; what is set inside of it does not reach its TotalSegmentator, so it is set here.

    The extension knows "gpu" only; which one is chosen by making no other one visible. Other engines choose for themselves.
    """
    # PYTHONPATH and the like are those of our Python; Slicer has its own
    variables: dict[str, str | None] = {INSIDE: "1", "PYTHONPATH": None, "PYTHONHOME": None, "VIRTUAL_ENV": None}
    if job.engine == SlicerEngine.name:
        device = job.engine_options.device
        gpu = "" if device == "cpu" else device.partition(":")[2] or os.environ.get("CUDA_VISIBLE_DEVICES")
        variables |= {**private_variables(folder), "CUDA_VISIBLE_DEVICES": gpu}
    return variables


class _ProgressFile:
    """Reads the lines another process appends to a file."""

    def __init__(self, path: Path, progress: Progress) -> None:
        self._path = path
        self._progress = progress
        self._at = 0
        path.unlink(missing_ok=True)

    def read(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as stream:
            stream.seek(self._at)
            whole, newline, _ = stream.read().rpartition(b"\n")
        self._at += len(whole) + len(newline)
        for line in whole.splitlines():
            message = json.loads(line)
            self._progress(message["done"], message["total"], message["stage"])


def _log(line: str) -> None:
    if line.strip():
        sys.stderr.write(line + "\n")


def main_inside(job_file: Path) -> NoReturn:
    """Do a job inside Slicer and end Slicer at once, before anything at its shutdown can go wrong."""
    from AutoSegmentQueueLib.job import EXPECTED, failure_class, run
    from AutoSegmentQueueLib.job_model import JobToken

    code = 1
    try:
        job = SegmentJob.read(job_file)
        with (job.work / PROGRESS).open("a", encoding="utf-8") as stream:
            refuse_dialogs()
            try:
                run(job, json_lines_progress(stream), JobToken(job.deadline_seconds))
                code = 0
            except EXPECTED as error:
                _log(f"{failure_class(error)}: {error}")
                job.fail(failure_class(error), str(error) or "the memory was not enough")
    except BaseException:  # noqa: BLE001 - whatever it is, Slicer must end; without a failure file it counts as a crash
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def refuse_dialogs() -> None:
    """Turn questions, which nobody would answer, and installations, which nobody has agreed to, into errors."""
    util = sys.modules["slicer"].util

    def asked(name: str) -> Any:
        def refuse(*arguments: Any, **_: Any) -> NoReturn:
            text = str(arguments[0])[:300] if arguments else ""
            if name == "pip_install":
                raise DependencyError(f"the Python package {text} in Slicer", hint=EXTENSIONS)
            raise ProcessError(f"Slicer wanted to ask or say ({name}): {text}")

        return refuse

    for name in _ASKING:
        setattr(util, name, asked(name))
    for name in _SILENT:
        setattr(util, name, lambda text="", *_, **__: _log(str(text)))
