"""Tests of panels: written as ordinary pytest functions, run in a child process that is a stand-in for Slicer.

    from SlicerHost.testing import panel_test

    @panel_test("SphereVOI")
    def test_apply_waits_for_a_volume(panel):
        assert not panel.ui.applyButton.enabled

All tests of one file that open the same module share one child process; each gets a new panel and an empty scene. The
child runs pytest, so that assertions are explained and other fixtures (tmp_path, workbench_data) work as usual.
"""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHILD = "SLICER_HOST_CHILD"  # environment variable: the module of this child process
ROOT = Path(__file__).parents[2]
_NEEDS = pytest.mark.needs("module:PySide6", "module:slicer")
_GIVEN_BY_CHILD = frozenset({"panel"})
Outcomes = dict[str, dict[str, str]]
_outcomes: dict[tuple[Path, str], Outcomes] = {}


def panel_test(
    module: str | Path, *, main_window: bool = False, timeout_s: float = 60.0
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test function in a child process with the panel of ``module`` open; the function takes ``panel``.

    Parameters
    ----------
    module : name of a module of this checkout, or the path of a module file.
    main_window : with views; without, ``slicer.app.layoutManager()`` is None as with --no-main-window.
    timeout_s : for this test; the child is ended when all its tests together take longer than allowed.
    """
    kind = f"{module}|{int(main_window)}"

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        function._panel_kind = kind
        if CHILD in os.environ:
            return function
        return _seen_from_parent(function, kind, timeout_s)

    return decorate


def _seen_from_parent(function: Callable[..., None], kind: str, timeout_s: float) -> Callable[..., None]:
    """Return the test as the parent runs it: it asks the child how the function of that name fared."""

    def test(request: pytest.FixtureRequest, **_: Any) -> None:
        outcome = _outcomes_of(request, kind).get(request.node.name)
        if outcome is None:
            pytest.fail("the child process ended before it came to this test")
        if outcome["outcome"] == "skipped":
            pytest.skip(outcome["text"])
        if outcome["outcome"] != "passed":
            pytest.fail(outcome["text"], pytrace=False)

    others = [p for p in inspect.signature(function).parameters.values() if p.name not in _GIVEN_BY_CHILD]
    request = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    test.__signature__ = inspect.Signature([request, *(p for p in others if p.name != "request")])
    test.__name__, test.__doc__, test.__module__ = function.__name__, function.__doc__, function.__module__
    test._panel_kind, test._panel_timeout_s = kind, timeout_s
    test.pytestmark = [*getattr(function, "pytestmark", []), _NEEDS.mark]
    return test


def _outcomes_of(request: pytest.FixtureRequest, kind: str) -> Outcomes:
    """Run the child once for all chosen tests of this file and module."""
    path = Path(request.node.path)
    if (path, kind) not in _outcomes:
        chosen = [
            item
            for item in request.session.items
            if item.path == path and getattr(getattr(item, "function", None), "_panel_kind", None) == kind
        ]
        timeout = 30.0 + sum(item.function._panel_timeout_s for item in chosen)
        names = [item.nodeid.partition("::")[2] for item in chosen]
        _outcomes[path, kind] = _run_child(path, names, kind, timeout)
    return _outcomes[path, kind]


def child_environment(**extra: str) -> dict[str, str]:
    """Return the environment of a host process: offscreen, the host and all modules importable as in Slicer."""
    folders = [str(ROOT / "Testing"), *(str(path.parent) for path in sorted(ROOT.glob("*/*.py")) if _is_module(path))]
    paths = [*folders, *filter(None, [os.environ.get("PYTHONPATH")])]
    offscreen = {"QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    return os.environ | offscreen | extra


def _is_module(path: Path) -> bool:
    return path.stem == path.parent.name


def _run_child(path: Path, names: list[str], kind: str, timeout: float) -> Outcomes:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "outcomes.json")
        command = [sys.executable, "-m", "SlicerHost.child", str(report), *(f"{path}::{name}" for name in names)]
        output = _finish(command, child_environment(**{CHILD: kind}), timeout)
        if not report.exists():
            pytest.fail(f"the child process for {kind} did not get to its tests:\n{output}", pytrace=False)
        outcomes: Outcomes = json.loads(report.read_text(encoding="utf-8"))
    for outcome in outcomes.values():
        if outcome["outcome"] == "running":
            outcome.update(outcome="failed", text=f"the child process ended during this test:\n{output}")
    return outcomes


def _finish(command: list[str], environment: dict[str, str], timeout: float) -> str:
    """Run a command to its end or for ``timeout`` seconds; return what it printed last."""
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # so that it can be ended with what it has started itself
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        output, _ = process.communicate()
        output += f"\nended after {timeout:g} s"
    return f"{output[-6000:]}\nexit code {process.returncode}"


def _end(process: subprocess.Popen[str]) -> None:
    """End a process, on POSIX with its whole group."""
    if os.name == "posix":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def run_panel(module: str | Path, *options: str, timeout_s: float = 60.0) -> str:
    """Run ``python -m SlicerHost module options...``; return what it printed; AssertionError where it fails."""
    command = [sys.executable, "-m", "SlicerHost", str(module), *options]
    output = _finish(command, child_environment(), timeout_s)
    if not output.endswith("exit code 0"):
        raise AssertionError(output)
    return output
