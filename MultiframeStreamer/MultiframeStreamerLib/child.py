"""A sub-command of ours as a panel runs it: a child process whose JSON lines arrive in the panel's own thread.

The panel gives the launcher (``slicer.util.launchConsoleProcess``), so that this file needs neither Slicer nor Qt.
"""

from __future__ import annotations

import json
import subprocess
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from DicomWorkbenchLib.process import child_environment, workbench_command

Launcher = Callable[..., subprocess.Popen[str]]
_LAST_LINES = 20
_PATIENCE_SECONDS = 2.0


class CommandChild:
    """One run of ``dicom-workbench stream ...``; at most one at a time.

    Parameters
    ----------
    launch : ``slicer.util.launchConsoleProcess``.
    on_message : called with every JSON object the child writes.
    on_end : called with "" when it ended as it should or was stopped, else with a sentence for the user.
    """

    def __init__(
        self, launch: Launcher, on_message: Callable[[dict[str, Any]], None], on_end: Callable[[str], None]
    ) -> None:
        self._launch, self._on_message, self._on_end = launch, on_message, on_end
        self._child: subprocess.Popen[str] | None = None
        self._said: deque[str] = deque(maxlen=_LAST_LINES)
        self._stopped = False

    @property
    def running(self) -> bool:
        """True from `start` until `on_end` was called."""
        return self._child is not None

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        """Start ``stream`` with these arguments; returns at once."""
        if self.running:
            return
        self._said.clear()
        self._stopped = False
        self._child = self._launch(
            workbench_command("stream", *arguments, "--progress", "json"),
            updateEnvironment={**child_environment(), "PYTHONUNBUFFERED": "1", **(environment or {})},
            blocking=False,
            logCallback=self._line,
            completedCallback=self._completed,
        )

    def stop(self) -> None:
        """Ask the child to end; returns at once, `on_end` follows. (It starts no processes of its own.)"""
        if self._child is not None:
            self._stopped = True
            self._child.terminate()

    def end(self) -> None:
        """End the child now, by force if it does not listen; for when the panel goes away."""
        child = self._child
        if child is not None:
            self.stop()
            try:
                child.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()

    def _line(self, line: str) -> None:
        text = line.strip()
        try:
            message = json.loads(text) if text.startswith("{") else None
        except ValueError:
            message = None
        if isinstance(message, dict):
            self._on_message(message)
        elif text:
            self._said.append(text.removeprefix("error: "))

    def _completed(self, exit_code: int) -> None:
        self._child = None
        ended_well = self._stopped or exit_code == 0
        self._on_end("" if ended_well else "\n".join(self._said) or f"The command ended with exit code {exit_code}.")
