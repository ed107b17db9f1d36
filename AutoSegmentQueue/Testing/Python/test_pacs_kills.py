"""Kill -9 of receiving at every fsync, rename and commit: what a sender was told is stored is never lost, and nothing is queued twice.

The sender's part is played exactly: it notes what it was told is stored, and sends again what it has no word of.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from AutoSegmentQueueLib import failpoints
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.pacs.assembler import Assembler
from AutoSegmentQueueLib.pacs.received import Origin
from AutoSegmentQueueLib.pacs.store import Store
from pacs_testing import dataset_bytes, small_slices
from queue_testing import LIGHT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills by signal, in a forked process")

SLICES = 4
LATE = 2  # of them come after the first revision


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return small_slices(tmp_path_factory.mktemp("slices"), SLICES)


def receive(root: Path, slices: list[Path]) -> None:
    """Send all slices, the late ones after a revision, and assemble; each word of success is written down first."""
    home = Home.open(root)
    settings = replace(LIGHT, dicom=replace(LIGHT.dicom, quiet_seconds=0.0))
    ledger, store = Ledger(home.ledger), Store(home, settings)
    assembler = Assembler(home, settings, ledger)
    told = root / "told.txt"
    for number, path in enumerate(slices):
        if number == SLICES - LATE:
            assembler.look()
            assembler.look()
        arriving = store.incoming.new_file()
        shutil.copyfile(path, arriving)
        store.take(arriving, Origin("dicom", "SCANNER"))
        with told.open("a") as file:
            file.write(f"{path.name}\n")
    assembler.look()
    assembler.look()
    store.close()
    ledger.close()


def run_forked(root: Path, slices: list[Path], plan: str) -> bool:
    """Receive in a forked process; returns whether it was killed on the way."""
    root.mkdir(parents=True, exist_ok=True)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            failpoints.arm(plan)
            receive(root, slices)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), f"receiving failed by itself at {plan}"
    return code != 0


def check_what_was_told(root: Path, slices: list[Path]) -> None:
    told = set((root / "told.txt").read_text().split()) if (root / "told.txt").exists() else set()
    there = {dataset_bytes(path) for path in (root / "received").glob("*/slices/*.dcm")}
    assert {dataset_bytes(path) for path in slices if path.name in told} <= there


def check_end(root: Path, slices: list[Path]) -> None:
    everything = sorted(map(dataset_bytes, slices))
    (series,) = [path for path in (root / "received").iterdir() if path.name[0] != "."]
    ledger = Ledger(Home(root).ledger)
    jobs = ledger.jobs()
    assert len({job.source for job in jobs}) == len(jobs), "a revision was queued twice"
    units = {str(path) for path in series.glob("rev*/CT-*") if path.is_dir()}
    assert units == {job.source for job in jobs}, "a revision was not queued"
    last = max(jobs, key=lambda job: job.seq)
    assert sorted(dataset_bytes(path) for path in Path(last.source).glob("*.dcm")) == everything
    ledger.close()
    assert not list(series.glob(".stage-*")) or len(jobs) > 0
    assert not list((root / "received" / ".incoming").glob("*/*.dcm")), "a half was left"


def passed_points(root: Path, slices: list[Path]) -> list[tuple[str, int]]:
    record = root.with_name("passed.txt")
    assert not run_forked(root, slices, f"record:{record}")
    counts = Counter(record.read_text().split())
    return [(name, number) for name, count in counts.items() for number in range(1, count + 1)]


def kill_at(root: Path, slices: list[Path], points: list[tuple[str, int]]) -> int:
    kills = 0
    for index, (name, number) in enumerate(points):
        home = root / str(index)
        kills += run_forked(home, slices, f"{name}:{number}:kill")
        check_what_was_told(home, slices)
        assert not run_forked(home, slices, "")
        check_end(home, slices)
        shutil.rmtree(home)
    return kills


def test_receiving_killed_at_each_place_loses_nothing_that_was_told(tmp_path: Path, slices: list[Path]) -> None:
    points = passed_points(tmp_path / "record", slices)
    names = {name for name, _ in points}
    assert {"pacs.slice-synced", "pacs.slice-placed", "pacs.folder-synced", "pacs.revision-staged"} <= names
    assert {"pacs.revision-renamed", "pacs.before-receive", "ledger.before-commit", "ledger.after-commit"} <= names
    first_and_last = [(name, n) for name in sorted(names) for n in {1, max(k for one, k in points if one == name)}]
    assert kill_at(tmp_path, slices, first_and_last) == len(first_and_last)


@pytest.mark.prove
def test_receiving_killed_at_every_passage_of_every_place_loses_nothing(tmp_path: Path, slices: list[Path]) -> None:
    points = passed_points(tmp_path / "record", slices)
    assert kill_at(tmp_path, slices, points) == len(points) >= 25
