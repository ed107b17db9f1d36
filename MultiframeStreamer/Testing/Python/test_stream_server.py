"""The DICOMweb server, asked over real sockets and through its ASGI interface."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pydicom
import pytest
from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.progress import CancelToken
from MultiframeStreamerLib import open_frames
from MultiframeStreamerLib.corpus import all_cases
from MultiframeStreamerLib.corpus.cine import JpegFrames, Layout, write_cine
from MultiframeStreamerLib.corpus.pictures import grey
from MultiframeStreamerLib.corpus.writer import text
from MultiframeStreamerLib.server.run import run
from MultiframeStreamerLib.settings import ServeSettings

TOKEN = "a-token-of-enough-length"
STORED = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}
ROWS, COLUMNS, FRAMES = 60, 80, 12


@contextlib.contextmanager
def served(*paths: Path, **more: object) -> Iterator[httpx.Client]:
    """Run the real server in a thread and give a client for it."""
    cancel, ready = CancelToken(), threading.Event()
    urls: list[str] = []
    settings = ServeSettings(paths, port=0, **more)  # type: ignore[arg-type]
    thread = threading.Thread(
        target=run, args=(settings,), kwargs={"cancel": cancel, "on_ready": lambda r: (urls.append(r.url), ready.set())}
    )
    thread.start()
    try:
        assert ready.wait(20), "the server did not start"
        with httpx.Client(base_url=urls[0], timeout=20) as client:
            yield client
    finally:
        cancel.cancel()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cine objects, the corpus' files and one text file."""
    place = tmp_path_factory.mktemp("served")
    jpegs = JpegFrames(ROWS, COLUMNS, different=4)
    write_cine(place / "cine.dcm", FRAMES, jpegs, Layout.EMPTY, rows=ROWS, columns=COLUMNS,
               extra={0x0008103E: ("LO", text("Echo"))})  # fmt: skip
    write_cine(place / "pieces.dcm", FRAMES, jpegs, Layout.FRAGMENTS, rows=ROWS, columns=COLUMNS)
    for case in all_cases():
        (place / f"{case.name}.dcm").write_bytes(case.content)
    (place / "notes.txt").write_text("no DICOM")
    return place


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    with served(folder) as found:
        yield found


def address_of(client: httpx.Client, folder: Path, name: str) -> str:
    """Return the address of the object in a file, relative to the server."""
    header = pydicom.dcmread(folder / name, stop_before_pixels=True)
    found = client.get("/dicomweb/instances", params={"SOPInstanceUID": header.SOPInstanceUID}).json()
    assert len(found) == 1
    url = found[0]["00081190"]["Value"][0]
    return url.removeprefix(str(client.base_url).rstrip("/"))


