"""Reading the headers of many files: in threads where the storage lets us wait, and in shares where several processes do it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

from DicomWorkbenchLib.progress import CancelToken
from DicomWorkbenchLib.series_files import FoundFile
from DicomWorkbenchLib.series_problems import Problem
from DicomWorkbenchLib.series_read import Examined, examine

CHUNK_FILES = 64  # files a thread reads between two progress reports
MOST_JOBS = 16  # threads that wait for slow storage at the same time


class Chunk(NamedTuple):
    """What some files are, and what was wrong with the folders they were looked for in."""

    found: list[Examined]
    problems: list[Problem]


class Examiner:
    """Examines files in chunks.

    Parameters
    ----------
    cancel : looked at between files.
    jobs : threads; None takes one, and more the longer the storage lets it wait.
    linked : look into structure sets and other linked objects; False leaves them as `series_read.Later`.
    """

    def __init__(self, cancel: CancelToken, jobs: int | None = None, *, linked: bool = True) -> None:
        self._cancel = cancel
        self._jobs = jobs
        self._linked = linked

    def run(self, files: Iterator[FoundFile], share: int = 0, of: int = 1) -> Iterator[list[Examined]]:
        """Examine every ``of``-th chunk from number ``share``, a few ahead of the reader, in the order in which they were found."""
        chunks = islice(iter(lambda: list(islice(files, CHUNK_FILES)), []), share, None, of)
        with ThreadPoolExecutor(self._jobs or MOST_JOBS) as pool:
            waiting: deque[Future[tuple[list[Examined], float]]] = deque()
            try:
                for chunk in chunks:
                    waiting.append(pool.submit(self._work, chunk))
                    if self._jobs is None:  # the first chunk tells how much of the time is waiting for the storage
                        found, times = waiting.popleft().result()
                        self._jobs = min(max(round(times), 1), MOST_JOBS)
                        yield found
                    elif len(waiting) > self._jobs:
                        yield waiting.popleft().result()[0]
                while waiting:
                    yield waiting.popleft().result()[0]
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _work(self, chunk: list[FoundFile]) -> tuple[list[Examined], float]:
        """Examine some files; returns also how many times longer that took than the processor was busy."""
        start, busy = time.perf_counter(), time.thread_time()
        found = []
        for path, origin in chunk:
            self._cancel.check()
            found.append(examine(path, origin, linked=self._linked))
        busy = max(time.thread_time() - busy, time.get_clock_info("thread_time").resolution)
        return found, (time.perf_counter() - start) / busy
