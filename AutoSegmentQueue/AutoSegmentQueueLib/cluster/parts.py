"""Carries the parts of other workflows' jobs with the queue's executors; what the ledger is to jobs, the list in here is to parts."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import ProcessError
from DicomWorkbenchLib.parts import COMPLETE, PART_FILE, RESULT, Cluster, Part
from DicomWorkbenchLib.progress import CancelToken, Progress

from AutoSegmentQueueLib.cluster.settings import ClusterSettings
from AutoSegmentQueueLib.executor import ANY_DEVICE, Ended, Executor, Order
from AutoSegmentQueueLib.executors import executor_of
from AutoSegmentQueueLib.kinds import said_error
from AutoSegmentQueueLib.settings import QueueSettings

LOOK_SECONDS = 0.2
NODES_SECONDS = 60.0  # how long a start waits for a node
MOST_TRIES = 5  # of one part, when nodes are lost or its process is killed
SHARE = 100


@contextmanager
def carrier(cluster: Cluster) -> Iterator[PartCarrier]:
    """Open an executor for parts.

    Raises
    ------
    DependencyError, SettingsError : the executor cannot be used.
    ProcessError : the cluster does not answer, or has no nodes.
    """
    files: Any = cluster.files
    settings = ClusterSettings(tls=cluster.tls, files=files, path_map=cluster.path_map)
    executor = executor_of(QueueSettings(executor=cluster.executor, cluster=settings, slots=os.cpu_count() or 1))
    try:
        yield PartCarrier(executor, _slots(executor, cluster.executor))
    finally:
        executor.close()


@dataclass
class _Running:
    number: int
    folder: Path
    fraction: float = 0.0


class PartCarrier:
    """Runs parts on an executor, each until it is complete once.

    Attributes
    ----------
    slots : how many run at once.
    """

    def __init__(self, executor: Executor, slots: int) -> None:
        self._executor = executor
        self.slots = slots
        self._name = uuid.uuid4().hex[:8]

    def run(
        self, parts: Sequence[Part], scratch: Path, progress: Progress, cancel: CancelToken
    ) -> Iterator[tuple[int, Path]]:
        """Yield (index of the part, folder of its results) in the order of completion.

        Raises
        ------
        ProcessError : a part failed, or was lost too often.
        Cancelled : somebody asked to stop; nothing runs any more.
        """
        waiting, tries, running, done = deque(range(len(parts))), [0] * len(parts), dict[str, _Running](), 0
        try:
            while waiting or running:
                cancel.check()
                while waiting and self._is_free():
                    number = waiting.popleft()
                    tries[number] += 1
                    key = f"part{self._name}{number}-{tries[number]}"
                    running[key] = _Running(number, self._start(parts[number], key, scratch))
                for ended in self._executor.poll():
                    one = running.pop(ended.key)
                    if self._is_complete(ended, one, tries[one.number]):
                        done += 1
                        yield one.number, one.folder / RESULT
                    else:
                        waiting.appendleft(one.number)
                progress(SHARE * done + self._advance(running), SHARE * len(parts), f"{len(running)} parts at work")
                self._executor.wait(LOOK_SECONDS)
        finally:
            self._end(running)

    def _is_free(self) -> bool:
        capacity = self._executor.capacity()
        return capacity.get("cpu", capacity[ANY_DEVICE]) > 0

    def _start(self, part: Part, key: str, scratch: Path) -> Path:
        folder = scratch / key
        (folder / "tmp").mkdir(parents=True)
        for name, content in part.files.items():
            (folder / name).write_bytes(content)
        description = {**part.data, "inputs": [str(path) for path in part.inputs], "folder": str(folder)}
        (folder / PART_FILE).write_text(json.dumps(description), encoding="utf-8")
        temporary = {name: str(folder / "tmp") for name in ("TMPDIR", "TEMP", "TMP")}
        order = Order(
            key,
            (sys.executable, "-m", part.module, str(folder / PART_FILE)),
            folder,
            folder / "stdout.jsonl",
            folder / "log.txt",
            environment=temporary,
            inputs=part.inputs,
        )
        try:
            self._executor.submit(order)
        except OSError as error:
            raise ProcessError(f"a part could not be started: {error.strerror}") from error
        return folder

    def _is_complete(self, ended: Ended, one: _Running, tries: int) -> bool:
        """Judge an ended part; False if it is to be tried again."""
        if (one.folder / RESULT / COMPLETE).is_file():
            return True
        said = said_error(one.folder / "log.txt", 0)
        if said or ended.why == "refused":
            raise ProcessError(f"a part failed: {said or ended.note}")
        if tries >= MOST_TRIES:
            reason = ended.note or f"exit code {ended.exit_code}"
            raise ProcessError(f"a part was lost or killed {tries} times; the last time: {reason}")
        return False

    def _advance(self, running: dict[str, _Running]) -> int:
        return int(sum(SHARE * self._executor.advance(key).fraction for key in running))

    def _end(self, running: dict[str, _Running]) -> None:
        """End what still runs and wait until it has."""
        for key in running:
            self._executor.cancel(key)
        until = time.monotonic() + 15.0
        while running and time.monotonic() < until:
            for ended in self._executor.poll():
                running.pop(ended.key, None)
            self._executor.wait(LOOK_SECONDS / 4)


def _slots(executor: Executor, name: str) -> int:
    until = time.monotonic() + NODES_SECONDS
    while time.monotonic() < until:
        capacity = executor.capacity()
        slots = capacity.get("cpu", capacity[ANY_DEVICE])
        if slots:
            return slots
        executor.wait(LOOK_SECONDS)
    raise ProcessError(
        f"the cluster {name} does not answer or has no free node; start nodes with `queue cluster worker`"
    )