def parts(response: httpx.Response) -> list[tuple[dict[str, str], bytes]]:
    """Take a multipart answer apart, strictly."""
    boundary = re.search(r"boundary=([\w-]+)", response.headers["content-type"])[1].encode()  # type: ignore[index]
    body, found = response.content, []
    assert body.endswith(b"--" + boundary + b"--\r\n")
    for piece in body.split(b"--" + boundary)[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        headers = {k.lower(): v for k, v in headers.items()}
        content = content.removesuffix(b"\r\n")
        assert len(content) == int(headers["content-length"])
        found.append((headers, content))
    return found


def test_frames_come_as_stored_one_part_each_with_the_transfer_syntax_named(client: httpx.Client, folder: Path) -> None:
    for name in ("cine.dcm", "pieces.dcm"):
        answer = client.get(f"{address_of(client, folder, name)}/frames/2,5%2C1", headers=STORED)
        assert answer.status_code == 200
        assert int(answer.headers["content-length"]) == len(answer.content)
        found = parts(answer)
        with open_frames(folder / name, sidecar=False) as frames:
            assert [content for _, content in found] == [frames.encoded(i) for i in (1, 4, 0)]
        assert {headers["content-type"] for headers, _ in found} == {
            "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"
        }


def test_every_legal_file_of_the_corpus_is_served_byte_for_byte(client: httpx.Client, folder: Path) -> None:
    for case in all_cases():
        if not case.legal or case.refusal or case.name.startswith(("native", "deflated-data")):
            continue
        found = parts(client.get(f"{address_of(client, folder, case.name + '.dcm')}/frames", headers=STORED))
        assert tuple(content for _, content in found) == case.frames, case.name


def test_big_endian_frames_go_over_the_web_in_little_endian(client: httpx.Client, folder: Path) -> None:
    answer = client.get(f"{address_of(client, folder, 'native-big-endian-16.dcm')}/frames/3", headers=STORED)
    ((headers, content),) = parts(answer)
    assert headers["content-type"] == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    assert np.array_equal(np.frombuffer(content, "<u2"), grey(2, bits=16).reshape(-1))


def test_frames_are_transcoded_on_request_and_stay_the_same(client: httpx.Client, folder: Path) -> None:
    import imagecodecs

    address = address_of(client, folder, "jpeg-ls-fragments.dcm")
    with open_frames(folder / "jpeg-ls-fragments.dcm", sidecar=False) as frames:
        truth = frames[1]
    accepted = {
        'multipart/related; type="image/jphc"; transfer-syntax=1.2.840.10008.1.2.4.202': imagecodecs.htj2k_decode,
        'multipart/related; type="image/jphc"': imagecodecs.htj2k_decode,
        'multipart/related; type="application/octet-stream"': lambda raw: np.frombuffer(raw, "<u2").reshape(
            truth.shape
        ),
        'multipart/related; type="image/jls"': imagecodecs.jpegls_decode,
        "image/jphc": imagecodecs.htj2k_decode,
    }
    for accept, decode in accepted.items():
        answer = client.get(f"{address}/frames/2", headers={"Accept": accept})
        content = parts(answer)[0][1] if accept.startswith("multipart") else answer.content
        assert np.array_equal(decode(content), truth), accept


def test_without_a_transfer_syntax_lossless_frames_come_decoded_and_lossy_ones_as_stored(
    client: httpx.Client, folder: Path
) -> None:
    decoded = parts(client.get(f"{address_of(client, folder, 'htj2k.dcm')}/frames/1"))[0][0]
    stored = parts(client.get(f"{address_of(client, folder, 'cine.dcm')}/frames/1"))[0][0]
    assert decoded["content-type"].endswith("transfer-syntax=1.2.840.10008.1.2.1")
    assert stored["content-type"] == "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/frames/0", STORED, 400),
        ("/frames/1,1", STORED, 400),
        ("/frames/1,,2", STORED, 400),
        ("/frames/one", STORED, 400),
        ("/frames/-1", STORED, 400),
        ("/frames/1.5", STORED, 400),
        ("/frames/999999999999", STORED, 400),
        ("/frames/13", STORED, 404),
        ("/frames/1", {"Accept": "text/html"}, 406),
        ("/frames/1", {"Accept": "image/png"}, 406),
        ("/frames/1", {"Accept": "multipart/related; type=image/jpeg; transfer-syntax=1.2.3"}, 406),
        ("/frames/1", {"Accept": "a" * 5000}, 400),
        ("/frames/1", {"Accept": "/// ;;; ,,,"}, 400),
        ("/frames/1", {"Accept": "image/jpeg;q=x"}, 400),
        ("/frames/1,2", {"Accept": "image/jpeg"}, 406),
        ("/rendered?window=1", {}, 400),
        ("/rendered?window=1,nan", {}, 400),
        ("/rendered?window=1,2,cubic", {}, 400),
        ("/rendered?viewport=0,5", {}, 400),
        ("/rendered?viewport=99999,5", {}, 400),
        ("/rendered?quality=0", {}, 400),
        ("/rendered", {"Accept": "image/tiff"}, 406),
        ("/bulkdata/00100010", {}, 404),
        ("/bulkdata/zz", {}, 404),
        ("/nothing", {}, 404),
    ],
)
def test_requests_that_make_no_sense_get_the_right_status_and_a_reason(
    client: httpx.Client, folder: Path, path: str, headers: dict[str, str], status: int
) -> None:
    answer = client.get(address_of(client, folder, "cine.dcm") + path, headers=headers)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert str(folder) not in answer.text


@pytest.mark.parametrize("study", ["..%2f..%2fetc%2fpasswd", "..", "1.2.3%00", "1" * 65, "1.2;drop", "%2e%2e/%2e%2e"])
def test_paths_in_place_of_uids_lead_nowhere(client: httpx.Client, study: str) -> None:
    for tail in ("", "/metadata", "/series/1.2/instances/1.2/frames/1"):
        assert client.get(f"/dicomweb/studies/{study}{tail}").status_code in (400, 404)


