"""Kill -9 of server, worker and job at every commit, fsync and rename: nothing lost, nothing published twice, no input gone too early.

The truth each test checks against is the set of scans that were dropped, by the SHA-256 of their content. The same proofs run on the local
executor, on a cluster inside the server, and on one of separate processes.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from AutoSegmentQueueLib.executor_guard import marked
from AutoSegmentQueueLib.failpoints import VARIABLE
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.states import ACTIVE, ENDED, State
from queue_testing import (
    LIGHT,
    dicom,
    digest_of,
    drop,
    forked_server,
    nifti,
    opened_home,
    results_in,
    serving,
    wait_for,
)
from queue_testing.cluster import Cluster, running_cluster

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills by signal and reads /proc")

SCANS = 2  # whose steps are recorded
MOST_OPEN = 3
KILLS_IN_TEST = 100
KILLS_IN_PROOF = 1000
KILLS_ON_CLUSTER = {"local-cluster": 2, "nodes": 6}
CLUSTER_POINTS = [  # before, between and after what a cluster has to do with; the others are the ledger's alone
    ("worker.before-start", 1),
    ("worker.started", 1),
    ("publish.before-rename", 1),
    ("worker.started", 2),
    ("worker.validating", 1),
    ("publish.after-rename", 1),
    ("lease.taken", 2),
    ("worker.started", 3),
]
ON_CLUSTER = pytest.mark.parametrize("executor", ["local-cluster", "nodes"], indirect=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip("distributed")
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def executor(request: pytest.FixtureRequest) -> str:
    """What carries the work; "nodes" are two in processes of their own."""
    return str(request.getfixturevalue("cluster").address if request.param == "nodes" else request.param)


class Trial:
    """One home in which servers are killed; at the end everything dropped must be accounted for."""

    def __init__(self, root: Path, executor: str = "local") -> None:
        self.root, self.executor = root, executor
        self.dropped: dict[str, str] = {}  # SHA-256 of content -> name
        self.kills = 0
        changes = {"stable_seconds": 0.0, "rescan_seconds": 0.03, "losses": 10**6, "crashes": 10**6}
        with opened_home(root, **changes, lease_seconds=2.0, executor=executor):
            pass

    def drop(self, count: int) -> None:
        for _ in range(count):
            number = len(self.dropped)
            content = nifti(seed=number)
            drop(self.root / "input", f"scan{number % 7}_{number}.nii", content)
            self.dropped[hashlib.sha256(content).hexdigest()] = f"{number}"

    def server(self, plan: str = "") -> contextlib.AbstractContextManager[Any]:
        """A server with a fail point; with Dask a process of its own, because Dask does not stand a fork."""
        if self.executor == "local":
            return forked_server(self.root, plan)
        return serving(self.root, **({VARIABLE: plan} if plan else {}))

    def serve_until_killed(self, point: str, number: int) -> bool:
        """Serve with a fail point; returns whether it was reached before all was done."""
        with self.server(f"{point}:{number}:kill") as server:
            wait_for(lambda: server.poll() is not None or (self.all_done() and not self.inputs()), 30)
            killed = server.poll() == -signal.SIGKILL
        self.kills += killed
        return killed

    def serve_to_the_end(self) -> None:
        with self.server() as server:
            wait_for(lambda: server.poll() is not None or (self.all_done() and not self.inputs()), 60)
            assert server.poll() is None

    def all_done(self) -> bool:
        with_jobs = Ledger(Home(self.root).ledger)
        try:
            counts = with_jobs.counts()
            known = {job.sha256 for job in with_jobs.jobs([State.DONE])}
            return known >= self.dropped.keys() and not any(counts[state] for state in State if state not in ENDED)
        finally:
            with_jobs.close()

    def inputs(self) -> list[Path]:
        return list((self.root / "input").glob("*"))

    def check_nothing_lost(self) -> None:
        """At any moment: an input is in the folder, or its verified results are published."""
        published = {digest_of(result) for result in results_in(self.root / "output")}
        present = {hashlib.sha256(path.read_bytes()).hexdigest() for path in self.inputs()}
        assert self.dropped.keys() <= published | present

    def check_end(self) -> None:
        published = Counter(digest_of(result) for result in results_in(self.root / "output"))
        assert published.keys() == self.dropped.keys(), "a job was lost, or a result belongs to no input"
        assert set(published.values()) == {1}, "something was published twice"
        archived = {hashlib.sha256(p.read_bytes()).hexdigest() for p in (self.root / "archive").rglob("*.nii")}
        assert archived == self.dropped.keys(), "an input is not in the archive"
        ledger = Ledger(Home(self.root).ledger)
        assert {job.state for job in ledger.jobs()} == {State.DONE}
        assert ledger.connection().execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        ledger.close()
        assert not [path for path in (self.root / "output").iterdir() if path.name.startswith(".")], "a stage was left"
        assert not list((self.root / "work").iterdir()), "a private folder was left"


def recorded_points(root: Path) -> list[tuple[str, int]]:
    """Every place a server passes from its start until two scans are done, with its number of passage."""
    trial = Trial(root)
    trial.drop(SCANS)
    record = root / "passed.txt"
    with serving(root, **{VARIABLE: f"record:{record}"}) as server:
        wait_for(lambda: trial.all_done() and not trial.inputs(), 30)
        assert server.poll() is None
    return [
        (name, number) for name, count in Counter(record.read_text().split()).items() for number in range(1, count + 1)
    ]


def kill_at_points(root: Path, kills: int, points: list[tuple[str, int]], executor: str = "local") -> Trial:
    trial = Trial(root, executor)
    for point, number in itertools.islice(itertools.cycle(points), 4 * kills):
        if len(trial.inputs()) < MOST_OPEN:  # kills right after the start would pile them up
            trial.drop(1)
        trial.serve_until_killed(point, number)
        trial.check_nothing_lost()
        if trial.kills >= kills:
            break
    trial.serve_to_the_end()
    trial.check_end()
    return trial


def test_server_killed_at_every_recorded_step_loses_nothing_and_publishes_once(tmp_path: Path) -> None:
    points = recorded_points(tmp_path / "record")
    names = {name for name, _ in points}
    assert {"publish.before-rename", "publish.after-rename", "publish.synced", "ledger.before-commit"} <= names
    assert {"retention.before-move", "retention.after-move", "worker.started", "lease.taken"} <= names
    # Each place at its first passage always; the rest of the kills go to later passages, drawn with a fixed seed.
    first = [(name, 1) for name in sorted(names)]
    others = random.Random(7).sample([point for point in points if point[1] > 1], len(points) - len(first))
    trial = kill_at_points(tmp_path / "home", KILLS_IN_TEST, [*first, *others])
    assert trial.kills >= KILLS_IN_TEST


@ON_CLUSTER
def test_server_killed_while_a_cluster_works_loses_nothing_and_publishes_once(
    tmp_path: Path, executor: str, request: pytest.FixtureRequest
) -> None:
    kills = KILLS_ON_CLUSTER[request.node.callspec.params["executor"]]
    trial = kill_at_points(tmp_path / "home", kills, CLUSTER_POINTS, executor)
    assert trial.kills >= kills


@ON_CLUSTER
@pytest.mark.prove
@pytest.mark.timeout(3000)
def test_two_hundred_kills_of_the_server_of_a_cluster_lose_nothing(tmp_path: Path, executor: str) -> None:
    points = recorded_points(tmp_path / "record")
    random.Random(13).shuffle(points)
    trial = kill_at_points(tmp_path / "home", 200, points, executor)
    assert trial.kills >= 200


@pytest.mark.parametrize(
    ("point", "number"),
    [("gather.moved", 1), ("gather.moved", 3), ("gather.before-rename", 1), ("gather.after-rename", 1)],
)
def test_server_killed_while_it_gathers_slices_makes_one_scan_of_all(tmp_path: Path, point: str, number: int) -> None:
    trial = Trial(tmp_path / "home")
    slices = [dicom(seed=n) for n in range(4)]
    for n, content in enumerate(slices):
        drop(trial.root / "input", f"{n}.dcm", content)
    digests = sorted(hashlib.sha256(content).hexdigest() for content in slices)
    trial.dropped[hashlib.sha256("\n".join(digests).encode()).hexdigest()] = "series"
    assert trial.serve_until_killed(point, number), "the place was passed"
    left = [p for p in (trial.root / "input").rglob("*.dcm") if p.is_file()]
    assert sorted(hashlib.sha256(p.read_bytes()).hexdigest() for p in left) == digests, "a slice was lost or doubled"
    trial.serve_to_the_end()
    with opened(trial.root) as ledger:
        (job,) = ledger.jobs()
    assert (job.state, job.voxels) == (State.DONE, 4 * 64)
    archived = [p for p in (trial.root / "archive").rglob("*") if p.is_file()]
    assert sorted(hashlib.sha256(p.read_bytes()).hexdigest() for p in archived) == digests
    assert len(results_in(trial.root / "output")) == 1


@pytest.mark.prove
@pytest.mark.timeout(3000)
def test_a_thousand_kills_of_the_server_lose_nothing(tmp_path: Path) -> None:
    points = recorded_points(tmp_path / "record")
    random.Random(11).shuffle(points)
    trial = kill_at_points(tmp_path / "home", KILLS_IN_PROOF, points)
    assert trial.kills >= KILLS_IN_PROOF


def kill_jobs(root: Path, kills: int, seed: int, executor: str = "local") -> None:
    """Kill the processes of jobs, whichever run, while a server works."""
    draw = random.Random(seed)
    trial = Trial(root, executor)
    with serving(root) as server:
        while trial.kills < kills:
            if sum(1 for _ in (root / "input").glob("*")) < 4:
                content = nifti(f"sleep:{draw.uniform(0.02, 0.1):.3f}", seed=len(trial.dropped))
                drop(root / "input", f"s{len(trial.dropped)}.nii", content)
                trial.dropped[hashlib.sha256(content).hexdigest()] = ""
            with opened(root) as ledger:
                running = [f"{job.id}-{job.fence}" for job in ledger.jobs(ACTIVE)]
            for key in running:
                for pid in marked(f"WORKBENCH_QUEUE_JOB={key}"):
                    with contextlib.suppress(ProcessLookupError):  # it was quicker
                        os.kill(pid, signal.SIGKILL)
                        trial.kills += 1
        wait_for(lambda: trial.all_done() and not trial.inputs(), 60)
        assert server.poll() is None
    trial.check_end()


def opened(root: Path) -> contextlib.closing[Ledger]:
    return contextlib.closing(Ledger(Home(root).ledger))


def test_killed_jobs_are_tried_again_and_published_once(tmp_path: Path) -> None:
    kill_jobs(tmp_path / "home", 15, seed=3)


@pytest.mark.parametrize("executor", ["nodes"], indirect=True)
def test_killed_jobs_on_a_cluster_are_tried_again_and_published_once(tmp_path: Path, executor: str) -> None:
    kill_jobs(tmp_path / "home", 4, seed=3, executor=executor)


@pytest.mark.prove
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("executor", ["local", "local-cluster", "nodes"], indirect=True)
def test_two_hundred_killed_jobs_are_tried_again_and_published_once(tmp_path: Path, executor: str) -> None:
    kill_jobs(tmp_path / "home", 200, seed=5, executor=executor)


def test_light_settings_are_those_the_proofs_assume() -> None:
    assert LIGHT.validation == "manifest" and LIGHT.archive_days > 0
