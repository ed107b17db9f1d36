"""Judged by other people's programs: dicom3tools, DCMTK, GDCM, SimpleITK."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from DicomWorkbenchLib.pixels import decode_pixels

ALL = {"decimate": 2, "eight_bit": True, "resize": 32}
JOBS: dict[str, dict[str, Any]] = {
    "decimated": {"decimate": 2},
    "8 bit": {"eight_bit": True},
    "legal ct": {"eight_bit": True, "legal_ct": True},
    "resized": {"resize": 32},
    "all": ALL,
    "all, htj2k": {**ALL, "compress": "htj2k"},
    "all, jpegls": {**ALL, "compress": "jpegls"},
    "16 bit jpegls": {"compress": "jpegls"},
    "union": {**ALL, "contours": "union"},
    "interpolated": {"decimate": 3, "contours": "interpolate"},
    "de-identified": {**ALL, "deidentify": True},
    "dates shifted": {**ALL, "deidentify": True, "dates": "shift"},
}


def files_of(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix != ".json"]


def _known(content: bytes) -> bytes:
    """Call HTJ2K JPEG 2000 for the judge: dciodvfy of 2022 does not know the younger transfer syntax, the data set is laid out alike."""
    return content.replace(b"1.2.840.10008.1.2.4.202\0", b"1.2.840.10008.1.2.4.90\0\0", 1)


def errors_of(folder: Path) -> Counter[str]:
    """Kinds of errors that dciodvfy finds, with how many files have each."""
    found: Counter[str] = Counter()
    for path in files_of(folder):
        done = subprocess.run(["dciodvfy", "-new", "/dev/stdin"], input=_known(path.read_bytes()), capture_output=True)
        found.update(
            {
                line
                for line in (done.stdout + done.stderr).decode(errors="replace").splitlines()
                if line.startswith("Error")
            }
        )
    return found


@pytest.mark.needs("dciodvfy")
@pytest.mark.parametrize("name", list(JOBS))
def test_dciodvfy_finds_no_error_that_the_input_did_not_have(scan_folder: Path, optimize: Any, name: str) -> None:
    target, _ = optimize(scan_folder, **JOBS[name])
    assert not set(errors_of(target)) - set(errors_of(scan_folder))


@pytest.mark.needs("dcentvfy")
@pytest.mark.parametrize("name", ["all", "de-identified", "dates shifted"])
def test_dcentvfy_finds_the_entities_consistent(oblique_folder: Path, optimize: Any, name: str) -> None:
    target, _ = optimize(oblique_folder, **JOBS[name])
    done = subprocess.run(["dcentvfy", *map(str, files_of(target))], capture_output=True, text=True)
    assert done.returncode == 0
    assert "Error" not in done.stdout + done.stderr


@pytest.mark.needs("dcmdump", "dcmftest")
@pytest.mark.parametrize("name", ["all", "all, jpegls", "16 bit jpegls"])
def test_dcmtk_reads_every_file(scan_folder: Path, optimize: Any, name: str) -> None:
    target, _ = optimize(scan_folder, **JOBS[name])
    for path in files_of(target):
        assert subprocess.run(["dcmftest", str(path)], capture_output=True, text=True).stdout.startswith("yes")
        done = subprocess.run(["dcmdump", "+E", str(path)], capture_output=True, text=True, errors="replace")
        assert done.returncode == 0
        assert "E:" not in done.stderr


@pytest.mark.needs("dcmdjpls")
def test_dcmtk_decodes_jpeg_ls_to_the_same_pixels(scan_folder: Path, optimize: Any, tmp_path: Path) -> None:
    target, _ = optimize(scan_folder, **JOBS["16 bit jpegls"])
    first = files_of(target / "ct")[0]
    subprocess.run(["dcmdjpls", str(first), str(tmp_path / "plain.dcm")], check=True)
    original = pydicom.dcmread(scan_folder / "ct" / first.name)
    np.testing.assert_array_equal(pydicom.dcmread(tmp_path / "plain.dcm").pixel_array, original.pixel_array)


@pytest.mark.needs("gdcminfo", "gdcmconv")
@pytest.mark.parametrize("name", ["all", "all, jpegls", "16 bit jpegls"])
def test_gdcm_reads_and_decodes_every_image(
    scan_folder: Path, optimize: Any, images: Any, tmp_path: Path, name: str
) -> None:
    target, _ = optimize(scan_folder, **JOBS[name])
    for path in files_of(target / "ct")[:4]:
        assert subprocess.run(["gdcminfo", str(path)], capture_output=True).returncode == 0
        raw = tmp_path / "raw.dcm"
        subprocess.run(["gdcmconv", "--raw", str(path), str(raw)], check=True, capture_output=True)
        ours = decode_pixels(pydicom.dcmread(path))[0]
        np.testing.assert_array_equal(pydicom.dcmread(raw).pixel_array, ours)


@pytest.mark.parametrize("name", ["decimated", "8 bit", "resized", "all", "all, jpegls"])
def test_simpleitk_sees_the_same_hounsfield_units_at_the_same_places(
    oblique_folder: Path, optimize: Any, images: Any, name: str
) -> None:
    sitk = pytest.importorskip("SimpleITK")
    target, _ = optimize(oblique_folder, **JOBS[name])
    names = [Path(n) for n in sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(target / "ct"))]
    series = sitk.ReadImage([str(n) for n in names])
    ours = images(target / "ct")
    assert series.GetSize()[2] == len(ours)
    values = sitk.GetArrayFromImage(series)
    first = series.TransformIndexToPhysicalPoint((0, 0, 0))
    order = 1 if np.allclose(first, np.asarray(ours[0].ImagePositionPatient, float), atol=1e-3) else -1
    for k, image in enumerate(ours[::order]):
        place = np.asarray(image.ImagePositionPatient, float)
        np.testing.assert_allclose(series.TransformIndexToPhysicalPoint((0, 0, k)), place, atol=2e-3)
        true = decode_pixels(image)[0] * float(image.RescaleSlope) + float(image.RescaleIntercept)
        np.testing.assert_allclose(values[k], true, atol=0.51 if values.dtype.kind == "i" else 1e-2)
    spacing = np.asarray(ours[0].PixelSpacing, float)
    np.testing.assert_allclose(series.GetSpacing()[:2], spacing[::-1], rtol=1e-6)


@pytest.mark.needs("module:highdicom")
def test_highdicom_reads_the_segmentation_and_its_source_images(scan_folder: Path, optimize: Any) -> None:
    import highdicom

    target, _ = optimize(scan_folder, **ALL)
    segmentation = highdicom.seg.segread(target / "SEG")
    assert (segmentation.Rows, segmentation.Columns) == (32, 32)
    uids = {str(instance) for _, _, instance in segmentation.get_source_image_uids()}
    written = {str(pydicom.dcmread(p).SOPInstanceUID) for p in (target / "ct").iterdir()}
    assert uids <= written
    masks = segmentation.get_pixels_by_source_instance(
        source_sop_instance_uids=sorted(uids), ignore_spatial_locations=True, assert_missing_frames_are_empty=True
    )
    assert masks.any()


def test_the_judges_are_worth_asking(scan_folder: Path, tmp_path: Path) -> None:
    """A CT Image with 8 bits, as naive tools write it, is an error to dciodvfy; so its silence above means something."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("the program dciodvfy is not installed")
    dataset = pydicom.dcmread(next((scan_folder / "ct").iterdir()))
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = bytes(dataset.Rows * dataset.Columns)
    dataset["PixelData"].VR = "OB"
    dataset.save_as(tmp_path / "naive.dcm")
    assert errors_of(tmp_path)
