"""The liver cohort: what the archives hold is what the truth says, counted again from the written files."""

from __future__ import annotations

import io
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.report import sha256_of
from DicomWorkbenchLib.samples.liver_cohort import make_liver_cohort
from DicomWorkbenchLib.samples.liver_patient import LiverPatient
from DicomWorkbenchLib.samples.liver_plan import PLANS
from DicomWorkbenchLib.samples.truth import read_truth
from scipy.ndimage import label

NUMBERS = (2, 5, 10, 12, 13, 15, 16, 17)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples") / "cohort"
    make_liver_cohort(folder, patients=NUMBERS)
    return folder


def patient_truth(cohort: Path, number: int) -> dict[str, Any]:
    (truth,) = [truth for truth in read_truth(cohort)["patients"] if truth["number"] == number]
    return dict(truth)


def slices_of(archive: Path, folder: str) -> list[Any]:
    """Slices in the order of their names."""
    with zipfile.ZipFile(archive) as opened:
        names = [n for n in opened.namelist() if n.startswith(folder) and n.rsplit("/", 1)[1].startswith("image_")]
        names.sort(key=lambda name: int(name.rsplit("_", 1)[1]))
        return [pydicom.dcmread(io.BytesIO(opened.read(name))) for name in names]


def mask_of(cohort: Path, number: int, name: str) -> npt.NDArray[np.bool_]:
    folder = cohort / patient_truth(cohort, number)["folder"]
    return np.stack([s.pixel_array > 0 for s in slices_of(folder / "MASKS_DICOM.zip", f"MASKS_DICOM/{name}/")])


def test_every_patient_has_the_four_archives_and_what_lies_about_in_real_folders(cohort: Path) -> None:
    for truth in read_truth(cohort)["patients"]:
        names = {path.name for path in (cohort / truth["folder"]).iterdir()}
        assert {"PATIENT_DICOM.zip", "MASKS_DICOM.zip", "LABELLED_DICOM.zip", "MESHES_VTK.zip"} < names
        assert {".DS_Store", "terms-of-use.pdf"} < names


@pytest.mark.parametrize("number", NUMBERS)
def test_counts_and_volumes_of_the_written_masks_are_the_truth(cohort: Path, number: int) -> None:
    truth = patient_truth(cohort, number)
    voxel_ml = abs(np.linalg.det(np.array(truth["matrix_ijk_to_lps"])[:3, :3])) / 1000
    liver = mask_of(cohort, number, "liver")
    lesions = [s["name"] for s in truth["structures"] if s["role"] == "lesion"]
    tumor = np.zeros_like(liver)
    components = {26: 0, 6: 0}
    for name in lesions:
        voxels = mask_of(cohort, number, name)
        tumor |= voxels
        components[26] += label(voxels, np.ones((3, 3, 3)))[1]
        components[6] += label(voxels)[1]
    assert len(lesions) == truth["tumor_folders"]
    assert components == {26: truth["tumor_components_26"], 6: truth["tumor_components_6"]}
    assert label(tumor, np.ones((3, 3, 3)))[1] == truth["tumor_components_of_union_26"]
    assert tumor.sum() * voxel_ml == pytest.approx(truth["tumor_volume_ml"], abs=1e-3)
    assert liver.sum() * voxel_ml == pytest.approx(truth["liver_volume_ml"], abs=1e-2)
    assert truth["burden"] == pytest.approx(tumor.sum() / (tumor | liver).sum(), abs=1e-6)


def test_the_whole_cohort_has_fifteen_patients_with_liver_tumours() -> None:
    assert [plan.number for plan in PLANS if not plan.tumors] == [5, 7, 11, 14, 20]
    assert len(PLANS) == 20


def test_drawn_bodies_are_as_many_components_in_every_patient() -> None:
    """The truth counts what was drawn; here all patients' voxels are counted."""
    structure = np.ones((3, 3, 3))
    for plan in PLANS:
        patient = LiverPatient(plan)
        found = [label(patient.masks[name], structure)[1] for name in patient.tumor_names]
        drawn = [1] if plan.corner else [len(radii) for radii in plan.tumors.values()]
        assert found == drawn, plan.number


def test_masks_hold_255_or_1_and_may_lack_a_position(cohort: Path) -> None:
    liver = {n: slices_of(cohort / f"patient{n}" / "MASKS_DICOM.zip", "MASKS_DICOM/liver/") for n in (2, 12, 15)}
    assert {int(s.pixel_array.max()) for s in liver[2]} == {0, 255}
    assert {int(s.pixel_array.max()) for s in liver[12]} == {0, 1}
    assert all("ImagePositionPatient" not in s for s in liver[15])


