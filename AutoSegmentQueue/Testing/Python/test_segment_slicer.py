"""The engine in a headless Slicer, against a scripted Slicer (`segment_fake_slicer`): the real application is not on a build machine.

What is proved: arguments and environment of the launcher, the script that runs inside, the adapter for two versions of the extension,
results and failures by file, dialogs turned into errors, and that nothing is left running.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from AutoSegmentQueueLib.engines import get
from AutoSegmentQueueLib.validation import check_result

pytestmark = [
    pytest.mark.needs("module:slicer", "module:SimpleITK"),
    pytest.mark.skipif(os.name != "posix", reason="the scripted Slicer is a POSIX script"),
]
FAKE = Path(__file__).with_name("segment_fake_slicer.py")


@pytest.fixture
def slicer(tmp_path: Path) -> Path:
    path = tmp_path / "Slicer"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "$@"\n', encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def write_phantom(path: Path) -> None:
    """A body of 40 HU with an organ of 100 HU on the patient's right, in air."""
    import SimpleITK as sitk

    array = np.full((20, 30, 30), -1000, np.int16)
    array[:, 4:26, 4:26] = 40
    array[6:14, 8:18, 6:14] = 100
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((4.0, 4.0, 5.0))
    image.SetOrigin((-60.0, -60.0, -50.0))
    sitk.WriteImage(image, str(path))


def start(
    tmp_path: Path, slicer: Path, mode: str, *, display: str = ":99", deadline: float = 60, **options: Any
) -> Any:
    write_phantom(tmp_path / "scan.nrrd")
    work = tmp_path / "work"
    work.mkdir()
    job = {
        "id": "j",
        "attempt": 1,
        "fence": 1,
        "kind": "segment",
        "inputs": [str(tmp_path / "scan.nrrd")],
        "name": "phantom",
        "engine": "slicer-totalsegmentator",
        "options": {
            "task": "total",
            "quality": "faster",
            "device": "cpu",
            "reduction": 0.5,
            "formats": ["gltf", "glb"],
            **options,
        },
        "work": str(work),
        "result": str(work / "result"),
        "deadline_seconds": deadline,
    }
    (tmp_path / "job.json").write_text(json.dumps(job), encoding="utf-8")
    environment = {
        **os.environ,
        "WORKBENCH_SLICER": str(slicer),
        "FAKE_SLICER": mode,
        "FAKE_SLICER_SEEN": str(tmp_path / "seen.json"),
        "DISPLAY": display,
        "VTK_DEFAULT_OPENGL_WINDOW": "vtkEGLRenderWindow",
        "HOME": str(tmp_path / "home"),
    }
    if not display:
        del environment["DISPLAY"]
    command = [sys.executable, "-m", "AutoSegmentQueueLib.job", str(tmp_path / "job.json")]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(tmp_path: Path, slicer: Path, mode: str, **options: Any) -> tuple[Path, str, str]:
    (tmp_path / "home").mkdir(exist_ok=True)
    with start(tmp_path, slicer, mode, **options) as child:
        stdout, stderr = child.communicate(timeout=90)
    return tmp_path / "work", stdout, stderr


def failure(work: Path) -> dict[str, str]:
    assert not (work / "result" / "manifest.json").exists()
    found: dict[str, str] = json.loads((work / "result.failure.json").read_text(encoding="utf-8"))
    return found


