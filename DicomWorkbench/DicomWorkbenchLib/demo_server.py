"""A step of the demo that keeps running while the demo uses it: a server, as a child that ends with the step."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from DicomWorkbenchLib.demo_step import Step
from DicomWorkbenchLib.process import child_environment, end_group, own_group, workbench_command


@contextlib.contextmanager
def running(step: Step, folder: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Run a step's command in ``folder`` for as long as the block lasts; all it writes comes through its stdout.

    Parameters
    ----------
    more : arguments that are not shown on the page.
    """
    with subprocess.Popen(
        workbench_command(*step.arguments, *more),
        cwd=folder,
        env={**os.environ, **child_environment(), "PYTHONUNBUFFERED": "1"},
        text=True,
        encoding="utf-8",
        errors="replace",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **own_group(),
    ) as child:
        try:
            yield child
        finally:
            end_group(child)
