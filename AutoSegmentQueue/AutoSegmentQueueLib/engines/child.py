"""Watch a program of somebody else's: its lines as they come, its end with everything it started.

Unlike `DicomWorkbenchLib.process.run_command`, the program stays in our own process group: the queue ends a job by its group, and what
the job started must go with it even if the job is killed and cannot say so to anybody.
"""

from __future__ import annotations

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
from typing import NamedTuple

from DicomWorkbenchLib.errors import DependencyError
from DicomWorkbenchLib.progress import CancelToken

from AutoSegmentQueueLib.engines.short_temporary import short_temporary

POLL_SECONDS = 0.1
GRACE_SECONDS = 2.0
READ_SECONDS = 1.0  # how long to read on after the end; something it started may keep the pipe open
_LAST_LINES = 60
_MEMORY_WORDS = (
    "MemoryError",
    "out of memory",
    "Cannot allocate memory",
    "bad_alloc",
    "background workers are no longer alive",  # what nnU-Net says when the system has ended one for its memory
)


@dataclass(frozen=True)
class ChildResult:
    """How a program ended, and the last lines it wrote."""

    exit_code: int
    lines: tuple[str, ...]

    @property
    def out_of_memory(self) -> bool:
        """True if it ended for want of memory: by its own word, or by SIGKILL, which the system's memory guard sends."""
        killed = self.exit_code in (-9, 137)
        return killed or any(word in line for line in self.lines for word in _MEMORY_WORDS)

    @property
    def reason(self) -> str:
        """The last line it wrote, for a message."""
        said = [line for line in self.lines if line.strip()]
        return said[-1].strip()[:300] if said else "it wrote nothing"


def run_child(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str | None],
    folder: Path,
    on_line: Callable[[str], None],
    cancel: CancelToken,
    on_poll: Callable[[], None] = lambda: None,
) -> ChildResult:
    """Run a program to its end; carriage returns end a line too, so progress bars arrive.

    Parameters
    ----------
    arguments : program and arguments.
    environment : variables changed from ours; None removes one.
    folder : working folder.
    on_line : called with every line of stdout and stderr.
    cancel : looked at ten times a second.
    on_poll : called as often.

    Raises
    ------
    DependencyError : it cannot be started.
    Cancelled : the token was turned; the program and what it started have ended.
    """
    with short_temporary() as temporary:
        changed = {**os.environ, "PYTHONUNBUFFERED": "1", **temporary, **environment}
        child = _start(arguments, {name: value for name, value in changed.items() if value is not None}, folder)
        reader = _Reader(child, on_line)
        try:
            while child.poll() is None:
                cancel.check()
                on_poll()
                reader.take(POLL_SECONDS)
            reader.finish()
            on_poll()
        except BaseException:
            end_tree(child)
            raise
    return ChildResult(child.returncode, tuple(reader.lines))


def _start(arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
            cwd=folder,
        )
    except OSError as error:
        raise DependencyError(str(arguments[0]), hint=f"it cannot be started: {error.strerror}") from error


class _Reader:
    """Reads a pipe in a thread and hands its lines to the calling thread."""

    def __init__(self, child: subprocess.Popen[str], on_line: Callable[[str], None]) -> None:
        self.lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._on_line = on_line
        self._waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, args=(child,), daemon=True)
        self._thread.start()

    def _read(self, child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None
        with child.stdout:
            for line in child.stdout:
                self._waiting.put(line.rstrip("\n"))

    def take(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        with suppress(queue.Empty):
            while (left := end - time.monotonic()) > 0:
                line = self._waiting.get(timeout=left)
                self.lines.append(line)
                self._on_line(line)

    def finish(self) -> None:
        self._thread.join(READ_SECONDS)
        while not self._waiting.empty():
            self.take(POLL_SECONDS)


def end_tree(child: subprocess.Popen[str]) -> None:
    """End a program and everything it started: politely, then by force."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(child.pid)], capture_output=True, check=False)
        child.wait()
        return
    tree = _started_by(child.pid)
    _send(tree, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_SECONDS)
    born = tree[child.pid].born if child.pid in tree else None
    _send({**tree, **_started_by(child.pid, born)}, signal.SIGKILL)
    child.wait()


class _Process(NamedTuple):
    parent: int
    group: int
    born: int  # clock ticks since the start of the machine, or seconds: only ever compared with each other


def _send(tree: Mapping[int, _Process], number: int) -> None:
    now = _processes()
    for pid, process in tree.items():
        if pid in now and now[pid].born == process.born:  # the number has not been given to another process since
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def _started_by(root: int, born: int | None = None) -> dict[int, _Process]:
    """Return what ``root`` and its children have started, itself included, also where a parent has ended meanwhile.

    ``born``: when ``root`` was, if it may have ended itself.
    """
    processes = _processes()
    if root in processes:
        born = processes[root].born
    found = ({root} & set(processes)) | (set() if born is None else _orphans(processes, born))
    waiting = list(found)
    while waiting:
        parent = waiting.pop()
        children = {pid for pid, process in processes.items() if process.parent == parent} - found
        found |= children
        waiting.extend(children)
    return {pid: processes[pid] for pid in found}


def _orphans(processes: Mapping[int, _Process], since: int) -> set[int]:
    """Return the younger processes of our group that somebody else has taken over; those beside us in a pipe have our own parent."""
    if sys.platform == "win32":
        return set()
    mine, above = os.getpgrp(), os.getppid()
    group = {pid for pid, process in processes.items() if process.group == mine}
    return {pid for pid in group if processes[pid].born >= since and processes[pid].parent not in {*group, above}}


def _processes() -> dict[int, _Process]:
    """Return parent, group and birth of every process, by its id."""
    found = {}
    if Path("/proc/self/stat").exists():
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError, IndexError):
                fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                found[int(path.parent.name)] = _Process(int(fields[1]), int(fields[2]), int(fields[19]))
        return found
    command = ["ps", "-A", "-o", "pid=,ppid=,pgid=,lstart="]
    listing = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    for line in listing.stdout.splitlines():
        pid, parent, group, birth = line.split(None, 3)
        found[int(pid)] = _Process(int(parent), int(group), int(time.mktime(time.strptime(birth.strip()))))
    return found
