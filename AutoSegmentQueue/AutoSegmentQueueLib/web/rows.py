"""Jobs as pages and programs see them: one row each, with what the one who asks may do."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from AutoSegmentQueueLib.ledger import Job, Ledger
from AutoSegmentQueueLib.ledger_rows import job_of
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.states import ENDED, RETRYABLE
from AutoSegmentQueueLib.status import Estimate, fixed_of, moving_of
from AutoSegmentQueueLib.web.access import Principal

_AGE_SECONDS = 0.25  # how old positions in the queue may be while it changes
_ESTIMATE_SECONDS = 3.0
_MOST_KNOWN = 1000
_MOST_TEXTS = 4000  # about 10 MB
_SHARE = 20  # reading the positions of a long queue may take this part of the time


@dataclass(frozen=True)
class _Known:
    """What was read last, and until which event it is right; when it changes it is read anew only after a while."""

    event: int
    until: float
    value: Any


class _Texts:
    """JSON of jobs without what moves by itself. Known by the whole row of the table, so a text is never out of date."""

    def __init__(self, make: Callable[[Job, bool], dict[str, Any]]) -> None:
        self._make = make
        self._known: OrderedDict[tuple[Any, ...], tuple[Job, dict[bool, str]]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, row: sqlite3.Row, principal: Principal) -> tuple[Job, str]:
        """Return a job and the text about it, without the bracket at its end."""
        key = tuple(row)
        with self._lock:
            found = self._known.get(key)
            if found is None:
                found = self._known[key] = job_of(row), {}
                if len(self._known) > _MOST_TEXTS:
                    self._known.popitem(last=False)
        job, texts = found
        handles = principal.handles(job)
        if handles not in texts:
            texts[handles] = json.dumps(self._make(job, handles), separators=(",", ":"))[:-1]
        return job, texts[handles]


class Rows:
    """Makes rows; what is needed for all of them (positions, typical times) is read now and then, not for each."""

    def __init__(self, ledger: Ledger, settings: QueueSettings) -> None:
        self._ledger, self._settings = ledger, settings
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._texts = _Texts(_fixed)

    def row(self, job: Job, handles: bool) -> dict[str, Any]:
        """Return one job; ``handles``: the one who asks may cancel, retry and delete it."""
        return self._row(job, handles, *self._read())

    def _row(self, job: Job, handles: bool, places: dict[str, int], estimate: Estimate) -> dict[str, Any]:
        return {**_fixed(job, handles), **moving_of(job, estimate, time.time(), places.get(job.id))}

    def rows(self, jobs: Sequence[Job], principal: Principal) -> list[dict[str, Any]]:
        """Return jobs as they are shown to somebody."""
        read = self._read()
        return [self._row(job, principal.handles(job), *read) for job in jobs]

    def texts(self, rows: Sequence[sqlite3.Row], principal: Principal) -> list[str]:
        """Return the same as JSON, from rows of the table: what has not changed since somebody asked is not made again."""
        (places, estimate), now, found = self._read(), time.time(), []
        for row in rows:
            job, text = self._texts.of(row, principal)
            moving = moving_of(job, estimate, now, places.get(job.id))
            parts = [f'"{name}":{"null" if value is None else value}' for name, value in moving.items()]
            found.append(f"{text},{','.join(parts)}}}")
        return found

    def queue(self, user: str | None) -> dict[str, Any]:
        """Return what is said about the queue as a whole; ``user``: counts of this one's jobs only."""
        ledger = self._ledger
        event = ledger.last_event()
        counts = self._keep(f"counts {user}", event, 0.0, lambda: ledger.shown_counts(user))
        return {"counts": counts, "paused": ledger.paused, "intake": ledger.fact("intake") or ""}

    def _read(self) -> tuple[dict[str, int], Estimate]:
        event = self._ledger.last_event()  # whatever moves a job in the queue is an event
        places = self._keep("places", event, _AGE_SECONDS, self._places)
        estimate = self._keep("estimate", event, _ESTIMATE_SECONDS, self._estimate)
        return places, estimate

    def _places(self) -> dict[str, int]:
        return {job: place for place, job in enumerate(self._ledger.waiting_ids())}

    def _estimate(self) -> Estimate:
        return Estimate(self._ledger, self._settings.slots)

    def _keep(self, name: str, event: int, seconds: float, read: Callable[[], Any]) -> Any:
        with self._lock:
            known, now = self._known.get(name), time.monotonic()
            if known is None or (known.event != event and now >= known.until):
                value = read()
                took = time.monotonic() - now
                pause = max(seconds, _SHARE * took) if seconds else 0.0
                if len(self._known) > _MOST_KNOWN:
                    self._known.clear()
                known = self._known[name] = _Known(event, now + pause, value)
            return known.value


def _fixed(job: Job, handles: bool) -> dict[str, Any]:
    """Return what a row says of a job until something happens to it."""
    row, options = fixed_of(job), job.options
    for private in ("output", "link_of", "parent"):
        row.pop(private)
    return {
        "seq": job.seq,
        **row,
        "task": str(options.get("task") or ""),
        "quality": str(options.get("quality") or ""),
        "user": job.user,
        "queued": job.queued,
        "can": {
            "cancel": handles and job.state not in ENDED and not job.cancel_requested,
            "retry": handles and job.state in RETRYABLE,
            "delete": handles and job.state in ENDED,
        },
        "links": {"self": f"/api/jobs/{job.id}", "page": f"/jobs/{job.id}"},
    }
