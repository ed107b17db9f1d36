"""The whole job and the command: what is written, what it says, and how it refuses bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from click.testing import CliRunner
from DicomWorkbenchLib.cli import run as workbench
from DicomWorkbenchLib.errors import FileError, GeometryError, InputError, NoDicomError, SettingsError
from DicomWorkbenchLib.settings import from_json, to_json
from SphereVOILib.cli import command
from SphereVOILib.clicks import read_clicks, write_clicks
from SphereVOILib.job import run
from SphereVOILib.scans import write_volume
from SphereVOILib.settings import MeasureSettings, Polarity, SphereSettings, SphereTarget, Unit, targets_of
from SphereVOILib.testing_phantom import iec_phantom

FIELDS = {
    "label", "diameter_mm", "click_lps_mm", "center_lps_mm", "center_ras_mm", "center_kji", "found", "reason", "polarity",
    "sigma_mm", "fwhm_mm", "mean", "max", "min", "variance", "sd", "median", "pixel_count", "effective_volume_ml", "a50_mean",
    "suv_peak",
}  # fmt: skip


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple[float, float, float]]]:
    grid, truth = iec_phantom(spacing_mm=(4.0, 4.0, 4.0), noise=0.05, seed=3)
    return write_volume(tmp_path_factory.mktemp("volume") / "phantom.nrrd", grid), truth


@pytest.fixture(scope="module")
def done(volume: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("job") / "out"
    result = workbench(
        ["spheres", str(volume[0]), "-o", str(out), "--auto", "--nema", "--earl", "v2", "--contrast", "4", "--value-unit", "kBq/ml",
         "--progress", "none"]
    )  # fmt: skip
    assert result == 0
    return out


@pytest.fixture(scope="module")
def pet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    from DicomWorkbenchLib.samples.pet_phantom import make_pet_phantom

    folder = tmp_path_factory.mktemp("pet") / "phantom"
    return folder, make_pet_phantom(folder, size=112, pixel_mm=4.07283, slice_mm=4.0, rotation_deg=(3.0, -5.0, 8.0))


def test_the_report_has_every_agreed_field(done: Path, volume: tuple[Path, Any]) -> None:
    report = json.loads((done / "report.json").read_text(encoding="utf-8"))
    assert report["unit"] == "kBq/ml"
    assert len(report["spheres"]) == 6
    for sphere in report["spheres"]:
        assert set(sphere) >= FIELDS
        assert sphere["found"]
        assert np.linalg.norm(np.subtract(sphere["center_lps_mm"], volume[1][sphere["label"]])) < 0.35
        x, y, z = sphere["center_lps_mm"]
        assert sphere["center_ras_mm"] == pytest.approx([-x, -y, z])
    assert set(report["background"]) == {"mean", "sd"}
    assert report["background"]["mean"] == pytest.approx(1.0, abs=0.01)
    assert {"contrast_recovery_percent", "background_variability_percent", "background_mean"} <= set(
        report["nema"]["spheres"][0]
    )
    assert report["nema"]["lung_residual_percent"] == pytest.approx(0.0, abs=2)
    assert report["earl"]["version"] == "v2"
    assert {"rc_mean", "rc_max", "rc_peak", "verdict"} <= set(report["earl"]["spheres"][0])
    assert {"factor", "tags"} <= set(report["suv"])
    assert len(report["inputs"][0]["sha256"]) == 64
    assert set(report["outputs"]) >= {"report.json", "report.html", "targets.xlsx", "output_images/montage.png"}


def test_the_three_workbooks_have_their_sheets_and_columns(done: Path) -> None:
    meta = openpyxl.load_workbook(done / "outputMetaTargets.xlsx")
    assert meta.sheetnames == ["Slices", "Spheres", "NEMA", "NEMA lung", "EARL", "SUV provenance", "Settings"]
    mid = openpyxl.load_workbook(done / "outputMidPoints3D.xlsx")
    assert mid.sheetnames == ["Mid points", "Fit", "SUV provenance", "Settings"]
    header = {str(cell.value) for cell in mid["Mid points"][3]}
    assert {
        "Click LPS x [mm]",
        "Centre voxel i",
        "Centre LPS x [mm]",
        "Centre RAS x [mm]",
        "Distance moved [mm]",
        "Sigma LPS z [mm]",
    } <= header
    raw = openpyxl.load_workbook(done / "targets.xlsx")
    assert raw.sheetnames[:6] == [t.label for t in targets_of()]
    assert [c.value for c in raw["S6 10 mm"][3]] == ["Slice k", "Row j", "Column i", "Value [kBq/ml]"]
    report = json.loads((done / "report.json").read_text(encoding="utf-8"))
    values = [row[3].value for row in raw["S6 10 mm"].iter_rows(min_row=4)]
    assert len(values) == report["spheres"][5]["pixel_count"]
    assert max(values) == pytest.approx(report["spheres"][5]["max"])


def test_pictures_show_every_slice_and_the_page_carries_its_own(done: Path) -> None:
    from PIL import Image

    pictures = sorted((done / "output_images").glob("slice_*.png"))
    assert len(pictures) >= 9  # the 37 mm sphere alone touches ten slices of 4 mm
    image = np.asarray(Image.open(pictures[len(pictures) // 2]).convert("RGB")).astype(int)
    colored = np.abs(image[..., 0] - image[..., 2]) > 60
    assert colored.sum() > 300  # circles and labels
    page = (done / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64") >= 8
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.needs("module:slicer")
def test_slicer_reads_markups_and_segmentation(done: Path, volume: tuple[Path, Any]) -> None:
    import subprocess
    import sys

    script = """
