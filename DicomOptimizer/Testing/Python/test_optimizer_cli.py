from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from DicomOptimizerLib.cli import command, preview_command
from DicomWorkbenchLib.cli import run as workbench


def test_the_command_of_the_issue_works_with_json(scan_folder: Path, tmp_path: Path) -> None:
    arguments = [
        "optimize", str(scan_folder), "-o", str(tmp_path / "out"), "--decimate", "2", "--eight-bit", "--window", "40/400",
        "--resize", "32", "--contours", "own-first", "--compress", "htj2k", "--uid-salt", "S", "--jobs", "1", "--json",
    ]  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "DicomWorkbenchLib", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["job"] == "optimize"
    assert report["measured"]["slices_after"] == 12
    assert (tmp_path / "out" / "report.json").is_file()


def test_decimate_and_resize_have_their_usual_values_without_a_number(scan_folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        command, [str(scan_folder), "-o", str(tmp_path / "out"), "--decimate", "--resize", "--jobs", "1"]
    )
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["settings"]["decimate"], report["settings"]["resize"]) == (2, 256)
    assert any("not larger than 256" in warning for warning in report["warnings"])


def test_without_an_output_it_lies_beside_the_input(scan_folder: Path, tmp_path: Path) -> None:
    import shutil

    case = tmp_path / "case"
    shutil.copytree(scan_folder, case)
    assert CliRunner().invoke(command, [str(case), "--decimate", "--jobs", "1"]).exit_code == 0
    assert (tmp_path / "Optimized_Decimated").is_dir()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["optimize", "."], 2, "nothing to do"),
        (["optimize"], 2, "INPUT"),
        (["optimize", ".", "--window", "wide"], 2, "level/width"),
        (["optimize", ".", "--decimate", "0"], 2, "decimate"),
        (["optimize", "/nowhere/at/all", "--decimate"], 1, "no DICOM image"),
    ],
)
def test_mistakes_end_with_the_right_code_and_a_sentence(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert workbench(arguments) == code
    assert said in capsys.readouterr().err


def test_the_preview_command_lists_series_and_writes_a_picture(scan_folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "p.png"
    result = CliRunner().invoke(
        preview_command, [str(scan_folder), "--decimate", "--eight-bit", "--picture", str(picture)]
    )
    assert result.exit_code == 0, result.output
    assert "24 -> 12" in result.output
    assert "RTSTRUCT" in result.output
    assert picture.read_bytes().startswith(b"\x89PNG")
