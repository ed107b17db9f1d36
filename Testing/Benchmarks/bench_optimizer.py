"""DicomOptimizer side by side with a plain loop and with copying: time, memory, size, and ROIs in other people's readers.

The plain loop (`naive_loop`) is what a script of forty lines does with pydicom and Pillow: read every second file by name, window, resize,
save. It checks nothing, hashes nothing and links nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from DicomWorkbenchLib.samples.ct_rtstruct import make_ct_rtstruct
from peers import peer_python

BASE_SLICES = 40  # distinct slices of the phantom; longer series repeat them at new places
ALL = ("--decimate", "2", "--eight-bit", "--resize", "256")


Row = dict[str, Any]


def row(name: str, ours: float, peer: float, memory_mb: float = 0.0, note: str = "", better: str = "less") -> Row:
    """One comparison: times in seconds, sizes in bytes, memory in MB (proportional set sizes of all processes).

    ``ratio`` is how many times better than the peer; ``better`` says whether less or more is better.
    """
    ratio = peer / ours if better == "less" else ours / peer
    return {
        "name": name, "ours": round(ours, 3), "peer": round(peer, 3), "ratio": round(ratio, 2),
        "memory_mb": round(memory_mb), "note": note,
    }  # fmt: skip


def make_series(folder: Path, slices: int, size: int = 512) -> Path:
    """Write a CT of ``slices`` slices with an RTSTRUCT of four ROIs on all of them."""
    base = folder / "base"
    if not base.is_dir():
        make_ct_rtstruct(base, slices=BASE_SLICES, size=size)
    case = folder / f"case{slices}"
    (case / "ct").mkdir(parents=True)
    files = sorted((base / "ct").iterdir())
    uids = [_clone(files[k % len(files)], case / "ct" / f"{(k * 7919) % slices:05d}.dcm", k) for k in range(slices)]
    _structures(base / "RS.dcm", case / "RS.dcm", uids)
    return case


def _clone(source: Path, target: Path, k: int) -> str:
    content = source.read_bytes()
    header = pydicom.dcmread(source, stop_before_pixels=True)
    old = str(header.SOPInstanceUID)
    new = f"{old[:-6]}{100000 + k}"
    place = "\\".join(str(value) for value in header.ImagePositionPatient)
    moved = place.rsplit("\\", 1)[0] + "\\" + f"{k * 0.6:.1f}"
    content = content.replace(old.encode(), new.encode())
    at = content.index(b"\x20\x00\x32\x00DS")
    length = int.from_bytes(content[at + 6 : at + 8], "little")
    value = moved.encode().ljust(len(moved) + len(moved) % 2)
    content = content[: at + 6] + len(value).to_bytes(2, "little") + value + content[at + 8 + length :]
    target.write_bytes(content)
    return new


def _structures(source: Path, target: Path, uids: list[str]) -> None:
    dataset = pydicom.dcmread(source)
    turns = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    for n, roi in enumerate(list(dataset.ROIContourSequence)):
        if n >= 4:
            dataset.ROIContourSequence.remove(roi)
            continue
        radius = 20 + 15 * n
        flat = np.stack([radius * np.cos(turns) - 4, radius * np.sin(turns) - 170], axis=1)
        roi.ContourSequence = [_contour(flat, k, uid) for k, uid in enumerate(uids)]
    names = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    names.ContourImageSequence = [_image(uid) for uid in uids]
    dataset.save_as(target)


def _image(uid: str) -> pydicom.Dataset:
    item = pydicom.Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", uid
    return item


def _contour(flat: np.ndarray, k: int, uid: str) -> pydicom.Dataset:
    item = pydicom.Dataset()
    item.ContourImageSequence = [_image(uid)]
    item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", len(flat)
    item.ContourData = [f"{v:.2f}" for x, y in flat.tolist() for v in (x, y, k * 0.6)]
    return item


NAIVE = """
import sys, os
import numpy as np, pydicom
from PIL import Image
source, target = sys.argv[1:3]
os.makedirs(target)
for name in sorted(os.listdir(source))[::2]:
    d = pydicom.dcmread(os.path.join(source, name))
    hu = d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept)
    grey = (np.clip((hu + 160) / 400, 0, 1) * 255).astype(np.uint8)
    small = np.asarray(Image.fromarray(grey).resize((256, 256), Image.BILINEAR))
    d.Rows, d.Columns = small.shape
    d.PixelSpacing = [float(v) * 2 for v in d.PixelSpacing]
    d.BitsAllocated = d.BitsStored = 8
    d.HighBit, d.PixelRepresentation = 7, 0
    d.RescaleSlope, d.RescaleIntercept = 400 / 255, -160
    d.WindowCenter, d.WindowWidth = 40, 400
    d.PixelData = small.tobytes()
    d["PixelData"].VR = "OB"
    d.save_as(os.path.join(target, name))
