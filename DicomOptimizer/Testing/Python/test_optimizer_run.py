"""Whole jobs on a small synthetic scan whose truth is known."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from DicomOptimizerLib import Compression, ContourRule
from DicomWorkbenchLib.windowing import Window
from pydicom.dataset import Dataset

ALL = {"decimate": 2, "eight_bit": True, "resize": 32}


def uids_of(folder: Path) -> dict[str, set[str]]:
    """All UIDs of a folder's files by keyword, at every depth."""
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".json":
            for element in pydicom.dcmread(path).iterall():
                if element.VR == "UI" and element.value:
                    found.setdefault(element.keyword, set()).update([str(element.value)])
    return found


def test_the_input_is_untouched_and_hashed(scan_folder: Path, optimize: Any, hashes: Any) -> None:
    before = hashes(scan_folder)
    _, report = optimize(scan_folder, **ALL)
    assert hashes(scan_folder) == before
    named = {Path(one.path).relative_to(scan_folder).as_posix(): one.sha256 for one in report.inputs}
    assert named == {name: digest for name, digest in before.items() if name != "truth.json"}


def test_kept_slices_are_every_second_by_position_not_by_name(scan_folder: Path, optimize: Any, images: Any) -> None:
    target, _ = optimize(scan_folder, decimate=2)
    before = [float(d.ImagePositionPatient[2]) for d in images(scan_folder)]
    after = images(target)
    assert [float(d.ImagePositionPatient[2]) for d in after] == before[::2]
    for old, new in zip(images(scan_folder)[::2], after, strict=True):
        np.testing.assert_array_equal(old.pixel_array, new.pixel_array)
        assert (new.SliceThickness, new.SliceLocation) == (old.SliceThickness, old.SliceLocation)
        assert float(new.SpacingBetweenSlices) == 2 * float(old.SpacingBetweenSlices)
    numbers = sorted(int(d.InstanceNumber) for d in after)
    assert numbers == list(range(1, 13))


def test_hu_come_back_within_0_79_where_nothing_was_resized(scan_folder: Path, optimize: Any, images: Any) -> None:
    target, report = optimize(scan_folder, eight_bit=True)
    for old, new in zip(images(scan_folder), images(target), strict=True):
        true = old.pixel_array * float(old.RescaleSlope) + float(old.RescaleIntercept)
        back = new.pixel_array * float(new.RescaleSlope) + float(new.RescaleIntercept)
        padding = old.pixel_array == old.PixelPaddingValue
        inside = (true >= -160) & (true <= 239) & ~padding
        assert np.abs(back - true)[inside].max() <= 0.79
        assert ((new.pixel_array == 0) == padding).all(), "0 is padding, and nothing else"
        assert (new.PixelPaddingValue, new.BitsStored, new.HighBit, new.RescaleType) == (0, 8, 7, "HU")
        assert new.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert report.series[0].grey_error <= 0.79


def test_legal_ct_holds_the_same_grey_values_in_a_ct_image(scan_folder: Path, optimize: Any, images: Any) -> None:
    grey, _ = optimize(scan_folder, eight_bit=True)
    legal, _ = optimize(scan_folder, eight_bit=True, legal_ct=True)
    for one, other in zip(images(grey), images(legal), strict=True):
        np.testing.assert_array_equal(one.pixel_array, other.pixel_array)
        assert (other.BitsAllocated, other.BitsStored, other.HighBit) == (16, 12, 11)
        assert other.SOPClassUID == "1.2.840.10008.5.1.4.1.1.2"


