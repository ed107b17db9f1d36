"""``dicom-workbench sample-data`` and the table of samples."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path

import pytest
from DicomWorkbenchLib import cli
from DicomWorkbenchLib.errors import Cancelled, SettingsError
from DicomWorkbenchLib.progress import CancelToken
from DicomWorkbenchLib.samples import SAMPLES, Sample, make

ICONS = Path(__file__).parents[2] / "Resources" / "Icons"


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES.keys())
def test_every_sample_has_a_function_with_the_common_arguments_and_a_thumbnail(sample: Sample) -> None:
    module, _, name = sample.function.partition(":")
    arguments = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    assert next(iter(arguments)) == "folder" and {"seed", "progress", "cancel"} <= set(arguments)
    header = (ICONS / sample.thumbnail).read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(header[16:20]), int.from_bytes(header[20:24])) == (260, 280)


def test_the_command_makes_a_sample_and_prints_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.run(["sample-data", "pet-phantom", str(tmp_path / "pet"), "--seed", "3", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert code == 0
    assert report["truth"]["seed"] == 3 and "truth.json" in report["outputs"]
    assert report["measured"]["files"] == len(list((tmp_path / "pet").rglob("*.*")))


def test_an_unknown_sample_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["sample-data", "mri-head", str(tmp_path / "x")]) == 2
    assert "ct-rtstruct" in capsys.readouterr().err
    with pytest.raises(SettingsError, match="pet-phantom"):
        make("mri-head", tmp_path / "x")


@pytest.mark.parametrize("name", SAMPLES)
def test_cancel_leaves_nothing_behind(name: str, tmp_path: Path) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        make(name, tmp_path / "x", cancel=cancel)
    assert list(tmp_path.iterdir()) == []
