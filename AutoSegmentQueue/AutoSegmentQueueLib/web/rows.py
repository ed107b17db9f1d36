"""Jobs as pages and programs see them: one row each, with what the one who asks may do."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from AutoSegmentQueueLib.ledger import Job, Ledger
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.states import ENDED, RETRYABLE
from AutoSegmentQueueLib.status import Estimate, detail_of
from AutoSegmentQueueLib.web.access import Principal

_PLACES_SECONDS = 0.25  # how old positions in the queue may be
_ESTIMATE_SECONDS = 3.0


class Rows:
    """Makes rows; what is needed for all of them (positions, typical times) is read now and then, not for each."""

    def __init__(self, ledger: Ledger, settings: QueueSettings) -> None:
        self._ledger, self._settings = ledger, settings
        self._lock = threading.Lock()
        self._places: dict[str, int] = {}
        self._places_until = 0.0
        self._estimate: Estimate | None = None
        self._estimate_until = 0.0

    def row(self, job: Job, handles: bool) -> dict[str, Any]:
        """Return one job; ``handles``: the one who asks may cancel, retry and delete it."""
        places, estimate = self._read()
        row = detail_of(job, estimate, time.time(), places.get(job.id))
        for private in ("output", "link_of", "parent"):
            row.pop(private)
        options = job.options
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

    def rows(self, jobs: Sequence[Job], principal: Principal) -> list[dict[str, Any]]:
        """Return jobs as they are shown to somebody."""
        return [self.row(job, principal.handles(job)) for job in jobs]

    def queue(self, user: str | None) -> dict[str, Any]:
        """Return what is said about the queue as a whole; ``user``: counts of this one's jobs only."""
        ledger = self._ledger
        return {"counts": ledger.shown_counts(user), "paused": ledger.paused, "intake": ledger.fact("intake") or ""}

    def _read(self) -> tuple[dict[str, int], Estimate]:
        now = time.monotonic()
        with self._lock:
            if now >= self._places_until:
                self._places = {job: place for place, job in enumerate(self._ledger.waiting_ids())}
                self._places_until = now + _PLACES_SECONDS
            if self._estimate is None or now >= self._estimate_until:
                self._estimate = Estimate(self._ledger, self._settings.slots)
                self._estimate_until = now + _ESTIMATE_SECONDS
            return self._places, self._estimate
