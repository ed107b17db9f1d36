"""DICOM objects of a result: same voxels, same place, same patient, the same object when made again.

Truth: structures whose voxels are known, on CT series of known geometry; independent readers (SimpleITK, dcmqi, matplotlib's polygons).
"""

from __future__ import annotations

import shutil
import subprocess
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from AutoSegmentQueueLib import job_input
from AutoSegmentQueueLib.dicom_objects.check import planes_of, problems_of_objects
from AutoSegmentQueueLib.dicom_objects.codes import COMMON, kind_of
from AutoSegmentQueueLib.dicom_objects.read_back import structures_of_segmentation, structures_of_structure_set
from AutoSegmentQueueLib.dicom_objects.source import DicomSource
from AutoSegmentQueueLib.dicom_objects.write import Result, write_objects
from AutoSegmentQueueLib.engines.model import Segmented, Structure
from AutoSegmentQueueLib.export_mesh import Mesh, enclosed_centroid, in_true_place, recentred
from AutoSegmentQueueLib.job_input import LoadedInput
from AutoSegmentQueueLib.statistics import measure
from DicomWorkbenchLib.polygons import area_and_centroid
from DicomWorkbenchLib.progress import NEVER, no_progress
from numpy.typing import NDArray
from queue_testing.dicom_cases import ORIENTATIONS, PIXEL_MM, SHAPE_KJI, STEP_MM, Geometry, structures, write_slices

pytestmark = pytest.mark.needs("module:highdicom", "module:SimpleITK")

MOST_OFF_MM = 0.1
UNEVEN = tuple(float(v) for v in np.cumsum([0, *([2.0, 3.5, 3.0, 4.5] * 6)][: SHAPE_KJI[0]]))
MISSING = tuple(STEP_MM * (k if k < 13 else k + 2) for k in range(SHAPE_KJI[0]))
CASES = {
    **{name: Geometry(name) for name in ORIENTATIONS},
    "gantry tilt": Geometry(tilt=float(np.tan(np.deg2rad(14)))),
    "uneven": Geometry(heights_mm=UNEVEN),
    "missing slices": Geometry("oblique", heights_mm=MISSING),
}
JUDGED = ("axial", "gantry tilt", "missing slices")
FILES = ("segmentation.dcm", "rtstruct.dcm", "measurements.dcm")


class Made:
    """The objects of one case, with what they were made from."""

    def __init__(self, folder: Path, geometry: Geometry, wanted: tuple[str, ...] = ("seg", "rtstruct", "sr")) -> None:
        self.folder, self.scan = folder, write_slices(folder / "scan", geometry)
        self.loaded: LoadedInput = job_input.load([self.scan], no_progress, NEVER)
        self.segmented = fitted(structures(), self.loaded.volume.array.shape)
        self.warnings = self.write(folder, wanted)

    @property
    def source(self) -> DicomSource:
        assert self.loaded.source is not None
        return self.loaded.source

    def write(self, folder: Path, wanted: tuple[str, ...], options: dict[str, Any] | None = None) -> list[str]:
        volume = self.loaded.volume
        figures = measure(volume, self.segmented)
        result = Result(volume, self.segmented, figures, [], options or {"task": "total"})
        return write_objects(folder, self.source, result, wanted, NEVER)

    def grid(self) -> dict[str, Any]:
        grid = {"shape_kji": list(self.loaded.volume.array.shape), "matrix_lps": self.loaded.volume.matrix_lps.tolist()}
        return {**grid, "planes_lps": self.source.origins_lps.tolist()}

    def centroid(self, structure: Structure) -> NDArray[np.float64]:
        """The structure's centre where the slices really lie, each voxel as thick as its slab."""
        k, j, i = np.nonzero(structure.mask(self.segmented.labelmap))
        places = self.source.origins_lps[k] + np.stack([i, j], axis=1) @ self.source.matrix_lps[:3, :2].T
        return np.average(places, axis=0, weights=self.source.slab_mm[k])


