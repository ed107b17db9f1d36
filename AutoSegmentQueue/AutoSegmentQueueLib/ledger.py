"""The durable ledger: every job, its state, and the history of both. It alone decides what has happened."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from AutoSegmentQueueLib.ledger_changes import admit, change, end, fetch, insert, insert_complete, note_event, update
from AutoSegmentQueueLib.ledger_rows import Content, Event, Job, NewJob, event_of, job_of
from AutoSegmentQueueLib.ledger_store import NoSuchJob, NotAllowed
from AutoSegmentQueueLib.ledger_views import ViewLedger
from AutoSegmentQueueLib.states import ACTIVE, ENDED, RETRYABLE, Failure, State

__all__ = ["Content", "Event", "Job", "Ledger", "NewJob"]


class Ledger(ViewLedger):
    """The whole ledger; see `LedgerStore` for how it is opened, `LeaseLedger` for workers, `ViewLedger` for pages."""

    def receive(self, new: NewJob) -> Job:
        """Write down an input that was seen and of which nothing is known yet."""
        with self.writing() as connection:
            return insert(connection, new, State.RECEIVED, self.now())

    def enqueue(self, new: NewJob, content: Content) -> Job:
        """Queue a job whose input is complete and checked; it is on disk when this returns."""
        with self.writing() as connection:
            return insert_complete(connection, new, content, self.now())

    def stabilise(self, job_id: str, signature: str, note: str = "") -> Job:
        """Say that an input is being watched, with the signature it had last."""
        with self.writing() as connection:
            job, now = fetch(connection, job_id), self.now()
            if job.state is State.STABILISING:
                update(connection, job_id, signature=signature, changed=now)
                return replace(job, signature=signature)
            return change(connection, job, State.STABILISING, now, note, signature=signature, key=None, link_of=None)

    def settle(self, job_id: str, content: Content, signature: str) -> Job:
        """Queue a job whose input has become complete and passed its check."""
        with self.writing() as connection:
            job = fetch(connection, job_id)
            if job.state is not State.STABILISING:
                return job  # cancelled meanwhile
            update(connection, job_id, signature=signature)
            return admit(connection, job, content, self.now())

    def refuse(self, job_id: str, message: str, failure: Failure = Failure.BAD_INPUT) -> Job:
        """End a job whose input is no good, before it ever was in the queue."""
        with self.writing() as connection:
            job = fetch(connection, job_id)
            if job.state in ENDED or job.state in ACTIVE:
                return job
            return end(connection, job, State.FAILED, self.now(), message, error=message, error_class=failure.value)

    def cancel(self, job_id: str, note: str = "") -> Job:
        """Cancel a job: at once if it waits, otherwise as soon as its worker has ended the process group.

        Raises
        ------
        NotAllowed : it has ended already.
        """
        with self.writing() as connection:
            job, now = fetch(connection, job_id), self.now()
            if job.state in ENDED:
                raise NotAllowed(f"job {job_id} is {job.state} already")
            if job.state not in ACTIVE:
                return end(connection, job, State.CANCELLED, now, note)
            if not job.cancel_requested:
                update(connection, job_id, cancel_requested=1, changed=now)
                note_event(connection, job, job.state, now, "cancel was asked for")
            return replace(job, cancel_requested=True)

    def retry(self, job_id: str) -> Job:
        """Put a failed, quarantined or cancelled job back into the queue, with all its retries.

        Raises
        ------
        NotAllowed : it is in another state.
        """
        fresh: dict[str, Any] = {"crashes": 0, "losses": 0, "ladder": 0, "not_before": 0.0, "error": None}
        fresh |= {"error_class": None, "ended": None, "progress": 0.0, "started": None, "hidden": 0}
        with self.writing() as connection:
            job, now = fetch(connection, job_id), self.now()
            if job.state not in RETRYABLE:
                raise NotAllowed(
                    f"job {job_id} is {job.state}; only failed, quarantined and cancelled jobs are tried again"
                )
            if job.source:  # looked at anew: what is there now may be another content
                return change(
                    connection, job, State.STABILISING, now, "retry", key=None, link_of=None, disposal="", **fresh
                )
            return change(connection, job, State.QUEUED, now, "retry", **fresh)

    def prioritise(self, job_id: str, priority: int) -> Job:
        """Set the priority of a job; higher ones come first."""
        with self.writing() as connection:
            job = fetch(connection, job_id)
            update(connection, job_id, priority=priority, changed=self.now())
            note_event(connection, job, job.state, self.now(), f"priority {priority}")
            return replace(job, priority=priority)

    def hide(self, job_id: str) -> Job:
        """Take an ended job off all lists; its history stays.

        Raises
        ------
        NotAllowed : it, or a job that works on its results, has not ended.
        """
        with self.writing() as connection:
            job, now = fetch(connection, job_id), self.now()
            if job.state not in ENDED or _chain_runs(connection, job):
                raise NotAllowed(
                    f"job {job_id} has not ended, or a job that works on its results has not; cancel it first"
                )
            if not job.hidden:
                update(connection, job_id, hidden=1, changed=now)
                note_event(connection, job, job.state, now, "deleted")
            return replace(job, hidden=True)

    def note(self, job_id: str, text: str) -> None:
        """Write a line into the history of a job."""
        with self.writing() as connection:
            job = fetch(connection, job_id)
            note_event(connection, job, job.state, self.now(), text)

    def dispose(self, job_id: str, disposal: str, inputs: Sequence[str], note: str) -> None:
        """Say what has become of a job's input."""
        with self.writing() as connection:
            job = fetch(connection, job_id)
            update(connection, job_id, disposal=disposal, inputs=json.dumps(list(inputs)), changed=self.now())
            note_event(connection, job, job.state, self.now(), note)

    def set_paused(self, paused: bool) -> None:
        """Let workers take no new jobs, or take them again; it survives restarts."""
        self.set_fact("paused", "1" if paused else "0")

    def set_fact(self, name: str, value: str) -> None:
        """Keep a named value."""
        with self.writing() as connection:
            connection.execute(
                "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
            )

    def fact(self, name: str) -> str | None:
        """Return a named value."""
        with self.reading() as connection:
            row = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row["value"] if row else None

    def job(self, job_id: str) -> Job:
        """Return a job by its id or by the beginning of its id.

        Raises
        ------
        NoSuchJob : none or several begin so.
        """
        with self.reading() as connection:
            exact = connection.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
            last = job_id + "~"  # sorts after every letter of an id
            rows = (
                [exact]
                if exact
                else connection.execute(
                    "SELECT * FROM jobs WHERE id >= ? AND id < ? LIMIT 2", (job_id, last)
                ).fetchall()
            )
        if len(rows) != 1 or not job_id:
            count = "no job" if not rows else "more than one job"
            raise NoSuchJob(f"there is {count} {job_id}; `queue status` lists them")
        return job_of(rows[0])

    def jobs(self, states: Iterable[State] | None = None, *, after: int = 0, limit: int = -1) -> list[Job]:
        """Return jobs in the order they came, for example page by page (``after`` is the last ``seq`` seen)."""
        wanted = [state.value for state in (State if states is None else states)]
        marks = ", ".join("?" * len(wanted))
        query = f"SELECT * FROM jobs WHERE state IN ({marks}) AND hidden = 0 AND seq > ? ORDER BY seq LIMIT ?"
        with self.reading() as connection:
            return [job_of(row) for row in connection.execute(query, (*wanted, after, limit)).fetchall()]

    def counts(self) -> dict[State, int]:
        """Return how many jobs are in each state."""
        with self.reading() as connection:
            rows = connection.execute("SELECT state, COUNT(*) AS n FROM jobs GROUP BY state").fetchall()
        found = {State(row["state"]): int(row["n"]) for row in rows}
        return {state: found.get(state, 0) for state in State}

    def newest_of_source(self, source: str) -> Job | None:
        """Return the newest job for a file or folder of the input folder."""
        query = "SELECT * FROM jobs WHERE source = ? AND source != '' ORDER BY seq DESC LIMIT 1"
        with self.reading() as connection:
            row = connection.execute(query, (source,)).fetchone()
        return job_of(row) if row else None

    def undisposed(self, limit: int = 1000) -> list[Job]:
        """Return ended jobs whose input of ours still lies in the input folder; chains that still run are left out."""
        query = (
            "SELECT * FROM jobs WHERE owned = 1 AND disposal = ''"
            " AND state IN ('done', 'failed', 'quarantined') ORDER BY seq LIMIT ?"
        )
        with self.reading() as connection:
            jobs = [job_of(row) for row in connection.execute(query, (limit,)).fetchall()]
            return [job for job in jobs if not _chain_runs(connection, job)]

    def archived(self, ended_before: float, limit: int = 1000) -> list[Job]:
        """Return jobs that ended before a time and whose input is in the archive."""
        query = "SELECT * FROM jobs WHERE owned = 1 AND disposal = 'archived' AND ended <= ? ORDER BY seq LIMIT ?"
        with self.reading() as connection:
            return [job_of(row) for row in connection.execute(query, (ended_before, limit)).fetchall()]

    def recently_done(self, limit: int) -> list[Job]:
        """Return the jobs that were done last."""
        query = "SELECT * FROM jobs WHERE state = 'done' ORDER BY seq DESC LIMIT ?"
        with self.reading() as connection:
            return [job_of(row) for row in connection.execute(query, (limit,)).fetchall()]

    def history(self, job_id: str) -> list[Event]:
        """Return all that has happened to a job."""
        with self.reading() as connection:
            rows = connection.execute("SELECT * FROM history WHERE job = ? ORDER BY event", (job_id,)).fetchall()
        return [event_of(row) for row in rows]

    def events(self, after: int = 0, limit: int = 1000) -> list[Event]:
        """Return what has happened to all jobs after an event number, for readers that missed some."""
        query = "SELECT * FROM history WHERE event > ? ORDER BY event LIMIT ?"
        with self.reading() as connection:
            return [event_of(row) for row in connection.execute(query, (after, limit)).fetchall()]

    def origin(self, job: Job) -> Job:
        """Return the first job of the chain a job belongs to."""
        while job.parent:
            job = self.job(job.parent)
        return job


def _chain_runs(connection: Any, job: Job) -> bool:
    following = connection.execute("SELECT * FROM jobs WHERE parent = ?", (job.link_of or job.id,)).fetchall()
    return any(child["state"] not in ENDED or _chain_runs(connection, job_of(child)) for child in following)
