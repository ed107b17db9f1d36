"""Resumable uploads: the protocol tus 1.0 as its page says, room and quota, resuming after a kill, and what becomes of a finished file."""

import base64
import hashlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from AutoSegmentQueueLib.states import State
from AutoSegmentQueueLib.web.settings import WebSettings
from AutoSegmentQueueLib.web.uploads import Uploads
from queue_testing import dicom, nifti, wait_for
from queue_testing.corpus import zipped
from queue_testing.web import BYTES, TUS, WebServer, begin, metadata, send, upload, web_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_server(tmp_path_factory.mktemp("tus") / "home") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: WebServer) -> Iterator[httpx.Client]:
    with server.local() as client:
        yield client


def offset_of(client: httpx.Client, url: str) -> int:
    return int(client.head(url, headers=TUS).headers["Upload-Offset"])


def test_what_the_server_can_do_is_said_and_another_version_is_refused(client: httpx.Client) -> None:
    said = client.options("/api/uploads").headers
    assert said["Tus-Version"] == "1.0.0" and said["Tus-Checksum-Algorithm"] == "sha1,sha256"
    assert set(said["Tus-Extension"].split(",")) >= {
        "creation",
        "creation-with-upload",
        "checksum",
        "expiration",
        "termination",
    }
    answer = client.post("/api/uploads", headers={"Tus-Resumable": "0.2.2", "Upload-Length": "5"})
    assert answer.status_code == 412 and answer.headers["Tus-Version"] == "1.0.0"


def test_a_file_sent_in_pieces_becomes_a_job_with_the_same_bytes(server: WebServer, client: httpx.Client) -> None:
    scan = nifti(seed=1, size=16)
    created = begin(client, len(scan), filename="head.nii", quality="fast")
    url = created.headers["Location"]
    assert created.status_code == 201 and created.headers["Upload-Expires"] and offset_of(client, url) == 0
    first = send(client, url, 0, scan[:5000])
    assert first.status_code == 204 and first.headers["Upload-Offset"] == "5000"
    last = send(client, url, 5000, scan[5000:])
    assert last.status_code == 204 and last.headers["Upload-Offset"] == str(len(scan))
    job = server.ledger.job(last.headers["X-Job"])
    assert job.state is State.QUEUED and job.name == "head" and job.user == "local" and job.owned
    assert job.options["quality"] == "fast" and job.sha256 == hashlib.sha256(scan).hexdigest()
    kept = Path(job.inputs[0])
    assert kept.read_bytes() == scan and kept.parent == server.home.uploads and "head" not in kept.name
    assert client.head(url, headers=TUS).headers["X-Job"] == job.id


def test_bytes_count_only_where_they_join_on(client: httpx.Client) -> None:
    scan = nifti(seed=2)
    url = begin(client, len(scan), filename="a.nii").headers["Location"]
    assert send(client, url, 0, scan[:200]).status_code == 204
    wrong = send(client, url, 100, scan[100:])
    assert wrong.status_code == 409 and wrong.headers["Tus-Resumable"] == "1.0.0" and offset_of(client, url) == 200
    other = client.patch(url, headers={**TUS, "Content-Type": "text/plain", "Upload-Offset": "200"}, content=b"x")
    assert other.status_code == 415
    assert send(client, url, 200, scan[200:] + b"more").status_code == 413
    assert client.patch(url, headers=BYTES, content=b"x").status_code == 400


def test_a_damaged_piece_does_not_count(client: httpx.Client) -> None:
    scan = nifti(seed=3)
    url = begin(client, len(scan), filename="a.nii").headers["Location"]
    for name in ("sha1", "sha256"):
        right = base64.b64encode(hashlib.new(name, scan[:300]).digest()).decode()
        assert send(client, url, 0, scan[:299] + b"\1", **{"Upload-Checksum": f"{name} {right}"}).status_code == 460
        assert offset_of(client, url) == 0
    assert send(client, url, 0, scan[:300], **{"Upload-Checksum": f"sha256 {right}"}).status_code == 204
    assert offset_of(client, url) == 300
    assert send(client, url, 300, scan[300:], **{"Upload-Checksum": "md5 AAAA"}).status_code == 400


