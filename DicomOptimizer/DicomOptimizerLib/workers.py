"""Worker processes: forked where that is safe, started anew elsewhere.

A fork shares what its parent has imported and is ready at once (Linux). It is only safe while no other thread runs, so not in Slicer's
window and not in a notebook; there, and on Windows and macOS, a new Python is started. `multiprocessing` is not used, because it would run
the caller's main module again, which neither a user's script nor Slicer expects.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import warnings
from typing import IO, Protocol

from DicomOptimizerLib.worker import answer


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
    return _Forked() if can_fork() else _Started()


def can_fork() -> bool:
    """True where a fork is safe: Linux, one thread, no Qt application in this process."""
    return sys.platform == "linux" and threading.active_count() == 1 and "slicer" not in sys.modules


class _Started:
    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        command = [sys.executable, "-c", "from DicomOptimizerLib.worker import main; main()"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.requests, self.results = self._process.stdin, self._process.stdout

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        _close(self)


class _Forked:
    """POSIX branch."""

    def __init__(self) -> None:
        child_in, parent_out = os.pipe()
        parent_in, child_out = os.pipe()
        with warnings.catch_warnings():
            # Python counts the sleeping threads of numerical libraries too; they are started anew when needed.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            os.close(parent_in)
            os.close(parent_out)
            _live(child_in, child_out)
        os.close(child_in)
        os.close(child_out)
        self.requests, self.results = os.fdopen(parent_out, "wb"), os.fdopen(parent_in, "rb")

    def end(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        _close(self)


def _live(requests: int, results: int) -> None:
    """Be a forked child until the parent closes the pipe; never returns."""
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
        answer(os.fdopen(requests, "rb"), os.fdopen(results, "wb"))
        code = 0
    finally:
        os._exit(code)  # leave without running the parent's cleanup


def _close(worker: Worker) -> None:
    for pipe in (worker.requests, worker.results):
        try:
            pipe.close()
        except OSError:
            continue  # what could not be flushed was meant for a process that is gone
