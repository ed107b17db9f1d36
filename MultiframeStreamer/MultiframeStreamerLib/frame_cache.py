"""A bounded memory of decoded frames, shared by threads: each frame is decoded once, the least used goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from DicomWorkbenchLib.errors import WorkbenchError

_WORKERS = 2  # read-ahead threads: one decodes while the other reads
_JUMP = 8  # frames; a larger step is a jump, not a direction of play


class FrameCache:
    """Keeps results of ``make(index)`` up to a number of bytes and makes the next ones before they are asked for.

    Parameters
    ----------
    make : called once per frame that is missing, from any thread.
    capacity_bytes : limit of what is kept.
    """

    def __init__(self, make: Callable[[int], Any], capacity_bytes: int, frames: int) -> None:
        self._make, self._frames = make, frames
        self.capacity_bytes = capacity_bytes
        self.used_bytes = 0
        self.hits = self.misses = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._pending: dict[int, Future[Any]] = {}
        self._ahead: list[Future[Any]] = []
        self._pool: ThreadPoolExecutor | None = None
        self._last: int | None = None
        self._failed: set[int] = set()  # known to be broken: whoever asks gets the error at once, not after waiting
        self._closed = False

    def get(self, index: int) -> Any:
        """Return a frame from memory, or make it; two threads that ask at once share one making."""
        with self._lock:
            if index in self._kept:
                self._kept.move_to_end(index)
                self.hits += 1
                return self._kept[index]
            waiting = self._pending.get(index)
            if waiting is None:
                self.misses += 1
                mine: Future[Any] = Future()
                self._pending[index] = mine
        return waiting.result() if waiting is not None else self._fill(index, mine)

    def ready(self, index: int) -> bool:
        """Return whether asking for a frame does not wait: it is in memory, or known to be broken."""
        with self._lock:
            return index in self._kept or index in self._failed

    def look_ahead(self, index: int, count: int) -> None:
        """Make the frames that come next in the direction of play, in the background."""
        last, self._last = self._last, index
        step = 0 if last is None else index - last
        if not count or not step or abs(step) > _JUMP:
            return
        self.prefetch(i for i in range(index + step, index + step * (count + 1), step) if 0 <= i < self._frames)

    def prefetch(self, indexes: Iterable[int]) -> None:
        """Make frames in the background; what was asked for before and has not begun is forgotten."""
        with self._lock:
            if self._closed:
                return
            self._pool = self._pool or ThreadPoolExecutor(_WORKERS, thread_name_prefix="read-ahead")
            for old in self._ahead:
                old.cancel()
            wanted = [i for i in indexes if i not in self._kept and i not in self._pending and i not in self._failed]
            self._ahead = [self._pool.submit(self._quietly, i) for i in wanted]

    def resize(self, capacity_bytes: int) -> None:
        """Change the limit; what no longer fits is dropped."""
        with self._lock:
            self.capacity_bytes = capacity_bytes
            self._shrink()

    def close(self) -> None:
        """Forget everything and stop the background threads."""
        with self._lock:
            self._closed, pool = True, self._pool
            self._kept.clear()
            self.used_bytes = 0
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def _quietly(self, index: int) -> None:
        try:
            self.get(index)
        except WorkbenchError:
            self._failed.add(index)  # whoever asks for this frame gets the error then

    def _fill(self, index: int, mine: Future[Any]) -> Any:
        try:
            made = self._make(index)
        except BaseException as error:
            with self._lock:
                self._pending.pop(index, None)
            mine.set_exception(error)
            raise
        with self._lock:
            self._pending.pop(index, None)
            self._keep(index, made)
        mine.set_result(made)
        return made

    def _keep(self, index: int, made: Any) -> None:
        if self._closed or made.nbytes > self.capacity_bytes:
            return
        self._kept[index] = made
        self.used_bytes += made.nbytes
        self._shrink()

    def _shrink(self) -> None:
        while self.used_bytes > self.capacity_bytes and self._kept:
            _, dropped = self._kept.popitem(last=False)
            self.used_bytes -= dropped.nbytes
