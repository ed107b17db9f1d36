"""Files that nodes fetch and return: who may, what arrives, what is refused; and the certificates they do it with.

The truth is the bytes that were offered and returned, by their SHA-256.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ssl
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from AutoSegmentQueueLib.cluster.certificates import make_certificates
from AutoSegmentQueueLib.cluster.devices import VARIABLE, Gpus
from AutoSegmentQueueLib.cluster.executor_dask import DaskExecutor
from AutoSegmentQueueLib.cluster.fleet import Fleet, Placed
from AutoSegmentQueueLib.cluster.mapping import PathMap
from AutoSegmentQueueLib.cluster.node import RemoteOrder, Site, perform
from AutoSegmentQueueLib.cluster.parcel import Parcel
from AutoSegmentQueueLib.cluster.settings import ClusterSettings
from AutoSegmentQueueLib.cluster.tls import ssl_context
from AutoSegmentQueueLib.cluster.transfer_client import QueueFiles, TransferError
from AutoSegmentQueueLib.cluster.transfer_server import FileServer
from AutoSegmentQueueLib.executor import Order
from AutoSegmentQueueLib.executors import executor_of
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.states import ENDED
from DicomWorkbenchLib.errors import OutputError, SettingsError
from queue_testing import opened_home, wait_for
from queue_testing.cluster_queue import Queue

SCHEDULER = "tcp://127.0.0.1:9"  # nobody has to be there to find out which address of ours leads to it


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make_certificates(folder, ["node.example", "10.1.2.3"])
    return folder


@contextlib.contextmanager
def offered(tmp_path: Path, **settings: object) -> Iterator[tuple[FileServer, Order, Parcel]]:
    """An order with a folder of two slices as its input."""
    folder, study = tmp_path / "work", tmp_path / "study"
    (study / "below").mkdir(parents=True)
    folder.mkdir()
    (folder / "job.json").write_text("{}")
    (study / "1.dcm").write_bytes(bytes(range(256)) * 9000)
    (study / "below" / "2.dcm").write_bytes(b"")
    order = Order("job-1", ("x",), folder, folder / "stdout.jsonl", tmp_path / "log.txt", inputs=(study,))
    server = FileServer(ClusterSettings(files="transfer", **settings), SCHEDULER)  # type: ignore[arg-type]
    try:
        yield server, order, server.offer(order)
    finally:
        server.close()


def client(parcel: Parcel, tls: Path | None = None) -> contextlib.closing[QueueFiles]:
    names = ("ca.pem", "node.pem", "node-key.pem")
    files = (str(tls / names[0]), str(tls / names[1]), str(tls / names[2])) if tls else None
    return contextlib.closing(QueueFiles(parcel, files, lambda: True))


def ask(parcel: Parcel, method: str, verb: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    parts = urlsplit(parcel.address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    with contextlib.closing(connection):
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, f"{parts.path}/{verb}", body, {"Authorization": f"Bearer {parcel.token}", **given})
        answer = connection.getresponse()
        return answer.status, answer.read()


def put(parcel: Parcel, name: str, content: bytes, offset: int = 0, total: int | None = None, sha: str = "") -> int:
    size = str(len(content) + offset if total is None else total)
    sha = sha or hashlib.sha256(content).hexdigest()
    return ask(parcel, "PUT", f"return/{name}", content, X_Offset=str(offset), X_Size=size, X_SHA256=sha)[0]


def test_a_node_gets_every_file_and_its_results_take_their_places(tmp_path: Path) -> None:
    with contextlib.ExitStack() as opened:
        _, order, parcel = opened.enter_context(offered(tmp_path))
        root = tmp_path / "node"
        queue = opened.enter_context(client(parcel))
        queue.claim()
        queue.fetch(root)
        assert (root / "inputs/0/study/1.dcm").read_bytes() == (tmp_path / "study/1.dcm").read_bytes()
        assert (root / "inputs/0/study/below/2.dcm").read_bytes() == b""
        work = root / "work"
        (work / "result" / "models ü").mkdir(parents=True)
        (work / "result" / "models ü" / "liver #1.glb").write_bytes(b"m" * 3_000_000)
        (work / "out").write_text("line\n")
        (work / "log").write_text("said there\n")
        order.stderr.write_text("said here\n")
        queue.give_back(work, work / "out", work / "log")
        assert (order.folder / "result/models ü/liver #1.glb").read_bytes() == b"m" * 3_000_000
        assert order.stdout.read_text() == "line\n"
        assert order.stderr.read_text() == "said here\nsaid there\n"


def test_an_order_is_begun_once_and_its_token_opens_nothing_after_its_end(tmp_path: Path) -> None:
    with offered(tmp_path) as (server, order, parcel):
        other = server.offer(Order("job-2", ("x",), order.folder, order.stdout, order.stderr))
        with client(parcel) as first, client(parcel) as second:
            first.claim()
            with pytest.raises(FileExistsError):
                second.claim()
        stolen = Parcel(other.address, parcel.token, (), ())
        assert ask(stolen, "GET", "file/0")[0] == 403
        assert ask(parcel, "GET", "file/0")[0] == 200
        server.withdraw("job-1")
        assert ask(parcel, "GET", "file/0")[0] == 403
        assert put(parcel, "result/late.txt", b"late") == 403
        assert not (order.folder / ".incoming").exists()


def test_a_broken_transfer_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    with offered(tmp_path) as (_, order, parcel):
        status, rest = ask(parcel, "GET", "file/1", Range="bytes=2303990-")
        assert status == 206 and rest == bytes(range(256))[-10:]
        content = b"0123456789"
        sha = hashlib.sha256(content).hexdigest()
        assert put(parcel, "result/a", content[:4], 0, 10, sha) == 200
        assert put(parcel, "result/a", content[6:], 6, 10, sha) == 409  # a gap
        assert put(parcel, "result/a", content[4:], 4, 10, sha) == 200
        assert ask(parcel, "POST", "complete", b'["result/a"]')[0] == 200
        assert (order.folder / "result/a").read_bytes() == content


def test_what_is_damaged_too_large_or_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    with offered(tmp_path, result_bytes=100) as (_, order, parcel):
        assert put(parcel, "result/a", b"x", sha="0" * 64) == 422
        assert put(parcel, "result/a", b"x" * 101) == 413
        for name in (
            "result/../../a",
            "result/%2e%2e/a",
            "/etc/a",
            "result",
            "other/a",
            "result/c:a",
            "result//a",
            "result/a%5cb",
        ):
            assert put(parcel, name, b"x") == 400, name
        assert ask(parcel, "POST", "complete", b'["result/a"]')[0] == 409  # it never came whole
        assert ask(parcel, "GET", "file/99")[0] == 404
        assert not (order.folder / "result").exists()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["study", "work"]


def test_without_a_certificate_of_the_authority_nobody_gets_in(tmp_path: Path, certificates: Path) -> None:
    with offered(tmp_path, tls=certificates) as (_, _, parcel):
        assert parcel.address.startswith("https://")
        with client(parcel, certificates) as ours:
            ours.claim()
        with pytest.raises(TransferError, match="certificates"):
            client(parcel)
        strangers = tmp_path / "strangers"
        make_certificates(strangers)
        parts = urlsplit(parcel.address)
        context = ssl_context(strangers, server=False)
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=10)
        with contextlib.closing(connection), pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
            connection.request("POST", f"{parts.path}/claim", b"", {"Authorization": f"Bearer {parcel.token}"})
            connection.getresponse()


def test_certificates_hold_for_the_named_hosts_and_keys_are_private(certificates: Path) -> None:
    from cryptography import x509

    node = x509.load_pem_x509_certificate((certificates / "node.pem").read_bytes())
    names = node.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "node.example" in names.get_values_for_type(x509.DNSName)
    assert "10.1.2.3" in map(str, names.get_values_for_type(x509.IPAddress))
    node.verify_directly_issued_by(x509.load_pem_x509_certificate((certificates / "ca.pem").read_bytes()))
    if sys.platform != "win32":
        assert stat.S_IMODE((certificates / "node-key.pem").stat().st_mode) == 0o600
    with pytest.raises(OutputError, match="already"):
        make_certificates(certificates)


@pytest.mark.needs("module:distributed")
def test_a_cluster_with_tls_and_transfers_delivers_what_the_local_executor_does(
    tmp_path: Path, certificates: Path
) -> None:
    published = {}
    for name in ("local", "local-cluster"):
        settings = ClusterSettings(tls=certificates, files="transfer")
        root = tmp_path / name
        root.mkdir()
        with opened_home(root / "home", executor=name, cluster=settings, slots=2) as (home, queue_settings, ledger):
            ours = Queue(root, home, queue_settings, ledger)
            ours.start()
            for what in ("ok", "sleep:0.1", "bad", "oom:1"):
                ours.add(what)
            wait_for(lambda found=ledger: all(job.state in ENDED for job in found.jobs()), 60)
            ours.stop()
            published[name] = {
                path.relative_to(home.output_of(queue_settings)).as_posix(): path.read_bytes()
                for path in home.output_of(queue_settings).rglob("segmentation.json")
            }
            states = [(job.name, job.state, job.ladder, job.error_class) for job in ledger.jobs()]
        published[f"{name} states"] = states  # type: ignore[assignment]
    assert published["local"] == published["local-cluster"] and len(published["local"]) == 3
    assert published["local states"] == published["local-cluster states"]


def test_a_node_runs_a_mapped_order_and_names_the_queue_s_paths_in_its_result(tmp_path: Path) -> None:
    there = tmp_path / "mnt" / "scans"
    there.mkdir(parents=True)
    (there / "job.json").write_text('{"inputs": ["/q/scans/a.nii"], "other": "/q/scansx"}')
    code = (
        "import json, sys, pathlib; job = json.load(open(sys.argv[1])); pathlib.Path('result').mkdir(); "
        "pathlib.Path('result/manifest.json').write_text(json.dumps(job)); print(json.dumps({'report': job['inputs']}))"
    )
    remote = RemoteOrder(
        "k-1", ("py", "-c", code, "/q/scans/job.json"), "/q/scans", "/q/scans/out", "/q/scans/err", "cpu", 60.0, {}, "py",
        (("/q/scans", str(there)),), "topic",
    )  # fmt: skip
    site = Site(lambda: True, lambda advance: None)
    assert perform(remote, site)["exit_code"] == 0
    assert (there / "result/manifest.json").read_text().count("/q/scans/a.nii") == 1
    assert "/q/scans/a.nii" in (there / "out").read_text()
    assert str(there / "a.nii") in (there / "node-job.json").read_text()
    assert perform(remote, site)["why"] == "lost"  # a second time: nothing is run
    assert PathMap((("C:\\scans", "/mnt"),)).text("C:\\scans\\a\\b") == "/mnt/a/b"


def test_a_node_of_another_version_refuses(tmp_path: Path) -> None:
    remote = RemoteOrder("k", ("x",), "f", "o", "e", "cpu", 1.0, {}, "py", (), "topic", version="0.0.1")
    ending = perform(remote, Site(lambda: True, lambda advance: None))
    assert ending["why"] == "refused" and "0.0.1" in ending["note"]


def workers(**resources: dict[str, float]) -> dict[str, object]:
    return {
        name: {"status": "running", "last_seen": 1.0, "nthreads": 4, "resources": one}
        for name, one in resources.items()
    }


def test_orders_go_to_nodes_with_a_free_slot_for_their_device_and_memory(tmp_path: Path) -> None:
    fleet = Fleet(60.0)
    fleet.update(workers(small={"CPU": 2, "MEMORY": 8e9}, large={"CPU": 1, "GPU": 2, "MEMORY": 64e9}, plain={}))
    order = Order("k", (), tmp_path, tmp_path, tmp_path)
    free = fleet.capacity([])
    assert (free["cpu"], free["gpu"], free["gpu:1"], free["gpu:2"], free["*"]) == (2 + 1 + 4, 2, 1, 0, 0)
    heavy = Order("k", (), tmp_path, tmp_path, tmp_path, memory_bytes=32_000_000_000)
    large = fleet.place(heavy, [])
    assert large and large.address == "large" and large.demand(heavy) == {"CPU": 1.0, "MEMORY": 32e9}
    placed = [Placed("large", "gpu", 0.0), Placed("large", "gpu:1", 0.0)]
    assert fleet.capacity(placed)["gpu"] == 0
    assert fleet.place(Order("k", (), tmp_path, tmp_path, tmp_path, device="gpu"), placed) is None
    plain = fleet.place(order, [Placed("small", "cpu", 0.0)] * 2)
    assert plain and plain.address == "plain" and plain.demand(order) == {}
    silent = Fleet(0.0)
    silent.update(workers(gone={"CPU": 1}))
    assert not silent.is_alive("gone") and silent.capacity([])["cpu"] == 0


def test_each_job_sees_one_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "4,6")  # what Slurm gave this node
    gpus = Gpus(2)
    assert gpus.take("a", "gpu") == {VARIABLE: "4"}
    assert gpus.take("b", "gpu:0") is None
    assert gpus.take("c", "gpu") == {VARIABLE: "6"}
    assert gpus.take("d", "gpu") is None
    gpus.give_back("a")
    assert gpus.take("b", "gpu:0") == {VARIABLE: "4,6"}
    assert gpus.take("e", "cpu") == {}


def test_settings_name_the_executor_or_say_what_is_wrong(tmp_path: Path) -> None:
    for wrong in ("dask", "tcp://host", "http://host:1"):
        with pytest.raises(SettingsError, match="executor must be"):
            QueueSettings(executor=wrong)
    with pytest.raises(SettingsError, match="--tls"):
        QueueSettings(executor="tls://host:1")
    with pytest.raises(SettingsError, match="HERE=THERE"):
        ClusterSettings(path_map=("/a",))
    with pytest.raises(SettingsError, match=r"ca\.pem"):
        executor_of(QueueSettings(executor="tls://host:1", cluster=ClusterSettings(tls=tmp_path)))


@pytest.mark.needs("module:distributed")
def test_without_a_scheduler_nothing_is_started_and_the_reason_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("AutoSegmentQueueLib.cluster.link.CONNECT_SECONDS", 1.0)
    executor = DaskExecutor("tcp://127.0.0.1:9", lost_seconds=5.0)
    try:
        assert not executor.link.wait_connected(0.1)
        assert set(executor.capacity().values()) == {0}
        with pytest.raises(OSError, match="no node"):
            executor.submit(Order("k", ("x",), tmp_path, tmp_path, tmp_path))
        assert "tcp://127.0.0.1:9" in executor.link.problem
    finally:
        executor.close()


@pytest.mark.needs("module:dask_jobqueue")
@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for sbatch is a shell script")
def test_slurm_gets_a_batch_script_for_every_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs, recorded = tmp_path / "bin", tmp_path / "scripts"
    programs.mkdir(), recorded.mkdir()
    (programs / "sbatch").write_text(f'#!/bin/sh\ncp "$1" "{recorded}/$$.sh"\necho "Submitted batch job $$"\n')
    (programs / "scancel").write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/cancelled"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    asked = ClusterSettings(slurm=("--partition=long", "--gres=gpu:2", "--time=02:00:00"))
    executor = executor_of(QueueSettings(executor="slurm", slots=2, cluster=asked))
    executor.close()
    scripts = [path.read_text() for path in recorded.iterdir()]
    assert len(scripts) == 2
    for line in ("#SBATCH --partition=long", "#SBATCH --gres=gpu:2", "#SBATCH -t 02:00:00"):
        assert all(line in script.splitlines() for script in scripts), scripts[0]
    assert all('--resources "CPU=1 GPU=2"' in script and "tcp://" in script for script in scripts), scripts[0]
