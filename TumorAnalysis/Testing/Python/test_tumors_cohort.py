"""The sample cohort of 20 patients: everything read, every count exact, every file there; and the command."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from DicomWorkbenchLib.errors import Cancelled
from DicomWorkbenchLib.progress import CancelToken
from DicomWorkbenchLib.samples.liver_cohort import make_liver_cohort
from TumorAnalysisLib import TumorSettings, run
from TumorAnalysisLib.report import TumorReport

ROLE_OF_THE_ISSUE = {"livercyst": "extra-hepatic", "liverkyste": "extra-hepatic", "metastasectomie": "extra-hepatic"}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("sample") / "cohort"
    truth = make_liver_cohort(folder)
    return folder, truth


@pytest.fixture(scope="module")
def result(cohort: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> tuple[TumorReport, Path]:
    output = tmp_path_factory.mktemp("cohort-out") / "out"
    return run(TumorSettings(cohort[0], output, jobs=2, pictures=False)), output


def test_all_20_are_read_and_15_have_liver_lesions(result: tuple[TumorReport, Path]) -> None:
    measured = result[0].measured
    assert (measured["patients"], measured["patients_read"], measured["patients_with_lesions"]) == (20, 20, 15)


def test_every_count_and_volume_is_that_of_the_truth(
    cohort: tuple[Path, dict[str, Any]], result: tuple[TumorReport, Path]
) -> None:
    found = {entry["id"]: entry for entry in result[0].patients}
    for truth in cohort[1]["patients"]:
        entry = found[truth["folder"]]
        assert entry["tumor_count"] == truth["tumor_folders"], truth["folder"]
        assert entry["tumor_count_components_26"] == truth["tumor_components_26"], truth["folder"]
        assert entry["tumor_count_components_6"] == truth["tumor_components_6"], truth["folder"]
        for key in (
            "tumor_volume_ml",
            "liver_volume_ml",
            "burden",
            "burden_tumor_over_liver_mask",
            "burden_tumor_over_parenchyma",
        ):
            assert entry[key] == pytest.approx(truth[key], rel=1e-4, abs=1e-6), (truth["folder"], key)


def test_no_structure_is_dropped_and_each_has_its_role(
    cohort: tuple[Path, dict[str, Any]], result: tuple[TumorReport, Path]
) -> None:
    found = {entry["id"]: {one["name"]: one for one in entry["structures"]} for entry in result[0].patients}
    for truth in cohort[1]["patients"]:
        structures = found[truth["folder"]]
        assert structures.keys() == {one["name"] for one in truth["structures"]}
        for one in truth["structures"]:
            own = structures[one["name"]]
            assert own["role"] == ROLE_OF_THE_ISSUE.get(one["name"], one["role"]), (truth["folder"], one["name"])
            assert own["volume_ml"] == pytest.approx(one["volume_ml"], abs=1e-3)


def test_the_workbook_has_its_sheets_and_the_csv_their_units(result: tuple[TumorReport, Path]) -> None:
    import openpyxl

    book = openpyxl.load_workbook(result[1] / "cohort.xlsx", read_only=True)
    assert {"Cohort", "Patients", "Lesions", "Structures", "Slices", "Metadata", "Warnings", "Definitions"} <= set(
        book.sheetnames
    )
    header = (result[1] / "csv" / "lesions.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert {
        "volume_ml",
        "longest_diameter_mm",
        "who_product_mm2",
        "contrast_to_parenchyma_hu",
        "centroid_lps_left_mm",
    } <= set(header)


def test_the_page_is_one_file_with_a_figure_of_every_kind(cohort: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    run(TumorSettings(cohort[0], tmp_path / "out", patients="1,5"))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<img") == 7 + 2 + 1  # cohort figures, a 3D picture each, a montage where there are lesions
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page


def test_the_report_has_the_promised_fields(result: tuple[TumorReport, Path]) -> None:
    report = json.loads((result[1] / "report.json").read_text(encoding="utf-8"))
    patient = next(entry for entry in report["patients"] if entry["id"] == "patient1")
    assert {
        "id", "status", "tumor_count", "tumor_count_components", "tumor_volume_ml", "liver_volume_ml", "burden",
        "burden_tumor_over_liver_mask", "burden_tumor_over_parenchyma", "warnings", "structures", "lesions",
    } <= patient.keys()  # fmt: skip
    assert {"name", "role", "volume_ml", "liver_overlap"} <= patient["structures"][0].keys()
    assert {
        "name", "volume_ml", "longest_diameter_mm", "short_axis_mm", "feret_mm", "sphericity", "distance_to_surface_mm", "hu_mean",
        "centroid_lps_mm",
    } <= patient["lesions"][0].keys()  # fmt: skip
    assert all((result[1] / name).is_file() for name in report["outputs"])


def test_cancel_leaves_nothing(cohort: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    token = CancelToken()
    timer = threading.Timer(1.0, token.cancel)
    timer.start()
    with pytest.raises(Cancelled):
        run(TumorSettings(cohort[0], tmp_path / "out"), cancel=token)
    assert list(tmp_path.iterdir()) == []


def test_the_command_takes_the_words_of_the_issue(cohort: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    words = ["tumors", str(cohort[0]), "-o", str(tmp_path / "out"), "--organ", "liver", "--connectivity", "6"]
    words += ["--patients", "16,11", "--jobs", "2", "--role", "patient11/liverkyste=lesion", "--no-pictures", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "DicomWorkbenchLib", *words], capture_output=True, text=True, check=True
    )
    report = json.loads(done.stdout)
    assert {entry["id"]: entry["tumor_count_components"] for entry in report["patients"]} == {
        "patient11": 1,
        "patient16": 2,
    }
    cyst = next(one for one in report["patients"][0]["structures"] if one["name"] == "liverkyste")
    assert (cyst["role"], cyst["overridden"]) == ("lesion", True)


def test_the_command_explains_wrong_words(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "DicomWorkbenchLib",
            "tumors",
            str(tmp_path),
            "-o",
            str(tmp_path / "o"),
            "--lesion",
            "(",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "regular expression" in done.stderr
