"""Places where a test may kill, freeze or observe a process: every commit, fsync and rename of the queue passes one.

Off unless the environment variable ``WORKBENCH_QUEUE_FAILPOINT`` is set when the process starts:
``NAME:N:kill`` (SIGKILL at the N-th passage of NAME), ``NAME:N:stop`` (SIGSTOP) or ``record:FILE`` (append every name to a file).
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter

VARIABLE = "WORKBENCH_QUEUE_FAILPOINT"
_PLAN = os.environ.get(VARIABLE, "")
_passed: Counter[str] = Counter()
_lock = threading.Lock()
# Held while this process writes the ledger: its threads wait for each other here, which is fairer and quicker than SQLite's own waiting.
writing = threading.RLock()


def arm(plan: str) -> None:
    """Set the plan of this process, as the variable does; counting begins anew."""
    global _PLAN
    _PLAN = plan
    _passed.clear()


def reach(name: str) -> None:
    """Pass a named place; does nothing outside tests."""
    if _PLAN:
        _act(name)


def _act(name: str) -> None:
    first, _, rest = _PLAN.partition(":")
    if first == "record":
        with _lock, open(rest, "a", encoding="utf-8") as file:
            file.write(name + "\n")
        return
    number, _, action = rest.partition(":")
    with _lock:
        _passed[name] += 1
        hit = name == first and _passed[name] == int(number)
    if hit and os.name == "posix" and action == "stop":
        with (
            writing
        ):  # frozen between two transactions; one frozen inside a commit blocks everybody until it goes on or is killed
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(0.1)  # the threads do not all stop at the same instant
    elif hit and os.name == "posix":
        os.kill(os.getpid(), signal.SIGKILL)
    elif hit:
        os._exit(1)  # Windows has no signals; leaving at once runs no clean-up either
