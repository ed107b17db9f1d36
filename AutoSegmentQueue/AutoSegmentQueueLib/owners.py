"""Who holds a lease, whether that process still lives, and the clock that leases are measured with."""

from __future__ import annotations

import os
import socket
import time
import uuid
from pathlib import Path


def this_owner() -> str:
    """Return a name for this process that no other process ever has: host, process id, start mark, random part."""
    return "|".join((socket.gethostname(), str(os.getpid()), _start_mark(os.getpid()), uuid.uuid4().hex[:8]))


def surely_gone(owner: str) -> bool:
    """True if the process is known to have ended; False where that cannot be known (another host, macOS, Windows)."""
    parts = owner.split("|")
    if len(parts) != 4 or parts[0] != socket.gethostname() or not Path("/proc/self/stat").exists():
        return False  # then the lease runs out by itself
    return _start_mark(int(parts[1])) != parts[2]


def lease_clock() -> float:
    """Return seconds on the machine's monotonic clock, which all processes share and nobody can set.

    It starts again with the machine. A lease therefore counts from its start to its end: outside of both it has run out.
    """
    return time.monotonic()


def _start_mark(pid: int) -> str:
    # A process id is used again after a while; the start time from /proc tells two processes apart (Linux).
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return "unknown" if not Path("/proc/self/stat").exists() else "gone"
    return "gone" if fields[0] in ("Z", "X") else fields[19]
