"""Free ports of this machine."""

from __future__ import annotations

import socket
from contextlib import ExitStack


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Several ports, all different: they are held until all are found."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
