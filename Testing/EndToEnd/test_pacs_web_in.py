"""DICOM into the queue's web server: dicomweb-client stores with a token, and a study is pulled from Orthanc by request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from AutoSegmentQueueLib.pacs.received import Received
from AutoSegmentQueueLib.settings import QueueSettings
from pacs_testing import Orthanc, Peer, dataset_bytes, orthanc, small_slices
from queue_testing import wait_for
from queue_testing.web import WebServer, web_server

pytestmark = pytest.mark.needs("Orthanc", "module:dicomweb_client", "module:argon2", "module:pynetdicom")

SLICES = 20


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return small_slices(tmp_path_factory.mktemp("study"), SLICES)


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory, study: list[Path]) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc"), peers={"queue": Peer("WORKBENCH", 11112)}) as peer:
        peer.upload(study[0].parent)
        yield peer


@pytest.fixture
def server(tmp_path: Path, pacs: Orthanc) -> Iterator[WebServer]:
    dicom = replace(QueueSettings().dicom, ask=(pacs.dicomweb,))
    with web_server(tmp_path / "home", users={"ann": "submitter", "vic": "viewer"}, dicom=dicom) as running:
        yield running


def received(server: WebServer) -> list[bytes]:
    return sorted(dataset_bytes(path) for one in Received(server.home).all() for path in one.files())


def test_a_token_to_submit_stores_by_stow_and_others_do_not(server: WebServer, study: list[Path]) -> None:
    from dicomweb_client.api import DICOMwebClient
    from requests import HTTPError

    datasets = [pydicom.dcmread(path) for path in study]
    with server.script("submit", user="ann") as script:
        bearer = {"Authorization": script.headers["Authorization"]}
        answer = DICOMwebClient(f"{server.address}/dicom-web", headers=bearer).store_instances(datasets)
    assert len(answer.ReferencedSOPSequence) == SLICES
    assert received(server) == sorted(map(dataset_bytes, study))
    assert {one.origin()["user"] for one in Received(server.home).all()} == {"ann"}
    with server.script("read", name="reader") as reader:
        bearer = {"Authorization": reader.headers["Authorization"]}
        with pytest.raises(HTTPError, match="403"):
            DICOMwebClient(f"{server.address}/dicom-web", headers=bearer).store_instances(datasets)
    with pytest.raises(HTTPError, match="401"):
        DICOMwebClient(f"{server.address}/dicom-web").store_instances(datasets)


def test_a_study_is_pulled_by_request_from_a_system_the_queue_was_told_of(
    server: WebServer, pacs: Orthanc, study: list[Path]
) -> None:
    uid = str(pydicom.dcmread(study[0]).StudyInstanceUID)
    with server.user("ann") as ann:
        begun = ann.post("/api/pull", json={"source": pacs.dicomweb, "study": uid})
        assert begun.status_code == 202, begun.text
        ended: dict[str, Any] = wait_for(lambda: ended_pull(ann, begun.json()["id"]), 60)
        assert ended["state"] == "done" and ended["report"]["new"] == SLICES, ended
        jobs = [server.ledger.job(one) for one in ended["report"]["jobs"]]
        assert [job.user for job in jobs] == ["ann"]
        elsewhere = ann.post("/api/pull", json={"source": "OTHER@10.0.0.1:104", "study": uid})
        assert elsewhere.status_code == 403
        bad = ann.post("/api/pull", json={"source": pacs.dicomweb, "study": "no uid"})
        assert bad.status_code == 400 and "UIDs" in bad.text
        assert ann.get("/api/pull/unknown").status_code == 404
    with server.user("vic") as vic:
        assert vic.post("/api/pull", json={"source": pacs.dicomweb, "study": uid}).status_code == 403
        assert vic.get(f"/api/pull/{begun.json()['id']}").status_code == 404
    assert received(server) == sorted(map(dataset_bytes, study))


def ended_pull(client: Any, pull_id: str) -> dict[str, Any] | None:
    row: dict[str, Any] = client.get(f"/api/pull/{pull_id}").json()
    return row if row["state"] != "running" else None
