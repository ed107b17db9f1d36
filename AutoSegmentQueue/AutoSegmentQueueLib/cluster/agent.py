"""The one that starts and watches commands on a node: a `LocalExecutor` in a thread of its own, for any number of callers.

So a command on a node is run exactly as on the queue's own machine: own process group, marks, guard, deadline, nothing survives.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import lru_cache
from queue import Empty, SimpleQueue

from AutoSegmentQueueLib.cluster.devices import Gpus
from AutoSegmentQueueLib.executor import Advance, Ended, Order
from AutoSegmentQueueLib.executor_local import LocalExecutor

LOOK_SECONDS = 0.2  # how soon a cancel reaches the process group
REPORT_SECONDS = 1.0
_making = threading.Lock()


@dataclass
class _Watched:
    order: Order
    wanted: Callable[[], bool]
    report: Callable[[Advance], None]
    done: Future[Ended] = field(default_factory=Future)
    report_at: float = 0.0


class Agent:
    """Runs orders of several threads.

    Parameters
    ----------
    gpus : how many GPUs of this node jobs may use.
    """

    def __init__(self, gpus: int) -> None:
        self._gpus = Gpus(gpus)
        self._new: SimpleQueue[_Watched] = SimpleQueue()
        self._waiting: list[_Watched] = []
        self._running: dict[str, _Watched] = {}
        self._executor = LocalExecutor(1)
        threading.Thread(target=self._run, name="node", daemon=True).start()

    def run(self, order: Order, wanted: Callable[[], bool], report: Callable[[Advance], None]) -> Ended:
        """Run a command to its end; when ``wanted`` turns false, everything of it is ended.

        Raises
        ------
        OSError : it cannot be started.
        """
        watched = _Watched(order, wanted, report)
        self._new.put(watched)
        self._executor.wake()
        return watched.done.result()

    def _run(self) -> None:
        while True:
            self._executor.wait(LOOK_SECONDS)
            self._take_new()
            for ended in self._executor.poll():
                self._gpus.give_back(ended.key)
                self._running.pop(ended.key).done.set_result(ended)
            for key, watched in self._running.items():
                if not watched.wanted():
                    self._executor.cancel(key)
                elif time.monotonic() >= watched.report_at:
                    watched.report_at = time.monotonic() + REPORT_SECONDS
                    watched.report(self._executor.advance(key))

    def _take_new(self) -> None:
        try:
            while True:
                self._waiting.append(self._new.get_nowait())
        except Empty:
            pass
        self._waiting = [watched for watched in self._waiting if not self._started(watched)]

    def _started(self, watched: _Watched) -> bool:
        """Start a command; False while it waits for its GPU."""
        order = watched.order
        if not watched.wanted():
            watched.done.set_result(Ended(order.key, -1, "cancelled"))
            return True
        variables = self._gpus.take(order.key, order.device)
        if variables is None:
            return False
        order = replace(order, environment={**order.environment, **variables})
        try:
            self._executor.submit(order)
        except OSError as error:
            self._gpus.give_back(order.key)
            watched.done.set_exception(error)
        else:
            self._running[order.key] = watched
        return True


def agent(gpus: int) -> Agent:
    """Return the agent of this process; it is made when it is first needed."""
    with _making:  # two first orders at once must not get an agent each, which would give one GPU twice
        return _agent_of(os.getpid(), gpus)


@lru_cache(maxsize=1)
def _agent_of(pid: int, gpus: int) -> Agent:
    return Agent(gpus)
