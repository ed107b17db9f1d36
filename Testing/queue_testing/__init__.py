"""What the tests of the queue share: small scans, homes with a light job, and servers that are ended by their id."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.settings import QueueSettings
from DicomWorkbenchLib.process import child_environment

HERE = Path(__file__).resolve().parent
FAKE_JOB = (sys.executable, "-I", "-S", str(HERE / "fake_job.py"))
LIGHT = QueueSettings(
    child_command=FAKE_JOB,
    validation="manifest",
    stable_seconds=0.1,
    rescan_seconds=0.1,
    free_bytes=0,
    lease_seconds=4.0,
)


def nifti(what: str = "ok", size: int = 4, seed: int = 0) -> bytes:
    """A valid NIfTI-1 volume of 16-bit voxels whose description tells the fake job what to do."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, size, size, size, 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, 4, 16)
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 1, 1, 1, 1)
    struct.pack_into("<f", header, 108, 352)
    header[148 : 148 + len(what)] = what.encode()
    header[344:348] = b"n+1\0"
    voxels = struct.pack(f"<{size**3}h", *((seed + i) % 30000 for i in range(size**3)))
    return bytes(header) + voxels


def nrrd(size: int = 4, encoding: str = "raw") -> bytes:
    """A valid NRRD volume."""
    data = bytes(2 * size**3)
    body = gzip.compress(data) if encoding == "gzip" else data
    head = f"NRRD0004\ntype: short\ndimension: 3\nsizes: {size} {size} {size}\nencoding: {encoding}\nendian: little\n\n"
    return head.encode() + body


def drop(folder: Path, name: str, content: bytes) -> Path:
    """Bring a whole file into a folder the way a careful program does: written aside, then renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{name}.part"
    part.write_bytes(content)
    return part.rename(folder / name)


@contextlib.contextmanager
def opened_home(root: Path, **changes: Any) -> Iterator[tuple[Home, QueueSettings, Ledger]]:
    """A home with the light job."""
    home = Home.open(root)
    settings = replace(LIGHT, **changes)
    home.save(settings)
    ledger = Ledger(home.ledger)
    try:
        yield home, settings, ledger
    finally:
        ledger.close()


def queue_command(*arguments: str) -> list[str]:
    """The argument list of ``dicom-workbench queue``."""
    return [sys.executable, "-m", "DicomWorkbenchLib", "queue", *arguments]


def run_queue(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        queue_command(*arguments), capture_output=True, text=True, timeout=timeout, check=False, env=environment()
    )


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, **child_environment(), **more}


@contextlib.contextmanager
def serving(root: Path, *arguments: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A server of a home in a process of its own; it is ended at the end of the block."""
    server = subprocess.Popen(
        queue_command("serve", "--home", str(root), *arguments),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment(**more),
    )
    try:
        yield server
    finally:
        if server.poll() is None:
            server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        if server.stderr:
            server.stderr.close()


def wait_for(what: Callable[[], Any], seconds: float = 30.0, every: float = 0.03) -> Any:
    """Wait until something is true and return it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = what()
        if found:
            return found
        time.sleep(every)
    raise AssertionError(f"it did not happen within {seconds} s")


def is_running(pid: int) -> bool:
    """True for a process that runs, not for a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def results_in(folder: Path) -> list[Path]:
    """Published results; everything hidden is not published."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.exists() else []


def digest_of(result: Path) -> str:
    """The SHA-256 of the input a fake result was made from."""
    return str(json.loads((result / "segmentation.json").read_text())["sha256"])
