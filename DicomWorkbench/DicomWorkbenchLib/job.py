"""Run one workflow's job from a settings file, as panels and the queue do: ``python -m DicomWorkbenchLib.job VERB SETTINGS.json``.

Needs nothing beyond what the workflow itself needs. Progress goes to stdout as JSON lines, the last line is ``{"report": {...}}``; a
failure is one sentence on stderr. Exit codes: 0 done, 1 the job failed, 2 wrong usage, 130 cancelled.
"""

from __future__ import annotations

import enum
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from DicomWorkbenchLib.errors import Cancelled, SettingsError, WorkbenchError
from DicomWorkbenchLib.progress import CancelToken, Progress, json_lines_progress, no_progress, terminal_progress
from DicomWorkbenchLib.settings import from_json
from DicomWorkbenchLib.workflows import WORKFLOWS, job_of

DONE, FAILED, USAGE, CANCELLED = 0, 1, 2, 130


class ProgressStyle(enum.StrEnum):
    """How a command shows progress."""

    AUTO = "auto"  # a bar if stderr is a terminal
    JSON = "json"  # JSON lines on stdout, the report as the last of them: for panels and the queue
    NONE = "none"


@contextmanager
def progress_of(style: ProgressStyle) -> Iterator[Progress]:
    """Give the progress callable for a style while the block runs."""
    if style is ProgressStyle.JSON:
        yield json_lines_progress()
    elif style is ProgressStyle.NONE:
        yield no_progress
    else:
        with terminal_progress() as progress:
            yield progress


@contextmanager
def cancel_on_signals() -> Iterator[CancelToken]:
    """Give a token that Ctrl-C and a request to terminate turn; the old handlers come back afterwards."""
    token = CancelToken()
    old = {number: signal.signal(number, lambda *_: token.cancel()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield token
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def spare_cores() -> None:
    """Let NumPy's linear algebra threads sleep at once where they would look for work for a while, on a core that others need.

    Takes effect before NumPy is loaded; a user's own choice stays.
    """
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")


def run(verb: str, settings_file: Path) -> int:
    """Run a workflow's job with the settings of a JSON file; returns the exit code."""
    try:
        if verb not in WORKFLOWS or not WORKFLOWS[verb].job:
            jobs = ", ".join(w.verb for w in WORKFLOWS.values() if w.job)
            raise SettingsError(f"there is no job {verb}; there are: {jobs}")
        job, settings_class = job_of(verb)
        settings = from_json(settings_class, _read(settings_file))
        with cancel_on_signals() as cancel:
            report = job(settings, progress=json_lines_progress(), cancel=cancel)
    except Cancelled as error:
        return _said(error, CANCELLED)
    except SettingsError as error:
        return _said(error, USAGE)
    except WorkbenchError as error:
        return _said(error, FAILED)
    sys.stdout.write(json.dumps({"report": report.to_json()}) + "\n")
    sys.stdout.flush()
    return DONE


def _read(settings_file: Path) -> dict[str, object]:
    try:
        data = json.loads(settings_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"the settings {settings_file} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise SettingsError(f"the settings {settings_file} must hold one JSON object")
    return data


def _said(error: WorkbenchError, code: int) -> int:
    sys.stderr.write(f"error: {error}\n")
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the two arguments and run the job."""
    spare_cores()
    if arguments is None:
        _lead_own_group()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) != 2:
        sys.stderr.write("usage: python -m DicomWorkbenchLib.job VERB SETTINGS.json\n")
        return USAGE
    return run(given[0], Path(given[1]))


def _lead_own_group() -> None:
    """Lead a process group (POSIX), so that whoever started us can end us with everything we start.

    Slicer's ``launchConsoleProcess`` has no option for it.
    """
    if os.name == "posix":
        with suppress(PermissionError):  # we lead one already
            os.setsid()


if __name__ == "__main__":
    sys.exit(main())
