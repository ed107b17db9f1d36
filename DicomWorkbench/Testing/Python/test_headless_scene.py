"""The headless scene behaves like Slicer's: nodes, ``slicer.util``, files, subject hierarchy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DicomWorkbenchLib.headless import boot
from numpy.testing import assert_allclose, assert_array_equal

pytestmark = pytest.mark.needs("module:slicer")

# 12 degrees about S, then spacing 1.5 x 2 x 3 mm: index to RAS of a tilted CT
TURN = np.deg2rad(12.0)
OBLIQUE = np.array(
    [
        [-np.cos(TURN) * 1.5, np.sin(TURN) * 2.0, 0, 41.0],
        [-np.sin(TURN) * 1.5, -np.cos(TURN) * 2.0, 0, 17.5],
        [0, 0, 3.0, -120.25],
        [0, 0, 0, 1],
    ]
)
NODE_CLASSES = """ScalarVolume LabelMapVolume VectorVolume StreamingVolume Segmentation MarkupsFiducial MarkupsLine
    MarkupsAngle MarkupsCurve MarkupsClosedCurve MarkupsPlane MarkupsROI Sequence SequenceBrowser Table Text PlotChart
    PlotSeries LinearTransform GridTransform BSplineTransform ScriptedModule Model ColorTable VolumeProperty SceneView
    CropVolumeParameters GPURayCastVolumeRenderingDisplay"""


@pytest.fixture
def slicer() -> Any:
    boot()
    import slicer

    slicer.mrmlScene.Clear(0)
    return slicer


@pytest.fixture
def ct(slicer: Any) -> Any:
    """A tilted CT of 4 slices, 6 rows, 8 columns, every voxel different."""
    node = slicer.util.addVolumeFromArray(
        np.arange(192, dtype=np.int16).reshape(4, 6, 8) - 100,
        ijkToRAS=OBLIQUE,
        name="CT",
        nodeClassName="vtkMRMLScalarVolumeNode",
    )
    node.CreateDefaultDisplayNodes()
    return node


@pytest.fixture
def organs(slicer: Any, ct: Any) -> Any:
    """A segmentation of two segments, 18 and 8 voxels, made from a label map."""
    labels = np.zeros((4, 6, 8), np.uint8)
    labels[1:3, 1:4, 1:4] = 1
    labels[1:3, 1:3, 5:7] = 2
    label_node = slicer.util.addVolumeFromArray(labels, OBLIQUE, "labels", "vtkMRMLLabelMapVolumeNode")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    node.CreateDefaultDisplayNodes()
    slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(label_node, node)
    slicer.mrmlScene.RemoveNode(label_node)
    return node


def hierarchy(slicer: Any) -> Any:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def folder_children(slicer: Any, folder: int) -> list[str]:
    import vtk

    items = vtk.vtkIdList()
    hierarchy(slicer).GetItemChildren(folder, items, True)
    return [hierarchy(slicer).GetItemName(items.GetId(i)) for i in range(items.GetNumberOfIds())]


@pytest.mark.parametrize("name", NODE_CLASSES.split())
def test_every_node_class_is_registered(slicer: Any, name: str) -> None:
    assert slicer.mrmlScene.AddNewNodeByClass(f"vtkMRML{name}Node") is not None


def test_modules_are_found_by_name_and_have_logics(slicer: Any) -> None:
    assert slicer.util.getModuleLogic("Volumes").IsA("vtkSlicerVolumesLogic")
    assert slicer.modules.markups.logic() is slicer.app.applicationLogic().GetModuleLogic("Markups")
    assert slicer.modules.segmentations.logic().GetMRMLScene() is slicer.mrmlScene
    with pytest.raises(RuntimeError, match="NoSuchModule"):
        slicer.util.getModule("NoSuchModule")


def test_there_is_no_window_as_in_slicer_without_main_window(slicer: Any) -> None:
    assert slicer.app.layoutManager() is None
    assert slicer.util.mainWindow() is None
    assert slicer.app.testingEnabled()


def test_modules_that_have_other_names_in_the_wheel_have_slicers_names(slicer: Any) -> None:
    import vtkITK
    import vtkSegmentationCore

    assert vtkITK.vtkITKLabelShapeStatistics() is not None
    assert vtkSegmentationCore.vtkSegmentation() is not None


def test_terminology_knows_the_liver(slicer: Any) -> None:
    logic = slicer.modules.terminologies.logic()
    entry = slicer.vtkSlicerTerminologyEntry()
    text = "SlicerGeneralAnatomy~SCT^123037004^Anatomical Structure~SCT^10200004^Liver~^^~DICOM-Master~^^~^^"
    assert logic.DeserializeTerminologyEntry(text, entry)
    assert entry.GetTypeObject().GetCodeMeaning() == "Liver"


def test_array_of_a_volume_is_kji_and_its_memory(slicer: Any, ct: Any) -> None:
    array = slicer.util.arrayFromVolume(ct)
    assert array.shape == (4, 6, 8)
    array[0, 0, 0] = 77
    slicer.util.arrayFromVolumeModified(ct)
    assert slicer.util.array("CT")[0, 0, 0] == 77


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz", ".mha"])
def test_oblique_volume_returns_from_a_file_with_its_matrix(slicer: Any, ct: Any, tmp_path: Path, ending: str) -> None:
    import vtk

    path = str(tmp_path / f"ct{ending}")
    assert slicer.util.saveNode(ct, path)
    back = slicer.util.loadVolume(path, {"name": "back"})
    matrix = vtk.vtkMatrix4x4()
    back.GetIJKToRASMatrix(matrix)
    # NIfTI stores the matrix in float32
    assert_allclose(slicer.util.arrayFromVTKMatrix(matrix), OBLIQUE, atol=2e-5)
    assert_array_equal(slicer.util.arrayFromVolume(back), slicer.util.arrayFromVolume(ct))
    assert (back.GetName(), back.GetDisplayNode() is not None) == ("back", True)
    assert slicer.app.applicationLogic().GetSelectionNode().GetActiveVolumeID() == back.GetID()


def test_exporting_leaves_the_storage_node_alone(slicer: Any, ct: Any, tmp_path: Path) -> None:
    assert slicer.util.exportNode(ct, str(tmp_path / "out.nii.gz"), {})
    assert (tmp_path / "out.nii.gz").stat().st_size > 0
    assert ct.GetStorageNode() is None


def test_exporting_in_world_coordinates_applies_the_transform(slicer: Any, tmp_path: Path) -> None:
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "P")
    points.AddControlPoint([1.0, 2.0, 3.0])
    shift = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shift")
    matrix = np.eye(4)
    matrix[:3, 3] = 10, 20, 30
    slicer.util.updateTransformMatrixFromArray(shift, matrix)
    points.SetAndObserveTransformNodeID(shift.GetID())
    assert slicer.util.exportNode(points, str(tmp_path / "P.mrk.json"), {}, world=True)
    back = slicer.util.loadMarkups(str(tmp_path / "P.mrk.json"))
    assert_allclose(slicer.util.arrayFromMarkupsControlPoints(back), [[11, 22, 33]])
    assert points.GetTransformNodeID() == shift.GetID()


def test_a_missing_file_is_named(slicer: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"nowhere\.nrrd"):
        slicer.util.loadVolume(str(tmp_path / "nowhere.nrrd"))


def test_a_file_that_is_no_volume_is_refused(slicer: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.nrrd").write_bytes(b"NRRD0004\nthis is not a header")
    with pytest.raises(RuntimeError, match="could not be read as VolumeFile"):
        slicer.util.loadVolume(str(tmp_path / "broken.nrrd"))


def test_segmentation_holds_the_voxels_of_its_label_map(slicer: Any, ct: Any, organs: Any) -> None:
    segmentation = organs.GetSegmentation()
    first, second = (
        slicer.util.arrayFromSegmentBinaryLabelmap(organs, segmentation.GetNthSegmentID(i), ct) for i in (0, 1)
    )
    assert (first.sum(), second.sum()) == (18, 8)
    assert first[1, 1, 1] == 1
    assert second[1, 1, 5] == 1


def test_segmentation_is_edited_by_array(slicer: Any, ct: Any, organs: Any) -> None:
    segment_id = organs.GetSegmentation().GetNthSegmentID(0)
    mask = np.zeros((4, 6, 8), np.uint8)
    mask[0, 0, :3] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, organs, segment_id, ct)
    assert_array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(organs, segment_id, ct), mask)


def test_segmentation_returns_from_seg_nrrd_with_names(slicer: Any, ct: Any, organs: Any, tmp_path: Path) -> None:
    organs.GetSegmentation().GetNthSegment(0).SetName("Liver")
    assert slicer.util.saveNode(organs, str(tmp_path / "organs.seg.nrrd"))
    back = slicer.util.loadSegmentation(str(tmp_path / "organs.seg.nrrd"))
    segmentation = back.GetSegmentation()
    assert segmentation.GetNthSegment(0).GetName() == "Liver"
    voxels = slicer.util.arrayFromSegmentBinaryLabelmap(back, segmentation.GetNthSegmentID(0), ct)
    assert voxels.sum() == 18


def test_segments_become_models_in_a_folder_of_the_hierarchy(slicer: Any, organs: Any) -> None:
    tree = hierarchy(slicer)
    folder = tree.CreateFolderItem(tree.GetSceneItemID(), "models")
    assert slicer.modules.segmentations.logic().ExportAllSegmentsToModels(organs, folder)
    segmentation = organs.GetSegmentation()
    assert folder_children(slicer, folder) == [segmentation.GetNthSegment(i).GetName() for i in (0, 1)]


def test_data_nodes_have_one_hierarchy_item_each_that_goes_with_them(slicer: Any, ct: Any, organs: Any) -> None:
    tree = hierarchy(slicer)
    item = tree.GetItemByDataNode(ct)
    assert item
    assert tree.GetItemName(item) == "CT"
    count = tree.GetNumberOfItems()
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "T")
    assert tree.GetNumberOfItems() == count + 1
    slicer.mrmlScene.RemoveNode(table)
    assert tree.GetNumberOfItems() == count


def test_hidden_nodes_have_no_hierarchy_item(slicer: Any) -> None:
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLModelNode")
    node.UnRegister(None)
    node.SetHideFromEditors(1)
    slicer.mrmlScene.AddNode(node)
    assert not hierarchy(slicer).GetItemByDataNode(node)


def test_markups_are_written_in_lps_and_return_in_ras(slicer: Any, tmp_path: Path) -> None:
    import json

    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Centres")
    slicer.util.updateMarkupsControlPointsFromArray(points, np.array([[10.0, 20, 30], [-1, -2, -3]]))
    points.SetNthControlPointLabel(0, "sphere 10 mm")
    path = tmp_path / "Centres.mrk.json"
    assert slicer.util.saveNode(points, str(path))
    on_disk = json.loads(path.read_text())["markups"][0]
    assert on_disk["coordinateSystem"] == "LPS"
    assert on_disk["controlPoints"][0]["position"] == [-10.0, -20.0, 30.0]
    back = slicer.util.loadMarkups(str(path))
    assert_allclose(slicer.util.arrayFromMarkupsControlPoints(back), [[10, 20, 30], [-1, -2, -3]])
    assert back.GetNthControlPointLabel(0) == "sphere 10 mm"


def test_markups_measure_and_tell_when_a_point_moves(slicer: Any) -> None:
    line = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "L")
    slicer.util.updateMarkupsControlPointsFromArray(line, np.array([[0.0, 0, 0], [0, 3, 4]]))
    assert line.GetLineLengthWorld() == pytest.approx(5.0)
    moved = []
    mixin = slicer.util.VTKObservationMixin()
    mixin.addObserver(line, slicer.vtkMRMLMarkupsNode.PointModifiedEvent, lambda caller, event: moved.append(event))
    line.SetNthControlPointPosition(0, 0, 0, 4)
    mixin.removeObservers()
    assert moved
    assert line.GetLineLengthWorld() == pytest.approx(3.0)


def test_sequence_of_volumes_plays_and_returns_from_its_file(slicer: Any, tmp_path: Path) -> None:
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "Cine")
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("s")
    for frame in range(4):
        volume = slicer.vtkMRMLScalarVolumeNode()
        slicer.util.updateVolumeFromArray(volume, np.full((1, 5, 5), frame * 10, np.int16))
        sequence.SetDataNodeAtValue(volume, str(frame * 0.5))
    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "Browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.SetSelectedItemNumber(3)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    assert slicer.util.arrayFromVolume(browser.GetProxyNode(sequence)).max() == 30
    assert slicer.util.saveNode(sequence, str(tmp_path / "cine.seq.nrrd"))
    back = slicer.util.loadSequence(str(tmp_path / "cine.seq.nrrd"))
    assert [float(back.GetNthIndexValue(i)) for i in range(4)] == [0, 0.5, 1, 1.5]


def test_tables_transforms_texts_and_models_return_from_files(slicer: Any, organs: Any, tmp_path: Path) -> None:
    util, scene = slicer.util, slicer.mrmlScene
    table = scene.AddNewNodeByClass("vtkMRMLTableNode", "T")
    util.updateTableFromArray(table, np.array([[1.0, 2.0], [3.0, 4.0]]), ["a", "b"])
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "X")
    util.updateTransformMatrixFromArray(transform, OBLIQUE)
    text = scene.AddNewNodeByClass("vtkMRMLTextNode", "N")
    text.SetText("über 5 mm")
    organs.CreateClosedSurfaceRepresentation()
    tree = hierarchy(slicer)
    folder = tree.CreateFolderItem(tree.GetSceneItemID(), "models")
    slicer.modules.segmentations.logic().ExportAllSegmentsToModels(organs, folder)
    model = scene.GetFirstNodeByClass("vtkMRMLModelNode")
    for node, name in ((table, "t.tsv"), (transform, "x.h5"), (text, "n.txt"), (model, "m.stl")):
        assert util.saveNode(node, str(tmp_path / name)), name
    back = util.loadTable(str(tmp_path / "t.tsv"))
    assert_allclose(util.arrayFromTableColumn(back, "b").astype(float), [2, 4])
    assert_allclose(util.arrayFromTransformMatrix(util.loadTransform(str(tmp_path / "x.h5"))), OBLIQUE)
    assert util.loadText(str(tmp_path / "n.txt")).GetText() == "über 5 mm"
    bounds, bounds_before = np.zeros(6), np.zeros(6)
    util.loadModel(str(tmp_path / "m.stl")).GetRASBounds(bounds)
    model.GetRASBounds(bounds_before)
    assert_allclose(bounds, bounds_before, atol=1e-3)  # STL holds float32


def test_a_scene_returns_from_an_mrb_whole(slicer: Any, ct: Any, organs: Any, tmp_path: Path) -> None:
    parameters = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "Parameters")
    parameters.SetParameter("threshold", "12")
    parameters.SetNodeReferenceID("Input", ct.GetID())
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "P")
    points.AddControlPoint([1, 2, 3], "one")
    tree = hierarchy(slicer)
    tree.SetItemParent(tree.GetItemByDataNode(points), tree.CreateFolderItem(tree.GetSceneItemID(), "Study"))
    voxels = slicer.util.arrayFromVolume(ct).copy()
    assert slicer.util.saveScene(str(tmp_path / "case.mrb"))

    slicer.mrmlScene.Clear(0)
    assert slicer.mrmlScene.GetFirstNodeByName("CT") is None
    slicer.util.loadScene(str(tmp_path / "case.mrb"))

    back = slicer.util.getNode("Parameters")
    assert back.GetParameter("threshold") == "12"
    assert_array_equal(slicer.util.arrayFromVolume(back.GetNodeReference("Input")), voxels)
    assert slicer.util.getNode("Organs").GetSegmentation().GetNumberOfSegments() == 2
    tree = hierarchy(slicer)
    study = tree.GetItemParent(tree.GetItemByDataNode(slicer.util.getNode("P")))
    assert tree.GetItemName(study) == "Study"
    assert tree.GetItemName(tree.GetItemByDataNode(slicer.util.getNode("CT"))) == "CT"


def test_a_scene_returns_from_a_folder(slicer: Any, ct: Any, tmp_path: Path) -> None:
    assert slicer.util.saveScene(str(tmp_path / "case"))
    (scene_file,) = (tmp_path / "case").glob("*.mrml")
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(scene_file))
    assert slicer.util.arrayFromVolume(slicer.util.getNode("CT")).shape == (4, 6, 8)


def test_a_child_process_can_be_started_as_in_slicer(slicer: Any) -> None:
    import sys

    process = slicer.util.launchConsoleProcess([sys.executable, "-c", "print('from the child')"])
    output, _ = process.communicate(timeout=60)
    assert output.strip() == "from the child"


def test_small_functions_of_slicer_util_work(slicer: Any, ct: Any, tmp_path: Path) -> None:
    util = slicer.util
    assert list(util.getNodes("CT*").values()) == [ct]
    assert util.getFirstNodeByName("CT") is ct
    assert util.getNodesByClass("vtkMRMLScalarVolumeNode") == [ct]
    assert util.toBool("true")
    (tmp_path / "a.txt").write_text("a")
    assert [Path(p).name for p in util.getFilesInDirectory(str(tmp_path))] == ["a.txt"]
    assert util.computeChecksum("SHA256", str(tmp_path / "a.txt")).startswith("ca978112ca1b")
    with util.NodeModify(ct), util.RenderBlocker():
        ct.SetName("renamed")
    assert util.getNode("renamed") is ct
