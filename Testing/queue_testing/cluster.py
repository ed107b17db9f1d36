"""A cluster for tests: scheduler and nodes as processes of their own, on loopback or in network namespaces; ended by their ids."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from queue_testing import environment, queue_command, wait_for

LOST_SECONDS = 3.0  # silence after which a node is lost; the default of 30 s would only make tests wait


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Cluster:
    """A scheduler and its nodes."""

    folder: Path
    port: int = field(default_factory=free_port)
    host: str = "127.0.0.1"
    tls: Path | None = None
    scheduler: subprocess.Popen[bytes] | None = None
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{'tls' if self.tls else 'tcp'}://{self.host}:{self.port}"

    def start_scheduler(self) -> None:
        command = queue_command("cluster", "scheduler", "--host", self.host, "--port", str(self.port), *self._tls())
        self.scheduler = self._start(command, "scheduler", f"scheduler {self.address}")

    def start_node(
        self, *more: str, host: str = "127.0.0.1", before: Sequence[str] = (), ready: str = "node "
    ) -> subprocess.Popen[bytes]:
        folder = self.folder / f"node{len(self.nodes)}"
        arguments = ("cluster", "worker", self.address, "--host", host, "--folder", str(folder), *self._tls(), *more)
        node = self._start([*before, *queue_command(*arguments)], folder.name, ready)
        self.nodes.append(node)
        return node

    def _tls(self) -> list[str]:
        return ["--tls", str(self.tls)] if self.tls else []

    def _start(self, command: list[str], name: str, ready: str) -> subprocess.Popen[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / f"{name}-{time.monotonic_ns()}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(command, stderr=file, stdout=file, env=environment())
        wait_for(lambda: ready in log.read_text() or process.poll() is not None, 60)
        assert process.poll() is None, log.read_text()
        return process

    def end(self) -> None:
        for process in [*self.nodes, *([self.scheduler] if self.scheduler else [])]:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process of ours, also a stopped one."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def kill(process: subprocess.Popen[bytes] | None) -> None:
    assert process is not None
    process.kill()
    process.wait()


@contextlib.contextmanager
def running_cluster(folder: Path, nodes: int = 2, tls: Path | None = None, *more: str) -> Iterator[Cluster]:
    """A cluster on loopback with nodes of one CPU slot each."""
    cluster = Cluster(folder, tls=tls)
    try:
        cluster.start_scheduler()
        for _ in range(nodes):
            cluster.start_node(*more)
        yield cluster
    finally:
        cluster.end()


def node_of(cluster: Cluster, child: int) -> subprocess.Popen[bytes]:
    """The node that has started a process."""
    parent = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])
    return next(node for node in cluster.nodes if node.pid == parent)