def fitted(segmented: Segmented, shape: tuple[int, ...]) -> Segmented:
    """The labels on a grid that has grown (a tilted scan put upright)."""
    grown = np.zeros(shape, np.uint16)
    low = [(n - m) // 2 for n, m in zip(shape, segmented.labelmap.shape, strict=True)]
    grown[tuple(slice(a, a + m) for a, m in zip(low, segmented.labelmap.shape, strict=True))] = segmented.labelmap
    return replace(segmented, labelmap=grown)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """Each case, made once."""
    done: dict[str, Made] = {}

    def get(name: str) -> Made:
        if name not in done:
            wanted = ("seg", "rtstruct", "sr") if name in JUDGED else ("seg", "rtstruct")
            done[name] = Made(tmp_path_factory.mktemp("objects"), CASES[name], wanted)
        return done[name]

    return get


# ---- place -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_every_structure_has_its_centre_and_voxels_in_segmentation_and_structure_set(
    made: Callable[[str], Made], name: str
) -> None:
    """Truth: the centre of the label map's voxels on the slices' true positions."""
    case = made(name)
    planes = planes_of(case.grid())
    found = dict(structures_of_segmentation(case.folder / "segmentation.dcm", planes))
    drawn = dict(structures_of_structure_set(case.folder / "rtstruct.dcm", planes))
    by_segment = centers_of_segments(case)
    by_contour = centers_of_contours(case)
    for structure in case.segmented.structures:
        mask = structure.mask(case.segmented.labelmap)
        assert (found[structure.name] == mask).all()
        assert (drawn[structure.name] == mask).all()
        for centers in (by_segment, by_contour):
            assert centers[structure.name] == pytest.approx(case.centroid(structure), abs=MOST_OFF_MM)


