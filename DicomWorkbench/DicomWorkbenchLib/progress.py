"""Progress and cancellation: one call shape for terminals, panels and child processes.

A progress callable takes ``(done, total, message)``; ``total`` 0 means "not known". A cancel token is asked between two pieces of
work, none of which may take longer than a second.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from DicomWorkbenchLib.errors import Cancelled

Progress = Callable[[int, int, str], None]

REFRESH_SECONDS = 0.1  # a person sees no more than ten updates a second, and a pipe should not carry more


def no_progress(done: int, total: int, message: str) -> None:
    """Report to nobody."""


class CancelToken:
    """A switch that one thread or signal handler turns and the work looks at; turned once, it stays so."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """True once somebody asked."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise `Cancelled` if somebody asked."""
        if self._event.is_set():
            raise Cancelled

    def wait(self, seconds: float) -> bool:
        """Sleep, but wake at once when cancelled; returns whether it was."""
        return self._event.wait(seconds)


class Never(CancelToken):
    """The token of work that nobody can stop: `cancel` has no effect, so the one shared instance is safe."""

    def cancel(self) -> None:
        """Do nothing."""


NEVER = Never()


def part_of(progress: Progress, first: int, last: int, total: int = 100) -> Progress:
    """Show a stage that knows only itself as the stretch ``first..last`` of a whole of ``total``.

    Examples
    --------
    >>> scan(folder, progress=part_of(progress, 0, 30)); write(..., progress=part_of(progress, 30, 100))
    """

    def report(done: int, of: int, message: str) -> None:
        share = done / of if of else 0.0
        progress(first + round((last - first) * min(max(share, 0.0), 1.0)), total, message)

    return report


def throttled(progress: Progress, seconds: float = REFRESH_SECONDS) -> Progress:
    """Pass on at most one report per ``seconds``; a new message and the last step always go through."""
    last_time = 0.0
    last_message: str | None = None

    def report(done: int, total: int, message: str) -> None:
        nonlocal last_time, last_message
        now = time.monotonic()
        if message == last_message and done != total and now - last_time < seconds:
            return
        last_time, last_message = now, message
        progress(done, total, message)

    return report


def json_lines_progress(stream: TextIO | None = None) -> Progress:
    """Write ``{"stage": message, "done": n, "total": m}`` lines, for a process that is watched by another one."""

    def report(done: int, total: int, message: str) -> None:
        out = stream or sys.stdout
        out.write(json.dumps({"stage": message, "done": done, "total": total}) + "\n")
        out.flush()

    return throttled(report)


@contextmanager
def terminal_progress() -> Iterator[Progress]:
    """Draw a progress bar on stderr while the block runs; silent where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console  # imported here: it costs a tenth of a second
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn("{task.description:<32}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield throttled(
            lambda done, total, message: bar.update(task, completed=done, total=total or None, description=message)
        )