import json, sys
from DicomWorkbenchLib.headless import boot
slicer = boot() or __import__("slicer")
import slicer
import numpy as np
folder = sys.argv[1]
from SphereVOILib import mrml
logic = slicer.app.applicationLogic().GetModuleLogic("Markups") if hasattr(slicer.app, "applicationLogic") else None
node_id = logic.LoadMarkups(folder + "/centers.mrk.json")
node = slicer.mrmlScene.GetNodeByID(node_id)
points = [(node.GetNthControlPointLabel(n), list(node.GetNthControlPointPosition(n))) for n in range(node.GetNumberOfControlPoints())]
seg = mrml.show_segmentation(__import__("pathlib").Path(folder) / "spheres.seg.nrrd")
s = seg.GetSegmentation()
import vtk
names = [s.GetNthSegment(n).GetName() for n in range(s.GetNumberOfSegments())]
centers = []
labelmap = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
slicer.vtkSlicerSegmentationsModuleLogic.ExportAllSegmentsToLabelmapNode(seg, labelmap, 0)
matrix = vtk.vtkMatrix4x4()
labelmap.GetIJKToRASMatrix(matrix)
array = slicer.util.arrayFromVolume(labelmap)
for n in range(1, len(names) + 1):
    k, j, i = (float(v.mean()) for v in np.nonzero(array == n))
    centers.append(list(matrix.MultiplyPoint((i, j, k, 1.0)))[:3])