def centers_of_segments(case: Made) -> dict[str, NDArray[np.float64]]:
    """Read by highdicom, each frame placed by its own position."""
    import highdicom as hd

    segmentation = hd.seg.segread(case.folder / "segmentation.dcm")
    rows, columns = segmentation.Rows, segmentation.Columns
    names = {item.SegmentNumber: item.SegmentLabel for item in segmentation.SegmentSequence}
    measures = segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    axes = segmentation.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    right, down = np.asarray(axes, float).reshape(2, 3) * np.asarray(measures.PixelSpacing, float)[::-1, None]
    frames = segmentation.pixel_array.reshape(-1, rows, columns)
    sums: dict[str, list[Any]] = {}
    for pixels, item in zip(frames, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        origin = np.asarray(item.PlanePositionSequence[0].ImagePositionPatient, float)
        j, i = np.nonzero(pixels)
        center = origin + i.mean() * right + j.mean() * down
        name = names[item.SegmentIdentificationSequence[0].ReferencedSegmentNumber]
        sums.setdefault(name, []).append((center, len(i) * slab_at(case, origin)))
    return {name: weighted(parts) for name, parts in sums.items()}


def centers_of_contours(case: Made) -> dict[str, NDArray[np.float64]]:
    """Areas of the contours as they stand in the file, in three dimensions."""
    dataset = pydicom.dcmread(case.folder / "rtstruct.dcm")
    names = {item.ROINumber: item.ROIName for item in dataset.StructureSetROISequence}
    axes = case.source.matrix_lps[:3, :2] / np.linalg.norm(case.source.matrix_lps[:3, :2], axis=0)
    found = {}
    for roi in dataset.ROIContourSequence:
        parts = []
        for contour in roi.ContourSequence:
            points = np.asarray(contour.ContourData, float).reshape(-1, 3)
            area, center = area_and_centroid((points - points[0]) @ axes)
            parts.append((points[0] + axes @ center, area * slab_at(case, points[0])))
        found[names[roi.ReferencedROINumber]] = weighted(parts)
    return found


def slab_at(case: Made, point: NDArray[np.float64]) -> float:
    return float(case.source.slab_mm[np.abs(case.source.heights_mm - point @ case.source.normal_lps).argmin()])


def weighted(parts: list[Any]) -> NDArray[np.float64]:
    return np.average([center for center, _ in parts], axis=0, weights=[weight for _, weight in parts])


@pytest.mark.needs("module:slicer")
@pytest.mark.parametrize("name", CASES)
def test_models_keep_the_centre_of_every_structure(made: Callable[[str], Made], name: str, tmp_path: Path) -> None:
    """Truth: the label map's voxels on the slices' true places. Smoothed and reduced to a tenth; read back out of the glTF file."""
    from AutoSegmentQueueLib import export_gltf
    from AutoSegmentQueueLib.export_parts import read_parts
    from DicomWorkbenchLib.headless import boot

    boot()
    from AutoSegmentQueueLib import mrml

    case = made(name)
    volume = case.loaded.volume
    node = mrml.add_segmentation(mrml.add_scan(volume, "scan"), volume, case.segmented, "scan")
    mrml.make_surfaces(node, NEVER)
    meshes = mrml.meshes_of(node, list(case.segmented.structures), 0.9, NEVER)
    centers = {one.name: case.centroid(one) for one in case.segmented.structures}
    places = [in_true_place(mesh, volume) for mesh in meshes]
    moved = [recentred(mesh, centers[mesh.name].tolist(), 0.5 * min(volume.spacing_mm)) for mesh in places]
    path = tmp_path / "model.glb"
    path.write_bytes(export_gltf.as_glb(*export_gltf.build(moved, "scan")))
    parts = read_parts(path)
    assert len(parts) == len(case.segmented.structures)
    for part in parts:
        assert enclosed_centroid(part.points_lps_mm, part.triangles) == pytest.approx(
            centers[part.name], abs=MOST_OFF_MM
        )


def test_a_surface_that_lost_a_piece_is_not_moved() -> None:
    cube = np.array([[x, y, z] for x in (0, 2) for y in (0, 2) for z in (0, 2)], np.float32)
    faces = [(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1)]
    faces += [(2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3)]
    mesh = Mesh("cube", "", (1, 1, 1), 1.0, cube, cube, np.array(faces, np.uint32))
    assert enclosed_centroid(cube, mesh.triangles) == pytest.approx([1, 1, 1])
    assert recentred(mesh, (1.2, 1, 1), 0.5).points_lps_mm[0] == pytest.approx([0.2, 0, 0])
    assert recentred(mesh, (3, 1, 1), 0.5) is mesh


# ---- judges ----------------------------------------------------------------------------------------------------------


@pytest.mark.needs("dciodvfy", "dcentvfy")
@pytest.mark.parametrize("name", JUDGED)
def test_dciodvfy_and_dcentvfy_find_no_error(made: Callable[[str], Made], name: str) -> None:
    case = made(name)
    for file in FILES:
        said = subprocess.run(
            ["dciodvfy", "-new", str(case.folder / file)], capture_output=True, text=True, check=False
        )
        assert "Error" not in said.stdout + said.stderr, said.stdout + said.stderr
    everything = [*case.scan.iterdir(), *(case.folder / file for file in FILES)]
    said = subprocess.run(["dcentvfy", *map(str, everything)], capture_output=True, text=True, check=False)
    assert "Error" not in said.stdout + said.stderr, said.stdout + said.stderr


@pytest.mark.needs("dciodvfy", "module:slicer")
def test_encapsulated_surfaces_are_legal_and_hold_the_mesh(made: Callable[[str], Made], tmp_path: Path) -> None:
    case = made("axial")
    cube = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    mesh = Mesh(
        "liver", "", (1, 0, 0), 1.0, cube, cube, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.uint32)
    )
    result = Result(case.loaded.volume, case.segmented, [], [mesh], {})
    assert write_objects(tmp_path, case.source, result, ("stl",), NEVER) == []
    path = tmp_path / "surfaces" / "liver.dcm"
    said = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    assert "Error" not in said.stdout + said.stderr
    content = pydicom.dcmread(path).EncapsulatedDocument
    assert int.from_bytes(content[80:84], "little") == 4 and list(tmp_path.rglob("*.stl")) == []


