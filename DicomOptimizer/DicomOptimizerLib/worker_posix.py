"""Worker processes by fork (Linux)."""

from __future__ import annotations

import gc
import os
import signal
import warnings

from DicomOptimizerLib.worker import answer
from DicomOptimizerLib.workers import close

UNCOLLECTED_OBJECTS = 100_000
KEPT_BYTES = 32 << 20  # all arrays of a slice of 1024 x 1024


class ForkedWorker:
    """A copy of this process; see `workers` for when that is safe."""

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
        """End the process, wait for it, close the pipes."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        close(self)


def _live(requests: int, results: int) -> None:
    """Be a forked child until the parent closes the pipe; never returns."""
    code = 1
    try:
        _keep_freed_memory()
        _collect_seldom()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
        answer(os.fdopen(requests, "rb"), os.fdopen(results, "wb"))
        code = 0
    finally:
        os._exit(code)  # leave without running the parent's cleanup


def _collect_seldom() -> None:
    """Look for garbage in cycles seldom: a structure set is tens of thousands of objects, of which none is garbage while it is read."""
    gc.freeze()
    gc.set_threshold(UNCOLLECTED_OBJECTS)


def _keep_freed_memory() -> None:
    """Use the memory of one slice for the next: giving it back to the system and asking anew takes longer than resampling."""
    import ctypes

    trim_threshold, mmap_threshold = -1, -3  # glibc's malloc.h; other C libraries have no mallopt
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(mmap_threshold, KEPT_BYTES)
        mallopt(trim_threshold, KEPT_BYTES)
