"""The queue: durable enqueue, overhead per job, restart with 10,000 jobs, memory, the time from drop to start, and the panel.

Peers are huey and persist-queue from the package index (in an environment of their own), and a bare SQLite commit, which no
durable queue on SQLite can beat.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from peers import peer_python

ROOT = Path(__file__).resolve().parents[2]
Row = dict[str, Any]


_PEER_SCRIPT = """
import json, sys, time
peer, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
if peer == "huey":
    from huey import SqliteHuey
    queue = SqliteHuey(filename=folder + "/huey.db", fsync=True)
    @queue.task()
    def job(name): return name
    put = lambda i: job(f"scan{i}")
else:
    import persistqueue
    queue = persistqueue.SQLiteAckQueue(folder + "/persist", auto_commit=True)
    put = lambda i: queue.put({"name": f"scan{i}", "sha256": f"{i:064x}"})
times = []
for i in range(count):
    began = time.perf_counter(); put(i); times.append(time.perf_counter() - began)
print(json.dumps(times))
"""


def main(quick: bool = False) -> list[Row]:
    """Run all measurements; ``quick`` takes a tenth of the jobs."""
    _load_helpers()
    count = 500 if quick else 5000
    rows = enqueue(count)
    rows.append(overhead(30 if quick else 200))
    rows += restart(1000 if quick else 10_000)
    rows.append(drop_to_start(3 if quick else 10))
    rows += panel_with_many_jobs()
    return rows


def enqueue(count: int) -> list[Row]:
    """Measure durable enqueues one by one: ours, the peers, and one insert with a commit."""
    ours = _timed_enqueue(count)
    rows = []
    for peer, times in (("huey", _peer("huey", count)), ("persist-queue", _peer("persist-queue", count))):
        if times is not None:
            rows.append(_enqueue_row(f"durable enqueue, against {peer} (fsync as installed)", ours, times, peer))
    rows.append(_enqueue_row("durable enqueue, against a bare commit (lower bound)", ours, _bare(count), "sqlite3"))
    return rows


def overhead(count: int) -> Row:
    """Measure a job that does nothing against starting the same program by hand: what remains is the queue."""
    from AutoSegmentQueueLib.ledger import Content, NewJob
    from AutoSegmentQueueLib.worker import Worker
    from queue_testing import FAKE_JOB, opened_home

    with tempfile.TemporaryDirectory() as name, opened_home(Path(name) / "home") as (home, settings, ledger):
        scan = Path(name) / "scan.nii"
        alone = [_alone(FAKE_JOB, Path(name), min(count, 30))]
        from AutoSegmentQueueLib.intake_units import look_at
        from queue_testing import nifti

        scan.write_bytes(nifti())
        unit = look_at(scan)
        assert unit
        content = Content("x", scan.stat().st_size)
        for number in range(count):
            new = NewJob(f"n{number}", source=str(scan), signature=unit.signature, options={"n": number})
            ledger.enqueue(new, replace(content, sha256=_sha(scan)))
        worker = Worker(home, settings, ledger)
        began = time.perf_counter()
        worker.run(drain=True)
        each = (time.perf_counter() - began) / count
        worker.close()
        alone.append(
            _alone(FAKE_JOB, Path(name), min(count, 30))
        )  # before and after: the machine may not be ours alone
        ended = sorted(job.ended or 0 for job in ledger.jobs())
        gaps = [b - a for a, b in itertools.pairwise(ended)]
    p50, by_hand = statistics.median(gaps), statistics.mean(alone)
    return {
        "name": "no-op job, one slot: from the end of one to the end of the next",
        "ratio": None,
        "p50_ms": 1e3 * p50,
        "overhead_p50_ms": 1e3 * (p50 - by_hand),
        "per_second": 1 / each,
        "peer": "the same program started by hand",
        "peer_p50_ms": 1e3 * by_hand,
        "target": "overhead <= 10 ms",
    }


def restart(count: int) -> list[Row]:
    """Measure a server that starts with many queued jobs, paused so that it stays idle."""
    from AutoSegmentQueueLib.ledger import Content, NewJob
    from queue_testing import opened_home, serving

    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "home"
        with opened_home(root) as (_, _, ledger):
            for number in range(count):
                ledger.enqueue(NewJob(f"n{number}"), Content(f"{number}", 1))
            ledger.set_paused(True)
        began = time.perf_counter()
        with serving(root) as server:
            assert server.stderr
            while "ready" not in server.stderr.readline():
                pass
            ready = time.perf_counter() - began
            time.sleep(2.0)
            memory, processor = _memory_mb(server.pid), _processor_seconds(server.pid)
            time.sleep(3.0)
            idle = (_processor_seconds(server.pid) - processor) / 3.0
    return [
        {"name": f"start to serving with {count} queued", "ratio": None, "seconds": ready, "target": "<= 2 s"},
        {
            "name": f"idle server with {count} queued",
            "ratio": None,
            "memory_mb": memory,
            "processor_percent": 100 * idle,
            "target": "<= 120 MB",
        },
    ]


def drop_to_start(count: int) -> Row:
    """Measure how long a dropped file waits beyond the window in which it has to be quiet."""
    from AutoSegmentQueueLib.states import State
    from queue_testing import drop, nifti, opened_home, serving, wait_for

    with tempfile.TemporaryDirectory() as name:
        root, waits = Path(name) / "home", []
        with (
            opened_home(root, stable_seconds=2.0, rescan_seconds=1.0) as (home, settings, ledger),
            serving(root) as server,
        ):
            assert server.stderr
            while "ready" not in server.stderr.readline():
                pass
            for number in range(count):
                (home.input_of(settings) / f"{number}.nii").write_bytes(nifti(seed=number))
                dropped = time.time()
                wait_for(lambda n=number: ledger.counts()[State.DONE] == n + 1)
                waits.append((ledger.jobs()[-1].started or 0.0) - dropped - settings.stable_seconds)
            drop(home.input_of(settings), "last.nii", nifti(seed=count))
    return {
        "name": "drop to start, beyond the window of 2 s",
        "ratio": None,
        "seconds": statistics.median(waits),
        "worst_seconds": max(waits),
        "target": "<= 0.5 s",
    }


def panel_with_many_jobs() -> list[Row]:
    """Measure how long the panel holds the window up, on the stand-in for Slicer; nothing where that is not installed."""
    script = Path(__file__).with_name("panel_steps_queue.py")
    command = [sys.executable, "-m", "SlicerHost", "AutoSegmentQueue", "--script", str(script)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "Testing"), "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("PANEL ")]
    if not lines:
        return []
    found: dict[str, Row] = json.loads(lines[-1].removeprefix("PANEL "))
    return [
        {"name": f"panel with 10000 jobs: {act}", "ratio": None, **figures, "target": "<= 50 ms"}
        for act, figures in found.items()
    ]


def _load_helpers() -> None:
    """Make the helpers of the queue's tests importable, as pytest does by its configuration."""
    folder = ROOT / "Testing" / "queue_testing"
    spec = importlib.util.spec_from_file_location(
        "queue_testing", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec and spec.loader
    module = sys.modules["queue_testing"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def _timed_enqueue(count: int) -> list[float]:
    from AutoSegmentQueueLib.ledger import Content, Ledger, NewJob

    with tempfile.TemporaryDirectory() as name, closing(Ledger(Path(name) / "ledger.sqlite3")) as ledger:
        return _each(count, lambda i: ledger.enqueue(NewJob(f"scan{i}"), Content(f"{i:064x}", 1)))


def _bare(count: int) -> list[float]:
    with (
        tempfile.TemporaryDirectory() as name,
        closing(sqlite3.connect(Path(name) / "bare.sqlite3", isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, name TEXT)")
        return _each(count, lambda i: connection.execute("INSERT INTO jobs (name) VALUES (?)", (f"scan{i}",)))


def _each(count: int, work: Callable[[int], object]) -> list[float]:
    times = []
    for number in range(count):
        began = time.perf_counter()
        work(number)
        times.append(time.perf_counter() - began)
    return times


def _peer(name: str, count: int) -> list[float] | None:
    python = peer_python("queue", "huey", "persist-queue")
    if python is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        command = [str(python), "-c", _PEER_SCRIPT, name, folder, str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    times: list[float] = json.loads(done.stdout)
    return times


def _enqueue_row(name: str, ours: list[float], theirs: list[float], peer: str) -> Row:
    rate, other = len(ours) / sum(ours), len(theirs) / sum(theirs)
    return {
        "name": name,
        "ratio": rate / other,
        "per_second": rate,
        "p99_ms": 1e3 * _p99(ours),
        "peer": peer,
        "peer_per_second": other,
        "peer_p99_ms": 1e3 * _p99(theirs),
        "target": "p99 <= 5 ms, >= 1,000/s",
    }


def _p99(times: list[float]) -> float:
    return sorted(times)[int(0.99 * (len(times) - 1))]


def _alone(command: tuple[str, ...], folder: Path, count: int) -> float:
    from queue_testing import nifti

    (folder / "input.nii").write_bytes(nifti())
    times = []
    for number in range(count):
        work = folder / f"w{number}"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        names = {
            "id": "x",
            "attempt": 1,
            "fence": 1,
            "options": {},
            "engine": "x",
            "inputs": [str(folder / "input.nii")],
        }
        (work / "job.json").write_text(json.dumps({**names, "work": str(work), "result": str(work / "result")}))
        began = time.perf_counter()
        subprocess.run([*command, str(work / "job.json")], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _sha(path: Path) -> str:
    from DicomWorkbenchLib.report import sha256_of

    return sha256_of(path)


def _memory_mb(pid: int) -> float | None:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmRSS"))


def _processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    for one in main(quick="--quick" in sys.argv):
        print(one)
