"""The ledger: states, fences, leases, links of equal content, history. A state machine compares it with a simple model."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import pytest
from AutoSegmentQueueLib.ledger import Content, Ledger, NewJob
from AutoSegmentQueueLib.ledger_leases import Heartbeat
from AutoSegmentQueueLib.ledger_rows import Step
from AutoSegmentQueueLib.ledger_schema import MIGRATIONS, migrate
from AutoSegmentQueueLib.ledger_store import LedgerError, NoSuchJob, NotAllowed, StaleFence
from AutoSegmentQueueLib.states import ACTIVE, ENDED, RETRYABLE, TRANSITIONS, WAITING, Failure, State
from DicomWorkbenchLib.errors import OutputError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule


@pytest.fixture
def ledger(tmp_path: Path):
    opened = Ledger(tmp_path / "ledger.sqlite3")
    yield opened
    opened.close()


def queued(ledger: Ledger, name: str = "scan", sha: str = "", **more):
    return ledger.enqueue(NewJob(name, **more), Content(sha or name, 10))


def run(ledger: Ledger, owner: str = "me"):
    job = ledger.lease(owner, 10)
    assert job is not None
    return ledger.begin(job.id, job.fence)


def finished(ledger: Ledger, output: Path):
    job = run(ledger)
    output.mkdir(parents=True)
    ledger.validate(job.id, job.fence)
    return ledger.finish(job.id, job.fence, str(output))


def test_every_state_is_waiting_active_or_an_end() -> None:
    assert sorted([*WAITING, *ACTIVE, *ENDED]) == sorted(State)
    assert all(TRANSITIONS[state] for state in State if state is not State.DONE)
    assert not TRANSITIONS[State.DONE]


def test_a_job_goes_through_the_states_in_order(ledger: Ledger, tmp_path: Path) -> None:
    queued(ledger)
    job = finished(ledger, tmp_path / "out")
    states = [event.state for event in ledger.history(job.id)]
    assert states == ["received", "stabilising", "queued", "leased", "running", "validating", "done"]
    assert job.attempts == 1 and job.fence == 1 and job.output == str(tmp_path / "out")


def test_higher_priority_first_then_in_the_order_they_came(ledger: Ledger) -> None:
    names = [("a", 0), ("b", 5), ("c", 0), ("d", 5)]
    for name, priority in names:
        queued(ledger, name, priority=priority)
    assert [ledger.lease("me", 10).name for _ in names] == ["b", "d", "a", "c"]
    assert ledger.lease("me", 10) is None


def test_a_full_device_is_passed_over(ledger: Ledger) -> None:
    queued(ledger, "gpu", options={"device": "gpu"})
    queued(ledger, "cpu")
    assert ledger.lease("me", 10, full=["gpu:0"]).name == "cpu"


def test_equal_content_runs_once_and_the_others_are_done_with_it(ledger: Ledger, tmp_path: Path) -> None:
    first, second = queued(ledger, "one", sha="same"), queued(ledger, "two", sha="same")
    assert second.link_of == first.id
    done = finished(ledger, tmp_path / "out")
    assert ledger.lease("me", 10) is None, "the link must not run"
    assert ledger.job(second.id).state is State.DONE and ledger.job(second.id).output == done.output
    third = queued(ledger, "three", sha="same")
    assert third.state is State.DONE and third.output == done.output


def test_equal_content_of_which_something_else_is_wanted_runs_on_its_own(ledger: Ledger) -> None:
    queued(ledger, sha="same", options={"quality": "fast"})
    assert queued(ledger, sha="same", options={"quality": "normal"}).link_of is None


def test_equal_content_runs_again_when_its_results_were_taken_away(ledger: Ledger, tmp_path: Path) -> None:
    queued(ledger, sha="same")
    finished(ledger, tmp_path / "out")
    (tmp_path / "out").rmdir()
    assert queued(ledger, sha="same").state is State.QUEUED


def test_links_fail_with_the_job_that_did_the_work(ledger: Ledger) -> None:
    queued(ledger, sha="same")
    link = queued(ledger, sha="same")
    job = run(ledger)
    ledger.fail(job.id, job.fence, Failure.BAD_INPUT, "broken")
    assert ledger.job(link.id).state is State.FAILED and ledger.job(link.id).error == "broken"


def test_cancelling_the_first_of_equal_scans_leaves_the_work_to_the_next(ledger: Ledger) -> None:
    first, second, third = (queued(ledger, name, sha="same") for name in "abc")
    ledger.cancel(first.id)
    assert ledger.lease("me", 10).id == second.id
    assert ledger.job(third.id).link_of == second.id


def test_an_old_fence_has_no_say(ledger: Ledger) -> None:
    queued(ledger)
    old = run(ledger)
    ledger.reclaim(5, lambda job: False, gone=lambda owner: True)
    new = run(ledger, "other")
    assert new.fence > old.fence
    for attempt in (
        lambda: ledger.validate(old.id, old.fence),
        lambda: ledger.finish(old.id, old.fence, "x"),
        lambda: ledger.fail(old.id, old.fence, Failure.ENGINE, "x"),
        lambda: ledger.reserve(old.id, old.fence, ["x"]),
        lambda: ledger.check_fence(old.id, old.fence),
    ):
        with pytest.raises(StaleFence):
            attempt()
    assert ledger.job(new.id).state is State.RUNNING


def test_a_lease_runs_out_and_a_heartbeat_prolongs_it(ledger: Ledger) -> None:
    clock = [100.0]
    ledger.clock = lambda: clock[0]
    queued(ledger)
    job = ledger.lease("other|1|x|y", 10)
    clock[0] = 109
    ledger.beat({job.id: Heartbeat(job.fence, 0.5, "half")}, 10)
    clock[0] = 118
    assert ledger.reclaim(5, lambda job: False) == []
    clock[0] = 120
    assert [one.state for one in ledger.reclaim(5, lambda job: False)] == [State.QUEUED]
    answer = ledger.beat({job.id: Heartbeat(job.fence, 0.6, "")}, 10)
    assert answer.lost == {job.id}


def test_a_lease_from_before_the_machine_started_again_has_run_out(ledger: Ledger) -> None:
    clock = [1_000_000.0]
    ledger.clock = lambda: clock[0]
    queued(ledger)
    ledger.lease("other|1|x|y", 10)
    clock[0] = 5.0  # the monotonic clock begins anew with the machine
    assert len(ledger.reclaim(5, lambda job: False)) == 1


def test_a_job_that_loses_its_worker_too_often_is_quarantined(ledger: Ledger) -> None:
    queued(ledger)
    states = []
    for _ in range(3):
        run(ledger)
        states += [job.state for job in ledger.reclaim(2, lambda job: False, gone=lambda owner: True)]
    assert states == [State.QUEUED, State.QUEUED, State.QUARANTINED]


def test_published_before_the_worker_was_lost_counts_as_done(ledger: Ledger) -> None:
    queued(ledger)
    job = run(ledger)
    ledger.validate(job.id, job.fence)
    ledger.reserve(job.id, job.fence, ["/results/scan"])
    (after,) = ledger.reclaim(5, lambda job: True, gone=lambda owner: True)
    assert after.state is State.DONE and after.output == "/results/scan"


def test_no_two_jobs_get_the_same_output_folder(ledger: Ledger) -> None:
    for name in "ab":
        queued(ledger, name)
    one, two = run(ledger), run(ledger)
    assert ledger.reserve(one.id, one.fence, ["scan", "scan_2"]) == "scan"
    assert ledger.reserve(two.id, two.fence, ["scan", "scan_2"]) == "scan_2"
    assert ledger.reserve(one.id, one.fence, ["other"]) == "scan", "once and for all attempts"


def test_a_running_job_is_cancelled_by_its_worker_only(ledger: Ledger) -> None:
    queued(ledger)
    job = run(ledger)
    assert ledger.cancel(job.id).state is State.RUNNING
    assert ledger.beat({job.id: Heartbeat(job.fence, 0, "")}, 10).cancel == {job.id}
    assert ledger.cancelled(job.id, job.fence).state is State.CANCELLED
    with pytest.raises(NotAllowed):
        ledger.cancel(job.id)


def test_retry_puts_only_ended_failures_back(ledger: Ledger, tmp_path: Path) -> None:
    queued(ledger, "fails")
    job = run(ledger)
    with pytest.raises(NotAllowed, match="running"):
        ledger.retry(job.id)
    ledger.fail(job.id, job.fence, Failure.ENGINE, "no")
    again = ledger.retry(job.id)
    assert again.state is State.QUEUED and again.error is None and again.crashes == 0


def test_a_paused_queue_gives_no_jobs_also_after_a_restart(ledger: Ledger) -> None:
    queued(ledger)
    ledger.set_paused(True)
    other = Ledger(ledger.path)
    assert other.lease("me", 10) is None
    other.set_paused(False)
    other.close()
    assert ledger.lease("me", 10) is not None


def test_a_chain_goes_on_with_what_was_published(ledger: Ledger, tmp_path: Path) -> None:
    queued(ledger, chain=(Step("tumors", {"organ": "liver"}), Step("optimize")), owned=True, source="/in/scan.nii")
    first = finished(ledger, tmp_path / "one")
    assert ledger.undisposed() == [], "the input is needed until the chain has ended"
    second = run(ledger)
    assert (second.kind, second.parent, second.inputs) == ("tumors", first.id, (str(tmp_path / "one"),))
    assert second.options == {"organ": "liver"} and ledger.origin(second).id == first.id
    (tmp_path / "two").mkdir()
    ledger.validate(second.id, second.fence)
    ledger.finish(second.id, second.fence, str(tmp_path / "two"))
    third = finished(ledger, tmp_path / "three")
    assert third.kind == "optimize" and third.chain == ()
    assert [job.id for job in ledger.undisposed()] == [first.id]


def test_history_cannot_be_changed_or_deleted(ledger: Ledger) -> None:
    queued(ledger)
    for statement in ("UPDATE history SET note = 'x'", "DELETE FROM history"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            ledger.connection().execute(statement)


def test_events_are_replayed_from_any_number(ledger: Ledger) -> None:
    for name in "abc":
        queued(ledger, name)
    everything = ledger.events()
    assert [event.event for event in everything] == list(range(1, 10))
    assert ledger.events(after=7) == everything[7:]


def test_a_job_is_found_by_the_beginning_of_its_id(ledger: Ledger) -> None:
    job = queued(ledger)
    assert ledger.job(job.id[:5]).id == job.id
    for wrong in ("", "zzzzzzzzz", "%"):
        with pytest.raises(NoSuchJob):
            ledger.job(wrong)


def test_an_older_ledger_is_brought_up_to_date_and_a_newer_one_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "l.sqlite3", isolation_level=None)
    migrate(connection)
    more = (*MIGRATIONS, "ALTER TABLE jobs ADD COLUMN colour TEXT NOT NULL DEFAULT 'red';")
    migrate(connection, more)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(more)
    assert "colour" in [row[1] for row in connection.execute("PRAGMA table_info(jobs)")]
    with pytest.raises(OutputError, match="update DicomWorkbench"):
        migrate(connection)
    connection.close()


def test_a_migration_that_fails_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "l.sqlite3", isolation_level=None)
    migrate(connection)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, (*MIGRATIONS, "CREATE TABLE extra (x);\nCREATE TABLE jobs (x);"))
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'extra'").fetchone()
    connection.close()


def test_a_file_that_is_no_ledger_is_named_in_the_error(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"this is no data base" * 100)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite3"):
        Ledger(path)


class LedgerMachine(RuleBasedStateMachine):
    """Workers, users and crashes in any order, against a model that only knows which scans must still come to an end."""

    jobs: Bundle[str] = Bundle("jobs")
    leases: Bundle[tuple[str, int]] = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.ledger = Ledger(self.root / "ledger.sqlite3")
        self.time = 0.0
        self.ledger.clock = lambda: self.time
        self.fences: dict[str, int] = {}
        self.known: set[str] = set()
        self.published: dict[str, int] = {}

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()

    @rule(target=jobs, content=st.sampled_from("abcde"), priority=st.integers(-1, 1))
    def add(self, content: str, priority: int) -> str:
        job = self.ledger.enqueue(NewJob(content, priority=priority), Content(content, 1))
        self.known.add(job.id)
        return job.id

    @rule(target=leases, seconds=st.sampled_from([1.0, 10.0]))
    def take(self, seconds: float):
        job = self.ledger.lease("w", seconds)
        if job is None:
            return multiple()
        assert job.link_of is None and job.fence > self.fences.get(job.id, 0)
        self.fences[job.id] = job.fence
        return job.id, job.fence

    @rule(lease=leases)
    def begin(self, lease) -> None:
        self._try(lease, State.LEASED, lambda: self.ledger.begin(*lease))

    @rule(lease=leases)
    def validate(self, lease) -> None:
        self._try(lease, State.RUNNING, lambda: self.ledger.validate(*lease))

    @rule(lease=leases)
    def publish(self, lease) -> None:
        def act() -> None:
            name = self.ledger.reserve(*lease, [f"out/{lease[0]}"])
            self.ledger.finish(*lease, name)
            self.published[lease[0]] = self.published.get(lease[0], 0) + 1

        self._try(lease, State.VALIDATING, act)

    @rule(lease=consumes(leases))
    def crash(self, lease) -> None:
        self._try(lease, None, lambda: self.ledger.crashed(*lease, 2, Failure.CRASH, "x", 0.0))

    @rule(lease=consumes(leases))
    def fail(self, lease) -> None:
        self._try(lease, None, lambda: self.ledger.fail(*lease, Failure.BAD_INPUT, "x"))

    @rule(job=jobs)
    def cancel(self, job: str) -> None:
        before = self.ledger.job(job)
        try:
            self.ledger.cancel(job)
        except NotAllowed:
            assert before.state in ENDED

    @rule(job=jobs)
    def retry(self, job: str) -> None:
        before = self.ledger.job(job)
        same = [j for j in self.ledger.jobs() if j.key == before.key and j.state not in RETRYABLE and not j.link_of]
        if same:
            return  # tried again through intake, which links it; here there is no file
        try:
            self.ledger.retry(job)
        except NotAllowed:
            assert before.state not in RETRYABLE

    @rule(seconds=st.floats(0.5, 20))
    def time_passes(self, seconds: float) -> None:
        self.time += seconds

    @precondition(lambda self: bool(self.fences))
    @rule()
    def reclaim(self) -> None:
        for job in self.ledger.reclaim(3, lambda job: False):
            assert job.state in (State.QUEUED, State.CANCELLED, State.QUARANTINED)

    @rule()
    def restart(self) -> None:
        self.ledger.close()
        self.ledger = Ledger(self.root / "ledger.sqlite3")
        self.ledger.clock = lambda: self.time

    def _try(self, lease, needed: State | None, act) -> None:
        """Only who holds the job with the newest fence may act, and only in the right state."""
        job = self.ledger.job(lease[0])
        holds = job.fence == lease[1] and job.state in ACTIVE
        try:
            act()
        except (StaleFence, NotAllowed):
            assert not holds or (needed is not None and job.state is not needed)
        else:
            assert holds

    @invariant()
    def no_job_is_lost(self) -> None:
        assert {job.id for job in self.ledger.jobs()} == self.known

    @invariant()
    def nothing_is_published_twice(self) -> None:
        assert all(count == 1 for count in self.published.values())
        done = {job.id for job in self.ledger.jobs([State.DONE]) if not job.link_of}
        assert done == set(self.published)

    @invariant()
    def equal_content_runs_once_at_a_time(self) -> None:
        running = [job.key for job in self.ledger.jobs(ACTIVE)]
        assert len(running) == len(set(running))

    @invariant()
    def history_tells_the_present_state(self) -> None:
        for job in self.ledger.jobs():
            assert self.ledger.history(job.id)[-1].state is job.state

    @invariant()
    def only_active_jobs_have_a_lease(self) -> None:
        for job in self.ledger.jobs():
            assert (job.lease_owner is not None) == (job.state in ACTIVE)


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_the_state_machine_holds_for_many_more_steps() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    long = settings(max_examples=400, stateful_step_count=80, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(LedgerMachine, settings=long)
