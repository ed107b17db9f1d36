"""Worker processes: forked where that is safe, started anew elsewhere.

A fork shares what its parent has imported and is ready at once (Linux). It is only safe while no other thread runs, so not in Slicer's
window and not in a notebook; there, and on Windows and macOS, a new Python is started. `multiprocessing` is not used, because it would run
the caller's main module again, which neither a user's script nor Slicer expects.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import IO, Protocol


class Worker(Protocol):
    """One process that answers tasks."""

    @property
    def requests(self) -> IO[bytes]:
        """Where tasks are written to."""

    @property
    def results(self) -> IO[bytes]:
        """Where results are read from."""

    def end(self) -> None:
        """End the process, wait for it, close the pipes."""


def start() -> Worker:
    """Start one worker."""
    if can_fork():
        from DicomOptimizerLib.worker_posix import ForkedWorker

        return ForkedWorker()
    return StartedWorker()


def can_fork() -> bool:
    """True where a fork is safe: Linux, one thread, no Qt application in this process."""
    return sys.platform == "linux" and threading.active_count() == 1 and "slicer" not in sys.modules


class StartedWorker:
    """A new Python that imports what it needs."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        command = [sys.executable, "-c", "from DicomOptimizerLib.worker import main; main()"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.requests, self.results = self._process.stdin, self._process.stdout

    def end(self) -> None:
        """End the process, wait for it, close the pipes."""
        self._process.kill()
        self._process.wait()
        close(self)


def close(worker: Worker) -> None:
    """Close a worker's pipes after its end."""
    for pipe in (worker.requests, worker.results):
        try:
            pipe.close()
        except OSError:
            continue  # what could not be flushed was meant for a process that is gone
