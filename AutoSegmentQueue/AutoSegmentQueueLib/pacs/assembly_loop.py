"""The assembler beside the workers: a thread that looks now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from DicomWorkbenchLib.errors import WorkbenchError

from AutoSegmentQueueLib.home import Home, Lock
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.pacs.assembler import Assembler
from AutoSegmentQueueLib.settings import QueueSettings

LOOK_SECONDS = 1.0


def assembler_lock(home: Home) -> Lock:
    """Return the lock of whoever assembles series in a home."""
    return Lock(home.root / "received.lock", "received series are being assembled already by another process")


@contextmanager
def assembling(home: Home, settings: QueueSettings, tell: Callable[[str], None]) -> Iterator[None]:
    """Assemble received series while the block runs.

    Raises
    ------
    BusyError : another process does it.
    """
    stop = threading.Event()
    with assembler_lock(home):
        thread = threading.Thread(target=_run, args=(home, settings, tell, stop), name="assembler")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _run(home: Home, settings: QueueSettings, tell: Callable[[str], None], stop: threading.Event) -> None:
    ledger = Ledger(home.ledger)
    assembler = Assembler(home, settings, ledger, tell)
    pause, said = min(LOOK_SECONDS, max(settings.dicom.quiet_seconds / 8, 0.05)), ""
    try:
        while not stop.wait(pause):
            problem = ""
            try:
                assembler.look()
            except (WorkbenchError, OSError, ValueError) as error:  # a full disk: it is tried again
                problem = f"received series: {error}"
            if problem and problem != said:
                tell(problem)
            said = problem
    finally:
        ledger.close()
