"""Runs orders on the nodes of a Dask cluster.

Dask carries, the ledger decides: an order is pinned to one node under a key of its own, never retried, and when that node or the way to
it is lost, the order is reported as lost; nobody but the ledger gives the job out again.
"""

from __future__ import annotations

import contextlib
import errno
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from DicomWorkbenchLib.process import TERM_SECONDS

from AutoSegmentQueueLib.cluster.fleet import Fleet, Placed
from AutoSegmentQueueLib.cluster.link import Link
from AutoSegmentQueueLib.cluster.node import LOST, RemoteOrder, remote_job
from AutoSegmentQueueLib.cluster.parcel import Parcel
from AutoSegmentQueueLib.executor import Advance, Ended, Order

CONFIRM_SECONDS = TERM_SECONDS + 5.0  # how long a node may take to end a cancelled command before it is not waited for
LATE_SECONDS = 5.0  # how long after Dask's word for an end its event may come


@dataclass
class _Flight:
    """An order on its way."""

    order: Order
    placed: Placed
    client: Any
    future: Any
    advance: Advance = field(default_factory=Advance)
    ending: str = ""
    give_up: float = float("inf")


class NoFiles:
    """Nothing has to be brought: the folders are shared."""

    def offer(self, order: Order) -> Parcel | None:
        """Make an order's files ready for its node."""
        return None

    def withdraw(self, key: str) -> None:
        """Let nobody fetch or return anything for an order any more."""

    def close(self) -> None:
        """End the service."""