def segimage2itkimage() -> str:
    beside = Path(__import__("sys").executable).parent
    return shutil.which("segimage2itkimage") or shutil.which("segimage2itkimage", path=str(beside)) or ""


@pytest.mark.needs("module:dcmqi")
@pytest.mark.parametrize("name", ["axial", "oblique", "sagittal, other side"])
def test_dcmqi_reads_the_same_voxels(made: Callable[[str], Made], name: str, tmp_path: Path) -> None:
    """A second implementation of DICOM segmentations; it writes one NRRD file per segment, cut to the planes that are there."""
    import SimpleITK as sitk
    from scipy.spatial import cKDTree

    case = made(name)
    command = [segimage2itkimage(), "--inputDICOM", str(case.folder / "segmentation.dcm")]
    command += ["--outputDirectory", str(tmp_path), "--outputType", "nrrd", "--prefix", "s"]
    subprocess.run(command, check=True, capture_output=True)
    for number, structure in enumerate(case.segmented.structures, 1):
        image = sitk.ReadImage(str(tmp_path / f"s-{number}.nrrd"))
        k, j, i = np.nonzero(sitk.GetArrayFromImage(image))
        ours = np.argwhere(structure.mask(case.segmented.labelmap))[:, ::-1]
        points = np.array(
            [image.TransformIndexToPhysicalPoint(at) for at in zip(i.tolist(), j.tolist(), k.tolist(), strict=True)]
        )
        expected = ours @ case.loaded.volume.matrix_lps[:3, :3].T + case.loaded.volume.matrix_lps[:3, 3]
        distances, partners = cKDTree(expected).query(points)
        assert distances.max() < 0.01 and len(set(partners.tolist())) == len(expected)


@pytest.mark.needs("module:matplotlib")
def test_another_polygon_filler_gets_the_same_pixels(made: Callable[[str], Made]) -> None:
    """matplotlib's test for points in paths, with the contours as they stand in the file; holes included."""
    from matplotlib.path import Path as Outline

    case = made("oblique")
    dataset = pydicom.dcmread(case.folder / "rtstruct.dcm")
    inverse = np.linalg.inv(case.loaded.volume.matrix_lps)
    rows, columns = case.loaded.volume.array.shape[1:]
    centers = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    for structure, roi in zip(case.segmented.structures, dataset.ROIContourSequence, strict=True):
        mask = np.zeros(case.loaded.volume.array.shape, bool)
        for contour in roi.ContourSequence:
            points = np.asarray(contour.ContourData, float).reshape(-1, 3) @ inverse[:3, :3].T + inverse[:3, 3]
            inside = Outline(points[:, :2], closed=False).contains_points(centers).reshape(rows, columns)
            mask[round(points[0, 2])] ^= inside
        expected = structure.mask(case.segmented.labelmap)
        assert 2 * (mask & expected).sum() / (mask.sum() + expected.sum()) >= 0.999, structure.name


def test_simpleitk_sees_the_frames(made: Callable[[str], Made]) -> None:
    import SimpleITK as sitk

    case = made("axial")
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(case.folder / "segmentation.dcm")))
    total = sum(int(one.mask(case.segmented.labelmap).sum()) for one in case.segmented.structures)
    assert int((array != 0).sum()) == total


# ---- contents --------------------------------------------------------------------------------------------------------


def test_objects_belong_to_the_patient_study_and_frame_of_the_images(made: Callable[[str], Made]) -> None:
    case = made("axial")
    first = case.source.headers[0]
    for file in FILES:
        made_object = pydicom.dcmread(case.folder / file)
        for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "StudyDate"):
            assert made_object[keyword].value == first[keyword].value
        assert "not for diagnostic use" in made_object.SeriesDescription and len(made_object.SeriesDescription) <= 64
        assert made_object.SeriesInstanceUID != first.SeriesInstanceUID
    segmentation = pydicom.dcmread(case.folder / "segmentation.dcm")
    assert segmentation.FrameOfReferenceUID == first.FrameOfReferenceUID
    assert segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID == first.SeriesInstanceUID
    assert segmentation.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == "phantom"


