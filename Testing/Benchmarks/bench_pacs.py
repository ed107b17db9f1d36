"""Receiving from a PACS: images per second by C-STORE with four associations and by STOW-RS, against DCMTK's storescp in the same run.

The same senders (DCMTK's storescu, one process per association) send the same slices to both. Ours answers when a slice is synced and in
its place; storescp does not sync.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ASSOCIATIONS = 4
SIZE = 512
Row = dict[str, Any]


def main(quick: bool = False) -> list[Row]:
    """Run all measurements; ``quick`` takes a third of the slices, once."""
    _load_helpers()
    each, repeats = (30, 1) if quick else (100, 3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = _slices(folder, each)
        return [_store(folder, parts, repeats), _store(folder, parts[:1], repeats), _stow(folder, parts, repeats)]


def _store(folder: Path, parts: list[Path], repeats: int) -> Row:
    """Measure C-STORE with as many associations as there are parts."""
    ours, theirs = [], []
    for _ in range(repeats):
        with _our_node(folder / "home") as port:
            ours.append(_rate(parts, port))
        with _storescp(folder / "storescp") as port:
            theirs.append(_rate(parts, port))
    name = (
        f"C-STORE in, {len(parts)} association{'s' if len(parts) > 1 else ''}, against storescp (which does not sync)"
    )
    return _row(name, max(ours), max(theirs), "DCMTK storescp")


def _stow(folder: Path, parts: list[Path], repeats: int) -> Row:
    """Measure STOW-RS with as many requests at once as the associations of C-STORE, against the same storescp."""
    ours, theirs = [], []
    for _ in range(repeats):
        with _our_stow(folder / "web") as address:
            ours.append(_timed(parts, lambda part, url=address: _stow_sender(part, url)))  # type: ignore[misc]
        with _storescp(folder / "storescp") as port:
            theirs.append(_rate(parts, port))
    return _row(
        f"STOW-RS in, {len(parts)} requests, against storescp by C-STORE", max(ours), max(theirs), "DCMTK storescp"
    )


def _row(name: str, ours: float, theirs: float, peer: str) -> Row:
    return {"name": name, "ratio": ours / theirs, "images_per_s": ours, "peer_images_per_s": theirs, "peer": peer}


def _rate(parts: list[Path], port: int) -> float:
    return _timed(
        parts,
        lambda part: subprocess.Popen(
            ["storescu", "-aec", "WORKBENCH", "-xe", "+sd", "127.0.0.1", str(port), str(part)],
            stdout=subprocess.DEVNULL,
        ),
    )


def _timed(parts: list[Path], start: Callable[[Path], subprocess.Popen[bytes]]) -> float:
    count = sum(1 for part in parts for _ in part.iterdir())
    began = time.perf_counter()
    senders = [start(part) for part in parts]
    codes = [sender.wait() for sender in senders]
    seconds = time.perf_counter() - began
    if any(codes):
        raise RuntimeError("a sender failed")
    return count / seconds


_STOW_SENDER = """
import http.client, sys
from pathlib import Path
from urllib.parse import urlsplit
where, files = urlsplit(sys.argv[1]), sorted(Path(sys.argv[2]).iterdir())
head, end = b"\\r\\n--xx\\r\\nContent-Type: application/dicom\\r\\n\\r\\n", b"\\r\\n--xx--\\r\\n"
connection = http.client.HTTPConnection(where.netloc)
connection.putrequest("POST", where.path + "/studies")
connection.putheader("Content-Type", 'multipart/related; type="application/dicom"; boundary=xx')
connection.putheader("Content-Length", str(sum(len(head) + one.stat().st_size for one in files) + len(end)))
connection.endheaders()
for one in files:
    connection.send(head + one.read_bytes())
connection.send(end)
answer = connection.getresponse()
answer.read()
sys.exit(answer.status != 200)
"""


def _stow_sender(part: Path, address: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-I", "-S", "-c", _STOW_SENDER, address, str(part)])


@contextmanager
def _our_node(root: Path) -> Iterator[int]:
    from pacs_testing.node import receiving

    with receiving(root) as ours:
        yield ours.port
    shutil.rmtree(root)


@contextmanager
def _our_stow(root: Path) -> Iterator[str]:
    """Serve the endpoint in a process of its own."""
    code = (
        "import sys; from pathlib import Path; from AutoSegmentQueueLib.home import Home;"
        "from AutoSegmentQueueLib.pacs.store import Store; from pacs_testing.stow import stow_server;"
        "from queue_testing import LIGHT\n"
        "store = Store(Home.open(Path(sys.argv[1])), LIGHT)\n"
        "with stow_server(store) as address:\n"
        "    print(address, flush=True); sys.stdin.read()\n"
        "store.close()\n"
    )
    path = os.pathsep.join([str(ROOT / "Testing"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", code, str(root)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as server:
        assert server.stdout and server.stdin
        yield server.stdout.readline().strip()
        server.stdin.close()
    shutil.rmtree(root)


@contextmanager
def _storescp(folder: Path) -> Iterator[int]:
    """Run DCMTK's storescp with a process for each association."""
    from pacs_testing import free_port

    folder.mkdir()
    port = free_port()
    server = subprocess.Popen(["storescp", "--fork", "+xa", "-od", str(folder), str(port)])
    try:
        while subprocess.run(["echoscu", "127.0.0.1", str(port)], capture_output=True, check=False).returncode:
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait()
    shutil.rmtree(folder)


def _slices(folder: Path, each: int) -> list[Path]:
    from pacs_testing import small_slices

    parts = [folder / f"part{number}" for number in range(ASSOCIATIONS)]
    for number, part in enumerate(parts):
        small_slices(part, each, size=SIZE, key=f"part {number}")
    return parts


def _load_helpers() -> None:
    """Make the tests' helpers importable: they are no package of the installation."""
    for name in ("pacs_testing", "queue_testing"):
        path = ROOT / "Testing" / name / "__init__.py"
        spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=[str(path.parent)])
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
    for name in ("queue_testing", "pacs_testing"):
        found = sys.modules[name]
        assert found.__spec__ and found.__spec__.loader
        found.__spec__.loader.exec_module(found)
