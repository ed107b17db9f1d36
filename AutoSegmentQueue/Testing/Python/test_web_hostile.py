"""Input made to do harm: each is refused with the right status, leaves nothing, is not logged with names, and the server stays quick."""

import contextlib
import gzip
import io
import logging
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from AutoSegmentQueueLib.states import State
from AutoSegmentQueueLib.web import protocol
from AutoSegmentQueueLib.web.settings import WebSettings
from queue_testing import dicom, nifti, nrrd
from queue_testing.corpus import mutants
from queue_testing.web import BYTES, TUS, WebServer, begin, send, upload, web_server

SLOW_SECONDS = 1.5  # what the server under test allows
STOW = 'multipart/related; type="application/dicom"; boundary=x'
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    web = WebSettings(slow_seconds=SLOW_SECONDS, requests_per_second=150)
    with web_server(tmp_path_factory.mktemp("hostile") / "home", web) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: WebServer) -> Iterator[httpx.Client]:
    with server.local() as client:
        yield client


@pytest.fixture(autouse=True)
def stays_quick(client: httpx.Client, server: WebServer) -> Iterator[None]:
    """After each attack an ordinary request is answered, and no half of an upload is left."""
    yield
    for _ in range(100):
        answer = client.get("/api/jobs")
        if answer.status_code != 429:
            break
        time.sleep(0.1)
    assert answer.status_code == 200
    assert client.get("/api/health").json() == {"status": "ok"}


def raw(server: WebServer, request: bytes, wait: float = 10.0) -> bytes:
    """Send bytes and return the answer."""
    host, port = server.host.split(":")
    with socket.create_connection((host, int(port)), timeout=wait) as connection:
        connection.sendall(request)
        found = b""
        while part := connection.recv(65536):
            found += part
            if b"\r\n\r\n" in found and b"chunked" not in found:
                break
        return found


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..", "a/b.nii", "a\\b.nii", "C:evil.nii", "nul\0.nii", "line\nfeed.nii", "x" * 300 + ".nii"],
)
def test_a_name_that_is_a_path_or_no_name_is_refused(server: WebServer, client: httpx.Client, name: str) -> None:
    before = files_of(server)
    assert begin(client, 500, filename=name).status_code == 400
    if "\n" not in name:  # a form has no way to say that
        head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        assert client.post("/upload", content=head + nifti() + b"\r\n--x--\r\n", headers=headers).status_code == 400
    assert files_of(server) == before


def files_of(server: WebServer) -> list[Path]:
    return [path for path in sorted(server.home.root.rglob("*")) if "sqlite3" not in path.name]


@pytest.mark.parametrize("path", ["../up", "a/../../up", "/abs", "\\\\host\\share", "C:/x", "a/C:evil/x", "a\0b"])
def test_a_relative_path_that_leads_out_is_refused(client: httpx.Client, path: str) -> None:
    assert begin(client, 500, filename="x.dcm", relativepath=path, batch="batch-x").status_code == 400


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("CON.nii", "_CON"),
        ("\u202egnp.nii", "gnp"),
        (EVIL + ".nii", "_img src=x onerror=alert(1)_"),
        ("ä" * 120 + ".nii", None),
    ],
)
def test_an_awkward_name_is_harmless(server: WebServer, client: httpx.Client, name: str, shown: str | None) -> None:
    answer = upload(client, nifti(seed=len(name)), filename=name.replace("/", ""))
    job = server.ledger.job(answer.headers["X-Job"])
    assert shown is None or job.name == shown
    assert len(job.name.encode()) <= 80 and Path(job.inputs[0]).name.isascii()
    for page in ("/", f"/jobs/{job.id}"):
        assert "<img src=x" not in client.get(page).text


def test_text_of_a_failed_file_is_shown_as_text(server: WebServer, client: httpx.Client) -> None:
    answer = upload(client, nrrd().replace(b"type: short", b"type: " + EVIL.encode()), filename="x.nrrd")
    assert answer.status_code == 422
    page = client.get(f"/jobs/{answer.headers['X-Job']}").text
    assert (
        "onerror" not in page.replace("&lt;img src=x onerror=alert(1)&gt;", "").replace("_img src=x onerror", "")
        or "<img" not in page
    )


