"""Objects kept open between requests: a few, each indexed once, none closed while somebody reads from it."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from DicomWorkbenchLib.web_problems import not_found

from ..frames import Frames
from ..sources import LocalSource
from ..stored import open_object
from .catalog import Instance, stat_of

_MOST_OPEN = 16


@dataclass
class _Entry:
    frames: Frames
    stat: tuple[int, int, int]
    tag: str
    users: int = 0
    stale: bool = False


class Pool:
    """Opened objects by path, least used closed first."""

    def __init__(self, most_open: int = _MOST_OPEN) -> None:
        self._most_open = most_open
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}

    @contextmanager
    def lease(self, instance: Instance) -> Iterator[Frames]:
        """Give the opened object; it stays open while the block runs.

        Raises
        ------
        Problem : the file is gone (404).
        InputError : it cannot be opened as frames.
        """
        entry = self._take(instance)
        try:
            yield entry.frames
        finally:
            self._give_back(entry)

    def take(self, instance: Instance) -> tuple[Frames, _Entry]:
        """Lease without a block; pass the second value to `give_back`."""
        entry = self._take(instance)
        return entry.frames, entry

    def give_back(self, entry: _Entry) -> None:
        """End a lease."""
        self._give_back(entry)

    def tag_of(self, instance: Instance) -> str:
        """Return an entity tag that changes with the file.

        Raises
        ------
        Problem : the file is gone (404).
        """
        try:
            return _tag(instance, stat_of(instance.path))
        except OSError as error:
            raise not_found("the file is no longer there") from error

    def close(self) -> None:
        """Close everything."""
        with self._lock:
            entries, self._entries = list(self._entries.values()), OrderedDict()
        for entry in entries:
            entry.frames.close()

    def _take(self, instance: Instance) -> _Entry:
        try:
            stat = stat_of(instance.path)
        except OSError as error:
            raise not_found("the file is no longer there") from error
        key = instance.sop
        with self._lock:
            opening = self._opening.setdefault(key, threading.Lock())
        with opening:
            entry = self._known(key, stat)
            if entry is None:
                frames = Frames([open_object(LocalSource(instance.path))], cache_bytes=0, read_ahead=0)
                entry = _Entry(frames, stat, _tag(instance, stat), users=1)
                with self._lock:
                    self._entries[key] = entry
                self._evict()
        return entry

    def _known(self, key: str, stat: tuple[int, int, int]) -> _Entry | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            if entry.stat != stat:
                del self._entries[key]
                entry.stale = True
                if not entry.users:
                    entry.frames.close()
                return None
            entry.users += 1
            self._entries.move_to_end(key)
            return entry

    def _give_back(self, entry: _Entry) -> None:
        with self._lock:
            entry.users -= 1
            close = entry.stale and not entry.users
        if close:
            entry.frames.close()
        else:
            self._evict()

    def _evict(self) -> None:
        closing = []
        with self._lock:
            for key in [k for k, e in self._entries.items() if not e.users]:
                if len(self._entries) <= self._most_open:
                    break
                closing.append(self._entries.pop(key))
                self._opening.pop(key, None)
        for entry in closing:
            entry.frames.close()


def _tag(instance: Instance, stat: tuple[int, int, int]) -> str:
    return hashlib.blake2b(f"{instance.sop} {stat}".encode(), digest_size=12).hexdigest()
