"""What carries the work: one small interface, and the executor of this machine behind it.

The ledger decides, an executor only runs commands. Another one (several machines) offers the same four calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

# Every process of a job carries these in its environment, also one that has left the job's process group.
JOB_MARK = "WORKBENCH_QUEUE_JOB"
WORKER_MARK = "WORKBENCH_QUEUE_WORKER"
ANY_DEVICE = "*"


@dataclass(frozen=True)
class Order:
    """A command that is to be run.

    Attributes
    ----------
    key : job and fence; no two orders ever share one.
    arguments, environment, folder : program, variables added to ours, working folder.
    stdout, stderr : files its output goes to; stdout holds JSON lines of progress, stderr is appended.
    device : the device whose slot it takes.
    deadline_seconds : when it is ended.
    inputs : what it reads, for executors that have to bring it to another machine.
    memory_bytes : estimate of what it needs; 0: not known.
    """

    key: str
    arguments: tuple[str, ...]
    folder: Path
    stdout: Path
    stderr: Path
    device: str = "cpu"
    deadline_seconds: float = float("inf")
    environment: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Path, ...] = ()
    memory_bytes: int = 0


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes
    ----------
    why : empty, "cancelled", "deadline", "lost" (with its machine, or the way there) or "refused" (no machine can ever run it).
    note : more about that, for the log and the history.
    """

    key: str
    exit_code: int
    why: str = ""
    note: str = ""


@dataclass(frozen=True)
class Advance:
    """How far a command is, by its last line of progress."""

    fraction: float = 0.0
    stage: str = ""


class Executor(Protocol):
    """Runs orders; none of its calls waits for a command, except `wait`."""

    def capacity(self) -> Mapping[str, int]:
        """Return the free slots of each device in use, and of any other under `ANY_DEVICE`."""

    def submit(self, order: Order) -> None:
        """Start a command; `OSError` if it cannot be started."""

    def poll(self) -> list[Ended]:
        """Return the commands that have ended since the last call; nothing of them runs any more."""

    def advance(self, key: str) -> Advance:
        """Return how far a command is."""

    def cancel(self, key: str) -> None:
        """Begin to end a command and everything it started; `poll` reports it."""

    def wait(self, seconds: float) -> None:
        """Return when a command has ended, when `wake` was called, or after some time."""

    def wake(self) -> None:
        """End a `wait` from another thread."""

    def close(self) -> None:
        """End everything at once."""