@pytest.mark.parametrize(
    "content", [b"%PDF-1.7" + bytes(600), b"MZ" + bytes(600), EVIL.encode() * 30, b"\x7fELF" + bytes(600)]
)
def test_what_begins_like_no_scan_is_refused_at_once_whatever_it_is_called(
    server: WebServer, client: httpx.Client, content: bytes
) -> None:
    url = begin(client, 10 << 30, filename="scan.nii.gz").headers["Location"]
    assert send(client, url, 0, content).status_code == 415
    assert client.head(url, headers=TUS).status_code == 404 and not list(server.home.uploads.glob("*.part"))


def bomb(size: int) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9, mtime=0) as file:
        file.write(nifti())
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return packed.getvalue()


def zip_bomb(entries: int = 1, link: bool = False, name: str = "a/1.dcm", size: int = 100 << 20) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(entries):
            entry = zipfile.ZipInfo(name if number == 0 else f"{number}")
            entry.external_attr = (0o120777 if link else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as file:
                for _ in range(max(size >> 20, 1)):
                    file.write(bytes(1 << 20) if size else b"x")
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bomb.nii.gz", lambda: bomb(80 << 20)),
        ("bomb.zip", zip_bomb),
        ("link.zip", lambda: zip_bomb(link=True, size=0)),
        ("out.zip", lambda: zip_bomb(name="../../evil.dcm", size=0)),
        ("drive.zip", lambda: zip_bomb(name="C:/evil.dcm", size=0)),
        ("torn.zip", lambda: zip_bomb(size=0)[:-30]),
        ("terabytes.nrrd", lambda: nrrd().replace(b"sizes: 4 4 4", b"sizes: 99999 99999 99")),
        ("terabytes.nii", lambda: nifti()[:42] + b"\xff\x7f\xff\x7f\xff\x7f" + nifti()[48:]),
        ("short.dcm", lambda: dicom()[:-40]),
    ],
)
def test_bombs_links_and_headers_that_promise_terabytes_are_refused(
    server: WebServer, client: httpx.Client, name: str, content
) -> None:
    answer = upload(client, content(), filename=name)
    assert answer.status_code == 422, answer.text
    job = server.ledger.job(answer.headers["X-Job"])
    assert job.state is State.FAILED and job.error and str(server.home.root) not in answer.text


def test_damaged_files_are_classified_and_never_break_the_server(client: httpx.Client) -> None:
    statuses = {upload(client, content, filename=name).status_code for name, content in mutants(40, 7)}
    assert statuses <= {201, 400, 415, 422}


def test_a_promise_of_terabytes_reserves_nothing(server: WebServer, client: httpx.Client) -> None:
    for length in ("99999999999999", "9" * 30, "-1", "1e9", "0x10", "", "١٢"):
        answer = client.post("/api/uploads", headers={**TUS, "Upload-Length": length.encode("utf-8")})
        assert answer.status_code in (400, 413), length
    head = (
        f"POST /upload HTTP/1.1\r\nHost: {server.host}\r\nCookie: {cookies(client)}\r\nX-CSRF-Token: {word(client)}\r\n"
    )
    form = head + "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 99999999999999\r\n\r\n--x\r\n"
    assert status_of(raw(server, form.encode())) == 413
    url = begin(client, 500, filename="a.nii").headers["Location"]
    lines = (
        f"PATCH {url} HTTP/1.1\r\nHost: {server.host}\r\nCookie: {cookies(client)}\r\nX-CSRF-Token: {word(client)}\r\n"
    )
    lines += "".join(f"{name}: {value}\r\n" for name, value in BYTES.items())
    assert (
        status_of(raw(server, f"{lines}Upload-Offset: 0\r\nContent-Length: 99999999999999\r\n\r\nabc".encode())) == 413
    )


