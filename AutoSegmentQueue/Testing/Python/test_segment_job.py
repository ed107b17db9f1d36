"""The job from its file to its result folder, with the embedded engine: inputs of all kinds, results, failures, validation.

Truth: phantoms of blocks and ellipsoids whose voxels were counted when they were made.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from AutoSegmentQueueLib import engines, job_input
from AutoSegmentQueueLib.engines.model import EngineOptions, EngineRequest, ImageVolume, Segmented, Structure
from AutoSegmentQueueLib.engines.terminology import read_mapping, stable_color, structure_of
from AutoSegmentQueueLib.engines.totalsegmentator import private_home, progress_of_lines
from AutoSegmentQueueLib.export_mesh import enclosed_volume_ml
from AutoSegmentQueueLib.job import do, failure_class
from AutoSegmentQueueLib.job_model import DeadlineError, JobToken, SegmentJob
from AutoSegmentQueueLib.statistics import measure
from AutoSegmentQueueLib.validation import check_result
from DicomWorkbenchLib.errors import DependencyError, InputError, SettingsError
from DicomWorkbenchLib.progress import NEVER, no_progress

pytestmark = pytest.mark.needs("module:SimpleITK", "module:slicer")

SPACING = (3.0, 3.0, 4.0)
ORIGIN = (-90.0, -200.0, 500.0)


def trunk() -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return a CT (k, j, i): a body with two lungs, of which the patient's right one is larger, a spine, and a table below."""
    array = np.full((24, 50, 60), -1000, np.int16)
    array[:, 8:40, 6:54] = 40
    array[2:20, 12:30, 10:26] = -800  # small i: the patient's right, as i runs to the left (LPS)
    array[4:18, 14:28, 34:48] = -800
    array[:, 32:38, 27:33] = 500
    array[:, 46:48, :] = -100  # the table is not part of the body
    return array


def write_image(path: Path, array: Any = None, direction: Any = None) -> Path:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(trunk() if array is None else array)
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    if direction is not None:
        image.SetDirection(np.asarray(direction, float).ravel().tolist())
    sitk.WriteImage(image, str(path))
    return path


def write_job(folder: Path, source: Path, **changes: Any) -> Path:
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    options = {"reduction": 0.5, "formats": ["gltf", "glb"], **changes.pop("options", {})}
    job = {
        "id": "job-7",
        "attempt": 2,
        "fence": 5,
        "kind": "segment",
        "inputs": [str(source)],
        "name": "case-a",
        "engine": "threshold",
        "options": options,
        "work": str(work),
        "result": str(work / "result"),
        "deadline_seconds": 100,
        **changes,
    }
    path = folder / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    return path


