"""The nodes of a cluster as their scheduler lists them, and which of them takes the next order."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from AutoSegmentQueueLib.executor import ANY_DEVICE, Order

CPU, GPU, MEMORY = "CPU", "GPU", "MEMORY"
MOST_GPUS = 16  # of one node; for jobs that name a GPU by its number


@dataclass(frozen=True)
class ClusterNode:
    """One node.

    Attributes
    ----------
    resources : what it announces: ``CPU`` and ``GPU`` slots, ``MEMORY`` in bytes.
    threads : slots of a node that announces none, such as one started with ``dask worker``.
    seen : the scheduler's time stamp of its last heartbeat.
    fresh : our monotonic clock when that stamp last changed.
    """

    address: str
    resources: Mapping[str, float]
    threads: int
    seen: float
    fresh: float

    def slots(self, device: str) -> int:
        """Return how many jobs it takes at once on a device."""
        if device.startswith("gpu"):
            gpus = int(self.resources.get(GPU, 0))
            number = device.partition(":")[2]
            return gpus if not number else int(int(number) < gpus)
        return int(self.resources.get(CPU, self.threads))

    def demand(self, order: Order) -> dict[str, float]:
        """Return the resources an order takes; one that asks for more memory than there is takes all of it."""
        kind = GPU if order.device.startswith("gpu") else CPU
        wanted = {kind: 1.0, MEMORY: min(float(order.memory_bytes), self.resources.get(MEMORY, 0.0))}
        return {name: amount for name, amount in wanted.items() if amount and name in self.resources}


@dataclass(frozen=True)
class Placed:
    """An order that is with a node."""

    node: str
    device: str
    memory_bytes: float


class Fleet:
    """The nodes that are known.

    Parameters
    ----------
    lost_seconds : a node whose heartbeat has not changed for this long is not used, and what it has is lost.
    """

    def __init__(self, lost_seconds: float) -> None:
        self._lost_seconds = lost_seconds
        self._nodes: dict[str, ClusterNode] = {}

    def update(self, workers: Mapping[str, Any]) -> None:
        """Take the scheduler's list of its workers."""
        now = time.monotonic()
        nodes = {}
        for address, one in workers.items():
            if one.get("status") != "running":
                continue
            before, seen = self._nodes.get(address), float(one["last_seen"])
            fresh = before.fresh if before and before.seen == seen else now
            nodes[address] = ClusterNode(address, dict(one["resources"]), int(one["nthreads"]), seen, fresh)
        self._nodes = nodes

    def is_alive(self, address: str) -> bool:
        """True for a node that is in the list and was heard of lately."""
        node = self._nodes.get(address)
        return node is not None and time.monotonic() - node.fresh < self._lost_seconds

    def capacity(self, placed: Iterable[Placed]) -> dict[str, int]:
        """Return the free slots of every device a job may ask for."""
        known = list(placed)
        devices = ["cpu", "gpu", *(f"gpu:{number}" for number in range(MOST_GPUS))]
        free = {device: sum(self._free(node, device, known) for node in self._alive()) for device in devices}
        return {ANY_DEVICE: 0, **free}

    def place(self, order: Order, placed: Iterable[Placed]) -> ClusterNode | None:
        """Return the node with most free slots for an order, and among those with most free memory; None without one."""
        known = list(placed)
        fitting = [node for node in self._alive() if self._free(node, order.device, known) > 0]
        return max(
            fitting,
            key=lambda node: (
                _free_memory(node, known) >= order.memory_bytes,
                self._free(node, order.device, known),
                _free_memory(node, known),
            ),
            default=None,
        )

    def _alive(self) -> list[ClusterNode]:
        return [node for node in self._nodes.values() if self.is_alive(node.address)]

    def _free(self, node: ClusterNode, device: str, placed: list[Placed]) -> int:
        mine = [one.device for one in placed if one.node == node.address]
        family = device.partition(":")[0]
        free = node.slots(family) - sum(one.partition(":")[0] == family for one in mine)
        return max(0, min(free, node.slots(device) - (mine.count(device) if ":" in device else 0)))


def _free_memory(node: ClusterNode, placed: list[Placed]) -> float:
    return node.resources.get(MEMORY, 0.0) - sum(one.memory_bytes for one in placed if one.node == node.address)