def test_bodies_addresses_and_headers_beyond_all_measure_are_refused(server: WebServer, client: httpx.Client) -> None:
    assert client.post("/api/batches/batch-1", content=b"{" * (1 << 20)).status_code == 413
    assert client.post("/api/batches/batch-1", content=b"[" * 60_000).status_code == 400
    assert client.post("/api/batches/batch-1", json=[1]).status_code == 400
    assert client.get("/api/jobs?q=" + "x" * 9000).status_code == 414
    head = f"GET /api/health HTTP/1.1\r\nHost: {server.host}\r\n"
    assert status_of(raw(server, (head + f"X-Long: {'x' * 100_000}\r\n\r\n").encode())) == 431
    assert status_of(raw(server, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")) == 400
    assert status_of(raw(server, b"GET /api/health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")) in (400, 421)
    smuggled = (
        head.replace("GET", "POST")
        + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    )
    assert status_of(raw(server, smuggled.encode())) in (400, 401, 405)


def test_names_in_addresses_are_data(client: httpx.Client) -> None:
    for name in ("' OR 1=1 --", "%00", "..%2f..%2fsettings.json", "22222222' UNION SELECT *", "%", "~", "\u202e"):
        assert client.get(f"/api/jobs/{name}").status_code in (400, 404), name
        assert client.head(f"/api/uploads/{name}", headers=TUS).status_code in (400, 404)
        assert client.get(f"/static/{name}").status_code in (400, 404)


@pytest.mark.parametrize(
    "header", ["filename ###", "filename", "filename YQ==,filename YQ==", "filename //79", "a" * 5000]
)
def test_metadata_that_cannot_be_read_is_refused_or_of_no_use(client: httpx.Client, header: str) -> None:
    answer = client.post("/api/uploads", headers={**TUS, "Upload-Length": "9", "Upload-Metadata": header})
    assert answer.status_code in (400, 201) and (answer.status_code == 400 or "#" not in header)


@pytest.mark.parametrize(
    "body",
    [
        b"no form at all",
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.nii"\r\n\r\ncut off',
        b"--x\r\n" + b"A: b\r\n" * 20_000,
        b'--x\r\nContent-Disposition: form-data; name="engine"\r\n\r\n' + b"x" * 100_000 + b"\r\n--x--",
        b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--x--',
        b"",
    ],
)
def test_a_form_that_is_none_leaves_nothing(server: WebServer, client: httpx.Client, body: bytes) -> None:
    answer = client.post("/upload", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code in (400, 413)
    assert not [one for one in client.get("/api/uploads").json() if one["filename"] == "a.nii" and one["batch"]]


def cookies(client: httpx.Client) -> str:
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


def word(client: httpx.Client) -> str:
    return str(client.headers["X-CSRF-Token"])


def test_clients_that_stall_are_let_go_and_what_they_sent_is_kept(
    server: WebServer, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 1.0)
    assert status_of(raw(server, b"GET /api/health HTTP/1.1\r\nHost: 127")) == 408  # half a header
    scan = nifti(seed=5, size=32)
    url = begin(client, len(scan), filename="slow.nii").headers["Location"]
    lines = (
        f"PATCH {url} HTTP/1.1\r\nHost: {server.host}\r\nCookie: {cookies(client)}\r\nX-CSRF-Token: {word(client)}\r\n"
    )
    lines += "".join(f"{name}: {value}\r\n" for name, value in BYTES.items())
    head = f"{lines}Upload-Offset: 0\r\nContent-Length: {len(scan)}\r\n\r\n".encode()
    assert status_of(raw(server, head + scan[:1000])) == 408  # half a body
    assert client.head(url, headers=TUS).headers["Upload-Offset"] == "1000"


def stow_head(server: WebServer, client: httpx.Client, length: int) -> bytes:
    lines = f"POST /dicom-web/studies HTTP/1.1\r\nHost: {server.host}\r\nCookie: {cookies(client)}\r\n"
    return f"{lines}X-CSRF-Token: {word(client)}\r\nContent-Type: {STOW}\r\nContent-Length: {length}\r\n\r\n".encode()


def test_instances_that_promise_terabytes_or_never_end_leave_nothing(server: WebServer, client: httpx.Client) -> None:
    assert status_of(raw(server, stow_head(server, client, 99_999_999_999_999) + b"--x")) == 413
    half = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + dicom()[:500]
    assert status_of(raw(server, stow_head(server, client, 1 << 20) + half)) == 408  # stalls in the middle
    assert not list((server.home.root / "received").rglob("*.dcm"))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"--x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n--x--\r\n", 400),
        (b"--x\r\nContent-Type: application/dicom\r\n\r\n" + b"y" * 5000, 400),
        (b"--x\r\nContent-Type: application/dicom\r\n\r\n" + EVIL.encode() * 99 + b"\r\n--x--\r\n", 409),
        (b"--x\r\nContent-Type: application/dicom\r\n\r\n" + dicom()[:300] + b"\r\n--x--\r\n", 409),
        (b"--x\r\n\r\n\r\n" * 3000 + b"--x--\r\n", 409),
        (b"--y--\r\n", 400),
        (b"", 400),
    ],
)
def test_multipart_that_is_none_or_holds_no_instance_leaves_nothing(
    server: WebServer, client: httpx.Client, body: bytes, status: int
) -> None:
    answer = client.post("/dicom-web/studies", content=body, headers={"Content-Type": STOW})
    assert answer.status_code == status, answer.text[:300]
    assert "img src" not in answer.text and not [
        path for path in server.home.root.rglob("*.dcm") if "incoming" in str(path)
    ]


