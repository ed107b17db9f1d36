"""A workflow's job as a panel runs it: a child process whose lines arrive in the panel's own thread.

The panel gives the launcher (``slicer.util.launchConsoleProcess``), so that this file needs neither Slicer nor Qt.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.job import CANCELLED, DONE
from DicomWorkbenchLib.process import child_environment, end_group, job_command
from DicomWorkbenchLib.progress import Progress
from DicomWorkbenchLib.settings import to_json

Launcher = Callable[..., subprocess.Popen[str]]
_LAST_LINES = 20


class PanelJob:
    """One run of one job; at most one at a time.

    Parameters
    ----------
    launch : ``slicer.util.launchConsoleProcess``.
    on_progress : called with (done, total, message).
    on_done : called with the report as a dictionary.
    on_failed : called with a sentence for the user; empty after a cancel.
    on_message : called with every other JSON object the job writes, such as one finished item of a batch.
    """

    def __init__(
        self,
        launch: Launcher,
        on_progress: Progress,
        on_done: Callable[[dict[str, Any]], None],
        on_failed: Callable[[str], None],
        on_message: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._launch = launch
        self._on_progress = on_progress
        self._on_done = on_done
        self._on_failed = on_failed
        self._on_message = on_message
        self._child: subprocess.Popen[str] | None = None
        self._report: dict[str, Any] | None = None
        self._said: deque[str] = deque(maxlen=_LAST_LINES)
        self._cancelled = False
        self._settings_file: Path | None = None

    @property
    def running(self) -> bool:
        """True from `start` until one of the callbacks was called."""
        return self._child is not None

    def start(self, verb: str, settings: Any) -> None:
        """Start a workflow's job with its settings; returns at once."""
        if self.running:
            return
        self._report, self._cancelled = None, False
        self._said.clear()
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False, encoding="utf-8") as stream:
            json.dump(to_json(settings), stream)
        self._settings_file = Path(stream.name)
        self._child = self._launch(
            job_command(verb, self._settings_file),
            updateEnvironment={**child_environment(), "PYTHONUNBUFFERED": "1"},
            blocking=False,
            logCallback=self._line,
            completedCallback=self._completed,
        )

    def cancel(self) -> None:
        """End the child and everything it started; `on_failed` is called with no text."""
        if self._child is not None:
            self._cancelled = True
            end_group(self._child)

    def _line(self, line: str) -> None:
        text = line.strip()
        try:
            message = json.loads(text) if text.startswith("{") else None
        except ValueError:
            message = None
        if isinstance(message, dict) and "stage" in message:
            self._on_progress(int(message["done"]), int(message["total"]), str(message["stage"]))
        elif isinstance(message, dict) and "report" in message:
            self._report = message["report"]
        elif isinstance(message, dict) and self._on_message is not None:
            self._on_message(message)
        elif text:
            self._said.append(text.removeprefix("error: "))

    def _completed(self, exit_code: int) -> None:
        self._child = None
        if self._settings_file is not None:
            self._settings_file.unlink(missing_ok=True)
        if exit_code == DONE and self._report is not None:  # also where the cancel came too late
            self._on_done(self._report)
        elif self._cancelled or exit_code == CANCELLED:
            self._on_failed("")
        else:
            self._on_failed("\n".join(self._said) or f"The job ended with exit code {exit_code} and said nothing.")
