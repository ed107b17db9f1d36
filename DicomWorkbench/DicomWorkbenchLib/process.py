"""Run our own command as a child that is watched, and that ends with everything it started.

The child runs in its own process group (on Windows its process tree is ended with ``taskkill /T``); it reports progress as JSON lines on
stdout, and the last of them holds its report. See `DicomWorkbenchLib.cli.run_job`.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from DicomWorkbenchLib.errors import Cancelled, ProcessError
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress

POLL_SECONDS = 0.05
TERM_SECONDS = 3.0  # how long a cancelled child may clean up before its group is killed
READ_SECONDS = 1.0  # how long to read on after a child's end; a grandchild may keep the pipe open for ever
_LAST_LINES = 40


@dataclass(frozen=True)
class CommandResult:
    """How a watched command ended: exit code, its report if it wrote one, and the end of its stderr."""

    exit_code: int
    report: dict[str, Any] | None
    messages: str


def workbench_command(*arguments: str) -> list[str]:
    """Return the argument list that runs ``dicom-workbench`` in this Python (in Slicer: PythonSlicer)."""
    return [sys.executable, "-m", "DicomWorkbenchLib", *arguments]


def job_command(verb: str, settings_file: Path) -> list[str]:
    """Return the argument list that runs a workflow's job from a settings file, see `DicomWorkbenchLib.job`."""
    return [sys.executable, "-m", "DicomWorkbenchLib.job", verb, str(settings_file)]


def child_environment() -> dict[str, str]:
    """Return the variables a child Python needs to find our packages.

    In Slicer a module's folder is on the path of the application only; its children (PythonSlicer) learn of it through PYTHONPATH.
    """
    here = (
        Path(__file__).resolve().parents[1]
    )  # the folder that holds DicomWorkbenchLib: in a checkout one of six, installed the only one
    rooms = [p.parent for p in sorted(here.parent.glob("*/*Lib")) if p.name == f"{p.parent.name}Lib"]
    before = os.environ.get("PYTHONPATH", "")
    folders = dict.fromkeys([str(here), *map(str, rooms), *([before] if before else [])])
    return {"PYTHONPATH": os.pathsep.join(folders)}


def own_group() -> dict[str, Any]:
    """Return the `subprocess.Popen` keywords that put a child into its own process group."""
    if os.name == "nt":
        return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    return {"start_new_session": True}


def end_group(process: subprocess.Popen[Any], grace_seconds: float = TERM_SECONDS) -> None:
    """End a child that was started with `own_group` and everything it started: politely, then by force."""
    _signal_group(process, force=False)
    with suppress(subprocess.TimeoutExpired):
        process.wait(grace_seconds)
    _signal_group(process, force=True)
    process.wait()


def run_command(
    arguments: Sequence[str],
    *,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> CommandResult:
    """Run a command that reports JSON lines and wait for it.

    Parameters
    ----------
    arguments : program and arguments, see `workbench_command`.
    progress : called with the child's progress.
    cancel : when turned, the child's whole group ends within `TERM_SECONDS` and `Cancelled` is raised.
    environment : variables added to ours.
    folder : working folder.
    on_line : called with every line of the child's output that is no progress.

    Raises
    ------
    ProcessError : the program cannot be started.
    Cancelled : the token was turned.
    """
    try:
        child = subprocess.Popen(
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **(environment or {}), "PYTHONUNBUFFERED": "1"},
            cwd=folder,
            **own_group(),
        )
    except OSError as error:
        raise ProcessError(f"{arguments[0]} cannot be started: {error.strerror}; check that it is installed") from error
    watch = _Watch(child, progress, on_line)
    try:
        watch.until_end(cancel)
    except BaseException:
        end_group(child)
        raise
    finally:
        watch.close()
    return CommandResult(child.returncode, watch.report, "\n".join(watch.messages))


class _Watch:
    """Reads both pipes of a child in threads and hands the lines over to the calling thread."""

    def __init__(self, child: subprocess.Popen[str], progress: Progress, on_line: Callable[[str], None] | None) -> None:
        self.child = child
        self.progress = progress
        self.on_line = on_line
        self.report: dict[str, Any] | None = None
        self.messages: deque[str] = deque(maxlen=_LAST_LINES)
        self._lines: queue.SimpleQueue[tuple[bool, str]] = queue.SimpleQueue()
        pipes: list[tuple[IO[str], bool]] = [(p, out) for p, out in ((child.stdout, True), (child.stderr, False)) if p]
        self._readers = [threading.Thread(target=self._read, args=pipe, daemon=True) for pipe in pipes]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe: IO[str], is_stdout: bool) -> None:
        with pipe:
            for line in pipe:
                self._lines.put((is_stdout, line.rstrip("\n")))

    def until_end(self, cancel: CancelToken) -> None:
        while self.child.poll() is None:
            cancel.check()
            self._take(POLL_SECONDS)
        deadline = time.monotonic() + READ_SECONDS
        while any(reader.is_alive() for reader in self._readers) and time.monotonic() < deadline:
            self._take(POLL_SECONDS)
        self._take(0)

    def _take(self, seconds: float) -> None:
        try:
            while True:
                self._one(*self._lines.get(timeout=seconds) if seconds else self._lines.get_nowait())
        except queue.Empty:
            return

    def _one(self, is_stdout: bool, line: str) -> None:
        message = _json_object(line) if is_stdout else None
        if message and "stage" in message:
            self.progress(int(message.get("done", 0)), int(message.get("total", 0)), str(message["stage"]))
        elif message and isinstance(message.get("report"), dict):
            self.report = message["report"]
        elif line.strip():
            self.messages.append(line)
            if self.on_line:
                self.on_line(line)

    def close(self) -> None:
        for reader in self._readers:
            reader.join(READ_SECONDS)


def _json_object(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _signal_group(process: subprocess.Popen[Any], *, force: bool) -> None:
    if os.name == "nt":
        force_flag = ["/F"] if force else []
        subprocess.run(["taskkill", "/T", *force_flag, "/PID", str(process.pid)], capture_output=True, check=False)
        return
    number = signal.SIGKILL if force else signal.SIGTERM
    with suppress(ProcessLookupError, PermissionError):  # the group has ended already
        ended = process.returncode is not None  # the group of a leader that has ended may live on
        if ended or os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, number)
        else:  # it has only just been started and does not lead its group yet
            os.kill(process.pid, number)


def raise_if_failed(result: CommandResult, what: str) -> None:
    """Raise when a command did not end well.

    Raises
    ------
    ProcessError : exit code other than 0; the message carries what the child wrote to stderr last.
    Cancelled : the child was cancelled by its own signal handler.
    """
    if result.exit_code == 130:
        raise Cancelled
    if result.exit_code != 0:
        said = result.messages.strip() or f"exit code {result.exit_code} without a message"
        raise ProcessError(f"{what} failed: {said}")
