"""What the tests of the queue share: small scans, homes with a light job, and servers that are ended by their id."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from AutoSegmentQueueLib import failpoints
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.serve import serve
from AutoSegmentQueueLib.settings import QueueSettings
from DicomWorkbenchLib.job import cancel_on_signals
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


@contextlib.contextmanager
def forked_server(root: Path, plan: str = "") -> Iterator[ForkedServer]:
    """A server in a process forked from this one (POSIX): the same code as the command, without the time Python takes to start."""
    pid = os.fork()
    if pid == 0:
        _serve_and_leave(root, plan)
    server = ForkedServer(pid)
    try:
        yield server
    finally:
        if server.poll() is None:
            os.kill(pid, signal.SIGTERM)
            server.wait(20)


class ForkedServer:
    """As much of a Popen object as the tests need."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.code: int | None = None

    def poll(self) -> int | None:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > until:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.01)


def _serve_and_leave(root: Path, plan: str) -> None:
    code = 1
    try:
        failpoints.arm(plan)
        home = Home.open(root)
        ledger = Ledger(home.ledger)
        with cancel_on_signals() as cancel:
            serve(home, home.load(), ledger, cancel, lambda: None, lambda text: None)
        code = 0
    finally:
        os._exit(code)  # nothing of the test process this one was forked from may run here


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


def dicom(syntax: str = "native", rows: int = 8, series: str = "1.2.3", seed: int = 0, frames: int = 1) -> bytes:
    """A small CT slice of ``rows`` x ``rows`` 16-bit pixels (or several frames), native or in one (uncompressed) fragment."""
    explicit_le, jpeg_ls = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.4.80"
    uid = explicit_le if syntax == "native" else jpeg_ls
    meta = _element(2, 0x10, b"UI", uid)
    data = _element(8, 0x16, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0") + _element(8, 0x60, b"CS", b"CT")
    data += _element(0x20, 0x0E, b"UI", _even(series.encode(), b"\0"))
    data += _element(0x28, 2, b"US", struct.pack("<H", 1))
    if frames > 1:
        data += _element(0x28, 8, b"IS", _even(str(frames).encode(), b" "))
    for element, value in ((0x10, rows), (0x11, rows), (0x100, 16), (0x101, 16), (0x102, 15), (0x103, 0)):
        data += _element(0x28, element, b"US", struct.pack("<H", value))
    pixels = (
        bytes((n + seed) % 255 + 1 for n in range(2 * rows * rows)) * frames if rows <= 8 else bytes(2 * rows * rows)
    )
    if syntax == "native":
        data += struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, len(pixels)) + pixels
    else:
        data += struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF)
        data += struct.pack("<HHI", 0xFFFE, 0xE000, 0) + struct.pack("<HHI", 0xFFFE, 0xE000, len(pixels)) + pixels
        data += struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return bytes(128) + b"DICM" + _element(2, 0, b"UL", struct.pack("<I", len(meta))) + meta + data


def _even(value: bytes, filler: bytes) -> bytes:
    return value + filler * (len(value) % 2)


def _element(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value
