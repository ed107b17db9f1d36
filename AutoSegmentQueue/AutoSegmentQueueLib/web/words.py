"""How the pages say things: states, sizes, durations, and what to do about a failure. ``static/words.js`` says the same live."""

from __future__ import annotations

import datetime
from typing import Any

from AutoSegmentQueueLib.web.people import LOCAL_USER

# State -> (word, colour)
STATES = {
    "received": ("Waiting", "wait"),
    "stabilising": ("Checking", "wait"),
    "queued": ("Waiting", "wait"),
    "leased": ("Starting", "run"),
    "running": ("Running", "run"),
    "validating": ("Checking", "run"),
    "done": ("Done", "good"),
    "failed": ("Failed", "bad"),
    "quarantined": ("Put aside", "bad"),
    "cancelled": ("Cancelled", "off"),
}
# Filter -> (word, states)
GROUPS = {
    "": ("All", ()),
    "waiting": ("Waiting", ("received", "stabilising", "queued")),
    "running": ("Running", ("leased", "running", "validating")),
    "done": ("Done", ("done",)),
    "failed": ("Failed", ("failed", "quarantined")),
    "cancelled": ("Cancelled", ("cancelled",)),
}
ADVICE = {
    "bad-input": "The scan itself is the reason: see what is said above, then upload a corrected one. Trying again gives the same answer.",
    "out-of-memory": "A faster quality needs less memory: upload the scan again with one, or try again when the machine is less busy.",
    "timeout": "It took longer than it may. Choose a faster quality, or ask whoever runs this queue for more time.",
    "missing": "Something the engine needs is not on this machine. Choose another engine, or ask whoever runs this queue.",
    "engine": "The engine failed on this scan. Try again once; if it fails again, choose another engine or quality.",
    "crash": "Its process ended without a word. Try again when the machine is less busy; if that does not help, tell whoever runs this.",
    "lost": "The machine that worked on it went away, more than once. Try again; nothing of the scan is lost.",
}
_SIZES = ("B", "kB", "MB", "GB", "TB")


def size(count: float) -> str:
    """Return a number of bytes as people read it, in powers of 1000."""
    power = 0
    while count >= 999.5 and power < len(_SIZES) - 1:
        count, power = count / 1000, power + 1
    return f"{count:.0f} {_SIZES[power]}" if power < 2 or count >= 100 else f"{count:.1f} {_SIZES[power]}"


def duration(seconds: float) -> str:
    """Return a duration as people say it."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        minutes, rest = divmod(seconds, 60)
        return f"{minutes} min {rest} s" if minutes < 5 and rest else f"{minutes} min"
    hours, rest = divmod(seconds // 60, 60)
    return f"{hours} h {rest} min" if hours < 48 else f"{hours // 24} days"


def ordinal(position: int) -> str:
    """Return the place in the queue in words; 0 is the next one."""
    return "next in line" if position == 0 else f"{position} before it"


def note(job: dict[str, Any]) -> str:
    """Return what is to say about a job's state, in a few words."""
    state, eta = job["state"], job.get("eta_seconds")
    left = f"about {duration(eta)} left" if eta is not None else ""
    if state in GROUPS["running"][1]:
        return " · ".join(part for part in (stage(job), left) if part)
    if state == "queued":
        position = job.get("position")
        ready = f"done in about {duration(eta)}" if eta is not None else ""
        return " · ".join(part for part in (ordinal(position) if position is not None else "", ready) if part)
    if state == "done":
        return f"took {duration(job['run_seconds'])}" if job.get("run_seconds") is not None else ""
    return job.get("error") or ""


def person(job: dict[str, Any]) -> str:
    """Return who brought a scan; empty where there are no users."""
    user = str(job.get("user") or "")
    return "" if user == LOCAL_USER else user


def stage(job: dict[str, Any]) -> str:
    """Return what a running job is doing, beginning with a capital letter."""
    text = str(job.get("stage") or "")
    return text[:1].upper() + text[1:]


def moment(seconds: float | str) -> tuple[str, str]:
    """Return a time as (machine, people) read it, in UTC; a script shows it in the reader's own zone."""
    when = (
        datetime.datetime.fromisoformat(seconds)
        if isinstance(seconds, str)
        else datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    )
    return when.isoformat(timespec="seconds"), when.strftime("%Y-%m-%d %H:%M UTC")
