"""The DICOM node as a process of its own: ``python -m AutoSegmentQueueLib.pacs.node_process HOME PORT``.

It says ``ready PORT`` on stdout, then one line for everything it refuses, and ends when its stdin is closed: so it never outlives who
started it, however that ended. Receiving has a Python of its own this way, and a caller that brings it down brings down nothing else.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from DicomWorkbenchLib.errors import WorkbenchError

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.pacs.node import Node

READY = "ready "
_writing = threading.Lock()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a node until stdin is closed; returns the exit code."""
    root, port = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; who started us ends us in order
    try:
        home = Home.open(Path(root))
        node = Node(home, home.load(), int(port), say)
        node.start()
    except WorkbenchError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    try:
        say(f"{READY}{node.port}")
        sys.stdin.read()
    finally:
        node.stop()
    return 0


def say(text: str) -> None:
    """Write one line to stdout, whole even from several threads."""
    with _writing:
        sys.stdout.write(text.replace("\n", " ") + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
