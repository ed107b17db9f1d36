"""The STOW-RS endpoint: dicomweb-client stores to it, what is wrong is answered with the status of PS3.18, memory stays bounded."""

from __future__ import annotations

import http.client
import shutil
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.pacs.parts import BadMultipart, PartFiles, boundary_of
from AutoSegmentQueueLib.pacs.store import Store
from pacs_testing import dataset_bytes, small_slices
from pacs_testing.stow import stow_server
from queue_testing import LIGHT

pytestmark = pytest.mark.needs("module:starlette", "module:uvicorn", "module:python_multipart")
RELATED = 'multipart/related; type="application/dicom"; boundary=xx'


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return small_slices(tmp_path_factory.mktemp("slices"), 12)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Store]]:
    store = Store(Home.open(tmp_path_factory.mktemp("home")), LIGHT)
    with stow_server(store) as address:
        yield address, store
    store.close()


@pytest.fixture
def empty(server: tuple[str, Store]) -> tuple[str, Store]:
    for series in server[1].received.all():
        shutil.rmtree(series.path)
    return server


def multipart(*parts: bytes, end: bytes = b"\r\n--xx--\r\n") -> bytes:
    return b"".join(b"\r\n--xx\r\nContent-Type: application/dicom\r\n\r\n" + part for part in parts) + end


def post(
    address: str, body: bytes, content_type: str = RELATED, path: str = "/studies", **headers: str
) -> httpx.Response:
    return httpx.post(address + path, content=body, headers={"Content-Type": content_type, **headers}, timeout=60)


def files_of(store: Store) -> list[Path]:
    return [path for series in store.received.all() for path in series.files()]


@pytest.mark.needs("module:dicomweb_client")
def test_dicomweb_client_stores_a_series_that_arrives_bit_for_bit(empty: tuple[str, Store], slices: list[Path]) -> None:
    from dicomweb_client.api import DICOMwebClient

    address, store = empty
    datasets = [pydicom.dcmread(path) for path in slices]
    answer = DICOMwebClient(address).store_instances(datasets)
    stored = {str(one.ReferencedSOPInstanceUID) for one in answer.ReferencedSOPSequence}
    assert stored == {str(one.SOPInstanceUID) for one in datasets} and "FailedSOPSequence" not in answer
    assert sorted(map(dataset_bytes, files_of(store))) == sorted(map(dataset_bytes, slices))
    assert store.received.all()[0].origin()["user"] == "tester"
    answer = DICOMwebClient(address).store_instances(datasets, str(datasets[0].StudyInstanceUID))
    assert len(answer.ReferencedSOPSequence) == len(files_of(store)) == 12


def test_an_instance_of_another_study_fails_alone_and_all_of_another_study_is_a_conflict(
    empty: tuple[str, Store], slices: list[Path], tmp_path: Path
) -> None:
    address, store = empty
    (other,) = small_slices(tmp_path, 1, key="another study")
    study = str(pydicom.dcmread(slices[0]).StudyInstanceUID)
    answer = post(address, multipart(slices[0].read_bytes(), other.read_bytes()), path=f"/studies/{study}")
    assert answer.status_code == 202 and answer.headers["content-type"] == "application/dicom+json"
    failed = answer.json()["00081198"]["Value"][0]
    assert failed["00081155"]["Value"] == [str(pydicom.dcmread(other).SOPInstanceUID)]
    assert failed["00081197"]["Value"] == [0xA900]
    assert len(answer.json()["00081199"]["Value"]) == len(files_of(store)) == 1
    answer = post(address, multipart(other.read_bytes()), path=f"/studies/{study}")
    assert answer.status_code == 409 and "00081199" not in answer.json()


def test_what_is_no_dicom_is_counted_among_the_other_failures(empty: tuple[str, Store], slices: list[Path]) -> None:
    address, store = empty
    answer = post(address, multipart(b"no dicom at all", slices[0].read_bytes()[:400], slices[1].read_bytes()))
    assert answer.status_code == 202
    assert [one["00081197"]["Value"] for one in answer.json()["0008119A"]["Value"]] == [[0xC000], [0xC000]]
    assert len(files_of(store)) == 1


def test_another_content_under_a_known_uid_is_stored_with_a_warning(
    empty: tuple[str, Store], slices: list[Path], tmp_path: Path
) -> None:
    address, _ = empty
    assert post(address, multipart(slices[0].read_bytes())).status_code == 200
    dataset = pydicom.dcmread(slices[0])
    dataset.PatientID = "OTHER"
    dataset.save_as(tmp_path / "other.dcm")
    answer = post(address, multipart((tmp_path / "other.dcm").read_bytes()))
    assert answer.status_code == 202
    assert answer.json()["00081199"]["Value"][0]["00081196"]["Value"] == [0xB000]


