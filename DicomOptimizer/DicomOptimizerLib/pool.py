"""Tasks on several processes with bounded memory: each worker holds one slice at a time, and results come back as they are ready."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType

from DicomWorkbenchLib.errors import ProcessError, WorkbenchError
from DicomWorkbenchLib.progress import CancelToken

from DicomOptimizerLib.messages import receive, send
from DicomOptimizerLib.slices import FileResult, Job
from DicomOptimizerLib.worker import Doer, Task
from DicomOptimizerLib.workers import Worker, can_fork, start

FEWEST_TASKS = (
    48  # below this, starting new Pythons costs more than they gain; a fork always pays, if only for a quick cancel
)
BATCH = 8  # tasks sent at once, so that a pipe's round trip is shared; a cancel does not wait for them
LOOK_SECONDS = 0.1

Outcome = tuple[int, FileResult | WorkbenchError | OSError]


class WorkerPool:
    """Runs tasks of one job, in this process or in several others.

    Parameters
    ----------
    job : what all tasks share.
    workers : number of processes; 1 works in this one.
    """

    def __init__(self, job: Job, workers: int) -> None:
        self._job = job
        self._workers = workers
        self._started: list[Worker] = []

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._started:
            worker.end()

    def run(self, tasks: Sequence[Task], cancel: CancelToken) -> Iterator[Outcome]:
        """Yield (index of the task, result or error) in the order of completion.

        Raises
        ------
        Cancelled : somebody asked to stop.
        ProcessError : a worker process died.
        """
        if self._workers == 1 or (len(tasks) < FEWEST_TASKS and not can_fork()):
            yield from self._run_here(tasks, cancel)
        else:
            yield from self._run_there(tasks, cancel)

    def _run_here(self, tasks: Sequence[Task], cancel: CancelToken) -> Iterator[Outcome]:
        doer = Doer(self._job)
        for number, task in enumerate(tasks):
            cancel.check()
            yield number, doer.attempt(task)

    def _run_there(self, tasks: Sequence[Task], cancel: CancelToken) -> Iterator[Outcome]:
        waiting: queue.SimpleQueue[range] = queue.SimpleQueue()
        for first in range(0, len(tasks), BATCH):
            waiting.put(range(first, min(first + BATCH, len(tasks))))
        done: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
        self._start()
        for worker in self._started:
            threading.Thread(target=_serve, args=(worker, tasks, waiting, done), daemon=True).start()
        for _ in range(len(tasks)):
            yield _next(done, cancel)

    def _start(self) -> None:
        while len(self._started) < self._workers:
            self._started.append(start())
        for worker in self._started:
            try:
                send(worker.requests, self._job)
            except BrokenPipeError:
                raise ProcessError("a worker process could not start; try again with --jobs 1") from None


def _next(done: queue.SimpleQueue[Outcome | BaseException], cancel: CancelToken) -> Outcome:
    while True:
        cancel.check()
        try:
            outcome = done.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            continue
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def _serve(
    worker: Worker,
    tasks: Sequence[Task],
    waiting: queue.SimpleQueue[range],
    done: queue.SimpleQueue[Outcome | BaseException],
) -> None:
    """Feed one worker until nothing is left (runs in a thread of its own; touches nothing else)."""
    while True:
        try:
            batch = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            send(worker.requests, [tasks[n] for n in batch])
            results = receive(worker.results)
        except (EOFError, OSError, ValueError):
            done.put(ProcessError(f"a worker process ended unexpectedly near {tasks[batch[0]].origin}"))
            return
        for n, result in zip(batch, results, strict=True):
            done.put((n, result))
