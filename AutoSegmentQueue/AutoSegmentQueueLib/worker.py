"""A worker: takes jobs from the ledger, has them run, and keeps its leases alive. One thread waits, others judge what has ended."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from DicomWorkbenchLib.progress import NEVER, CancelToken

from AutoSegmentQueueLib import kinds
from AutoSegmentQueueLib.executor import ANY_DEVICE, Advance, Ended, Executor, Order
from AutoSegmentQueueLib.executors import executor_of
from AutoSegmentQueueLib.failpoints import reach
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.intake_units import unit_of
from AutoSegmentQueueLib.ledger import Job, Ledger
from AutoSegmentQueueLib.ledger_leases import Heartbeat
from AutoSegmentQueueLib.ledger_store import LedgerError, StaleFence
from AutoSegmentQueueLib.owners import this_owner
from AutoSegmentQueueLib.publish import take_over
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.states import ACTIVE, Failure, State
from AutoSegmentQueueLib.worker_files import WorkFolder, deadline_seconds, memory_bytes, write_log
from AutoSegmentQueueLib.worker_finish import Finisher

LOOK_SECONDS = 0.2  # how often the ledger is asked for news from other processes
BEAT_SECONDS = 1.0
RESERVE_SHARE = 4  # workers stop at this part of the free space at which intake stops
HELD_PER_SLOT = 2  # jobs: one that runs, and one whose results are judged meanwhile
FULL_SECONDS = 5.0  # how long to wait before something is tried again on a full disk


@dataclass
class _Held:
    job: Job
    folder: WorkFolder
    runs: bool = True  # False from the moment its process has ended
    finishing: Future[None] | None = None
    cancelling: bool = False
    advance: Advance = field(default_factory=Advance)

    @property
    def key(self) -> str:
        return f"{self.job.id}-{self.job.fence}"


class Worker:
    """Runs jobs until told to stop.

    Parameters
    ----------
    executor : what carries the work; None: what ``settings.executor`` names.
    """

    def __init__(self, home: Home, settings: QueueSettings, ledger: Ledger, executor: Executor | None = None) -> None:
        self._home = home
        self._settings = settings
        self._ledger = ledger
        self.executor = executor or executor_of(settings)
        self._owner = this_owner()
        self._held: dict[str, _Held] = {}
        self._stopping = False
        self._judges = ThreadPoolExecutor(max_workers=4 * settings.slots, thread_name_prefix="judge")
        self._finisher = Finisher(ledger, settings, home.output_of(settings), lambda: self._stopping)
        self._next_beat = self._next_reclaim = 0.0
        self._seen_version = -1

    def run(
        self, cancel: CancelToken = NEVER, *, drain: bool = False, until: Callable[[], bool] = lambda: False
    ) -> None:
        """Work until cancelled or ``until`` says so; with ``drain``, until nothing is left that this worker could do."""
        while not cancel.cancelled and not until():
            try:
                self.round()
                if drain and self._is_drained():
                    return
            except LedgerError:  # full disk or a long transaction of somebody else: the ledger is asked again
                time.sleep(LOOK_SECONDS)
            self.executor.wait(LOOK_SECONDS)

    def round(self) -> None:
        """Do what is due now, without waiting."""
        now = time.monotonic()
        self._go_on(self.executor.poll())
        for key in [key for key, held in self._held.items() if held.finishing and held.finishing.done()]:
            self._held.pop(key).finishing.result()  # type: ignore[union-attr] # picked because it has one
        if self._held and self._news():
            self._end(self._ledger.cancel_requests())
        if self._held and now >= self._next_beat:
            self._beat()
            self._next_beat = now + min(BEAT_SECONDS, self._settings.lease_seconds / 4)
        if now >= self._next_reclaim:  # after the beat, so that a worker that was held up does not lose its own jobs
            self._reclaim()
            self._next_reclaim = now + self._settings.lease_seconds / 4
        while self._take():
            pass

    def _go_on(self, ended: list[Ended]) -> None:
        """Start the next job before what has ended is judged: processor and device are not to wait for the disk."""
        for one in ended:
            self._held[one.key].runs = False
        try:
            if ended:
                self._take()
        finally:
            for one in ended:
                self._judge(one)

    def close(self) -> None:
        """End what runs and give it back to the queue."""
        self._stopping = True
        for key in self._held:
            self.executor.cancel(key)
        until = time.monotonic() + 10.0
        while any(held.finishing is None for held in self._held.values()) and time.monotonic() < until:
            for ended in self.executor.poll():
                self._judge(ended)
            self.executor.wait(0.1)
        self._judges.shutdown(wait=True)
        self.executor.close()

    def _news(self) -> bool:
        version = self._ledger.data_version()
        changed, self._seen_version = version != self._seen_version, version
        return changed

    def _is_drained(self) -> bool:
        return not self._held and (self._ledger.paused or not self._ledger.has_work())

    def _take(self) -> bool:
        """Take one job and start it; returns whether there may be another."""
        job = (
            None
            if self._is_disk_full()
            else self._ledger.lease(self._owner, self._settings.lease_seconds, self._full(), begin=True)
        )
        if job is None:
            return False
        try:
            self._start(job)
        except StaleFence:
            return True
        except OSError as error:  # the private folder cannot be made, or no process can be started
            self._ledger.put_back(
                job.id, job.fence, f"could not be started: {error.strerror}", not_before=time.time() + FULL_SECONDS
            )
            return False
        return True

    def _full(self) -> list[str]:
        """Return the devices that can take no job now: no slot is free, or too many jobs wait to be judged already."""
        capacity = self.executor.capacity()
        held = Counter(one.job.device for one in self._held.values())
        running = Counter(one.job.device for one in self._held.values() if one.runs)
        free = {device: capacity.get(device, capacity[ANY_DEVICE]) for device in {*capacity, *held} - {ANY_DEVICE}}
        return [
            device
            for device, slots in free.items()
            if slots <= 0 or held[device] >= HELD_PER_SLOT * (slots + running[device])
        ]

    def _is_disk_full(self) -> bool:
        """True well after intake has stopped: what is queued may still use most of the space that was kept free."""
        usage = shutil.disk_usage(self._home.root)
        return usage.free < self._settings.least_free_bytes(usage.total) // RESERVE_SHARE

    def _start(self, job: Job) -> None:
        published = take_over(job)
        if published is not None:
            self._ledger.finish(job.id, job.fence, published, "published before its worker was lost")
            return
        inputs = [Path(one) for one in (self._ledger.origin(job).inputs if job.parent else ())]
        inputs += [Path(one) for one in job.inputs]
        if job.source and not self._input_stands(job):
            return
        running = job if job.state is State.RUNNING else self._ledger.begin(job.id, job.fence)
        folder = WorkFolder.make(self._home, running)
        deadline = deadline_seconds(running, self._settings)
        command = kinds.command_of(running, inputs, folder.path, deadline, self._settings.child_command)
        reach("worker.before-start")
        if not self._held:
            self._next_beat = time.monotonic() + min(BEAT_SECONDS, self._settings.lease_seconds / 4)
        self._held[f"{job.id}-{job.fence}"] = held = _Held(running, folder)
        write_log(
            folder.log, f"attempt {running.attempts} of job {job.id}: {job.kind} with {job.engine} on {job.device}"
        )
        try:
            self.executor.submit(self._order(held, command, deadline, inputs))
        except OSError:
            del self._held[held.key]
            raise
        reach("worker.started")

    def _order(self, held: _Held, command: list[str], deadline: float, inputs: list[Path]) -> Order:
        folder = held.folder
        return Order(
            key=held.key,
            arguments=tuple(command),
            folder=folder.path,
            stdout=folder.stdout,
            stderr=folder.log,
            device=held.job.device,
            deadline_seconds=deadline,
            environment=folder.environment(),
            inputs=tuple(inputs),
            memory_bytes=memory_bytes(held.job),
        )

    def _input_stands(self, job: Job) -> bool:
        """See that the input is still what was checked; otherwise send the job away."""
        unit = unit_of(job.inputs)
        if unit is None:
            self._ledger.fail(job.id, job.fence, Failure.BAD_INPUT, "the input was taken away before its turn came")
        elif unit.signature != job.signature:
            self._ledger.restabilise(job.id, job.fence, "the input was changed before its turn came")
        else:
            return True
        return False

    def _judge(self, ended: Ended) -> None:
        held = self._held[ended.key]
        held.finishing = self._judges.submit(self._finisher.finish, held.job, held.folder, ended)
        held.finishing.add_done_callback(lambda _: self.executor.wake())

    def _beat(self) -> None:
        beats = {held.job.id: self._heartbeat(key, held) for key, held in self._held.items()}
        answer = self._ledger.beat(beats, self._settings.lease_seconds)
        self._end(answer.cancel | answer.lost)

    def _end(self, ids: frozenset[str]) -> None:
        """End the processes of jobs that are cancelled or not ours any more; what is being judged is judged to its end."""
        for key, held in self._held.items():
            if held.job.id in ids and held.finishing is None and not held.cancelling:
                held.cancelling = True
                self.executor.cancel(key)

    def _heartbeat(self, key: str, held: _Held) -> Heartbeat:
        if held.finishing is None:
            held.advance = self.executor.advance(key)
        stage = held.advance.stage if held.finishing is None else "validating"
        return Heartbeat(held.job.fence, held.advance.fraction, stage)

    def _reclaim(self) -> None:
        taken = self._ledger.reclaim(self._settings.losses, lambda job: take_over(job) is not None)
        if taken:
            remove_stale_folders(self._home, self._ledger)


def remove_stale_folders(home: Home, ledger: Ledger) -> None:
    """Remove the private folders of attempts that nobody works on any more."""
    current = {f"{job.id}-{job.fence}" for job in ledger.jobs(ACTIVE)}
    for folder in home.work.iterdir():
        if folder.name not in current:
            shutil.rmtree(folder, ignore_errors=True)
