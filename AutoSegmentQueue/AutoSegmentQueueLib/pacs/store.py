"""Taking an instance in: checked, synced, and placed in the folder of its series under a name of ours.

Safe against a kill at any moment: an instance is either in its place and on disk, or its sender has no word of success and sends it again.

The same instance again changes nothing. Another content under the same UID, as after a correction in the PACS, takes the place of the
first, which is kept in ``replaced``; it makes a new revision.
"""

from __future__ import annotations

import enum
import os
import shutil
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.outputs import sync

from AutoSegmentQueueLib.failpoints import reach
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.pacs.group_sync import GroupSync
from AutoSegmentQueueLib.pacs.instance import Instance, read_instance
from AutoSegmentQueueLib.pacs.received import Origin, Received, SeriesFolder, slice_name
from AutoSegmentQueueLib.settings import QueueSettings

SPACE_SECONDS = 1.0  # the free space is asked for once in so long
_BLOCK = 1 << 20


class DiskFull(OutputError):
    """There is too little space to take anything in."""


class Outcome(enum.StrEnum):
    """What became of an instance."""

    NEW = "new"
    KNOWN = "known"  # the same was there already
    REPLACED = "replaced"  # another content was there under the same UID


@dataclass(frozen=True)
class Stored:
    """An instance that was taken in."""

    instance: Instance
    outcome: Outcome


class Store:
    """Takes instances in; any number of threads and processes may do so at once. Close it at the end."""

    def __init__(self, home: Home, settings: QueueSettings) -> None:
        self.received = Received(home)
        self.incoming = self.received.incoming()
        self._home = home
        self._settings = settings
        self._sync = GroupSync()
        self._lock = threading.Lock()
        self._space_until = 0.0
        self._full = ""
        self.counts: Counter[Outcome] = Counter()

    def close(self) -> None:
        """End the thread and remove what is half there."""
        self._sync.close()
        self.incoming.close()

    def check_space(self) -> None:
        """See that there is space for more.

        Raises
        ------
        DiskFull : there is not.
        """
        now = time.monotonic()
        if now >= self._space_until:
            usage = shutil.disk_usage(self._home.root)
            least = self._settings.least_free_bytes(usage.total)
            self._full = f"less than {least >> 20} MB are free; nothing is taken in" if usage.free < least else ""
            self._space_until = now + SPACE_SECONDS
        if self._full:
            raise DiskFull(self._full)

    def take(self, path: Path, origin: Origin, instance: Instance | None = None) -> Stored:
        """Take in a complete file, which is moved from where it lies.

        Raises
        ------
        NotAnInstance : it is no DICOM instance.
        DiskFull : there is too little space.
        OSError : the disk refused.
        """
        self.check_space()
        instance = instance or read_instance(path)
        series = self.received.series(instance.study_uid, instance.series_uid)
        series.write_origin(instance.study_uid, instance.series_uid, origin)
        target = series.slices / slice_name(instance.sop_instance_uid)
        if target.exists() and _same(path, instance.data_offset, target):
            path.unlink()
            os.utime(series.slices)  # the sender is at it: the series is not quiet
            sync(series.slices)  # whoever placed it may have been killed before its name was on disk
            outcome = Outcome.KNOWN
        else:
            outcome = self._place(self._on_our_disk(path), instance, series, target)
        with self._lock:
            self.counts[outcome] += 1
        return Stored(instance, outcome)

    def _place(self, path: Path, instance: Instance, series: SeriesFolder, target: Path) -> Outcome:
        outcome = Outcome.NEW

        def publish() -> Path:
            nonlocal outcome
            if _link(path, target):
                path.unlink(missing_ok=True)
                return target
            if _same(path, instance.data_offset, target):  # another association was quicker with the same
                path.unlink()
                outcome = Outcome.KNOWN
                return target
            outcome = Outcome.REPLACED
            _keep(target, series)
            reach("pacs.slice-kept")
            path.replace(target)
            return target

        self._sync.store(path, publish)
        return outcome

    def _on_our_disk(self, path: Path) -> Path:
        """Return the file where it can be renamed from: it may have been written to another disk."""
        if path.parent == self.incoming.folder or path.stat().st_dev == self.received.root.stat().st_dev:
            return path
        near = self.incoming.new_file()
        shutil.copyfile(path, near)
        path.unlink()
        return near


def _link(path: Path, target: Path) -> bool:
    """Give a file its final name unless that is taken; returns whether it was free."""
    try:
        os.link(path, target)
        return True
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if target.exists():
            return False
        path.rename(target)
        return True


def _keep(target: Path, series: SeriesFolder) -> None:
    """Keep what is about to be replaced."""
    series.replaced.mkdir(exist_ok=True, mode=0o700)
    number = 1
    while (kept := series.replaced / f"{target.stem}-{number}.dcm").exists():
        number += 1
    try:
        os.link(target, kept)
    except OSError:
        shutil.copyfile(target, kept)


def _same(path: Path, offset: int, known: Path) -> bool:
    """Compare two instances without their file meta information, which each receiver writes anew."""
    known_offset = read_instance(known).data_offset
    if path.stat().st_size - offset != known.stat().st_size - known_offset:
        return False
    with path.open("rb") as one, known.open("rb") as other:
        one.seek(offset)
        other.seek(known_offset)
        while block := one.read(_BLOCK):
            if block != other.read(_BLOCK):
                return False
    return True
