"""The ledger's side of workers: leases, heartbeats, and what becomes of a job when its worker is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from AutoSegmentQueueLib.failpoints import reach
from AutoSegmentQueueLib.ledger_changes import change, end, fetch, held, update
from AutoSegmentQueueLib.ledger_rows import Job, job_of
from AutoSegmentQueueLib.ledger_store import LedgerStore, NotAllowed
from AutoSegmentQueueLib.owners import lease_clock, surely_gone
from AutoSegmentQueueLib.states import Failure, State


@dataclass(frozen=True)
class Heartbeat:
    """What a worker tells about a job it holds."""

    fence: int
    progress: float
    stage: str


@dataclass(frozen=True)
class Answer:
    """What it hears back: jobs that are to be cancelled, and jobs it does not hold any more."""

    cancel: frozenset[str]
    lost: frozenset[str]


class LeaseLedger(LedgerStore):
    """The part of the ledger that workers use."""

    now: Callable[[], float] = staticmethod(time.time)  # wall clock, for people
    clock: Callable[[], float] = staticmethod(lease_clock)  # for leases only

    def lease(self, owner: str, seconds: float, full: Iterable[str] = (), *, begin: bool = False) -> Job | None:
        """Give the next job to a worker, none for devices that are full; None if there is none or the queue is paused.

        With ``begin`` it is `begin` as well, in the same commit, unless an earlier attempt may have published it: that is looked at first.
        """
        names = sorted(full)
        query = (
            "SELECT * FROM jobs WHERE state = 'queued' AND link_of IS NULL AND not_before <= ?"
            f" AND device NOT IN ({', '.join('?' * len(names))}) ORDER BY priority DESC, seq LIMIT 1"
        )
        values = (self.now(), *names)
        with self.reading() as connection:  # most looks find nothing; they should cost no write
            if self.paused or connection.execute(query, values).fetchone() is None:
                return None
        with self.writing() as connection:
            row = connection.execute(query, values).fetchone()
            if row is None:
                return None
            job, start = job_of(row), self.clock()
            lease = {"lease_owner": owner, "lease_start": start, "lease_until": start + seconds}
            counts = {"fence": job.fence + 1, "progress": 0.0, "error": None, "error_class": None}
            leased = change(connection, job, State.LEASED, self.now(), "", **lease, **counts)
            if begin and not leased.reserved:
                leased = self._begin(connection, leased)
        reach("lease.taken")
        return leased

    def has_work(self) -> bool:
        """True if a job waits for a worker or is with one; links to equal content do not count."""
        query = (
            "SELECT 1 FROM jobs WHERE (state = 'queued' AND link_of IS NULL)"
            " OR state IN ('leased', 'running', 'validating') LIMIT 1"
        )
        with self.reading() as connection:
            return connection.execute(query).fetchone() is not None

    def begin(self, job_id: str, fence: int) -> Job:
        """Say that the process of a job is being started; this counts as an attempt."""
        with self.writing() as connection:
            return self._begin(connection, held(connection, job_id, fence))

    def _begin(self, connection: Any, job: Job) -> Job:
        now = self.now()
        return change(connection, job, State.RUNNING, now, attempts=job.attempts + 1, started=now)

    def beat(self, beats: Mapping[str, Heartbeat], seconds: float) -> Answer:
        """Prolong leases and tell the progress of their jobs, all at once."""
        cancel, lost = set(), set()
        with self.writing() as connection:
            for job_id, one in beats.items():
                job = fetch(connection, job_id)
                if job.fence != one.fence or job.lease_owner is None:
                    lost.add(job_id)
                    continue
                if job.cancel_requested:
                    cancel.add(job_id)
                start = self.clock()
                lease = {"lease_start": start, "lease_until": start + seconds}
                update(connection, job_id, progress=one.progress, stage=one.stage, changed=self.now(), **lease)
        return Answer(frozenset(cancel), frozenset(lost))

    def cancel_requests(self) -> frozenset[str]:
        """Return the running jobs that are to be cancelled; reading it keeps nobody from writing."""
        query = "SELECT id FROM jobs WHERE cancel_requested = 1 AND state IN ('leased', 'running', 'validating')"
        with self.reading() as connection:
            return frozenset(row["id"] for row in connection.execute(query).fetchall())

    def validate(self, job_id: str, fence: int, note: str = "") -> Job:
        """Say that the process of a job has ended and its results are being looked at."""
        with self.writing() as connection:
            return change(connection, held(connection, job_id, fence), State.VALIDATING, self.now(), note)

    def reserve(self, job_id: str, fence: int, candidates: Iterable[str], taken: str = "") -> str:
        """Give a job, once and for all its attempts, the first folder no other job has.

        ``taken`` is the folder it had and which turned out to be somebody else's; then it gets another one.
        """
        with self.writing() as connection:
            job = held(connection, job_id, fence)
            if job.reserved and job.reserved != taken:
                return job.reserved
            for candidate in candidates:
                if not connection.execute("SELECT 1 FROM jobs WHERE reserved = ?", (candidate,)).fetchone():
                    update(connection, job_id, reserved=candidate)
                    return candidate
        raise NotAllowed(f"no free name for the results of job {job_id}")

    def check_fence(self, job_id: str, fence: int) -> None:
        """Raise `StaleFence` unless the job is still held with this fence."""
        with self.reading() as connection:
            held(connection, job_id, fence)

    def finish(self, job_id: str, fence: int, output: str, note: str = "") -> Job:
        """Say that verified results lie under their name; links end with it, a chain goes on."""
        with self.writing() as connection:
            job = held(connection, job_id, fence)
            return end(connection, job, State.DONE, self.now(), note, output=output, progress=1.0, error=None)

    def fail(self, job_id: str, fence: int, failure: Failure, message: str) -> Job:
        """End a job that will not work; the reason is kept."""
        return self._give_up(job_id, fence, State.FAILED, failure, message)

    def crashed(self, job_id: str, fence: int, most: int, failure: Failure, message: str, wait_seconds: float) -> Job:
        """Put a job whose process ended without a word back into the queue; after ``most`` retries quarantine it."""
        with self.writing() as connection:
            job, now = held(connection, job_id, fence), self.now()
            why = {"crashes": job.crashes + 1, "error": message, "error_class": failure.value}
            if job.cancel_requested:
                return end(connection, job, State.CANCELLED, now)
            if job.crashes >= most:
                return end(connection, job, State.QUARANTINED, now, message, **why)
            return change(connection, job, State.QUEUED, now, message, not_before=now + wait_seconds, **why)

    def lost(self, job_id: str, fence: int, most: int, note: str) -> Job:
        """Put a job back whose machine was lost while it ran; after ``most`` losses quarantine it."""
        with self.writing() as connection:
            job, now = held(connection, job_id, fence), self.now()
            if job.cancel_requested:
                return end(connection, job, State.CANCELLED, now)
            losses = job.losses + 1
            if losses > most:
                why = {"error": f"its machine was lost {losses} times while it ran", "error_class": Failure.LOST.value}
                return end(connection, job, State.QUARANTINED, now, why["error"], losses=losses, **why)
            return change(connection, job, State.QUEUED, now, note, losses=losses)

    def put_back(self, job_id: str, fence: int, note: str, **columns: Any) -> Job:
        """Queue a job again through no fault of its own (shutdown, full disk, a step down the memory ladder)."""
        with self.writing() as connection:
            return change(connection, held(connection, job_id, fence), State.QUEUED, self.now(), note, **columns)

    def restabilise(self, job_id: str, fence: int, note: str) -> Job:
        """Send a job back to intake: its input is not what was checked."""
        with self.writing() as connection:
            return change(connection, held(connection, job_id, fence), State.STABILISING, self.now(), note, key=None)

    def cancelled(self, job_id: str, fence: int) -> Job:
        """Say that the process group of a cancelled job has ended."""
        with self.writing() as connection:
            return end(connection, held(connection, job_id, fence), State.CANCELLED, self.now())

    def reclaim(
        self, most: int, published: Callable[[Job], bool], gone: Callable[[str], bool] = surely_gone
    ) -> list[Job]:
        """Take back the jobs of workers that are gone or have not been heard of; returns them as they are then.

        Parameters
        ----------
        most : how often a job may lose its worker before it is quarantined.
        published : whether a job's verified results lie under their name already.
        gone : whether a worker is known to have ended.
        """
        query = "SELECT * FROM jobs WHERE state IN ('leased', 'running', 'validating')"
        with self.reading() as connection:
            late = [job for job in map(job_of, connection.execute(query).fetchall()) if self._is_lost(job, gone)]
        taken = []
        for job in late:
            with self.writing() as connection:
                now_job = fetch(connection, job.id)
                if now_job.fence == job.fence and now_job.lease_owner and self._is_lost(now_job, gone):
                    taken.append(self._take_back(connection, now_job, most, published(now_job)))
        return taken

    def _is_lost(self, job: Job, gone: Callable[[str], bool]) -> bool:
        start, until = job.lease_start or 0.0, job.lease_until or 0.0
        return not start <= self.clock() < until or gone(job.lease_owner or "")

    def _take_back(self, connection: Any, job: Job, most: int, is_published: bool) -> Job:
        now, fence = self.now(), job.fence + 1  # whoever still works on it is locked out from here on
        if job.state is State.VALIDATING and is_published:
            done = {"output": job.reserved, "progress": 1.0, "fence": fence}
            return end(connection, job, State.DONE, now, "published before its worker was lost", **done)
        if job.cancel_requested:
            return end(connection, job, State.CANCELLED, now, fence=fence)
        losses = job.losses + (job.state is not State.LEASED)
        counts = {"fence": fence, "losses": losses}
        if losses > most:
            why = {"error": f"its worker was lost {losses} times while it ran", "error_class": Failure.LOST.value}
            return end(connection, job, State.QUARANTINED, now, why["error"], **why, **counts)
        return change(connection, job, State.QUEUED, now, "its worker was lost", **counts)

    def _give_up(self, job_id: str, fence: int, state: State, failure: Failure, message: str) -> Job:
        with self.writing() as connection:
            job = held(connection, job_id, fence)
            return end(connection, job, state, self.now(), message, error=message, error_class=failure.value)

    @property
    def paused(self) -> bool:
        """Whether workers take no new jobs."""
        with self.reading() as connection:
            row = connection.execute("SELECT value FROM facts WHERE name = 'paused'").fetchone()
        return row is not None and row["value"] == "1"
