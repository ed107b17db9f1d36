"""Bringing many small files to disk at the price of few: whoever waits for the disk at the same time waits once.

A receiver must not say "stored" before an instance is on disk. With several associations several instances are waiting at any moment;
one thread syncs all that have gathered, then each folder once, and wakes up everybody.
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
    """Files to sync, then what publishes them, then the folder that holds them."""

    path: Path
    publish: Callable[[], Path]
    done: threading.Event = field(default_factory=threading.Event)
    folder: Path | None = None
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
        request = _Request(path, publish)
        self._queue.put(request)
        request.done.wait()
        if request.error is not None:
            raise request.error
        assert request.folder is not None
        return request.folder

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
            sync(request.path)
            reach("pacs.slice-synced")
            request.folder = request.publish()
            reach("pacs.slice-placed")
        except OSError as error:
            request.error = error
    placed = [request for request in group if request.error is None and request.folder is not None]
    for folder in {request.folder.parent for request in placed if request.folder}:
        try:
            sync(folder)
        except OSError as error:
            for request in placed:
                if request.folder and request.folder.parent == folder:
                    request.error = error
    reach("pacs.folder-synced")
    for request in group:
        request.done.set()
