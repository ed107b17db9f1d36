"""Workers with real child processes, here and on a cluster: retries, memory ladder, deadlines, cancel, orphans, frozen and killed workers.

Intake, ledger and publishing lie on this side of the executors; their tests are not repeated on a cluster.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from AutoSegmentQueueLib.adding import Wanted, add_path
from AutoSegmentQueueLib.executor_guard import marked
from AutoSegmentQueueLib.executor_local import LocalExecutor
from AutoSegmentQueueLib.failpoints import VARIABLE
from AutoSegmentQueueLib.publish import MANIFEST, drop_all_stages, results_stand
from AutoSegmentQueueLib.serve import serve
from AutoSegmentQueueLib.states import Failure, State
from AutoSegmentQueueLib.worker import Worker
from AutoSegmentQueueLib.worker_finish import Finisher
from DicomWorkbenchLib.errors import DependencyError, ProcessError
from DicomWorkbenchLib.progress import CancelToken
from queue_testing import (
    digest_of,
    drop,
    environment,
    is_running,
    nifti,
    opened_home,
    queue_command,
    results_in,
    serving,
    wait_for,
)
from queue_testing.cluster import Cluster, running_cluster

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
ORPHAN_SECONDS = 5.0


class Bench:
    """A home, scans added by name, and a worker in this process."""

    def __init__(self, home, settings, ledger, folder: Path) -> None:
        self.home, self.settings, self.ledger, self.folder = home, settings, ledger, folder
        self.count = 0

    def add(self, what: str = "ok", **more):
        self.count += 1
        path = drop(self.folder, f"scan{self.count}.nii", nifti(what, seed=self.count))
        os.utime(path, (1, 1))
        return add_path(self.home, self.ledger, path, Wanted(self.settings, **more))

    def work(self) -> None:
        worker = Worker(self.home, self.settings, self.ledger)
        assert isinstance(worker.executor, LocalExecutor) == (self.settings.executor == "local")
        try:
            worker.run(drain=True)
        finally:
            worker.close()

    def after(self, job):
        return self.ledger.job(job.id)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip("distributed")
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(params=["local", "nodes"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """A bench on the local executor, and one whose jobs run on a cluster of two nodes."""
    executor = request.getfixturevalue("cluster").address if request.param == "nodes" else "local"
    with opened_home(tmp_path / "home", crashes=2, executor=executor) as parts:
        yield Bench(*parts, tmp_path / "scans")


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Bench]:
    """A bench for what lies on this side of the executors."""
    with opened_home(tmp_path / "home", crashes=2) as parts:
        yield Bench(*parts, tmp_path / "scans")


@pytest.fixture(autouse=True)
def _retries_without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("AutoSegmentQueueLib.worker_finish.RETRY_SECONDS", (0.0, 0.0))


def test_a_job_is_run_verified_and_published(bench: Bench) -> None:
    job = bench.add()
    bench.work()
    done = bench.after(job)
    assert done.state is State.DONE and results_stand(done) and done.progress == 1.0
    assert digest_of(Path(done.output)) == done.sha256
    assert list(bench.home.work.iterdir()) == []
    assert Path(done.inputs[0]).exists(), "a scan that was added by name stays where it is"


def test_a_crash_is_tried_again_twice(bench: Bench) -> None:
    job = bench.add("crash:2")
    bench.work()
    done = bench.after(job)
    assert done.state is State.DONE and done.attempts == 3 and done.crashes == 2


def test_a_third_crash_is_quarantined_and_the_queue_goes_on(bench: Bench) -> None:
    poison, good = bench.add("crash"), bench.add()
    bench.work()
    assert bench.after(poison).state is State.QUARANTINED and bench.after(poison).attempts == 3
    assert "without a reason" in bench.after(poison).error
    assert bench.after(good).state is State.DONE


@pytest.mark.parametrize(("what", "failure"), [("bad", Failure.BAD_INPUT), ("engine", Failure.ENGINE)])
def test_what_will_never_work_fails_at_once_with_the_reason(bench: Bench, what: str, failure: Failure) -> None:
    job = bench.add(what)
    bench.work()
    failed = bench.after(job)
    assert (failed.state, failed.attempts, failed.error_class) == (State.FAILED, 1, failure)
    assert "the test asked for" in failed.error


def test_the_memory_ladder_is_taken_step_by_step_and_recorded(bench: Bench) -> None:
    job = bench.add("oom:2")
    bench.work()
    done = bench.after(job)
    assert done.state is State.DONE and done.ladder == 2 and done.crashes == 0
    assert done.options["force_split"] is True and done.options["quality"] == "fast"
    notes = [event.note for event in bench.ledger.history(job.id) if "memory" in event.note]
    assert [note.rsplit(" ", 1)[1] for note in notes] == ["split", "fast"]


def test_at_the_end_of_the_ladder_the_job_fails(bench: Bench) -> None:
    job = bench.add("oom")
    bench.work()
    assert bench.after(job).state is State.FAILED and bench.after(job).error_class == Failure.OUT_OF_MEMORY
    assert bench.after(job).attempts == 4


@pytest.mark.parametrize("what", ["torn", "empty"])
def test_results_that_do_not_match_their_manifest_are_never_published(bench: Bench, what: str) -> None:
    job = bench.add(what)
    bench.work()
    assert bench.after(job).state is State.QUARANTINED
    assert "not valid" in bench.after(job).error
    assert results_in(bench.home.output_of(bench.settings)) == []


def test_a_job_is_ended_at_its_deadline(bench: Bench) -> None:
    bench.settings = replace(bench.settings, deadline_seconds=0.3, crashes=0)
    job = bench.add("hang")
    bench.work()
    assert bench.after(job).state is State.QUARANTINED and bench.after(job).error_class == Failure.TIMEOUT


def test_an_input_that_changes_while_it_is_read_is_looked_at_again(bench: Bench) -> None:
    job = bench.add("changed")
    bench.work()
    assert bench.after(job).state is State.STABILISING
    assert results_in(bench.home.output_of(bench.settings)) == []


def test_an_input_that_was_taken_away_fails_with_the_reason(bench: Bench) -> None:
    job = bench.add()
    Path(job.inputs[0]).unlink()
    bench.work()
    assert bench.after(job).state is State.FAILED and "taken away" in bench.after(job).error


def test_a_folder_of_the_users_is_never_overwritten(bench: Bench) -> None:
    theirs = bench.home.output_of(bench.settings) / "scan1"
    theirs.mkdir(parents=True)
    (theirs / "thesis.txt").write_text("mine")
    job = bench.add()
    bench.work()
    assert Path(bench.after(job).output).name == "scan1_2"
    assert [path.name for path in theirs.iterdir()] == ["thesis.txt"]


def test_a_program_that_cannot_be_started_is_tried_again_not_lost(bench: Bench) -> None:
    bench.settings = replace(bench.settings, child_command=("no-such-program-anywhere",))
    job = bench.add()
    worker = Worker(bench.home, bench.settings, bench.ledger)

    def refused() -> bool:
        worker.round()
        said = ("could not be started", "the node cannot work on it: No such file")
        return any(event.note.startswith(said) for event in bench.ledger.history(job.id))

    wait_for(refused)  # a node says so a moment later
    worker.close()
    assert bench.after(job).state is State.QUEUED and bench.after(job).crashes == 0


def test_logs_hold_ids_and_no_names(bench: Bench) -> None:
    path = drop(bench.folder, "Mustermann_Max.nii", nifti())
    job = add_path(bench.home, bench.ledger, path, Wanted(bench.settings))
    bench.work()
    text = bench.home.log_of(job.id).read_text()
    assert job.id in text and "Mustermann" not in text


def test_shutdown_gives_running_jobs_back(bench: Bench) -> None:
    job = bench.add("hang")
    worker = Worker(bench.home, bench.settings, bench.ledger)
    worker.round()
    assert bench.after(job).state is State.RUNNING
    worker.close()
    assert bench.after(job).state is State.QUEUED and bench.after(job).crashes == 0


def worker_process(bench: Bench, plan: str = "", *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        queue_command("work", "--home", str(bench.home.root), "--stay", *more),
        env=environment(**({VARIABLE: plan} if plan else {})),
        stderr=subprocess.DEVNULL,
    )


def pids_in(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


@LINUX
@pytest.mark.parametrize("how", ["cancel", "kill worker", "kill worker group", "stop worker"])
def test_no_process_of_a_job_is_left_after_cancel_or_kill(bench: Bench, tmp_path: Path, how: str) -> None:
    pid_file = tmp_path / "p"
    job = bench.add(f"child:{pid_file}")
    worker = worker_process(bench)
    try:
        pids = wait_for(lambda: len(pids_in(pid_file)) == 3 and pids_in(pid_file))
        assert all(is_running(pid) for pid in pids)
        began = time.monotonic()
        if how == "cancel":
            bench.ledger.cancel(job.id)
        else:
            worker.send_signal(signal.SIGTERM if how == "stop worker" else signal.SIGKILL)
        wait_for(lambda: not any(is_running(pid) for pid in pids), ORPHAN_SECONDS)
        assert time.monotonic() - began < ORPHAN_SECONDS
        if how == "cancel":
            wait_for(lambda: bench.after(job).state is State.CANCELLED)
    finally:
        worker.kill()
        worker.wait()


@LINUX
def test_a_job_that_ignores_the_polite_signal_is_killed(bench: Bench) -> None:
    job = bench.add("stubborn")
    worker = worker_process(bench)
    try:
        wait_for(lambda: bench.after(job).state is State.RUNNING and bench.after(job).progress > 0)
        bench.ledger.cancel(job.id)
        wait_for(lambda: bench.after(job).state is State.CANCELLED, ORPHAN_SECONDS)
    finally:
        worker.kill()
        worker.wait()


@LINUX
def test_a_killed_worker_loses_nothing_and_another_goes_on_at_once(bench: Bench) -> None:
    jobs = [bench.add("sleep:0.2") for _ in range(4)]
    for _ in range(3):
        worker = worker_process(bench)
        wait_for(lambda: bench.ledger.counts()[State.RUNNING])
        worker.kill()
        worker.wait()
    began = time.monotonic()
    bench.work()
    assert time.monotonic() - began < 10, "within the ten seconds of the reference"
    assert {bench.after(job).state for job in jobs} == {State.DONE}
    assert len(results_in(bench.home.output_of(bench.settings))) == 4


@LINUX
@pytest.mark.parametrize(
    "point",
    [
        "worker.started",
        "publish.before-rename",
        "publish.after-rename",
        pytest.param("worker.validating", marks=pytest.mark.prove),
        pytest.param("publish.staged", marks=pytest.mark.prove),
    ],
)
def test_a_frozen_worker_that_wakes_up_publishes_nothing_a_second_time(bench: Bench, point: str) -> None:
    bench.settings = replace(bench.settings, lease_seconds=1.5)
    bench.home.save(bench.settings)
    job = bench.add()
    zombie = worker_process(bench, f"{point}:1:stop")
    output = bench.home.output_of(bench.settings)
    try:
        wait_for(lambda: Path(f"/proc/{zombie.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        wait_for(lambda: bench.ledger.clock() > (bench.after(job).lease_until or 0))
        bench.work()  # another worker takes the job over when the lease has run out
        done = bench.after(job)
        assert done.state is State.DONE
        before = sorted((p.name, p.stat().st_ino, p.stat().st_mtime_ns) for p in results_in(output))
        manifest = json.loads((Path(done.output) / MANIFEST).read_text())
        zombie.send_signal(signal.SIGCONT)
        time.sleep(1.0)
        assert sorted((p.name, p.stat().st_ino, p.stat().st_mtime_ns) for p in results_in(output)) == before
        assert json.loads((Path(done.output) / MANIFEST).read_text()) == manifest
        assert bench.after(job) == done, "the one that woke up has no say in the ledger either"
        assert [path for path in output.iterdir() if path.name.startswith(".")] == []
    finally:
        zombie.send_signal(signal.SIGCONT)
        zombie.kill()
        zombie.wait()


def test_only_one_server_serves_a_home(tmp_path: Path) -> None:
    with opened_home(tmp_path / "home"):
        pass
    with serving(tmp_path / "home") as first:
        wait_for(lambda: first.stderr and "ready" in first.stderr.readline())
        with serving(tmp_path / "home") as second:
            assert second.wait(20) == 1 and "served already" in second.stderr.read()


def test_stages_nobody_works_on_are_removed_and_those_of_others_stay(local: Bench) -> None:
    job, output = local.add(), local.home.output_of(local.settings)
    local.work()
    for name in (
        f".x.partial-{job.id}-1",
        f".trash.partial-{job.id}-ab12",
        ".theirs.partial-0123456789ab",
        ".y.partial-zzzzzzzz-1",
    ):
        (output / name).mkdir()
    drop_all_stages(local.ledger, output)
    left = sorted(path.name for path in output.iterdir())
    assert left == [".theirs.partial-0123456789ab", ".y.partial-zzzzzzzz-1", "scan1"]


def test_a_server_whose_intake_dies_stops_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object) -> int:
        raise RuntimeError("nobody expected this")

    monkeypatch.setattr("AutoSegmentQueueLib.intake.Intake.look", broken)
    monkeypatch.setattr("threading.excepthook", lambda error: None)
    with (
        opened_home(tmp_path / "home") as (home, settings, ledger),
        pytest.raises(ProcessError, match="intake has ended"),
    ):
        serve(home, settings, ledger, CancelToken(), lambda: None, lambda text: None)


def test_slots_are_per_device(tmp_path: Path) -> None:
    with opened_home(tmp_path / "home", slots=2) as parts:
        bench = Bench(*parts, tmp_path / "scans")
        gpu = replace(bench.settings, segmentation=replace(bench.settings.segmentation, device="gpu"))
        for _ in range(3):
            bench.add("hang")
            bench.settings, cpu = gpu, bench.settings
            bench.add("hang")
            bench.settings = cpu
        worker = Worker(bench.home, bench.settings, bench.ledger)
        worker.round()
        running = sorted(job.device for job in bench.ledger.jobs([State.RUNNING]))
        worker.close()
        assert running == ["cpu", "cpu", "gpu:0", "gpu:0"]


def test_the_next_job_runs_while_the_last_is_judged_but_no_more_than_one(
    local: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One slot: a judge that is held up lets one more job run to its end, and not a third one begin."""
    may_judge = threading.Event()
    finish = Finisher.finish
    monkeypatch.setattr(Finisher, "finish", lambda *given: may_judge.wait(30) and finish(*given))
    jobs = [local.add() for _ in range(4)]
    worker = Worker(local.home, local.settings, local.ledger)

    def ended() -> int:
        worker.round()
        worker.executor.wait(0.02)
        return sum(not held.runs for held in worker._held.values())

    wait_for(lambda: ended() == 2, every=0)
    for _ in range(5):
        ended()
    states = [local.after(job).state for job in jobs]
    may_judge.set()
    worker.run(drain=True)
    worker.close()
    assert states == [State.RUNNING, State.RUNNING, State.QUEUED, State.QUEUED]
    assert {local.after(job).state for job in jobs} == {State.DONE}