def test_resizing_alone_keeps_hu_of_broad_areas_and_the_field_of_view(
    scan_folder: Path, optimize: Any, images: Any
) -> None:
    target, _ = optimize(scan_folder, resize=32)
    old, new = images(scan_folder)[5], images(target)[5]
    assert (new.Rows, new.Columns) == (32, 32)
    np.testing.assert_allclose(
        np.asarray(new.PixelSpacing, float) * 32, np.asarray(old.PixelSpacing, float) * 64, rtol=1e-9
    )
    shift = np.asarray(new.ImagePositionPatient, float) - np.asarray(old.ImagePositionPatient, float)
    np.testing.assert_allclose(shift, [float(old.PixelSpacing[1]) / 2, float(old.PixelSpacing[0]) / 2, 0], atol=1e-6)
    # Inside the body, away from padding: means of 2 x 2 blocks and of the wider filter agree on average.
    block = old.pixel_array[24:40, 24:40].astype(float).mean()
    assert new.pixel_array[12:20, 12:20].mean() == pytest.approx(block, abs=3)
    assert set(np.unique(new.pixel_array[:2, :2])) == {old.PixelPaddingValue}, "corners are padding and stay it"


@pytest.mark.parametrize("compress", [Compression.HTJ2K, Compression.JPEGLS])
@pytest.mark.parametrize("grey", [True, False])
def test_compression_is_lossless_and_its_offset_table_right(
    scan_folder: Path, optimize: Any, images: Any, compress: Compression, grey: bool
) -> None:
    plain, _ = optimize(scan_folder, decimate=4, eight_bit=grey)
    packed, _ = optimize(scan_folder, decimate=4, eight_bit=grey, compress=compress)
    from DicomWorkbenchLib.pixels import decode_pixels

    for one, other in zip(images(plain), images(packed), strict=True):
        np.testing.assert_array_equal(decode_pixels(one), decode_pixels(other))
        assert other.PixelData[:12] == b"\xfe\xff\x00\xe0\x04\x00\x00\x00\x00\x00\x00\x00"  # one frame: offset 0
        assert other.BitsStored == other.BitsAllocated
        assert "LossyImageCompression" not in other
        if compress is Compression.HTJ2K:
            frame = other.PixelData[20:]
            at = frame.index(b"\xff\x52")
            assert frame[at + 5] == 2, "progression order is RPCL"
            assert b"\xff\x55" in frame[:200], "tile-part lengths are there"


