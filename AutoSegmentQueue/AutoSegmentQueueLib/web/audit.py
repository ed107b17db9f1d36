"""Who did what, append-only and chained: every line carries the hash of the one before it, so that none can be changed unseen.

It holds names of users, ids of jobs and uploads, and addresses of clients; never a file name or anything of a patient.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import astuple, dataclass

from AutoSegmentQueueLib.web.store import WebStore

_FIRST = "0" * 64


@dataclass(frozen=True)
class Line:
    """One line: number, time (seconds since 1970), user, deed, what it was done to, client, HTTP status."""

    n: int
    at: float
    who: str
    what: str
    subject: str
    address: str
    status: int


@dataclass(frozen=True)
class Verified:
    """Good lines, the hash of the last of them (note it elsewhere: only by it a cut-off end shows), and what is wrong."""

    lines: int
    last: str
    problem: str


class Audit:
    """The table of deeds."""

    def __init__(self, store: WebStore) -> None:
        self._store = store

    def note(self, who: str, what: str, subject: str = "", address: str = "", status: int = 200) -> None:
        """Write a line; it is on disk when this returns."""
        with self._store.writing() as connection:
            last = connection.execute("SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1").fetchone()
            number, previous = (last["n"] + 1, last["hash"]) if last else (1, _FIRST)
            line = Line(number, round(self._store.now(), 3), who, what, subject, address, status)
            values = (*astuple(line), previous, hash_of(line, previous))
            connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def lines(self, after: int = 0, limit: int = 1000) -> list[Line]:
        """Return lines in their order."""
        query = "SELECT * FROM audit WHERE n > ? ORDER BY n LIMIT ?"
        with self._store.reading() as connection:
            return [_line(row) for row in connection.execute(query, (after, limit)).fetchall()]

    def verify(self) -> Verified:
        """Go through the chain."""
        previous, count = _FIRST, 0
        with self._store.reading() as connection:
            for row in connection.execute("SELECT * FROM audit ORDER BY n"):
                line = _line(row)
                if line.n != count + 1:
                    return Verified(count, previous, f"line {count + 1} is missing")
                if row["previous"] != previous or row["hash"] != hash_of(line, previous):
                    return Verified(count, previous, f"line {line.n} was changed")
                previous, count = row["hash"], line.n
        return Verified(count, previous, "")

    def has(self, hash_: str) -> bool:
        """Whether a line with this hash is there."""
        with self._store.reading() as connection:
            return connection.execute("SELECT 1 FROM audit WHERE hash = ?", (hash_,)).fetchone() is not None


def hash_of(line: Line, previous: str) -> str:
    """Return the hash of a line and, through ``previous``, of all before it."""
    return hashlib.sha256(json.dumps([previous, *astuple(line)]).encode()).hexdigest()


def _line(row: sqlite3.Row) -> Line:
    return Line(row["n"], row["at"], row["who"], row["what"], row["subject"], row["address"], row["status"])
