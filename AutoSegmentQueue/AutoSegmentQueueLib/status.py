"""What the queue says about its jobs: rows for people and programs, waiting and running time, and when a job may be done."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from AutoSegmentQueueLib.ledger import Job, Ledger
from AutoSegmentQueueLib.states import ACTIVE, State

_RECENT = 200  # jobs an estimate is made from
_SURE = 0.05  # from this progress on, a running job's own speed says more than others of its kind


def row_of(job: Job) -> dict[str, Any]:
    """Return what ``queue status --json`` says about a job."""
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state.value,
        "attempts": job.attempts,
        "engine": job.engine,
        "progress": round(job.progress, 4),
        "error": job.error,
        "output": job.output,
    }


def detail_of(job: Job, estimate: Estimate, now: float, position: int | None) -> dict[str, Any]:
    """Return everything a table of jobs shows."""
    return {**fixed_of(job), **moving_of(job, estimate, now, position)}


def fixed_of(job: Job) -> dict[str, Any]:
    """Return what stays until something happens to a job."""
    return {
        **row_of(job),
        "kind": job.kind,
        "stage": job.stage,
        "priority": job.priority,
        "device": job.device,
        "link_of": job.link_of,
        "parent": job.parent,
        "error_class": job.error_class,
        "created": job.created,
        "started": job.started,
        "ended": job.ended,
    }


def moving_of(job: Job, estimate: Estimate, now: float, position: int | None) -> dict[str, float | None]:
    """Return what changes of a job while nothing happens to it: its place, and its times in seconds."""
    began = job.started or now
    return {
        "position": position,
        "wait_seconds": round(max(0.0, (job.started or job.ended or now) - job.created), 1),
        "run_seconds": round(max(0.0, (job.ended or now) - began), 1) if job.started else None,
        "eta_seconds": estimate.eta_seconds(job, now, position),
    }


class Estimate:
    """How long jobs take, from those that were done lately: the median of their seconds, by kind, engine and quality."""

    def __init__(self, ledger: Ledger, slots: int) -> None:
        self._slots = max(slots, 1)
        seconds: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        for job in ledger.recently_done(_RECENT):
            if job.started and job.ended and job.link_of is None:
                seconds[_group(job)].append(job.ended - job.started)
        self._typical_seconds = {group: statistics.median(found) for group, found in seconds.items()}

    def typical_seconds(self, job: Job) -> float | None:
        """Return how long such a job takes; None as long as none was done."""
        return self._typical_seconds.get(_group(job))

    def eta_seconds(self, job: Job, now: float, position: int | None) -> float | None:
        """Return in how many seconds a job may be done; None if nobody can say."""
        typical = self.typical_seconds(job)
        if job.state in ACTIVE and job.started:
            ran = now - job.started
            if job.progress >= _SURE:
                return round(ran * (1 - job.progress) / job.progress, 1)
            return round(max(typical - ran, 0.0), 1) if typical is not None else None
        if job.state is State.QUEUED and typical is not None and position is not None:
            return round(typical * (position // self._slots + 1), 1)
        return None


def positions(jobs: Iterable[Job]) -> dict[str, int]:
    """Return the place of each waiting job in the queue, 0 for the next."""
    waiting = [job for job in jobs if job.state is State.QUEUED and job.link_of is None]
    waiting.sort(key=lambda job: (-job.priority, job.seq))
    return {job.id: place for place, job in enumerate(waiting)}


def _group(job: Job) -> tuple[str, str, str]:
    return job.kind, job.engine, str(job.options.get("quality", ""))
