"""Large cine objects in four layouts: opening, frames from anywhere, the web server, and files that break readers.

Peers in one run: pydicom, highdicom's ImageFileReader, dicomweb-client's DICOMfileClient (apart from our packages), and Orthanc with its
DICOMweb plugin. Ratios are peer divided by ours, above 1 is better for us.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pydicom
from MultiframeStreamerLib import open_frames
from MultiframeStreamerLib.corpus import Case, all_cases
from MultiframeStreamerLib.corpus.cine import JpegFrames, Layout, write_cine
from peers import peer_python

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 5
CLIENTS = 8
ACCEPT = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
ACCEPT_JPEG = 'multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50'  # what Orthanc understands
Row = dict[str, Any]


def main(quick: bool) -> list[Row]:
    """Measure everything; ``quick`` takes 60 MB instead of 2.9 GB."""
    os.environ["DICOM_WORKBENCH_CACHE"] = tempfile.mkdtemp(prefix="stream-cache-")
    warnings.simplefilter("ignore")
    frames, size = (300, 200_000) if quick else (5000, 580_000)
    folder = Path(tempfile.mkdtemp(prefix="stream-bench-"))
    try:
        jpegs = JpegFrames(720, 960, different=12, size=size, quality=95)
        paths = {layout: folder / f"{layout.name.lower()}.dcm" for layout in Layout}
        for number, (layout, path) in enumerate(paths.items()):
            write_cine(path, frames, jpegs, layout, rows=720, columns=960, number=500 + number)
        rows = [*opening(paths), *reading(paths), *decoding(paths[Layout.FRAGMENTS])]
        rows += serving(paths[Layout.EMPTY], frames, quick)
        rows += viewing(paths[Layout.EMPTY], quick)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(os.environ["DICOM_WORKBENCH_CACHE"], ignore_errors=True)
    return [*rows, *corpus()]


def timed(action: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the median time in ms; one round before warms the file cache up."""
    action()
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        action()
        found.append((time.perf_counter() - began) * 1000)
    return statistics.median(found)


def row(name: str, ours: float | str, peer_name: str, peer: float | str, unit: str, target: str = "") -> Row:
    """Return one line of the table; a ratio only where both are numbers."""
    numbers = isinstance(ours, int | float) and isinstance(peer, int | float)
    ratio = round(peer / ours, 2) if numbers and ours else None  # type: ignore[operator]
    shown = [round(v, 3) if isinstance(v, float) else v for v in (ours, peer)]
    return {
        "name": name,
        "ours": shown[0],
        "peer": shown[1],
        "peer name": peer_name,
        "unit": unit,
        "target": target,
        "ratio": ratio,
    }


def ours_first(path: Path, sidecar: bool) -> bytes:
    with open_frames(path, sidecar=sidecar) as frames:
        return frames.encoded(0)


def pydicom_frame(path: Path, index: int) -> bytes:
    """Read one stored frame with pydicom's best means: header only, then its own search through the items."""
    from pydicom.encaps import get_frame

    with path.open("rb") as stream:
        header = pydicom.dcmread(stream, stop_before_pixels=True)
        stream.seek(12, os.SEEK_CUR)  # tag, representation and length of the pixel data
        extended = None
        if "ExtendedOffsetTable" in header:
            extended = (header.ExtendedOffsetTable, header.ExtendedOffsetTableLengths)
        count = int(header.get("NumberOfFrames") or 1)
        return bytes(get_frame(stream, index, number_of_frames=count, extended_offsets=extended))


def highdicom_frame(path: Path, index: int) -> bytes:
    from highdicom.io import ImageFileReader

    with ImageFileReader(str(path)) as reader:
        return bytes(reader.read_frame_raw(index))


_CLIENT = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
from dicomweb_client import DICOMfileClient
folder, index, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def once():
    client = DICOMfileClient(url="file://" + folder, update_db=True, recreate_db=True, in_memory=True)
    found = client.search_for_instances()
    one = found[0]
    uids = [one[t]["Value"][0] for t in ("0020000D", "0020000E", "00080018")]
    return client.retrieve_instance_frames(*uids, [index + 1], media_types=(("image/jpeg", "1.2.840.10008.1.2.4.50"),))[0]
times, data = [], b""
for _ in range(rounds):
    began = time.perf_counter(); data = once(); times.append((time.perf_counter() - began) * 1000)
