"""The demo's first step of the journey: the queue as a child, and a scan dropped into its input folder."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from subprocess import Popen
from typing import Any

from DicomWorkbenchLib.demo_server import running
from DicomWorkbenchLib.demo_step import Step, shown_command
from DicomWorkbenchLib.demo_steps import DROPPED, INBOX, QUEUE
from DicomWorkbenchLib.errors import ProcessError
from DicomWorkbenchLib.progress import CancelToken, Progress

_LOOK_SECONDS = 0.2
_READY = "ready:"  # how the line begins that `queue serve` writes once it watches


def drop_scan(step: Step, folder: Path, progress: Progress, cancel: CancelToken) -> dict[str, Any]:
    """Start the queue, copy a scan into its input folder, wait until it has left that, and end the queue.

    The queue takes an input out of its folder only when results are verified (or the input is refused).

    Raises
    ------
    ProcessError : the queue does not start, ends early, or refuses the scan.
    """
    with running(step, folder) as child:
        said = _until_ready(child, step)
        dropped = folder / INBOX / Path(DROPPED).name
        shutil.copytree(folder / DROPPED, dropped)
        while dropped.exists():
            cancel.check()
            if child.poll() is not None:
                raise ProcessError(f"{shown_command(step)} ended before the scan was segmented: {said[-1]}")
            progress(0, 1, step.title)
            time.sleep(_LOOK_SECONDS)
    reasons = sorted((folder / QUEUE / "failed").glob("*.reason.txt"))
    if reasons:
        raise ProcessError(f"{shown_command(step)} failed: {reasons[0].read_text(encoding='utf-8').splitlines()[0]}")
    return {}


def _until_ready(child: Popen[str], step: Step) -> list[str]:
    assert child.stdout is not None
    said = [""]
    for line in child.stdout:
        said.append(line.strip())
        if line.startswith(_READY):
            return said
    raise ProcessError(f"{shown_command(step)} does not start: {said[-1]}")
