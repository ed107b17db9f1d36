"""The jobs of the queue as a table shows them: newest first, page by page, kept up to date by what has changed.

No Qt here; the panel's item model asks this. With 10,000 jobs nothing reads more than a page, or what has changed since the last look.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from AutoSegmentQueueLib.ledger import Job, Ledger
from AutoSegmentQueueLib.ledger_rows import job_of
from AutoSegmentQueueLib.states import ACTIVE, ENDED, RETRYABLE, State
from AutoSegmentQueueLib.status import Estimate

COLUMNS = ("Name", "State", "Done", "Waited", "Ran", "Left", "Engine", "Priority")
WIDTHS = (112, 72, 46, 62, 62, 62, 110, 50)  # of the columns, pixels
PAGE = 200
ESTIMATE_SECONDS = 5.0  # how long an estimate of running times is good for


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
        self._row: dict[str, int] = {}
        self._version: int | None = None
        self._changed = 0.0
        self._all_loaded = False
        self._places: dict[int, int] = {}
        self._estimate: tuple[float, Estimate] | None = None

    @property
    def can_load_more(self) -> bool:
        """True while there are older jobs."""
        return not self._all_loaded

    def next_page(self) -> list[Job]:
        """Read the next older jobs, without taking them up."""
        before = self.jobs[-1].seq if self.jobs else 1 << 62
        with self._ledger.reading() as connection:
            rows = connection.execute("SELECT * FROM jobs WHERE seq < ? ORDER BY seq DESC LIMIT ?", (before, PAGE))
            return [job_of(row) for row in rows.fetchall()]

    def take(self, page: list[Job]) -> None:
        """Take up what `next_page` has read."""
        self._all_loaded = len(page) < PAGE
        for job in page:
            self._row[job.id] = len(self.jobs)
            self.jobs.append(job)
            self._changed = max(self._changed, job.changed)

    def reload(self) -> None:
        """Forget everything and read the first page."""
        self.jobs, self._row, self._changed = [], {}, 0.0
        self._version = self._ledger.data_version()
        self._read_places()
        self.take(self.next_page())

    def refresh(self) -> Changes:
        """Take up what has changed; cheap if nothing has."""
        version = self._ledger.data_version()
        if self._version is None:
            self.reload()
            return Changes(reset=True)
        if version == self._version:
            return Changes()
        self._version = version
        with self._ledger.reading() as connection:
            found = connection.execute("SELECT * FROM jobs WHERE changed >= ? ORDER BY seq DESC", (self._changed,))
            jobs = [job_of(row) for row in found.fetchmany(PAGE + 1)]
        newest = self.jobs[0].seq if self.jobs else 0
        if len(jobs) > PAGE:
            self.reload()
            return Changes(reset=True)
        self._read_places()
        return self._merge([job for job in jobs if job.seq > newest], [job for job in jobs if job.seq <= newest])

    def _merge(self, new: list[Job], known: list[Job]) -> Changes:
        if new:
            self.jobs[:0] = new
            self._row = {job.id: row for row, job in enumerate(self.jobs)}
        rows = []
        for job in known:
            row = self._row.get(job.id)
            if row is not None and self.jobs[row] != job:
                self.jobs[row] = job
                rows.append(row)
        self._changed = max([self._changed, *(job.changed for job in (*new, *known))])
        return Changes(added=len(new), rows=tuple(sorted(rows)))

    def _read_places(self) -> None:
        """Read the order of the queue from its index alone."""
        query = "SELECT seq FROM jobs WHERE state = 'queued' AND link_of IS NULL ORDER BY priority DESC, seq"
        with self._ledger.reading() as connection:
            self._places = {row[0]: place for place, row in enumerate(connection.execute(query).fetchall())}

    def own_change(self) -> None:
        """Say that this process has changed the ledger itself, which `refresh` cannot see by the version."""
        self._version = -1

    # ---- what is shown -----------------------------------------------------------------------------------------------

    def active_rows(self) -> tuple[int, ...]:
        """Return the rows among the newest whose times go on."""
        return tuple(row for row, job in enumerate(self.jobs[:PAGE]) if job.state not in ENDED)

    def cell(self, row: int, column: int) -> str:
        """Return the text of a cell."""
        job, now = self.jobs[row], time.time()
        name = COLUMNS[column]
        if name == "Name":
            return job.name
        if name == "State":
            return "cancelling" if job.cancel_requested and job.state in ACTIVE else job.state.value
        if name == "Done":
            return f"{100 * job.progress:.0f} %" if job.state in ACTIVE or job.state is State.DONE else ""
        if name == "Waited":
            return duration((job.started or job.ended or now) - job.created)
        if name == "Ran":
            return duration((job.ended or now) - job.started) if job.started else ""
        if name == "Left":
            left = self._left(job, now)
            return "" if left is None else duration(left)
        return job.engine if name == "Engine" else str(job.priority or "")

    def _left(self, job: Job, now: float) -> float | None:
        if job.state in ENDED:
            return None
        if self._estimate is None or now - self._estimate[0] > ESTIMATE_SECONDS:
            self._estimate = now, Estimate(self._ledger, self._slots)
        return self._estimate[1].eta_seconds(job, now, self._places.get(job.seq))

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
        counts = {state: count for state, count in self._ledger.counts().items() if count}
        said = ", ".join(f"{count} {state.value}" for state, count in counts.items()) or "no jobs"
        return f"Paused. {said}" if self._ledger.paused else said[:1].upper() + said[1:]


def can_cancel(job: Job) -> bool:
    """True if a job has not ended yet."""
    return job.state not in ENDED and not job.cancel_requested


def can_retry(job: Job) -> bool:
    """True if a job may be tried again."""
    return job.state in RETRYABLE


def duration(seconds: float) -> str:
    """Return seconds as people say them: 42 s, 3:07 min, 1:05 h.

    Examples
    --------
    >>> duration(187)
    '3:07 min'
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
