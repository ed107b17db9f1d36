"""Intake: from the input folder into the queue, each scan when it is complete and not a moment before.

Change notices only make a look sooner; what decides is what the folder holds, looked at again and again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.errors import InputError, OutputError
from DicomWorkbenchLib.progress import NEVER, CancelToken

from AutoSegmentQueueLib.formats import NotComplete, StillOpen, base_name, check
from AutoSegmentQueueLib.formats_dicom import check_files
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.intake_slices import Gatherer
from AutoSegmentQueueLib.intake_units import PARTIAL, Unit, content_of, look_at, safe_name, unit_of, units_in
from AutoSegmentQueueLib.ledger import Content, Job, Ledger, NewJob
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.states import ACTIVE, ENDED, State


@dataclass
class _Watched:
    """An input that is not queued yet: since when it looks as it does, and what its last check said."""

    signature: str
    since: float
    checked: bool = False
    still_open: bool = False
    reason: str = ""


class Intake:
    """Looks at the input folder; one look is `look`.

    Parameters
    ----------
    home, settings, ledger : of the queue.
    clock : monotonic seconds.
    """

    def __init__(
        self,
        home: Home,
        settings: QueueSettings,
        ledger: Ledger,
        *,
        clock: Callable[[], float] = time.monotonic,
        cancel: CancelToken = NEVER,
    ) -> None:
        self._home = home
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._cancel = cancel
        self._watched: dict[str, _Watched] = {}
        self._known: dict[Path, str] = {}  # settled units of the folder, so that a look at them costs no query
        self._partial: set[int] = set()  # file numbers of .part files: once renamed they are complete
        self.folder = home.input_of(settings)
        self._gathered: dict[Path, str] = {}  # folders of slices as they were made: quiet and complete already
        self._gatherer = Gatherer(self.folder, settings, ledger, clock)
        self.refusal = ""

    def look(self, *, discover: bool = True) -> int:
        """Look once; returns how many inputs were queued or refused.

        Parameters
        ----------
        discover : whether new files in the input folder are taken up; otherwise only what the ledger knows already.
        """
        self._note_refusal(self._full_disk())
        if self.refusal:
            return 0
        if discover:
            self._discover()
        waiting = self._ledger.jobs([State.RECEIVED, State.STABILISING])
        for gone in set(self._watched) - {job.id for job in waiting}:
            del self._watched[gone]
        settled = sum(self._settle(job) for job in waiting)
        if self._gatherer.trouble:
            raise OutputError(self._gatherer.trouble)
        return settled

    def settle_one(self, job_id: str) -> Job:
        """Look at one input that was named by a person: one that has been quiet long enough already is not waited for."""
        job = self._ledger.job(job_id)
        unit = unit_of(job.inputs)
        if unit is not None and job_id not in self._watched:
            age = max(0.0, time.time() - unit.newest)
            self._watched[job_id] = _Watched(unit.signature, self._clock() - age)
        if job.state in (State.RECEIVED, State.STABILISING):
            self._settle(job)
        return self._ledger.job(job_id)

    def reason_of(self, job_id: str) -> str:
        """Return what the last check of an input said."""
        seen = self._watched.get(job_id)
        return seen.reason if seen and seen.reason else "it is still being changed"

    @property
    def waiting(self) -> bool:
        """True while an input is being watched."""
        return bool(self._watched) or self._gatherer.waiting

    def _discover(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._partial |= {
            path.stat().st_ino
            for path in self.folder.iterdir()
            if path.name.lower().endswith(PARTIAL) and path.is_file()
        }
        slices, gathered = self._gatherer.look()
        self._gathered |= {path: unit.signature for path in gathered if (unit := look_at(path))}
        units = units_in(self.folder, slices)
        self._known = {unit.path: self._known[unit.path] for unit in units if unit.path in self._known}
        for unit in units:
            if self._known.get(unit.path) != unit.signature and self._take_up(unit):
                self._known[unit.path] = unit.signature

    def _take_up(self, unit: Unit) -> bool:
        """Write a new or changed unit into the ledger; returns whether its present form needs no second look."""
        job = self._ledger.newest_of_source(str(unit.path))
        if job is None or (job.state in ENDED and job.signature != unit.signature):
            self._ledger.receive(self._asked_for(unit))
            return False
        if job.state is State.QUEUED and job.signature != unit.signature:
            self._ledger.stabilise(job.id, unit.signature, "the file has been changed")
            return False
        return job.state not in ACTIVE and job.signature == unit.signature

    def _asked_for(self, unit: Unit) -> NewJob:
        name = unit.path.name if unit.path.is_dir() else base_name(unit.path)
        settings = self._settings
        return NewJob(
            name=safe_name(name),
            engine=settings.engine,
            options=settings.segmentation.options(),
            source=str(unit.path),
            signature=unit.signature,
            owned=True,
        )

    def _settle(self, job: Job) -> int:
        """Queue or refuse one input if it is time to."""
        unit = unit_of(job.inputs)
        if unit is None:
            self._ledger.cancel(job.id, "the input was taken away before it was complete")
            return 1
        seen = self._watch(job, unit)
        quiet = self._clock() - seen.since
        if not self._is_whole(unit) and quiet < self._settings.stable_seconds:
            return 0
        if not seen.checked or seen.still_open:
            return self._check(job, unit, seen)
        if quiet >= max(self._settings.incomplete_seconds, self._settings.stable_seconds):
            self._ledger.refuse(job.id, f"{seen.reason}; nothing has been added for {quiet:.0f} s")
            return 1
        return 0

    def _watch(self, job: Job, unit: Unit) -> _Watched:
        seen = self._watched.get(job.id)
        if seen is None or seen.signature != unit.signature:
            seen = self._watched[job.id] = _Watched(unit.signature, self._clock())
        if job.state is State.RECEIVED:
            self._ledger.stabilise(job.id, unit.signature)
        return seen

    def _check(self, job: Job, unit: Unit, seen: _Watched) -> int:
        seen.checked, seen.still_open = True, False
        try:
            checked = check(unit.path, self._cancel) if not unit.slices else check_files(unit.slices, self._cancel)
            found = content_of(unit.path, self._cancel, unit.slices)
        except StillOpen as error:
            seen.still_open, seen.reason = True, str(error)
            return 0
        except NotComplete as error:
            seen.reason = str(error)
            return 0
        except InputError as error:
            self._ledger.stabilise(job.id, unit.signature)
            self._ledger.refuse(job.id, str(error))
            return 1
        except OSError as error:
            seen.reason = f"it cannot be read: {error.strerror or error}"
            return 0
        after = unit_of(job.inputs)
        if after is None or after.signature != unit.signature:
            return 0  # it changed under our eyes: the window begins anew at the next look
        content = Content(found.sha256, found.bytes, checked.voxels)
        self._ledger.settle(job.id, content, unit.signature)
        return 1

    def _is_whole(self, unit: Unit) -> bool:
        """True if the window need not be waited for: a mark, a rename or our own gathering says that the input is complete."""
        return unit.marked or self._gathered.get(unit.path) == unit.signature or self._was_partial(unit)

    def _was_partial(self, unit: Unit) -> bool:
        try:
            return bool(self._partial) and unit.path.stat().st_ino in self._partial
        except OSError:
            return False

    def _full_disk(self) -> str:
        """Say which disk has too little space, empty text if none."""
        for folder in (self._home.root, self._home.output_of(self._settings)):
            while not folder.exists():
                folder = folder.parent
            usage = shutil.disk_usage(folder)
            least = self._settings.least_free_bytes(usage.total)
            if usage.free < least:
                return f"less than {least >> 20} MB are free for {folder}; nothing is taken in until there is more"
        return ""

    def _note_refusal(self, refusal: str) -> None:
        if refusal == self.refusal:
            return
        self.refusal = refusal
        try:
            self._ledger.set_fact("intake", refusal)
        except OutputError:
            if not refusal:  # the ledger cannot be written just because the disk is full; status asks the disk itself
                raise