def test_an_upload_can_be_given_up_and_leaves_nothing(server: WebServer, client: httpx.Client) -> None:
    url = begin(client, 500, filename="a.nii").headers["Location"]
    send(client, url, 0, nifti()[:200])
    assert any(url.endswith(one["url"]) and one["offset"] == 200 for one in client.get("/api/uploads").json())
    assert client.delete(url, headers=TUS).status_code == 204
    assert client.head(url, headers=TUS).status_code == 404
    assert not list(server.home.uploads.glob(f"{url.rpartition('/')[2]}*"))


def test_methods_can_be_named_in_a_header_by_clients_that_know_only_post(client: httpx.Client) -> None:
    url = begin(client, 500, filename="a.nii").headers["Location"]
    answer = client.post(
        url, headers={**BYTES, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}, content=nifti()[:200]
    )
    assert answer.status_code == 204 and offset_of(client, url) == 200
    assert client.post(url, headers={**TUS, "X-HTTP-Method-Override": "DELETE"}).status_code == 204


def test_what_came_before_a_connection_broke_is_kept_and_a_new_request_ends_one_that_hangs(
    server: WebServer, client: httpx.Client
) -> None:
    scan = nifti(seed=4, size=64)
    url = begin(client, len(scan), filename="a.nii").headers["Location"]
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    lines = [f"PATCH {url} HTTP/1.1", f"Host: {server.host}", f"Cookie: {cookie}", "Upload-Offset: 0"]
    lines += [f"{name}: {value}" for name, value in BYTES.items()]
    lines += [f"X-CSRF-Token: {client.headers['X-CSRF-Token']}", f"Content-Length: {len(scan)}", "", ""]
    host, port = server.host.split(":")
    with socket.create_connection((host, int(port))) as hanging:
        hanging.sendall("\r\n".join(lines).encode() + scan[:300_000])
        part = server.home.uploads / f"{url.rpartition('/')[2]}.part"
        time.sleep(0.3)
        offset = offset_of(client, url)  # ends the hanging request first
        assert 0 < offset <= 300_000 and part.read_bytes()[:offset] == scan[:offset]
    assert send(client, url, offset, scan[offset:]).status_code == 204


def test_an_upload_belongs_to_who_began_it(server: WebServer, client: httpx.Client) -> None:
    url = begin(client, 500, filename="a.nii").headers["Location"]
    with server.script("submit", "other") as other:
        assert other.head(url, headers=TUS).status_code == 404
        assert send(other, url, 0, b"x").status_code == 404
        assert other.delete(url, headers=TUS).status_code == 404
        assert other.get("/api/uploads").json() == []
    with server.script("read", "reader") as reader:
        assert begin(reader, 5, filename="a.nii").status_code == 403


def test_a_folder_becomes_one_job_of_its_slices_and_one_of_each_other_scan(
    server: WebServer, client: httpx.Client
) -> None:
    files = {f"study/a/{number}": dicom(rows=4 + number) for number in range(3)}
    files |= {"study/b/scan.nii": nifti(seed=77), "study/Thumbs.db": b"litter", "study/b/notes.txt": b"text"}
    for path, content in files.items():
        name = path.rpartition("/")[2]
        assert upload(client, content, filename=name, relativepath=path, batch="batch-1").status_code == 201
    assert client.post("/api/batches/batch-1", json={"files": 9}).status_code == 409
    assert client.post("/api/batches/batch-2", json={"files": 1}).status_code == 404
    made = client.post("/api/batches/batch-1", json={"files": 6, "name": "", "engine": "threshold"})
    assert made.status_code == 201
    single, folder = made.json()["jobs"]
    assert single["name"] == "scan" and folder["name"] == "study" and {single["state"], folder["state"]} == {"queued"}
    inputs = Path(server.ledger.job(folder["id"]).inputs[0])
    assert {path.read_bytes() for path in inputs.iterdir()} >= {dicom(rows=4), dicom(rows=5), dicom(rows=6)}
    again = client.post("/api/batches/batch-1", json={"files": 6})
    assert [one["id"] for one in again.json()["jobs"]] == [single["id"], folder["id"]]


