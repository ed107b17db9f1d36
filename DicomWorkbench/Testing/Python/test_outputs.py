"""Outputs are complete or absent: errors, full disks, kills."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from DicomWorkbenchLib import outputs
from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.outputs import StagedFolder, clean_leftovers, free_name, write_atomically


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_folder_appears_complete_and_leaves_nothing_beside_it(tmp_path):
    target = tmp_path / "new" / "résultat"
    with StagedFolder(target) as stage:
        (stage / "a.txt").write_text("1")
        (stage / "sub").mkdir()
        (stage / "sub" / "b.txt").write_text("2")
        assert not target.exists()
    assert names(target.parent) == ["résultat"] and names(target) == ["a.txt", "sub"]


def test_every_file_is_brought_to_disk_once_also_one_that_was_complete_early(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("DicomWorkbenchLib.outputs.sync", lambda path: synced.append(path.name))
    folder = StagedFolder(tmp_path / "out")
    with folder as stage:
        (stage / "early").write_text("1")
        folder.complete(stage / "early")
        (stage / "gone").write_text("2")
        folder.complete(stage / "gone")
        (stage / "gone").unlink()
        (stage / "late").write_text("3")
    assert sorted(synced[:3]) == ["early", "gone", "late"]
    assert len(synced) == 5  # and the folder itself, and the one it lies in


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="half way"), StagedFolder(tmp_path / "out") as stage:
        (stage / "a.txt").write_text("1")
        raise ValueError("half way")
    assert names(tmp_path) == []


def test_an_existing_folder_is_never_touched(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="exists already"), StagedFolder(tmp_path / "out"):
        pass
    assert names(tmp_path) == ["out"]


def test_a_parent_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="file"), StagedFolder(tmp_path / "file" / "out"):
        pass


def test_free_names_count_up(tmp_path):
    assert free_name(tmp_path / "a.txt") == tmp_path / "a.txt"
    (tmp_path / "a.txt").touch()
    (tmp_path / "a_2.txt").touch()
    assert free_name(tmp_path / "a.txt") == tmp_path / "a_3.txt"


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "settings.json"
    write_atomically(path, b"old")

    def disk_full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", disk_full)
    with pytest.raises(OutputError, match="full"):
        write_atomically(path, b"new")
    assert path.read_text() == "old" and names(tmp_path) == ["settings.json"]


WRITER = """
import sys, time
from pathlib import Path
from DicomWorkbenchLib.outputs import StagedFolder
with StagedFolder(Path(sys.argv[1])) as stage:
    (stage / "half.txt").write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_killed_job_leaves_no_result_and_the_next_one_cleans_up(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    assert clean_leftovers(tmp_path) == [], "the stage of a living process stays"
    child.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert not (tmp_path / "out").exists() and len(names(tmp_path)) == 1
    with StagedFolder(tmp_path / "out") as stage:
        (stage / "whole.txt").write_text("whole")
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["whole.txt"]


def test_the_stage_of_another_machine_stays(tmp_path):
    stage = tmp_path / ".out.partial-abc"
    stage.mkdir()
    (stage / ".owner.json").write_text('{"host": "elsewhere", "pid": 1, "started": "1"}')
    assert clean_leftovers(tmp_path) == [] and outputs.is_hidden_stage(stage)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="a small tmpfs needs Linux and root")
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        with pytest.raises(OutputError, match="full"), StagedFolder(disk / "out") as stage:
            for number in range(100):
                (stage / str(number)).write_bytes(b"x" * 10_000)
        assert names(disk) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)