def test_every_contour_and_frame_names_its_own_image(made: Callable[[str], Made]) -> None:
    case = made("uneven")
    where = {str(h.SOPInstanceUID): np.asarray(h.ImagePositionPatient, float) for h in case.source.headers}
    dataset = pydicom.dcmread(case.folder / "rtstruct.dcm")
    listed = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert [str(item.ReferencedSOPInstanceUID) for item in listed.ContourImageSequence] == list(where)
    for roi in dataset.ROIContourSequence:
        for contour in roi.ContourSequence:
            uid = str(contour.ContourImageSequence[0].ReferencedSOPInstanceUID)
            assert float(contour.ContourData[2]) == pytest.approx(where[uid][2], abs=1e-3)
    for frame in pydicom.dcmread(case.folder / "segmentation.dcm").PerFrameFunctionalGroupsSequence:
        uid = str(frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID)
        assert np.asarray(frame.PlanePositionSequence[0].ImagePositionPatient, float) == pytest.approx(where[uid])


def test_decimal_strings_have_at_most_sixteen_characters(made: Callable[[str], Made]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("oblique", "gantry tilt"):
            for file in ("segmentation.dcm", "rtstruct.dcm"):
                for element in pydicom.dcmread(made(name).folder / file).iterall():
                    if element.VR == "DS" and element.value is not None:
                        values = element.value if element.VM > 1 else [element.value]
                        assert all(len(str(value)) <= 16 for value in values), element.keyword


def test_the_report_has_the_volumes_and_names_the_segments(made: Callable[[str], Made]) -> None:
    case = made("axial")
    report = pydicom.dcmread(case.folder / "measurements.dcm")
    segmentation = pydicom.dcmread(case.folder / "segmentation.dcm")
    volumes, segments = [], []
    for element in report.iterall():
        if (
            element.keyword == "MeasuredValueSequence"
            and element.value[0].MeasurementUnitsCodeSequence[0].CodeValue == "ml"
        ):
            volumes.append(float(element.value[0].NumericValue))
        if element.keyword == "ReferencedSegmentNumber":
            segments.append(int(element.value))
    truth = [
        float(one.mask(case.segmented.labelmap).sum()) * case.loaded.volume.voxel_ml
        for one in case.segmented.structures
    ]
    assert volumes == pytest.approx(truth, rel=1e-5)
    assert segments == [1, 2, 3, 4, 5]
    assert segmentation.SOPInstanceUID in report.to_json()


@pytest.mark.parametrize("name", ["axial", "uneven", "missing slices"])
def test_volumes_count_every_slice_with_its_own_thickness(made: Callable[[str], Made], name: str) -> None:
    """Truth: voxels of each slice, times a pixel's area, times half the way to each neighbour."""
    case = made(name)
    heights = np.asarray(CASES[name].heights_mm)
    steps = np.diff(heights)
    slabs = (np.concatenate([steps[:1], steps]) + np.concatenate([steps, steps[-1:]])) / 2
    for one, structure in zip(measure(case.loaded.volume, case.segmented), case.segmented.structures, strict=True):
        counts = structure.mask(case.segmented.labelmap).sum(axis=(1, 2))
        assert one.volume_ml == pytest.approx(float(counts @ slabs) * np.prod(PIXEL_MM) / 1000)


def test_the_same_labels_make_the_same_objects_and_others_make_others(
    made: Callable[[str], Made], tmp_path: Path
) -> None:
    case = made("axial")

    def uids(folder: Path) -> list[tuple[str, str]]:
        heads = [pydicom.dcmread(folder / file) for file in FILES]
        return [(str(head.SeriesInstanceUID), str(head.SOPInstanceUID)) for head in heads]

    again, other = tmp_path / "again", tmp_path / "other"
    for folder in (again, other):
        folder.mkdir()
    case.write(again, ("seg", "rtstruct", "sr"))
    case.write(other, ("seg", "rtstruct", "sr"), {"task": "another"})
    assert uids(again) == uids(case.folder)
    assert not set(uids(other)) & set(uids(case.folder))


def test_colours_and_codes_are_those_of_the_structures(made: Callable[[str], Made]) -> None:
    """Truth: CIELab of sRGB by the usual formulas (white point D50 or D65 differ by less than the tolerance here)."""
    import highdicom as hd

    case = made("axial")
    items = pydicom.dcmread(case.folder / "segmentation.dcm").SegmentSequence
    for structure, item in zip(case.segmented.structures, items, strict=True):
        shown = hd.color.CIELabColor.from_dicom_value(tuple(item.RecommendedDisplayCIELabValue)).to_rgb()
        assert np.asarray(shown) == pytest.approx(np.asarray(structure.color) * 255, abs=2)
    kidney = items[3].SegmentedPropertyTypeCodeSequence[0]
    assert (kidney.CodeValue, kidney.CodingSchemeDesignator) == ("64033007", "SCT")
    assert kidney.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"


def test_our_codes_are_in_pydicoms_dictionary() -> None:
    from pydicom.sr._concepts_dict import concepts

    known = {value for entry in concepts["SCT"].values() for value in entry}
    assert {code.value for code in COMMON.values()} <= known
    assert kind_of(Structure("liver", (1,), (1, 1, 1)))[0] == COMMON["liver"]
    own, _ = kind_of(Structure("a_name_nobody_knows_yet", (1,), (1, 1, 1)))
    assert own.scheme == "99DICOMWORKBENCH" and len(own.value) <= 16


# ---- what cannot be written, and what is wrong -----------------------------------------------------------------------


def test_overlapping_structures_are_written_as_binary_where_a_labelmap_was_asked_for(tmp_path: Path) -> None:
    case = Made(tmp_path, CASES["axial"], ("seg-labelmap",))
    assert any("overlap" in warning for warning in case.warnings)
    assert pydicom.dcmread(tmp_path / "segmentation.dcm").SegmentationType == "BINARY"
    case.segmented = replace(case.segmented, structures=case.segmented.structures[:4])
    assert case.write(tmp_path, ("seg-labelmap",)) == []
    assert pydicom.dcmread(tmp_path / "segmentation.dcm").SegmentationType == "LABELMAP"
    found = dict(structures_of_segmentation(tmp_path / "segmentation.dcm", planes_of(case.grid())))
    assert all((found[one.name] == one.mask(case.segmented.labelmap)).all() for one in case.segmented.structures)


def test_images_without_a_frame_of_reference_get_no_objects_and_a_reason(
    made: Callable[[str], Made], tmp_path: Path
) -> None:
    case = made("axial")
    bare = pydicom.dcmread(sorted(case.scan.iterdir())[0], stop_before_pixels=True)
    del bare.FrameOfReferenceUID
    source = replace(case.source, headers=[bare, *case.source.headers[1:]])
    result = Result(case.loaded.volume, case.segmented, [], [], {})
    said = write_objects(tmp_path, source, result, ("seg", "rtstruct"), NEVER)
    assert said == ["no DICOM objects were written: the images have no FrameOfReferenceUID"]
    assert not list(tmp_path.iterdir())


def test_warnings_say_what_tilt_and_uneven_slices_mean(made: Callable[[str], Made]) -> None:
    assert made("axial").warnings == []
    assert "tilted" in made("gantry tilt").warnings[0]
    assert "uneven" in made("uneven").warnings[0]


def test_a_shifted_or_changed_object_does_not_pass(made: Callable[[str], Made], tmp_path: Path) -> None:
    case = made("axial")
    masks = {one.name: one.mask(case.segmented.labelmap) for one in case.segmented.structures}
    manifest = {"grid": case.grid(), "structures": [{"name": name} for name in masks]}

    def problems() -> list[str]:
        return list(problems_of_objects(tmp_path, manifest, masks.__getitem__))

    for file in FILES[:2]:
        shutil.copy(case.folder / file, tmp_path)
    assert problems() == []
    segmentation = pydicom.dcmread(tmp_path / "segmentation.dcm")
    pixels = bytearray(segmentation.PixelData)
    pixels[len(pixels) // 2] ^= 8
    segmentation.PixelData = bytes(pixels)
    segmentation.save_as(tmp_path / "segmentation.dcm")
    drawn = pydicom.dcmread(tmp_path / "rtstruct.dcm")
    for contour in drawn.ROIContourSequence[0].ContourSequence:
        contour.ContourData = [float(v) + (6.0 if n % 3 == 0 else 0.0) for n, v in enumerate(contour.ContourData)]
    drawn.save_as(tmp_path / "rtstruct.dcm")
    found = " ".join(problems())
    assert "1 voxels" in found and "Dice" in found
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        frame.PlanePositionSequence[0].ImagePositionPatient = [position[0] + 1, position[1], position[2]]
    segmentation.save_as(tmp_path / "segmentation.dcm")
    assert "shifted" in " ".join(problems())


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (None, ""),
        ("volume", "9999 as volume_ml"),
        ("mean", "9999 as mean"),
        ("segment", "does not have"),
        ("object", "does not have"),
        ("code", "another code"),
        ("twice", "twice"),
        ("lacks", "lacks"),
        ("scheme", "another code"),
        ("unit", "has no volume_ml"),
        ("no mean", "has no mean"),
        ("source", "another series"),
        ("evidence", "other images"),
    ],
)
def test_a_report_with_other_figures_segments_or_codes_does_not_pass(
    made: Callable[[str], Made], tmp_path: Path, broken: str | None, reason: str
) -> None:
    case = made("axial")
    figures = [asdict(one) for one in measure(case.loaded.volume, case.segmented)]
    for file in (FILES[0], FILES[2]):
        shutil.copy(case.folder / file, tmp_path)
    report = pydicom.dcmread(tmp_path / "measurements.dcm")
    groups = report.ContentSequence[-1].ContentSequence
    numbers = [item for item in groups[0].ContentSequence if item.ValueType == "NUM"]
    (image,) = (item for item in groups[0].ContentSequence if item.ValueType == "IMAGE")
    if broken in ("volume", "mean"):
        numbers[broken == "mean"].MeasuredValueSequence[0].NumericValue = 9999
    elif broken == "segment":
        image.ReferencedSOPSequence[0].ReferencedSegmentNumber = 77
    elif broken == "object":
        image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3"
    elif broken == "code":
        (finding,) = (
            item for item in groups[0].ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "121071"
        )
        finding.ConceptCodeSequence[0].CodeValue = "1"
    elif broken == "scheme":
        (finding,) = (
            item for item in groups[0].ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "121071"
        )
        finding.ConceptCodeSequence[0].CodingSchemeDesignator = "99OTHER"
    elif broken == "unit":
        numbers[0].MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue = "mm3"
    elif broken == "no mean":
        groups[0].ContentSequence = [item for item in groups[0].ContentSequence if item is not numbers[1]]
    elif broken == "source":
        (series,) = (
            item for item in groups[0].ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "121232"
        )
        series.UID = "1.2.3.4"
    elif broken == "evidence":
        report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[-1].SeriesInstanceUID = "1.2.3.4"
    elif broken == "twice":
        groups.append(groups[0])
    elif broken == "lacks":
        del groups[1]
    report.save_as(tmp_path / "measurements.dcm")
    masks = {one.name: one.mask(case.segmented.labelmap) for one in case.segmented.structures}
    found = list(problems_of_objects(tmp_path, {"grid": case.grid(), "structures": figures}, masks.__getitem__))
    assert all("measurements.dcm" in one for one in found)
    assert reason in " ".join(found) if broken else not found