def test_what_is_said_about_derivation(scan_folder: Path, optimize: Any, images: Any) -> None:
    target, _ = optimize(scan_folder, **ALL)
    sources = {str(d.SOPInstanceUID) for d in images(scan_folder)}
    for image in images(target):
        assert list(image.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
        assert "antialiased triangle" in image.DerivationDescription
        assert "40/400" in image.DerivationDescription
        assert [c.CodeValue for c in image.DerivationCodeSequence] == ["113091", "113085"]
        source = image.SourceImageSequence[0]
        assert str(source.ReferencedSOPInstanceUID) in sources
        assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"


def test_every_uid_is_new_and_every_link_leads_to_something(scan_folder: Path, optimize: Any, images: Any) -> None:
    target, _ = optimize(scan_folder, **ALL)
    before, after = uids_of(scan_folder), uids_of(target)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        assert not before[keyword] & after[keyword]
        assert len(after[keyword]) <= len(before[keyword])
        assert max(map(len, after[keyword])) <= 44
    instances = after["SOPInstanceUID"]
    structures, segmentation = pydicom.dcmread(target / "RS.dcm"), pydicom.dcmread(target / "SEG")
    for dataset in (structures, segmentation):
        referred = {str(e.value) for e in dataset.iterall() if e.keyword == "ReferencedSOPInstanceUID"}
        assert referred <= instances | after["StudyInstanceUID"]
        classes = {str(e.value) for e in dataset.iterall() if e.keyword == "ReferencedSOPClassUID"}
        assert "1.2.840.10008.5.1.4.1.1.2" not in classes, "the images are Secondary Captures now"
    frames = {str(d.FrameOfReferenceUID) for d in images(target)}
    assert {str(r.ReferencedFrameOfReferenceUID) for r in structures.StructureSetROISequence} == frames
    frame = structures.ReferencedFrameOfReferenceSequence[0]
    assert str(frame.FrameOfReferenceUID) in frames
    series = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == images(target)[0].SeriesInstanceUID
    named = {str(image.ReferencedSOPInstanceUID) for image in series.ContourImageSequence}
    assert named == {str(image.SOPInstanceUID) for image in images(target)}, "the kept slices, and only those"
    dose, plan = pydicom.dcmread(target / "RD.dcm"), pydicom.dcmread(target / "RP.dcm")
    assert dose.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID == plan.SOPInstanceUID
    assert plan.ReferencedStructureSetSequence[0].ReferencedSOPInstanceUID == structures.SOPInstanceUID
    assert dose.FrameOfReferenceUID in frames


def test_a_dose_keeps_its_own_grid_bit_for_bit(scan_folder: Path, optimize: Any) -> None:
    target, _ = optimize(scan_folder, **ALL)
    old, new = pydicom.dcmread(scan_folder / "RD.dcm"), pydicom.dcmread(target / "RD.dcm")
    assert old.PixelData == new.PixelData
    for keyword in (
        "Rows",
        "Columns",
        "PixelSpacing",
        "ImagePositionPatient",
        "GridFrameOffsetVector",
        "DoseGridScaling",
    ):
        assert old[keyword].value == new[keyword].value


def contours_by_roi(path: Path) -> dict[str, list[tuple[str, float, int]]]:
    dataset = pydicom.dcmread(path)
    names = {r.ROINumber: str(r.ROIName) for r in dataset.StructureSetROISequence}
    return {
        names[roi.ReferencedROINumber]: [
            (str(c.ContourGeometricType), float(c.ContourData[2]), int(c.NumberOfContourPoints))
            for c in roi.ContourSequence
        ]
        for roi in dataset.ROIContourSequence
    }


def test_contours_of_kept_slices_are_byte_identical_and_each_plane_has_them_once(
    scan_folder: Path, optimize: Any
) -> None:
    target, report = optimize(scan_folder, decimate=2)
    old, new = pydicom.dcmread(scan_folder / "RS.dcm"), pydicom.dcmread(target / "RS.dcm")
    rois = {roi.number: roi for one in report.linked if one.modality == "RTSTRUCT" for roi in one.rois}
    for before, after in zip(old.ROIContourSequence, new.ROIContourSequence, strict=True):
        texts = {bytes(c.get_item("ContourData").value) for c in before.ContourSequence}
        moved = [c for c in after.ContourSequence if bytes(c.get_item("ContourData").value) not in texts]
        counts = rois[int(before.ReferencedROINumber)]
        assert len(moved) == counts.moved
        assert len(after.ContourSequence) == counts.after


def test_no_roi_is_lost_under_any_rule(scan_folder: Path, optimize: Any) -> None:
    before = contours_by_roi(scan_folder / "RS.dcm")
    for rule in ContourRule:
        target, report = optimize(scan_folder, decimate=3, contours=rule)
        after = contours_by_roi(target / "RS.dcm")
        assert {name for name, found in after.items() if found} == {name for name, found in before.items() if found}
        assert report.measured["farthest_move_mm"] <= 20.01, "two slices at most, with every third one kept"


def test_contours_lie_on_the_kept_slices_of_an_oblique_series(oblique_folder: Path, optimize: Any, images: Any) -> None:
    target, _ = optimize(oblique_folder, **ALL)
    slices = images(target)
    cosines = np.asarray(slices[0].ImageOrientationPatient, float)
    normal = np.cross(cosines[:3], cosines[3:])
    heights = {str(d.SOPInstanceUID): float(np.asarray(d.ImagePositionPatient, float) @ normal) for d in slices}
    checked = 0
    for roi in pydicom.dcmread(target / "RS.dcm").ROIContourSequence:
        for contour in roi.ContourSequence:
            if not contour.ContourGeometricType.startswith("CLOSED") or "ContourImageSequence" not in contour:
                continue
            points = np.asarray(contour.ContourData, float).reshape(-1, 3)
            height = heights[str(contour.ContourImageSequence[0].ReferencedSOPInstanceUID)]
            np.testing.assert_allclose(points @ normal, height, atol=5e-3)
            checked += 1
    assert checked > 20


def test_decimal_strings_are_short_enough_everywhere(oblique_folder: Path, optimize: Any) -> None:
    target, _ = optimize(oblique_folder, contours=ContourRule.UNION, **ALL)
    for path in target.rglob("*"):
        if path.is_file() and path.suffix != ".json":
            dataset = pydicom.dcmread(path)
            for element in _raw_decimals(dataset):
                assert all(len(part) <= 16 for part in element.split(b"\\")), path


def _raw_decimals(dataset: Dataset) -> list[bytes]:
    found = []
    for tag in list(dataset.keys()):
        raw = dataset.get_item(tag)
        if raw.VR == "DS" and isinstance(raw.value, bytes):
            found.append(raw.value.strip())
        elif raw.VR == "SQ":
            for item in dataset[tag].value:
                found += _raw_decimals(item)
    return found


def test_the_same_salt_gives_the_same_files_and_another_one_others(
    scan_folder: Path, optimize: Any, hashes: Any
) -> None:
    runs = [hashes(optimize(scan_folder, uid_salt=salt, **ALL)[0]) for salt in ("a", "a", "b")]
    for one in runs:
        one.pop("report.json")
    assert runs[0] == runs[1]
    assert not set(runs[0].values()) & set(runs[2].values())


@pytest.mark.parametrize("kind", ["forked", "started"])
def test_workers_make_the_same_files_as_one_process(
    scan_folder: Path, optimize: Any, hashes: Any, monkeypatch: Any, kind: str
) -> None:
    from DicomOptimizerLib import pool, worker_posix, workers

    if kind == "forked" and sys.platform != "linux":
        pytest.skip("workers are forked on Linux only")
    alone = hashes(optimize(scan_folder, **ALL)[0])
    monkeypatch.setattr(pool, "FEWEST_TASKS", 1)
    monkeypatch.setattr(pool, "start", worker_posix.ForkedWorker if kind == "forked" else workers.StartedWorker)
    together = hashes(optimize(scan_folder, jobs=2, **ALL)[0])
    for one in (alone, together):
        one.pop("report.json")
    assert alone == together


def test_several_patients_keep_their_folders_and_are_handled_one_by_one(
    scan_folder: Path, oblique_folder: Path, tmp_path: Path, optimize: Any, images: Any
) -> None:
    both = tmp_path / "both"
    shutil.copytree(scan_folder / "ct", both / "A" / "scan")
    shutil.copytree(oblique_folder / "ct", both / "B" / "scan")
    target, report = optimize(both, decimate=2)
    assert [one.slices_after for one in report.series] == [12, 12]
    counts = Counter(p.relative_to(target).parts[0] for p in target.rglob("*") if p.is_file())
    assert counts == {"A": 12, "B": 12, "report.json": 1}
    assert images(target / "A")[0].StudyInstanceUID != images(target / "B")[0].StudyInstanceUID


def test_the_report_beside_the_result_is_the_one_that_is_returned(scan_folder: Path, optimize: Any) -> None:
    target, report = optimize(scan_folder, **ALL)
    written = json.loads((target / "report.json").read_text())
    assert written["measured"] == report.measured
    assert written["settings"]["uid_salt"] != "test"
    assert written["measured"]["slices_after"] == 12
    files = [p for p in target.rglob("*") if p.is_file() and p.suffix != ".json"]
    assert written["measured"]["bytes_after"] == sum(p.stat().st_size for p in files)
    assert sorted(written["outputs"]) == sorted(p.relative_to(target).as_posix() for p in files)
    moved = sum(len(roi["moved_mm"]) for one in written["linked"] for roi in one["rois"])
    assert moved == written["measured"]["contours_moved"]


def test_an_existing_output_folder_gets_a_numbered_one_inside(scan_folder: Path, tmp_path: Path, optimize: Any) -> None:
    parent = tmp_path / "here"
    parent.mkdir()
    first = optimize(scan_folder, output=parent, decimate=2)[1]
    second = optimize(scan_folder, output=parent, decimate=2)[1]
    assert [Path(r.output).name for r in (first, second)] == ["Optimized_Decimated", "Optimized_Decimated_2"]
    assert Path(second.output).is_dir()


def derived_series(scan_folder: Path, folder: Path, change: Any) -> Path:
    for n, path in enumerate(sorted((scan_folder / "ct").iterdir())):
        dataset = pydicom.dcmread(path)
        change(n, dataset)
        folder.mkdir(parents=True, exist_ok=True)
        dataset.save_as(folder / path.name)
    return folder


def test_slices_with_their_own_slopes_end_on_one_scale(
    scan_folder: Path, tmp_path: Path, optimize: Any, images: Any
) -> None:
    def as_pet(n: int, dataset: Dataset) -> None:
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.128"
        dataset.Modality, dataset.RescaleSlope, dataset.RescaleIntercept, dataset.Units = (
            "PT",
            str(1 + n / 10),
            "0",
            "BQML",
        )
        dataset.NumberOfSlices, dataset.ImageIndex = 24, n + 1
        del dataset.RescaleType, dataset.PixelPaddingValue
        values = np.clip(dataset.pixel_array, 0, None)
        dataset.PixelData = values.tobytes()

    pet = derived_series(scan_folder, tmp_path / "pet", as_pet)
    target, report = optimize(pet, eight_bit=True)
    slope = {str(d.RescaleSlope) for d in images(target)}
    assert len(slope) == 1
    high = report.series[0].window[0] - 0.5 + (report.series[0].window[1] - 1) / 2
    for old, new in zip(images(pet), images(target), strict=True):
        true = old.pixel_array * float(old.RescaleSlope)
        back = new.pixel_array * float(new.RescaleSlope) + float(new.RescaleIntercept)
        inside = true <= high
        assert np.abs(back - true)[inside].max() <= report.series[0].grey_error * 1.001
    decimated, _ = optimize(pet, decimate=2)
    kept = images(decimated)
    assert {int(d.NumberOfSlices) for d in kept} == {12}
    assert sorted(int(d.ImageIndex) for d in kept) == list(range(1, 13))
    assert list(kept[0].ImageType)[:2] == ["DERIVED", "PRIMARY"]


def test_monochrome1_stays_inverted_and_its_values_true(
    scan_folder: Path, tmp_path: Path, optimize: Any, images: Any
) -> None:
    def invert(_: int, dataset: Dataset) -> None:
        dataset.PhotometricInterpretation = "MONOCHROME1"

    source = derived_series(scan_folder, tmp_path / "mono1", invert)
    target, _ = optimize(source, eight_bit=True)
    normal, _ = optimize(scan_folder / "ct", eight_bit=True)
    for one, other in zip(images(target), images(normal), strict=True):
        assert one.PhotometricInterpretation == "MONOCHROME1"
        np.testing.assert_array_equal(one.pixel_array, other.pixel_array)


def test_colour_is_left_alone_and_said_so(scan_folder: Path, tmp_path: Path, optimize: Any) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)

    def paint(_: int, dataset: Dataset) -> None:
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        dataset.PhotometricInterpretation, dataset.SamplesPerPixel, dataset.PlanarConfiguration = "RGB", 3, 0
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
        dataset.PixelData = colours.tobytes()
        dataset["PixelData"].VR = "OB"
        del dataset.PixelPaddingValue

    source = derived_series(scan_folder, tmp_path / "colour", paint)
    target, report = optimize(source, eight_bit=True, resize=32, decimate=2)
    kept = [pydicom.dcmread(p) for p in target.iterdir() if p.suffix != ".json"]
    assert len(kept) == 12
    assert all(d.PixelData == colours.tobytes() for d in kept)
    assert any("colour" in warning for warning in report.warnings)


def test_a_window_of_the_users_choice_is_used(scan_folder: Path, optimize: Any, images: Any) -> None:
    target, _ = optimize(scan_folder, eight_bit=True, window=Window(-600, 1600))
    image = images(target)[0]
    assert (float(image.WindowCenter), float(image.WindowWidth)) == (-600, 1600)
