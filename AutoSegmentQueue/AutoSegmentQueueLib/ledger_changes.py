"""The changes a transaction of the ledger is made of. Each takes the connection of an open write transaction."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from AutoSegmentQueueLib.ledger_rows import Content, Job, NewJob, Step, chain_json, job_of
from AutoSegmentQueueLib.ledger_store import NoSuchJob, NotAllowed, StaleFence
from AutoSegmentQueueLib.states import ACTIVE, ENDED, TRANSITIONS, State

_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # no 0, o, 1, i, l: people read ids to each other
_ID_LENGTH = 8
_NOTE = "INSERT INTO history (at, job, state, previous, attempt, fence, note) VALUES (?, ?, ?, ?, ?, ?, ?)"
NO_LEASE = {"lease_owner": None, "lease_start": None, "lease_until": None}


def fetch(connection: sqlite3.Connection, job_id: str) -> Job:
    """Return one job.

    Raises
    ------
    NoSuchJob : there is none.
    """
    row = connection.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        raise NoSuchJob(f"there is no job {job_id}; `queue status` lists them")
    return job_of(row)


def held(connection: sqlite3.Connection, job_id: str, fence: int) -> Job:
    """Return a job that its caller still holds.

    Raises
    ------
    StaleFence : it has ended, or another worker has got it since.
    """
    job = fetch(connection, job_id)
    if job.fence != fence or job.state not in ACTIVE:
        raise StaleFence(f"job {job_id} is {job.state} with fence {job.fence}; fence {fence} has no say in it any more")
    return job


def insert(connection: sqlite3.Connection, new: NewJob, state: State, now: float, **columns: Any) -> Job:
    """Add a row and the first line of its history."""
    values: dict[str, Any] = {
        "id": _free_id(connection),
        "name": new.name,
        "kind": new.kind,
        "engine": new.engine,
        "options": json.dumps(new.options, sort_keys=True),
        "chain": chain_json(new.chain),
        "user": new.user,
        "device": new.device,
        "priority": new.priority,
        "state": state.value,
        "source": new.source,
        "signature": new.signature,
        "owned": int(new.owned),
        "inputs": json.dumps(list(new.inputs) or ([new.source] if new.source else [])),
        "created": now,
        "changed": now,
        **columns,
    }
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO jobs ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))
    job = fetch(connection, values["id"])
    _note_way_to(connection, job, now)
    return job


def _note_way_to(connection: sqlite3.Connection, job: Job, now: float) -> None:
    """Write the history of a new row; one that is complete from the start has gone through what comes before."""
    way: list[State] = [State.RECEIVED, State.STABILISING, State.QUEUED] if job.state is State.QUEUED else [job.state]
    rows = [
        (now, job.id, state, before, job.attempts, job.fence, "")
        for before, state in zip([None, *way], way, strict=False)
    ]
    connection.executemany(_NOTE, rows)


def change(connection: sqlite3.Connection, job: Job, to: State, now: float, note: str = "", **columns: Any) -> Job:
    """Bring a job into another state and write the history.

    Raises
    ------
    NotAllowed : that state cannot follow.
    """
    if to not in TRANSITIONS[job.state]:
        raise NotAllowed(f"job {job.id} is {job.state}; it cannot become {to}")
    if to not in ACTIVE:
        columns = {**NO_LEASE, "stage": "", **columns}
    if to in ENDED:
        columns = {"ended": now, "cancel_requested": 0, **columns}
    update(connection, job.id, state=to.value, changed=now, **columns)
    after = fetch(connection, job.id)
    note_event(connection, after, job.state, now, note)
    return after


def update(connection: sqlite3.Connection, job_id: str, **columns: Any) -> None:
    """Set columns of one job."""
    names = ", ".join(f"{name} = ?" for name in columns)
    connection.execute(f"UPDATE jobs SET {names} WHERE id = ?", (*columns.values(), job_id))


def note_event(connection: sqlite3.Connection, job: Job, previous: State | None, now: float, note: str) -> None:
    """Write one line of history."""
    connection.execute(_NOTE, (now, job.id, job.state, previous, job.attempts, job.fence, note))


def key_of(job: Job | NewJob, content: Content) -> str:
    """Return the idempotency key: equal content of which the same is wanted has the same key."""
    wanted = [content.sha256, job.kind, job.engine, job.options, json.loads(chain_json(job.chain))]
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()


def insert_complete(connection: sqlite3.Connection, new: NewJob, content: Content, now: float) -> Job:
    """Add a job whose input is complete; equal content that is known already takes the longer way and is linked."""
    key = key_of(new, content)
    if _same_work(connection, key, "") is not None:
        return admit(connection, insert(connection, new, State.STABILISING, now), content, now)
    known = {"sha256": content.sha256, "bytes": content.bytes, "voxels": content.voxels}
    return insert(connection, new, State.QUEUED, now, key=key, queued=now, **known)


def admit(connection: sqlite3.Connection, job: Job, content: Content, now: float) -> Job:
    """Queue a job whose input is complete; where equal content is known already, link it to that job instead."""
    key = key_of(job, content)
    columns: dict[str, Any] = {
        "sha256": content.sha256,
        "bytes": content.bytes,
        "voxels": content.voxels,
        "queued": now,
    }
    first = _same_work(connection, key, job.id)
    if first is None:
        return change(connection, job, State.QUEUED, now, key=key, link_of=None, **columns)
    note = f"equal content: linked to {first.id}"
    linked = change(connection, job, State.QUEUED, now, note, key=key, link_of=first.id, **columns)
    if first.state is State.DONE:
        return change(connection, linked, State.DONE, now, note, output=first.output, progress=1.0)
    return linked


def end(connection: sqlite3.Connection, job: Job, to: State, now: float, note: str = "", **columns: Any) -> Job:
    """Bring a job to its end, and with it what is linked to it."""
    ended = change(connection, job, to, now, note, **columns)
    links = [
        job_of(row)
        for row in connection.execute(
            "SELECT * FROM jobs WHERE link_of = ? AND state = 'queued' ORDER BY seq", (job.id,)
        ).fetchall()
    ]
    if to is State.CANCELLED:  # who dropped the same scan again did not cancel
        _promote(connection, links, now)
        return ended
    for link in links:
        shared: dict[str, Any] = {"output": ended.output, "error": ended.error, "error_class": ended.error_class}
        change(connection, link, to, now, f"with {job.id}", progress=ended.progress, **shared)
    if to is State.DONE and ended.chain:
        follow(connection, ended, now)
    return ended


def follow(connection: sqlite3.Connection, done: Job, now: float) -> Job:
    """Queue the next step of a chain; it works on what this one has published."""
    step: Step = done.chain[0]
    new = NewJob(
        name=f"{done.name.removesuffix('-' + done.kind)}-{step.kind}",
        kind=step.kind,
        engine=step.kind,
        options=step.options,
        priority=done.priority,
        user=done.user,
        chain=done.chain[1:],
    )
    return insert(
        connection,
        new,
        State.QUEUED,
        now,
        parent=done.id,
        queued=now,
        inputs=json.dumps([done.output]),
        bytes=done.bytes,
    )


def _promote(connection: sqlite3.Connection, links: list[Job], now: float) -> None:
    if not links:
        return
    first, *others = links
    update(connection, first.id, link_of=None, changed=now)
    note_event(
        connection,
        fetch(connection, first.id),
        first.state,
        now,
        "does the work now: the job it was linked to is cancelled",
    )
    for other in others:
        update(connection, other.id, link_of=first.id, changed=now)


def _same_work(connection: sqlite3.Connection, key: str, but: str) -> Job | None:
    row = connection.execute(
        "SELECT * FROM jobs WHERE key = ? AND link_of IS NULL AND id != ?"
        " AND state NOT IN ('failed', 'quarantined', 'cancelled')",
        (key, but),
    ).fetchone()
    if row is None:
        return None
    job = job_of(row)
    if job.state is State.DONE and not (job.output and Path(job.output).is_dir()):
        update(connection, job.id, key=f"{key}-{job.id}")  # its results were taken away: the work is done anew
        return None
    return job


def _free_id(connection: sqlite3.Connection, draw: Callable[[], str] | None = None) -> str:
    while True:
        candidate = draw() if draw else "".join(secrets.choice(_LETTERS) for _ in range(_ID_LENGTH))
        if not connection.execute("SELECT 1 FROM jobs WHERE id = ?", (candidate,)).fetchone():
            return candidate
