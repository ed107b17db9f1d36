"""The queue's web server: events to 50 browsers, lists with 10,000 jobs, uploads against a bare peer, memory, and a kill.

The peer of the upload reads a socket and writes a file with one fsync at the end: no server that keeps bytes safely can do less.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import importlib.util
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MEGABYTE = 1 << 20
CHUNK = 64 * MEGABYTE  # of an upload, as the page sends it
Row = dict[str, Any]

_PEER = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    handle = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    buffer = bytearray(1 << 20)
    while count := connection.recv_into(buffer):
        os.write(handle, memoryview(buffer)[:count])
    os.fsync(handle)
    connection.sendall(b"x")
    connection.close()
    os.close(handle)
"""


def main(quick: bool = False) -> list[Row]:
    """Run all measurements; ``quick`` takes fewer jobs and smaller files."""
    _load_helpers()
    with tempfile.TemporaryDirectory(dir=ROOT / "build" if (ROOT / "build").is_dir() else None) as name:
        folder = Path(name)
        rows = [*lists(folder / "lists", 1000 if quick else 10_000, 200 if quick else 2000)]
        rows.append(events(folder / "lists", 50, 20 if quick else 100))
        size = (512 if quick else 8192) * MEGABYTE
        rows.append(throughput(folder, (256 if quick else 1024) * MEGABYTE, 3))
        rows.append(large(folder / "large", size))
        rows.append(killed(folder / "killed", 256 * MEGABYTE))
    return rows


def lists(root: Path, jobs: int, requests: int) -> list[Row]:
    """Measure a page of 100 jobs, the newest and one in the middle, with many jobs in the ledger."""
    from AutoSegmentQueueLib.ledger import Content, NewJob
    from AutoSegmentQueueLib.ledger_changes import insert_complete
    from queue_testing import opened_home

    with opened_home(root) as (_, _, ledger):
        ledger.set_paused(True)
        with ledger.writing() as connection:  # one commit: how fast jobs are queued is measured elsewhere
            for number in range(jobs):
                insert_complete(connection, NewJob(f"scan {number}"), Content(f"{number}", 1), time.time())
    with _server(root) as server:
        used = _processor_seconds(server.pid)
        first = _times(server, "/api/jobs", requests)
        each_ms = 1e3 * (_processor_seconds(server.pid) - used) / requests
        middle = _times(server, f"/api/jobs?after={jobs // 2}&limit=100", requests)
        memory = _memory_mb(server.pid)
    target = {"target": "p99 <= 20 ms"}
    return [
        {
            "name": f"GET /api/jobs, {jobs} jobs",
            "ratio": None,
            **_spread(first),
            "processor_ms": each_ms,
            "memory_mb": memory,
            **target,
        },
        {"name": f"GET /api/jobs from the middle, {jobs} jobs", "ratio": None, **_spread(middle), **target},
    ]


def events(root: Path, clients: int, count: int) -> Row:
    """Measure from a job's change in the ledger to the last of many browsers that is told."""
    from AutoSegmentQueueLib.home import Home
    from AutoSegmentQueueLib.ledger import Content, Ledger, NewJob

    ledger = Ledger(Home.open(root).ledger)
    with _server(root) as server:
        followers = [_Follower(server) for _ in range(clients)]
        time.sleep(1.0)
        sent: dict[str, float] = {}
        for number in range(count):
            job = ledger.enqueue(NewJob(f"event {number}"), Content(f"event {number} {time.time()}", 1))
            sent[job.id] = time.time()
            time.sleep(0.05 + 0.3 * ((number * 7919) % 100) / 100)  # not in step with the server's own beat
        time.sleep(1.5)
        waits = [one.seen[job] - began for one in followers for job, began in sent.items() if job in one.seen]
        lost = clients * count - len(waits)
        for one in followers:
            one.close()
    ledger.close()
    spread = _spread(waits)
    return {"name": f"event to {clients} browsers", "ratio": None, **spread, "lost": lost, "target": "p95 <= 300 ms"}


