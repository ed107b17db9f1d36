"""A cluster that loses what it has: scheduler, nodes, network; one that is frozen and wakes up late; and what a cancel reaches.

The truth is the set of scans that were queued, by the SHA-256 of their content: each must be published, once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from AutoSegmentQueueLib.adding import Wanted, add_path
from AutoSegmentQueueLib.cluster.settings import ClusterSettings
from AutoSegmentQueueLib.executor_guard import marked
from AutoSegmentQueueLib.states import State
from AutoSegmentQueueLib.worker import Worker
from queue_testing import drop, is_running, nifti, opened_home, serving, wait_for
from queue_testing.cluster import LOST_SECONDS, Cluster, kill, node_of, running_cluster
from queue_testing.cluster_queue import Queue

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="kills by signal and reads /proc"),
    pytest.mark.needs("module:distributed"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes on loopback; a test that kills something starts it again."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def queue(tmp_path: Path, cluster: Cluster) -> Iterator[Callable[..., Queue]]:
    with contextlib.ExitStack() as stack:

        def opened(**cluster_settings: object) -> Queue:
            changes = {"executor": cluster.address, "losses": 20}
            settings = ClusterSettings(**{"lost_seconds": LOST_SECONDS, **cluster_settings})  # type: ignore[arg-type]
            queue = Queue(tmp_path, *stack.enter_context(opened_home(tmp_path / "home", cluster=settings, **changes)))
            stack.callback(queue.stop)
            queue.start()
            return queue

        yield opened


def test_killed_nodes_and_a_killed_scheduler_lose_nothing_and_publish_once(
    cluster: Cluster, queue: Callable[..., Queue]
) -> None:
    ours = queue()
    for _ in range(12):
        ours.add("sleep:0.5")
    wait_for(lambda: ours.count(State.RUNNING) == 2)
    kill(cluster.nodes[0])
    wait_for(lambda: ours.count(State.DONE) >= 2)
    kill(cluster.scheduler)
    wait_for(lambda: ours.count(State.DONE) >= 2 and not ours.children())  # the node has noticed and ended its job
    cluster.start_scheduler()  # on the same port; node and queue find it again
    cluster.start_node()
    ours.wait_done()
    ours.check()
    notes = {event.note for job in ours.ledger.jobs() for event in ours.ledger.history(job.id)}
    assert {"its node was lost", "the connection to the scheduler was lost"} <= notes


def test_a_frozen_node_that_wakes_up_late_is_locked_out_and_ends_its_job(
    cluster: Cluster, queue: Callable[..., Queue]
) -> None:
    ours = queue()
    job = ours.add("sleep:6")
    wait_for(lambda: ours.children())
    frozen = node_of(cluster, ours.children()[0])
    child = ours.children()[0]
    os.kill(frozen.pid, signal.SIGSTOP)
    wait_for(lambda: ours.ledger.job(job.id).fence == 2 and ours.count(State.RUNNING) == 1)  # another node has it
    assert is_running(child)  # nobody could end it
    os.kill(frozen.pid, signal.SIGCONT)
    wait_for(lambda: not is_running(child), 5.0)
    ours.wait_done()
    ours.check()
    assert ours.ledger.job(job.id).fence == 2


def test_a_cancel_reaches_everything_the_job_has_started_on_its_node(
    cluster: Cluster, queue: Callable[..., Queue], tmp_path: Path
) -> None:
    ours = queue()
    pids = tmp_path / "pids"
    job = ours.add(f"child:{os.path.relpath(pids, tmp_path / 'home' / 'work' / 'x')}")
    wait_for(lambda: pids.exists() and pids.read_text().count("\n") == 3)
    started = [int(line) for line in pids.read_text().split()]
    ours.ledger.cancel(job.id)
    wait_for(lambda: not any(is_running(pid) for pid in started), 10.0)
    wait_for(lambda: ours.ledger.job(job.id).state is State.CANCELLED, 10.0)


def test_a_node_ends_the_job_of_a_queue_that_was_killed(cluster: Cluster, tmp_path: Path) -> None:
    with opened_home(tmp_path / "home", executor=cluster.address) as (home, settings, ledger):
        with serving(tmp_path / "home") as server:
            drop(home.input_of(settings), "scan.nii", nifti("hang"))
            key = wait_for(lambda: [f"{j.id}-{j.fence}" for j in ledger.jobs([State.RUNNING])])[0]
            wait_for(lambda: marked(f"WORKBENCH_QUEUE_JOB={key}"))
            server.kill()
        wait_for(lambda: not marked(f"WORKBENCH_QUEUE_JOB={key}"), 15.0)


def test_a_deadline_is_kept_by_the_node(cluster: Cluster, tmp_path: Path) -> None:
    with opened_home(tmp_path / "home", executor=cluster.address, deadline_seconds=0.5, crashes=0) as (
        home,
        settings,
        ledger,
    ):
        scan = tmp_path / "scan.nii"
        scan.write_bytes(nifti("hang"))
        job = add_path(home, ledger, scan, Wanted(settings))
        worker = Worker(home, settings, ledger)
        worker.run(drain=True)
        worker.close()
        assert ledger.job(job.id).state is State.QUARANTINED
        assert "deadline" in (ledger.job(job.id).error or "")


def _noop_jobs(queue: Callable[..., Queue], count: int) -> None:
    ours = queue(lost_seconds=60.0)  # nothing is to be lost here, however busy the machine
    for _ in range(count):
        ours.add("ok")
    ours.wait_done(seconds=2.0 * count)
    ours.check()
    assert {job.fence for job in ours.ledger.jobs()} == {1}


def test_three_hundred_jobs_pass_through_a_cluster_each_once(queue: Callable[..., Queue]) -> None:
    _noop_jobs(queue, 300)


@pytest.mark.prove
@pytest.mark.timeout(6000)
def test_ten_thousand_jobs_pass_through_a_cluster_each_once(queue: Callable[..., Queue]) -> None:
    _noop_jobs(queue, 10_000)