def test_a_list_of_thousands_of_frames_is_answered_or_refused_quickly(client: httpx.Client, folder: Path) -> None:
    address = address_of(client, folder, "cine.dcm")
    began = time.perf_counter()
    long_list = ",".join(str(i) for i in range(1, 9001))
    assert client.get(f"{address}/frames/{long_list}", headers=STORED).status_code in (404, 414)
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port or 80)
    connection.request("GET", f"{address}/frames/{'1,' * 50000}1", headers=STORED)  # longer than httpx would send
    assert connection.getresponse().status in (400, 414)
    connection.close()
    assert time.perf_counter() - began < 3


def test_tags_ranges_and_conditions_follow_the_rules_of_http(client: httpx.Client, folder: Path) -> None:
    address = address_of(client, folder, "cine.dcm")
    single = {"Accept": "image/jpeg"}
    whole = client.get(f"{address}/frames/3", headers=single)
    tag = whole.headers["etag"]
    part = client.get(f"{address}/frames/3", headers=single | {"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    tail = client.get(f"{address}/frames/3", headers=single | {"Range": "bytes=-7", "If-Range": tag})
    assert (tail.status_code, tail.content) == (206, whole.content[-7:])
    stale = client.get(f"{address}/frames/3", headers=single | {"Range": "bytes=0-5", "If-Range": '"other"'})
    assert (stale.status_code, stale.content) == (200, whole.content)
    behind = client.get(f"{address}/frames/3", headers=single | {"Range": f"bytes={len(whole.content)}-"})
    assert behind.status_code == 416
    assert behind.headers["content-range"] == f"bytes */{len(whole.content)}"
    for path in ("/frames/3", "/rendered", "/thumbnail", "/metadata", "/bulkdata/7FE00010", ""):
        first = client.get(address + path)
        assert client.get(address + path, headers={"If-None-Match": first.headers["etag"]}).status_code == 304, path


def test_bulk_data_are_the_bytes_of_the_file(client: httpx.Client, folder: Path) -> None:
    address, raw = address_of(client, folder, "cine.dcm"), (folder / "cine.dcm").read_bytes()
    with open_frames(folder / "cine.dcm", sidecar=False) as frames:
        offset = frames.objects[0].header.pixel_offset
    assert client.get(f"{address}/bulkdata/7FE00010").content == raw[offset:]
    part = client.get(f"{address}/bulkdata/7FE00010", headers={"Range": "bytes=8-99"})
    assert (part.status_code, part.content) == (206, raw[offset + 8 : offset + 100])


def test_the_whole_object_comes_back_as_it_lies_on_disk(client: httpx.Client, folder: Path) -> None:
    for name in ("cine.dcm", "deflated-data-set.dcm"):
        address, raw = address_of(client, folder, name), (folder / name).read_bytes()
        assert client.get(address, headers={"Accept": "application/dicom"}).content == raw
        ((headers, content),) = parts(
            client.get(address, headers={"Accept": 'multipart/related; type="application/dicom"'})
        )
        assert content == raw
        assert "transfer-syntax=" in headers["content-type"]


def test_metadata_hold_every_attribute_and_an_address_for_the_pixels(client: httpx.Client, folder: Path) -> None:
    address = address_of(client, folder, "cine.dcm")
    (found,) = client.get(f"{address}/metadata").json()
    truth = pydicom.dcmread(folder / "cine.dcm", stop_before_pixels=True)
    loaded = pydicom.Dataset.from_json({k: v for k, v in found.items() if k not in ("7FE00010", "00083002")})
    assert loaded == pydicom.Dataset({element.tag: element for element in truth})
    assert found["7FE00010"]["BulkDataURI"].endswith("/frames")
    assert found["00083002"]["Value"] == ["1.2.840.10008.1.2.4.50"]


def test_searches_match_by_uid_wildcard_range_and_page(client: httpx.Client, folder: Path) -> None:
    ask = lambda path, **query: client.get(f"/dicomweb/{path}", params=query).json()  # noqa: E731
    everything = ask("instances")
    assert len(everything) > 60
    assert len(ask("studies")) == 1
    assert len(ask("series", SeriesDescription="ec*")) == 1
    assert len(ask("series", SeriesDescription="[ec]*")) == 0
    assert len(ask("studies", StudyDate="20251231-20260102")) == 1
    assert len(ask("studies", StudyDate="20260102-")) == 0
    assert [i["00080018"] for i in ask("instances", limit=5, offset=3)] == [i["00080018"] for i in everything[3:8]]
    assert ask("studies", PatientName="nobody") == []
    assert ask("studies", **{"00100020": "CORPUS", "includefield": "all"})[0]["00201208"]["Value"] == [len(everything)]
    assert client.get("/dicomweb/studies", params={"NoSuchThing": "1"}).status_code == 400
    assert client.get("/dicomweb/studies", params={"limit": "-1"}).status_code == 400


def test_pictures_are_windowed_cut_and_scaled(client: httpx.Client, folder: Path) -> None:
    import imagecodecs

    address = address_of(client, folder, "native-implicit-signed.dcm")
    png = {"Accept": "image/png"}
    picture = imagecodecs.png_decode(
        client.get(f"{address}/frames/1/rendered?window=0.5,4096,linear-exact", headers=png).content
    )
    with open_frames(folder / "native-implicit-signed.dcm", sidecar=False) as frames:
        expected = np.clip(np.rint(((frames[0] - 0.5) / 4096 + 0.5) * 255), 0, 255)
    assert np.abs(picture - expected).max() == 0
    small = imagecodecs.png_decode(client.get(f"{address}/rendered?viewport=11,100,0,0,22,18", headers=png).content)
    assert small.shape == (9, 11)
    thumb = imagecodecs.jpeg8_decode(client.get(f"{address}/thumbnail").content)
    assert max(thumb.shape) == 128
    batch = parts(
        client.get(f"{address}/frames/1,2,3/rendered", headers={"Accept": 'multipart/related; type="image/jpeg"'})
    )
    assert [headers["content-type"] for headers, _ in batch] == ["image/jpeg"] * 3


def test_stored_jpeg_goes_out_as_picture_without_being_coded_again(client: httpx.Client, folder: Path) -> None:
    address = address_of(client, folder, "cine.dcm")
    with open_frames(folder / "cine.dcm", sidecar=False) as frames:
        assert client.get(f"{address}/frames/4/rendered").content == frames.encoded(3)


def test_a_broken_frame_is_named_and_the_others_still_come(client: httpx.Client, folder: Path) -> None:
    address = address_of(client, folder, "garbage-frame.dcm")
    found = parts(
        client.get(
            f"{address}/frames/2,3,4/rendered?window=100,200",
            headers={"Accept": 'multipart/related; type="image/jpeg"'},
        )
    )
    assert [headers["content-type"] for headers, _ in found] == ["image/jpeg", "application/problem+json", "image/jpeg"]
    assert json.loads(found[1][1])["frame"] == 3
    assert client.get(f"{address}/frames/3", headers={"Accept": "image/jphc"}).status_code == 406
    cut = address_of(client, folder, "cut-in-third-frame.dcm")
    assert client.get(f"{cut}/frames/2", headers=STORED).status_code == 200
    assert client.get(f"{cut}/frames/4", headers=STORED).status_code == 404


def test_video_is_listed_but_its_frames_are_refused_by_name(client: httpx.Client, folder: Path) -> None:
    answer = client.get(f"{address_of(client, folder, 'video.dcm')}/frames/1", headers=STORED)
    assert answer.status_code == 404
    assert "video" in answer.json()["error"]


def test_the_page_and_its_facts_hold_no_foreign_address_and_no_inline_script(
    client: httpx.Client, folder: Path
) -> None:
    page = client.get("/")
    assert "<script src=" in page.text
    assert not re.search(r"<script>|onclick|https?://", page.text)
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    for name in ("app.js", "player.js", "style.css", "icon.svg"):
        assert client.get(f"/{name}").status_code == 200
    sop = address_of(client, folder, "cine.dcm").rpartition("/")[2]
    facts = client.get(f"/facts/{sop}").json()
    assert (facts["frames"], facts["rate"]) == (FRAMES, 25)
    assert "Corpus" not in json.dumps(facts)


def test_viewers_of_this_machine_may_read_and_other_pages_may_not(client: httpx.Client) -> None:
    near = client.get("/dicomweb/studies", headers={"Origin": "http://localhost:3000"})
    far = client.get("/dicomweb/studies", headers={"Origin": "https://elsewhere.example"})
    assert near.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "access-control-allow-origin" not in far.headers
    assert near.headers["cross-origin-opener-policy"] == "same-origin"
    assert near.headers["cross-origin-embedder-policy"] == "require-corp"
    assert client.options("/dicomweb/studies", headers={"Origin": "http://localhost:3000"}).status_code == 204
    assert client.get("/dicomweb/studies", headers={"Host": "rebound.example"}).status_code == 403
    assert client.post("/dicomweb/studies", content=b"x").status_code == 405


def test_other_interfaces_and_open_origins_need_a_token() -> None:
    with pytest.raises(SettingsError, match="token"):
        ServeSettings((Path("x"),), host="0.0.0.0")
    with pytest.raises(SettingsError, match="token"):
        ServeSettings((Path("x"),), origins=("*",))
    with pytest.raises(SettingsError, match="16"):
        ServeSettings((Path("x"),), host="0.0.0.0", token="short")


def test_with_a_token_only_the_empty_page_is_open(folder: Path) -> None:
    with served(folder / "cine.dcm", token=TOKEN) as client:
        assert client.get("/").status_code == 200
        for path in ("/dicomweb/studies", "/facts/1.2.3", "/dicomweb/instances"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/dicomweb/studies", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_a_file_that_goes_away_or_changes_is_noticed(tmp_path: Path) -> None:
    path, other = tmp_path / "cine.dcm", tmp_path / "other.dcm"
    for target in (path, other):
        write_cine(target, 4, JpegFrames(20, 24, different=2), rows=20, columns=24, number=77 if target == path else 0)
    with served(tmp_path) as client:
        address = address_of(client, tmp_path, "cine.dcm")
        before = client.get(f"{address}/frames/1", headers=STORED)
        write_cine(path, 4, JpegFrames(20, 24, different=2, quality=40), rows=20, columns=24, number=77)
        after = client.get(f"{address}/frames/1", headers=STORED)
        assert before.headers["etag"] != after.headers["etag"]
        with open_frames(path, sidecar=False) as frames:
            assert parts(after)[0][1] == frames.encoded(0)
        path.unlink()
        assert client.get(f"{address}/frames/1", headers=STORED).status_code == 404


def test_a_client_that_does_not_read_does_not_keep_others_waiting(tmp_path: Path) -> None:
    jpegs = JpegFrames(64, 64, different=2, size=1 << 20)
    write_cine(tmp_path / "large.dcm", 40, jpegs, rows=64, columns=64)
    with served(tmp_path) as client:
        address = address_of(client, tmp_path, "large.dcm")
        host, port = client.base_url.host, client.base_url.port
        slow = [socket.create_connection((host, port)) for _ in range(4)]
        for connection in slow:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(
                f"GET {address}/frames HTTP/1.1\r\nHost: {host}\r\nAccept: {STORED['Accept']}\r\n\r\n".encode()
            )
        half = socket.create_connection((host, port))
        half.sendall(b"GET /dicomweb/studies HTTP/1.1\r\nHo")  # a request that never ends
        time.sleep(0.3)
        began = time.perf_counter()
        for number in (1, 20, 40):
            assert client.get(f"{address}/frames/{number}", headers=STORED).status_code == 200
        assert time.perf_counter() - began < 2
        for connection in (*slow, half):
            connection.close()


def test_a_stalled_disk_is_answered_with_504(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from MultiframeStreamerLib.server import desk
    from MultiframeStreamerLib.sources import LocalSource

    write_cine(tmp_path / "cine.dcm", 3, JpegFrames(20, 24, different=1), rows=20, columns=24)
    monkeypatch.setattr(desk, "_READ_SECONDS", 0.3)
    with served(tmp_path) as client:
        address = address_of(client, tmp_path, "cine.dcm")
        assert client.get(f"{address}/frames/1", headers=STORED).status_code == 200
        real, release = LocalSource.read_at, threading.Event()
        monkeypatch.setattr(LocalSource, "read_at", lambda self, o, n: (release.wait(5), real(self, o, n))[1])
        assert client.get(f"{address}/frames/1", headers={"Accept": "image/jpeg"}).status_code == 504
        release.set()
