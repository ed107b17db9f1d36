"""The child process of ``panel_test``: pytest with the fixture ``panel``; outcomes go to a JSON file as they come.

python -m SlicerHost.child OUTCOMES.json NODEID...
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from SlicerHost import packaging_functions
from SlicerHost.answers import user
from SlicerHost.panel import Panel, open_module
from SlicerHost.testing import CHILD, ROOT


class HostPlugin:
    """Gives tests their panel and writes down how they fare."""

    def __init__(self, report: Path) -> None:
        self._report = report
        self._outcomes: dict[str, dict[str, str]] = {}

    def _write(self) -> None:
        self._report.write_text(json.dumps(self._outcomes), encoding="utf-8")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Say that this process got as far as its tests."""
        self._write()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Write the name down before the test can end the process."""
        self._outcomes[nodeid.rpartition("::")[2]] = {"outcome": "running", "text": ""}
        self._write()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst outcome of set-up, test and tear-down."""
        outcome = self._outcomes[report.nodeid.rpartition("::")[2]]
        if report.failed:
            outcome.update(outcome="failed", text=f"{outcome['text']}{report.longreprtext}\n{report.capstderr[-3000:]}")
        elif report.skipped:
            outcome.update(outcome="skipped", text=_reason(report))
        elif report.when == "call" and outcome["outcome"] == "running":
            outcome["outcome"] = "passed"
        self._write()

    @pytest.fixture
    def panel(self) -> Iterator[Panel]:
        """Open the panel in an empty scene; afterwards nothing may have gone wrong unnoticed."""
        module, _, main_window = os.environ[CHILD].partition("|")
        user.forget()
        packaging_functions.requests.clear()
        panel = open_module(module, main_window=main_window == "1")
        panel.slicer.app.userSettings().clear()
        panel.slicer.dicomDatabase._forget()
        panel.close_scene()
        yield panel
        panel.testing(True)
        panel.close()
        problems = panel.problems()
        panel.forget_problems()
        assert not problems, "the panel has problems:\n" + "\n".join(problems)


def _reason(report: pytest.TestReport) -> str:
    """Return why a test was skipped."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def main(arguments: list[str]) -> int:
    """Run the tests named on the command line."""
    report, *nodeids = arguments
    options: list[Any] = ["-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}", "-c", str(ROOT / "pyproject.toml")]
    return int(pytest.main([*options, *nodeids], plugins=[HostPlugin(Path(report))]))


def end_with_parent() -> None:
    """End this process and all it started when the test run that started it is gone (POSIX; it leads its own group)."""
    if os.name != "posix":
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with_parent()
    code = main(sys.argv[1:])
    from DicomWorkbenchLib.headless import shut_down

    shut_down()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # see SlicerHost.__main__
