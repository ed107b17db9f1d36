"""A ledger with jobs in every state, as weeks of use leave it; no worker needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Content, Job, Ledger, NewJob
from AutoSegmentQueueLib.ledger_leases import Heartbeat
from AutoSegmentQueueLib.states import Failure

_LEASE = 3600.0
TOO_BRIGHT = "the engine threshold needs a CT in Hounsfield units; the lowest value here is 12, air would be -1000"
NO_WEIGHTS = "TotalSegmentator is not installed; run `make setup-totalsegmentator`, or choose another engine"
KILLED = "its process ended three times without a word (signal 9)"
NASTY = '<img src=x onerror="document.title=1">&amp;scan'


class Maker:
    """Adds jobs to a ledger and brings them where they should be; the ids are kept by name."""

    def __init__(self, home: Home) -> None:
        self.ledger = Ledger(home.ledger)
        self.ids: dict[str, str] = {}
        self._number = 0

    def queued(
        self, name: str, *, engine: str = "threshold", user: str = "", task: str = "total", quality: str = "normal"
    ) -> Job:
        self._number += 1
        options = {"task": task, "quality": quality, "device": "cpu"}
        new = NewJob(name, engine=engine, options=options, source=f"invented/{name}.nii.gz", user=user)
        job = self.ledger.enqueue(new, Content(f"{self._number:064x}", 48_000_000, 20_000_000))
        self.ids[name] = job.id
        return job

    def running(self, name: str, progress: float = 0.0, stage: str = "", **more: str) -> Job:
        self.queued(name, **more)
        leased = self.ledger.lease("test", _LEASE)
        assert leased is not None and leased.name == name, "jobs that wait are added last"
        job = self.ledger.begin(leased.id, leased.fence)
        if progress:
            self.ledger.beat({job.id: Heartbeat(job.fence, progress, stage)}, _LEASE)
        return job

    def ended(self, name: str, how: Callable[[Ledger, Job], object], **more: str) -> Job:
        job = self.running(name, **more)
        how(self.ledger, job)
        return self.ledger.job(job.id)

    def done(self, name: str, output: Path, **more: str) -> Job:
        def finish(ledger: Ledger, job: Job) -> None:
            ledger.validate(job.id, job.fence)
            ledger.finish(job.id, job.fence, str(output))

        return self.ended(name, finish, **more)


def fill(home: Home, output: Path) -> dict[str, str]:
    """Write jobs in all states; returns their ids by name.

    Parameters
    ----------
    output : result folder of the jobs that are done.
    """
    make = Maker(home)
    make.done("knee-2026-10-02", output, user="anna")
    make.ended("photo", lambda ledger, job: ledger.fail(job.id, job.fence, Failure.BAD_INPUT, TOO_BRIGHT), user="anna")
    make.ended(
        "abdomen-07",
        lambda ledger, job: ledger.fail(job.id, job.fence, Failure.MISSING, NO_WEIGHTS),
        engine="totalsegmentator",
        user="ben",
    )
    make.ended(
        "thorax-long", lambda ledger, job: ledger.crashed(job.id, job.fence, 0, Failure.CRASH, KILLED, 0.0), user="ben"
    )
    make.done("chest-anna", output, user="anna")
    make.done(NASTY, output, user="ben")
    make.running("pelvis-12", 0.42, "predicting", engine="totalsegmentator", quality="fast", user="ben")
    make.ledger.cancel(make.queued("wrong-patient-side", user="anna").id)
    make.queued("spine-lumbar", user="anna")
    make.queued("head-neck", engine="totalsegmentator", task="head_glands_cavities", user="ben")
    make.ledger.close()
    return make.ids
