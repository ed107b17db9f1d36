"""What every test of the project can use: real data, real programs, and no silent skips on the build machine."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

REQUIRE_ALL = os.environ.get("WORKBENCH_REQUIRE_ALL") == "1"


def _missing(need: str) -> str | None:
    """Say why ``need`` is not there: "data", "module:NAME" or the name of a program."""
    if need == "data":
        folder = os.environ.get("WORKBENCH_DATA", "")
        return None if folder and Path(folder).is_dir() else "WORKBENCH_DATA does not name the folder of real scans"
    if need.startswith("module:"):
        name = need.removeprefix("module:")
        return None if importlib.util.find_spec(name) else f"the Python package {name} is not installed"
    return None if shutil.which(need) else f"the program {need} is not installed"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what lacks a need, naming it; leave the long proofs to ``make prove``."""
    prove = "prove" in (config.getoption("markexpr") or "")
    for item in items:
        if item.get_closest_marker("prove") and not prove:
            item.add_marker(pytest.mark.skip(reason="long proof: make prove"))
        for marker in item.iter_markers("needs"):
            reasons = [reason for need in marker.args if (reason := _missing(need))]
            if reasons:
                item.add_marker(pytest.mark.skip(reason="; ".join(reasons)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a file in one process, for its fixtures; and those end to end, for their servers and what npm fetched."""
    from xdist.scheduler import LoadScopeScheduling

    class ByRoom(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "EndToEnd" if "EndToEnd/" in file else file

    return ByRoom(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where everything is said to be installed (WORKBENCH_REQUIRE_ALL=1)."""
    report = yield
    if REQUIRE_ALL and report.skipped and not item.get_closest_marker("prove") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although WORKBENCH_REQUIRE_ALL=1: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def workbench_data() -> Path:
    """Return the folder of real scans; use together with ``@pytest.mark.needs("data")``."""
    return Path(os.environ["WORKBENCH_DATA"])
