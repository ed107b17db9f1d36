"""The same patient in every layout gives the same measurements."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import tumor_files as files
from DicomWorkbenchLib.polygons import polygon_pixels
from DicomWorkbenchLib.samples.ct_rtstruct import make_ct_rtstruct
from TumorAnalysisLib import TumorSettings, analyse_cohort, run
from TumorAnalysisLib.dataset import Dataset
from TumorAnalysisLib.masks import crop, union
from TumorAnalysisLib.nrrd import Segment, write_segmentation, write_volume
from TumorAnalysisLib.rasterise import mask_of_contours

KEYS = (
    "volume_ml",
    "longest_diameter_mm",
    "short_axis_mm",
    "feret_mm",
    "sphericity",
    "distance_to_surface_mm",
    "hu_mean",
)


def lesions(dataset: Path, **settings: Any) -> list[dict[str, Any]]:
    report = run(TumorSettings(dataset, dataset.parent / "out", pictures=False, **settings))
    return report.patients[0]["lesions"]


def nifti(path: Path, voxels: np.ndarray, order: tuple[int, int, int] = (0, 1, 2)) -> None:
    """Write an image whose axes are stored in another order; its content stays where it is."""
    picture = sitk.GetImageFromArray(voxels)
    picture.SetSpacing(files.SPACING[::-1])
    picture.SetOrigin((-30.0, -30.0, 100.0))
    sitk.WriteImage(sitk.PermuteAxes(picture, order), str(path))


@pytest.fixture
def reference(tmp_path: Path) -> dict[str, Any]:
    files.write_patient(tmp_path / "ircad" / "data" / "p")
    return lesions(tmp_path / "ircad" / "data")[0]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_lits_pairs_are_read_whatever_the_order_of_their_axes(
    tmp_path: Path, reference: dict[str, Any], order: tuple[int, int, int]
) -> None:
    folder = tmp_path / "lits"
    folder.mkdir()
    labels = files.LIVER.astype(np.uint8) + files.TUMOR
    nifti(folder / "volume-7.nii", files.image(), order)
    nifti(folder / "segmentation-7.nii", labels, order)
    found = lesions(folder)
    assert [one["name"] for one in found] == ["livertumor 1"]
    assert [found[0][key] for key in KEYS] == pytest.approx([reference[key] for key in KEYS], rel=1e-4)
    assert found[0]["centroid_lps_mm"] == pytest.approx(reference["centroid_lps_mm"], abs=1e-3)


def test_each_piece_of_a_label_map_is_a_lesion(tmp_path: Path) -> None:
    folder = tmp_path / "lits"
    folder.mkdir()
    nifti(folder / "volume-0.nii", files.image())
    nifti(folder / "segmentation-0.nii", files.LIVER.astype(np.uint8) + files.TWO)
    assert len(lesions(folder)) == 2


def test_a_ct_with_a_slicer_segmentation_is_read(tmp_path: Path, reference: dict[str, Any]) -> None:
    with Dataset(tmp_path / "ircad" / "data") as dataset, dataset.patients[0].opened() as data:
        folder = tmp_path / "scene" / "case"
        folder.mkdir(parents=True)
        write_volume(folder / "ct.nrrd", data.image, data.grid)
        segments = [Segment(one.name, one.mask, (1, 0, 0), {}) for one in data.structures]
        write_segmentation(folder / "x.seg.nrrd", segments, data.grid)
    found = lesions(tmp_path / "scene")
    assert [found[0][key] for key in KEYS] == pytest.approx([reference[key] for key in KEYS], rel=1e-6)


def test_a_dicom_seg_of_our_own_is_read_back_voxel_by_voxel(tmp_path: Path, reference: dict[str, Any]) -> None:
    made = tmp_path / "seg"
    run(TumorSettings(tmp_path / "ircad" / "data", made, pictures=False, dicom_seg=True, dicom_sr=True))
    both = tmp_path / "both"
    both.mkdir()
    (tmp_path / "ircad" / "data" / "p" / "PATIENT_DICOM").rename(both / "ct")
    (made / "patients" / "p" / "p_seg.dcm").rename(both / "seg.dcm")
    found = lesions(both)
    assert found[0]["voxels"] == reference["voxels"]
    assert found[0]["longest_diameter_mm"] == pytest.approx(reference["longest_diameter_mm"])


def test_a_structure_set_is_measured_with_organ_and_lesion_chosen_by_name(tmp_path: Path) -> None:
    # Truth: areas of the analytic outlines times the slice distance; pixels of 3.9 mm follow an outline of this size to 2 %.
    truth = make_ct_rtstruct(tmp_path / "rt", slices=40, size=128)
    shutil.rmtree(tmp_path / "rt" / "SEG") if (tmp_path / "rt" / "SEG").is_dir() else (tmp_path / "rt" / "SEG").unlink()
    settings = TumorSettings(tmp_path / "rt", tmp_path / "out", organ="Liver", lesion="Lesion.*", pictures=False)
    (patient,) = run(settings).patients
    structures = {one["name"]: one for one in patient["structures"]}
    rois = {roi["name"]: roi["volume_ml"] for roi in truth["rtstruct"]["rois"]}
    assert structures.keys() == rois.keys()
    large = [name for name, volume_ml in rois.items() if volume_ml > 20]
    assert {"Liver", "Lesion tapered", "Kidney cortex L nested", "Kidney cortex R keyhole", "Heart wall"} <= set(large)
    for name in large:
        assert structures[name]["volume_ml"] == pytest.approx(rois[name], rel=0.02), name
    assert [lesion["name"] for lesion in patient["lesions"]] == ["Lesion tapered"]
    assert structures["Liver"]["role"] == "organ"
    assert patient["tumor_volume_ml"] == pytest.approx(rois["Lesion tapered"], rel=0.02)
    assert patient["burden_tumor_over_liver_mask"] == pytest.approx(rois["Lesion tapered"] / rois["Liver"], rel=0.02)


@pytest.mark.needs("dciodvfy")
def test_segmentation_and_structured_report_keep_the_standard(tmp_path: Path) -> None:
    import subprocess

    files.write_patient(tmp_path / "data" / "p")
    run(TumorSettings(tmp_path / "data", tmp_path / "out", pictures=False, dicom_sr=True))
    for name in ("p_seg.dcm", "p_sr.dcm"):
        said = subprocess.run(
            ["dciodvfy", str(tmp_path / "out" / "patients" / "p" / name)], capture_output=True, text=True, check=False
        ).stderr
        assert [line for line in said.splitlines() if line.startswith("Error")] == []


def test_the_report_holds_the_measured_values(tmp_path: Path) -> None:
    import pydicom

    files.write_patient(tmp_path / "data" / "p")
    report = run(TumorSettings(tmp_path / "data", tmp_path / "out", pictures=False, dicom_sr=True))
    sr = pydicom.dcmread(tmp_path / "out" / "patients" / "p" / "p_sr.dcm")
    numbers = [float(element.value) for element in sr.iterall() if element.keyword == "NumericValue"]
    lesion = report.patients[0]["lesions"][0]
    for key in ("volume_ml", "longest_diameter_mm", "short_axis_mm", "hu_mean"):
        assert any(number == pytest.approx(lesion[key], abs=1e-3) for number in numbers), key


def test_contours_fill_the_voxels_inside_and_cut_holes() -> None:
    square = np.array([[2.5, 2.5], [9.5, 2.5], [9.5, 7.5], [2.5, 7.5]])
    assert polygon_pixels(square, (12, 12)).sum() == 7 * 5
    from tumor_shapes import grid_of

    grid = grid_of((3, 12, 12), (1.0, 1.0, 2.0))
    hole = np.array([[4.5, 3.5], [7.5, 3.5], [7.5, 6.5], [4.5, 6.5]])
    contours = [grid.to_lps(np.column_stack([ring, np.ones(4)])) for ring in (square, hole)]
    assert mask_of_contours(contours, grid).count == 7 * 5 - 3 * 3


def test_overlapping_segments_survive_the_file_and_open_in_slicer_layers(tmp_path: Path) -> None:
    from tumor_shapes import grid_of

    grid = grid_of(files.SHAPE, (1.5, 1.5, 2.5))
    masks = {"liver": crop(files.LIVER), "a": crop(files.TUMOR), "b": crop(files.TWO)}
    path = tmp_path / "x.seg.nrrd"
    write_segmentation(path, [Segment(name, mask, (1, 0, 0), {}) for name, mask in masks.items()], grid)
    picture = sitk.ReadImage(str(path))
    assert picture.GetNumberOfComponentsPerPixel() == 3
    layers = sitk.GetArrayFromImage(picture)
    for number, mask in enumerate(masks.values()):
        layer, label = (int(picture.GetMetaData(f"Segment{number}_{key}")) for key in ("Layer", "LabelValue"))
        assert (layers[..., layer] == label).sum() == mask.count
    start = union(list(masks.values())).start_kji
    assert picture.GetOrigin() == pytest.approx(grid.to_lps(np.array([start[::-1]], dtype=float))[0])


def test_the_data_frame_has_a_row_per_patient(tmp_path: Path) -> None:
    files.write_patient(tmp_path / "data" / "p1")
    files.write_patient(tmp_path / "data" / "p2", {"liver": files.LIVER}, seed=1)
    frame = analyse_cohort(tmp_path / "data")
    assert list(frame["tumor_count"]) == [1, 0]
    assert list(frame["burden"])[1] == 0
    assert frame["tumor_volume_ml"][0] == pytest.approx(files.TUMOR.sum() * np.prod(files.SPACING) / 1000)


@pytest.mark.needs("module:ipywidgets")
def test_a_notebook_shows_a_slice_with_sliders(tmp_path: Path) -> None:
    from TumorAnalysisLib import notebook

    files.write_patient(tmp_path / "data" / "p1")
    notebook.use_dataset(tmp_path / "data")
    widget = notebook.dicom_interact(1, mask_organ="livertumor")
    sliders = {child.description: child for child in widget.children[:-1]}
    assert sliders["slice"].value == 7  # the tumour is largest in slice index 6
    assert sliders["slice"].max == files.SHAPE[0]
