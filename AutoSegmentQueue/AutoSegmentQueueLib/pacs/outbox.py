"""The outbox: which result is still to be sent where, durable, with retries and an end to them.

A row is one job's objects for one destination. Rows follow from the ledger: every job that is done gets one for each of its destinations,
and how far the ledger has been read is written in the same transaction. A crash at any moment therefore loses no delivery and doubles none.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from DicomWorkbenchLib.errors import OutputError, WorkbenchError

FILE = "outbox.sqlite3"
_BUSY_SECONDS = 30.0
_TABLES = """
CREATE TABLE IF NOT EXISTS deliveries (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  job TEXT NOT NULL,
  destination TEXT NOT NULL,
  folder TEXT NOT NULL,                  -- of the result
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,   -- that failed, without those at which the destination could not be reached
  since REAL NOT NULL,                   -- wall clock: when it was put in, or retried by a person
  not_before REAL NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  changed REAL NOT NULL,
  UNIQUE (job, destination)
);
CREATE INDEX IF NOT EXISTS open_deliveries ON deliveries(destination, not_before) WHERE state IN ('waiting', 'sent');
CREATE INDEX IF NOT EXISTS dead_deliveries ON deliveries(changed) WHERE state = 'dead';
CREATE TABLE IF NOT EXISTS pauses (destination TEXT PRIMARY KEY, failures INTEGER NOT NULL, until REAL NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"  # to be sent, or sent again
    SENT = "sent"  # taken by the destination, which has not confirmed yet that it keeps it
    STORED = "stored"  # confirmed
    DEAD = "dead"  # given up; the error says why, `queue outbox retry` tries again


class NoSuchDelivery(WorkbenchError):
    """No delivery has this id."""


@dataclass(frozen=True)
class Delivery:
    """A row of the outbox; see the table for each column."""

    seq: int
    id: str
    job: str
    destination: str
    folder: str
    state: DeliveryState
    attempts: int
    since: float
    not_before: float
    error: str
    changed: float


@dataclass(frozen=True)
class NewDelivery:
    """A job's result for one destination."""

    job: str
    destination: str
    folder: str

    @property
    def id(self) -> str:
        """A short name, the same for the same job and destination."""
        return hashlib.sha256(f"{self.job}\0{self.destination}".encode()).hexdigest()[:10]


class Outbox:
    """The data base of deliveries; each thread has its own connection.

    Parameters
    ----------
    path : the data base; it is made where it does not exist.
    now : wall clock, seconds since 1970.

    Raises
    ------
    OutputError : it cannot be opened.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self._path, self._now = path, now
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.RLock()
        with self._writing() as connection:
            for statement in _TABLES.split(";\n"):
                connection.execute(statement)

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._connections:
            self._connections.pop().close()
        self._local = threading.local()

    @property
    def ledger_event(self) -> int | None:
        """The last event of the ledger whose jobs are in; None before the first reading."""
        row = self._connection().execute("SELECT value FROM facts WHERE name = 'ledger_event'").fetchone()
        return None if row is None else int(row["value"])

    def take_in(self, new: Iterable[NewDelivery], ledger_event: int) -> int:
        """Add deliveries that are not there yet and remember how far the ledger was read; returns how many are new."""
        with self._writing() as connection:
            before = connection.total_changes
            for one in new:
                connection.execute(
                    "INSERT OR IGNORE INTO deliveries (id, job, destination, folder, state, since, changed)"
                    " VALUES (?, ?, ?, ?, 'waiting', ?, ?)",
                    (one.id, one.job, one.destination, one.folder, self._now(), self._now()),
                )
            added = connection.total_changes - before
            connection.execute("INSERT OR REPLACE INTO facts VALUES ('ledger_event', ?)", (ledger_event,))
        return added

    def due(self, destination: str) -> Delivery | None:
        """Return the delivery whose turn it is; None if there is none or the destination is paused."""
        now, connection = self._now(), self._connection()
        pause = connection.execute("SELECT until FROM pauses WHERE destination = ?", (destination,)).fetchone()
        if pause is not None and pause["until"] > now:
            return None
        row = connection.execute(
            "SELECT * FROM deliveries WHERE destination = ? AND state IN ('waiting', 'sent') AND not_before <= ?"
            " ORDER BY not_before, seq LIMIT 1",
            (destination, now),
        ).fetchone()
        return None if row is None else _delivery(row)

    def open_destinations(self) -> list[str]:
        """Return the destinations for which something is still to be done."""
        query = "SELECT DISTINCT destination FROM deliveries WHERE state IN ('waiting', 'sent') ORDER BY destination"
        return [str(row["destination"]) for row in self._connection().execute(query)]

    def deliveries(self) -> list[Delivery]:
        """Return all deliveries in the order they came."""
        return [_delivery(row) for row in self._connection().execute("SELECT * FROM deliveries ORDER BY seq")]

    def of_job(self, job: str) -> list[Delivery]:
        """Return the deliveries of a job in the order they came."""
        query = "SELECT * FROM deliveries WHERE job = ? ORDER BY seq"
        return [_delivery(row) for row in self._connection().execute(query, (job,))]

    def given_up(self, most: int) -> list[Delivery]:
        """Return the newest deliveries that were given up."""
        query = "SELECT * FROM deliveries WHERE state = 'dead' ORDER BY changed DESC LIMIT ?"
        return [_delivery(row) for row in self._connection().execute(query, (most,))]

    def find(self, delivery_id: str) -> Delivery:
        """Return a delivery by its id or the beginning of it.

        Raises
        ------
        NoSuchDelivery : none or several begin so.
        """
        found = [one for one in self.deliveries() if delivery_id and one.id.startswith(delivery_id)]
        if len(found) != 1:
            count = "no delivery" if not found else "more than one delivery"
            raise NoSuchDelivery(f"there is {count} {delivery_id}; `queue outbox` lists them")
        return found[0]

    def mark(self, delivery: Delivery, state: DeliveryState, error: str = "") -> None:
        """Say where a delivery stands now; a success ends the pause of its destination."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE deliveries SET state = ?, error = ?, not_before = 0, changed = ? WHERE id = ?",
                (state.value, error, self._now(), delivery.id),
            )
            if state is not DeliveryState.DEAD:
                connection.execute("DELETE FROM pauses WHERE destination = ?", (delivery.destination,))

    def postpone(self, delivery: Delivery, error: str, seconds: float, *, counts: bool, state: DeliveryState) -> None:
        """Try a delivery again after some time; ``counts`` if the failure is one of the limited number."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE deliveries SET state = ?, error = ?, attempts = attempts + ?, not_before = ?, changed = ? WHERE id = ?",
                (state.value, error, int(counts), self._now() + seconds, self._now(), delivery.id),
            )

    def pause(self, destination: str, reason: str, seconds: Callable[[int], float]) -> None:
        """Leave a destination alone for a time that depends on how often in a row it has failed."""
        with self._writing() as connection:
            row = connection.execute("SELECT failures FROM pauses WHERE destination = ?", (destination,)).fetchone()
            failures = 1 + (0 if row is None else int(row["failures"]))
            connection.execute(
                "INSERT OR REPLACE INTO pauses VALUES (?, ?, ?, ?)",
                (destination, failures, self._now() + seconds(failures), reason),
            )

    def pauses(self) -> dict[str, tuple[float, str]]:
        """Return until when, and why, destinations are left alone."""
        rows = self._connection().execute("SELECT * FROM pauses WHERE until > ?", (self._now(),))
        return {str(row["destination"]): (float(row["until"]), str(row["reason"])) for row in rows}

    def retry(self, delivery_id: str) -> Delivery:
        """Try a delivery again now, with all its attempts and days; it may be stored already, as sending again changes nothing."""
        delivery = self.find(delivery_id)
        with self._writing() as connection:
            connection.execute(
                "UPDATE deliveries SET state = 'waiting', attempts = 0, error = '', not_before = 0, since = ?, changed = ? WHERE id = ?",
                (self._now(), self._now(), delivery.id),
            )
            connection.execute("DELETE FROM pauses WHERE destination = ?", (delivery.destination,))
        return self.find(delivery.id)

    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            found.row_factory = sqlite3.Row
            found.execute("PRAGMA journal_mode = WAL")
            found.execute("PRAGMA synchronous = FULL")
            self._local.connection = found
            self._connections.append(found)
        return found

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Hold one transaction; it is on disk afterwards, or nothing of it is."""
        try:
            with self._lock:
                connection = self._connection()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            raise OutputError(f"{self._path} cannot be used now: {error}; see that its disk has space") from error


def _delivery(row: sqlite3.Row) -> Delivery:
    values = dict(row)
    return Delivery(**{**values, "state": DeliveryState(values["state"])})