def test_a_structure_with_a_name_longer_than_a_label_passes(tmp_path: Path) -> None:
    case = Made(tmp_path, CASES["axial"])
    long = replace(
        case.segmented.structures[0], name="a_structure_whose_name_an_engine_has_made_of_many_words_one_after_the_other"
    )
    case.segmented = replace(case.segmented, structures=(long, *case.segmented.structures[1:]))
    for file in FILES:
        (tmp_path / file).unlink()
    case.write(tmp_path, ("seg", "rtstruct", "sr"))
    masks = {one.name: one.mask(case.segmented.labelmap) for one in case.segmented.structures}
    figures = [asdict(one) for one in measure(case.loaded.volume, case.segmented)]
    assert list(problems_of_objects(tmp_path, {"grid": case.grid(), "structures": figures}, masks.__getitem__)) == []


def test_a_report_without_the_segmentation_it_is_about_does_not_pass(
    made: Callable[[str], Made], tmp_path: Path
) -> None:
    shutil.copy(made("axial").folder / FILES[2], tmp_path)
    manifest = {"grid": made("axial").grid(), "structures": []}
    assert "is not there" in " ".join(problems_of_objects(tmp_path, manifest, {}.__getitem__))


@pytest.mark.parametrize("order", [None, "shuffled"])
def test_a_multi_frame_scan_is_referred_to_by_frames(tmp_path: Path, order: str | None) -> None:
    """Truth: the sample's frames, in the order of their positions and in another one."""
    scan = enhanced_scan(tmp_path, shuffled=order is not None)
    loaded = job_input.load([scan], no_progress, NEVER)
    assert loaded.source is not None
    labels = np.zeros(loaded.volume.array.shape, np.uint16)
    labels[2:5, 10:20, 12:30] = 1
    segmented = Segmented(labels, (Structure("liver", (1,), (1, 0, 0)),), {"name": "phantom", "version": "1"})
    result = Result(loaded.volume, segmented, measure(loaded.volume, segmented), [], {})
    assert write_objects(tmp_path, loaded.source, result, ("seg", "rtstruct", "sr"), NEVER) == []
    heads = pydicom.dcmread(scan, stop_before_pixels=True)
    for contour in pydicom.dcmread(tmp_path / "rtstruct.dcm").ROIContourSequence[0].ContourSequence:
        number = int(contour.ContourImageSequence[0].ReferencedFrameNumber)
        item = heads.PerFrameFunctionalGroupsSequence[number - 1]
        assert float(contour.ContourData[2]) == pytest.approx(
            float(item.PlanePositionSequence[0].ImagePositionPatient[2])
        )
    planes = planes_of({"shape_kji": labels.shape, "matrix_lps": loaded.volume.matrix_lps.tolist()})
    found = dict(structures_of_segmentation(tmp_path / "segmentation.dcm", planes))
    assert (found["liver"] == (labels == 1)).all()
    if shutil.which("dciodvfy"):
        for file in FILES:
            said = subprocess.run(
                ["dciodvfy", "-new", str(tmp_path / file)], capture_output=True, text=True, check=False
            )
            assert "Error" not in said.stdout + said.stderr, said.stdout + said.stderr


def enhanced_scan(folder: Path, *, shuffled: bool) -> Path:
    from DicomWorkbenchLib.samples.dicom_writer import SeriesOf, Subject, save
    from DicomWorkbenchLib.samples.enhanced_ct import enhanced_ct
    from DicomWorkbenchLib.samples.grid import ImageGrid

    grid = ImageGrid(8, 40, 48, (2.0, 2.0), 3.0)
    order = [3, 0, 5, 1, 7, 2, 6, 4] if shuffled else list(range(8))
    subject = Subject("enhanced", name="A^B", patient_id="X", study_description="")
    dataset = enhanced_ct(SeriesOf(subject, "CT", 2, "Enhanced"), grid, 1, order)
    random = np.random.default_rng(0).integers(0, 1000, (8, 40, 48)).astype("<i2")
    dataset.PixelData = random.tobytes()
    path = folder / "enhanced.dcm"
    save(dataset, path)
    return path