def test_a_job_runs_inside_slicer_with_private_folders_and_its_progress_comes_out(tmp_path: Path, slicer: Path) -> None:
    work, stdout, stderr = run(tmp_path, slicer, "ok")
    assert (work / "result" / "manifest.json").is_file(), stderr
    assert check_result(work / "result") == []
    manifest = json.loads((work / "result" / "manifest.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in manifest["structures"]] == ["liver", "body"]
    liver = manifest["structures"][0]
    assert liver["voxels"] == 8 * 10 * 8
    assert liver["codes"]["type"]["meaning"] == "Liver"
    assert liver["color"] == pytest.approx([0.9, 0.1, 0.2], abs=1e-6)
    assert manifest["engine"]["name"] == "slicer-totalsegmentator"
    assert manifest["exporter"] == "DicomWorkbench"

    stages = {json.loads(line)["stage"] for line in stdout.splitlines()}
    assert {"starting Slicer", "segmenting", "making surfaces", "done"} <= stages
    seen = json.loads((tmp_path / "seen.json").read_text(encoding="utf-8"))
    assert seen["arguments"][-3].endswith("job_in_slicer.py")
    assert "--additional-module-paths" in seen["arguments"], "in a checkout Slicer must be told where our modules are"
    environment = seen["environment"]
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert environment["PYTHONPATH"] is environment["PYTHONHOME"] is None
    assert Path(seen["temporary"]).is_relative_to(work)
    config = json.loads(Path(environment["TOTALSEG_HOME_DIR"], "config.json").read_text(encoding="utf-8"))
    assert config["send_usage_stats"] is False


def test_the_older_extension_is_called_as_it_wants_to_be(tmp_path: Path, slicer: Path) -> None:
    work, _, stderr = run(tmp_path, slicer, "old", structures=["liver"])
    assert check_result(work / "result") == [], stderr
    manifest = json.loads((work / "result" / "manifest.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in manifest["structures"]] == ["liver"]
    assert any("no quality faster" in warning for warning in manifest["warnings"])


def test_open_anatomy_export_is_used_where_it_exists(tmp_path: Path, slicer: Path) -> None:
    work, _, stderr = run(tmp_path, slicer, "open-anatomy")
    assert check_result(work / "result") == [], stderr
    manifest = json.loads((work / "result" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["exporter"] == "OpenAnatomyExport"
    assert b"phantom_Models" in (work / "result" / "segmentation.glb").read_bytes()


def test_our_exporter_steps_in_when_open_anatomy_export_fails(tmp_path: Path, slicer: Path) -> None:
    work, _, stderr = run(tmp_path, slicer, "open-anatomy-fails")
    assert check_result(work / "result") == [], stderr
    manifest = json.loads((work / "result" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["exporter"] == "DicomWorkbench"
    assert any("OpenAnatomyExport failed" in warning for warning in manifest["warnings"])


@pytest.mark.parametrize(
    ("mode", "kind", "words"),
    [
        ("no-extension", "missing", "Extensions Manager"),
        ("dialog", "engine", "no GPU driver"),
        ("installs", "missing", "TotalSegmentator in Slicer"),
        ("empty", "engine", "no segment at all"),
    ],
)
def test_what_goes_wrong_inside_is_said_outside(tmp_path: Path, slicer: Path, mode: str, kind: str, words: str) -> None:
    work, _, _ = run(tmp_path, slicer, mode)
    found = failure(work)
    assert found["class"] == kind
    assert words in found["message"]


def test_a_crash_leaves_neither_manifest_nor_failure(tmp_path: Path, slicer: Path) -> None:
    work, _, stderr = run(tmp_path, slicer, "crash")
    assert not (work / "result" / "manifest.json").exists()
    assert not (work / "result.failure.json").exists()
    assert "neither result nor reason" in stderr


def test_a_slicer_that_hangs_is_ended_with_what_it_started(tmp_path: Path, slicer: Path) -> None:
    (tmp_path / "home").mkdir()
    began = time.monotonic()
    with start(tmp_path, slicer, "hang", deadline=3) as child:
        child.communicate(timeout=30)
    assert time.monotonic() - began < 12
    assert failure(tmp_path / "work")["class"] == "timeout"
    listing = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    alive = [line for line in listing.splitlines() if line.split()[0] == str(child.pid) and "Z" not in line]
    assert not alive


@pytest.mark.needs("xvfb-run")
def test_without_a_display_slicer_runs_below_xvfb(tmp_path: Path, slicer: Path) -> None:
    work, _, stderr = run(tmp_path, slicer, "ok", display="")
    assert check_result(work / "result") == [], stderr
    seen = json.loads((tmp_path / "seen.json").read_text(encoding="utf-8"))
    assert seen["environment"]["DISPLAY"]


def test_the_engine_says_where_slicer_should_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORKBENCH_SLICER", str(tmp_path / "absent"))
    reason = get("slicer-totalsegmentator").available()
    assert reason is not None
    assert "WORKBENCH_SLICER names" in reason
    monkeypatch.delenv("WORKBENCH_SLICER")
    monkeypatch.delenv("SLICER_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    reason = get("slicer-totalsegmentator").available()
    assert reason is not None
    assert "slicer.org" in reason
