"""The optimizer against the world: a PACS takes its output, real scans stay true, other people's readers see the same ROIs."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from Benchmarks import peers_optimizer
from Benchmarks.peers import peer_python
from DicomOptimizerLib import OptimizerSettings, run
from DicomWorkbenchLib.samples.ct_rtstruct import make_ct_rtstruct

ALL: dict[str, Any] = {"decimate": 2, "eight_bit": True, "resize": 64, "jobs": 1}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peers") / "case"
    make_ct_rtstruct(folder, slices=20, size=128, dose_bits=16)
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[str]:
    """A running Orthanc on this machine alone; gives its address."""
    port = free_port()
    config = {
        "HttpPort": port, "DicomServerEnabled": False, "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "StorageDirectory": str(tmp_path / "db"), "IndexDirectory": str(tmp_path / "db"), "Plugins": [],
    }  # fmt: skip
    (tmp_path / "orthanc.json").write_text(json.dumps(config))
    process = subprocess.Popen(
        ["Orthanc", str(tmp_path / "orthanc.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            try:
                ask(f"{address}/system")
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def ask(url: str, data: bytes | None = None) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=20) as answer:
        return json.loads(answer.read())


@pytest.mark.needs("Orthanc")
@pytest.mark.parametrize("compress", ["none", "jpegls"])
def test_orthanc_takes_every_file_and_finds_one_patient_one_study(
    case: Path, tmp_path: Path, orthanc: str, compress: str
) -> None:
    report = run(OptimizerSettings((case,), tmp_path / "out", compress=compress, **ALL))
    for name in report.outputs:
        assert ask(f"{orthanc}/instances", (tmp_path / "out" / name).read_bytes())["Status"] == "Success"
    assert len(ask(f"{orthanc}/patients")) == len(ask(f"{orthanc}/studies")) == 1
    found = [ask(f"{orthanc}/series/{one}") for one in ask(f"{orthanc}/series")]
    counts = {one["MainDicomTags"]["Modality"]: len(one["Instances"]) for one in found}
    assert counts == {"CT": 10, "RTSTRUCT": 1, "RTPLAN": 1, "RTDOSE": 1, "SEG": 1}


@pytest.mark.needs("data")
def test_a_real_pet_comes_back_within_the_stated_error(workbench_data: Path, tmp_path: Path) -> None:
    source = workbench_data / "nema_pet" / "recon_1"
    report = run(OptimizerSettings((source,), tmp_path / "out", decimate=3, eight_bit=True, jobs=1))
    one = report.series[0]
    assert one.slices_after == (one.slices_before + 2) // 3
    assert one.window is not None
    assert one.grey_error is not None
    high = one.window[0] - 0.5 + (one.window[1] - 1) / 2
    places = {float(d.ImagePositionPatient[2]): d for d in map(pydicom.dcmread, source.glob("*.dcm"))}
    for name in report.outputs:
        new = pydicom.dcmread(tmp_path / "out" / name)
        old = places[float(new.ImagePositionPatient[2])]
        true = old.pixel_array * float(old.RescaleSlope) + float(old.RescaleIntercept)
        back = new.pixel_array * float(new.RescaleSlope) + float(new.RescaleIntercept)
        assert np.abs(back - true)[true <= high].max() <= one.grey_error * 1.001


@pytest.mark.needs("data", "dciodvfy")
@pytest.mark.parametrize("name", ["nema_pet/recon_1", "suv/DRO_0_0"])
def test_real_scans_get_no_new_errors(workbench_data: Path, tmp_path: Path, name: str) -> None:
    source = workbench_data / name
    run(OptimizerSettings((source,), tmp_path / "out", **{**ALL, "eight_bit": False}))
    assert not kinds_of_errors(tmp_path / "out") - kinds_of_errors(source)


def kinds_of_errors(folder: Path) -> set[str]:
    """Errors of dciodvfy without the values in them, which are UIDs and dates."""
    found = set()
    for path in sorted(folder.rglob("*.dcm")):
        done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, errors="replace")
        lines = (done.stdout + done.stderr).splitlines()
        found |= {line.split(" = <")[0] for line in lines if line.startswith("Error")}
    return found


@pytest.mark.prove
@pytest.mark.parametrize("reader", peers_optimizer.READERS)
def test_other_peoples_readers_see_the_same_rois_on_kept_slices(case: Path, tmp_path: Path, reader: str) -> None:
    python = peer_python("optimizer", *peers_optimizer.PACKAGES)
    assert python is not None, "the readers come from the package index"
    run(OptimizerSettings((case,), tmp_path / "out", decimate=2, jobs=1))
    for name, (volume, dice) in peers_optimizer.compare(python, reader, case, tmp_path / "out", 2).items():
        assert volume == pytest.approx(1, abs=0.02), name
        assert dice >= 0.97, name


@pytest.mark.skipif(
    shutil.which("unshare") is None or sys.platform != "linux", reason="a read-only mount is made on Linux only"
)
def test_an_input_on_a_read_only_mount_is_read(case: Path, tmp_path: Path) -> None:
    """In a mount namespace of its own, where that is allowed; else the folder is only made read-only (in the room's tests)."""
    command = [
        sys.executable,
        "-m",
        "DicomWorkbenchLib",
        "optimize",
        str(case),
        "-o",
        f"{tmp_path}/out",
        "--decimate",
        "2",
    ]
    script = f"mount --bind {case} {case} && mount -o remount,ro,bind {case} && exec {' '.join(command)}"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True)
    if done.returncode and "optimize" not in done.stderr and "error:" not in done.stderr:  # no right to mount here
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    assert (tmp_path / "out" / "report.json").is_file()
