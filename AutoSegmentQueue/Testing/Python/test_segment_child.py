"""Programs the queue's job starts: they can work in however deep a folder."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest
from AutoSegmentQueueLib.engines import short_temporary
from AutoSegmentQueueLib.engines.child import ChildResult, run_child
from DicomWorkbenchLib.progress import CancelToken

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its pipes have no files")
# What nnU-Net does at its start, and something left for the job to find.
TALKS = """
import multiprocessing, pathlib, tempfile
with multiprocessing.Manager() as manager:
    pathlib.Path(tempfile.gettempdir(), "said").write_text(str(manager.list([1, 2])))
print(tempfile.gettempdir())
"""


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a temporary folder whose name is too long for a socket, as a home in a deep folder makes it."""
    folder = tmp_path / "a home of somebody with a long name" / "results of the whole department" / "tmp"
    folder.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(folder))
    return folder


def talk(folder: Path) -> ChildResult:
    return run_child(
        [sys.executable, "-c", TALKS], environment={}, folder=folder, on_line=lambda line: None, cancel=CancelToken()
    )


def test_a_program_that_makes_sockets_runs_in_a_deep_folder_and_nothing_is_left_beside_it(deep: Path) -> None:
    result = talk(deep)
    assert result.exit_code == 0, result.reason
    assert (deep / "said").read_text() == "[1, 2]"
    assert not Path(result.lines[-1]).exists() and not Path(result.lines[-1]).is_relative_to(deep)


def test_a_short_folder_keeps_its_name(deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        monkeypatch.setenv("TMPDIR", short)
        assert talk(deep).lines[-1] == short


def test_links_of_killed_jobs_go_and_those_of_running_ones_stay(deep: Path, tmp_path: Path) -> None:
    killed, running = (Path(tempfile.mkdtemp(prefix="dicom-workbench-", dir="/tmp")) for _ in range(2))
    try:
        (killed / "tmp").symlink_to(tmp_path / "gone")
        (running / "tmp").symlink_to(tmp_path)
        with short_temporary.short_temporary() as variables:
            assert Path(variables["TMPDIR"]).resolve() == deep.resolve()
            assert not killed.exists() and running.exists()
    finally:
        (running / "tmp").unlink()
        running.rmdir()
