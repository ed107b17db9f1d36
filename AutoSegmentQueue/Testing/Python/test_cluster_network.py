"""Nodes in network namespaces of their own, and a cut between one of them and the rest, mended later.

The truth is the set of scans that were queued, by the SHA-256 of their content: each must be published, once.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from AutoSegmentQueueLib.cluster.settings import ClusterSettings
from AutoSegmentQueueLib.states import State
from queue_testing import is_running, opened_home, wait_for
from queue_testing.cluster import LOST_SECONDS, Cluster, node_of
from queue_testing.cluster_queue import Queue

BRIDGE, NETWORK = f"wbq{os.getpid() % 100000}", f"10.{200 + os.getpid() % 50}.77"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _why_not() -> str:
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    try:
        ip("netns", "add", f"{BRIDGE}try")
        ip("netns", "delete", f"{BRIDGE}try")
    except (OSError, subprocess.CalledProcessError) as error:
        return f"network namespaces cannot be made here ({type(error).__name__})"
    return ""


@contextlib.contextmanager
def networks(count: int) -> Iterator[list[tuple[str, str, str]]]:
    """Namespaces on one bridge, each as (name, address, our end of its cable)."""
    made: list[tuple[str, str, str]] = []
    try:
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("address", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for number in range(count):
            name, address, ours, theirs = (
                f"{BRIDGE}n{number}",
                f"{NETWORK}.{number + 2}",
                f"{BRIDGE}a{number}",
                f"{BRIDGE}b{number}",
            )
            ip("netns", "add", name)
            made.append((name, address, ours))
            ip("link", "add", ours, "type", "veth", "peer", "name", theirs)
            ip("link", "set", theirs, "netns", name)
            ip("link", "set", ours, "master", BRIDGE, "up")
            ip("-n", name, "address", "add", f"{address}/24", "dev", theirs)
            ip("-n", name, "link", "set", theirs, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield made
    finally:
        for name, _, ours in made:
            subprocess.run(["ip", "link", "delete", ours], capture_output=True, check=False)
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "delete", BRIDGE], capture_output=True, check=False)


@pytest.mark.needs("module:distributed", "ip")
def test_a_cut_network_gives_the_job_to_another_node_and_ends_it_on_the_one_cut_off(tmp_path: Path) -> None:
    if reason := _why_not():
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        spaces = stack.enter_context(networks(2))
        cluster = Cluster(tmp_path / "cluster", host=f"{NETWORK}.1")
        stack.callback(cluster.end)
        cluster.start_scheduler()
        for name, address, _ in spaces:
            cluster.start_node(host=address, before=("ip", "netns", "exec", name))
        changes = {"executor": cluster.address, "cluster": ClusterSettings(lost_seconds=LOST_SECONDS, files="transfer")}
        ours = Queue(tmp_path, *stack.enter_context(opened_home(tmp_path / "home", **changes)))
        stack.callback(ours.stop)
        ours.start()

        job = ours.add("sleep:6")
        child = wait_for(ours.children)[0]
        cable = spaces[cluster.nodes.index(node_of(cluster, child))][2]
        ip("link", "set", cable, "down")
        wait_for(lambda: ours.ledger.job(job.id).fence == 2 and len(ours.children()) == 1)
        assert is_running(child) and ours.children() != [child]  # both run; only the second can return anything
        ip("link", "set", cable, "up")
        wait_for(lambda: not is_running(child), 20.0)
        for _ in range(4):  # the mended node takes part again
            ours.add("sleep:1")
        wait_for(lambda: ours.count(State.RUNNING) == 2)
        ours.wait_done()
        ours.check()