"""


@dataclass
class Measure:
    """The best of some runs: wall and processor seconds (children included), and the highest memory of the tree in MB."""

    wall: float
    cpu: float
    memory_mb: float


def timed(command: list[str], clean: Path) -> Measure:
    """Run a command once and measure it; its output ``clean`` is removed before."""
    if clean.exists():
        shutil.rmtree(clean)
    os.sync()
    before, started = _children_cpu(), time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=_environment(clean.parent)) as process:
        watch = _Watch(process.pid)
        if process.wait() != 0:
            raise RuntimeError(f"{command} failed")
    return Measure(time.perf_counter() - started, _children_cpu() - before, watch.stop())


def _environment(folder: Path) -> dict[str, str]:
    """Let Python keep compiled modules, as it does wherever the project is installed; into a folder of ours, not into the checkout."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def best_of(repeats: int, runs: dict[str, tuple[list[str], Path]]) -> dict[str, Measure]:
    """Run all commands in turn, several rounds, so that what else happens on the machine meets all of them alike."""
    best = {name: Measure(float("inf"), float("inf"), 0.0) for name in runs}
    for _ in range(repeats):
        for name, (command, clean) in runs.items():
            one, old = timed(command, clean), best[name]
            best[name] = Measure(min(old.wall, one.wall), min(old.cpu, one.cpu), max(old.memory_mb, one.memory_mb))
    return best


def _children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


class _Watch(threading.Thread):
    """Adds up the proportional set size of a process and its children ten times a second (Linux)."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._on, self._peak = pid, True, 0.0
        self.start()

    def run(self) -> None:
        while self._on:
            self._peak = max(self._peak, sum(_pss_mb(pid) for pid in _tree(self._pid)))
            time.sleep(0.1)

    def stop(self) -> float:
        self._on = False
        self.join()
        return self._peak


def _tree(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        threads = [p.name for p in Path(f"/proc/{pid}/task").iterdir() if p.name != str(pid)]
        for thread in threads:
            children += Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(grandchild for child in children for grandchild in _tree(int(child)))]


def _pss_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Pss:")), 0.0)


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder, reports aside."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and p.suffix != ".json")


def ours(case: Path, target: Path, *options: str) -> list[str]:
    """Return the whole command a user would type."""
    return [sys.executable, "-m", "DicomWorkbenchLib", "optimize", str(case), "-o", str(target), *ALL, *options]


def speed(folder: Path, slices: int, repeats: int) -> list[Row]:
    """Time against the plain loop and against copying, same files, same machine, one after the other."""
    case, out = make_series(folder, slices), folder / "out"
    (folder / "naive.py").write_text(NAIVE)
    runs = {
        "ours": (ours(case, out), out),
        "one": (ours(case, out, "--jobs", "1"), out),
        "loop": ([sys.executable, str(folder / "naive.py"), str(case / "ct"), str(folder / "n")], folder / "n"),
        "copy": (["cp", "-r", str(case), str(folder / "copy")], folder / "copy"),
    }
    best = best_of(repeats, runs)
    mine, one, naive, copy = (best[name] for name in runs)
    shutil.rmtree(folder / "copy")
    shutil.rmtree(folder / "n")
    cpu = f"processor seconds: ours {mine.cpu:.2f}, loop {naive.cpu:.2f}; load of the machine {os.getloadavg()[0]:.1f}"
    return [
        row(f"{slices} slices: plain loop", mine.wall, naive.wall, mine.memory_mb, cpu),
        row(f"{slices} slices: copying the files", mine.wall, copy.wall, note="aim: a ratio of 0.25, within 4 times"),
        row(f"{slices} slices: ours in one process", mine.wall, one.wall, note=f"{os.cpu_count()} cores"),
    ]


def sizes(folder: Path) -> list[Row]:
    """Size of the phantom's CT in every form."""
    base, out = folder / "base", folder / "out"
    before = size_of(base / "ct")
    rows = []
    plain = 0
    for name, options in (("8 bit", ()), ("HTJ2K", ("--compress", "htj2k")), ("JPEG-LS", ("--compress", "jpegls"))):
        timed(ours(base / "ct", out, *options), out)
        after = size_of(out)
        plain = plain or after
        note = f"{plain / after:.2f} times smaller than plain 8 bit"
        rows.append(row(f"size of the input, all techniques, {name}", after, before, note=note))
    return rows


def main(quick: bool = True) -> list[Row]:
    """Measure; ``quick`` takes 200 slices and leaves the readers' environment alone unless it exists."""
    with tempfile.TemporaryDirectory(prefix="bench-optimizer-") as name:
        folder = Path(name)
        rows: list[Row] = []
        for slices in (200,) if quick else (300, 1000, 3000):
            rows += speed(folder, slices, repeats=1 if quick else 3)
            print(*rows[-3:], sep="\n", file=sys.stderr, flush=True)
            shutil.rmtree(folder / f"case{slices}")
        return rows + sizes(folder) + fidelity(folder, install=not quick)


def fidelity(folder: Path, *, install: bool) -> list[Row]:
    """ROI volume and Dice on kept slices in independent readers, in an environment of their own."""
    import peers_optimizer

    python = peer_python("optimizer", *peers_optimizer.PACKAGES, install=install)
    return [] if python is None else peers_optimizer.rows(python, folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    for row in main(quick=not parser.parse_args().full):
        print(json.dumps(row))
