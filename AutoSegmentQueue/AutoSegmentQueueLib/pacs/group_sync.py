"""Bringing many small files to disk at the price of few: whoever waits for the disk at the same time waits once.

A receiver must not say "stored" before an instance is on disk. With several associations several instances are waiting at any moment. Each
file is synced by the thread that brings it, because file systems do several at once for the price of one; then one thread gives all that
have gathered their names, syncs each folder once, and wakes up everybody.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from DicomWorkbenchLib.outputs import sync

from AutoSegmentQueueLib.failpoints import reach

_MOST = 64  # in one group: nobody waits for longer than that


@dataclass
class _Request:
    """What gives a file its name, and under which name it lies then."""

    publish: Callable[[], Path]
    done: threading.Event = field(default_factory=threading.Event)
    placed: Path | None = None
    error: OSError | None = None


class GroupSync:
    """A thread that syncs; use `store`, and `close` at the end."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="group-sync", daemon=True)
        self._thread.start()

    def store(self, path: Path, publish: Callable[[], Path]) -> Path:
        """Sync a file, publish it under its final name, sync the folder of that; all is on disk when this returns.

        Parameters
        ----------
        path : a file that is written and closed.
        publish : gives the file its final name and returns it; runs in the thread of the sync.

        Raises
        ------
        OSError : the disk refused.
        """
        sync(path)
        reach("pacs.slice-synced")
        request = _Request(publish)
        self._queue.put(request)
        request.done.wait()
        if request.error is not None:
            raise request.error
        assert request.placed is not None
        return request.placed

    def close(self) -> None:
        """Finish what was asked for and end."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            group, last = [first], False
            while len(group) < _MOST and not self._queue.empty():
                more = self._queue.get()
                if more is None:
                    last = True
                    break
                group.append(more)
            _sync(group)
            if last:
                return


def _sync(group: list[_Request]) -> None:
    for request in group:
        try:
            request.placed = request.publish()
            reach("pacs.slice-placed")
        except OSError as error:
            request.error = error
    for folder in {request.placed.parent for request in group if request.placed}:
        try:
            sync(folder)
        except OSError as error:
            for request in group:
                if request.placed and request.placed.parent == folder:
                    request.error = error
    reach("pacs.folder-synced")
    for request in group:
        request.done.set()
