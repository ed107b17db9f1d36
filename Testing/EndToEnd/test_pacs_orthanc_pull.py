"""Pulling from Orthanc by C-FIND with C-GET and C-MOVE, by QIDO-RS with WADO-RS, and Orthanc pushing to our STOW-RS endpoint."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.pacs.dimse_client import PeerError
from AutoSegmentQueueLib.pacs.pull import PullReport, PullSettings, pull_study
from AutoSegmentQueueLib.pacs.received import Received
from AutoSegmentQueueLib.pacs.store import Store
from AutoSegmentQueueLib.pacs.web_client import PASSWORD, TOKEN, USER
from AutoSegmentQueueLib.states import State
from DicomWorkbenchLib.errors import Cancelled, InputError, SettingsError
from DicomWorkbenchLib.progress import CancelToken
from pacs_testing import SECRETS, Orthanc, Peer, free_port, make_certificates, orthanc, small_slices
from pacs_testing.node import receiving
from pacs_testing.stow import stow_server
from queue_testing import LIGHT, opened_home, run_queue, wait_for

pytestmark = pytest.mark.needs("Orthanc", "module:pynetdicom", "module:dicomweb_client")

SLICES, FEW = 60, 3
OURS = "WORKBENCH"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two series of one study."""
    folder = tmp_path_factory.mktemp("study")
    return [*small_slices(folder / "a", SLICES, number=1), *small_slices(folder / "b", FEW, number=2)]


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory, study: list[Path]) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc"), peers={"caller": Peer(OURS, 11112)}) as peer:
        peer.upload(study[0].parents[1])
        yield peer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    with opened_home(tmp_path / "home"):
        return tmp_path / "home"


def study_uid(study: list[Path]) -> str:
    return str(pydicom.dcmread(study[0]).StudyInstanceUID)


def entity(pacs: Orthanc) -> str:
    return f"{pacs.ae_title}@127.0.0.1:{pacs.dicom_port}"


def check_all_here(root: Path, study: list[Path]) -> None:
    files = [path for series in Received(Home(root)).all() for path in series.files()]
    here = {str(one.SOPInstanceUID): one for one in map(pydicom.dcmread, files)}
    assert here == {str(one.SOPInstanceUID): one for one in map(pydicom.dcmread, study)}


def ways(report: PullReport) -> set[str]:
    return {one.way for one in report.series}


@pytest.mark.parametrize("way", ["C-GET", "WADO-RS"])
def test_a_pulled_study_is_identical_queued_at_once_and_not_fetched_twice(
    pacs: Orthanc, study: list[Path], root: Path, way: str
) -> None:
    settings = PullSettings(entity(pacs) if way == "C-GET" else pacs.dicomweb, study_uid(study), home=root)
    seen: list[tuple[int, int]] = []
    report = pull_study(settings, lambda done, total, message: seen.append((done, total)))
    assert ways(report) == {way} and report.new == SLICES + FEW and not report.warnings
    assert seen[-1] == (SLICES + FEW, SLICES + FEW)
    check_all_here(root, study)
    ledger = Ledger(Home(root).ledger)
    assert len(report.jobs) == 2 and {ledger.job(one).state for one in report.jobs} == {State.QUEUED}
    ledger.close()
    again = pull_study(settings)
    assert ways(again) == {""} and again.new == again.known == 0 and again.jobs == []
    for series in Received(Home(root)).all():  # as after an interruption
        for path in series.files()[1::2]:
            path.unlink()
    rest = pull_study(settings)
    assert rest.new == SLICES // 2 + FEW // 2 and rest.known == 0
    check_all_here(root, study)


def test_one_series_can_be_pulled_alone(pacs: Orthanc, study: list[Path], root: Path) -> None:
    series = str(pydicom.dcmread(study[-1]).SeriesInstanceUID)
    report = pull_study(PullSettings(pacs.dicomweb, study_uid(study), (series,), root))
    assert report.new == FEW and [one.series_uid for one in report.series] == [series]


def test_a_peer_that_only_moves_sends_to_our_running_node(pacs: Orthanc, study: list[Path], tmp_path: Path) -> None:
    with receiving(tmp_path / "home") as ours:
        pacs.add_peer("caller", Peer(OURS, ours.port))
        settings = PullSettings(entity(pacs), study_uid(study), home=ours.home.root, move_to=OURS)
        report = pull_study(settings)
        assert ways(report) == {"C-MOVE"} and not report.warnings
        check_all_here(ours.home.root, study)


def test_the_command_pulls_and_prints_what_came_without_a_name(pacs: Orthanc, study: list[Path], root: Path) -> None:
    done = run_queue("pull", "--home", str(root), "--from", entity(pacs), "--study", study_uid(study))
    assert done.returncode == 0, done.stderr
    assert f"{SLICES} of {SLICES}  C-GET" in done.stdout
    again = run_queue("pull", "--home", str(root), "--from", pacs.dicomweb, "--study", study_uid(study), "--json")
    assert [one["way"] for one in json.loads(again.stdout)["series"]] == ["", ""]
    logs = "".join(path.read_text() for path in (root / "logs").glob("*"))
    assert not any(secret in done.stdout + done.stderr + again.stdout + logs for secret in SECRETS)


