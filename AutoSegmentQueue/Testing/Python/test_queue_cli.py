"""The command as users type it: each sub-command on a home of its own, JSON as promised, errors in plain words."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from AutoSegmentQueueLib.home import BusyError, Home, Lock
from AutoSegmentQueueLib.settings import QueueSettings, SegmentationSettings
from AutoSegmentQueueLib.states import State
from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.settings import from_json, to_json
from queue_testing import drop, nifti, opened_home, run_queue, serving, wait_for

KEYS = ["id", "name", "state", "attempts", "engine", "progress", "error", "output"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    with opened_home(tmp_path / "home"):
        return tmp_path / "home"


def scan(folder: Path, name: str = "scan.nii", what: str = "ok", seed: int = 0) -> str:
    path = drop(folder, name, nifti(what, seed=seed))
    os.utime(path, (1, 1))
    return str(path)


def status(root: Path) -> list[dict]:
    return json.loads(run_queue("status", "--json", "--home", str(root)).stdout)["jobs"]


def test_add_work_status(root: Path, tmp_path: Path) -> None:
    added = run_queue("add", "--home", str(root), scan(tmp_path), scan(tmp_path, "two.nii", seed=2))
    assert added.returncode == 0, added.stderr
    (one, two) = status(root)
    assert list(one) == KEYS and [one["state"], one["name"], two["name"]] == ["queued", "scan", "two"]
    assert run_queue("work", "--home", str(root)).returncode == 0
    for job in status(root):
        assert (job["state"], job["progress"], job["attempts"], job["error"]) == ("done", 1.0, 1, None)
        assert (Path(job["output"]) / "manifest.json").is_file()


def test_a_bad_file_is_refused_with_the_reason_and_exit_code_1(root: Path, tmp_path: Path) -> None:
    bad = drop(tmp_path, "bad.nii.gz", b"\x1f\x8b" + b"nonsense" * 20)
    os.utime(bad, (1, 1))
    done = run_queue("add", "--home", str(root), str(bad))
    assert done.returncode == 1 and "gzip data is damaged" in done.stderr
    assert [job["state"] for job in status(root)] == ["failed"]
    assert bad.exists()


def test_cancel_retry_pause_resume_priority(root: Path, tmp_path: Path) -> None:
    run_queue("add", "--home", str(root), scan(tmp_path), scan(tmp_path, "two.nii", seed=2))
    first, second = (job["id"] for job in status(root))
    assert run_queue("cancel", "--home", str(root), first).returncode == 0
    assert run_queue("pause", "--home", str(root)).returncode == 0
    assert run_queue("work", "--home", str(root)).returncode == 0
    assert [job["state"] for job in status(root)] == ["cancelled", "queued"]
    assert "paused" in run_queue("status", "--home", str(root)).stdout
    assert run_queue("retry", "--home", str(root), first).returncode == 0
    assert run_queue("priority", "--home", str(root), second[:4], "9").returncode == 0
    assert run_queue("resume", "--home", str(root)).returncode == 0
    assert run_queue("work", "--home", str(root)).returncode == 0
    assert [job["state"] for job in status(root)] == ["done", "done"]
    with opened_home(root) as (_, _, ledger):
        assert ledger.job(second).started < ledger.job(first).started
    again = run_queue("retry", "--home", str(root), first)
    assert again.returncode == 1 and "only failed" in again.stderr


def test_history_and_unknown_ids(root: Path, tmp_path: Path) -> None:
    run_queue("add", "--home", str(root), scan(tmp_path))
    (job,) = status(root)
    text = run_queue("history", "--home", str(root), job["id"]).stdout
    assert [line.split()[3] for line in text.splitlines()] == ["received", "stabilising", "queued"]
    missing = run_queue("cancel", "--home", str(root), "nosuch")
    assert missing.returncode == 1 and "no job nosuch" in missing.stderr


def test_serve_takes_its_folders_and_keeps_them(root: Path, tmp_path: Path) -> None:
    folders = ("--input", str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--slots", "2")
    with serving(root, *folders) as server:
        wait_for(lambda: (tmp_path / "in").is_dir() or server.poll() is not None)
        shutil.copy(scan(tmp_path / "x"), tmp_path / "in" / "scan.nii")
        wait_for(lambda: (tmp_path / "out" / "scan" / "manifest.json").exists())
        wait_for(lambda: not (tmp_path / "in" / "scan.nii").exists())
    assert server.returncode == 0
    kept = Home(root).load()
    assert (kept.input, kept.output, kept.slots) == (tmp_path / "in", tmp_path / "out", 2)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_a_server_and_gives_its_job_back(root: Path, tmp_path: Path) -> None:
    run_queue("add", "--home", str(root), scan(tmp_path, what="hang"))
    with serving(root) as server, opened_home(root) as (_, _, ledger):
        wait_for(lambda: ledger.counts()[State.RUNNING])
        server.send_signal(signal.SIGINT)
        server.wait(10)
        assert server.returncode == 0 and ledger.counts()[State.QUEUED] == 1


def test_input_and_output_must_lie_apart(root: Path, tmp_path: Path) -> None:
    done = run_queue(
        "serve", "--home", str(root), "--input", str(tmp_path / "a"), "--output", str(tmp_path / "a" / "b")
    )
    assert done.returncode == 2 and "must lie apart" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "--engine", "magic"), "no engine 'magic'"),
        (("add", "--device", "tpu"), "device must be"),
        (("add", "--kind", "magic"), "no kind of job"),
        (("add", "--kind", "tumors", "--options", '{"organ": ""}'), "organ"),
        (("add", "--kind", "optimize", "--options", "{"), "must be JSON"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_queues_nothing(root: Path, tmp_path: Path, arguments, said: str) -> None:
    done = run_queue(*arguments, "--home", str(root), scan(tmp_path))
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert status(root) == []


def test_settings_go_through_json_and_refuse_what_cannot_work(tmp_path: Path) -> None:
    settings = QueueSettings(input=tmp_path, segmentation=SegmentationSettings(structures=("liver",), device="gpu:1"))
    assert from_json(QueueSettings, json.loads(json.dumps(to_json(settings)))) == settings
    assert SegmentationSettings(quality="fastest").options()["quality"] == "faster"
    for wrong in ({"slots": 0}, {"lease_seconds": 0.0}, {"oom_ladder": ("pray",)}, {"validation": "none"}):
        with pytest.raises(SettingsError):
            QueueSettings(**wrong)


def test_unreadable_settings_are_named(root: Path) -> None:
    (root / "settings.json").write_text("{")
    done = run_queue("status", "--home", str(root))
    assert done.returncode == 2 and "settings.json" in done.stderr


def test_a_lock_ends_with_its_holder(tmp_path: Path) -> None:
    with Lock(tmp_path / "lock", "busy"), pytest.raises(BusyError, match="busy"), Lock(tmp_path / "lock", "busy"):
        pass
    with Lock(tmp_path / "lock", "busy"):
        pass


def test_estimates_come_from_jobs_that_were_done(root: Path, tmp_path: Path) -> None:
    run_queue("add", "--home", str(root), scan(tmp_path, what="sleep:0.3"))
    run_queue("work", "--home", str(root))
    run_queue("add", "--home", str(root), scan(tmp_path, "b.nii", seed=2), scan(tmp_path, "c.nii", seed=3))
    rows = json.loads(run_queue("status", "--json", "--detail", "--home", str(root)).stdout)["jobs"]
    assert rows[0]["run_seconds"] >= 0.3 and rows[0]["eta_seconds"] is None
    first, second = (row["eta_seconds"] for row in rows[1:])
    assert second == pytest.approx(2 * first, abs=0.11) and [row["position"] for row in rows[1:]] == [0, 1]
