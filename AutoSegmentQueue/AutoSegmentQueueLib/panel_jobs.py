"""The jobs of the queue as a table shows them: newest first or sorted, page by page, kept up to date by what has changed.

No Qt here; the panel's item model asks this. With 10,000 jobs nothing reads more than a page, or what has happened since the last look.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from AutoSegmentQueueLib.ledger import Job, Ledger
from AutoSegmentQueueLib.ledger_views import Wish
from AutoSegmentQueueLib.panel_cells import COLUMNS, cell
from AutoSegmentQueueLib.panel_order import Order, jobs_at, sequence
from AutoSegmentQueueLib.states import ACTIVE, ENDED, State
from AutoSegmentQueueLib.status import Estimate

PAGE = 100
ESTIMATE_SECONDS = 5.0  # how long an estimate of running times, and the order of the queue, are good for
_TIMED = {COLUMNS.index(name) for name in ("Waited", "Ran", "Left")}


@dataclass(frozen=True)
class Changes:
    """What a look at the ledger has brought: everything anew, or so many new rows on top and these rows changed."""

    reset: bool = False
    added: int = 0
    rows: tuple[int, ...] = ()


class JobList:
    """The jobs that have been loaded so far.

    Parameters
    ----------
    ledger : read only here.
    slots : jobs at once, for estimates.
    """

    def __init__(self, ledger: Ledger, slots: int = 1) -> None:
        self._ledger = ledger
        self._slots = slots
        self.jobs: list[Job] = []
        self.order: Order | None = None
        self._row: dict[str, int] = {}
        self._version: int | None = None
        self._event = 0
        self._newest = 0
        self._sequence: list[int] = []  # of a sorted list: all its jobs by number
        self._all_loaded = False
        self._places: tuple[float, dict[str, int]] = (0.0, {})
        self._estimate: tuple[float, Estimate | None] = (0.0, None)
        self._summary = ""

    @property
    def can_load_more(self) -> bool:
        """True while there are further jobs."""
        return not self._all_loaded

    def next_page(self) -> list[Job]:
        """Read the next jobs, without taking them up."""
        if self.order:
            return jobs_at(self._ledger, self._sequence[:PAGE])
        return self._ledger.newest(Wish(), self.jobs[-1].seq if self.jobs else None, PAGE)

    def take(self, page: list[Job]) -> None:
        """Take up what `next_page` has read."""
        del self._sequence[:PAGE]
        self._all_loaded = not self._sequence if self.order else len(page) < PAGE
        for job in page:
            self._row[job.id] = len(self.jobs)
            self.jobs.append(job)
            self._newest = max(self._newest, job.seq)

    def sort(self, order: Order | None) -> None:
        """Show the jobs in another order, None for the newest first; jobs that come later stand on top until it is sorted again."""
        self.order = order
        self.reload()

    def reload(self) -> None:
        """Forget everything and read the first page."""
        self.jobs, self._row = [], {}
        self._version, self._event = self._ledger.data_version(), self._ledger.last_event()
        self._sequence = sequence(self._ledger, self.order) if self.order else []
        self._newest = max(self._sequence, default=0)
        self._summary = ""
        self.take(self.next_page())

    def refresh(self) -> Changes:
        """Take up what has changed; cheap if nothing has."""
        version = self._ledger.data_version()
        if version == self._version:
            return Changes()
        self._version, self._summary = version, ""
        changed = self._ledger.changes(self._event, PAGE + 1)
        if len(changed) > PAGE or any(one.job.hidden for one in changed):
            self.reload()
            return Changes(reset=True)
        found = {one.job.id: one.job for one in changed}
        found |= {job.id: job for job in self._ledger.active()}  # their progress is no event
        self._event = max([self._event, *(one.event for one in changed)])
        return self._merge(found)

    def _merge(self, found: dict[str, Job]) -> Changes:
        new = sorted((job for job in found.values() if job.seq > self._newest), key=lambda job: -job.seq)
        if new:
            self.jobs[:0] = new
            self._newest = new[0].seq
            self._row = {job.id: row for row, job in enumerate(self.jobs)}
        rows = []
        for job in found.values():
            row = self._row.get(job.id)
            if row is not None and self.jobs[row] != job:
                self.jobs[row] = job
                rows.append(row)
        return Changes(added=len(new), rows=tuple(sorted(rows)))

    def own_change(self) -> None:
        """Say that this process has changed the ledger itself, which `refresh` cannot see by the version."""
        self._version = -1

    def row_of(self, job_id: str) -> int | None:
        """Return the row of a job; None if it is not among those that are loaded."""
        return self._row.get(job_id)

    # ---- what is shown -----------------------------------------------------------------------------------------------

    def cell(self, row: int, column: int) -> str:
        """Return the text of a cell."""
        job, now = self.jobs[row], time.time() if column in _TIMED else 0.0
        return cell(job, column, now, self._left(job, now) if COLUMNS[column] == "Left" else None)

    def _left(self, job: Job, now: float) -> float | None:
        if job.state in ENDED:
            return None
        made, estimate = self._estimate
        if estimate is None or now - made > ESTIMATE_SECONDS:
            estimate = Estimate(self._ledger, self._slots)
            self._estimate = now, estimate
        place = self._place(job, now) if job.state is State.QUEUED and estimate.typical_seconds(job) else None
        return estimate.eta_seconds(job, now, place)

    def _place(self, job: Job, now: float) -> int | None:
        made, places = self._places
        if now - made > ESTIMATE_SECONDS:
            places = {one: place for place, one in enumerate(self._ledger.waiting_ids())}
            self._places = now, places
        return places.get(job.id)

    def tip(self, row: int, _column: int = 0) -> str:
        """Return the tool tip of a row: the reason of a failure before anything else."""
        job = self.jobs[row]
        if job.error:
            return f"{job.error_class}: {job.error}" if job.error_class else job.error
        if job.state in ACTIVE and job.stage:
            return job.stage
        return f"the same content as job {job.link_of}" if job.link_of else job.source

    def summary(self) -> str:
        """Return one line about the whole queue."""
        if not self._summary:
            counts = {state: count for state, count in self._ledger.shown_counts().items() if count}
            said = ", ".join(f"{count} {state}" for state, count in counts.items()) or "no jobs"
            self._summary = f"Paused. {said}" if self._ledger.paused else said[:1].upper() + said[1:]
        return self._summary


__all__ = ["COLUMNS", "PAGE", "Changes", "JobList"]
