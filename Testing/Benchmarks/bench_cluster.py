"""The queue on a cluster: overhead of a job that does nothing, and jobs per second on 1, 2 and 4 nodes, all as processes of this machine.

Everything is measured in the same run with the same program: started by hand, by the local executor, by a plain Dask task, and by the queue
on the cluster. Overhead is what a job takes beyond the program started by hand.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench_queue import _alone, _load_helpers

Row = dict[str, Any]
ROUNDS = 2  # the best of them counts; the machine has other things to do


def main(quick: bool) -> list[Row]:
    """Measure."""
    _load_helpers()
    from queue_testing import FAKE_JOB
    from queue_testing.cluster import running_cluster

    count, rounds = (20, 1) if quick else (60, ROUNDS)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        by_hand = _alone(FAKE_JOB, Path(name), count)
        with running_cluster(Path(name) / "cluster", 1) as cluster:
            local = _best(rounds, lambda: _gaps("local", count))
            plain = _best(rounds, lambda: _plain_dask(cluster.address, count))
            for files in ("shared", "transfer"):
                ours = _best(rounds, lambda files=files: _gaps(cluster.address, count, files))
                rows.append(_overhead(files, ours, by_hand, local, plain))
            for nodes in (1, 2) if quick else (1, 2, 4):
                while len(cluster.nodes) < nodes:
                    cluster.start_node()
                rows.append(_throughput(cluster.address, nodes, count, rounds))
    return rows


def _overhead(files: str, ours: float, by_hand: float, local: float, plain: float) -> Row:
    return {
        "name": f"no-op job on a cluster of one node, files {files}: from the end of one to the end of the next",
        "ratio": plain / ours,
        "p50_ms": 1e3 * ours,
        "overhead_p50_ms": 1e3 * (ours - by_hand),
        "peer": "the same program in a plain Dask task, one after the other",
        "peer_p50_ms": 1e3 * plain,
        "local_executor_p50_ms": 1e3 * local,
        "by_hand_p50_ms": 1e3 * by_hand,
        "target": "overhead <= 50 ms",
    }


def _throughput(address: str, nodes: int, count: int, rounds: int) -> Row:
    jobs = {}
    for what, seconds in (("ok", 0.0), ("sleep:0.5", 0.5)):
        number = count if seconds == 0 else max(8, count // 5)
        took = _best(rounds, lambda w=what, n=number: _run(address, n, w, nodes))
        jobs[what] = number / took
    return {
        "name": f"jobs per second on {nodes} node(s), each a process with one slot",
        "ratio": None,
        "noop_per_second": jobs["ok"],
        "half_second_jobs_per_second": jobs["sleep:0.5"],
        "share_of_ideal": jobs["sleep:0.5"] / (nodes / 0.5),
    }


def _gaps(executor: str, count: int, files: str = "shared") -> float:
    """Return the median time from the end of one job to the end of the next, in seconds."""
    ended: list[float] = []
    _run(executor, count, "ok", 1, files, ended)
    return statistics.median(b - a for a, b in itertools.pairwise(sorted(ended)))


def _run(
    executor: str, count: int, what: str, nodes: int, files: Any = "shared", ended: list[float] | None = None
) -> float:
    """Let a worker run jobs until none is left; returns the seconds that took, without the start."""
    from AutoSegmentQueueLib.cluster.settings import ClusterSettings
    from AutoSegmentQueueLib.intake_units import look_at
    from AutoSegmentQueueLib.ledger import Content, NewJob
    from AutoSegmentQueueLib.worker import Worker
    from queue_testing import nifti, opened_home, wait_for

    with tempfile.TemporaryDirectory() as name:
        scan = Path(name) / "scan.nii"
        scan.write_bytes(nifti(what))
        unit = look_at(scan)
        assert unit
        changes: dict[str, Any] = {"executor": executor, "cluster": ClusterSettings(files=files)}
        with opened_home(Path(name) / "home", **changes) as (home, settings, ledger):
            for number in range(count):
                new = NewJob(f"n{number}", source=str(scan), signature=unit.signature, options={"n": number})
                ledger.enqueue(new, Content(_sha(scan), scan.stat().st_size))
            worker = Worker(home, settings, ledger)
            wait_for(lambda: worker.executor.capacity().get("cpu", nodes) == nodes)
            began = time.perf_counter()
            worker.run(drain=True)
            took = time.perf_counter() - began
            worker.close()
            jobs = ledger.jobs()
            assert all(job.state == "done" and job.fence == 1 for job in jobs)
            if ended is not None:
                ended += [job.ended or 0.0 for job in jobs]
    return took


def _plain_dask(address: str, count: int) -> float:
    """Return the median time of a Dask task that starts the same program, submitted one after the other."""
    from distributed import Client
    from queue_testing import FAKE_JOB, nifti

    with tempfile.TemporaryDirectory() as name, Client(address, set_as_default=False) as client:
        folder = Path(name)
        (folder / "input.nii").write_bytes(nifti())
        times = []
        for number in range(count):
            command = prepared(FAKE_JOB, folder, number)
            began = time.perf_counter()
            future = client.submit(subprocess.run, command, stdout=subprocess.DEVNULL, pure=False)
            assert future.result().returncode == 0
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def prepared(command: tuple[str, ...], folder: Path, number: int) -> list[str]:
    """Write the file of a job and return the command that runs it."""
    work = folder / f"w{number}"
    work.mkdir()
    values = {"id": "x", "attempt": 1, "fence": 1, "options": {}, "engine": "x", "inputs": [str(folder / "input.nii")]}
    path = work / "job.json"
    path.write_text(json.dumps({**values, "work": str(work), "result": str(work / "result")}))
    return [*command, str(path)]


def _best(rounds: int, measure: Callable[[], float]) -> float:
    return min(measure() for _ in range(rounds))


def _sha(path: Path) -> str:
    from DicomWorkbenchLib.report import sha256_of

    return sha256_of(path)


if __name__ == "__main__":
    for one in main(quick="--quick" in sys.argv):
        print(one)
