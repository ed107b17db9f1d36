"""Run every benchmark, print its table, and record all of them in docs/benchmarks.md and docs/benchmarks.json.

docs/benchmarks-history.jsonl gets one line per benchmark and run, so that ratios can be compared over time.

A benchmark is a file ``bench_NAME.py`` beside this one with ``main(quick: bool) -> list[dict]``; a row has "name", "ratio" (how many
times better than the peer, above 1 is better) and whatever else it measured. Each runs in a process of its own, so that memory figures
stand alone.

Usage: .venv/bin/python Testing/Benchmarks [--quick] [NAME ...]
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DOCS = HERE.parents[1] / "docs"
HISTORY = DOCS / "benchmarks-history.jsonl"
MOVED = 0.2  # of a ratio between two runs; less is noise on a shared machine
ROWS_MARK = "ROWS "
Rows = list[dict[str, Any]]


def main() -> int:
    """Run what was asked for; returns 1 if a benchmark could not run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these, such as: scan volume")
    parser.add_argument("--quick", action="store_true", help="small data; nothing is recorded")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(ROWS_MARK + json.dumps(_load(options.one).main(options.quick)))
        return 0
    found = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    results, failed = {}, []
    for name in options.names or found:
        rows = _run(name, options.quick)
        if rows is None:
            failed.append(name)
            continue
        results[name] = rows
        print(f"\n{name}\n{_markdown(rows)}", flush=True)
        for line in _compared(name, rows):
            print(line, flush=True)
    if not options.quick and results:
        _record(results)
    for name in failed:
        print(f"{name} could not run; see above", file=sys.stderr)
    return 1 if failed else 0


def _load(name: str) -> Any:
    return importlib.import_module(f"bench_{name}")  # Python puts the folder it runs first on its path


def _run(name: str, quick: bool) -> Rows | None:
    began = time.monotonic()
    print(f"measuring {name} ...", file=sys.stderr, flush=True)
    command = [sys.executable, str(HERE), "--one", name, *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    print(f"  {time.monotonic() - began:.0f} s", file=sys.stderr)
    marked = [line for line in done.stdout.splitlines() if line.startswith(ROWS_MARK)]
    if done.returncode or not marked:
        print(done.stdout, file=sys.stderr)
        return None
    rows: Rows = json.loads(marked[-1].removeprefix(ROWS_MARK))
    return rows


def _markdown(rows: Rows) -> str:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    keys.sort(key=lambda key: (key != "name", key != "ratio"))
    lines = ["| " + " | ".join(key.replace("_", " ") for key in keys) + " |", "|" + "---|" * len(keys)]
    lines += ["| " + " | ".join(_shown(row.get(key)) for key in keys) + " |" for row in rows]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return (
        f"{value:.3g}"
        if isinstance(value, float) and abs(value) < 1000
        else f"{value:,.0f}"
        if isinstance(value, float)
        else str(value)
    )


def _ratios(rows: Rows) -> dict[str, float]:
    return {str(row["name"]): round(row["ratio"], 4) for row in rows if row.get("ratio") is not None}


def _compared(name: str, rows: Rows) -> list[str]:
    """Say which ratios have moved by more than a fifth since the last recorded run."""
    lines = HISTORY.read_text(encoding="utf-8").splitlines() if HISTORY.exists() else []
    runs = [run for line in lines if (run := json.loads(line))["benchmark"] == name]
    before = runs[-1]["ratios"] if runs else {}
    return [
        f"  {row}: {ratio:.3g}, {before[row]:.3g} on {runs[-1]['date']}"
        for row, ratio in _ratios(rows).items()
        if before.get(row) and abs(ratio / before[row] - 1) > MOVED
    ]


def _remember(results: dict[str, Rows], today: str, machine: str) -> None:
    with HISTORY.open("a", encoding="utf-8", newline="\n") as file:
        for name, rows in results.items():
            line = {"date": today, "benchmark": name, "machine": machine, "ratios": _ratios(rows)}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _record(results: dict[str, Rows]) -> None:
    path = DOCS / "benchmarks.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    today = datetime.date.today().isoformat()
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    DOCS.mkdir(exist_ok=True)
    _remember(results, today, machine)
    for name, rows in results.items():
        before[name] = {"date": today, "machine": machine, "rows": rows}
    path.write_text(json.dumps(before, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    parts = [
        "# Benchmarks\n",
        "Written by `make bench`. A ratio says how many times better than the peer we are in the same run on the same machine (above 1 is "
        "better); seconds and bytes belong to the machine that is named. `make bench QUICK=1` runs small data and records nothing.\n",
    ]
    for name, entry in sorted(before.items()):
        parts.append(f"## {name}\n\n{entry['date']}, {entry['machine']}\n\n{_markdown(entry['rows'])}\n")
    (DOCS / "benchmarks.md").write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
