"""Results with DICOM objects, jobs that are done, and a sender that is turned by hand or in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pydicom
from AutoSegmentQueueLib import failpoints, job_input
from AutoSegmentQueueLib.dicom_objects.write import Result, write_objects
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Content, Job, Ledger, NewJob
from AutoSegmentQueueLib.pacs.outbox import FILE, Delivery, DeliveryState, Outbox
from AutoSegmentQueueLib.pacs.outbox_sender import Sender
from AutoSegmentQueueLib.pacs.send_settings import SendSettings
from AutoSegmentQueueLib.statistics import measure
from DicomWorkbenchLib.progress import NEVER, no_progress
from DicomWorkbenchLib.report import relative_files, sha256_of
from queue_testing import opened_home, wait_for
from queue_testing.dicom_cases import Geometry, structures, write_slices

QUICK = SendSettings(first_seconds=0.2, longest_seconds=0.5, seconds=5.0, commitment_seconds=8.0)


def make_result(folder: Path, key: str = "a", wanted: tuple[str, ...] = ("seg", "rtstruct", "sr")) -> Path:
    """Make a result folder with objects and manifest; ``key`` makes other objects of another study."""
    scan = write_slices(folder / f"scan-{key}", Geometry(heights_mm=tuple(3.0 * k + len(key) for k in range(22))))
    loaded = job_input.load([scan], no_progress, NEVER)
    assert loaded.source is not None
    result = folder / f"result-{key}"
    result.mkdir()
    segmented = structures()
    if "seg-labelmap" in wanted:
        segmented = replace(segmented, structures=segmented.structures[:4])
    made = Result(loaded.volume, segmented, measure(loaded.volume, segmented), [], {"key": key})
    assert write_objects(result, loaded.source, made, wanted, NEVER) == []
    outputs = [
        {"path": name, "bytes": (result / name).stat().st_size, "sha256": sha256_of(result / name)}
        for name in relative_files(result)
    ]
    (result / "manifest.json").write_text(json.dumps({"id": key, "outputs": outputs}))
    return result


def finish_job(ledger: Ledger, result: Path, **options: Any) -> Job:
    """Put a job into the ledger that is done and has this result."""
    new = ledger.enqueue(NewJob(result.name, options=options), Content(f"{result}{options}", 1))
    job = ledger.lease("test", 60)
    assert job is not None and job.id == new.id
    ledger.begin(job.id, job.fence)
    ledger.validate(job.id, job.fence)
    return ledger.finish(job.id, job.fence, str(result))


def instances(result: Path) -> dict[str, bytes]:
    """Every object of a result by its SOP instance UID, without preamble and meta information."""
    from pacs_testing.series import dataset_bytes

    files = sorted(result.glob("*.dcm"))
    return {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): dataset_bytes(path) for path in files}


@dataclass
class Sending:
    """A home that sends."""

    home: Home
    ledger: Ledger
    outbox: Outbox
    lines: list[str] = field(default_factory=list)

    def run(self, settings: SendSettings, until: DeliveryState, seconds: float = 60) -> list[Delivery]:
        """Send until every delivery stands as wanted."""
        sender = Sender(self.home, settings, self.lines.append)
        sender.start()
        try:
            return list(wait_for(lambda: self.all_are(until), seconds))
        finally:
            sender.stop()

    def all_are(self, state: DeliveryState) -> list[Delivery]:
        rows = self.outbox.deliveries()
        return rows if rows and all(row.state is state for row in rows) else []

    def killed_at(self, place: str, settings: SendSettings, passage: int = 1) -> bool:
        """Send in a forked process that is killed where it passes a place (POSIX); False if it never came there."""
        pid = os.fork()
        if pid == 0:
            _send_and_leave(self.home, settings, f"{place}:{passage}:kill")
        until = time.monotonic() + 40
        while time.monotonic() < until:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return False


def _send_and_leave(home: Home, settings: SendSettings, plan: str) -> None:
    try:
        failpoints.arm(plan)
        sender = Sender(home, settings, lambda text: None)
        outbox = Outbox(home.root / FILE)
        sender.start()
        until = time.monotonic() + 30
        while time.monotonic() < until:
            rows = outbox.deliveries()
            if rows and all(row.state is DeliveryState.STORED for row in rows):
                break
            time.sleep(0.02)
        sender.stop()
    finally:
        os._exit(0)  # nothing of the test process this one was forked from may run here


@contextlib.contextmanager
def sending_home(root: Path) -> Iterator[Sending]:
    """A home whose outbox has begun: what is done from now on is sent."""
    with opened_home(root) as (home, _, ledger):
        outbox = Outbox(home.root / FILE)
        outbox.take_in((), 0)
        try:
            yield Sending(home, ledger, outbox)
        finally:
            outbox.close()
