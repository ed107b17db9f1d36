"""Orders in which the panel's table can show jobs: sorted in the ledger by their numbers alone, then read page by page."""

from __future__ import annotations

import time
from dataclasses import dataclass

from AutoSegmentQueueLib.ledger import Job, Ledger
from AutoSegmentQueueLib.ledger_rows import job_of
from AutoSegmentQueueLib.panel_cells import COLUMNS
from AutoSegmentQueueLib.states import State

_STATES = (
    State.RUNNING,
    State.VALIDATING,
    State.LEASED,
    State.QUEUED,
    State.STABILISING,
    State.RECEIVED,
    State.FAILED,
    State.QUARANTINED,
    State.CANCELLED,
    State.DONE,
)
_BY_STATE = "CASE state " + " ".join(f"WHEN '{state}' THEN {n}" for n, state in enumerate(_STATES)) + " END"
_KEYS: dict[str, tuple[str, ...]] = {
    "Name": ("name COLLATE NOCASE",),
    "State": (_BY_STATE,),
    "Done": ("progress",),
    "Left": (_BY_STATE, "-progress", "-priority"),  # what runs, then the queue in its order
    "Waited": ("COALESCE(started, ended, :now) - created",),
    "Ran": ("COALESCE(ended, :now) - started",),
    "Engine": ("engine",),
    "Priority": ("priority",),
}
_MOST_VALUES = 500  # of one statement; SQLite allows 32766


@dataclass(frozen=True)
class Order:
    """By which column, and whether the largest comes first."""

    column: str
    descending: bool = False


def after_click(now: Order | None, column: int) -> Order | None:
    """Return the order after a click on a column's header: upwards, downwards, and none (newest first) again."""
    name = COLUMNS[column]
    if now is None or now.column != name:
        return Order(name)
    return None if now.descending else Order(name, descending=True)


def sequence(ledger: Ledger, order: Order) -> list[int]:
    """Return the numbers (``seq``) of all jobs that are shown, in an order; those that are equal as they came."""
    keys = ", ".join(f"{key} DESC" if order.descending else key for key in _KEYS[order.column])
    with ledger.reading() as connection:
        cursor = connection.cursor()
        cursor.row_factory = None
        query = f"SELECT seq FROM jobs WHERE hidden = 0 ORDER BY {keys}, seq"
        return [row[0] for row in cursor.execute(query, {"now": time.time()}).fetchall()]


def jobs_at(ledger: Ledger, numbers: list[int]) -> list[Job]:
    """Return the jobs of these numbers in their order; those that were deleted meanwhile are left out."""
    found: dict[int, Job] = {}
    for first in range(0, len(numbers), _MOST_VALUES):
        part = numbers[first : first + _MOST_VALUES]
        marks = ", ".join("?" * len(part))
        with ledger.reading() as connection:
            rows = connection.execute(f"SELECT * FROM jobs WHERE seq IN ({marks})", part).fetchall()
        found |= {row["seq"]: job_of(row) for row in rows}
    return [found[number] for number in numbers if number in found]
