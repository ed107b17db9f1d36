"""The CT sample: its objects refer to each other, its truth is what the files hold, and other programs accept it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.geometry import index_matrix_lps
from DicomWorkbenchLib.report import sha256_of
from DicomWorkbenchLib.samples import make, read_truth
from DicomWorkbenchLib.samples.ct_rtstruct import make_ct_rtstruct


def errors_of(path: Path) -> list[str]:
    done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"dciodvfy stopped at {path.name}: {done.stderr[-300:]}"
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("samples") / "ct"
    make("ct-rtstruct", folder, slices=40, size=128)
    yield folder


def slices_of(folder: Path) -> list[Any]:
    normal = np.array(read_truth(folder)["ct"]["matrix_ijk_to_lps"])[:3, 2]
    images = [pydicom.dcmread(path) for path in (folder / "ct").iterdir()]
    return sorted(images, key=lambda image: float(np.dot(image.ImagePositionPatient, normal)))


def test_names_and_instance_numbers_do_not_give_the_order_of_the_slices(ct: Path) -> None:
    images = slices_of(ct)
    assert [image.InstanceNumber for image in images] == list(range(40, 0, -1))
    by_name = [pydicom.dcmread(path).InstanceNumber for path in sorted((ct / "ct").iterdir())]
    assert by_name not in (sorted(by_name), sorted(by_name, reverse=True))
    assert {path.suffix for path in (ct / "ct").iterdir()} == {"", ".dcm", ".IMA"}


def test_geometry_in_the_files_is_the_truth(ct: Path) -> None:
    images, truth = slices_of(ct), read_truth(ct)["ct"]
    first, last = images[0], images[-1]
    step = (np.array(last.ImagePositionPatient) - np.array(first.ImagePositionPatient)) / (len(images) - 1)
    matrix = index_matrix_lps(first.ImagePositionPatient, first.ImageOrientationPatient, first.PixelSpacing, step)
    np.testing.assert_allclose(matrix, truth["matrix_ijk_to_lps"], atol=1e-5)


def test_values_are_hounsfield_units_and_padding_lies_outside_the_circle(ct: Path) -> None:
    image = slices_of(ct)[20]
    stored = image.pixel_array
    assert (stored[0, 0], image.PixelPaddingValue) == (-2000, -2000)
    hounsfield = stored.astype(float) * float(image.RescaleSlope) + float(image.RescaleIntercept)
    assert -1050 < np.median(hounsfield[2:10, 64]) < -950  # air before the chest
    assert 1000 > hounsfield.max() > 300  # bone


def test_areas_of_the_contours_are_the_truth_and_lie_on_the_slice_they_name(ct: Path) -> None:
    structures, truth = pydicom.dcmread(ct / "RS.dcm"), read_truth(ct)["rtstruct"]["rois"]
    planes = {image.SOPInstanceUID: float(image.ImagePositionPatient[2]) for image in slices_of(ct)}
    for roi, contours in zip(truth, structures.ROIContourSequence, strict=True):
        assert len(contours.ContourSequence) == roi["contours"]
        for contour in contours.ContourSequence:
            points = np.reshape(np.array(contour.ContourData, float), (-1, 3))
            assert len(points) == contour.NumberOfContourPoints
            if contour.ContourGeometricType in ("CLOSED_PLANAR", "OPEN_PLANAR"):
                named = planes[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
                np.testing.assert_allclose(points[:, 2], named, atol=1e-3)


def test_one_region_lives_on_a_single_odd_slice_only(ct: Path) -> None:
    (roi,) = [roi for roi in read_truth(ct)["rtstruct"]["rois"] if "single odd slice" in roi["traits"]]
    (k,) = roi["slices"]
    assert k % 2 == 1
    assert roi["volume_ml"] > 0


def test_segments_hold_as_many_voxels_as_the_truth_says(ct: Path) -> None:
    segmentation = pydicom.dcmread(ct / "SEG")
    frames = np.unpackbits(np.frombuffer(segmentation.PixelData, np.uint8), bitorder="little")
    voxels = sum(segment["voxels"] for segment in read_truth(ct)["seg"]["segments"])
    assert int(frames.sum()) == voxels
    (liver,) = [roi for roi in read_truth(ct)["rtstruct"]["rois"] if roi["name"] == "Liver"]
    assert read_truth(ct)["seg"]["segments"][0]["volume_ml"] == pytest.approx(liver["volume_ml"], rel=0.01)


def test_dose_has_its_maximum_where_the_truth_says(ct: Path) -> None:
    dose, truth = pydicom.dcmread(ct / "RD.dcm"), read_truth(ct)["rtdose"]
    gray = dose.pixel_array * float(dose.DoseGridScaling)
    k, j, i = np.unravel_index(gray.argmax(), gray.shape)
    place = np.array(truth["matrix_ijk_to_lps"]) @ [i, j, k, 1]
    assert np.linalg.norm(place[:3] - truth["center_lps_mm"]) < 5 * np.sqrt(3) / 2
    distance = np.linalg.norm(place[:3] - truth["center_lps_mm"])
    assert gray.max() == pytest.approx(60 * np.exp(-(distance**2) / (2 * 35**2)), rel=1e-5)


def test_a_dose_of_32_bits_holds_the_same_gray_more_finely(ct: Path, tmp_path: Path) -> None:
    make_ct_rtstruct(tmp_path / "x", slices=40, size=128, dose_bits=32)
    coarse, fine = (pydicom.dcmread(folder / "RD.dcm") for folder in (ct, tmp_path / "x"))
    assert (coarse.BitsAllocated, fine.BitsAllocated) == (16, 32)
    gray = [dose.pixel_array * float(dose.DoseGridScaling) for dose in (coarse, fine)]
    np.testing.assert_allclose(gray[0], gray[1], atol=0.51 * float(coarse.DoseGridScaling))


def test_an_oblique_series_with_pixels_that_are_not_square_is_the_truth_too(tmp_path: Path) -> None:
    folder = tmp_path / "oblique"
    options: dict[str, Any] = {"slices": 12, "size": 48, "rotation_deg": (20, -10, 5), "pixel_aspect": 1.5}
    truth = make_ct_rtstruct(folder, **options, gantry_tilt_deg=8)
    images = slices_of(folder)
    step = (np.array(images[-1].ImagePositionPatient) - np.array(images[0].ImagePositionPatient)) / 11
    first = images[0]
    matrix = index_matrix_lps(first.ImagePositionPatient, first.ImageOrientationPatient, first.PixelSpacing, step)
    np.testing.assert_allclose(matrix, truth["ct"]["matrix_ijk_to_lps"], atol=1e-5)
    assert first.Rows == 32 and first.PixelSpacing[0] == pytest.approx(1.5 * first.PixelSpacing[1])
    tilt = np.degrees(
        np.arccos(step @ np.cross(*np.reshape(first.ImageOrientationPatient, (2, 3))) / np.linalg.norm(step))
    )
    assert tilt == pytest.approx(8, abs=1e-4)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_data(tmp_path: Path) -> None:
    hashes = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_ct_rtstruct(tmp_path / name, slices=8, size=32, seed=seed)
        hashes.append(
            {p.relative_to(tmp_path / name): sha256_of(p) for p in (tmp_path / name).rglob("*") if p.is_file()}
        )
    assert hashes[0] == hashes[1]
    assert not set(hashes[0].values()) & set(hashes[2].values())


def test_an_existing_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "keep.txt").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        make_ct_rtstruct(tmp_path, slices=4, size=16)
    assert [path.name for path in tmp_path.iterdir()] == ["keep.txt"]


@pytest.mark.needs("dciodvfy")
def test_dciodvfy_finds_no_error_in_any_kind_of_object(ct: Path) -> None:
    some = sorted((ct / "ct").iterdir())[:3]
    found = {path.name: errors_of(path) for path in [*some, ct / "RS.dcm", ct / "RP.dcm", ct / "RD.dcm", ct / "SEG"]}
    assert found == {name: [] for name in found}


@pytest.mark.needs("dcentvfy")
def test_dcentvfy_finds_the_study_consistent(ct: Path) -> None:
    files = [str(path) for path in [*(ct / "ct").iterdir(), *ct.glob("R*.dcm"), ct / "SEG"]]
    done = subprocess.run(["dcentvfy", *files], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.needs("module:SimpleITK")
def test_simpleitk_reads_the_series_with_the_same_geometry_and_values(ct: Path) -> None:
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(ct / "ct")))
    image = reader.Execute()
    matrix = np.array(read_truth(ct)["ct"]["matrix_ijk_to_lps"])
    np.testing.assert_allclose(image.GetOrigin(), matrix[:3, 3], atol=1e-4)
    np.testing.assert_allclose(image.GetSpacing(), np.linalg.norm(matrix[:3, :3], axis=0), atol=1e-4)
    assert sitk.GetArrayViewFromImage(image)[20].tolist() == (slices_of(ct)[20].pixel_array - 1024).tolist()


def test_truth_is_plain_json_without_nan(ct: Path) -> None:
    assert "NaN" not in (ct / "truth.json").read_text()
    assert json.loads((ct / "truth.json").read_text())["sample"] == "ct-rtstruct"