def throughput(folder: Path, size: int, rounds: int) -> Row:
    """Measure an upload against the peer, in turn, and take the best of each."""
    content = os.urandom(CHUNK)
    ours, peers = [], []
    with _server(folder / "throughput") as server, _peer(folder / "peer.bin") as port:
        for _ in range(rounds):
            peers.append(size / _peer_seconds(port, content, size) / MEGABYTE)
            url = server.begin(size)
            began = time.perf_counter()
            server.send(url, content, size)
            ours.append(size / (time.perf_counter() - began) / MEGABYTE)
            server.delete(url)
    return {
        "name": f"upload of {size // MEGABYTE} MB",
        "ratio": max(ours) / max(peers),
        "mb_per_second": max(ours),
        "peer": "socket to file, one fsync",
        "peer_mb_per_second": max(peers),
        "load_of_the_machine": _load(),
        "target": ">= 0.8",
    }


def large(root: Path, size: int) -> Row:
    """Measure the memory of the server while a large file comes."""
    with _server(root) as server:
        content, before = os.urandom(CHUNK), _memory_mb(server.pid)
        url, most, done = server.begin(size), [before], threading.Event()

        def watch() -> None:
            while not done.wait(0.1):
                most.append(_memory_mb(server.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.perf_counter()
        server.send(url, content, size)
        seconds = time.perf_counter() - began
        done.set()
        watcher.join()
        server.delete(url)
    return {
        "name": f"server while {size / (1 << 30):.1f} GB come",
        "ratio": None,
        "memory_mb": max(most),
        "idle_memory_mb": before,
        "mb_per_second": size / seconds / MEGABYTE,
        "target": "<= 150 MB",
    }


def killed(root: Path, size: int) -> Row:
    """Measure how much a killed server has to be sent again: within one request of the whole file, and by chunks."""
    with _server(root) as server:
        content = os.urandom(CHUNK)
        url, sent = server.begin(size), [0]
        sender = threading.Thread(target=server.send_until_cut, args=(url, content, size, sent))
        sender.start()
        while sent[0] < size * 0.7:
            time.sleep(0.001)
        os.kill(server.pid, 9)
        sender.join()
        port, cookie = server.port, server.headers
    with _server(root, port, cookie) as server:
        offset = server.offset(url)
    return {
        "name": "killed while one request brings a file",
        "ratio": None,
        "sent_mb": sent[0] / MEGABYTE,
        "kept_mb": offset / MEGABYTE,
        "again_mb": (sent[0] - offset) / MEGABYTE,
        "target": f"<= one chunk ({CHUNK // MEGABYTE} MB)",
    }


class _Server:
    """A server in a process of its own, and a client that has opened its printed address."""

    def __init__(self, root: Path, port: int, headers: dict[str, str] | None) -> None:
        from queue_testing import environment, queue_command

        _generous(root)
        command = queue_command("web", "--home", str(root), "--port", str(port))
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment())
        assert self.process.stderr
        line = self.process.stderr.readline()
        address = line.partition("http://")[2].strip()
        self.pid, self.port = self.process.pid, int(address.partition(":")[2].partition("/")[0])
        self.headers = headers or self._log_in("/" + address.partition("/")[2])

    def _log_in(self, path: str) -> dict[str, str]:
        cookie = self.ask("GET", path, headers={}).headers["Set-Cookie"].partition(";")[0]
        me = json.loads(self.ask("GET", "/api/me", headers={"Cookie": cookie}).content)
        return {"Cookie": cookie, "X-CSRF-Token": me["csrf"]}

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        connection = self.connect()
        connection.request(method, path, body, {**(self.headers if headers is None else {}), **(headers or {})})
        answer: Any = connection.getresponse()
        answer.content = answer.read()
        connection.close()
        return answer

    def tus(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self.ask(method, path, body, {**self.headers, "Tus-Resumable": "1.0.0", **headers})

    def begin(self, size: int) -> str:
        word = f"filename {base64.b64encode(b'a.dcm').decode()},batch {base64.b64encode(b'bench').decode()}"
        headers = {"Upload-Length": str(size), "Upload-Metadata": word}
        answer = self.tus("POST", "/api/uploads", **headers)
        assert answer.status == 201, answer.content
        return str(answer.headers["Location"])

    def send(self, url: str, content: bytes, size: int) -> None:
        """Send all in one request, as tus clients do unless told otherwise; the server counts what is on disk meanwhile."""
        parts = (content[: size - offset] for offset in range(0, size, len(content)))
        kind = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0", "Content-Length": str(size)}
        answer = self.tus("PATCH", url, parts, **kind)
        assert answer.status == 204, answer.content

    def send_until_cut(self, url: str, content: bytes, size: int, sent: list[int]) -> None:
        def parts() -> Iterator[bytes]:
            for offset in range(0, size, MEGABYTE):
                yield content[offset % len(content) : offset % len(content) + MEGABYTE]
                sent[0] += MEGABYTE

        kind = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0", "Content-Length": str(size)}
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.tus("PATCH", url, parts(), **kind)

    def offset(self, url: str) -> int:
        return int(self.tus("HEAD", url).headers["Upload-Offset"])

    def delete(self, url: str) -> None:
        assert self.tus("DELETE", url).status == 204


@contextlib.contextmanager
def _server(root: Path, port: int = 0, headers: dict[str, str] | None = None) -> Iterator[_Server]:
    server = _Server(root, port, headers)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.terminate()
        server.process.wait(30)
        if server.process.stderr:
            server.process.stderr.close()


def _generous(root: Path) -> None:
    from AutoSegmentQueueLib.home import Home
    from AutoSegmentQueueLib.web.settings import WebSettings, save

    save(Home.open(root), WebSettings(requests_per_second=100_000))


class _Follower:
    def __init__(self, server: _Server) -> None:
        self.seen: dict[str, float] = {}
        self._connection = server.connect()
        self._connection.request("GET", "/api/events", headers=server.headers)
        self._answer = self._connection.getresponse()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            while line := self._answer.readline():
                if line.startswith(b"data: {") and b'"id":"' in line:
                    self.seen.setdefault(line.partition(b'"id":"')[2][:8].decode(), time.time())

    def close(self) -> None:
        if self._connection.sock:
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._answer.close()
        self._connection.close()


@contextlib.contextmanager
def _peer(path: Path) -> Iterator[int]:
    peer = subprocess.Popen([sys.executable, "-c", _PEER, str(path)], stdout=subprocess.PIPE, text=True)
    assert peer.stdout
    try:
        yield int(peer.stdout.readline())
    finally:
        peer.kill()
        peer.wait()
        peer.stdout.close()
        path.unlink(missing_ok=True)


def _peer_seconds(port: int, content: bytes, size: int) -> float:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        began = time.perf_counter()
        for offset in range(0, size, len(content)):
            connection.sendall(content[: size - offset])
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b"x"
        return time.perf_counter() - began


def _times(server: _Server, path: str, count: int) -> list[float]:
    connection, times = server.connect(), []
    for _ in range(count):
        began = time.perf_counter()
        connection.request("GET", path, headers=server.headers)
        answer = connection.getresponse()
        content = answer.read()
        times.append(time.perf_counter() - began)
        assert answer.status == 200 and len(content) > 1000
    connection.close()
    return times


def _spread(seconds: list[float]) -> Row:
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50_ms": 1e3 * cuts[49], "p95_ms": 1e3 * cuts[94], "p99_ms": 1e3 * cuts[98]}


def _load() -> float | None:
    """Return how many processes wanted to run in the last minute: with more than there are cores, times say little."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None  # not on Windows


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def _load_helpers() -> None:
    """Make the helpers of the queue's tests importable, as pytest does by its configuration."""
    folder = ROOT / "Testing" / "queue_testing"
    spec = importlib.util.spec_from_file_location(
        "queue_testing", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec and spec.loader
    module = sys.modules["queue_testing"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
