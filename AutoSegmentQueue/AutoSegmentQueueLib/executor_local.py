"""Runs orders as child processes of this one, each in its own process group, in a number of slots per device.

Nothing survives: a child's whole group ends with it, at its deadline, on cancel, and with this process, even if that is killed: on Linux
the kernel ends the child itself (PDEATHSIG), on POSIX a small guard process ends the groups, on Windows a job object does.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from DicomWorkbenchLib.process import TERM_SECONDS, child_environment, own_group

from AutoSegmentQueueLib import executor_guard
from AutoSegmentQueueLib.executor import ANY_DEVICE, JOB_MARK, WORKER_MARK, Advance, Ended, Order
from AutoSegmentQueueLib.failpoints import VARIABLE

ADVANCE_SECONDS = 0.2  # how often a child's progress is read
TICK_SECONDS = 0.02  # where the end of a child cannot be waited for
SHORT_SECONDS = (
    2.0  # in this time the numbers of processes cannot go round once: what a child has started has a higher one
)
_LONGEST_LINE = 4096


@dataclass
class _Child:
    order: Order
    process: subprocess.Popen[bytes]
    began: float
    deadline: float
    descriptor: int | None  # Linux: becomes readable when the child ends
    ending: str = ""  # why it is being ended
    kill_at: float = float("inf")
    advance: Advance = field(default_factory=Advance)
    read_to: int = 0
    read_next: float = 0.0


class LocalExecutor:
    """Child processes of this machine.

    Parameters
    ----------
    slots : how many at once on each device.

    Notes
    -----
    `submit` must be called from a thread that lives as long as the executor: Linux ends a child when the thread that started it ends.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._children: dict[str, _Child] = {}
        self._mark = uuid.uuid4().hex
        self._guard: subprocess.Popen[bytes] | None = None
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._tie, self._on_start = _tie_to_parent()
        self._job_object = _job_object()
        self._paths = child_environment()  # looks through folders; the same for all children

    def capacity(self) -> Mapping[str, int]:
        """Return the free slots of each device in use, and of any other under `ANY_DEVICE`."""
        used = [child.order.device for child in self._children.values()]
        return {ANY_DEVICE: self._slots, **{device: self._slots - used.count(device) for device in used}}

    def submit(self, order: Order) -> None:
        """Start a command.

        Raises
        ------
        OSError : it cannot be started.
        """
        environment = {**os.environ, **self._paths, **order.environment, "PYTHONUNBUFFERED": "1"}
        environment |= {JOB_MARK: order.key, WORKER_MARK: self._mark}
        environment.pop(VARIABLE, None)
        if self._tie and not shutil.which(order.arguments[0]):  # what ties it could be started all the same
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), order.arguments[0])
        self._ensure_guard()
        with open(order.stdout, "wb") as out, open(order.stderr, "ab") as err:
            process = subprocess.Popen(
                (*self._tie, *order.arguments),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
                cwd=order.folder,
                preexec_fn=self._on_start,
                **own_group(),
            )
        self._tell_guard("+", process.pid)
        if self._job_object:
            self._job_object(process)
        now = time.monotonic()
        child = _Child(order, process, now, now + order.deadline_seconds, _descriptor(process.pid))
        self._children[order.key] = child

    def poll(self) -> list[Ended]:
        """Return the commands that have ended; what is left of their groups is ended here."""
        now, ended = time.monotonic(), []
        for key, child in list(self._children.items()):
            code = child.process.poll()
            if code is not None:
                del self._children[key]
                self._clear(child)
                ended.append(Ended(key, code, child.ending))
            elif now >= child.deadline and not child.ending:
                self._begin_end(child, "deadline")
            elif now >= child.kill_at:
                self._signal(child, force=True)
        return ended

    def advance(self, key: str) -> Advance:
        """Return how far a command is, by the last whole line of its stdout."""
        child = self._children.get(key)
        if child is None:
            return Advance()
        if time.monotonic() >= child.read_next:
            child.read_next = time.monotonic() + ADVANCE_SECONDS
            _read_on(child)
        return child.advance

    def cancel(self, key: str) -> None:
        """Begin to end a command: politely, after `TERM_SECONDS` by force."""
        child = self._children.get(key)
        if child and not child.ending:
            self._begin_end(child, "cancelled")

    def wait(self, seconds: float) -> None:
        """Return when a command has ended, when woken, or after some time."""
        until = [child.kill_at for child in self._children.values()]
        until += [child.deadline for child in self._children.values() if not child.ending]
        seconds = max(0.0, min([seconds, *(moment - time.monotonic() for moment in until)]))
        descriptors = [child.descriptor for child in self._children.values()]
        if None in descriptors:
            seconds = min(seconds, TICK_SECONDS)
        known: list[Any] = [one for one in descriptors if one is not None]
        readable, _, _ = select.select([self._woken, *known], [], [], seconds)
        if self._woken in readable:
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)

    def wake(self) -> None:
        """End a `wait` from another thread."""
        with contextlib.suppress(OSError):  # full: it is awake already; closed: nobody waits
            self._waker.send(b"\0")

    def close(self) -> None:
        """End everything at once and the guard with it."""
        for child in self._children.values():
            self._signal(child, force=True)
            child.process.wait()
            self._clear(child)
        self._children.clear()
        if self._guard and self._guard.stdin:
            with contextlib.suppress(OSError):
                self._guard.stdin.close()
            self._guard.wait()
        self._woken.close()
        self._waker.close()

    def _begin_end(self, child: _Child, why: str) -> None:
        child.ending = why
        child.kill_at = time.monotonic() + TERM_SECONDS
        self._signal(child, force=False)

    def _signal(self, child: _Child, *, force: bool) -> None:
        if os.name == "nt":
            flags = ["/F"] if force else []
            subprocess.run(["taskkill", "/T", *flags, "/PID", str(child.process.pid)], capture_output=True, check=False)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.process.pid, signal.SIGKILL if force else signal.SIGTERM)

    def _clear(self, child: _Child) -> None:
        """End what a child left in its group and outside of it."""
        self._signal(child, force=True)
        first = child.process.pid if time.monotonic() - child.began < SHORT_SECONDS else 0
        executor_guard.end_marked(f"{JOB_MARK}={child.order.key}", first)
        self._tell_guard("-", child.process.pid)
        if child.descriptor is not None:
            os.close(child.descriptor)

    def _ensure_guard(self) -> None:
        if os.name != "posix" or (self._guard and self._guard.poll() is None):
            return
        command = [sys.executable, "-I", "-S", str(Path(executor_guard.__file__)), self._mark]
        if self._guard and self._guard.stdin:
            with contextlib.suppress(OSError):
                self._guard.stdin.close()
        self._guard = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, **own_group())
        for child in self._children.values():
            self._tell_guard("+", child.process.pid)

    def _tell_guard(self, sign: str, group: int) -> None:
        if self._guard and self._guard.stdin:
            with contextlib.suppress(OSError):  # it was killed; the next child gets a new one
                _send(self._guard.stdin, f"{sign}{group}\n")


