"""From us to Orthanc: results by C-STORE and STOW-RS, confirmed, with TLS, refusals, a killed peer, and our own end at every step.

Truth: the objects of the result, by their SOP instance UIDs and, byte for byte, their data sets.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.pacs.outbox import DeliveryState
from AutoSegmentQueueLib.pacs.outbox_sender import Sender
from AutoSegmentQueueLib.pacs.send_settings import SendSettings
from AutoSegmentQueueLib.settings import QueueSettings
from pacs_testing import SECRETS as TRUNK_SECRETS
from pacs_testing import Certificates, Orthanc, Peer, ct_series, free_port, free_ports, make_certificates, orthanc
from pacs_testing.outgoing import QUICK, Sending, finish_job, instances, make_result, sending_home
from queue_testing import run_queue, serving, wait_for

pytestmark = [
    pytest.mark.needs("Orthanc", "module:pynetdicom", "module:dicomweb_client", "module:highdicom"),
    # pynetdicom leaves a socket whose connection was refused to the garbage collector
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]

OURS = "WORKBENCH"
SECRETS = ("Secret", "SECRET-7")
PLACES = (
    "outbox.derived", "outbox.taken-in", "outbox.before-send", "outbox.object-sent", "outbox.sent", "outbox.marked-sent",
    "outbox.confirmed",
)  # fmt: skip


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_result(tmp_path_factory.mktemp("result"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def commitment_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, commitment_port: int) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc"), peers={"queue": Peer(OURS, commitment_port)}) as peer:
        yield peer


@pytest.fixture
def pacs(running: Orthanc) -> Orthanc:
    """Orthanc, empty."""
    for patient in running.ask("patients"):
        running.ask(f"patients/{patient}", method="DELETE")
    return running


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Sending]:
    with sending_home(tmp_path / "home") as home:
        yield home


def kept(pacs: Orthanc) -> dict[str, bytes]:
    """What Orthanc has, by SOP instance UID, without preamble and meta information."""
    from io import BytesIO

    from pydicom.filereader import _read_file_meta_info, read_preamble

    found = {}
    for one in pacs.ask("instances"):
        content = BytesIO(pacs.dicom_file(one))
        read_preamble(content, force=False)
        _read_file_meta_info(content)
        tags = pacs.ask(f"instances/{one}/simplified-tags")
        assert tags["SOPInstanceUID"] not in found
        found[tags["SOPInstanceUID"]] = content.read()
    return found


def by_dicom(pacs: Orthanc, **changes: Any) -> SendSettings:
    return replace(QUICK, to=(f"ORTHANC@127.0.0.1:{pacs.dicom_port}",), **changes)


def by_web(pacs: Orthanc) -> SendSettings:
    return replace(QUICK, to=(pacs.dicomweb,))


@pytest.mark.needs("findscu")
def test_results_go_out_by_c_store_and_are_found_by_others(pacs: Orthanc, ours: Sending, result: Path) -> None:
    finish_job(ours.ledger, result)
    (delivery,) = ours.run(by_dicom(pacs), DeliveryState.STORED)
    assert delivery.attempts == 0
    assert kept(pacs) == instances(result)
    query = ["findscu", "-S", "-k", "QueryRetrieveLevel=SERIES", "-k", "Modality", "-k", "StudyInstanceUID"]
    said = subprocess.run(
        [*query, "-aet", OURS, "-aec", "ORTHANC", "127.0.0.1", str(pacs.dicom_port)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert all(f"[{modality}" in said.stdout + said.stderr for modality in ("SEG", "RTSTRUCT", "SR"))
    assert not any(secret in " ".join(ours.lines) for secret in SECRETS)
    assert not any(
        secret.encode() in path.read_bytes() for secret in SECRETS for path in ours.home.root.glob("outbox*")
    )


def test_results_go_out_by_stow_and_are_found_by_qido(pacs: Orthanc, ours: Sending, result: Path) -> None:
    finish_job(ours.ledger, result)
    ours.run(by_web(pacs), DeliveryState.STORED)
    assert kept(pacs) == instances(result)
    found = pacs.ask("dicom-web/instances")
    assert {one["00080018"]["Value"][0] for one in found} == set(instances(result))


def test_sending_again_changes_nothing(pacs: Orthanc, ours: Sending, result: Path) -> None:
    finish_job(ours.ledger, result)
    settings = replace(by_dicom(pacs), to=(*by_dicom(pacs).to, *by_web(pacs).to))
    for delivery in ours.run(settings, DeliveryState.STORED):
        ours.outbox.retry(delivery.id)
    assert len(ours.run(settings, DeliveryState.STORED)) == 2
    assert kept(pacs) == instances(result)


def test_a_node_commits_itself_to_what_it_took(
    pacs: Orthanc, ours: Sending, result: Path, commitment_port: int
) -> None:
    """Orthanc answers on an association of its own; with "commitment" nothing else counts as stored."""
    finish_job(ours.ledger, result)
    settings = by_dicom(pacs, confirmation="commitment", commitment_port=commitment_port)
    ours.run(settings, DeliveryState.STORED)
    assert "StorageCommitment" in str(pacs.ask("jobs?expand")) or "commitment" in pacs.log.read_text().lower()


def test_what_a_node_lost_before_it_confirmed_is_sent_again(
    pacs: Orthanc, ours: Sending, result: Path, commitment_port: int
) -> None:
    """Truth: Orthanc is emptied between sending and the request, so it must say no, by commitment and by search."""
    finish_job(ours.ledger, result)
    settings = by_dicom(pacs, commitment_port=commitment_port)
    assert ours.killed_at("outbox.marked-sent", settings)
    assert [row.state for row in ours.outbox.deliveries()] == [DeliveryState.SENT]
    for patient in pacs.ask("patients"):
        pacs.ask(f"patients/{patient}", method="DELETE")
    (delivery,) = ours.run(settings, DeliveryState.STORED)
    assert delivery.attempts == 1 and kept(pacs) == instances(result)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_killed_at_any_step_nothing_is_lost_or_doubled(pacs: Orthanc, ours: Sending, result: Path, place: str) -> None:
    finish_job(ours.ledger, result)
    assert ours.killed_at(place, by_dicom(pacs)), "the sender never came to that step"
    (delivery,) = ours.run(by_dicom(pacs), DeliveryState.STORED)
    assert delivery.job == ours.ledger.jobs()[0].id
    assert kept(pacs) == instances(result)


def test_a_peer_that_is_killed_in_the_middle_gets_everything_once(tmp_path: Path, ours: Sending) -> None:
    results = [make_result(tmp_path, "x" * n) for n in range(1, 4)]
    http, dicom, answers = free_ports(3)
    known = {"queue": Peer(OURS, answers)}
    with orthanc(tmp_path / "pacs", peers=known, ports=(http, dicom)) as pacs:
        for one in results:
            finish_job(ours.ledger, one)
        sender = Sender(ours.home, by_dicom(pacs), ours.lines.append)
        sender.start()
        try:
            wait_for(lambda: any(row.state is DeliveryState.STORED for row in ours.outbox.deliveries()))
            pacs.kill()
            wait_for(lambda: ours.outbox.pauses() or ours.all_are(DeliveryState.STORED))
            with orthanc(tmp_path / "pacs", peers=known, ports=(http, dicom)) as again:
                wait_for(lambda: ours.all_are(DeliveryState.STORED), 60)
                assert kept(again) == {uid: content for one in results for uid, content in instances(one).items()}
        finally:
            sender.stop()
    assert len(ours.outbox.deliveries()) == len(results)


def test_a_wrong_ae_title_is_retried_and_given_up_with_the_reason(pacs: Orthanc, ours: Sending, result: Path) -> None:
    finish_job(ours.ledger, result)
    settings = replace(QUICK, to=(f"NOBODY@127.0.0.1:{pacs.dicom_port}",), attempts=3)
    (delivery,) = ours.run(settings, DeliveryState.DEAD)
    assert delivery.attempts == 2, "the third failure is the one that ends it"
    assert "refuses the association" in delivery.error and "after 3 attempts" in delivery.error
    assert "called" in delivery.error.lower()
    listed = json.loads(run_queue("outbox", "--home", str(ours.home.root), "--json").stdout)["deliveries"]
    assert listed[0]["state"] == "dead" and listed[0]["error"] == delivery.error
    retried = run_queue("outbox", "retry", delivery.id, "--home", str(ours.home.root))
    assert retried.returncode == 0 and "waiting" in retried.stdout


def test_a_peer_that_is_not_there_costs_no_attempt_and_does_not_hold_up_others(
    pacs: Orthanc, ours: Sending, result: Path
) -> None:
    finish_job(ours.ledger, result)
    gone = f"GONE@127.0.0.1:{free_port()}"
    sender = Sender(ours.home, replace(by_web(pacs), to=(gone, pacs.dicomweb)), ours.lines.append)
    sender.start()
    try:
        wait_for(lambda: kept(pacs) == instances(result) and gone in ours.outbox.pauses())
        wait_for(lambda: [row.state.value for row in ours.outbox.deliveries()] == ["waiting", "stored"])
    finally:
        sender.stop()
    assert ours.outbox.deliveries()[0].attempts == 0
    assert "cannot be reached" in ours.outbox.deliveries()[0].error


def test_a_labelmap_is_taken_by_stow_and_its_refusal_by_c_store_is_final(
    pacs: Orthanc, ours: Sending, tmp_path: Path
) -> None:
    result = make_result(tmp_path, "labelmap", ("seg-labelmap",))
    finish_job(ours.ledger, result)
    sender = Sender(ours.home, replace(QUICK, to=(*by_dicom(pacs).to, pacs.dicomweb)), ours.lines.append)
    sender.start()
    try:
        wait_for(lambda: {row.state.value for row in ours.outbox.deliveries()} == {"dead", "stored"})
    finally:
        sender.stop()
    assert "does not take Label Map Segmentation Storage by C-STORE" in ours.outbox.deliveries()[0].error
    assert kept(pacs) == instances(result)


def test_tls_with_our_certificate_is_taken_and_without_it_refused(
    tmp_path: Path, ours: Sending, result: Path, certificates: Certificates
) -> None:
    with orthanc(tmp_path / "pacs", tls=certificates, peers={"queue": Peer(OURS, free_port(), tls=True)}) as pacs:
        finish_job(ours.ledger, result)
        for wrong in (
            by_dicom(pacs),
            by_dicom(pacs, tls_ca=certificates.ca),
        ):  # without TLS, and without a certificate of ours
            sender = Sender(ours.home, wrong, ours.lines.append)
            sender.start()
            wait_for(lambda: ours.outbox.pauses())
            sender.stop()
            ((_, reason),) = ours.outbox.pauses().values()
            assert ("a certificate of ours" if wrong.tls_ca else "wants TLS") in reason
            assert kept(pacs) == {}
            (waiting,) = ours.outbox.deliveries()
            assert waiting.state is DeliveryState.WAITING and ours.outbox.retry(waiting.id)
        known = by_dicom(pacs, tls_ca=certificates.ca, tls_cert=certificates.client, tls_key=certificates.client_key)
        ours.run(known, DeliveryState.STORED)
        assert kept(pacs) == instances(result)


def test_routing_destinations_are_sent_to_besides_the_queues_own(pacs: Orthanc, ours: Sending, result: Path) -> None:
    finish_job(ours.ledger, result, destinations=[pacs.dicomweb])
    (delivery,) = ours.run(QUICK, DeliveryState.STORED)
    assert delivery.destination == pacs.dicomweb and kept(pacs) == instances(result)


def test_a_result_that_was_changed_or_removed_is_not_sent(
    pacs: Orthanc, ours: Sending, result: Path, tmp_path: Path
) -> None:
    changed = shutil.copytree(result, tmp_path / "changed")
    finish_job(ours.ledger, changed)
    Sender(ours.home, by_dicom(pacs), ours.lines.append)  # takes nothing in before it starts
    (changed / "rtstruct.dcm").write_bytes(b"other")
    (delivery,) = ours.run(by_dicom(pacs), DeliveryState.DEAD)
    assert "was changed" in delivery.error and kept(pacs) == {}


# ---- the whole way -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def round_trip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Orthanc, Path]]:
    """A hundred slices that went through the queue; gives the archive with what came back, and the home."""
    with there_and_back(tmp_path_factory.mktemp("round"), slices=100) as found:
        yield found


@contextmanager
def there_and_back(folder: Path, slices: int, seconds: float = 300) -> Iterator[tuple[Orthanc, Path]]:
    """Orthanc sends a CT by C-STORE to ``queue serve``, which segments it and sends the objects back."""
    node, answers = free_ports(2)
    home = Home.open(folder / "home")
    home.save(QueueSettings(free_bytes=0, stable_seconds=0.1, rescan_seconds=0.2))
    ct_series(folder / "ct", slices=slices)
    with orthanc(folder / "pacs", peers={"queue": Peer(OURS, node), "answers": Peer(OURS, answers)}) as pacs:
        pacs.upload(folder / "ct")
        options = ["--dicom-port", str(node), "--allow-ae", "ORTHANC", "--quiet-seconds", "1"]
        options += ["--send-to", f"ORTHANC@127.0.0.1:{pacs.dicom_port}"]
        with serving(home.root, *options) as server:
            assert server.stderr is not None
            lines = [next(server.stderr)]
            while not lines[-1].startswith("ready"):
                lines.append(next(server.stderr))
            reader = Thread(target=lambda: lines.extend(server.stderr or ()))
            reader.start()
            sent = pacs.store("queue", pacs.ask("series"))
            assert sent["InstancesCount"] == slices and sent["FailedInstancesCount"] == 0
            wait_for(lambda: len(pacs.ask("instances")) == slices + 3, seconds, every=0.5)
            listed = ["outbox", "--home", str(home.root), "--json"]
            wait_for(lambda: json.loads(run_queue(*listed).stdout)["deliveries"][0]["state"] == "stored", 30, every=0.5)
        reader.join(20)
        (folder / "serve.log").write_text("".join(lines))
        yield pacs, home.root


@pytest.mark.needs("module:SimpleITK", "module:slicer")
def test_a_scan_that_came_by_c_store_goes_back_as_objects_of_the_same_study(round_trip: tuple[Orthanc, Path]) -> None:
    pacs, home = round_trip
    (study,) = pacs.ask("studies?expand")
    assert len(study["Series"]) == 4
    modalities = {one["MainDicomTags"]["Modality"]: len(one["Instances"]) for one in pacs.series()}
    assert modalities == {"CT": 100, "SEG": 1, "RTSTRUCT": 1, "SR": 1}
    (result,) = (path.parent for path in (home / "output").glob("*/manifest.json"))
    assert set(instances(result)) <= set(kept(pacs))
    log = (home.parent / "serve.log").read_text() + "".join(path.read_text() for path in (home / "logs").glob("*"))
    assert "3 objects, confirmed" in log
    assert not any(secret in log for secret in TRUNK_SECRETS)


@pytest.mark.prove
@pytest.mark.timeout(2400)
@pytest.mark.needs("module:SimpleITK", "module:slicer")
def test_a_thousand_slices_go_the_whole_way(tmp_path: Path) -> None:
    with there_and_back(tmp_path, slices=1000, seconds=1200) as (pacs, _):
        modalities = {one["MainDicomTags"]["Modality"]: len(one["Instances"]) for one in pacs.series()}
        assert modalities == {"CT": 1000, "SEG": 1, "RTSTRUCT": 1, "SR": 1}
