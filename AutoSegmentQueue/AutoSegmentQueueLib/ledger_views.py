"""The ledger's side of pages: lists page by page, counts, and what has changed since an event number."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from AutoSegmentQueueLib.ledger_leases import LeaseLedger
from AutoSegmentQueueLib.ledger_rows import Job, job_of
from AutoSegmentQueueLib.states import ACTIVE, State


@dataclass(frozen=True)
class Wish:
    """Which jobs of a list are wanted.

    Attributes
    ----------
    states : only these; empty takes all.
    user : only the jobs of this user; None takes all.
    text : part of the name, or the beginning of the id.
    """

    states: tuple[State, ...] = ()
    user: str | None = None
    text: str = ""

    def where(self) -> tuple[str, list[Any]]:
        """Return the condition and its values."""
        parts, values = ["hidden = 0"], []
        if self.states:
            parts.append(f"state IN ({', '.join('?' * len(self.states))})")
            values += [state.value for state in self.states]
        if self.user is not None:
            parts.append("user = ?")
            values.append(self.user)
        if self.text:
            parts.append(r"(name LIKE ? ESCAPE '\' OR id LIKE ? ESCAPE '\')")
            plain = self.text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
            values += [f"%{plain}%", f"{plain}%"]
        return " AND ".join(parts), values


@dataclass(frozen=True)
class Change:
    """A job as it is now, with the number of its newest event."""

    event: int
    job: Job


class ViewLedger(LeaseLedger):
    """The part of the ledger that pages read."""

    def newest(self, wish: Wish, before: int | None, limit: int) -> list[Job]:
        """Return a page of jobs, newest first; ``before`` is the ``seq`` of the last one of the page before."""
        return [job_of(row) for row in self.newest_rows(wish, before, limit)]

    def newest_rows(self, wish: Wish, before: int | None, limit: int) -> list[sqlite3.Row]:
        """Return the rows of `newest` as they are in the table, for who knows most of them already."""
        where, values = wish.where()
        if before is not None:
            where, values = f"{where} AND seq < ?", [*values, before]
        with self.reading() as connection:
            query = f"SELECT * FROM jobs WHERE {where} ORDER BY seq DESC LIMIT ?"
            return list(connection.execute(query, (*values, limit)).fetchall())

    def shown_counts(self, user: str | None = None) -> dict[str, int]:
        """Return how many jobs of a list are in each state."""
        if user is not None:
            query, values = "SELECT state, COUNT(*) AS n FROM jobs WHERE user = ? AND hidden = 0 GROUP BY state", [user]
        else:  # two covering indexes answer this without touching the rows
            query = (
                "SELECT state, SUM(n) AS n FROM (SELECT state, COUNT(*) AS n FROM jobs GROUP BY state UNION ALL"
                " SELECT state, -COUNT(*) AS n FROM jobs WHERE hidden = 1 GROUP BY state) GROUP BY state"
            )
            values = []
        with self.reading() as connection:
            found = {row["state"]: int(row["n"]) for row in connection.execute(query, values).fetchall()}
        return {state.value: found.get(state.value, 0) for state in State}

    def waiting_ids(self) -> list[str]:
        """Return the ids of the jobs that wait for a worker, the next one first."""
        query = "SELECT id FROM jobs WHERE state = 'queued' AND link_of IS NULL ORDER BY priority DESC, seq"
        with self.reading() as connection:
            cursor = connection.cursor()
            cursor.row_factory = None  # tuples: this may be 10,000 rows
            return [row[0] for row in cursor.execute(query).fetchall()]

    def last_event(self) -> int:
        """Return the number of the newest event."""
        with self.reading() as connection:
            return int(connection.execute("SELECT COALESCE(MAX(event), 0) FROM history").fetchone()[0])

    def changes(self, after: int, limit: int) -> list[Change]:
        """Return the jobs to which something has happened after an event, each once, in the order of their newest event."""
        query = (
            "SELECT jobs.*, newest FROM (SELECT job, MAX(event) AS newest FROM history WHERE event > ?"
            " GROUP BY job ORDER BY newest LIMIT ?) JOIN jobs ON jobs.id = job ORDER BY newest"
        )
        with self.reading() as connection:
            rows = [dict(row) for row in connection.execute(query, (after, limit)).fetchall()]
        return [Change(row.pop("newest"), job_of(row)) for row in rows]

    def active(self) -> list[Job]:
        """Return the jobs that are with a worker."""
        marks = ", ".join("?" * len(ACTIVE))
        with self.reading() as connection:
            rows = connection.execute(f"SELECT * FROM jobs WHERE state IN ({marks})", [one.value for one in ACTIVE])
            return [job_of(row) for row in rows.fetchall()]

    def of_output(self, folder: str) -> list[Job]:
        """Return the jobs whose results lie in a folder: the one that made them, and those linked to it."""
        with self.reading() as connection:
            row = connection.execute("SELECT * FROM jobs WHERE reserved = ?", (folder,)).fetchone()
            if row is None:
                return []
            links = connection.execute(
                "SELECT * FROM jobs WHERE link_of = ? AND output = ?", (row["id"], folder)
            ).fetchall()
        return [job_of(one) for one in (row, *links)]

    def kept_bytes(self, user: str) -> int:
        """Return the size of a user's inputs that the queue keeps."""
        query = (
            "SELECT COALESCE(SUM(bytes), 0) FROM jobs WHERE user = ? AND owned = 1"
            " AND disposal IN ('', 'archived', 'failed')"
        )
        with self.reading() as connection:
            return int(connection.execute(query, (user,)).fetchone()[0])
