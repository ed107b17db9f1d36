"""The optimizer's tasks on a cluster: the plan is made once and here, only reading, converting and writing of files goes elsewhere.

So names, UIDs and references are those of a run on one machine, bit for bit. As a program it is the other side: it does the tasks of one
part. Messages are pickles; both ends are ours.
"""

from __future__ import annotations

import pickle
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from DicomWorkbenchLib.outputs import ScratchFolder
from DicomWorkbenchLib.parts import Cluster, Part, carried_by, run_part
from DicomWorkbenchLib.progress import NEVER, CancelToken, json_lines_progress, no_progress

from DicomOptimizerLib.pool import Outcome, WorkerPool
from DicomOptimizerLib.slices import Job
from DicomOptimizerLib.worker import HashTask, Task

TASKS, OUTCOMES = "tasks.pickle", "outcomes.pickle"
PARTS_PER_SLOT = 4  # so that a slow or lost node holds up little
FEWEST_TASKS = 16  # below this a part's start costs more than its work


class ClusterPool:
    """Stands in for `WorkerPool`: runs the tasks of one job in parts on a cluster.

    Parameters
    ----------
    workers : processes of each part.
    beside : folder in which parts keep their files while they work; nodes must see it, unless files are transferred.
    """

    def __init__(self, job: Job, cluster: Cluster, workers: int, beside: Path) -> None:
        self._job, self._workers = job, workers
        self._cluster, self._beside = cluster, beside
        self._stack = ExitStack()

    def __enter__(self) -> ClusterPool:
        with ExitStack() as stack:
            self._carrier = stack.enter_context(carried_by(self._cluster))
            self._beside.mkdir(parents=True, exist_ok=True)
            scratch = ScratchFolder(self._beside)
            stack.callback(scratch.close)
            self._scratch = scratch.path
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def run(self, tasks: Sequence[Task], cancel: CancelToken) -> Iterator[Outcome]:
        """Yield (index of the task, result or error) in the order of the tasks, as one process does.

        Raises
        ------
        Cancelled : somebody asked to stop.
        ProcessError : a part cannot be done.
        """
        size = max(FEWEST_TASKS, -(-len(tasks) // (PARTS_PER_SLOT * self._carrier.slots)))
        batches = [range(first, min(first + size, len(tasks))) for first in range(0, len(tasks), size)]
        parts = [self._part([tasks[n] for n in batch]) for batch in batches]
        results: dict[int, Path] = {}
        number = 0
        for finished, result in self._carrier.run(parts, self._scratch, no_progress, cancel):
            results[finished] = result
            while number in results:
                yield from _taken(results.pop(number), batches[number], tasks)
                number += 1

    def _part(self, tasks: list[Task]) -> Part:
        inputs = tuple(task.path for task in tasks)
        content = pickle.dumps((self._job, [_elsewhere(task, n, Path()) for n, task in enumerate(tasks)]))
        return Part("DicomOptimizerLib.parts", inputs, {"workers": self._workers}, {TASKS: content})


def _taken(result: Path, batch: range, tasks: Sequence[Task]) -> Iterator[Outcome]:
    """Bring the files of a part to their places."""
    outcomes = pickle.loads((result / OUTCOMES).read_bytes())
    for n, outcome in zip(batch, outcomes, strict=True):
        made, task = result / str(n - batch.start), tasks[n]
        if not isinstance(task, HashTask) and made.exists():
            task.target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(made, task.target)
        yield n, outcome


def _elsewhere(task: Task, number: int, result: Path, path: Path = Path()) -> Task:
    """Return a task with its paths on another machine: its target is its number in the folder of results."""
    if isinstance(task, HashTask):
        return replace(task, path=path)
    return replace(task, path=path, target=result / str(number))


def _work(description: dict[str, Any], result: Path) -> None:
    job, tasks = pickle.loads((Path(description["folder"]) / TASKS).read_bytes())
    paths = [Path(path) for path in description["inputs"]]
    here = [_elsewhere(task, n, result, path) for n, (task, path) in enumerate(zip(tasks, paths, strict=True))]
    progress, outcomes = json_lines_progress(), {}
    with WorkerPool(job, int(description["workers"])) as pool:
        for done, (n, outcome) in enumerate(pool.run(here, NEVER), 1):
            outcomes[n] = outcome
            progress(done, len(here), "writing")
    (result / OUTCOMES).write_bytes(pickle.dumps([outcomes[n] for n in range(len(here))]))


if __name__ == "__main__":
    sys.exit(run_part(_work))