def test_reversed_masks_fit_the_scan_by_position_and_not_by_name(cohort: Path) -> None:
    folder = cohort / "patient10"
    scan = [s.ImagePositionPatient[2] for s in slices_of(folder / "PATIENT_DICOM.zip", "PATIENT_DICOM/")]
    masks = [s.ImagePositionPatient[2] for s in slices_of(folder / "MASKS_DICOM.zip", "MASKS_DICOM/liver/")]
    assert scan == masks[::-1] and scan == sorted(scan)


def test_a_doubled_folder_lies_in_the_archive(cohort: Path) -> None:
    with zipfile.ZipFile(cohort / "patient2" / "PATIENT_DICOM.zip") as archive:
        assert "PATIENT_DICOM/PATIENT_DICOM/image_0" in archive.namelist()
        assert "PATIENT_DICOM/PATIENT_DICOM/.DS_Store" in archive.namelist()
        assert "__MACOSX/PATIENT_DICOM/PATIENT_DICOM/._image_0" in archive.namelist()


def test_tumours_are_darker_than_the_liver_in_the_scan(cohort: Path) -> None:
    scan = slices_of(cohort / "patient17" / "PATIENT_DICOM.zip", "PATIENT_DICOM/")
    hounsfield = np.stack([s.pixel_array + float(s.RescaleIntercept) for s in scan])
    tumor, liver = mask_of(cohort, 17, "livertumor1"), mask_of(cohort, 17, "liver")
    assert np.median(hounsfield[tumor]) == pytest.approx(62, abs=3)
    assert np.median(hounsfield[liver & ~tumor]) == pytest.approx(112, abs=4)


def test_meshes_are_surfaces_around_the_masks(cohort: Path) -> None:
    truth = patient_truth(cohort, 12)
    with zipfile.ZipFile(cohort / "patient12" / "MESHES_VTK.zip") as archive:
        lines = archive.read("MESHES_VTK/liver.vtk").decode().splitlines()
    count = int(lines[4].split()[1])
    points = np.array([line.split() for line in lines[5 : 5 + count]], dtype=float)
    indices = np.argwhere(mask_of(cohort, 12, "liver"))[:, ::-1]
    matrix = np.array(truth["matrix_ijk_to_lps"])
    voxels = indices @ matrix[:3, :3].T + matrix[:3, 3]
    np.testing.assert_allclose(points.min(axis=0), voxels.min(axis=0), atol=6)
    np.testing.assert_allclose(points.max(axis=0), voxels.max(axis=0), atol=6)


def test_the_same_seed_gives_the_same_archives(tmp_path: Path) -> None:
    hashes = []
    for name in ("a", "b"):
        make_liver_cohort(tmp_path / name, patients=(8,))
        hashes.append([sha256_of(path) for path in sorted((tmp_path / name).rglob("*")) if path.is_file()])
    assert hashes[0] == hashes[1]


def test_one_archive_holds_the_archives_of_all_patients(tmp_path: Path) -> None:
    make_liver_cohort(tmp_path / "x", patients=(16, 13), one_archive=True)
    assert {path.name for path in (tmp_path / "x").iterdir()} == {".DS_Store", "cohort.zip", "truth.json"}
    with zipfile.ZipFile(tmp_path / "x" / "cohort.zip") as archive:
        inner = archive.read("cohort/patient13_Größe_é/PATIENT_DICOM.zip")
    with zipfile.ZipFile(io.BytesIO(inner)) as opened:
        assert "PATIENT_DICOM/image_39" in opened.namelist()


def test_a_patient_who_does_not_exist_is_refused_by_number(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not 21"):
        make_liver_cohort(tmp_path / "x", patients=(1, 21))
    assert not (tmp_path / "x").exists()


@pytest.mark.needs("dciodvfy")
def test_dciodvfy_finds_no_error_in_scan_mask_and_label_slices(cohort: Path, tmp_path: Path) -> None:
    for folder in ("patient12", "patient15"):
        for kind in ("PATIENT", "MASKS", "LABELLED"):
            with zipfile.ZipFile(cohort / folder / f"{kind}_DICOM.zip") as archive:
                name = next(n for n in archive.namelist() if n.endswith("image_7"))
                path = Path(archive.extract(name, tmp_path))
            done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, timeout=60)
            assert done.returncode == 0 and "Error" not in done.stdout + done.stderr


@pytest.mark.needs("dcentvfy")
def test_dcentvfy_finds_a_patient_consistent(cohort: Path, tmp_path: Path) -> None:
    for kind in ("PATIENT", "MASKS", "LABELLED"):
        with zipfile.ZipFile(cohort / "patient17" / f"{kind}_DICOM.zip") as archive:
            archive.extractall(tmp_path)
    files = [str(path) for path in tmp_path.rglob("image_*")]
    done = subprocess.run(["dcentvfy", *files], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "Error" not in done.stdout + done.stderr
