"""From instances to jobs: nothing is lost, the same again changes nothing, late slices make a new revision with all of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pydicom
import pytest
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.intake import Intake
from AutoSegmentQueueLib.ledger import Job, Ledger, NewJob
from AutoSegmentQueueLib.pacs import revisions
from AutoSegmentQueueLib.pacs.assembler import Assembler
from AutoSegmentQueueLib.pacs.expiry import expire
from AutoSegmentQueueLib.pacs.instance import NotAnInstance
from AutoSegmentQueueLib.pacs.received import Origin
from AutoSegmentQueueLib.pacs.store import DiskFull, Outcome, Store
from AutoSegmentQueueLib.retention import Retention
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.states import State
from AutoSegmentQueueLib.worker import Worker
from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.progress import CancelToken
from pacs_testing import SECRETS, dataset_bytes, small_slices
from queue_testing import LIGHT, opened_home

SLICES = 6
FROM_SCANNER = Origin("dicom", "SCANNER")


@dataclass
class Bench:
    """A home whose received series are looked at by a clock the test turns."""

    home: Home
    settings: QueueSettings
    ledger: Ledger
    slices: list[Path]
    now: float = 0.0
    count: int | None = None
    said: str = ""

    def __post_init__(self) -> None:
        self.store = Store(self.home, self.settings)
        self.restart()

    def restart(self) -> None:
        self.assembler = Assembler(
            self.home, self.settings, self.ledger, self._tell, clock=lambda: self.now, ask=lambda *_: self.count
        )

    def _tell(self, text: str) -> None:
        self.said += text + "\n"

    def send(self, *paths: Path, origin: Origin = FROM_SCANNER) -> list[Outcome]:
        found = []
        for path in paths:
            arriving = self.store.incoming.new_file()
            shutil.copyfile(path, arriving)
            found.append(self.store.take(arriving, origin).outcome)
        return found

    def pass_time(self, seconds: float = 31.0) -> int:
        """Look, let time pass, and look again."""
        queued = self.assembler.look()
        self.now += seconds
        return queued + self.assembler.look()

    def jobs(self) -> list[Job]:
        return self.ledger.jobs()

    def notes(self, job: Job) -> str:
        return "\n".join(event.note for event in self.ledger.history(job.id))

    def work(self) -> None:
        """Let intake and a worker do all jobs, and retention move their inputs."""
        Intake(self.home, self.settings, self.ledger).look()
        worker = Worker(self.home, self.settings, self.ledger)
        worker.run(CancelToken(), drain=True)
        worker.close()
        Retention(self.home, self.settings, self.ledger).sweep()


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return small_slices(tmp_path_factory.mktemp("slices"), SLICES)


@pytest.fixture
def bench(tmp_path: Path, slices: list[Path]) -> Iterator[Bench]:
    with opened_home(tmp_path / "home") as (home, settings, ledger):
        made = Bench(home, settings, ledger, slices)
        yield made
        made.store.close()


def unit_of(job: Job) -> list[Path]:
    return sorted(Path(job.inputs[0]).glob("*.dcm"))


def test_a_quiet_series_becomes_one_job_with_every_slice_bit_for_bit(bench: Bench) -> None:
    assert set(bench.send(*bench.slices)) == {Outcome.NEW}
    assert bench.pass_time(29) == 0
    assert bench.pass_time(2) == 1
    (job,) = bench.jobs()
    assert job.owned and job.name.startswith("CT-")
    assert sorted(map(dataset_bytes, unit_of(job))) == sorted(map(dataset_bytes, bench.slices))
    bench.work()
    (job,) = bench.jobs()
    assert job.state is State.DONE, job.error
    assert len(list((bench.home.archive / job.id).rglob("*.dcm"))) == SLICES  # archived like any input
    assert bench.pass_time() == 0 and len(bench.jobs()) == 1


def test_nothing_of_what_a_peer_sends_becomes_a_file_name_or_a_line_of_a_log(bench: Bench, tmp_path: Path) -> None:
    uid = str(pydicom.dcmread(bench.slices[0]).SOPInstanceUID)
    evil = ("1.2.3." + "../" * len(uid))[: len(uid)]
    (tmp_path / "evil.dcm").write_bytes(bench.slices[0].read_bytes().replace(uid.encode(), evil.encode()))
    with pytest.raises(NotAnInstance):
        bench.send(tmp_path / "evil.dcm")
    bench.send(*bench.slices)
    bench.pass_time()
    names = [str(path.relative_to(bench.home.root)) for path in bench.home.root.rglob("*")]
    uids = [str(pydicom.dcmread(path).SOPInstanceUID) for path in bench.slices]
    assert not [name for name in names if any(part in name for part in (*uids, *SECRETS))]
    assert not any(secret in bench.said for secret in SECRETS)


def test_the_same_series_again_changes_nothing(bench: Bench) -> None:
    bench.send(*bench.slices)
    bench.pass_time()
    assert set(bench.send(*bench.slices)) == {Outcome.KNOWN}
    assert bench.pass_time() == 0 and len(bench.jobs()) == 1


def test_late_slices_make_a_second_revision_with_all_slices_that_names_the_first(bench: Bench) -> None:
    bench.send(*bench.slices[:4])
    bench.pass_time()
    bench.work()
    bench.send(*bench.slices[4:])
    assert bench.pass_time() == 1
    first, second = bench.jobs()
    assert first.state is State.DONE and second.name == f"{first.name}_rev2"
    assert len(unit_of(second)) == SLICES
    assert f"revision 2 of job {first.id}" in bench.notes(second)


def test_another_content_under_the_same_uid_replaces_the_first_which_is_kept(bench: Bench, tmp_path: Path) -> None:
    bench.send(*bench.slices)
    bench.pass_time()
    dataset = pydicom.dcmread(bench.slices[0])
    dataset.PatientID = "CORRECTED"
    dataset.save_as(tmp_path / "corrected.dcm")
    assert bench.send(tmp_path / "corrected.dcm") == [Outcome.REPLACED]
    assert bench.pass_time() == 1
    first, second = bench.jobs()
    read = [pydicom.dcmread(path).PatientID for path in unit_of(second)]
    assert len(read) == SLICES and read.count("CORRECTED") == 1
    assert all(pydicom.dcmread(path).PatientID != "CORRECTED" for path in unit_of(first))
    (series,) = bench.store.received.all()
    assert [dataset_bytes(path) for path in series.replaced.iterdir()] == [dataset_bytes(bench.slices[0])]


def test_a_series_waits_for_the_number_its_peer_says_and_then_warns_how_many_are_missing(bench: Bench) -> None:
    bench.count = SLICES
    bench.send(*bench.slices[:-1])
    assert bench.pass_time(500) == 0
    assert bench.pass_time(101) == 1
    (job,) = bench.jobs()
    assert f"only {SLICES - 1} of {SLICES} instances arrived" in bench.notes(job) + bench.said
    assert job.options["input_warnings"] == [f"only {SLICES - 1} of {SLICES} instances arrived"]
    bench.send(bench.slices[-1])
    assert bench.pass_time(31) == 1
    assert "input_warnings" not in bench.jobs()[1].options


def test_a_series_whose_number_is_known_from_a_pull_does_not_wait(bench: Bench) -> None:
    instance = pydicom.dcmread(bench.slices[0])
    bench.store.received.series(instance.StudyInstanceUID, instance.SeriesInstanceUID).expect(SLICES)
    bench.send(*bench.slices[:-1])
    assert bench.assembler.look() == 0
    bench.send(bench.slices[-1])
    assert bench.assembler.look() == 1


def test_rules_decide_what_is_done_and_ignored_series_make_no_job(bench: Bench) -> None:
    rules = '[[rule]]\n[rule.match]\ncalling_ae="SCANNER"\n[rule.do]\nquality="fast"\npriority=3\ndestinations=["A@127.0.0.1:104"]\n'
    (bench.home.root / "routing.toml").write_text(rules + "[default]\nignore=true\n")
    bench.send(*bench.slices)
    bench.pass_time()
    (job,) = bench.jobs()
    assert (job.options["quality"], job.priority, job.options["destinations"]) == ("fast", 3, ["A@127.0.0.1:104"])
    (bench.home.root / "routing.toml").write_text("[default]\nignore=true\n")
    bench.send(*small_slices(bench.home.root / "other", 2, key="other"))
    assert bench.pass_time() == 0 and len(bench.jobs()) == 1


def test_a_broken_rule_file_holds_series_back_until_it_is_mended(bench: Bench) -> None:
    (bench.home.root / "routing.toml").write_text("[[rule")
    bench.send(*bench.slices)
    assert bench.pass_time() == 0 and "received series wait until it is mended" in bench.said
    (bench.home.root / "routing.toml").unlink()
    assert bench.pass_time() == 1


def test_received_slices_are_removed_when_their_time_is_over_and_not_before(bench: Bench) -> None:
    bench.send(*bench.slices)
    (series,) = bench.store.received.all()
    later = series.slices.stat().st_mtime + 3 * 86400
    assert not expire(series, bench.ledger, 1.0, later)  # not queued yet
    bench.pass_time()
    assert not expire(series, bench.ledger, 1.0, later)  # its job has not ended
    bench.work()
    assert not expire(series, bench.ledger, 5.0, later)
    assert expire(series, bench.ledger, 1.0, later)
    assert not series.path.exists() and len(list(bench.home.archive.rglob("*.dcm"))) == SLICES


def test_a_full_disk_refuses_before_anything_is_written(tmp_path: Path, slices: list[Path]) -> None:
    home = Home.open(tmp_path / "home")
    store = Store(home, replace(LIGHT, free_bytes=1 << 60))
    arriving = store.incoming.new_file()
    shutil.copyfile(slices[0], arriving)
    with pytest.raises(DiskFull, match="are free"):
        store.take(arriving, FROM_SCANNER)
    assert store.received.all() == []
    store.close()


def test_what_a_killed_receiver_left_half_written_is_removed_by_the_next(bench: Bench) -> None:
    dead = bench.store.received.root / ".incoming" / "dead"
    dead.mkdir()
    (dead / "half.dcm").write_bytes(b"half")
    other = Store(bench.home, bench.settings)
    assert not dead.exists() and bench.store.incoming.folder.exists()  # the living one is left alone
    other.close()


def test_a_revision_whose_queueing_was_interrupted_is_queued_after_a_restart(bench: Bench) -> None:
    bench.send(*bench.slices)
    (series,) = bench.store.received.all()
    revisions.make(series, series.files(), "CT-left", None)
    bench.restart()
    bench.pass_time()
    (job,) = bench.jobs()
    assert job.name == "CT-left" and len(unit_of(job)) == SLICES
    assert series.last_revision() == 1


def test_a_series_that_cannot_be_written_down_is_queued_later_and_holds_up_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.send(*bench.slices)
    bench.send(*small_slices(bench.home.root / "other", 2, key="other"))
    receive, failures = bench.ledger.receive, [1]

    def full_once(new: NewJob) -> Job:
        if failures:
            failures.pop()
            raise OutputError("the disk is full")
        return receive(new)

    monkeypatch.setattr(bench.ledger, "receive", full_once)
    assert bench.pass_time() == 1  # the other one
    bench.assembler.look()
    assert sorted(len(unit_of(job)) for job in bench.jobs()) == [2, SLICES]
    assert "the disk is full" in bench.said
