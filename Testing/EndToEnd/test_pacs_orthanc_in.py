"""From Orthanc to us: echo, store, refusals, TLS and a killed peer, against Debian's Orthanc and DCMTK on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from AutoSegmentQueueLib.states import State
from pacs_testing import SECRETS, Certificates, Orthanc, Peer, dataset_bytes, make_certificates, orthanc, small_slices
from pacs_testing.node import Receiving, receiving
from queue_testing import opened_home, serving, wait_for

pytestmark = pytest.mark.needs("Orthanc", "storescu", "module:pynetdicom", "module:dicomweb_client")

SLICES = 60
OURS = "WORKBENCH"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("case") / "ct"
    small_slices(folder, SLICES)
    return folder


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory, case: Path) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as peer:
        peer.upload(case)
        yield peer


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def contents(paths: list[Path]) -> dict[str, Any]:
    """Every element of every instance, pixels included, by SOP instance UID."""
    return {str(one.SOPInstanceUID): one for one in (pydicom.dcmread(path) for path in paths)}


def echo(port: int, *arguments: str) -> int:
    command = ["echoscu", "-to", "5", "-aec", OURS, *arguments, "127.0.0.1", str(port)]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode


def test_orthanc_stores_sixty_slices_that_become_one_job_with_the_same_content(
    pacs: Orthanc, case: Path, tmp_path: Path
) -> None:
    with receiving(tmp_path / "home", allow_ae=("ORTHANC",)) as ours:
        pacs.add_peer("queue", Peer(OURS, ours.port))
        pacs.ask("modalities/queue/echo", {})
        sent = pacs.store("queue", pacs.ask("series"))
        assert sent["FailedInstancesCount"] == 0 and sent["InstancesCount"] == SLICES
        assert len(ours.files()) == SLICES
        (job,) = ours.after(31)
        arrived = contents(list(Path(job.inputs[0]).glob("*.dcm")))
        assert arrived == contents(list(case.iterdir()))
        assert not any(secret in ours.log() for secret in SECRETS)


def test_a_served_queue_receives_segments_and_archives_what_orthanc_sends(pacs: Orthanc, tmp_path: Path) -> None:
    root = tmp_path / "home"
    with opened_home(root) as (_, _, ledger), serving(root, "--dicom-port", "0", "--quiet-seconds", "2") as server:
        assert server.stderr
        said = ""
        while "ready:" not in said:
            said += server.stderr.readline()
        port = int(said.partition(f"{OURS}@127.0.0.1:")[2].split()[0])
        pacs.add_peer("served", Peer(OURS, port))
        assert pacs.store("served", pacs.ask("series"))["FailedInstancesCount"] == 0
        wait_for(lambda: SLICES in archived(root), 90)  # a slow machine may make a revision of a part first
        assert {job.state for job in ledger.jobs()} <= {State.DONE}
        server.terminate()
        said += server.stderr.read()
    said += "".join(path.read_text() for path in (root / "logs").glob("*.log"))
    assert not any(secret in said for secret in SECRETS)


def archived(root: Path) -> list[int]:
    """How many slices of each job are in the archive."""
    return [len(list(folder.rglob("*.dcm"))) for folder in (root / "archive").iterdir()]


def test_wrong_titles_and_unknown_callers_are_refused_and_written_down(tmp_path: Path) -> None:
    with receiving(tmp_path / "home", allow_ae=("SCANNER",)) as ours:
        assert echo(ours.port, "-aet", "SCANNER") == 0
        assert echo(ours.port, "-aet", "STRANGER") != 0
        assert echo(ours.port, "-aet", "SCANNER", "-aec", "OTHER") != 0
        wait_for(lambda: ours.log().count("association refused") == 2, 5)
        assert "STRANGER@127.0.0.1: association refused" in ours.log()


def test_an_address_that_is_not_on_the_list_is_refused_before_a_word_is_read(tmp_path: Path) -> None:
    with receiving(tmp_path / "home", allow_from=("10.9.8.0/24",)) as ours:
        assert echo(ours.port) != 0
        wait_for(lambda: "the address is not on the allow list" in ours.log(), 5)


def test_only_so_many_associations_are_held_at_once(tmp_path: Path) -> None:
    from AutoSegmentQueueLib.pacs.dimse_client import Caller, PeerError, association
    from AutoSegmentQueueLib.pacs.node import VERIFICATION
    from AutoSegmentQueueLib.pacs.peers import DimsePeer

    with receiving(tmp_path / "home", associations=1) as ours:
        peer = DimsePeer(OURS, "127.0.0.1", ours.port)
        with (
            association(peer, Caller("ONE"), [VERIFICATION]),
            pytest.raises(PeerError, match="refuses"),
            association(peer, Caller("TWO"), [VERIFICATION]),
        ):
            pass
        wait_for(lambda: echo(ours.port) == 0, 10)


def test_callers_that_connect_and_go_away_again_take_nobodys_place(tmp_path: Path) -> None:
    with receiving(tmp_path / "home", associations=2) as ours:
        for _ in range(40):
            socket.create_connection(("127.0.0.1", ours.port)).close()
        wait_for(lambda: echo(ours.port) == 0, 10)


def test_with_tls_only_callers_with_a_certificate_of_our_authority_come_in(
    certificates: Certificates, case: Path, tmp_path: Path
) -> None:
    mine = {"tls_cert": certificates.server, "tls_key": certificates.server_key, "tls_ca": certificates.ca}
    peers = {"queue": Peer(OURS, 1, tls=True)}
    with (
        receiving(tmp_path / "home", **mine) as ours,
        orthanc(tmp_path / "orthanc", tls=certificates, peers=peers) as pacs,
    ):
        pacs.add_peer("queue", Peer(OURS, ours.port, tls=True))
        pacs.upload(case)
        assert pacs.store("queue", pacs.ask("series"))["FailedInstancesCount"] == 0
        assert len(ours.files()) == SLICES
        assert echo(ours.port) != 0  # plain DICOM
        for holder, ca in (("stranger", "ca"), (None, "ca")):
            assert tls_echo(ours.port, certificates, holder, ca) != 0
        assert tls_echo(ours.port, certificates, "client", "ca") == 0
        assert ours.log().count("TLS refused") == 3


def tls_echo(port: int, certificates: Certificates, holder: str | None, ca: str) -> int:
    trust = ["+cf", str(getattr(certificates, ca))]
    if holder is None:
        return echo(port, "+tla", *trust)
    return echo(port, "+tls", str(getattr(certificates, f"{holder}_key")), str(getattr(certificates, holder)), *trust)


def test_a_peer_killed_in_the_middle_leaves_a_series_that_waits_and_completes_when_it_is_sent_again(
    tmp_path: Path,
) -> None:
    count = 50
    with orthanc(tmp_path / "orthanc") as pacs:
        small_slices(tmp_path / "ct", count)
        pacs.upload(tmp_path / "ct")
        ports = int(pacs.http.rpartition(":")[2]), pacs.dicom_port
        with receiving(tmp_path / "home", ask=(f"ORTHANC@127.0.0.1:{pacs.dicom_port}",)) as ours:
            peer = Peer(OURS, ours.port)
            pacs.add_peer("queue", peer)
            pacs.ask("modalities/queue/store", {"Resources": pacs.ask("series"), "Synchronous": False})
            wait_for(lambda: len(ours.files()) >= 10, 30, 0.005)
            pacs.kill()
            partial = len(ours.files())
            assert 10 <= partial < count
            with orthanc(tmp_path / "orthanc", ports=ports, peers={"queue": peer}) as again:
                assert ours.after(500) == []  # it says that there is more
                assert again.store("queue", again.ask("series"))["FailedInstancesCount"] == 0
                check_complete(ours, count)


def check_complete(ours: Receiving, count: int) -> None:
    (job,) = ours.after(31)
    files = list(Path(job.inputs[0]).glob("*.dcm"))
    assert len(files) == len(contents(files)) == count


def test_a_killed_node_is_started_again_and_the_series_completes(tmp_path: Path) -> None:
    files = small_slices(tmp_path / "ct", 100)
    with receiving(tmp_path / "home") as ours:
        command = ["storescu", "-aec", OURS, "127.0.0.1", str(ours.port), *map(str, files)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as sender:
            wait_for(lambda: len(ours.files()) >= 5, 30, 0.005)
            assert ours.child.pid
            os.kill(ours.child.pid, signal.SIGKILL)
            assert sender.wait(60) != 0
        wait_for(lambda: ours.child.starts == 2, 30)
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0
        check_complete(ours, 100)
        assert not list((ours.home.root / "received" / ".incoming").glob("*/*.dcm"))


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.prove)])
def test_many_slices_by_four_associations_arrive_bit_for_bit(tmp_path: Path, count: int) -> None:
    folders = [tmp_path / f"part{number}" for number in range(4)]
    files = small_slices(tmp_path / "ct", count)
    for number, path in enumerate(files):
        folders[number % 4].mkdir(exist_ok=True)
        path.rename(folders[number % 4] / path.name)
    with receiving(tmp_path / "home") as ours:
        command = ["storescu", "-aec", OURS, "+sd", "127.0.0.1", str(ours.port)]
        senders = [subprocess.Popen([*command, str(one)], stdout=subprocess.DEVNULL) for one in folders]
        assert [one.wait(300) for one in senders] == [0] * 4
        (job,) = ours.after(31)
        arrived = sorted(dataset_bytes(path) for path in Path(job.inputs[0]).glob("*.dcm"))
        sent = sorted(dataset_bytes(path) for folder in folders for path in folder.iterdir())
        assert arrived == sent