def run(job: Path) -> tuple[Path, list[dict[str, Any]]]:
    command = [sys.executable, "-m", "AutoSegmentQueueLib.job", str(job)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    result = job.parent / "work" / "result"
    assert (result / "manifest.json").exists(), done.stderr
    return result, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A job that was done once for all tests that only look at it."""
    folder = tmp_path_factory.mktemp("job")
    source = write_image(folder / "scan.nii.gz")
    return run(write_job(folder, source, options={"formats": ["gltf", "glb", "stl", "obj"]}))


@pytest.fixture
def result(finished: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(finished[0], tmp_path / "result"))


def manifest_of(result: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((result / "manifest.json").read_text(encoding="utf-8"))
    return found


def test_the_result_is_complete_and_valid(finished: tuple[Path, list[dict[str, Any]]]) -> None:
    result, progress = finished
    assert check_result(result) == []
    names = {path.relative_to(result).as_posix() for path in result.rglob("*") if path.is_file()}
    assert names == {
        "manifest.json",
        "segmentation.seg.nrrd",
        "segmentation.gltf",
        "segmentation.glb",
        "statistics.csv",
        "preview.html",
        "preview.npz",
        "report.json",
        *(f"models/{name}.stl" for name in ("body", "lungs", "bone")),
        "models/segmentation.obj",
        "models/segmentation.mtl",
    }
    assert [line["done"] for line in progress] == sorted(line["done"] for line in progress)
    assert progress[-1] == {"stage": "done", "done": 100, "total": 100}


def test_the_manifest_says_what_was_done_with_what(finished: tuple[Path, list[dict[str, Any]]]) -> None:
    manifest = manifest_of(finished[0])
    assert (manifest["id"], manifest["attempt"], manifest["fence"]) == ("job-7", 2, 5)
    assert manifest["engine"] == {"name": "threshold", "version": "1", "kind": "thresholds"}
    assert len(manifest["inputs"][0]["sha256"]) == 64
    voxel_ml = 3 * 3 * 4 / 1000
    volumes = {one["name"]: one["volume_ml"] for one in manifest["structures"]}
    assert volumes["body"] == pytest.approx(24 * 32 * 48 * voxel_ml)
    assert volumes["lungs"] == pytest.approx((18 * 18 * 16 + 14 * 14 * 14) * voxel_ml)
    assert volumes["bone"] == pytest.approx(24 * 6 * 6 * voxel_ml)
    assert manifest["started"] < manifest["ended"]


def test_the_table_has_units_and_true_means(finished: tuple[Path, list[dict[str, Any]]]) -> None:
    rows = list(csv.DictReader((finished[0] / "statistics.csv").read_text(encoding="utf-8").splitlines()))
    bone = next(row for row in rows if row["name"] == "bone")
    assert float(bone["mean"]) == 500
    assert bone["touches_edge"] == "True"
    assert float(bone["centroid_x_lps_mm"]) == pytest.approx(-90 + 29.5 * 3, abs=0.01)
    assert float(bone["centroid_y_lps_mm"]) == pytest.approx(-200 + 34.5 * 3, abs=0.01)


def test_the_page_stands_alone_and_shows_the_scan(finished: tuple[Path, list[dict[str, Any]]]) -> None:
    page = (finished[0] / "preview.html").read_text(encoding="utf-8")
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/png") == 6
    assert "Thresholds only" in page


def test_slicer_reads_the_segmentation_with_codes_and_colours(finished: tuple[Path, list[dict[str, Any]]]) -> None:
    from DicomWorkbenchLib.headless import boot

    boot()
    import slicer

    node = slicer.util.loadSegmentation(str(finished[0] / "segmentation.seg.nrrd"))
    segmentation = node.GetSegmentation()
    assert [segmentation.GetNthSegmentID(n) for n in range(3)] == ["body", "lungs", "bone"]
    lungs = segmentation.GetSegment("lungs")
    assert lungs.GetColor() == pytest.approx((0.773, 0.647, 0.569), abs=0.01)
    array = slicer.util.arrayFromSegmentInternalBinaryLabelmap(node, "body")
    assert int((array == segmentation.GetSegment("body").GetLabelValue()).sum()) == 24 * 32 * 48, (
        "the body includes lungs and bone"
    )
    slicer.mrmlScene.RemoveNode(node)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def write_dicom(folder: Path, array: Any, *, shear_mm: float = 0.0, skip: tuple[int, ...] = ()) -> Path:
    """Write CT slices in shuffled file names, each one shifted along y by ``shear_mm`` (a tilted gantry)."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir()
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    order = np.random.default_rng(1).permutation(len(array))
    for k, plane in enumerate(array):
        if k in skip:
            continue
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = study, series, frame
        dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "CT", 3, int(order[k]) + 1
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.ImagePositionPatient = [ORIGIN[0], ORIGIN[1] + k * shear_mm, ORIGIN[2] + k * SPACING[2]]
        dataset.PixelSpacing, dataset.SliceThickness = [SPACING[1], SPACING[0]], SPACING[2]
        dataset.Rows, dataset.Columns = plane.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 1
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, 0, "HU"
        dataset.PixelData = np.ascontiguousarray(plane, "<i2").tobytes()
        dataset.save_as(folder / f"{order[k]:03d}.dcm", enforce_file_format=True)
    return folder


def test_a_zip_of_dicom_in_any_order_gives_the_same_result(
    tmp_path: Path, finished: tuple[Path, list[dict[str, Any]]]
) -> None:
    folder = write_dicom(tmp_path / "dicom", trunk())
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    result, _ = run(write_job(tmp_path, tmp_path / "scan.zip"))
    assert check_result(result) == []
    ours, theirs = manifest_of(result)["structures"], manifest_of(finished[0])["structures"]
    for one, other in zip(ours, theirs, strict=True):
        assert one["voxels"] == other["voxels"]
        assert one["centroid_lps_mm"] == pytest.approx(other["centroid_lps_mm"])
    assert "mean_hu" in (result / "statistics.csv").read_text(encoding="utf-8")


def test_a_missing_slice_is_a_warning(tmp_path: Path) -> None:
    loaded = job_input.load([write_dicom(tmp_path / "dicom", trunk(), skip=(9,))], no_progress, NEVER)
    assert loaded.warnings
    assert loaded.volume.units == "HU"
    assert len(loaded.files) == 23


def test_a_tilted_scan_is_put_upright(tmp_path: Path) -> None:
    """Truth: in patient space a block that runs along z stays where it was, on an orthogonal grid."""
    straight = np.full((12, 40, 20), -1000, np.int16)
    shear_voxels = (
        1  # each slice lies one row further back, so its content must lie one row further forward in the file
    )
    for k in range(12):
        straight[k, 15 - k * shear_voxels + 5 : 25 - k * shear_voxels + 5, 5:15] = 100
    folder = write_dicom(tmp_path / "dicom", straight, shear_mm=SPACING[1] * shear_voxels)
    loaded = job_input.load([folder], no_progress, NEVER)
    matrix = loaded.volume.matrix_lps
    assert matrix[:3, 2] == pytest.approx([0, 0, SPACING[2]])
    block = np.argwhere(loaded.volume.array > 0)
    rows = matrix[1, 3] + block[:, 1] * matrix[1, 1]
    assert (rows.min(), rows.max()) == pytest.approx((ORIGIN[1] + 20 * 3, ORIGIN[1] + 29 * 3), abs=0.01)
    assert len(block) == 12 * 10 * 10
    assert any("tilted" in warning for warning in loaded.warnings)


def test_a_turned_and_mirrored_grid_keeps_every_structure_in_its_place(tmp_path: Path) -> None:
    turn = np.radians(17)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    source = write_image(tmp_path / "scan.nrrd", direction=rotation @ np.diag([-1, 1, -1]))
    result, _ = run(write_job(tmp_path, source, options={"formats": ["gltf"]}))
    assert check_result(result) == []
    assert not (result / "segmentation.glb").exists()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_bytes(b"NRRD0004\nnothing"), "cannot be read"),
        (lambda path: write_image(path, np.zeros((5, 5, 5), np.int16)), "same value"),
        (lambda path: write_image(path, np.arange(125, dtype=np.int16).reshape(5, 5, 5)), "Hounsfield"),
        (lambda path: write_image(path, np.full((5, 5, 5), np.nan, np.float32)), "no numbers"),
        (lambda path: write_image(path, trunk()[:1]), "at least 2"),
        (lambda path: None, "not there"),
    ],
)
def test_inputs_that_cannot_be_segmented_say_why(tmp_path: Path, make: Callable[[Path], Any], words: str) -> None:
    source = tmp_path / "scan.nrrd"
    make(source)
    with pytest.raises(InputError, match=words):
        loaded = job_input.load([source], no_progress, NEVER)
        engines.get("threshold").segment(EngineRequest(loaded.volume, EngineOptions(), tmp_path), no_progress, NEVER)