print(json.dumps({"locked": node.GetLocked(), "points": points, "names": names, "centers": centers}))
import os; sys.stdout.flush(); os._exit(0)
"""
    result = subprocess.run(
        [sys.executable, "-c", script, str(done)], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout.strip().splitlines()[-1])
    report = json.loads((done / "report.json").read_text(encoding="utf-8"))
    assert seen["locked"]
    assert seen["names"] == [s["label"] for s in report["spheres"]]
    for sphere, (label, point), middle in zip(report["spheres"], seen["points"], seen["centers"], strict=True):
        assert label == sphere["label"]
        assert point == pytest.approx(sphere["center_ras_mm"], abs=1e-3)
        assert np.linalg.norm(np.subtract(middle, sphere["center_ras_mm"])) < 1.2  # the 10 mm sphere has 8 voxels


def test_each_segment_has_its_sphere_as_centroid(done: Path) -> None:
    import SimpleITK as sitk

    image = sitk.ReadImage(str(done / "spheres.seg.nrrd"))
    labels = sitk.GetArrayFromImage(image)
    report = json.loads((done / "report.json").read_text(encoding="utf-8"))
    for number, sphere in enumerate(report["spheres"], 1):
        k, j, i = np.nonzero(labels == number)
        middle = image.TransformContinuousIndexToPhysicalPoint([float(i.mean()), float(j.mean()), float(k.mean())])
        assert np.linalg.norm(np.subtract(middle, sphere["center_lps_mm"])) < 1.2  # the 10 mm sphere has 8 voxels
        assert len(k) == sphere["pixel_count"]


def test_a_pet_series_is_shown_in_suvbw(pet: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, truth = pet
    report = run(SphereSettings((folder,), tmp_path / "out", measure=MeasureSettings(auto=True), pictures=False))
    assert report.unit == "SUVbw"
    assert report.suv["factor"] == pytest.approx(truth["suv"]["factor_g_per_bq"], rel=1e-6)
    assert report.background["mean"] == pytest.approx(truth["suv"]["background_suvbw"], rel=0.02)
    for sphere in truth["spheres"]:
        found = next(s for s in report.spheres if s["diameter_mm"] == sphere["diameter_mm"])
        error = np.linalg.norm(np.subtract(found["center_lps_mm"], sphere["center_lps_mm"]))
        assert error < 3 * np.linalg.norm(found["sigma_mm"])
        assert error < 0.8


def test_clicks_in_lps_and_ras_and_of_slicer_are_the_same(volume: tuple[Path, Any], done: Path, tmp_path: Path) -> None:
    lps = read_clicks(done / "clicks.json")
    entries = json.loads((done / "clicks.json").read_text(encoding="utf-8"))
    for entry in entries:
        x, y, z = entry.pop("lps")
        entry["ras"] = [-x, -y, z]
    (tmp_path / "ras.json").write_text(json.dumps(entries), encoding="utf-8")
    assert [t.lps_mm for t in read_clicks(tmp_path / "ras.json")] == [t.lps_mm for t in lps]
    slicers = read_clicks(done / "clicks.mrk.json")
    assert [t.diameter_mm for t in slicers] == [37, 28, 22, 17, 13, 10]  # from the labels
    assert np.allclose([t.lps_mm for t in slicers], [t.lps_mm for t in lps], atol=1e-5)
    plain = json.loads((done / "clicks.mrk.json").read_text(encoding="utf-8"))
    for n, point in enumerate(plain["markups"][0]["controlPoints"], 1):
        point["label"] = f"F-{n}"
    (tmp_path / "plain.mrk.json").write_text(json.dumps(plain), encoding="utf-8")
    named = read_clicks(tmp_path / "plain.mrk.json", (37, 28, 22, 17, 13, 10))
    assert [t.diameter_mm for t in named] == [37, 28, 22, 17, 13, 10]


def test_clicks_survive_being_written(tmp_path: Path) -> None:
    targets = (SphereTarget("A", 12.5, (1.0, 2.0, 3.0), Polarity.COLD), SphereTarget("B", 9.0))
    assert read_clicks(write_clicks(tmp_path / "c.json", targets)) == targets[:1]


@pytest.mark.parametrize(
    ("entries", "diameters", "said"),
    [
        (
            [{"label": "S1", "diameter_mm": 37, "lps": [0, 0, 0]}] * 2,
            (37.0, 28.0, 22.0),
            "fewer than there are spheres",
        ),
        ([{"lps": [0, 0, 0]}] * 3, (37.0, 28.0), "more than there are spheres"),
        ([{"lps": [0, 0, 0]}], (), "has no diameter_mm"),
        ([{"lps": [0, 0], "diameter_mm": 10}], (), "[x, y, z] in mm"),
        ([{"diameter_mm": 10}], (), "[x, y, z] in mm"),
        ([{"lps": [0, 0, 0], "diameter_mm": "wide"}], (), "must be a number"),
        ([{"lps": [0, 0, 0], "diameter_mm": 10, "polarity": "warm"}], (), "hot, cold or auto"),
        ([], (), "holds no click"),
        ({"a": 1}, (), "neither a list of clicks nor a markups file"),
        ("text", (), "must hold a list"),
    ],
)
def test_a_clicks_file_that_cannot_be_is_explained(
    tmp_path: Path, entries: Any, diameters: tuple[float, ...], said: str
) -> None:
    path = tmp_path / "clicks.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    with pytest.raises(InputError, match=said.replace("[", r"\[")):
        read_clicks(path, diameters)


def test_a_broken_clicks_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    with pytest.raises(FileError, match=r"broken\.json"):
        read_clicks(tmp_path / "broken.json")


def test_two_scans_are_a_batch_and_a_bad_one_does_not_stop_it(volume: tuple[Path, Any], tmp_path: Path) -> None:
    empty, _ = iec_phantom(spacing_mm=(8.0, 8.0, 8.0), activity=1.0, insert=False, noise=0.2)
    bad = write_volume(tmp_path / "nothing.nrrd", empty)
    settings = SphereSettings((volume[0], bad), tmp_path / "out", measure=MeasureSettings(auto=True), pictures=False)
    report = run(settings)
    assert [s["name"] for s in report.scans] == ["phantom", "nothing"]
    assert report.scans[0]["found"] == 6
    assert "not found" in report.scans[1]["error"]
    assert (tmp_path / "out" / "phantom" / "report.json").is_file()
    assert not (tmp_path / "out" / "nothing").exists()


def test_a_scan_in_which_no_sphere_is_found_is_reported_as_such(volume: tuple[Path, Any], tmp_path: Path) -> None:
    target = SphereTarget("S1", 10.0, (0.0, 85.0, -40.0))
    report = run(SphereSettings((volume[0],), tmp_path / "out", (target,)))
    assert not report.spheres[0]["found"]
    assert report.spheres[0]["center_lps_mm"] is None
    assert "noise" in report.spheres[0]["reason"]
    assert any("not found: S1" in warning for warning in report.warnings)
    assert (tmp_path / "out" / "report.html").is_file()


def test_settings_survive_json(tmp_path: Path) -> None:
    settings = SphereSettings(
        (tmp_path,), tmp_path / "o", (SphereTarget("A", 10.0, (1.0, 2.0, 3.0)),), unit=Unit.SUVLBM
    )
    assert from_json(SphereSettings, json.loads(json.dumps(to_json(settings)))) == settings


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inputs": ()}, "no scan was given"),
        ({"targets": ()}, "no sphere was given"),
        ({"targets": (SphereTarget("A", 10.0, (0.0, 0.0, 0.0)),) * 2}, "two spheres are called"),
        ({"targets": (SphereTarget("A", 10.0),)}, "has no click"),
        ({"measure": MeasureSettings(auto=True), "targets": targets_of((37.0, 10.0))}, "IEC body phantom only"),
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        SphereSettings(**{"inputs": (tmp_path,), "output": tmp_path / "o", **change})


def test_ct_instead_of_pet_is_refused(tmp_path: Path) -> None:
    from pydicom.data import get_testdata_file

    ct = Path(str(get_testdata_file("CT_small.dcm")))
    with pytest.raises(InputError, match="no PET or SPECT"):
        run(SphereSettings((ct,), tmp_path / "out", measure=MeasureSettings(auto=True)))
    assert not (tmp_path / "out").exists()


def test_one_slice_of_a_pet_series_is_refused(pet: tuple[Path, Any], tmp_path: Path) -> None:
    one = next((pet[0] / "pet").iterdir())
    with pytest.raises(GeometryError, match="one slice"):
        run(SphereSettings((one,), tmp_path / "out", measure=MeasureSettings(auto=True)))


def rewritten(source: Path, target: Path, change: Any) -> Path:
    """Copy a PET series, every slice changed."""
    import pydicom

    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        dataset = pydicom.dcmread(path)
        change(dataset)
        dataset.save_as(target / path.name)
    return target


def test_missing_spacing_is_explained(pet: tuple[Path, Any], tmp_path: Path) -> None:
    folder = rewritten(pet[0] / "pet", tmp_path / "pet", lambda d: d.__delattr__("PixelSpacing"))
    with pytest.raises(GeometryError, match=r"(?i)spacing"):
        run(SphereSettings((folder,), tmp_path / "out", measure=MeasureSettings(auto=True)))


@pytest.mark.parametrize(
    ("field", "unit", "said"),
    [
        ("RescaleSlope", "stored values", "RescaleSlope"),
        ("DecayCorrection", "Bq/ml", "DecayCorrection (0054,1102) is missing"),
        ("PatientWeight", "Bq/ml", "PatientWeight"),
    ],
)
def test_missing_tags_give_native_values_and_a_reason(
    pet: tuple[Path, Any], tmp_path: Path, field: str, unit: str, said: str
) -> None:
    folder = rewritten(pet[0] / "pet", tmp_path / "pet", lambda d: d.__delattr__(field))
    sphere = next(s for s in pet[1]["spheres"] if s["diameter_mm"] == 37)
    target = SphereTarget("S1", 37.0, tuple(sphere["center_lps_mm"]))
    report = run(SphereSettings((folder,), tmp_path / "out", (target,), pictures=False))
    assert report.unit == unit
    assert said in report.suv["reason"]
    assert any(said in warning for warning in report.warnings)


def test_mixed_series_are_told_apart(pet: tuple[Path, Any], tmp_path: Path) -> None:
    from pydicom.data import get_testdata_file
    from pydicom.uid import generate_uid

    mixed = rewritten(pet[0] / "pet", tmp_path / "mixed", lambda d: None)
    uid = generate_uid()

    def second(dataset: Any) -> None:
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = uid, generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.SeriesNumber = 99

    rewritten(pet[0] / "pet", mixed / "again", second)
    (mixed / "ct.dcm").write_bytes(Path(str(get_testdata_file("CT_small.dcm"))).read_bytes())
    report = run(SphereSettings((mixed,), tmp_path / "out", measure=MeasureSettings(auto=True), pictures=False))
    assert [s["found"] for s in report.scans] == [6, 6]
    assert any("CT images in the folder were passed over" in w for w in report.warnings)
    assert any("2 PET or SPECT series" in w for w in report.warnings)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("no image", encoding="utf-8")
    with pytest.raises(NoDicomError):
        run(SphereSettings((tmp_path / "in",), tmp_path / "out", measure=MeasureSettings(auto=True)))


def test_a_volume_without_voxel_size_is_refused(tmp_path: Path) -> None:
    header = "NRRD0004\ntype: float\ndimension: 3\nsizes: 4 4 4\nencoding: raw\nendian: little\n\n"
    (tmp_path / "bare.nrrd").write_bytes(header.encode() + np.zeros(64, "<f4").tobytes())
    with pytest.raises(GeometryError, match="no voxel size"):
        run(SphereSettings((tmp_path / "bare.nrrd",), tmp_path / "out", measure=MeasureSettings(auto=True)))


def test_a_volume_of_unknown_units_says_so(volume: tuple[Path, Any], tmp_path: Path) -> None:
    report = run(SphereSettings((volume[0],), tmp_path / "out", measure=MeasureSettings(auto=True), pictures=False))
    assert report.unit == "unknown"
    assert "carries no units" in report.suv["reason"]


def test_the_command_needs_clicks_or_auto(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(tmp_path), "-o", str(tmp_path / "o")])
    assert result.exit_code == 2
    assert "--clicks" in result.output
    result = CliRunner().invoke(command, [str(tmp_path), "-o", str(tmp_path / "o"), "--auto", "--diameters", "a,b"])
    assert result.exit_code == 2


def test_the_command_prints_the_report_as_json(
    volume: tuple[Path, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clicks = write_clicks(
        tmp_path / "clicks.json",
        [SphereTarget("S1 37 mm", 37.0, volume[1]["S1 37 mm"]), SphereTarget("S6 10 mm", 10.0, volume[1]["S6 10 mm"])],
    )
    arguments = [
        "spheres",
        str(volume[0]),
        "-o",
        str(tmp_path / "o"),
        "--clicks",
        str(clicks),
        "--method",
        "grid",
        "--json",
        "--progress",
        "none",
    ]
    assert workbench(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert [s["label"] for s in report["spheres"]] == ["S1 37 mm", "S6 10 mm"]
    assert all(s["sigma_mm"] is None for s in report["spheres"])  # the grid search knows no uncertainty


@pytest.mark.needs("data")
def test_the_real_scan_gives_six_spheres_on_the_ring_by_clicks_and_without(
    workbench_data: Path, tmp_path: Path
) -> None:
    scan = workbench_data / "nema_pet" / "recon_1"
    auto = run(SphereSettings((scan,), tmp_path / "auto", measure=MeasureSettings(auto=True), pictures=False))
    assert auto.measured["spheres_found"] == 6
    assert auto.ring is not None
    assert auto.ring["radius_mm"] == pytest.approx(57.2, abs=0.3)
    random = np.random.default_rng(0)
    targets = []
    for sphere in auto.spheres:
        step = random.normal(size=3)
        x, y, z = np.add(sphere["center_lps_mm"], 6 * step / np.linalg.norm(step)).tolist()
        targets.append(SphereTarget(sphere["label"], sphere["diameter_mm"], (x, y, z)))
    clicked = run(SphereSettings((scan,), tmp_path / "clicks", tuple(targets), pictures=False))
    assert clicked.measured["spheres_found"] == 6
    for a, b in zip(auto.spheres, clicked.spheres, strict=True):
        assert np.linalg.norm(np.subtract(a["center_lps_mm"], b["center_lps_mm"])) < 0.02
    assert clicked.ring is not None
    assert clicked.ring["radius_mm"] == pytest.approx(57.2, abs=0.3)
    assert clicked.unit == "unknown"


@pytest.mark.needs("data")
@pytest.mark.parametrize("name", ["DRO_0_0", "DRO_1_0", "DRO_2_1", "DRO_3_0", "DRO_4_0"])
def test_the_hot_and_the_cold_cylinder_of_the_reference_objects_are_measured_in_suv(
    workbench_data: Path, tmp_path: Path, name: str
) -> None:
    targets = (SphereTarget("hot", 40.0, (635.0, 509.0, 37.0)), SphereTarget("cold", 40.0, (389.0, 514.0, 42.0)))
    report = run(SphereSettings((workbench_data / "suv" / name / "PT",), tmp_path / "out", targets, pictures=False))
    assert report.unit == "SUVbw"
    assert [s["polarity"] for s in report.spheres] == ["hot", "cold"]
    assert report.spheres[0]["max"] == pytest.approx(4.00, rel=0.005)
    assert report.background["mean"] == pytest.approx(1.00, rel=0.005)
