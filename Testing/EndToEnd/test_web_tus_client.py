"""tus-js-client from npm, as the page uses it, against our server: an upload whose server is killed in the middle goes on by itself."""

import hashlib
import json
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.states import State
from AutoSegmentQueueLib.web.store import WebStore
from AutoSegmentQueueLib.web.tokens import Tokens
from EndToEnd import ohif_viewer
from queue_testing import environment, nifti, opened_home, queue_command, wait_for

CACHE = ohif_viewer.ROOT / "build" / "tus"
TUS_CLIENT = "tus-js-client@4.3.1"
CHUNK = 4 << 20
SIDE = 320  # voxels: 62 MB


@pytest.fixture(scope="module")
def modules() -> Path:
    try:
        if not (CACHE / "node_modules" / "tus-js-client").exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            (CACHE / "package.json").write_text('{"private": true}')
            ohif_viewer.npm(CACHE, "install", TUS_CLIENT, *ohif_viewer.QUIETLY)
    except ohif_viewer.NotAvailableError as reason:
        pytest.skip(str(reason))
    return CACHE


@contextmanager
def serving(root: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    command = queue_command("web", "--home", str(root), "--port", str(port))
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment())
    try:
        assert server.stderr and server.stderr.readline().startswith("page ")
        yield server
    finally:
        server.kill()
        server.wait()
        if server.stderr:
            server.stderr.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def large_scan(path: Path) -> Path:
    header = bytearray(nifti()[:352])
    struct.pack_into("<8h", header, 40, 3, SIDE, SIDE, SIDE, 1, 1, 1, 1)
    block = hashlib.shake_256(b"voxels").digest(2 * SIDE * SIDE)
    with path.open("wb") as file:
        file.write(header)
        for number in range(SIDE):
            file.write(block[number:] + block[:number])
    return path


@pytest.mark.needs("node", "npm")
@pytest.mark.timeout(240)
def test_an_upload_goes_on_after_its_server_was_killed_and_sends_at_most_one_piece_again(
    tmp_path: Path, modules: Path
) -> None:
    root, port, scan = tmp_path / "home", free_port(), large_scan(tmp_path / "scan.nii")
    with opened_home(root) as (home, _, _):
        store = WebStore(home)
        order: dict[str, Any] = {
            "token": Tokens(store).add("browser", ("submit",), 1),
            "url": f"http://127.0.0.1:{port}",
        }
        store.close()
    order |= {"modules": str(modules), "file": str(scan), "name": "large.nii", "chunk": CHUNK}
    (tmp_path / "order.json").write_text(json.dumps(order))
    told: list[dict[str, Any]] = []
    with serving(root, port) as server:
        client = subprocess.Popen(
            ["node", str(Path(__file__).with_name("web_tus.mjs")), str(tmp_path / "order.json")],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert client.stdout
            for line in client.stdout:
                told.append(json.loads(line))
                if told[-1].get("sent", 0) > 5.5 * CHUNK:  # in the middle of the sixth piece
                    server.kill()
                    server.wait()
                    break
            with serving(root, port):
                told += [json.loads(line) for line in client.stdout]
                assert client.wait(120) == 0, told[-1]
        finally:
            client.kill()
            client.wait()
            client.stdout.close()
    resumed = next(one["resumed"] for one in told if "resumed" in one)
    before = max(one["sent"] for one in told[: told.index({"resumed": resumed})] if "sent" in one)
    assert resumed > 0 and before - resumed <= CHUNK, (before, resumed)
    ledger = Ledger(Home.open(root).ledger)
    job = ledger.job(told[-1]["job"])
    assert job.sha256 == hashlib.sha256(scan.read_bytes()).hexdigest() and job.name == "large"
    assert job.options["quality"] == "fast" and wait_for(lambda: ledger.job(job.id).state is State.QUEUED)
    ledger.close()
