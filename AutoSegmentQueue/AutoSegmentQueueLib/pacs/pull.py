"""Pulling a study from a PACS: what it holds is asked, what is missing here is fetched, and each series is queued when it is complete."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import Cancelled, InputError, SettingsError
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from DicomWorkbenchLib.settings import to_json

from AutoSegmentQueueLib.adding import settle_now
from AutoSegmentQueueLib.home import BusyError, Home
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.pacs.assembler import Assembler
from AutoSegmentQueueLib.pacs.assembly_loop import assembler_lock
from AutoSegmentQueueLib.pacs.dimse_client import Caller
from AutoSegmentQueueLib.pacs.fetching import Fetch
from AutoSegmentQueueLib.pacs.peers import DimsePeer, check_ae_title, parse_peer
from AutoSegmentQueueLib.pacs.query import SeriesAt, find_series
from AutoSegmentQueueLib.pacs.received import Origin
from AutoSegmentQueueLib.pacs.store import Outcome, Store
from AutoSegmentQueueLib.pacs.tls import client_context
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.states import State


@dataclass(frozen=True)
class PullSettings:
    """What is pulled, and how.

    Attributes
    ----------
    source : ``AET@HOST:PORT`` or a DICOMweb address.
    study, series : Study Instance UID; Series Instance UIDs, none for all of the study.
    home : of the queue; None is the user's own.
    ae_title : how we call ourselves; None as the queue's settings have it.
    move_to : AE title of our running node, to which the peer is told to send (C-MOVE); empty: it sends on the same association
        (C-GET), and by C-MOVE to ``ae_title`` only where it refuses that.
    tls_ca, tls_cert, tls_key : PEM files: authority of the peer, and what we show. With an authority the association is TLS.
    seconds : longest silence of the peer.
    user : whose jobs these are.
    """

    source: str
    study: str
    series: tuple[str, ...] = ()
    home: Path | None = None
    ae_title: str | None = None
    move_to: str = ""
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    seconds: float = 60.0
    user: str = ""

    def __post_init__(self) -> None:
        parse_peer(self.source)
        for uid in (self.study, *self.series):
            if not uid or len(uid) > 64 or not all(one in "0123456789." for one in uid):
                raise SettingsError("study and series are UIDs: digits and dots, at most 64 (PS3.5 9.1)")
        for title in (self.ae_title, self.move_to):
            if title:
                check_ae_title(title)
        if self.seconds <= 0:
            raise SettingsError(f"seconds must be positive, got {self.seconds}")


@dataclass
class PulledSeries:
    """What came of one series; ``expected`` is None where the peer does not know its number of instances."""

    series_uid: str
    modality: str
    expected: int | None
    there: int  # before
    arrived: int = 0  # afterwards
    way: str = ""  # C-GET, C-MOVE, WADO-RS; empty: nothing had to be fetched


@dataclass
class PullReport:
    """What came of a pull."""

    source: str
    study: str
    series: list[PulledSeries] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    new: int = 0
    known: int = 0
    replaced: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return dict(to_json(self))


def pull_study(settings: PullSettings, progress: Progress = no_progress, cancel: CancelToken = NEVER) -> PullReport:
    """Pull a study, or some series of it, into the queue.

    Called again after an interruption it fetches what is missing. A home that is served queues the series by itself.

    Raises
    ------
    PeerError : the peer cannot be reached, refuses, or fails.
    InputError : it has no such study or series.
    Cancelled : what has come stays.
    """
    try:
        return _pull_study(settings, progress, cancel)
    except Cancelled:
        raise Cancelled("cancelled; what has come stays and is not fetched again") from None


def _pull_study(settings: PullSettings, progress: Progress, cancel: CancelToken) -> PullReport:
    began = time.monotonic()
    home = Home.open(settings.home)
    queue = home.load()
    report = PullReport(settings.source, settings.study)
    with _store(home, queue) as store:
        fetch = Fetch(
            settings, _caller(settings, queue), store, Origin("pull", _title(settings), settings.user), cancel
        )
        found = _wanted(settings, find_series(fetch.peer, fetch.caller, settings.study))
        total, before = sum(one.count or 0 for one in found), 0
        for number, one in enumerate(found, 1):
            message = f"series {number} of {len(found)}"
            report.series.append(_pull(fetch, one, lambda n, b=before, m=message: progress(b + n, total, m), report))
            before += one.count or 0
            cancel.check()
        counts = store.counts
        report.new, report.known, report.replaced = (counts[one] for one in Outcome)
    report.jobs = _queue(home, queue)
    report.seconds = round(time.monotonic() - began, 2)
    return report


def _pull(fetch: Fetch, one: SeriesAt, progress: Any, report: PullReport) -> PulledSeries:
    folder = fetch.store.received.series(fetch.study, one.series_uid)
    there = len(folder.files())
    result = PulledSeries(one.series_uid, one.modality, one.count, there)
    if one.count:
        folder.expect(one.count)
    if not one.count or there < one.count:
        result.way = fetch.series(one, folder, progress)
    result.arrived = len(folder.files())
    if one.count is None and result.arrived:
        folder.expect(result.arrived)
    if one.count and result.arrived < one.count:
        report.warnings.append(f"series {folder.key[:8]}: {result.arrived} of {one.count} instances arrived")
    return result


def _wanted(settings: PullSettings, found: list[SeriesAt]) -> list[SeriesAt]:
    if not found:
        raise InputError(f"{settings.source} has no study with this UID")
    if not settings.series:
        return found
    chosen = [one for one in found if one.series_uid in settings.series]
    if missing := set(settings.series) - {one.series_uid for one in chosen}:
        raise InputError(f"the study at {settings.source} has no series {', '.join(sorted(missing))}")
    return chosen


def _title(settings: PullSettings) -> str:
    peer = parse_peer(settings.source)
    return peer.ae_title if isinstance(peer, DimsePeer) else ""


def _caller(settings: PullSettings, queue: QueueSettings) -> Caller:
    tls = client_context(settings.tls_ca, settings.tls_cert, settings.tls_key) if settings.tls_ca else None
    return Caller(settings.ae_title or queue.dicom.ae_title, settings.seconds, tls)


@contextmanager
def _store(home: Home, queue: QueueSettings) -> Iterator[Store]:
    store = Store(home, queue)
    try:
        yield store
    finally:
        store.close()


def _queue(home: Home, queue: QueueSettings) -> list[str]:
    """Queue what is complete, unless a server of this home does so within a second anyway; returns the ids of new jobs."""
    ledger = Ledger(home.ledger)
    try:
        with assembler_lock(home):
            last = max((job.seq for job in ledger.jobs()), default=0)
            Assembler(home, queue, ledger).look()
            jobs = ledger.jobs([State.RECEIVED, State.STABILISING], after=last)
            return [settle_now(home, queue, ledger, job).id for job in jobs]
    except BusyError:
        return []
    finally:
        ledger.close()
