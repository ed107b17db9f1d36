"""A queue whose worker gives its jobs to a cluster, in a thread of the test."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import Counter
from pathlib import Path

from AutoSegmentQueueLib.executor_guard import marked
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.intake_units import look_at
from AutoSegmentQueueLib.ledger import Content, Job, Ledger, NewJob
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.states import State
from AutoSegmentQueueLib.worker import Worker
from DicomWorkbenchLib.progress import CancelToken

from queue_testing import digest_of, nifti, results_in, wait_for


class Queue:
    """A home whose worker gives its jobs to a cluster, in a thread."""

    def __init__(self, root: Path, home: Home, settings: QueueSettings, ledger: Ledger) -> None:
        self.root, self.home, self.settings, self.ledger = root, home, settings, ledger
        self.queued: set[str] = set()
        self._stop = CancelToken()
        self._thread = threading.Thread(target=self._work)

    def add(self, what: str) -> Job:
        content = nifti(what, seed=len(self.queued))
        scan = self.root / f"scan{len(self.queued)}.nii"
        scan.write_bytes(content)
        sha256, unit = hashlib.sha256(content).hexdigest(), look_at(scan)
        assert unit
        self.queued.add(sha256)
        options = self.settings.segmentation.options()
        new = NewJob(scan.stem, source=str(scan), signature=unit.signature, options=options)
        return self.ledger.enqueue(new, Content(sha256, len(content)))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.cancel()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _work(self) -> None:
        with contextlib.closing(Ledger(self.home.ledger)) as ledger:
            worker = Worker(self.home, self.settings, ledger)
            try:
                worker.run(self._stop)
            finally:
                worker.close()

    def count(self, state: State) -> int:
        return self.ledger.counts()[state]

    def wait_done(self, seconds: float = 90.0) -> None:
        wait_for(lambda: self.count(State.DONE) == len(self.queued), seconds, every=0.1)

    def children(self) -> list[int]:
        return [pid for job in self.ledger.jobs() for pid in marked(f"WORKBENCH_QUEUE_JOB={job.id}-{job.fence}")]

    def check(self) -> None:
        published = Counter(digest_of(result) for result in results_in(self.home.output_of(self.settings)))
        assert published.keys() == self.queued, "a job was lost, or a result belongs to no input"
        assert set(published.values()) == {1}, "something was published twice"
