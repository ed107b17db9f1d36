"""What goes into the ledger and what comes out of it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any

from AutoSegmentQueueLib.states import State


@dataclass(frozen=True)
class Step:
    """One job of a chain: what kind, with which settings."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NewJob:
    """A job as it is asked for.

    Attributes
    ----------
    name : base name of its results, fit for every file system.
    kind, engine, options : what is done.
    source, signature, owned : the file or folder as it was found, and whether it lies in our input folder.
    chain : what is done with the results afterwards.
    inputs : the files, if there are several and ``source`` is the first; empty: ``source`` alone.
    """

    name: str
    kind: str = "segment"
    engine: str = "threshold"
    options: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    signature: str = ""
    owned: bool = False
    priority: int = 0
    user: str = ""
    chain: tuple[Step, ...] = ()
    inputs: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        """The device whose slot it takes; "gpu" is the first one."""
        device = str(self.options.get("device", "cpu"))
        return "gpu:0" if device == "gpu" else device


@dataclass(frozen=True)
class Content:
    """What a complete input holds: SHA-256 of its content, its size, and its voxels if they are known."""

    sha256: str
    bytes: int
    voxels: int = 0


@dataclass(frozen=True)
class Job:
    """A row of the ledger; see `ledger_schema` for each column."""

    seq: int
    id: str
    key: str | None
    link_of: str | None
    parent: str | None
    name: str
    kind: str
    engine: str
    options: dict[str, Any]
    chain: tuple[Step, ...]
    user: str
    device: str
    priority: int
    state: State
    attempts: int
    crashes: int
    losses: int
    ladder: int
    fence: int
    lease_owner: str | None
    lease_start: float | None
    lease_until: float | None
    not_before: float
    cancel_requested: bool
    progress: float
    stage: str
    error: str | None
    error_class: str | None
    source: str
    signature: str
    owned: bool
    inputs: tuple[str, ...]
    sha256: str | None
    bytes: int
    voxels: int
    disposal: str
    reserved: str | None
    output: str | None
    created: float
    queued: float | None
    started: float | None
    ended: float | None
    changed: float
    hidden: bool = False


_FLAGS = ("owned", "cancel_requested", "hidden")


@dataclass(frozen=True)
class Event:
    """One line of the history; its number only grows, so a reader can ask for what came after."""

    event: int
    at: float
    job: str
    state: State
    previous: State | None
    attempt: int
    fence: int
    note: str


def job_of(row: sqlite3.Row | dict[str, Any]) -> Job:
    """Read a row of the table ``jobs``."""
    # dict(row) would look every column up by its name, from the first one on
    values = dict(zip(row.keys(), tuple(row), strict=True)) if isinstance(row, sqlite3.Row) else dict(row)
    values["state"] = State(values["state"])
    values["options"] = json.loads(values["options"]) if values["options"] != "{}" else {}
    values["chain"] = tuple(Step(**step) for step in json.loads(values["chain"])) if values["chain"] != "[]" else ()
    values["inputs"] = tuple(json.loads(values["inputs"])) if values["inputs"] != "[]" else ()
    for name in _FLAGS:
        values[name] = bool(values[name])
    job = object.__new__(Job)  # a frozen class sets its 44 fields one by one, which takes ten times as long
    job.__dict__.update(values)
    return job


def event_of(row: sqlite3.Row) -> Event:
    """Read a row of the table ``history``."""
    previous = State(row["previous"]) if row["previous"] else None
    return Event(
        row["event"], row["at"], row["job"], State(row["state"]), previous, row["attempt"], row["fence"], row["note"]
    )


def chain_json(chain: tuple[Step, ...]) -> str:
    """Write the steps of a chain."""
    return json.dumps([{"kind": step.kind, "options": step.options} for step in chain])
