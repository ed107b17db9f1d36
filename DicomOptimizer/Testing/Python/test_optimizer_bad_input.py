"""Every kind of bad input the issue names: what is said, what is left, what is untouched."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from DicomOptimizerLib import OptimizerSettings, run
from DicomWorkbenchLib.errors import Cancelled, FileError, InputError, NoDicomError, OutputError, PixelDataError
from DicomWorkbenchLib.progress import CancelToken
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "big endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG lossless": "1.2.840.10008.1.2.4.70",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "HTJ2K": "1.2.840.10008.1.2.4.201",
}


def copy_of(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


def slices_by_position(folder: Path) -> list[Path]:
    def height(path: Path) -> float:
        return float(pydicom.dcmread(path, specific_tags=["ImagePositionPatient"]).ImagePositionPatient[2])

    return sorted((folder / "ct").iterdir(), key=height)


def leftovers(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if p.name.startswith(".") or p.name.startswith("out")]


def test_a_folder_without_dicom_is_refused_and_nothing_is_made(tmp_path: Path, optimize: Any) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no images here")
    with pytest.raises(NoDicomError, match="no DICOM image"):
        optimize(tmp_path / "in", decimate=2)
    assert leftovers(tmp_path) == []


def test_a_structure_set_without_its_images_keeps_its_contours_and_says_so(
    scan_folder: Path, oblique_folder: Path, tmp_path: Path, optimize: Any
) -> None:
    case = tmp_path / "case"
    shutil.copytree(oblique_folder / "ct", case / "ct")
    shutil.copy(scan_folder / "RS.dcm", case / "RS.dcm")
    target, report = optimize(case, decimate=2)
    before, after = pydicom.dcmread(case / "RS.dcm"), pydicom.dcmread(target / "RS.dcm")
    for old, new in zip(before.ROIContourSequence, after.ROIContourSequence, strict=True):
        assert [c.ContourData for c in old.ContourSequence] == [c.ContourData for c in new.ContourSequence]
    assert any("images are not among the input" in warning for warning in report.warnings)
    assert before.SOPInstanceUID != after.SOPInstanceUID


def test_contours_between_slices_and_off_the_volume_are_told_apart(
    scan_folder: Path, tmp_path: Path, optimize: Any
) -> None:
    case = copy_of(scan_folder, tmp_path / "case")
    dataset = pydicom.dcmread(case / "RS.dcm")
    contour = dataset.ROIContourSequence[0].ContourSequence
    for item, shift in ((contour[0], -500.0), (contour[4], 2.0)):
        points = np.asarray(item.ContourData, float).reshape(-1, 3) + np.array([0, 0, shift])
        item.ContourData = [f"{v:.3f}" for v in points.ravel()]
    dataset.save_as(case / "RS.dcm")
    _, report = optimize(case, decimate=2)
    number = dataset.ROIContourSequence[0].ReferencedROINumber
    rois = [roi for one in report.linked if one.modality == "RTSTRUCT" for roi in one.rois]
    body = next(roi for roi in rois if roi.number == number)
    assert body.off_stack == 1
    assert any("outside the slices" in warning for warning in report.warnings)


def test_a_gap_is_reported_and_slices_keep_their_true_places(
    scan_folder: Path, tmp_path: Path, optimize: Any, images: Any
) -> None:
    case = copy_of(scan_folder, tmp_path / "case")
    paths = slices_by_position(case)
    for path in paths[7:9]:
        path.unlink()
    target, report = optimize(case, decimate=2)
    assert any("gap" in warning or "missing" in warning for warning in report.warnings), report.warnings
    true = {float(d.ImagePositionPatient[2]) for d in images(scan_folder)}
    assert {float(d.ImagePositionPatient[2]) for d in images(target)} <= true
    assert "SpacingBetweenSlices" not in images(target)[0], "a single number would be wrong now"


def test_a_slice_of_another_size_is_kept_apart(scan_folder: Path, tmp_path: Path, optimize: Any) -> None:
    case = copy_of(scan_folder, tmp_path / "case")
    path = slices_by_position(case)[5]
    dataset = pydicom.dcmread(path)
    dataset.Rows = dataset.Columns = 32
    dataset.PixelData = np.zeros((32, 32), "<i2").tobytes()
    dataset.save_as(path)
    _, report = optimize(case, decimate=2)
    assert sorted(one.slices_before for one in report.series) == [1, 23]
    assert sum(one.slices_after for one in report.series) == 13


def break_pixels(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 3000])


def test_a_truncated_slice_stops_the_job_and_is_named(scan_folder: Path, tmp_path: Path, optimize: Any) -> None:
    case = copy_of(scan_folder, tmp_path / "case")
    bad = slices_by_position(case)[4]
    break_pixels(bad)
    with pytest.raises(InputError, match=bad.name):
        optimize(case, decimate=2, eight_bit=True)
    assert leftovers(tmp_path) == []


def test_a_truncated_slice_can_be_left_out_and_no_reference_to_it_stays(
    scan_folder: Path, tmp_path: Path, optimize: Any
) -> None:
    case = copy_of(scan_folder, tmp_path / "case")
    bad = slices_by_position(case)[4]
    break_pixels(bad)
    target, report = optimize(case, decimate=2, eight_bit=True, on_bad_slice="skip")
    assert report.measured["slices_after"] == 11
    assert any(bad.name in warning for warning in report.warnings)
    written = {str(pydicom.dcmread(p).SOPInstanceUID) for p in (target / "ct").iterdir()}
    assert len(written) == 11
    structures = pydicom.dcmread(target / "RS.dcm")
    referred = {
        str(image.ReferencedSOPInstanceUID)
        for roi in structures.ROIContourSequence
        for contour in roi.ContourSequence
        for image in contour.get("ContourImageSequence", ())
    }
    assert referred <= written


def put_decimal(path: Path, tag: int, value: bytes) -> None:
    """Write a DS element that pydicom would not write."""
    dataset = pydicom.dcmread(path)
    dataset[tag] = RawDataElement(Tag(tag), "DS", len(value), value, 0, False, True)
    dataset.save_as(path)


@pytest.mark.parametrize("tag", [0x00281053, 0x00280030, 0x00200032], ids=["slope", "spacing", "position"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_decimal_that_is_no_number_makes_a_bad_slice(
    tag: int, jobs: int, scan_folder: Path, tmp_path: Path, optimize: Any
) -> None:
    case = copy_of(scan_folder, tmp_path / "case")
    bad = slices_by_position(case)[4]
    put_decimal(bad, tag, b"Smith^Jo")
    if tag == 0x00281053:  # the scan judges geometry, the rest turns up when the slice's turn comes
        with pytest.raises(FileError, match=bad.name) as caught:
            optimize(case, decimate=2, eight_bit=True, resize=32, jobs=jobs)
        assert "Smith" not in str(caught.value)
    _, report = optimize(case, decimate=2, eight_bit=True, resize=32, jobs=jobs, on_bad_slice="skip")
    assert any(bad.name in text for text in report.warnings), report.warnings
    assert not any("Smith" in text for text in report.warnings)
    assert report.measured["slices_after"] in (11, 12)


@pytest.mark.parametrize(
    ("given", "written"),
    [(b"0.123456789012345678", b"0.12345678901235"), (b"not a number, and long", b"not a number, and long")],
)
def test_a_decimal_of_a_private_element_that_is_too_long_is_shortened_or_passed_on(
    given: bytes, written: bytes, scan_folder: Path, tmp_path: Path, optimize: Any
) -> None:
    case = copy_of(scan_folder, tmp_path / "case")
    for path in slices_by_position(case):
        put_decimal(path, 0x00091001, given)
    target, _ = optimize(case, decimate=2, eight_bit=True, resize=32)
    for path in (target / "ct").iterdir():
        assert pydicom.dcmread(path).get_item(0x00091001).value.strip() == written


def test_corrupt_compressed_pixels_are_found(scan_folder: Path, tmp_path: Path, optimize: Any) -> None:
    packed, _ = optimize(scan_folder, eight_bit=True, compress="jpegls")
    bad = sorted((packed / "ct").iterdir())[3]
    content = bytearray(bad.read_bytes())
    content[-600:] = bytes(600)
    bad.write_bytes(bytes(content))
    with pytest.raises(PixelDataError, match=bad.name):
        optimize(packed, resize=32)


@pytest.mark.parametrize("name", list(SYNTAXES))
def test_compressed_input_of_every_syntax_gives_the_same_output(
    scan_folder: Path, tmp_path: Path, optimize: Any, images: Any, name: str
) -> None:
    from DicomWorkbenchLib.pixels_encode import encode_frame

    case = tmp_path / "case"
    case.mkdir()
    for n, path in enumerate(slices_by_position(scan_folder)[:4]):
        dataset = pydicom.dcmread(path)
        syntax = SYNTAXES[name]
        if name == "RLE":
            dataset.compress(syntax, encoding_plugin="pydicom", generate_instance_uid=False)
        elif "4." in syntax[-5:]:
            pixels = dataset.pixel_array
            if name == "JPEG 2000":
                pixels = pixels.astype(np.int16)
            dataset.PixelData = pydicom.encaps.encapsulate([encode_frame(pixels, syntax)])
            dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
            dataset.BitsStored, dataset.HighBit = 16, 15
            dataset.file_meta.TransferSyntaxUID = syntax
        else:
            if name == "big endian":
                dataset.PixelData = dataset.pixel_array.astype(">i2").tobytes()
            dataset.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(case / f"{n}.dcm", _decoded(dataset), enforce_file_format=True)
    plain = tmp_path / "plain"
    plain.mkdir()
    for n, path in enumerate(slices_by_position(scan_folder)[:4]):
        shutil.copy(path, plain / f"{n}.dcm")
    one, other = optimize(case, eight_bit=True)[0], optimize(plain, eight_bit=True)[0]
    for a, b in zip(images(one), images(other), strict=True):
        np.testing.assert_array_equal(a.pixel_array, b.pixel_array)
        assert a.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


def _decoded(dataset: Dataset) -> Dataset:
    """Build all elements, so that pydicom writes them in the new encoding."""
    for _ in dataset.iterall():
        pass
    return dataset


def test_one_bad_of_3000_slices_is_found_reported_and_the_rest_made(tmp_path: Path) -> None:
    from pydicom.data import get_testdata_file

    case = tmp_path / "case"
    case.mkdir()
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    keep = {"file_meta", *(e.keyword for e in dataset if e.tag.group in (0x0008, 0x0010, 0x0020, 0x0028))}
    for element in list(dataset):
        if element.keyword not in keep and element.keyword != "PixelData":
            del dataset[element.tag]
    dataset.Rows = dataset.Columns = 16
    dataset.PixelData = np.arange(256, dtype="<i2").tobytes()
    dataset.save_as(case / "x")
    content = (case / "x").read_bytes()
    (case / "x").unlink()
    uid, place = str(dataset.SOPInstanceUID).encode(), b"-75.699997"
    assert content.count(uid) == 2
    assert content.count(place) == 1
    for k in range(3000):
        new = content.replace(uid, uid[:-5] + b"%05d" % (10000 + k)).replace(place, b"%10.2f" % (k * 0.5))
        (case / f"{(k * 7919) % 3000:04d}").write_bytes(new if k != 1500 else new[:-300])
    target = tmp_path / "out"
    settings = OptimizerSettings((case,), target, decimate=2, eight_bit=True, on_bad_slice="skip", jobs=2)  # type: ignore[arg-type]
    report = run(settings)
    assert report.measured["slices_before"] == 3000
    assert report.measured["slices_after"] == 1499
    assert len(report.series[0].bad_slices) == 1
    assert len(list(target.iterdir())) == 1500


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="a small file system is made on POSIX only")
def test_a_full_disk_is_said_in_one_sentence_and_leaves_nothing(
    scan_folder: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = os.geteuid() == 0 and _mount(small)
    if not mounted:  # without the right to mount, the system's own error is raised where it would come from
        write = Path.write_bytes

        def full(self: Path, data: Any) -> int:
            if small in self.parents and self.suffix == ".IMA":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
            return write(self, data)

        monkeypatch.setattr(Path, "write_bytes", full)
    try:
        with pytest.raises(OutputError, match="full"):
            run(OptimizerSettings((scan_folder,), small / "out", eight_bit=True, jobs=1))
        assert [p.name for p in small.iterdir()] == []
    finally:
        if mounted:
            subprocess.run(["umount", str(small)], check=True)


def _mount(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    return shutil.which("mount") is not None and subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.parametrize("after_slices", [0, 1, 5, 20])
def test_a_cancel_at_any_moment_leaves_nothing(scan_folder: Path, tmp_path: Path, after_slices: int) -> None:
    token = CancelToken()
    seen = 0

    def progress(done: int, total: int, message: str) -> None:
        nonlocal seen
        seen += message == "writing"
        if seen >= after_slices:
            token.cancel()

    with pytest.raises(Cancelled):
        run(OptimizerSettings((scan_folder,), tmp_path / "out", decimate=2, jobs=1), progress, token)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("forked", [True, False])
def test_a_cancel_ends_the_worker_processes_within_a_second(
    scan_folder: Path, tmp_path: Path, monkeypatch: Any, forked: bool
) -> None:
    from DicomOptimizerLib import pool, worker_posix, workers

    if forked and sys.platform != "linux":
        pytest.skip("workers are forked on Linux only")
    monkeypatch.setattr(pool, "FEWEST_TASKS", 1)
    kind = worker_posix.ForkedWorker if forked else workers.StartedWorker
    started: list[Any] = []
    monkeypatch.setattr(pool, "start", lambda: started.append(kind()) or started[-1])
    token, cancelled_at = CancelToken(), 0.0

    def progress(done: int, total: int, message: str) -> None:
        nonlocal cancelled_at
        if message == "writing" and not token.cancelled:
            cancelled_at = time.monotonic()
            token.cancel()

    with pytest.raises(Cancelled):
        run(OptimizerSettings((scan_folder,), tmp_path / "out", eight_bit=True, jobs=2), progress, token)
    assert time.monotonic() - cancelled_at < 1
    assert len(started) == 2
    for worker in started:
        number = worker.pid if forked else worker._process.pid
        assert not Path(f"/proc/{number}").exists(), "a worker lives on"
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_said(scan_folder: Path, tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    with pytest.raises(OutputError):
        run(OptimizerSettings((scan_folder,), blocker / "out", decimate=2, jobs=1))
    with pytest.raises(OutputError, match="is a file"):
        run(OptimizerSettings((scan_folder,), blocker, decimate=2, jobs=1))


def test_the_output_never_lies_inside_the_input(scan_folder: Path) -> None:
    with pytest.raises(OutputError, match="inside the input"):
        run(OptimizerSettings((scan_folder,), scan_folder / "small", decimate=2, jobs=1))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no permission bits on folders")
def test_read_only_input_is_no_obstacle(scan_folder: Path, tmp_path: Path, optimize: Any, hashes: Any) -> None:
    case = copy_of(scan_folder, tmp_path / "case")
    before = hashes(case)
    for path in [*case.rglob("*"), case]:
        path.chmod(stat.S_IREAD | (stat.S_IEXEC if path.is_dir() else 0))
    try:
        _, report = optimize(case, decimate=2)
        assert report.measured["slices_after"] == 12
        assert hashes(case) == before
    finally:
        for path in [case, *case.rglob("*")]:
            path.chmod(stat.S_IRWXU)