def _send(pipe: IO[bytes], text: str) -> None:
    pipe.write(text.encode())
    pipe.flush()


def _read_on(child: _Child) -> None:
    lines: list[bytes] = []
    with contextlib.suppress(OSError), open(child.order.stdout, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(child.read_to, size - _LONGEST_LINE))
        lines = file.read().split(b"\n")
        child.read_to = size - len(lines[-1])
    for line in reversed(lines[:-1]):
        found = _advance_of(line)
        if found:
            child.advance = found
            return


def _advance_of(line: bytes) -> Advance | None:
    try:
        data = json.loads(line)
        done, total = float(data["done"]), float(data["total"])
        return Advance(min(max(done / total, 0.0), 1.0) if total > 0 else 0.0, str(data["stage"])[:200])
    except (ValueError, TypeError, KeyError):
        return None


def _descriptor(pid: int) -> int | None:
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # an old kernel, or a sandbox without it
        return None


def _tie_to_parent() -> tuple[tuple[str, ...], Callable[[], None] | None]:
    """Return what makes the kernel end a child with its parent (Linux only): a program put before it, or what it does before exec.

    Notes
    -----
    With a function between fork and exec, Python has to copy its own page tables for each child (fork instead of vfork: 4 ms instead of
    1 ms for a worker of 25 MB). The program setpriv of util-linux does the same without.

    References
    ----------
    prctl(2), PR_SET_PDEATHSIG; kept over exec, cleared for what the child starts, which the guard takes care of.
    """
    if sys.platform != "linux":
        return (), None
    tie = ("setpriv", "--pdeathsig", "KILL")
    if shutil.which(tie[0]) and not subprocess.run([*tie, "true"], capture_output=True, check=False).returncode:
        return tie, None  # other programs of that name (busybox) do not know the option
    return (), _die_with_parent()


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    import ctypes

    prctl, kill, parent = ctypes.CDLL(None).prctl, int(signal.SIGKILL), os.getpid()

    def on_start() -> None:  # nothing but two system calls: other threads may have held any lock at the fork
        prctl(1, kill, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return on_start


def _job_object() -> Callable[[subprocess.Popen[bytes]], None] | None:
    """Return what puts a child into a job object that ends with this process (Windows only)."""
    if sys.platform == "win32":
        from AutoSegmentQueueLib.executor_windows import JobObject

        return JobObject().add
    return None
