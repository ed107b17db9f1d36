"""What of a job's results was sent where: the process that sends writes the outbox, the server reads it and asks to send again."""

from __future__ import annotations

import threading
from typing import Any

from DicomWorkbenchLib.web_problems import not_found

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.pacs.outbox import FILE, Delivery, DeliveryState, Outbox

MOST_SHOWN = 20  # of the deliveries that were given up, on the list of jobs


class Deliveries:
    """The outbox of a home, if anything was ever to be sent from it."""

    def __init__(self, home: Home) -> None:
        self._path = home.root / FILE
        self._box: Outbox | None = None
        self._lock = threading.Lock()

    def of_job(self, job_id: str, handles: bool) -> list[dict[str, Any]]:
        """Return the deliveries of a job, each with why its destination is left alone for now, if it is.

        ``handles``: the one who asks may send again what is not stored.
        """
        box = self._opened()
        if box is None:
            return []
        pauses = box.pauses()
        return [_shown(one, handles, pauses.get(one.destination, (0.0, ""))[1]) for one in box.of_job(job_id)]

    def given_up(self) -> list[dict[str, Any]]:
        """Return the newest deliveries that were given up."""
        box = self._opened()
        return [] if box is None else [_shown(one, False) for one in box.given_up(MOST_SHOWN)]

    def again(self, job_id: str, delivery_id: str) -> None:
        """Send a delivery again, now.

        Raises
        ------
        Problem : the job has no such delivery.
        """
        box = self._opened()
        if box is None or delivery_id not in {one.id for one in box.of_job(job_id)}:
            raise not_found("this job has nothing of that name to send")
        box.retry(delivery_id)

    def close(self) -> None:
        """Close the data base."""
        if self._box is not None:
            self._box.close()

    def _opened(self) -> Outbox | None:
        with self._lock:
            if self._box is None and self._path.exists():
                self._box = Outbox(self._path)
            return self._box


def _shown(one: Delivery, handles: bool, pause: str = "") -> dict[str, Any]:
    waits = one.state in (DeliveryState.WAITING, DeliveryState.SENT)
    return {
        "id": one.id,
        "job": one.job,
        "destination": one.destination,
        "state": one.state.value,
        "attempts": one.attempts,
        "error": one.error or (pause if waits else ""),
        "changed": one.changed,
        "again": handles and one.state in (DeliveryState.WAITING, DeliveryState.DEAD),
    }
