"""What the cells of the panel's table say, and with what emphasis. No Qt."""

from __future__ import annotations

from AutoSegmentQueueLib.ledger import Job
from AutoSegmentQueueLib.states import ACTIVE, ENDED, RETRYABLE, State

COLUMNS = ("Name", "State", "Done", "Left", "Waited", "Ran", "Engine", "Priority")
WIDTHS = (104, 80, 50, 66, 66, 66, 110, 56)  # of the columns, pixels
COLUMN_TIPS = (
    "Name of the scan; its results get a folder of this name.",
    "What the job does now.",
    "How far the running job is.",
    "When it may be done, judged by its own speed and by jobs of its kind that were done lately.",
    "Time from its arrival to its start.",
    "Time since it was started.",
    "What segments it.",
    "Higher ones come first.",
)
# Readable on light and dark ground alike (contrast at least 3 to 1 on white and on Slicer's dark grey).
COLOURS = {State.DONE: "#2e9e5b", State.FAILED: "#dc4b3e", State.QUARANTINED: "#dc4b3e", State.RUNNING: "#3a87d9"}


def cell(job: Job, column: int, now: float, left_seconds: float | None) -> str:
    """Return the text of a cell.

    Parameters
    ----------
    now : seconds since 1970, for times that go on.
    left_seconds : until it may be done; None if nobody can say.
    """
    name = COLUMNS[column]
    if name == "Name":
        return job.name
    if name == "State":
        return "cancelling" if job.cancel_requested and job.state in ACTIVE else job.state.value
    if name == "Done":
        return f"{100 * job.progress:.0f} %" if job.state in ACTIVE or job.state is State.DONE else ""
    if name == "Left":
        return "" if left_seconds is None else duration(left_seconds)
    if name == "Waited":
        return duration((job.started or job.ended or now) - job.created)
    if name == "Ran":
        return duration((job.ended or now) - job.started) if job.started else ""
    return job.engine if name == "Engine" else str(job.priority or "")


def colour(job: Job, column: int) -> str:
    """Return the colour of a cell's text, empty for the usual one."""
    return COLOURS.get(job.state, "") if COLUMNS[column] == "State" else ""


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
