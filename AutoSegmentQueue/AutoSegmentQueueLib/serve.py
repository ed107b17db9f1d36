"""The queue in one process: intake and retention in a thread, workers in the main one."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from DicomWorkbenchLib.errors import OutputError, ProcessError, WorkbenchError
from DicomWorkbenchLib.progress import CancelToken

from AutoSegmentQueueLib.failpoints import reach
from AutoSegmentQueueLib.home import Home, Lock
from AutoSegmentQueueLib.intake import Intake
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.publish import drop_all_stages
from AutoSegmentQueueLib.retention import Retention
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.worker import Worker, remove_stale_folders

FIRST_LOOK_SECONDS = 0.05
BUSY_SHARE = 20  # looking at a large folder in which nothing happens may take this part of the time
LONGEST_PAUSE_SECONDS = 5.0


class IntakeLoop:
    """Looks at the input folder until stopped: at once after a change was noticed, otherwise every now and then."""

    def __init__(
        self,
        intake: Intake,
        retention: Retention,
        settings: QueueSettings,
        wake: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        self._intake = intake
        self._retention = retention
        self._settings = settings
        self._wake = wake
        self._tell = tell
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="intake")
        self.problem = ""

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    def notice(self) -> None:
        """Say that something has changed."""
        self._changed.set()

    def stop(self) -> None:
        """Stop and wait for the current look to end."""
        self._stop.set()
        self._changed.set()
        self._thread.join()

    @property
    def is_alive(self) -> bool:
        """False once the thread has ended, by `stop` or by an error nobody expected."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._until_stopped()
        finally:
            self._wake()

    def _until_stopped(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            self._look()
            took = time.monotonic() - began
            self._changed.wait(self._pause(took))
            self._changed.clear()
            self._stop.wait(min(FIRST_LOOK_SECONDS, self._settings.rescan_seconds))  # a burst of notices is one look

    def _look(self) -> None:
        try:
            if self._intake.look():
                self._wake()
            self._retention.sweep()
            self._say("")
        except (WorkbenchError, OSError) as error:  # a full disk, a network folder that is away: it is tried again
            self._say(str(error))

    def _pause(self, took: float) -> float:
        pause = self._settings.rescan_seconds
        if self._intake.waiting:  # a file is to be taken soon after it has become quiet
            return max(min(pause, max(self._settings.stable_seconds / 8, 0.05), 0.25), took)
        return max(pause, min(took * BUSY_SHARE, LONGEST_PAUSE_SECONDS))

    def _say(self, problem: str) -> None:
        if problem and problem != self.problem:
            self._tell(f"intake: {problem}")
        self.problem = problem


@contextlib.contextmanager
def watching(folder: Any, notice: Callable[[], None]) -> Iterator[bool]:
    """Call ``notice`` when something changes in a folder, if watchdog is installed and can watch it; gives whether it can."""
    try:
        from watchdog.events import FileSystemEventHandler
        from watchdog.observers import Observer
    except ImportError:
        yield False
        return

    class _Handler(FileSystemEventHandler):
        def on_any_event(self, event: Any) -> None:
            if event.event_type not in ("opened", "closed_no_write"):  # those are ours: looking is no change
                notice()

    observer = Observer()
    try:
        observer.schedule(_Handler(), str(folder), recursive=True)
        observer.start()
    except OSError:  # no watches left, or a file system without them: rescans do it alone
        yield False
        return
    try:
        yield True
    finally:
        observer.stop()
        observer.join()


def serve_lock(home: Home) -> Lock:
    """Return the lock that whoever serves a home holds."""
    return Lock(home.root / "serve.lock", f"{home.root} is being served already by another process")


def serve(
    home: Home,
    settings: QueueSettings,
    ledger: Ledger,
    cancel: CancelToken,
    ready: Callable[[], None],
    tell: Callable[[str], None],
) -> None:
    """Run intake and workers until cancelled; ``ready`` is called when both run, ``tell`` with what is wrong.

    Raises
    ------
    BusyError : this home is being served already.
    OutputError : a folder cannot be made.
    """
    with serve_lock(home):
        intake = Intake(home, settings, ledger, cancel=cancel)
        try:
            intake.folder.mkdir(parents=True, exist_ok=True)
            home.output_of(settings).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{error.filename} cannot be made: {error.strerror}") from error
        worker = Worker(home, settings, ledger)
        remove_stale_folders(home, ledger)
        drop_all_stages(ledger, home.output_of(settings))
        loop = IntakeLoop(intake, Retention(home, settings, ledger), settings, worker.executor.wake, tell)
        with watching(intake.folder, loop.notice):
            loop.start()
            reach("serve.ready")
            ready()
            try:
                worker.run(cancel, until=lambda: not loop.is_alive)
                if not loop.is_alive:
                    raise ProcessError(
                        "intake has ended by an error (above); the queue stops rather than go on without it"
                    )
            finally:
                loop.stop()
                worker.close()