@LINUX
def test_a_process_in_a_session_of_its_own_is_found_by_its_mark_also_after_a_long_time(tmp_path: Path) -> None:
    variable = f"QUEUE_TEST_MARK={tmp_path.name}"
    command = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]
    name, value = variable.split("=")
    process = subprocess.Popen(command, env={**os.environ, name: value}, start_new_session=True)
    try:
        wait_for(lambda: process.pid in marked(variable))
        subprocess.run([*command[:-1], "pass"], check=True)  # so that numbers have gone on
        assert marked(variable, first=process.pid) == [process.pid]
        assert marked(variable, first=process.pid + 1) == [], "one that was started before is passed over"
        assert marked(variable, first=1 << 40) == [process.pid], "numbers have begun again: all are looked at"
    finally:
        process.kill()
        process.wait()


def test_an_executor_ends_everything_when_it_is_closed(tmp_path: Path) -> None:
    from AutoSegmentQueueLib.executor import Order

    executor = LocalExecutor(1)
    command = (sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)")
    executor.submit(Order("a-1", command, tmp_path, tmp_path / "out", tmp_path / "err"))
    assert executor.capacity()["cpu"] == 0
    (pid,) = [child.process.pid for child in executor._children.values()]
    executor.close()
    assert not is_running(pid)


def test_a_kind_that_is_not_there_is_refused_before_it_is_queued(local: Bench) -> None:
    with pytest.raises((ValueError, DependencyError), match="no kind"):
        local.add(kind="magic")