def test_a_plain_form_goes_to_disk_and_becomes_a_job(server: WebServer, client: httpx.Client) -> None:
    scan = nifti(seed=5, size=80)
    answer = client.post("/upload", data={"quality": "fast"}, files={"files": ("form.nii", scan)})
    assert answer.status_code == 201
    (row,) = answer.json()["jobs"]
    assert row["name"] == "form" and row["quality"] == "fast" and row["state"] == "queued"
    assert server.ledger.job(row["id"]).sha256 == hashlib.sha256(scan).hexdigest()
    slices = [("files", (f"{number}.dcm", dicom(rows=20 + number))) for number in range(3)]
    (row,) = client.post("/upload", files=slices).json()["jobs"]
    assert row["state"] == "queued" and len(list(Path(server.ledger.job(row["id"]).inputs[0]).iterdir())) == 3
    (row,) = client.post("/upload", files={"file": ("study.zip", zipped(dicom(rows=30)))}).json()["jobs"]
    assert row["state"] == "queued"


def test_the_form_of_a_page_proves_itself_by_a_field(server: WebServer, client: httpx.Client) -> None:
    word = client.headers["X-CSRF-Token"]
    with server.browser(cookies=client.cookies, headers={"Accept": "text/html"}) as page:
        scan = ("files", ("page.nii", nifti(seed=6)))
        assert page.post("/upload", files=[scan]).status_code == 403
        answer = page.post("/upload", data={"csrf": word}, files=[scan])
    assert answer.status_code == 303 and answer.headers["Location"] == "/"


def test_equal_content_runs_once(client: httpx.Client, server: WebServer) -> None:
    first, second = (upload(client, nifti(seed=8), filename=f"{name}.nii").headers["X-Job"] for name in "ab")
    assert server.ledger.job(second).link_of == first


def test_unknown_engines_tasks_and_qualities_are_refused_before_any_byte(client: httpx.Client) -> None:
    assert begin(client, 500, filename="a.nii", engine="nobody").status_code == 400
    assert begin(client, 500, filename="a.nii", quality="perfect").status_code == 400
    assert begin(client, 500, filename="a.nii", task="<script>").status_code == 400


def test_too_large_over_quota_and_no_room_have_their_own_answers(tmp_path: Path) -> None:
    web = WebSettings(quota_bytes=5000, most_upload_bytes=4000, most_open_uploads=3)
    with web_server(tmp_path / "home", web) as server, server.local() as client:
        assert begin(client, 4001, filename="a.nii").status_code == 413
        assert begin(client, 4000, filename="a.nii").status_code == 201
        over = begin(client, 2000, filename="b.nii")
        assert over.status_code == 413 and "store" in over.json()["error"]  # reserved, though not a byte has come
        assert client.get("/api/me").json()["quota"] == {"used": 4000, "limit": 5000}
        assert [begin(client, 100, filename="c.nii").status_code for _ in range(3)] == [201, 201, 429]
    with web_server(tmp_path / "full", free_bytes=1 << 60) as server, server.local() as client:
        full = begin(client, 100, filename="a.nii")
        assert full.status_code == 507 and full.json()["code"] == "disk-full"


def test_an_unfinished_upload_expires_and_files_nobody_knows_go(tmp_path: Path) -> None:
    with web_server(tmp_path / "home") as server, server.local() as client, server.store() as store:
        url = begin(client, 500, filename="a.nii").headers["Location"]
        (server.home.uploads / "stray.part").write_bytes(b"x")
        (server.home.uploads / "job.nii").write_bytes(b"x")
        uploads = Uploads(server.home, server.settings, WebSettings(), server.ledger, store)
        store.now = lambda: time.time() + 25 * 3600  # type: ignore[method-assign]
        assert uploads.sweep() == 2
        assert client.head(url, headers=TUS).status_code == 404
        assert [path.name for path in server.home.uploads.iterdir()] == ["job.nii"]