def test_a_client_that_reads_nothing_is_let_go(server: WebServer, client: httpx.Client) -> None:
    host, port = server.host.split(":")
    whole = len(client.get("/static/three.js").content)
    lines = f"GET /static/three.js HTTP/1.1\r\nHost: {server.host}\r\nAccept-Encoding: identity\r\n\r\n"
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect((host, int(port)))
        lazy.sendall(lines.encode() * 20)  # more than all buffers hold
        time.sleep(2 * SLOW_SECONDS + 3)
        lazy.settimeout(10)
        taken = 0
        with contextlib.suppress(ConnectionError, TimeoutError):
            while part := lazy.recv(1 << 20):
                taken += len(part)
    assert taken < 20 * whole, taken  # it was cut off


def test_a_flood_of_small_requests_is_slowed_down(tmp_path: Path) -> None:
    with web_server(tmp_path / "home", WebSettings(requests_per_second=2)) as server, server.local() as client:
        answers = [client.get("/api/health") for _ in range(60)]
        refused = [one for one in answers if one.status_code == 429]
        assert len(refused) > 20 and int(refused[-1].headers["Retry-After"]) >= 1
        assert {one.status_code for one in answers} == {200, 429}


def test_thousands_of_requests_at_once_are_answered_and_others_too(server: WebServer, client: httpx.Client) -> None:
    statuses: list[int] = []

    def flood() -> None:
        with server.browser() as other:
            statuses.extend(other.get("/api/health").status_code for _ in range(300))

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert client.get("/api/jobs").status_code in (200, 429)
        time.sleep(0.1)
    assert set(statuses) <= {200, 429} and len(statuses) == 1200


def test_too_many_connections_of_one_address_are_refused(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    host, port = server.host.split(":")
    opened = [socket.create_connection((host, int(port)), timeout=10) for _ in range(protocol.MOST_OF_CLIENT + 20)]
    try:
        last = opened[-1].recv(1000)
        assert status_of(last) == 503
    finally:
        for one in opened:
            one.close()
    time.sleep(0.3)


def test_nothing_of_a_patient_reaches_a_log(
    server: WebServer, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        upload(client, b"%PDF" + bytes(600), filename="Doe^Jane.nii")
        upload(client, nifti()[:-1], filename="Doe^Jane.nii")
        client.get("/api/jobs?q=Doe^Jane")
        client.get("/download/Doe^Jane/x")
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore", "asyncio"))]
    assert not [record for record in ours if "Doe" in record.getMessage()]
    with server.store() as store, store.reading() as connection:
        assert not connection.execute("SELECT 1 FROM audit WHERE subject LIKE '%Doe%' OR what LIKE '%Doe%'").fetchone()
