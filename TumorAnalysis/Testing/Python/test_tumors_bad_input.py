"""What is wrong with data from the wild: each is read right, or refused with its reason, and never stops the cohort."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tumor_files as files
from DicomWorkbenchLib.errors import InputError, NoDicomError
from TumorAnalysisLib import TumorSettings, run
from TumorAnalysisLib.analysis import analyse_patient

TUMOR_ML = files.TUMOR.sum() * np.prod(files.SPACING) / 1000


def patients(dataset: Path, **settings: Any) -> dict[str, dict[str, Any]]:
    """Run the job and return the report's patients by id."""
    report = run(TumorSettings(dataset, dataset.parent / "out", pictures=False, **settings))
    return {entry["id"]: entry for entry in report.patients}


def structure(entry: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in entry["structures"] if one["name"] == name)


def only(tmp_path: Path, **settings: Any) -> dict[str, Any]:
    return next(iter(patients(tmp_path / "cohort", **settings).values()))


def assert_right(entry: dict[str, Any]) -> None:
    assert entry["status"] == "ok"
    assert entry["tumor_count"] == 1
    assert entry["tumor_volume_ml"] == pytest.approx(TUMOR_ML)


def test_a_good_patient_stays_good_beside_every_bad_one(tmp_path: Path) -> None:
    cohort = tmp_path / "cohort"
    files.write_patient(cohort / "good")
    (cohort / "broken.zip").parent.mkdir(exist_ok=True)
    (cohort / "broken.zip").write_bytes(b"PK\x03\x04 this is no archive")
    folder = files.write_patient(cohort / "corrupt", seed=1)
    (folder / "MASKS_DICOM.zip").write_bytes(b"PK\x03\x04 broken")
    for file in sorted((folder / "MASKS_DICOM").rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    (folder / "MASKS_DICOM").rmdir()
    (cohort / "empty" / "PATIENT_DICOM").mkdir(parents=True)
    found = patients(cohort)
    assert_right(found["good"])
    assert {name: entry["status"] for name, entry in found.items()} == {
        "good": "ok", "broken": "failed", "corrupt": "failed", "empty": "failed",
    }  # fmt: skip
    assert "damaged" in found["broken"]["reason"]
    assert "damaged" in found["corrupt"]["reason"]
    assert "MASKS_DICOM" in found["empty"]["reason"]


def test_an_archive_that_leaves_its_folder_is_refused_alone(tmp_path: Path) -> None:
    cohort = tmp_path / "cohort"
    files.write_patient(cohort / "good")
    files.write_patient(cohort / "bad", seed=1)
    archive = files.zipped(cohort / "bad" / "MASKS_DICOM")
    with zipfile.ZipFile(archive, "a") as out:
        out.writestr("../../../escaped", b"x")
    found = patients(cohort)
    assert_right(found["good"])
    assert found["bad"]["status"] == "failed"
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("layout", ["parts", "patient", "cohort", "doubled", "patients in a cohort"])
def test_zips_of_every_nesting_are_read(tmp_path: Path, layout: str) -> None:
    cohort = tmp_path / "cohort"
    folder = files.write_patient(cohort / "Größe 3.1")
    target = cohort
    if layout == "doubled":
        (folder / "PATIENT_DICOM").rename(folder / "inner")
        (folder / "PATIENT_DICOM").mkdir()
        (folder / "inner").rename(folder / "PATIENT_DICOM" / "PATIENT_DICOM")
    if layout in ("parts", "cohort", "doubled", "patients in a cohort"):
        files.zipped(folder / "PATIENT_DICOM")
        files.zipped(folder / "MASKS_DICOM")
    if layout in ("patient", "patients in a cohort"):
        files.zipped(folder)
    if layout in ("cohort", "patients in a cohort"):
        target = files.zipped(cohort)
    report = run(TumorSettings(target, tmp_path / "out", pictures=False))
    assert [entry["id"] for entry in report.patients] == ["Größe 3.1"]
    assert_right(report.patients[0])


@pytest.mark.parametrize("value", [1, 255])
def test_masks_of_1_and_of_255_are_the_same(tmp_path: Path, value: int) -> None:
    folder = files.write_patient(tmp_path / "cohort" / "p", {"liver": files.LIVER})
    files.write_slices(folder / "MASKS_DICOM" / "livertumor", files.TUMOR, value=value)
    assert_right(only(tmp_path))


def test_an_empty_mask_is_listed_and_counts_nothing(tmp_path: Path) -> None:
    files.write_patient(tmp_path / "cohort" / "p", {"liver": files.LIVER, "livertumor": np.zeros_like(files.TUMOR)})
    entry = only(tmp_path)
    assert (entry["status"], entry["tumor_count"], entry["tumor_volume_ml"], entry["burden"]) == ("ok", 0, 0.0, 0.0)
    assert structure(entry, "livertumor")["role"] == "lesion"
    assert any("empty" in warning for warning in entry["warnings"])


def test_one_lesion_in_two_masks_is_counted_twice_and_that_is_said(tmp_path: Path) -> None:
    apart = files.ball((6, 30, 24), 3)
    masks = {
        "liver": files.LIVER,
        "livertumor01": files.TUMOR,
        "livertumor02": files.TWO,
        "livertumor03": apart,
    }
    files.write_patient(tmp_path / "cohort" / "p", masks)
    entry = only(tmp_path)
    shared = int((files.TUMOR & files.TWO).sum())
    said = [warning for warning in entry["warnings"] if "counted twice" in warning]
    assert len(said) == 1
    assert f"livertumor01 and livertumor02 share {shared} voxels" in said[0] and "100% of the smaller" in said[0]
    assert entry["tumor_count"] == 3
    assert entry["burden"] == pytest.approx(
        (files.TWO | apart).sum() / (files.LIVER | files.TWO | apart).sum(), rel=1e-6
    )
    assert "counted twice" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_no_tumour_at_all_is_a_result(tmp_path: Path) -> None:
    files.write_patient(tmp_path / "cohort" / "p", {"liver": files.LIVER})
    entry = only(tmp_path)
    assert (entry["status"], entry["tumor_count"], entry["burden"]) == ("ok", 0, 0.0)


def test_without_a_liver_mask_lesions_are_measured_and_the_burden_is_open(tmp_path: Path) -> None:
    files.write_patient(tmp_path / "cohort" / "p", {"livertumor": files.TUMOR})
    entry = only(tmp_path)
    assert_right(entry)
    assert entry["burden"] is None
    assert entry["lesions"][0]["distance_to_surface_mm"] is None
    assert any("no usable liver mask" in warning for warning in entry["warnings"])


def test_the_mask_of_another_patient_is_refused_by_its_geometry(tmp_path: Path) -> None:
    folder = files.write_patient(tmp_path / "cohort" / "p", {"liver": files.LIVER})

    def elsewhere(dataset: Any, k: int) -> None:
        dataset.ImagePositionPatient = [12.0, -30.0, 100.0 + files.SPACING[0] * k]

    files.write_slices(folder / "MASKS_DICOM" / "livertumor", files.TUMOR, mangle=elsewhere)
    entry = only(tmp_path)
    assert entry["tumor_count"] == 0
    assert "another scan" in structure(entry, "livertumor")["reason"]


def test_the_mask_of_another_patient_on_the_same_grid_is_refused_by_its_id(tmp_path: Path) -> None:
    folder = files.write_patient(tmp_path / "cohort" / "p", {"liver": files.LIVER})
    files.write_slices(folder / "MASKS_DICOM" / "livertumor", files.TUMOR, patient="B")
    entry = only(tmp_path)
    assert entry["tumor_count"] == 0
    assert "another patient" in structure(entry, "livertumor")["reason"]


@pytest.mark.parametrize("order", ["reversed", "shuffled"])
def test_positions_decide_and_not_the_names_of_mask_slices(tmp_path: Path, order: str) -> None:
    folder = files.write_patient(tmp_path / "cohort" / "p", {"liver": files.LIVER})
    depth = files.SHAPE[0]
    turned = list(range(depth))[::-1] if order == "reversed" else list(np.random.default_rng(0).permutation(depth))
    names = {k: f"image_{turned[k]}" for k in range(depth)}
    files.write_slices(folder / "MASKS_DICOM" / "livertumor", files.TUMOR, names=names)
    entry = only(tmp_path)
    assert_right(entry)
    assert entry["lesions"][0]["liver_overlap"] == 1.0
    assert entry["lesions"][0]["components_6"] == 1  # slices in a wrong order would tear it apart


def test_masks_without_position_inherit_it_and_that_is_logged(tmp_path: Path) -> None:
    folder = files.write_patient(tmp_path / "cohort" / "p", {"liver": files.LIVER})
    files.write_slices(folder / "MASKS_DICOM" / "livertumor", files.TUMOR, mangle=files.without_geometry)
    entry = only(tmp_path)
    assert_right(entry)
    assert any("inherited" in warning for warning in entry["warnings"])


def test_slice_counts_that_differ_are_refused_where_the_structure_is_cut(tmp_path: Path) -> None:
    folder = files.write_patient(tmp_path / "cohort" / "p", {"liver": files.LIVER})
    files.write_slices(folder / "MASKS_DICOM" / "livertumor", files.TUMOR, skip=(6,))
    files.write_slices(folder / "MASKS_DICOM" / "livertumor2", files.TUMOR, skip=(0, 11))
    nameless = {k: f"slice{k:03}" for k in range(12)}

    def counted(dataset: Any, k: int) -> None:
        files.without_geometry(dataset, k)
        dataset.InstanceNumber = 100 + k

    files.write_slices(folder / "MASKS_DICOM" / "livertumor3", files.TUMOR, skip=(3,), mangle=counted, names=nameless)
    entry = only(tmp_path)
    assert entry["tumor_count"] == 1
    assert entry["tumor_volume_ml"] == pytest.approx(TUMOR_ML)
    assert "missing" in structure(entry, "livertumor")["reason"]
    assert "missing" in structure(entry, "livertumor2")["notes"]
    assert "11 mask slices" in structure(entry, "livertumor3")["reason"]


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    folder = files.write_patient(tmp_path / "cohort" / "p", {"liver": files.LIVER})
    files.write_slices(folder / "MASKS_DICOM" / "livertumor", files.TUMOR[:, :40, :40])
    assert "40 x 40" in structure(only(tmp_path), "livertumor")["reason"]


def test_a_mask_with_a_broken_slice_is_refused_and_the_others_stay(tmp_path: Path) -> None:
    folder = files.write_patient(tmp_path / "cohort" / "p")
    files.write_slices(folder / "MASKS_DICOM" / "kidney", files.OUTSIDE)
    (folder / "MASKS_DICOM" / "kidney" / "image_4").write_bytes(
        b"not DICOM at all, and long enough to be looked into" * 9
    )
    entry = only(tmp_path)
    assert_right(entry)
    assert structure(entry, "kidney")["reason"].startswith("not used")


def test_a_patient_folder_given_twice_counts_once(tmp_path: Path) -> None:
    files.write_patient(tmp_path / "cohort" / "a" / "patient1")
    files.write_patient(tmp_path / "cohort" / "b" / "patient1")
    files.write_patient(tmp_path / "cohort" / "c" / "patient1", seed=2)
    found = patients(tmp_path / "cohort")
    assert {name: entry["status"] for name, entry in found.items()} == {
        "patient1": "ok", "patient1_2": "duplicate", "patient1_3": "ok",
    }  # fmt: skip


def test_names_in_any_script_reach_every_file(tmp_path: Path) -> None:
    files.write_patient(
        tmp_path / "cohort" / "患者 Ä", {"liver": files.LIVER, "livertumor": files.TUMOR, "niere_größe": files.OUTSIDE}
    )
    entry = only(tmp_path)
    assert entry["id"] == "患者 Ä"
    assert (tmp_path / "out" / "patients" / "患者 Ä" / "患者 Ä.seg.nrrd").is_file()
    assert structure(entry, "niere_größe")["role"] == "other"


def test_an_empty_folder_or_a_missing_one_is_an_error_with_advice(tmp_path: Path) -> None:
    with pytest.raises(NoDicomError, match="PATIENT_DICOM"):
        run(TumorSettings(tmp_path, tmp_path / "out"))
    with pytest.raises(InputError, match="does not exist"):
        run(TumorSettings(tmp_path / "no", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_nothing_that_identifies_a_person_leaves_the_headers(tmp_path: Path) -> None:
    files.write_patient(tmp_path / "cohort" / "p", patient="SECRET-ID-77")
    entry = only(tmp_path)
    assert entry["metadata"]["age"] == "90+"
    for file in (tmp_path / "out").rglob("*"):
        if file.is_file():
            assert b"SECRET-ID-77" not in file.read_bytes()
            assert b"X^Y" not in file.read_bytes()


def test_an_error_of_the_program_is_named_with_its_place_and_the_others_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from TumorAnalysisLib import job

    def broken(data: Any, **options: Any) -> Any:
        return analyse_patient(data, **options) if data.id == "good" else options["no such option: SECRET"]

    files.write_patient(tmp_path / "cohort" / "bad")
    files.write_patient(tmp_path / "cohort" / "good", seed=1)
    monkeypatch.setattr(job, "analyse_patient", broken)
    found = patients(tmp_path / "cohort")
    assert_right(found["good"])
    assert found["bad"]["status"] == "failed"
    assert "error in this program, not in the data: KeyError in test_tumors_bad_input.py:" in found["bad"]["reason"]
    assert any("job.py" in said and "(broken)" in said for said in found["bad"]["warnings"])
    assert "SECRET" not in str(found["bad"])  # messages of errors may quote headers