def test_what_cannot_be_pulled_is_said_plainly(pacs: Orthanc, study: list[Path], root: Path) -> None:
    with pytest.raises(InputError, match="no study"):
        pull_study(PullSettings(entity(pacs), "1.2.3", home=root))
    with pytest.raises(InputError, match="no study"):
        pull_study(PullSettings(pacs.dicomweb, "1.2.3", home=root))
    with pytest.raises(InputError, match="no series"):
        pull_study(PullSettings(entity(pacs), study_uid(study), ("1.2.3",), root))
    with pytest.raises(PeerError, match="refuses the association"):
        pull_study(PullSettings(entity(pacs), study_uid(study), home=root, ae_title="STRANGER"))
    with pytest.raises(PeerError, match="cannot be reached"):
        pull_study(PullSettings("NOBODY@127.0.0.1:1", study_uid(study), home=root))
    with pytest.raises(SettingsError, match="must not hold a name or password"):
        PullSettings("http://user:word@127.0.0.1/dicom-web", "1.2.3")


@pytest.mark.parametrize("way", ["C-GET", "WADO-RS"])
def test_a_cancelled_pull_keeps_what_has_come_and_goes_on_from_there(
    pacs: Orthanc, study: list[Path], root: Path, way: str
) -> None:
    settings = PullSettings(entity(pacs) if way == "C-GET" else pacs.dicomweb, study_uid(study), home=root)
    cancel = CancelToken()

    def progress(done: int, total: int, message: str) -> None:
        if done >= 5:
            cancel.cancel()

    with pytest.raises(Cancelled):
        pull_study(settings, progress, cancel)
    store = Received(Home(root))
    there = sum(len(series.files()) for series in store.all())
    assert 5 <= there < SLICES
    assert pull_study(settings).new == SLICES + FEW - there
    check_all_here(root, study)


def test_name_and_password_or_a_token_come_from_the_environment(
    study: list[Path], tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = {"AuthenticationEnabled": True, "RegisteredUsers": {"puller": "word"}}
    with orthanc(tmp_path / "orthanc", **locked) as pacs:
        settings = PullSettings(pacs.dicomweb, study_uid(study), home=root)
        with pytest.raises(PeerError, match="HTTP 401"):
            pull_study(settings)
        monkeypatch.setenv(USER, "puller")
        monkeypatch.setenv(PASSWORD, "word")
        with pytest.raises(InputError, match="no study"):  # it lets us in and is empty
            pull_study(settings)
        monkeypatch.setenv(TOKEN, "wrong")  # a token goes before a password
        with pytest.raises(PeerError, match="HTTP 401"):
            pull_study(settings)


def test_pulling_by_tls_shows_our_certificate_and_is_refused_without(
    study: list[Path], tmp_path: Path, root: Path
) -> None:
    certificates = make_certificates(tmp_path / "certificates")
    peers = {"caller": Peer(OURS, 11112)}
    with orthanc(tmp_path / "orthanc", tls=certificates, peers=peers) as pacs:
        pacs.upload(study[-1].parent)
        mine = {"tls_ca": certificates.ca, "tls_cert": certificates.client, "tls_key": certificates.client_key}
        report = pull_study(PullSettings(entity(pacs), study_uid(study), home=root, **mine))
        assert ways(report) == {"C-GET"} and report.new == FEW
        for wrong in ({}, {"tls_ca": certificates.ca}, {"tls_ca": certificates.stranger_ca}):
            with pytest.raises(PeerError):
                pull_study(PullSettings(entity(pacs), study_uid(study), home=root, seconds=5, **wrong))


def test_orthanc_stores_to_our_stow_endpoint(pacs: Orthanc, study: list[Path], tmp_path: Path) -> None:
    store = Store(Home.open(tmp_path / "home"), LIGHT)
    with stow_server(store) as address:
        pacs.ask("dicom-web/servers/ours", {"Url": address, "HasDelete": False}, "PUT")
        pacs.ask("dicom-web/servers/ours/stow", {"Resources": pacs.ask("studies"), "Synchronous": True})
    check_all_here(tmp_path / "home", study)
    store.close()


@pytest.mark.needs("dcmqrscp", "storescu")
def test_a_peer_without_c_get_is_asked_to_move(study: list[Path], tmp_path: Path) -> None:
    few = study[SLICES:]
    with receiving(tmp_path / "home") as ours, archive_without_get(tmp_path / "archive", ours.port) as port:
        sent = ["storescu", "-aec", "ARCHIVE", "127.0.0.1", str(port), *map(str, few)]
        assert subprocess.run(sent, capture_output=True, check=False).returncode == 0
        report = pull_study(PullSettings(f"ARCHIVE@127.0.0.1:{port}", study_uid(study), home=ours.home.root))
        assert ways(report) == {"C-MOVE"} and report.series[0].arrived == FEW
        check_all_here(ours.home.root, few)


@contextlib.contextmanager
def archive_without_get(folder: Path, our_port: int) -> Iterator[int]:
    """DCMTK's archive, which knows our node and offers C-FIND and C-MOVE alone."""
    (folder / "db").mkdir(parents=True)
    (folder / "archive.cfg").write_text(
        "MaxPDUSize = 16384\nMaxAssociations = 8\n"
        f"HostTable BEGIN\nours = ({OURS}, localhost, {our_port})\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nARCHIVE {folder / 'db'} RW (10, 100mb) ANY\nAETable END\n"
    )
    port = free_port()
    with open(folder / "log.txt", "wb") as log:
        command = ["dcmqrscp", "--disable-get", "-c", str(folder / "archive.cfg"), str(port)]
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        echo = ["echoscu", "-aec", "ARCHIVE", "127.0.0.1", str(port)]
        wait_for(lambda: subprocess.run(echo, capture_output=True, check=False).returncode == 0, 20)
        yield port
    finally:
        server.terminate()
        server.wait(10)
