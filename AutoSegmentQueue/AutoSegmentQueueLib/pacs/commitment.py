"""Answers to our requests for storage commitment: a small node that takes N-EVENT-REPORT and nothing else (PS3.4 annex J)."""

from __future__ import annotations

import threading
from typing import Any

from DicomWorkbenchLib.errors import OutputError

from AutoSegmentQueueLib.pacs.node import quiet_pynetdicom
from AutoSegmentQueueLib.pacs.send_settings import SendSettings

PUSH_MODEL = "1.2.840.10008.1.20.1"
_NO_SUCH_TRANSACTION = 0x0110  # processing failure
_MOST_CALLERS = 8


class Outcome:
    """What a destination will have said about one request."""

    def __init__(self) -> None:
        self._there = threading.Event()
        self._committed: set[str] = set()

    def wait(self, seconds: float) -> set[str] | None:
        """Return the SOP instances it commits itself to, None if it says nothing in time."""
        return self._committed if self._there.wait(seconds) else None

    def say(self, committed: set[str]) -> None:
        """Write the answer down."""
        self._committed = committed
        self._there.set()


class CommitmentListener:
    """Waits on a port for answers; one for all destinations.

    Parameters
    ----------
    settings : port, interface and AE title.
    tls : context of a node that speaks TLS; None for plain DICOM.

    Raises
    ------
    OutputError : the port cannot be used.
    """

    def __init__(self, settings: SendSettings, tls: Any = None) -> None:
        from pynetdicom import AE, evt

        quiet_pynetdicom()
        self._expected: dict[str, Outcome] = {}
        self._lock = threading.Lock()
        entity = AE(ae_title=settings.ae_title)
        entity.require_called_aet = True
        entity.maximum_associations = _MOST_CALLERS
        entity.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
        try:
            self._server: Any = entity.start_server(
                (settings.commitment_address, settings.commitment_port or 0),
                block=False,
                ssl_context=tls,
                evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._on_report)],
            )
        except OSError as error:
            raise OutputError(
                f"port {settings.commitment_port} for answers to storage commitment cannot be used: {error.strerror}"
            ) from error

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()

    def expect(self, transaction: str) -> Outcome:
        """Say that an answer to a request will come."""
        with self._lock:
            self._expected[transaction] = Outcome()
            return self._expected[transaction]

    def forget(self, transaction: str) -> None:
        """Wait for an answer no more."""
        with self._lock:
            self._expected.pop(transaction, None)

    def _on_report(self, event: Any) -> tuple[int, None]:
        report = event.event_information
        with self._lock:
            outcome = self._expected.get(str(report.get("TransactionUID", "")))
        if outcome is None:
            return _NO_SUCH_TRANSACTION, None
        failed = {str(item.ReferencedSOPInstanceUID) for item in report.get("FailedSOPSequence", ())}
        kept = {str(item.ReferencedSOPInstanceUID) for item in report.get("ReferencedSOPSequence", ())}
        outcome.say(kept - failed)
        return 0, None
