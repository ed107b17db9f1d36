"""Where the results of the panel's chosen job were sent, and sending again. No Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Job
from AutoSegmentQueueLib.pacs.outbox import FILE, Delivery, DeliveryState, Outbox

WORDS = {
    DeliveryState.WAITING: "To be sent to",
    DeliveryState.SENT: "Sent, not confirmed yet:",
    DeliveryState.STORED: "Stored at",
    DeliveryState.DEAD: "Given up:",
}
SEND_AGAIN_TIP = "Send what has not arrived to its destinations again, now."
_AGAIN = (DeliveryState.WAITING, DeliveryState.DEAD)


def sent_text(deliveries: Sequence[Delivery], pauses: Mapping[str, tuple[float, str]]) -> str:
    """Return a line for each destination: where the result stands, and why it is not there."""
    lines = []
    for one in deliveries:
        why = one.error or (pauses.get(one.destination, (0.0, ""))[1] if one.state is not DeliveryState.STORED else "")
        lines.append(f"{WORDS[one.state]} {one.destination}{f' ({why})' if why else ''}")
    return "\n".join(lines)


def why_not_again(deliveries: Sequence[Delivery]) -> str:
    """Return why nothing can be sent again; empty text if something can."""
    return "" if any(one.state in _AGAIN for one in deliveries) else "Everything of this job has been sent."


class SendingWatch:
    """Reads the outbox of a home, once there is one."""

    def __init__(self, home: Home) -> None:
        self._path = home.root / FILE
        self._box: Outbox | None = None

    def of(self, job: Job | None) -> tuple[list[Delivery], str]:
        """Return a job's deliveries, and what is to say about them."""
        if self._box is None and self._path.exists():
            self._box = Outbox(self._path)
        if job is None or self._box is None:
            return [], ""
        found = self._box.of_job(job.id)
        return found, sent_text(found, self._box.pauses()) if found else ""

    def again(self, job: Job) -> None:
        """Send everything of a job again that is not at its destination."""
        for one in self.of(job)[0]:
            if one.state in _AGAIN and self._box is not None:
                self._box.retry(one.id)

    def close(self) -> None:
        """Close the data base."""
        if self._box is not None:
            self._box.close()
