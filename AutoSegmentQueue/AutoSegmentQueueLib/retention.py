"""What becomes of inputs: archived after their results are verified and deleted later, or put aside with the reason.

This is the one place of the project that moves or deletes what a user brought, and only what lies in the queue's own input folder.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.outputs import free_name, sync, write_atomically

from AutoSegmentQueueLib.failpoints import reach
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.intake_units import DONE_MARK, content_of, look_at
from AutoSegmentQueueLib.ledger import Job, Ledger
from AutoSegmentQueueLib.publish import results_stand
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.states import State

DAY_SECONDS = 86400.0
REASON = ".reason.txt"


class Retention:
    """Brings inputs where they belong; every step can be repeated after a crash."""

    def __init__(
        self, home: Home, settings: QueueSettings, ledger: Ledger, now: Callable[[], float] = time.time
    ) -> None:
        self._home = home
        self._settings = settings
        self._ledger = ledger
        self._now = now

    def sweep(self) -> int:
        """Move and delete what is due; returns how many inputs were handled."""
        handled = 0
        for job in self._ledger.undisposed():
            handled += self._archive(job) if job.state is State.DONE else self._put_aside(job)
        for job in self._ledger.archived(self._now() - self._settings.archive_days * DAY_SECONDS):
            handled += self._delete(job)
        return handled

    def _archive(self, job: Job) -> int:
        """Move the input of a job whose results stand; a changed input is a new one and stays."""
        place, target = Path(job.inputs[0]), self._home.archive / job.id / Path(job.source).name
        unit = look_at(place)
        if unit is None and not target.exists():
            self._ledger.dispose(job.id, "taken", [], "the input was taken away by somebody else")
            return 1
        if unit is not None and unit.signature != job.signature:
            self._ledger.dispose(job.id, "kept", job.inputs, "the input was changed after it was read; it stays")
            return 1
        if not results_stand(job):
            return 0
        if unit is not None:
            move(place, target)
        _forget_marks(place)
        self._ledger.dispose(job.id, "archived", [str(target)], "input archived: results are verified")
        return 1

    def _delete(self, job: Job) -> int:
        folder = self._home.archive / job.id
        reach("retention.before-delete")
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            return 0
        self._ledger.dispose(job.id, "deleted", [], "input deleted: its time in the archive is over")
        return 1

    def _put_aside(self, job: Job) -> int:
        """Move a failed input to ``failed``, the reason beside it."""
        place = Path(job.inputs[0])
        unit = look_at(place)
        target = self._home.failed / place.name if place.parent == self._home.failed else self._claim(job, place.name)
        if unit is not None and unit.signature != job.signature and place != target:
            self._ledger.dispose(job.id, "kept", job.inputs, "the input was changed meanwhile; it stays")
            return 1
        _write_reason(target, job)
        if unit is None and not target.exists():
            self._ledger.dispose(job.id, "taken", [], "the input was taken away by somebody else")
            return 1
        if unit is not None and place != target:
            move(place, target)
            _forget_marks(place)
        self._ledger.dispose(job.id, "failed", [str(target)], "input put aside")
        return 1

    def _claim(self, job: Job, name: str) -> Path:
        """Return the place in ``failed`` whose reason names this job already, or a free one."""
        target, number = self._home.failed / name, 2
        while target.exists() or reason_of(target).exists():
            if _names(reason_of(target), job):
                return target
            target = self._home.failed / f"{Path(name).stem}_{number}{Path(name).suffix}"
            number += 1
        return target


def reason_of(path: Path) -> Path:
    """Return the file that says why an input was put aside."""
    return path.with_name(path.name + REASON)


def move(source: Path, target: Path) -> None:
    """Move a file or folder; between file systems by a verified copy. The source is there until the target is whole.

    Raises
    ------
    OutputError : it cannot be moved; the source is untouched.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target = target if not target.exists() else free_name(target)
        reach("retention.before-move")
        if source.stat().st_dev == target.parent.stat().st_dev:
            source.rename(target)
        else:
            _copy_over(source, target)
        reach("retention.after-move")
        sync(target.parent)
    except OSError as error:
        raise OutputError(f"{source} cannot be moved to {target.parent}: {error.strerror or error}") from error


def _copy_over(source: Path, target: Path) -> None:
    stage = target.parent / f".{target.name[:60]}.partial-move"
    if stage.is_dir():
        shutil.rmtree(stage)
    if source.is_dir():
        shutil.copytree(source, stage)
    else:
        shutil.copy2(source, stage)
    for path in [stage, *stage.rglob("*")]:
        sync(path)
    if content_of(stage).sha256 != content_of(source).sha256:
        raise OSError(f"{source} changed while it was copied")
    stage.rename(target)
    reach("retention.copied")
    if source.is_dir():
        shutil.rmtree(source)
    else:
        source.unlink()


def _write_reason(target: Path, job: Job) -> None:
    text = (
        f"{job.error or job.state}\n\n"
        f"job: {job.id}\nstate: {job.state}\nclass: {job.error_class or ''}\nattempts: {job.attempts}\n\n"
        f"Try it again with: dicom-workbench queue retry {job.id}\n"
    )
    write_atomically(reason_of(target), text.encode("utf-8", "replace"))


def _names(reason: Path, job: Job) -> bool:
    try:
        return f"\njob: {job.id}\n" in reason.read_text(encoding="utf-8")
    except OSError:
        return False


def _forget_marks(place: Path) -> None:
    place.with_name(place.name + DONE_MARK).unlink(missing_ok=True)
    reason_of(place).unlink(missing_ok=True)
