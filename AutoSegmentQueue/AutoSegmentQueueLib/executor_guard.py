"""Ends the processes of a worker's jobs when the worker is gone, however it went; runs as a small process of its own.

Started as ``python -I -S executor_guard.py MARK``. Standard input tells which process groups are there ("+PGID", "-PGID"); its end means
that the worker has ended. This file is run by its path and imports nothing of ours.
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Listen until the worker is gone, then end what it left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the worker, which tidies up itself
    groups: set[int] = set()
    for line in sys.stdin:
        sign, number = line[0], int(line[1:])
        if sign == "+":
            groups.add(number)
        else:
            groups.discard(number)
    for group in groups:
        end_group(group)
    end_marked(f"WORKBENCH_QUEUE_WORKER={sys.argv[1]}")


def end_group(group: int) -> None:
    """Kill a process group (POSIX)."""
    if os.name == "posix":
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return


def marked(variable: str, first: int = 0) -> list[int]:
    """Return the processes that have ``NAME=value`` in their environment (Linux; elsewhere none can be found).

    Parameters
    ----------
    first : lower numbers are passed over, unless numbers have begun again at the bottom since that process was started.
    """
    wanted, found = variable.encode(), []
    try:
        numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
        if first and first <= _newest():
            numbers = [number for number in numbers if number >= first]
    except (OSError, ValueError, IndexError):
        return []
    for number in numbers:
        try:
            with open(f"/proc/{number}/environ", "rb") as file:
                variables = file.read()
        except OSError:  # ended meanwhile, or somebody else's
            continue
        if number != os.getpid() and wanted in variables.split(b"\0"):
            found.append(number)
    return found


def _newest() -> int:
    """Return the number of the process that was started last, 0 if the system does not say."""
    try:
        with open("/proc/loadavg", encoding="ascii") as file:
            return int(file.read().split()[-1])
    except OSError:
        return 0


def end_marked(variable: str, first: int = 0) -> int:
    """Kill those processes, and those they start meanwhile; returns how many there were."""
    count = 0
    for _ in range(3):
        found = marked(variable, first)
        for number in found:
            try:
                os.kill(number, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
                count += 1
            except (ProcessLookupError, PermissionError):
                continue
        if not found:
            break
    return count


if __name__ == "__main__":
    main()
