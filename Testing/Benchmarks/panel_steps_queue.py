"""What a person does with the queue's panel and 10,000 jobs, timed; run by ``python -m SlicerHost AutoSegmentQueue --script`` this file.

Prints one line of JSON: for each act the median and the longest of its milliseconds, painting included; and the longest by the processor's
own clock, which other programs on a busy machine change little.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Ledger

JOBS = 10_000
STATES = ["done"] * 4000 + ["failed"] * 500 + ["queued"] * 5500


def fill(ledger: Ledger) -> None:
    """Write the jobs straight into the table."""
    start = time.time() - JOBS
    rows = []
    for n, state in enumerate(STATES):
        ran = (start + n, start + n + 9) if state != "queued" else (None, None)
        rows.append((f"id{n:06}", f"scan-{n * 7919 % JOBS:05}", state, start + n, start + n, n, *ran))
    with ledger.writing() as connection:
        connection.executemany(
            "INSERT INTO jobs (id, name, kind, engine, options, state, created, changed, key, started, ended)"
            " VALUES (?, ?, 'segment', 'threshold', '{}', ?, ?, ?, ?, ?, ?)",
            rows,
        )


def timed(
    panel: Any, act: Callable[[int], object], count: int, before: Callable[[int], object] = lambda n: None
) -> Any:
    """Return median and longest milliseconds of an act, until the window has been painted."""
    times, busy = [], []
    for n in range(count):
        before(n)
        began, began_busy = time.perf_counter(), time.thread_time()
        act(n)
        panel.process_events()
        times.append(1e3 * (time.perf_counter() - began))
        busy.append(1e3 * (time.thread_time() - began_busy))
    return {"p50_ms": statistics.median(times), "longest_ms": max(times), "longest_processor_ms": max(busy)}


def measure(panel: Any) -> dict[str, Any]:
    """Do everything; returns the figures by act."""
    with tempfile.TemporaryDirectory() as name:
        home = Home.open(Path(name) / "home")
        ledger = Ledger(home.ledger)
        fill(ledger)
        panel.widget._parameterNode.home = home.root
        panel.resize(420)
        view, bar = panel.ui.jobsView, panel.ui.jobsView.verticalScrollBar()

        def changed(n: int) -> None:
            for k in range(5):
                ledger.prioritise(f"id{JOBS - 1 - (5 * n + k) % 5000:06}", 1)

        found = {
            "look": timed(panel, lambda n: panel.widget.poll(), 30),
            "look with 5 changes": timed(panel, lambda n: panel.widget.poll(), 30, changed),
            "scroll to the next page": timed(panel, lambda n: setattr(bar, "value", bar.maximum), 30),
            "scroll": timed(panel, lambda n: setattr(bar, "value", 37 * n), 30),
            "select": timed(panel, lambda n: view.selectRow(29 * n), 30),
            "sort": timed(panel, lambda n: panel.widget.onHeader(n // 3 % 8), 24),
        }
        panel.widget._parameterNode.home = Path(name) / "other"
        ledger.close()
    return found


print("PANEL " + json.dumps(measure(globals()["panel"])))
