"""Starting the node's process beside the queue, keeping it running, and writing down what it says."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.process import child_environment

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.pacs.node_process import READY

START_SECONDS = 60.0
STOP_SECONDS = 10.0
RESTART_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class NodeChild:
    """The node of a home in a process of its own. One that dies is started again at the same port.

    Parameters
    ----------
    tell : gets a line when the node dies and when it is back; what it refuses is in ``logs/dicom.log``.
    """

    def __init__(self, home: Home, port: int, tell: Callable[[str], None]) -> None:
        self._home = home
        self._tell = tell
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._ready: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._child: subprocess.Popen[str] | None = None
        self.port = port
        self.starts = 0

    @property
    def log(self) -> str:
        """Path of what the node says."""
        return str(self._home.logs / "dicom.log")

    @property
    def pid(self) -> int | None:
        """Process id of the node that runs now."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Start the node and wait until it listens.

        Raises
        ------
        OutputError : it does not.
        """
        self._thread = threading.Thread(target=self._keep, name="dicom-node-child", daemon=True)
        self._thread.start()
        try:
            problem = self._ready.get(timeout=START_SECONDS)
        except queue.Empty:
            problem = f"the DICOM node did not start within {START_SECONDS:.0f} s"
        if problem:
            self.stop()
            raise OutputError(problem)

    def stop(self) -> None:
        """End the node."""
        self._stopping.set()
        child = self._child
        if child is not None and child.stdin:
            with suppress(OSError):
                child.stdin.close()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        if child is not None and child.poll() is None:
            child.kill()
            child.wait()

    def _keep(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            error = self._run_once()
            if self._stopping.is_set():
                return
            if not self.starts:
                self._ready.put(error or "the DICOM node has ended at its start")
                return
            failures = 0 if time.monotonic() - began > RESTART_SECONDS[-1] else failures + 1
            pause = RESTART_SECONDS[min(failures, len(RESTART_SECONDS)) - 1]
            self._tell(f"the DICOM node has ended ({error or 'without a word'}); it starts again in {pause:.1f} s")
            self._stopping.wait(pause)

    def _run_once(self) -> str:
        """Run the node until it ends; returns what it said last on stderr."""
        self._child = child = subprocess.Popen(
            [sys.executable, "-m", "AutoSegmentQueueLib.pacs.node_process", str(self._home.root), str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **child_environment()},
        )
        assert child.stdout is not None and child.stderr is not None
        if self._stopping.is_set() and child.stdin:
            child.stdin.close()
        for line in child.stdout:
            self._heard(line.rstrip("\n"))
        error = child.stderr.read()
        child.wait()
        for stream in (child.stdout, child.stderr, child.stdin):
            if stream:
                with suppress(OSError):
                    stream.close()
        last = error.strip().rpartition("\n")[2]
        return last.removeprefix("error: ")[:300]

    def _heard(self, line: str) -> None:
        if line.startswith(READY):
            self.port = int(line.removeprefix(READY))
            self.starts += 1
            if self.starts == 1:
                self._ready.put("")
            else:
                self._tell(f"the DICOM node is back on port {self.port}")
            return
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        with suppress(OSError), open(self.log, "a", encoding="utf-8", errors="replace") as log:
            log.write(f"{stamp} {line}\n")
