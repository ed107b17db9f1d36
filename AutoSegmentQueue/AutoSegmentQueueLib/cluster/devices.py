"""Which GPU of a node a job gets: one to itself, and it sees no other."""

from __future__ import annotations

import os
from collections.abc import Mapping

VARIABLE = "CUDA_VISIBLE_DEVICES"


class Gpus:
    """The GPUs of this node.

    Parameters
    ----------
    count : how many jobs may use; if the node itself sees only some (Slurm sets the variable), it is of those.
    """

    def __init__(self, count: int) -> None:
        named = [one for one in os.environ.get(VARIABLE, "").split(",") if one.strip()]
        self._names = named[:count] or [str(index) for index in range(count)]
        self._taken: dict[int, str] = {}

    def take(self, key: str, device: str) -> Mapping[str, str] | None:
        """Return the variables for a job on ``device``, None while no GPU that fits is free.

        ``gpu`` gets any one and sees only that; ``gpu:N`` waits for the N-th and sees all, because it asks for it by number.
        """
        if not device.startswith("gpu"):
            return {}
        _, _, wanted = device.partition(":")
        fitting = [int(wanted)] if wanted else range(len(self._names))
        free = [index for index in fitting if index < len(self._names) and index not in self._taken]
        if not free:
            return None
        self._taken[free[0]] = key
        return {VARIABLE: ",".join(self._names)} if wanted else {VARIABLE: self._names[free[0]]}

    def give_back(self, key: str) -> None:
        """Say that a job has ended."""
        self._taken = {index: holder for index, holder in self._taken.items() if holder != key}
