"""The script for a real Slicer, run on the stand-in host with Slicer's command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "Testing" / "InSlicer" / "run.py"
MODULES = ("DicomOptimizer", "TumorAnalysis", "SphereVOI", "AutoSegmentQueue", "MultiframeStreamer")

pytestmark = [pytest.mark.needs("module:slicer"), pytest.mark.needs("module:PySide6")]


def run(folders: tuple[str, ...], output: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "SlicerHost.slicer_command", "--testing", "--no-splash", "--no-main-window"]
    command += ["--additional-module-paths", *folders, "--python-script", str(SCRIPT), "--", str(output)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "Testing"), "http_proxy": "http://127.0.0.1:9"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_all_self_tests_pass_and_every_panel_is_photographed_light_and_dark(tmp_path):
    output = tmp_path / "mit Leerzeichen und Ä"
    done = run(("DicomWorkbench", *MODULES), output)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((output / "report.json").read_text())
    assert report["passed"]
    assert report["uncaught"] == []
    assert tuple(module["name"] for module in report["modules"]) == MODULES
    for module in report["modules"]:
        assert module["tests"], module["name"]
        assert {f"{module['name']}-{look}.png" for look in ("light", "dark")} <= set(module["pictures"])
        light, dark = ((output / f"{module['name']}-{look}.png").read_bytes() for look in ("light", "dark"))
        assert light != dark
    assert "failed" not in (output / "report.html").read_text()


def test_a_module_that_is_not_loaded_is_a_failure_with_a_reason(tmp_path):
    done = run(("DicomWorkbench",), tmp_path)
    assert done.returncode == 1
    assert all(
        "--additional-module-paths" in module["error"]
        for module in json.loads((tmp_path / "report.json").read_text())["modules"]
    )


def test_the_script_uses_nothing_that_only_our_host_has():
    assert "SlicerHost" not in SCRIPT.read_text()