# ---- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"engine": "magic"}, "missing", "threshold, totalsegmentator"),
        ({"options": {"device": "gpu"}}, "missing", "CPU only"),
        ({"options": {"structures": ["liver"]}}, "bad-input", "body, lungs, bone"),
        ({"options": {"reduction": 1.5}}, "bad-input", "reduction"),
        ({"deadline_seconds": 0.0001}, "timeout", "longer than"),
    ],
)
def test_a_failure_has_a_class_and_a_reason(tmp_path: Path, changes: dict[str, Any], kind: str, words: str) -> None:
    path = write_job(tmp_path, write_image(tmp_path / "scan.nrrd"), **changes)
    command = [sys.executable, "-m", "AutoSegmentQueueLib.job", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    failure = json.loads((tmp_path / "work" / "result.failure.json").read_text(encoding="utf-8"))
    assert failure["class"] == kind, done.stderr
    assert words in failure["message"]
    assert not (tmp_path / "work" / "result" / "manifest.json").exists()


def test_want_of_memory_is_its_own_class() -> None:
    assert failure_class(MemoryError()) == "out-of-memory"
    assert failure_class(DeadlineError("late")) == "timeout"


def test_a_deadline_is_kept() -> None:
    token = JobToken(0.0)
    with pytest.raises(DeadlineError):
        token.check()
    JobToken(None).check()


def test_a_job_file_that_is_no_job_is_refused(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"id": 1}', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"job\.json"):
        SegmentJob.read(tmp_path / "job.json")


def test_job_options_of_the_memory_ladder_reach_the_engine(tmp_path: Path) -> None:
    path = write_job(tmp_path, tmp_path / "x.nrrd", options={"quality": "fastest", "force_split": True})
    job = SegmentJob.read(path)
    assert (job.engine_options.quality, job.engine_options.split) == ("faster", True)
    assert do is not None


# ---- validation ------------------------------------------------------------------------------------------------------


def rewrite(result: Path, name: str, content: bytes) -> None:
    """Replace a file and its entry in the manifest, so that only what is in it can be found wrong."""
    from DicomWorkbenchLib.report import sha256_of

    (result / name).write_bytes(content)
    manifest = manifest_of(result)
    entry = next(one for one in manifest["outputs"] if one["path"] == name)
    entry |= {"bytes": len(content), "sha256": sha256_of(result / name)}
    (result / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_a_changed_a_short_and_a_missing_file_are_found(result: Path) -> None:
    content = bytearray((result / "segmentation.glb").read_bytes())
    content[-1] ^= 1
    (result / "segmentation.glb").write_bytes(content)
    (result / "statistics.csv").write_bytes(b"")
    (result / "models" / "bone.stl").unlink()
    problems = "\n".join(check_result(result))
    assert "segmentation.glb is not the file that was written" in problems
    assert "statistics.csv has 0 bytes" in problems
    assert "models/bone.stl is missing" in problems


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ([0.001, 0, 0, 0, 0, 0, -0.001, 0, 0, 0.001, 0, 0, 0.05, 0, 0, 1], "away from where its voxels are"),
        ([1, 0, 0, 0, 0, 0, -1, 0, 0, 1, 0, 0, 0, 0, 0, 1], "away from where its voxels are"),
        ([-0.001, 0, 0, 0, 0, 0, -0.001, 0, 0, 0.001, 0, 0, -0.003, 0, 0, 1], "the centre of lungs"),
    ],
    ids=["shifted by 5 cm", "in metres as if mm", "left and right swapped"],
)
def test_a_model_in_another_place_is_found(result: Path, matrix: list[float], words: str) -> None:
    document = json.loads((result / "segmentation.gltf").read_bytes())
    document["nodes"][0]["matrix"] = matrix
    rewrite(result, "segmentation.gltf", json.dumps(document).encode())
    assert any(words in problem for problem in check_result(result)), check_result(result)