def test_a_finished_file_that_no_job_has_yet_gets_one_when_the_server_starts(tmp_path: Path) -> None:
    with web_server(tmp_path / "home") as server, server.store() as store:
        uploads = Uploads(server.home, server.settings, replace(WebSettings()), server.ledger, store)
        scan = nifti(seed=9)
        one = uploads.create("ann", len(scan), {"filename": "left.nii"})
        uploads.path_of(one.id).write_bytes(scan)
        uploads.commit(one.id, len(scan))
        uploads.complete(one.id)
    with web_server(tmp_path / "home") as server:
        job = wait_for(lambda: next((job for job in server.ledger.jobs([State.QUEUED])), None))
        assert job.user == "ann" and job.name == "left" and job.sha256 == hashlib.sha256(scan).hexdigest()


def test_the_same_metadata_can_be_read_back(client: httpx.Client) -> None:
    header = metadata(filename="ä b,c.nii", relativepath="x/ä b,c.nii", batch="batch-9")
    made = client.post("/api/uploads", headers={**TUS, "Upload-Length": "9", "Upload-Metadata": header})
    found = next(one for one in client.get("/api/uploads").json() if one["url"] == made.headers["Location"])
    assert (found["filename"], found["relativepath"], found["batch"]) == ("ä b,c.nii", "x/ä b,c.nii", "batch-9")


@pytest.mark.parametrize("joined", [True, False], ids=["in one call", "piece by piece"])
def test_parts_of_all_sizes_reach_the_disk_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, joined: bool
) -> None:
    import asyncio

    from AutoSegmentQueueLib.web import upload_writer

    sizes = [1, 7, 70_000, 3, 5, 1 << 14, (1 << 14) - 1, 300_000, 0, 2] * 3
    parts = [os.urandom(size) for size in sizes]
    monkeypatch.setattr(upload_writer, "WRITE_BYTES", 100_000)
    monkeypatch.setattr(upload_writer, "COMMIT_BYTES", 200_000)
    if not joined:
        monkeypatch.setattr(upload_writer, "_writev", None)
    path, told = tmp_path / "a", []
    path.write_bytes(b"begin")

    async def run(work, *arguments):
        return await asyncio.to_thread(work, *arguments)

    async def come():
        for part in parts:
            yield part

    whole = b"".join(parts)
    digest = hashlib.sha256()
    asyncio.run(upload_writer.Sink(run, path, 5, len(whole), told.append).take(come()))
    assert path.read_bytes() == b"begin" + whole
    assert told == sorted(told) and len(told) > 1 and told[-1] == 5 + len(whole)
    asyncio.run(upload_writer.Sink(run, path, 5, len(whole), told.append, digest).take(come()))
    assert digest.digest() == hashlib.sha256(whole).digest() and path.read_bytes() == b"begin" + whole


def test_a_slow_disk_makes_the_sender_wait_so_that_a_kill_costs_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from AutoSegmentQueueLib.web import upload_writer

    for name, value in (("WRITE_BYTES", 100_000), ("COMMIT_BYTES", 200_000), ("AHEAD_BYTES", 500_000)):
        monkeypatch.setattr(upload_writer, name, value)
    monkeypatch.setattr(upload_writer, "_sync", lambda file: time.sleep(0.05))
    path, ahead = tmp_path / "a", []
    path.touch()

    async def come():
        for number in range(100):
            await asyncio.sleep(0)
            ahead.append(50_000 * number - sink.committed)
            yield bytes(50_000)

    sink = upload_writer.Sink(asyncio.to_thread, path, 0, 5_000_000, lambda offset: None)
    asyncio.run(sink.take(come()))
    assert sink.committed == 5_000_000
    assert max(ahead) <= 500_000 + 3 * 100_000  # one piece is collected, one is written, one had just been
