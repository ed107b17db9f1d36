"""The sender: threads beside the workers that fill the outbox out of the ledger and empty it into the destinations."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from DicomWorkbenchLib.errors import OutputError, WorkbenchError

from AutoSegmentQueueLib.failpoints import reach
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Job, Ledger
from AutoSegmentQueueLib.ledger_store import LedgerError
from AutoSegmentQueueLib.pacs.commitment import CommitmentListener
from AutoSegmentQueueLib.pacs.destinations import Destination, destination_of
from AutoSegmentQueueLib.pacs.outbox import FILE, Delivery, DeliveryState, NewDelivery, Outbox
from AutoSegmentQueueLib.pacs.send_errors import Missing, Permanent, Refused, SendError, Unconfirmed, Unreachable
from AutoSegmentQueueLib.pacs.send_objects import object_names, objects_of
from AutoSegmentQueueLib.pacs.send_settings import SendSettings
from AutoSegmentQueueLib.states import State

LOOK_SECONDS = 0.5
EVENTS_AT_ONCE = 1000
DAY_SECONDS = 86400.0
Tell = Callable[[str], None]


def take_in(ledger: Ledger, outbox: Outbox, to: tuple[str, ...]) -> int:
    """Put the results of jobs that were done since the last time into the outbox; returns how many deliveries are new.

    The first time only says where to begin: what was done before there was a sender is nobody's to send.
    """
    begin = outbox.ledger_event
    if begin is None:
        outbox.take_in((), _last_event(ledger))
        return 0
    added = 0
    while events := ledger.events(begin, EVENTS_AT_ONCE):
        done = dict.fromkeys(one.job for one in events if one.state is State.DONE)
        new = [delivery for job in done for delivery in _deliveries(ledger.job(job), to)]
        reach("outbox.derived")
        begin = events[-1].event
        added += outbox.take_in(new, begin)
        reach("outbox.taken-in")
    return added


def _last_event(ledger: Ledger) -> int:
    with ledger.reading() as connection:
        return int(connection.execute("SELECT COALESCE(MAX(event), 0) FROM history").fetchone()[0])


def _deliveries(job: Job, to: tuple[str, ...]) -> Iterator[NewDelivery]:
    named = job.options.get("destinations") or ()
    if job.output and object_names(Path(job.output)):
        for destination in dict.fromkeys((*to, *map(str, named))):
            yield NewDelivery(job.link_of or job.id, destination, job.output)


def deliver(delivery: Delivery, outbox: Outbox, destination: Destination, settings: SendSettings, tell: Tell) -> None:
    """Try one delivery, and write down what came of it."""
    try:
        objects = objects_of(Path(delivery.folder))
        if delivery.state is DeliveryState.WAITING:
            reach("outbox.before-send")
            destination.store(objects)
            reach("outbox.sent")
            outbox.mark(delivery, DeliveryState.SENT)
            delivery = replace(delivery, state=DeliveryState.SENT)
            reach("outbox.marked-sent")
        destination.confirm(objects)
        reach("outbox.confirmed")
        outbox.mark(delivery, DeliveryState.STORED)
        tell(f"sent {delivery.job} to {delivery.destination}: {len(objects)} objects, confirmed")
    except Permanent as error:
        _give_up(delivery, outbox, str(error), tell)
    except SendError as error:
        _try_later(delivery, outbox, error, settings, tell)


def _give_up(delivery: Delivery, outbox: Outbox, reason: str, tell: Tell) -> None:
    outbox.mark(delivery, DeliveryState.DEAD, reason)
    tell(f"gave up sending {delivery.job} to {delivery.destination}: {reason}; `queue outbox retry {delivery.id}`")


def _try_later(delivery: Delivery, outbox: Outbox, error: SendError, settings: SendSettings, tell: Tell) -> None:
    reason, counts = str(error), not isinstance(error, Unreachable)
    failures = delivery.attempts + int(counts)
    too_old = time.time() - delivery.since > settings.days * DAY_SECONDS
    if failures >= settings.attempts or too_old:
        limit = f"after {settings.days:g} days" if too_old else f"after {failures} attempts"
        _give_up(delivery, outbox, f"{reason} ({limit})", tell)
        return
    is_taken = isinstance(error, Unconfirmed) and not isinstance(error, Missing)
    state = DeliveryState.SENT if is_taken else DeliveryState.WAITING
    if isinstance(error, Unreachable | Refused):
        outbox.pause(delivery.destination, reason, settings.wait_seconds)
        outbox.postpone(delivery, reason, 0.0, counts=counts, state=delivery.state)
    else:
        outbox.postpone(delivery, reason, settings.wait_seconds(failures), counts=counts, state=state)


class Sender:
    """One thread that reads the ledger, and one for each destination that has something to do."""

    def __init__(self, home: Home, settings: SendSettings, tell: Tell) -> None:
        self._settings, self._tell = settings, tell
        self._ledger, self._outbox = Ledger(home.ledger), Outbox(home.root / FILE)
        self._stop = threading.Event()
        self._threads: dict[str, threading.Thread] = {}
        self._listener: CommitmentListener | None = None
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name="outbox")

    @property
    def commitment_port(self) -> int | None:
        """Where answers to storage commitment are taken."""
        return self._listener.port if self._listener else None

    def start(self) -> None:
        """Start sending."""
        if self._settings.commitment_port is not None:
            self._listener = CommitmentListener(self._settings, _listener_tls(self._settings))
        take_in(self._ledger, self._outbox, self._settings.to)  # before a worker finishes a job
        self._thread.start()

    def stop(self) -> None:
        """Stop, once what is being sent now has its answer or its timeout."""
        self._stop.set()
        for thread in (self._thread, *self._threads.values()):
            if thread.is_alive():
                thread.join()
        if self._listener:
            self._listener.close()
        self._outbox.close()
        self._ledger.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                take_in(self._ledger, self._outbox, self._settings.to)
                for destination in self._outbox.open_destinations():
                    self._see_to(destination)
                self._problem = ""
            except (LedgerError, OutputError) as error:  # a full disk: it is tried again
                if str(error) != self._problem:
                    self._tell(f"outbox: {error}")
                self._problem = str(error)
            self._stop.wait(LOOK_SECONDS)

    def _see_to(self, destination: str) -> None:
        thread = self._threads.get(destination)
        if thread is None or not thread.is_alive():
            self._threads[destination] = threading.Thread(
                target=self._empty, args=(destination,), name=f"send {destination}"
            )
            self._threads[destination].start()

    def _empty(self, text: str) -> None:
        """Send everything for a destination that is due."""
        try:
            if self._outbox.due(text) is None:
                return
            destination = destination_of(text, self._settings, self._listener)
            while not self._stop.is_set() and (delivery := self._outbox.due(text)):
                deliver(delivery, self._outbox, destination, self._settings, self._tell)
        except WorkbenchError as error:
            self._tell(f"outbox: {text}: {error}")
            with suppress(WorkbenchError):
                self._outbox.pause(text, str(error), self._settings.wait_seconds)


def _listener_tls(settings: SendSettings) -> object:
    from AutoSegmentQueueLib.pacs.settings import DicomSettings
    from AutoSegmentQueueLib.pacs.tls import server_context

    if settings.tls_cert is None:
        return None
    files = DicomSettings(tls_cert=settings.tls_cert, tls_key=settings.tls_key, tls_ca=settings.tls_ca)
    return server_context(files)


@contextmanager
def sending(home: Home, settings: SendSettings, tell: Tell) -> Iterator[Sender]:
    """Send results while the block runs."""
    sender = Sender(home, settings, tell)
    sender.start()
    try:
        yield sender
    finally:
        sender.stop()