def test_a_segmentation_that_lies_elsewhere_or_lost_voxels_is_found(result: Path) -> None:
    content = (result / "segmentation.seg.nrrd").read_bytes()
    assert b"space origin: (" in content
    moved = content.replace(b"space origin: (", b"space origin: (1", 1)
    rewrite(result, "segmentation.seg.nrrd", moved)
    assert any("grid" in problem for problem in check_result(result))
    manifest = manifest_of(result)
    manifest["structures"][0]["voxels"] += 1
    (result / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    rewrite(result, "segmentation.seg.nrrd", content)
    assert any("voxels in the segmentation" in problem for problem in check_result(result))


def test_a_folder_without_a_manifest_is_no_result(tmp_path: Path) -> None:
    assert "manifest" in check_result(tmp_path)[0]


# ---- engines ---------------------------------------------------------------------------------------------------------


def test_engines_are_named_and_say_what_they_lack() -> None:
    assert engines.names() == ["threshold", "totalsegmentator", "slicer-totalsegmentator"]
    assert engines.get("threshold").available() is None
    with pytest.raises(DependencyError, match="there are: threshold"):
        engines.get("magic")


def test_totalsegmentator_says_how_it_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORKBENCH_TOTALSEGMENTATOR", str(tmp_path))
    reason = engines.get("totalsegmentator").available()
    assert reason is not None
    assert "make setup-totalsegmentator" in reason


def test_its_usage_statistics_are_off_unless_the_user_opts_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.mkdir()
    (users / "config.json").write_text(
        '{"license_number": "aca_X", "totalseg_id": "t1", "send_usage_stats": true}', encoding="utf-8"
    )
    config = json.loads((private_home(tmp_path / "a", users) / "config.json").read_text(encoding="utf-8"))
    assert (config["send_usage_stats"], config["license_number"], config["totalseg_id"]) == (False, "aca_X", "t1")
    monkeypatch.setenv("WORKBENCH_TOTALSEGMENTATOR_STATISTICS", "1")
    config = json.loads((private_home(tmp_path / "b", users) / "config.json").read_text(encoding="utf-8"))
    assert config["send_usage_stats"] is True


def test_its_lines_become_progress_that_never_goes_back() -> None:
    seen: list[tuple[int, str]] = []
    take = progress_of_lines(lambda done, _total, stage: seen.append((done, stage)))
    for line in (
        "Resampling...",
        "Predicting...",
        "Predicting part 1 of 2 ...",
        " 50%|#####  | 5/10",
        "100%|##| 10/10",
    ):
        take(line)
    for line in (
        "Predicting part 2 of 2 ...",
        "  0%|  | 0/10",
        "100%|##| 10/10",
        "Resampling...",
        "Saving segmentations...",
    ):
        take(line)
    done = [percent for percent, _ in seen]
    assert done == sorted(done)
    assert {20 + 70 // 4 + 1, 55, 90, 95} & set(done) == {38, 55, 90, 95}


def test_colours_and_codes_come_from_the_table_and_are_stable_without_it(tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text(
        "Structure,SegmentedPropertyTypeCodeSequence.CodingSchemeDesignator,SegmentedPropertyTypeCodeSequence.CodeValue,"
        'SegmentedPropertyTypeCodeSequence.CodeMeaning,DicomRGBColor\nliver,SCT,10200004,Liver,"40,140,40"\nspleen,,,,oops\n',
        encoding="utf-8",
    )
    rows = read_mapping(tmp_path / "map.csv")
    liver = structure_of("liver", 5, rows, "Organs")
    assert liver.kind is not None
    assert liver.kind.meaning == "Liver"
    assert liver.color == (40 / 255, 140 / 255, 40 / 255)
    assert structure_of("spleen", 1, rows).color == stable_color("spleen")
    assert structure_of("new_thing", 9, {}).color == stable_color("new_thing")
    assert read_mapping(tmp_path / "absent.csv") == {}


def test_figures_of_an_oblique_grid_are_true() -> None:
    matrix = np.array([[0, 0, 2.0, 10], [3.0, 0, 0, 20], [0, -1.5, 0, 30], [0, 0, 0, 1]])
    labels = np.zeros((4, 5, 6), np.uint16)
    labels[1:3, 2:4, 1:5] = 7
    array = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
    found = measure(ImageVolume(array, matrix), Segmented(labels, (Structure("x", (7,), (1, 0, 0)),), {}))
    (one,) = found
    assert one.voxels == 16
    assert one.volume_ml == pytest.approx(16 * 9 / 1000)
    assert one.mean == pytest.approx(array[labels == 7].mean())
    assert one.centroid_lps_mm == pytest.approx((10 + 2 * 1.5, 20 + 3 * 2.5, 30 - 1.5 * 2.5))
    assert not one.touches_edge


def test_specks_that_smoothing_removes_do_not_make_a_result_invalid(tmp_path: Path) -> None:
    """Thirty voxels of bone in a corner of the body: 1.1 ml, so the engine keeps them, far from the spine."""
    array = trunk()
    array[1, 9:14, 7:13] = 700
    result, _ = run(write_job(tmp_path, write_image(tmp_path / "scan.nrrd", array), options={"reduction": 0.95}))
    bone = next(one for one in manifest_of(result)["structures"] if one["name"] == "bone")
    assert bone["lowest_ijk"] == [7, 9, 0]
    assert bone["voxels"] == 24 * 36 + 30
    assert check_result(result) == []


def test_structures_as_thin_as_a_voxel_keep_their_surface(tmp_path: Path) -> None:
    """Truth: rings of bone, one voxel wide; a surface through their faces holds half of them, a smoothed one next to nothing."""
    from AutoSegmentQueueLib.export_parts import read_parts

    array = np.full((24, 50, 60), -1000, np.int16)
    array[:, 8:40, 6:54] = 40
    array[4:20, 12:30, 10:26] = -800
    for k in range(2, 24, 3):
        array[k, 9, 8:52] = array[k, 38, 8:52] = 700
        array[k, 9:39, 8] = array[k, 9:39, 51] = 700
    path = write_image(tmp_path / "thin.nrrd", array)
    result, _ = run(write_job(tmp_path, path, options={"reduction": 0.9}))
    assert check_result(result) == []
    bone = next(part for part in read_parts(result / "segmentation.glb") if part.name == "bone")
    voxels = int((array == 700).sum())
    assert enclosed_volume_ml(bone.points_lps_mm, bone.triangles) > 0.45 * voxels * np.prod(SPACING) / 1000
