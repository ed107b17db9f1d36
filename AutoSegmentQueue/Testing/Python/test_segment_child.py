"""Programs the queue's job starts: they can work in however deep a folder."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from AutoSegmentQueueLib.engines import short_temporary
from AutoSegmentQueueLib.engines.child import ChildResult, run_child
from DicomWorkbenchLib.progress import CancelToken
from queue_testing import is_running

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


# A grandchild that outlives its parent and will not end politely; it writes its id.
LEAVES = """
import subprocess, sys
deaf = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True); time.sleep(60)"
subprocess.run([sys.executable, "-c", f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {deaf!r}])"])
import time; time.sleep(60)
"""
CANCELS = """
import sys, pathlib
from AutoSegmentQueueLib.engines.child import run_child
from DicomWorkbenchLib.progress import CancelToken
cancel = CancelToken()
def heard(line):
    print(line, flush=True)
    cancel.cancel()
run_child([sys.executable, "-c", sys.argv[1]], environment={}, folder=pathlib.Path(sys.argv[2]), on_line=heard, cancel=cancel)
"""


def test_what_a_cancelled_program_has_left_to_itself_ends_too(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CANCELS, LEAVES, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, start_new_session=True)
    assert "Cancelled" in done.stderr
    assert not is_running(int(done.stdout.split()[0]))


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
