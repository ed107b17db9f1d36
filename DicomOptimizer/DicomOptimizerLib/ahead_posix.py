"""Reading headers in forked processes (Linux): each examines every n-th chunk of the files and sends what it found."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import IO

from DicomWorkbenchLib.errors import ProcessError
from DicomWorkbenchLib.progress import NEVER, CancelToken
from DicomWorkbenchLib.series_examine import Chunk, Examiner
from DicomWorkbenchLib.series_files import FoundFile, find_files
from DicomWorkbenchLib.series_problems import Problem
from DicomWorkbenchLib.series_read import Examined

from DicomOptimizerLib.messages import receive, send

LOOK_MS = 100  # between two looks at the cancel token
PIPE_BYTES = 1 << 20  # headers of about 3,000 files: nobody waits for the reader


class ForkedReaders:
    """Copies of this process that read headers; see `workers` for when that is safe.

    The files are listed here and once: a folder that grows meanwhile would be cut into other chunks by every process.
    """

    def __init__(self, inputs: Sequence[Path], count: int, cancel: CancelToken) -> None:
        self._cancel = cancel
        self._problems: list[Problem] = []
        self._streams: list[IO[bytes]] = []
        self._pids: list[int] = []
        files = list(find_files(inputs, cancel, self._problems.append))
        for share in range(count):
            self._start(files, share, count)

    def _start(self, files: Sequence[FoundFile], share: int, of: int) -> None:
        ours, theirs = os.pipe()
        with suppress(OSError):  # the system may allow less
            fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # as in `worker_posix`
            pid = os.fork()
        if pid == 0:
            os.close(ours)
            _live(files, share, of, theirs)
        os.close(theirs)
        self._pids.append(pid)
        self._streams.append(os.fdopen(ours, "rb", buffering=0))

    def chunks(self) -> Iterator[Chunk]:
        """Yield the chunks in their order, taking turns; see `ahead.Ahead`."""
        yield Chunk([], self._problems)
        for stream in cycle(self._streams):
            found = self._next(stream)
            if found is None:  # there is no such chunk, so there is none behind it
                return
            yield Chunk(found, [])

    def _next(self, stream: IO[bytes]) -> list[Examined] | None:
        poll = select.poll()
        poll.register(stream, select.POLLIN)
        self._cancel.check()
        while not poll.poll(LOOK_MS):
            self._cancel.check()
        try:
            found: list[Examined] | None = receive(stream)
        except EOFError:
            raise ProcessError("a process that reads headers ended; try again with --jobs 1") from None
        return found

    def end(self) -> None:
        """End the processes, wait for them, close the pipes."""
        for pid, stream in zip(self._pids, self._streams, strict=True):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            stream.close()


def _live(files: Sequence[FoundFile], share: int, of: int, results: int) -> None:
    """Be a forked child until all headers are read; never returns."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
        stream = os.fdopen(results, "wb")
        for found in Examiner(NEVER, linked=False).run(iter(files), share, of):
            send(stream, found)
        send(stream, None)
    finally:
        os._exit(0)  # leave without running the parent's cleanup
