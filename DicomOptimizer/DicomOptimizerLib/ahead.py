"""Headers of the input, read by other processes while this one loads its libraries, which takes as long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from DicomWorkbenchLib.progress import CancelToken
from DicomWorkbenchLib.series_examine import Chunk

from DicomOptimizerLib.settings import OptimizerSettings
from DicomOptimizerLib.workers import can_fork


class Ahead(Protocol):
    """Somebody who reads headers for us."""

    def chunks(self) -> Iterator[Chunk]:
        """Yield what the files are, in the order in which a scan would find them.

        Raises
        ------
        Cancelled : somebody asked to stop.
        ProcessError : a process died.
        """


@contextmanager
def reading_ahead(settings: OptimizerSettings, cancel: CancelToken) -> Iterator[Ahead | None]:
    """Start to read headers; gives None where this process has to do it itself. The processes end with the block."""
    if settings.workers == 1 or not can_fork():
        yield None
        return
    from DicomOptimizerLib.ahead_posix import ForkedReaders

    readers = ForkedReaders(settings.inputs, settings.workers, cancel)
    try:
        yield readers
    finally:
        readers.end()