import hashlib
print(json.dumps({"ms": sorted(times)[len(times) // 2], "sha": hashlib.sha256(data.rstrip(b"\\0")).hexdigest()}))
"""


def file_client(path: Path, index: int, rounds: int = 3) -> float | str:
    """Time dicomweb-client's file client in its own environment; it indexes a folder, so the file gets one to itself."""
    python = peer_python("stream", "dicomweb-client", "pydicom", "pillow")
    if python is None:
        return "not installed"
    with tempfile.TemporaryDirectory(dir=path.parent) as alone:
        os.link(path, Path(alone) / path.name)
        command = [str(python), "-c", _CLIENT, alone, str(index), str(rounds)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            return f"fails: {str(getattr(error, 'stderr', '') or error).strip().splitlines()[-1][:80]}"
    return float(json.loads(done.stdout.splitlines()[-1])["ms"])


def attempt(action: Callable[[], float]) -> float | str:
    """Return what a peer measures, or why it cannot."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001  a peer may fail in any way; that is a result
        return f"fails: {type(error).__name__}: {str(error)[:60]}"


def opening(paths: dict[Layout, Path]) -> list[Row]:
    """Open and get the first stored frame, file cache warm."""
    rows = []
    for layout, path in paths.items():
        target = "<= 120 ms" if layout is Layout.FRAGMENTS else "<= 60 ms"
        ours = timed(lambda path=path: ours_first(path, False))
        name = f"open and first frame, {layout.value}"
        rows.append(
            row(
                name, ours, "pydicom", attempt(lambda path=path: timed(lambda: pydicom_frame(path, 0), 3)), "ms", target
            )
        )
        rows.append(
            row(
                name,
                ours,
                "highdicom",
                attempt(lambda path=path: timed(lambda: highdicom_frame(path, 0), 3)),
                "ms",
                target,
            )
        )
        rows.append(row(name, ours, "DICOMfileClient", file_client(path, 0), "ms", target))
        kept = timed(lambda path=path: ours_first(path, True))
        rows.append(row(f"{name}, with sidecar", kept, "ours without", ours, "ms", "<= 10 ms"))
    return rows


def reading(paths: dict[Layout, Path]) -> list[Row]:
    """Bytes read before the first frame, by the kernel's own count."""
    rows = []
    for layout, path in paths.items():
        size = path.stat().st_size
        counted = {}
        for name, action in (
            ("ours", lambda path=path: open_frames(path, sidecar=False).close()),
            ("pydicom", lambda path=path: pydicom_frame(path, 0)),
        ):
            before = read_bytes()
            action()
            counted[name] = read_bytes() - before
        peer = counted["pydicom"]
        rows.append(
            row(
                f"bytes read before frame 1, {layout.value}",
                100 * counted["ours"] / size,
                "pydicom",
                100 * peer / size,
                "% of the file",
                "<= 0.02 %",
            )
        )
    cache = Path(os.environ["DICOM_WORKBENCH_CACHE"])
    kept = sum(p.stat().st_size for p in cache.rglob("*") if p.is_file())
    total = sum(p.stat().st_size for p in paths.values())
    return [
        *rows,
        row("disk for all sidecars", 100 * kept / total, "import into a server", 100.0, "% of the files", "<= 0.1 %"),
    ]


def read_bytes() -> int:
    """Return how many bytes this process has asked the kernel for (Linux)."""
    return int(
        next(line for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("rchar")).split()[1]
    )


def decoding(path: Path) -> list[Row]:
    """Twenty decoded frames from the end of a fragmented file."""

    def ours() -> None:
        with open_frames(path, sidecar=False) as frames:
            frames.prefetch(range(len(frames) - 20, len(frames)))
            for index in range(len(frames) - 20, len(frames)):
                frames[index]

    def by_pydicom() -> None:
        from pydicom.pixels import iter_pixels

        count = int(pydicom.dcmread(path, stop_before_pixels=True).NumberOfFrames)
        assert len(list(iter_pixels(path, indices=list(range(count - 20, count))))) == 20

    def by_highdicom() -> None:
        from highdicom.io import ImageFileReader

        with ImageFileReader(str(path)) as reader:
            for index in range(reader.number_of_frames - 20, reader.number_of_frames):
                reader.read_frame(index)

    mine = timed(ours, 3) / 1000
    name = "20 decoded frames from the end, four fragments a frame"
    return [
        row(name, mine, "pydicom", attempt(lambda: timed(by_pydicom, 1) / 1000), "s", "<= 0.8 s"),
        row(name, mine, "highdicom", attempt(lambda: timed(by_highdicom, 1) / 1000), "s", "<= 0.8 s"),
    ]


@contextmanager
def our_server(path: Path) -> Iterator[tuple[str, int]]:
    """Run our command; gives the DICOMweb root and the process id."""
    command = [
        sys.executable,
        "-m",
        "DicomWorkbenchLib",
        "stream",
        "serve",
        str(path),
        "--port",
        "0",
        "--progress",
        "json",
    ]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        for line in child.stdout:
            if "serving" in json.loads(line):
                yield json.loads(line)["serving"] + "/dicomweb", child.pid
                return
    finally:
        child.terminate()
        child.wait(10)
        child.stdout.close()


@contextmanager
def orthanc(path: Path, folder: Path) -> Iterator[tuple[str, int, float]]:
    """Run Orthanc with its DICOMweb plugin and upload a file; gives the root, the process id and the seconds of the upload."""
    program = shutil.which("Orthanc")
    if program is None:
        raise FileNotFoundError("Orthanc is not installed")
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = {
        "Name": "bench", "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"), "HttpPort": port,
        "DicomServerEnabled": False, "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"], "HttpThreadsCount": 16, "KeepAlive": True,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    child = subprocess.Popen(
        [program, str(folder / "orthanc.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/system")
                connection.getresponse().read()
                break
            except OSError:
                time.sleep(0.1)
        began = time.perf_counter()
        with path.open("rb") as stream:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
            connection.request("POST", "/instances", body=stream, headers={"Content-Length": str(path.stat().st_size)})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"upload: {answer.status} {text[:80]!r}")
        yield f"http://127.0.0.1:{port}/dicom-web", child.pid, time.perf_counter() - began
    finally:
        child.terminate()
        child.wait(30)


def serving(path: Path, frames: int, quick: bool) -> list[Row]:
    """Random stored frames over HTTP, one client and eight; memory of the server; disk."""
    header = pydicom.dcmread(path, stop_before_pixels=True)
    place = f"/studies/{header.StudyInstanceUID}/series/{header.SeriesInstanceUID}/instances/{header.SOPInstanceUID}/frames/"
    requests = 60 if quick else 400
    with our_server(path) as (root, process):
        began = time.perf_counter()
        fetch(root + place + "1", ACCEPT)
        first = time.perf_counter() - began
        ours = latencies(root + place, frames, requests, ACCEPT)
        rate = together(root + place, frames, requests, ACCEPT)
        memory = peak_mb(process)
    peer: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        try:
            with orthanc(path, Path(folder)) as (root, process, upload):
                peer["first"] = upload
                count = 5 if not quick else 20  # it takes seconds for each frame of a large file
                peer["times"] = latencies(root + place, frames, count, ACCEPT_JPEG)
                peer["memory"] = peak_mb(process)
        except (OSError, RuntimeError, http.client.HTTPException, AssertionError) as error:
            peer["why"] = f"fails: {type(error).__name__}: {str(error)[:60]}"
    why = peer.get("why", "not measured")
    times = peer.get("times")
    at = lambda values, share: sorted(values)[min(int(len(values) * share), len(values) - 1)]  # noqa: E731
    return [
        row("from file to first frame over the web", first, "Orthanc, upload", peer.get("first", why), "s"),
        row(
            "random frame over HTTP, p50", at(ours, 0.5), "Orthanc", at(times, 0.5) if times else why, "ms", "<= 10 ms"
        ),
        row(
            "random frame over HTTP, p99",
            at(ours, 0.99),
            "Orthanc",
            at(times, 0.99) if times else why,
            "ms",
            "<= 50 ms",
        ),
        row(f"{CLIENTS} clients, frames a second", rate, "", "", "1/s"),
        row(
            f"peak memory of the server, {CLIENTS} clients",
            memory,
            "Orthanc, 1 client",
            peer.get("memory", why),
            "MB",
            "<= 120 MB",
        ),
    ]


def fetch(url: str, accept: str, connection: http.client.HTTPConnection | None = None) -> int:
    """Get one frame; returns the number of bytes."""
    parts = urlsplit(url)
    connection = connection or http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
    connection.request("GET", parts.path, headers={"Accept": accept})
    answer = connection.getresponse()
    data = answer.read()
    assert answer.status == 200, f"{answer.status} {data[:80]!r}"
    return len(data)


def latencies(base: str, frames: int, requests: int, accept: str) -> list[float]:
    """Return the times of random frames over one connection, ms."""
    choice, parts = random.Random(1), urlsplit(base)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
    found = []
    for _ in range(requests):
        began = time.perf_counter()
        fetch(f"{base}{choice.randrange(frames) + 1}", accept, connection)
        found.append((time.perf_counter() - began) * 1000)
    connection.close()
    return found


def together(base: str, frames: int, requests: int, accept: str) -> float:
    """Return frames a second that eight clients get together."""
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda _: latencies(base, frames, requests // 4, accept), range(CLIENTS)))
    return CLIENTS * (requests // 4) / (time.perf_counter() - began)


def peak_mb(process: int) -> float:
    """Return the highest resident memory of a process so far (Linux)."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def viewing(path: Path, quick: bool) -> list[Row]:
    """OHIF in headless Chromium in front of our server."""
    spec = importlib.util.spec_from_file_location("ohif_viewer", ROOT / "Testing" / "EndToEnd" / "ohif_viewer.py")
    assert spec and spec.loader
    viewer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(viewer)
    try:
        viewer.viewer_folder()
    except viewer.NotAvailableError as reason:
        return [row("OHIF: first frame", "", "", str(reason), "ms")]
    study = str(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID)
    with our_server(path) as (root, process), viewer.hosted(root) as address, tempfile.TemporaryDirectory() as pictures:
        seen = viewer.drive(address, study, Path(pictures), seconds=400, play_seconds=5 if quick else 20, reloads=3)
        memory = peak_mb(process)
    played = (seen.get("playedTo") or [0])[0] - (seen.get("playedFrom") or [0])[0]
    trouble = [
        *seen["errors"],
        *(["crash"] if seen["crashed"] else []),
        *([seen["failure"]] if seen.get("failure") else []),
    ]
    return [
        row(
            "OHIF: first frame, slowest of 4 openings", float(max(t or 1e9 for t in seen["firstFrameMs"])), "", "", "ms"
        ),
        row("OHIF: frames it moved on while playing", played, "", "; ".join(trouble) or "no crash, no error", "frames"),
        row("OHIF: largest JavaScript heap", max(seen["heapMb"], default=0), "", "", "MB"),
        row("OHIF: peak memory of our server", memory, "", "", "MB"),
    ]


def corpus() -> list[Row]:
    """How many unusual files each reader gets right: every frame byte for byte, or a refusal where one is due."""
    cases = list(all_cases())
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for case in cases:
            path = Path(folder) / f"{case.name}.dcm"
            path.write_bytes(case.content)
            paths.append(path)
        count = {
            "ours": sum(judged(case, path, ours_frame) for case, path in zip(cases, paths, strict=True)),
            "pydicom": sum(judged(case, path, pydicom_frame) for case, path in zip(cases, paths, strict=True)),
            "highdicom": sum(judged(case, path, highdicom_frame) for case, path in zip(cases, paths, strict=True)),
        }
    total = len(cases)
    return [
        {**row("unusual files right, byte for byte or refused", f"{count['ours']} of {total}", peer, f"{count[peer]} of {total}", "files"),
         "ratio": round(count["ours"] / max(count[peer], 1), 2)}
        for peer in ("pydicom", "highdicom")
    ]  # fmt: skip


def ours_frame(path: Path, index: int) -> bytes:
    with open_frames(path, sidecar=False) as frames:
        return frames.encoded(index)


def judged(case: Case, path: Path, read: Callable[[Path, int], bytes]) -> bool:
    """Tell whether a reader treats a file right; a padding byte at the end of a frame is not counted against it."""
    result: list[bool] = []

    def work() -> None:
        result.append(_judge(case, path, read))

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(20)  # a reader that hangs gets it wrong
    return bool(result and result[0])


def _judge(case: Case, path: Path, read: Callable[[Path, int], bytes]) -> bool:
    wanted = case.frames or (b"",)
    for index, truth in enumerate(wanted):
        try:
            found = read(path, index)
        except Exception:  # noqa: BLE001  however a reader refuses
            found = b""
        if found.rstrip(b"\0") != truth.rstrip(b"\0"):
            return False
    return True


if __name__ == "__main__":
    for line in main("--quick" in sys.argv):
        print(line)
