"""Scanning folders: headers of CT slices against a plain pydicom loop, and the memory of a large scan.

``main`` returns one row per measurement; ``python bench_scan.py`` prints them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]

ROUNDS = 3  # each side is measured this often, in turns; the median counts

_MEMORY_SCRIPT = """
import json, sys
from DicomWorkbenchLib.series import scan
with scan(sys.argv[1]) as found:
    planes = sum(len(one.planes) for one in found.series)
    # The peak that getrusage reports is inherited from the parent; this one is the process's own (Linux).
    try:
        lines = open("/proc/self/status").read().splitlines()
        peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except OSError:
        peak = float("nan")
    print(json.dumps({"planes": planes, "peak_mb": peak}))
"""


def write_slices(folder: Path, count: int) -> None:
    """Write CT slices with the header of a real scanner (about 200 elements) and little else."""
    import pydicom
    from pydicom.data import get_testdata_file

    template = get_testdata_file("CT_small.dcm", download=False)
    assert isinstance(template, str)
    dataset = pydicom.dcmread(template)
    per_series = 500
    for number in range(count):
        series, place = divmod(number, per_series)
        dataset.SeriesInstanceUID = f"1.2.826.0.1.3680043.8.498.{series + 1}"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = (
            f"1.2.826.0.1.3680043.8.498.1.{number + 1}"
        )
        dataset.ImagePositionPatient = [-158.135803, -179.035797, -75.699997 + 1.25 * place]
        dataset.InstanceNumber = per_series - place
        target = folder / f"{series:03d}"
        target.mkdir(exist_ok=True)
        dataset.save_as(target / f"{(number * 7919) % count:06d}")


def seconds(work: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def scan_against_pydicom(folder: Path, count: int) -> Row:
    """Measure our scan and a plain loop over the same files, in turns."""
    import pydicom
    from DicomWorkbenchLib.series import scan

    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]

    def ours() -> None:
        with scan(folder) as found:
            assert sum(len(one.planes) for one in found.series) == count

    def peer() -> None:
        for file in files:
            pydicom.dcmread(file, stop_before_pixels=True)

    ours(), peer()  # the file cache is warm for both
    pairs = [(seconds(ours), seconds(peer)) for _ in range(ROUNDS)]
    mine, other = (statistics.median(values) for values in zip(*pairs, strict=True))
    return {
        "name": f"scan of {count} CT headers",
        "ours_seconds": mine,
        "peer": "pydicom.dcmread(stop_before_pixels=True), one process",
        "peer_seconds": other,
        "ratio": other / mine,
        "memory_mb": None,
    }


def memory_of_scan(folder: Path, count: int) -> Row:
    """Measure the largest resident memory of a process that does nothing but scan."""
    start = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", _MEMORY_SCRIPT, str(folder)], check=True, capture_output=True, text=True, timeout=600
    )
    result = json.loads(run.stdout)
    assert result["planes"] == count
    return {
        "name": f"memory of a scan of {count} files",
        "ours_seconds": time.perf_counter() - start,
        "peer": "limit 200 MB",
        "peer_seconds": None,
        "ratio": None,
        "memory_mb": result["peak_mb"],
    }


def main(quick: bool = False) -> list[Row]:
    """Run all measurements; ``quick`` takes a tenth of the files."""
    rows = []
    for count, measure in ((2_000, scan_against_pydicom), (20_000, memory_of_scan)):
        files = count // 10 if quick else count
        with tempfile.TemporaryDirectory() as name:
            write_slices(Path(name), files)
            rows.append(measure(Path(name), files))
    return rows


def show(rows: list[Row]) -> None:
    """Print rows as a small table."""
    for row in rows:
        other = "" if row["peer_seconds"] is None else f"{row['peer_seconds']:8.3f} s"
        ratio = "" if row["ratio"] is None else f"{row['ratio']:6.2f} x"
        memory = "" if row["memory_mb"] is None else f"{row['memory_mb']:6.0f} MB"
        print(f"{row['name']:<44} {row['ours_seconds']:8.3f} s {other:>11} {ratio:>9} {memory:>10}  {row['peer']}")


if __name__ == "__main__":
    show(main(quick="--quick" in sys.argv))
