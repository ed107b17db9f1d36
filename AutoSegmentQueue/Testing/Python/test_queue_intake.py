"""Intake: nothing starts early, nothing is overwritten, and what leaves the input folder has verified results."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from AutoSegmentQueueLib.adding import Wanted, add_paths
from AutoSegmentQueueLib.formats_dicom import slice_of
from AutoSegmentQueueLib.intake import Intake
from AutoSegmentQueueLib.intake_slices import folder_name
from AutoSegmentQueueLib.intake_units import LONGEST_NAME, safe_name
from AutoSegmentQueueLib.retention import DAY_SECONDS, Retention
from AutoSegmentQueueLib.states import Failure, State
from AutoSegmentQueueLib.worker import Worker
from queue_testing import dicom, drop, nifti, nrrd, opened_home, results_in, serving, wait_for
from queue_testing.corpus import mutants

WINDOW = 2.0


class Place:
    """A home whose intake runs on a simulated clock; files, ledger and checks are real."""

    def __init__(self, home, settings, ledger) -> None:
        self.home, self.settings, self.ledger = home, settings, ledger
        self.time = 0.0
        self.now = 1_000_000_000.0
        self.intake = Intake(home, settings, ledger, clock=lambda: self.time)
        self.retention = Retention(home, settings, ledger, now=lambda: ledger.now() + self.now - 1_000_000_000.0)
        self.input = home.input_of(settings)
        self.input.mkdir()

    def pass_time(self, seconds: float, step: float = 0.5) -> None:
        until = self.time + seconds
        while self.time < until:
            self.time += step
            self.intake.look()

    def states(self) -> dict[str, State]:
        return {Path(job.source).name: job.state for job in self.ledger.jobs()}

    def finish_next(self, ok: bool = True):
        """Do what a worker does, without one."""
        job = self.ledger.lease("me", 60)
        self.ledger.begin(job.id, job.fence)
        if not ok:
            return self.ledger.fail(job.id, job.fence, Failure.ENGINE, "the engine said no")
        self.ledger.validate(job.id, job.fence)
        output = self.home.root / "output" / job.id
        output.mkdir(parents=True)
        (output / "result").write_text("x")
        (output / "manifest.json").write_text(json.dumps({"id": job.id, "outputs": [{"path": "result", "bytes": 1}]}))
        return self.ledger.finish(job.id, job.fence, str(output))


@pytest.fixture
def place(tmp_path: Path):
    with opened_home(tmp_path / "home", stable_seconds=WINDOW, incomplete_seconds=60.0) as parts:
        yield Place(*parts)


def test_a_complete_file_waits_for_the_window_and_no_longer(place: Place) -> None:
    drop(place.input, "scan.nii", nifti())
    place.intake.look()
    assert place.states() == {"scan.nii": State.STABILISING}
    place.pass_time(WINDOW - 0.5)
    assert place.states() == {"scan.nii": State.STABILISING}
    place.pass_time(1.0)
    assert place.states() == {"scan.nii": State.QUEUED}


def test_files_called_part_are_left_alone_and_complete_once_renamed(place: Place) -> None:
    part = place.input / "scan.nii.part"
    part.write_bytes(nifti())
    place.pass_time(30)
    assert place.states() == {}
    part.rename(place.input / "scan.nii")
    place.intake.look()
    assert place.states() == {"scan.nii": State.QUEUED}, "the rename says that it is whole; no window is needed"


def test_a_done_mark_says_that_a_file_is_whole(place: Place) -> None:
    drop(place.input, "scan.nrrd", nrrd())
    drop(place.input, "scan.nrrd.done", b"")
    place.intake._partial.clear()  # what is tested is the mark, not the rename
    place.intake.look()
    assert place.states() == {"scan.nrrd": State.QUEUED}
    place.finish_next()
    place.retention.sweep()
    assert list(place.input.iterdir()) == []


def copy_slowly(place: Place, count: int, seed: int) -> None:
    """Many copies at once that write a little, stall for longer than the window, and go on; none may be queued half."""
    draw = random.Random(seed)
    kinds = [("nii", nifti()), ("nii.gz", gzip.compress(nifti())), ("nrrd", nrrd(encoding="gzip")), ("dcm", dicom())]
    copies = {}
    for number in range(count):
        suffix, content = draw.choice(kinds)
        if suffix == "dcm":
            content = dicom(series=f"1.2.{number}")
        copies[place.input / f"{number}.{suffix}"] = [content, 0]
    while copies:
        for path, state in list(copies.items()):
            content, written = state
            pause = draw.random() < 0.6  # many stall for longer than the window
            if not pause:
                state[1] = min(len(content), written + draw.randrange(1, len(content)))
                path.write_bytes(content[: state[1]])
            if state[1] == len(content):
                del copies[path]
        place.time += draw.choice([0.5, WINDOW, 3 * WINDOW])
        place.intake.look()
        started = {job.source for job in place.ledger.jobs([State.QUEUED, State.FAILED])}
        assert not started & {str(path) for path in copies}, "started before it was whole"
        assert all(path.exists() for path, (_, written) in copies.items() if written), "gathered before it was whole"
    place.pass_time(2 * WINDOW, step=WINDOW)
    assert place.ledger.counts()[State.QUEUED] == count, "and all of them start in the end"


@pytest.fixture
def patient_place(tmp_path: Path):
    with opened_home(tmp_path / "home", stable_seconds=WINDOW, incomplete_seconds=1e9) as parts:
        yield Place(*parts)


def test_none_of_many_slow_copies_starts_early(patient_place: Place) -> None:
    copy_slowly(patient_place, 150, seed=2)


@pytest.mark.prove
@pytest.mark.timeout(600)
def test_none_of_a_thousand_slow_copies_starts_early(patient_place: Place) -> None:
    copy_slowly(patient_place, 1000, seed=3)


def test_a_half_copied_file_is_given_up_after_a_long_silence_and_put_aside(place: Place) -> None:
    drop(place.input, "scan.nii", nifti()[:-1])
    place.intake._partial.clear()
    place.pass_time(50)
    assert place.states() == {"scan.nii": State.STABILISING}
    place.pass_time(20)
    assert place.states() == {"scan.nii": State.FAILED}
    place.retention.sweep()
    assert (place.home.failed / "scan.nii").read_bytes() == nifti()[:-1]
    assert "479 of 480 bytes" in (place.home.failed / "scan.nii.reason.txt").read_text()


def test_equal_names_never_overwrite_each_other(place: Place) -> None:
    for number in range(3):
        drop(place.input, "scan.nii", nifti(seed=number))
        place.pass_time(2 * WINDOW)
        place.finish_next(ok=number != 1)
        place.retention.sweep()
        assert list(place.input.iterdir()) == []
    drop(place.input, "scan.nii", nifti(seed=9))
    place.pass_time(2 * WINDOW)
    place.finish_next(ok=False)
    place.retention.sweep()
    archived = sorted(path.read_bytes() for path in place.home.archive.rglob("scan.nii"))
    assert archived == sorted([nifti(seed=0), nifti(seed=2)])
    failed = {path.name: path.read_bytes() for path in place.home.failed.glob("*.nii")}
    assert failed == {"scan.nii": nifti(seed=1), "scan_2.nii": nifti(seed=9)}


def test_equal_content_runs_once_and_both_inputs_leave(place: Place) -> None:
    drop(place.input, "one.nii", nifti())
    drop(place.input, "two.nii", nifti())
    place.pass_time(2 * WINDOW)
    done = place.finish_next()
    assert place.ledger.lease("me", 1) is None
    assert {job.output for job in place.ledger.jobs()} == {done.output}
    place.retention.sweep()
    assert list(place.input.iterdir()) == [] and len(list(place.home.archive.rglob("*.nii"))) == 2


def test_a_failed_scan_is_tried_again_from_where_it_was_put_and_then_archived(place: Place) -> None:
    drop(place.input, "scan.nii", nifti())
    place.pass_time(2 * WINDOW)
    job = place.finish_next(ok=False)
    place.retention.sweep()
    assert sorted(path.name for path in place.home.failed.iterdir()) == ["scan.nii", "scan.nii.reason.txt"]
    place.ledger.retry(job.id)
    place.pass_time(2 * WINDOW)
    assert place.finish_next().id == job.id
    place.retention.sweep()
    assert list(place.home.failed.iterdir()) == []
    assert (place.home.archive / job.id / "scan.nii").read_bytes() == nifti()


def test_a_file_that_is_replaced_while_it_waits_is_looked_at_again(place: Place) -> None:
    drop(place.input, "scan.nii", nifti(seed=1))
    place.pass_time(2 * WINDOW)
    first = place.ledger.jobs()[0].sha256
    drop(place.input, "scan.nii", nifti(seed=2))
    place.intake._partial.clear()
    place.intake.look()
    assert place.states() == {"scan.nii": State.STABILISING}
    place.pass_time(2 * WINDOW)
    (job,) = place.ledger.jobs()
    assert job.state is State.QUEUED and job.sha256 != first


def test_an_input_that_was_changed_after_it_was_read_is_neither_moved_nor_forgotten(place: Place) -> None:
    drop(place.input, "scan.nii", nifti(seed=1))
    place.pass_time(2 * WINDOW)
    place.finish_next()
    (place.input / "scan.nii").write_bytes(nifti(seed=2))
    place.retention.sweep()
    assert (place.input / "scan.nii").read_bytes() == nifti(seed=2)
    place.pass_time(2 * WINDOW)
    assert [job.state for job in place.ledger.jobs()] == [State.DONE, State.QUEUED]


def test_no_input_leaves_while_its_results_are_not_there(place: Place) -> None:
    drop(place.input, "scan.nii", nifti())
    place.pass_time(2 * WINDOW)
    shutil.rmtree(place.finish_next().output)
    place.retention.sweep()
    assert (place.input / "scan.nii").exists()


def test_archived_inputs_are_deleted_after_their_days(place: Place) -> None:
    drop(place.input, "scan.nii", nifti())
    place.pass_time(2 * WINDOW)
    job = place.finish_next()
    place.retention.sweep()
    place.now += 6.9 * DAY_SECONDS
    place.retention.sweep()
    assert (place.home.archive / job.id / "scan.nii").exists()
    place.now += 0.2 * DAY_SECONDS
    place.retention.sweep()
    assert not (place.home.archive / job.id).exists()
    assert place.ledger.job(job.id).disposal == "deleted"


def test_zero_days_delete_at_once_but_only_after_results(tmp_path: Path) -> None:
    with opened_home(tmp_path / "home", archive_days=0.0, stable_seconds=WINDOW) as parts:
        place = Place(*parts)
        drop(place.input, "scan.nii", nifti())
        place.pass_time(2 * WINDOW)
        place.retention.sweep()
        assert (place.input / "scan.nii").exists()
        place.finish_next()
        place.retention.sweep()
        assert list(place.input.iterdir()) == [] and list(place.home.archive.iterdir()) == []


def test_a_cancelled_scan_stays_and_is_not_taken_up_again(place: Place) -> None:
    drop(place.input, "scan.nii", nifti())
    place.pass_time(2 * WINDOW)
    place.ledger.cancel(place.ledger.jobs()[0].id)
    place.pass_time(10)
    place.retention.sweep()
    assert (place.input / "scan.nii").exists() and place.states() == {"scan.nii": State.CANCELLED}


def test_a_scan_that_is_taken_away_while_it_is_copied_is_cancelled(place: Place) -> None:
    path = drop(place.input, "scan.nii", nifti()[:10])
    place.intake.look()
    path.unlink()
    place.pass_time(1)
    assert place.states() == {"scan.nii": State.CANCELLED}


def test_a_dicom_folder_is_one_job_and_waits_for_its_last_slice(place: Place) -> None:
    folder = place.input / "study"
    (folder / "series").mkdir(parents=True)
    for number in range(4):
        (folder / "series" / f"{number}").write_bytes(dicom())
        place.pass_time(WINDOW - 0.5)
        assert place.states() == {"study": State.STABILISING}
    place.pass_time(WINDOW)
    (job,) = place.ledger.jobs()
    assert (job.state, job.name, job.voxels) == (State.QUEUED, "study", 4 * 64)
    place.finish_next()
    place.retention.sweep()
    assert sorted(path.name for path in (place.home.archive / job.id / "study" / "series").iterdir()) == list("0123")


def loose(place: Place, numbers: range, series: str = "1.2.3", prefix: str = "IM") -> list[Path]:
    """Drop slices of a series loose into the input folder, each in one piece."""
    found = []
    for number in numbers:
        found.append(place.input / f"{prefix}{number:03}.dcm")
        found[-1].write_bytes(dicom(series=series, seed=number))
    return found


def slices_of(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_loose_slices_of_a_series_are_one_scan_once_all_of_it_is_quiet(place: Place) -> None:
    for number in range(4):
        loose(place, range(number, number + 1))
        place.pass_time(WINDOW - 0.5)
        assert place.states() == {}, "the window is that of the whole group"
    loose(place, range(3), series="1.2.4", prefix="other")
    (place.input / "cine.dcm").write_bytes(dicom(series="1.2.5", frames=2))
    place.pass_time(2 * WINDOW)
    jobs = {job.voxels // 64: job for job in place.ledger.jobs([State.QUEUED])}
    assert sorted(jobs) == [2, 3, 4], "two series are two scans; a multi-frame file is one of its own"
    assert jobs[2].name == "cine" and jobs[4].name.startswith("CT_series_")
    for _ in range(3):
        place.finish_next()
    place.retention.sweep()
    assert list(place.input.iterdir()) == []
    assert slices_of(place.home.archive / jobs[4].id) == sorted(dicom(seed=n) for n in range(4))


def test_slices_that_come_late_complete_a_scan_that_waits(place: Place) -> None:
    loose(place, range(3))
    place.pass_time(2 * WINDOW)
    assert [job.voxels for job in place.ledger.jobs([State.QUEUED])] == [3 * 64]
    loose(place, range(3, 5))
    place.pass_time(2 * WINDOW)
    (job,) = place.ledger.jobs()
    assert (job.state, job.voxels) == (State.QUEUED, 5 * 64)


@pytest.mark.parametrize("ok", [True, False])
def test_slices_that_come_after_the_end_make_a_new_job_of_the_whole_series(place: Place, ok: bool) -> None:
    loose(place, range(3))
    place.pass_time(2 * WINDOW)
    place.finish_next(ok)
    place.retention.sweep()
    assert list(place.input.iterdir()) == []
    loose(place, range(3, 5))
    place.pass_time(2 * WINDOW)
    first, second = place.ledger.jobs()
    assert (second.state, second.voxels) == (State.QUEUED, 5 * 64), "not the two late ones alone"
    place.finish_next()
    place.retention.sweep()
    assert slices_of(place.home.archive / second.id) == sorted(dicom(seed=n) for n in range(5))
    assert slices_of(Path(first.inputs[0])) == sorted(dicom(seed=n) for n in range(3)), "what was kept stays as it was"


def test_a_series_that_is_dropped_again_does_not_run_again(place: Place) -> None:
    loose(place, range(3))
    place.pass_time(2 * WINDOW)
    done = place.finish_next()
    place.retention.sweep()
    loose(place, range(3))
    place.pass_time(2 * WINDOW)
    loose(place, range(3), prefix="renamed")
    place.retention.sweep()
    place.pass_time(2 * WINDOW)
    assert [(job.state, job.output) for job in place.ledger.jobs()] == [(State.DONE, done.output)] * 3


def test_a_half_copied_slice_holds_its_series_and_a_damaged_one_fails_it_with_the_reason(place: Place) -> None:
    whole = loose(place, range(3))
    half = whole[1]
    half.write_bytes(dicom(seed=1)[:-5])
    place.pass_time(50)
    assert place.ledger.jobs() == [] and all(path.exists() for path in whole)
    half.write_bytes(dicom(seed=1))
    place.pass_time(2 * WINDOW)
    assert [job.voxels for job in place.ledger.jobs([State.QUEUED])] == [3 * 64]
    place.finish_next()
    place.retention.sweep()
    loose(place, range(3), series="1.2.9")
    half.write_bytes(dicom(seed=1, series="1.2.9")[:-5])
    place.pass_time(130)
    (failed,) = place.ledger.jobs([State.FAILED])
    assert "pixel data ends before it should" in failed.error
    place.retention.sweep()
    assert list(place.input.iterdir()) == [] and len(slices_of(place.home.failed / failed.name)) == 3


def test_slices_are_gathered_to_the_end_after_a_crash_between(place: Place) -> None:
    """A stage that a killed server has left: with slices still loose, and with none."""
    for number, left in enumerate([2, 0]):
        paths = loose(place, range(4), series=f"1.2.{number}", prefix="ab"[number])
        stage = place.input / f".{folder_name(slice_of(paths[0]))}.gathering"
        stage.mkdir()
        for path in paths[left:]:
            path.rename(stage / path.name)
    place.pass_time(3 * WINDOW)
    assert [(job.state, job.voxels) for job in place.ledger.jobs()] == [(State.QUEUED, 4 * 64)] * 2
    assert [path.name[:9] for path in place.input.iterdir()] == ["CT_series"] * 2


def test_slices_that_are_named_together_are_one_job_and_stay_where_they_are(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    paths = [folder / f"{n}.dcm" for n in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(dicom(series="1.2.3" if number < 3 else "1.2.4", seed=number))
        os.utime(path, (1, 1))
    jobs = add_paths(place.home, place.ledger, paths, Wanted(place.settings))
    assert [(job.state, job.voxels, len(job.inputs)) for job in jobs] == [
        (State.QUEUED, 192, 3),
        (State.QUEUED, 128, 2),
    ]
    assert all(path.exists() for path in paths)
    (folder / "whole").mkdir()
    for path in paths[:3]:
        shutil.copy2(path, folder / "whole")
    (again,) = add_paths(place.home, place.ledger, [folder / "whole"], Wanted(place.settings))
    assert again.link_of == jobs[0].id, "the same slices in a folder are the same content"
    paths[1].unlink()
    worker = Worker(place.home, place.settings, place.ledger)
    worker.run(drain=True)
    worker.close()
    ended = place.ledger.job(jobs[0].id)
    assert ended.state is State.FAILED and "taken away" in ended.error


def test_after_a_restart_the_window_begins_anew_and_nothing_is_taken_twice(place: Place) -> None:
    drop(place.input, "scan.nii", nifti())
    place.intake.look()
    place.intake = Intake(place.home, place.settings, place.ledger, clock=lambda: place.time)
    place.pass_time(2 * WINDOW)
    place.intake = Intake(place.home, place.settings, place.ledger, clock=lambda: place.time)
    place.pass_time(2 * WINDOW)
    assert len(place.ledger.jobs()) == 1


def test_names_of_results_fit_every_file_system() -> None:
    hostile = [
        "../../etc/x",
        "C:\\a:b",
        "con",
        "a" * 300,
        "x\u202egpj",
        "n\0ul",
        " . ",
        "",
        "ünï",
        "日本" * 100,
        "a\nb",
    ]
    for name in hostile:
        safe = safe_name(name)
        assert safe and not set(safe) & set('<>:"/\\|?*\0\n\u202e') and len(safe.encode()) <= LONGEST_NAME
        assert safe.strip(". ") == safe and safe.lower() != "con"
    assert safe_name("ünï") == "ünï"


def test_links_and_litter_in_the_input_folder_are_passed_over(place: Place, tmp_path: Path) -> None:
    secret = drop(tmp_path / "elsewhere", "secret.nii", nifti())
    with contextlib.suppress(OSError):  # Windows without the right to make links
        (place.input / "link.nii").symlink_to(secret)
    for name in ("Thumbs.db", ".DS_Store", ".hidden.nii", "~lock.nii", "desktop.ini"):
        (place.input / name).write_bytes(b"x")
    (place.input / "empty").mkdir()
    place.pass_time(10)
    assert place.states() == {}


def test_two_hundred_corrupt_inputs_are_all_classified_and_the_queue_goes_on(tmp_path: Path) -> None:
    with (
        opened_home(tmp_path / "home", incomplete_seconds=0.2) as (home, settings, ledger),
        serving(home.root) as server,
    ):
        folder = home.input_of(settings)
        for number, (name, content) in enumerate(mutants(200, seed=9)):
            drop(folder, f"{number}{name}", content)
        drop(folder, "good.nii", nifti(seed=77))
        count = 201
        ended = [State.DONE, State.FAILED, State.QUARANTINED]
        wait_for(lambda: len(ledger.jobs(ended)) == count or server.poll() is not None, 90, every=0.3)
        assert server.poll() is None, "the queue stopped"
        assert [job.state for job in ledger.jobs() if job.name == "good"] == [State.DONE]
        for job in ledger.jobs([State.FAILED]):
            assert job.error and job.error_class == Failure.BAD_INPUT
        wait_for(lambda: not list(folder.iterdir()), 20)
        failed = ledger.jobs([State.FAILED])
        assert len(failed) > 100
        reasons = [path.name for path in home.failed.glob("*.reason.txt")]
        assert len(reasons) == len(failed), "each has its reason beside it"


@pytest.mark.skipif(
    sys.platform != "linux" or os.name != "posix" or os.geteuid() != 0, reason="mounting a tmpfs needs root"
)
def test_a_full_disk_stops_intake_early_and_it_resumes_alone(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        with opened_home(disk / "home", free_bytes=4 << 20) as (home, settings, ledger), serving(home.root) as server:
            folder = home.input_of(settings)
            drop(folder, "before.nii", nifti(seed=1))
            wait_for(lambda: ledger.counts()[State.DONE] == 1)
            filler = disk / "filler"
            filler.write_bytes(bytes(shutil.disk_usage(disk).free - (3 << 20)))
            wait_for(lambda: ledger.fact("intake"))
            drop(folder, "during.nii", nifti(seed=2))
            with contextlib.suppress(OSError), (disk / "rest").open("wb") as rest:  # to the very last byte
                while True:
                    rest.write(bytes(4096))
                    rest.flush()
            with contextlib.suppress(AssertionError):
                wait_for(lambda: server.poll() is not None, 1.5)
            assert server.poll() is None, "the server must outlive a full disk"
            assert ledger.counts()[State.DONE] == 1 and (folder / "during.nii").exists()
            (disk / "rest").unlink()
            filler.unlink()
            wait_for(lambda: ledger.counts()[State.DONE] == 2)
            assert ledger.connection().execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            wait_for(lambda: not ledger.fact("intake"))
            assert len(results_in(home.output_of(settings))) == 2
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