class DaskExecutor:
    """Commands on the nodes of a cluster.

    Parameters
    ----------
    address : of the scheduler.
    security : Dask's ``Security`` for TLS, or None.
    lost_seconds : silence after which a node, or the scheduler, counts as lost.
    paths : pairs of a path here and the same on the nodes.
    files : how files get to the nodes.
    closing : called at the end, such as to end a cluster that was started for this executor.
    """

    def __init__(
        self,
        address: str,
        *,
        security: Any = None,
        lost_seconds: float = 30.0,
        paths: tuple[tuple[str, str], ...] = (),
        files: Any = None,
        closing: Callable[[], object] = lambda: None,
    ) -> None:
        self._lost_seconds = lost_seconds
        self._paths = paths
        self._files = files or NoFiles()
        self._closing = closing
        self._flights: dict[str, _Flight] = {}
        self._events: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._news = threading.Event()
        self._fleet = Fleet(lost_seconds)
        self._listed = time.monotonic()
        self._topic = f"workbench-{uuid.uuid4().hex}"
        self.link = Link(address, security, self._topic, self._on_event, self._on_nodes, lost_seconds)

    def capacity(self) -> Mapping[str, int]:
        """Return the free slots of each device on all nodes; none while there is no connection."""
        fleet = self._fleet if self._is_connected() else Fleet(0.0)
        return fleet.capacity(self._placed())

    def submit(self, order: Order) -> None:
        """Give a command to a node.

        Raises
        ------
        OSError : there is no connection, or no node with a free slot for it.
        """
        client, node = self.link.client, self._fleet.place(order, self._placed())
        if client is None or node is None:
            raise OSError(errno.EAGAIN, f"no node of the cluster has a free slot on {order.device}")
        parcel = self._files.offer(order)
        demand = node.demand(order)
        try:
            future = client.submit(
                remote_job,
                self._remote(order, parcel),
                key=order.key,
                workers=[node.address],
                allow_other_workers=False,
                resources=demand,
                retries=0,
                pure=False,
            )
        except (RuntimeError, ValueError) as error:  # the connection has just been closed
            self._files.withdraw(order.key)
            raise OSError(errno.ENOTCONN, "the connection to the scheduler broke") from error
        placed = Placed(node.address, order.device, demand.get("MEMORY", 0.0))
        self._flights[order.key] = _Flight(order, placed, client, future)
        future.add_done_callback(lambda _: self._news.set())

    def poll(self) -> list[Ended]:
        """Return the commands that have ended, were ended, or are lost."""
        ended = self._heard()
        for key, flight in list(self._flights.items()):
            verdict = self._judged(key, flight)
            if verdict is not None:
                ended.append(verdict)
                self._land(key, cancel=True)
        return ended

    def advance(self, key: str) -> Advance:
        """Return how far a command is, by what its node told last."""
        flight = self._flights.get(key)
        return flight.advance if flight else Advance()

    def cancel(self, key: str) -> None:
        """Begin to end a command: its node ends the process group as soon as the scheduler has told it."""
        flight = self._flights.get(key)
        if flight and not flight.ending:
            flight.ending, flight.give_up = "cancelled", time.monotonic() + CONFIRM_SECONDS
            self._files.withdraw(key)
            _drop(flight)

    def wait(self, seconds: float) -> None:
        """Return when something was heard, when woken, or after some time."""
        self._news.wait(seconds)
        self._news.clear()

    def wake(self) -> None:
        """End a `wait` from another thread."""
        self._news.set()

    def close(self) -> None:
        """End everything and the connection."""
        for key in list(self._flights):
            self._land(key, cancel=True)
        self.link.close()
        self._files.close()
        self._closing()

    def _remote(self, order: Order, parcel: Parcel | None) -> RemoteOrder:
        return RemoteOrder(
            key=order.key,
            arguments=order.arguments,
            folder=str(order.folder),
            stdout=str(order.stdout),
            stderr=str(order.stderr),
            device=order.device,
            deadline_seconds=order.deadline_seconds,
            environment=dict(order.environment),
            python=sys.executable,
            paths=self._paths,
            topic=self._topic,
            parcel=parcel,
        )

    def _placed(self) -> list[Placed]:
        return [flight.placed for flight in self._flights.values()]

    def _is_connected(self) -> bool:
        return self.link.client is not None and time.monotonic() - self._listed < self._lost_seconds

    def _on_nodes(self, workers: Mapping[str, Any]) -> None:
        self._fleet.update(workers)
        self._listed = time.monotonic()
        if not self._flights:
            self._news.set()

    def _on_event(self, event: dict[str, Any]) -> None:
        self._events.put(event)
        if event.get("ended"):
            self._news.set()

    def _heard(self) -> list[Ended]:
        """Take what the nodes have told; returns the ends among it."""
        ended = []
        with contextlib.suppress(Empty):
            while True:
                event = self._events.get_nowait()
                flight = self._flights.get(event["key"])
                if flight is None:
                    continue  # of an order that was given up
                if event.get("ended"):
                    ended.append(_ended(event, flight))
                    self._land(event["key"])
                else:
                    flight.advance = Advance(float(event["fraction"]), str(event["stage"])[:200])
        return ended

    def _judged(self, key: str, flight: _Flight) -> Ended | None:
        """Say whether an order that its node has not reported as ended is over all the same."""
        now = time.monotonic()
        why = ""
        if flight.client is not self.link.client:
            why = "the connection to the scheduler was lost"
        elif now - self._listed > self._lost_seconds:
            why = "the scheduler does not answer"
        elif not self._fleet.is_alive(flight.placed.node):
            why = "its node was lost"
        elif now > flight.give_up:
            why = "its node did not say how it ended"
        if why:
            return Ended(key, -1, flight.ending or LOST, why)
        if flight.future.done() and not flight.ending and flight.give_up == float("inf"):
            if flight.future.status != "finished":  # its code cannot be loaded there, or somebody else cancelled it
                return Ended(key, -1, LOST, f"Dask ended it: {_said(flight.future)}")
            flight.give_up = now + LATE_SECONDS
        return None

    def _land(self, key: str, *, cancel: bool = False) -> None:
        flight = self._flights.pop(key)
        self._files.withdraw(key)
        if cancel:
            _drop(flight)


def _ended(event: Mapping[str, Any], flight: _Flight) -> Ended:
    why = str(event["why"])
    if flight.ending:
        why = flight.ending
    elif why == "cancelled":  # nobody here asked for it: the node has lost its scheduler, or is being stopped
        why = LOST
    return Ended(str(event["key"]), int(event["exit_code"]), why, str(event["note"]))


def _drop(flight: _Flight) -> None:
    with contextlib.suppress(OSError, RuntimeError, TimeoutError):  # without a connection there is nobody to tell
        if flight.client.status == "running":
            flight.client.cancel([flight.future], force=True)


def _said(future: Any) -> str:
    try:
        error = future.exception(timeout=2.0) if future.status == "error" else None
    except (OSError, TimeoutError, RuntimeError):
        error = None
    return f"{type(error).__name__}: {error}"[:300] if error else str(future.status)
