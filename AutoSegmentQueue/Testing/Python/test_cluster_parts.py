"""Whole archives on a cluster: ``optimize`` and ``tumors`` in parts give what one machine gives.

The truth is the output of the same command without ``--executor``, file by file; only seconds may differ.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from DicomWorkbenchLib.errors import Cancelled, ProcessError
from DicomWorkbenchLib.parts import Cluster, Part, carried_by
from DicomWorkbenchLib.progress import NEVER, CancelToken, no_progress
from queue_testing import environment, is_running, wait_for
from queue_testing.cluster import Cluster as Nodes
from queue_testing.cluster import kill, running_cluster

pytestmark = pytest.mark.needs("module:distributed", "module:highdicom", "module:cc3d")
ON_CLUSTER = ("--executor", "local-cluster", "--files", "transfer")
OPTIMIZE = ("--decimate", "2", "--eight-bit", "--deidentify", "--uid-salt", "x", "--jobs", "1")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies with what belongs to them, and a patient that occurs twice."""
    from DicomWorkbenchLib.samples.ct_rtstruct import make_ct_rtstruct
    from DicomWorkbenchLib.samples.liver_cohort import make_liver_cohort

    folder = tmp_path_factory.mktemp("samples")
    for seed, name in ((1, "a"), (2, "b")):
        make_ct_rtstruct(folder / "studies" / name, slices=24, size=64, seed=seed)
    (folder / "studies" / "a" / "damaged.dcm").write_bytes(bytes(128) + b"DICM" + bytes(99))
    make_liver_cohort(folder / "cohort", patients=(1,), size=64, slices=16)
    shutil.copytree(next((folder / "cohort").glob("*1")), folder / "cohort" / "again")
    return folder


@pytest.fixture(scope="module")
def optimized(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What `optimize` writes on one machine."""
    folder = tmp_path_factory.mktemp("optimized")
    workbench("optimize", samples / "studies", "-o", folder / "out", *OPTIMIZE)
    return contents(folder)


def workbench(*arguments: object) -> None:
    command = [sys.executable, "-m", "DicomWorkbenchLib", *map(str, arguments), "--progress", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr


def contents(folder: Path) -> dict[str, object]:
    """Every file below a folder; of reports and workbooks what does not depend on the time."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = _content(path)
    return found


def _content(path: Path) -> object:
    if path.suffix == ".json":
        report = json.loads(path.read_text())
        report.pop("seconds", None)
        report["output"] = report["settings"]["output"] = ""
        return report
    if path.suffix == ".xlsx":
        with zipfile.ZipFile(path) as book:
            return {name: book.read(name) for name in book.namelist() if not name.startswith("docProps")}
    return path.read_bytes()


def assert_same(here: dict[str, object], there: Path) -> None:
    """See that a folder holds the same files, and nothing of the parts they were made in."""
    found = contents(there)
    assert here.keys() == found.keys()
    assert [name for name in here if here[name] != found[name]] == []
    assert [path.name for path in there.iterdir()] == ["out"]


def test_optimize_on_a_cluster_writes_the_same_files(
    samples: Path, optimized: dict[str, object], tmp_path: Path
) -> None:
    workbench("optimize", samples / "studies", "-o", tmp_path / "there" / "out", *OPTIMIZE, *ON_CLUSTER)
    assert_same(optimized, tmp_path / "there")
    assert sum(name.endswith(".dcm") for name in optimized) > 24


def test_tumors_on_a_cluster_writes_the_same_tables_pictures_and_reports(samples: Path, tmp_path: Path) -> None:
    workbench("tumors", samples / "cohort", "-o", tmp_path / "here" / "out")
    workbench("tumors", samples / "cohort", "-o", tmp_path / "there" / "out", *ON_CLUSTER)
    here = contents(tmp_path / "here")
    assert_same(here, tmp_path / "there")
    report = here["out/report.json"]
    assert isinstance(report, dict)
    assert sorted(one["status"] for one in report["patients"]) == ["duplicate", "ok"]
    assert any(name.endswith(".png") for name in here)


def test_a_cluster_that_does_not_answer_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("AutoSegmentQueueLib.cluster.link.CONNECT_SECONDS", 0.5)
    monkeypatch.setattr("AutoSegmentQueueLib.cluster.opening.FIRST_SECONDS", 0.1)
    monkeypatch.setattr("AutoSegmentQueueLib.cluster.parts.NODES_SECONDS", 0.1)
    with pytest.raises(ProcessError, match="queue cluster worker"), carried_by(Cluster("tcp://127.0.0.1:9")):
        pass


def test_a_part_that_never_completes_is_given_up(tmp_path: Path) -> None:
    part = Part("this", ())  # ends well each time and writes nothing
    with carried_by(Cluster("local")) as carrier, pytest.raises(ProcessError, match="5 times"):
        list(carrier.run([part], tmp_path, no_progress, NEVER))


def test_a_cancel_ends_the_parts_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sleeps_for_a_test.py").write_text(
        "import os, pathlib, sys, time\npathlib.Path(sys.argv[1]).with_name('pid').write_text(f'{os.getpid()}.')\ntime.sleep(600)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    token, pids = CancelToken(), lambda: [path.read_text() for path in (tmp_path / "parts").glob("*/pid")]

    def cancel_once_started(done: int, total: int, message: str) -> None:
        if any(text.endswith(".") for text in pids()):
            token.cancel()

    with carried_by(Cluster("local")) as carrier, pytest.raises(Cancelled):
        list(carrier.run([Part("sleeps_for_a_test", ())], tmp_path / "parts", cancel_once_started, token))
    assert not is_running(int(pids()[0].rstrip(".")))


def test_a_killed_part_is_done_again_and_nothing_is_missing(
    samples: Path, optimized: dict[str, object], tmp_path: Path
) -> None:
    """Nodes as processes of their own, one of which is killed while it works."""
    there = tmp_path / "there"
    with running_cluster(tmp_path / "cluster") as cluster:
        killer = threading.Thread(target=_kill_the_first_at_work, args=(cluster, there))
        killer.start()
        workbench("optimize", samples / "studies", "-o", there / "out", *OPTIMIZE, "--executor", cluster.address)
        killer.join()
        assert cluster.nodes[0].poll() is not None
    assert_same(optimized, there)


def _kill_the_first_at_work(cluster: Nodes, folder: Path) -> None:
    wait_for(lambda: list(folder.glob(".dicom-workbench.partial-*/part*/.claimed")), 60)
    kill(cluster.nodes[0])