def test_a_single_instance_needs_no_multipart(empty: tuple[str, Store], slices: list[Path]) -> None:
    address, store = empty
    assert post(address, slices[0].read_bytes(), "application/dicom").status_code == 200
    assert dataset_bytes(files_of(store)[0]) == dataset_bytes(slices[0])


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("multipart/form-data; boundary=xx", b"", 415),
        ("multipart/related", b"", 415),
        ('multipart/related; type="application/dicom+json"; boundary=xx', b"", 415),
        (RELATED, b"--xx--\r\n", 400),
        (RELATED, b"rubbish", 400),
        (RELATED, b"--xx\r\nContent-Type: application/dicom\r\n\r\nhalf", 400),
    ],
)
def test_a_bad_request_gets_the_right_status(
    empty: tuple[str, Store], content_type: str, body: bytes, code: int
) -> None:
    address, store = empty
    assert post(address, body, content_type).status_code == code
    assert files_of(store) == [] and not list(store.incoming.folder.glob("*.dcm"))


def test_an_answer_in_xml_is_refused_before_anything_is_read(empty: tuple[str, Store], slices: list[Path]) -> None:
    address, store = empty
    answer = post(address, multipart(slices[0].read_bytes()), accept="application/dicom+xml")
    assert answer.status_code == 406 and files_of(store) == []


def test_a_caller_that_goes_away_keeps_what_was_whole_and_leaves_no_half(
    empty: tuple[str, Store], slices: list[Path]
) -> None:
    from queue_testing import wait_for

    address, store = empty
    body = multipart(*(path.read_bytes() for path in slices))
    host = address.removeprefix("http://").partition("/")[0]
    connection = http.client.HTTPConnection(host)
    connection.putrequest("POST", "/dicom-web/studies")
    connection.putheader("Content-Type", RELATED)
    connection.putheader("Content-Length", str(2 * len(body) + (4 << 20)))
    connection.endheaders()
    connection.send(body[:-200] + b"\0" * (2 << 20))
    wait_for(lambda: len(files_of(store)) >= 11, 20)
    connection.close()
    wait_for(lambda: not list(store.incoming.folder.glob("*.dcm")), 20)


def test_a_full_disk_is_said_with_503(tmp_path: Path, slices: list[Path]) -> None:
    store = Store(Home.open(tmp_path / "home"), replace(LIGHT, free_bytes=1 << 60))
    with stow_server(store) as address:
        answer = post(address, multipart(slices[0].read_bytes()))
    assert answer.status_code == 503 and "retry-after" in answer.headers
    store.close()


def test_a_part_of_any_size_passes_through_little_memory(tmp_path: Path) -> None:
    made: list[Path] = []
    parts = PartFiles(b"xx", lambda: tmp_path / f"{len(made)}.dcm", made.append)
    piece = bytes(1 << 20)
    tracemalloc.start()
    parts.feed(b"--xx\r\nContent-Type: application/dicom\r\n\r\n")
    for _ in range(64):
        parts.feed(piece)
    parts.feed(b"\r\n--xx--")
    parts.finish()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made[0].stat().st_size == 64 << 20 and most < 8 << 20


def test_a_boundary_may_fall_between_any_two_pieces(tmp_path: Path) -> None:
    body = multipart(b"one\r\n--x", b"\r\n\r\n--two", b"")
    for size in (1, 2, 3, 5, 7, 64):
        found: list[bytes] = []

        def done(path: Path, into: list[bytes] = found) -> None:
            into.append(path.read_bytes())

        parts = PartFiles(b"xx", lambda: tmp_path / "part", done)
        for start in range(0, len(body), size):
            parts.feed(body[start : start + size])
        parts.finish()
        assert found == [b"one\r\n--x", b"\r\n\r\n--two", b""]


def test_the_boundary_is_read_from_quoted_and_plain_forms() -> None:
    kinds: dict[str, Any] = {RELATED: ("application/dicom", b"xx"), 'Multipart/Related; boundary="a b"': ("", b"a b")}
    assert {text: boundary_of(text) for text in kinds} == kinds
    with pytest.raises(BadMultipart, match="boundary"):
        boundary_of("multipart/related; type=x")
