"""The stand-ins for CTK and qMRML widgets work: they follow the scene and keep what a .ui file or a panel gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from SlicerHost.testing import panel_test

TEMPLATE = Path(__file__).parent / "TemplatePanel" / "TemplatePanel.py"


@panel_test(TEMPLATE)
def test_a_node_selector_follows_the_scene(panel: Any) -> None:
    import slicer

    selector, scene = panel.ui.inputSelector, slicer.mrmlScene
    assert selector.nodeCount() == 0
    first = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "first")
    scene.AddNewNodeByClass("vtkMRMLModelNode", "model")
    label = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "label")  # a child class of the wanted one
    assert selector.nodeCount() == 2
    assert selector.currentNode() is None  # noneEnabled
    selector.setCurrentNode(first)
    first.SetName("renamed")
    assert panel.widget._parameterNode.inputVolume is first
    selector.showChildNodeTypes = False
    assert selector.nodeCount() == 1
    scene.RemoveNode(first)
    assert selector.currentNode() is None
    assert selector.currentNodeID == ""
    selector.addAttribute("vtkMRMLScalarVolumeNode", "wanted", "yes")
    selector.showChildNodeTypes = True
    assert selector.nodeCount() == 0
    label.SetAttribute("wanted", "yes")
    selector.removeAttribute("vtkMRMLScalarVolumeNode", "wanted")
    assert selector.nodeCount() == 1


@panel_test(TEMPLATE)
def test_a_node_selector_adds_nodes_and_chooses_them(panel: Any) -> None:
    import slicer

    selector, added = slicer.qMRMLNodeComboBox(), []
    selector.nodeTypes = ["vtkMRMLTableNode"]
    selector.baseName = "Results"
    selector.setMRMLScene(slicer.mrmlScene)
    selector.nodeAddedByUser.connect(added.append)
    node = selector.addNode()
    assert (selector.currentNode(), added) == (node, [node])
    assert node.GetName() == "Results"
    assert selector.nodeTypes == ("vtkMRMLTableNode",)  # string lists are tuples in PythonQt


@panel_test(TEMPLATE)
def test_a_folded_box_hides_its_contents_and_only_those_it_hid(panel: Any) -> None:
    box = panel.ui.advancedButton
    assert (box.collapsed, box.checked, panel.ui.hiddenLabel.visible) == (True, False, False)
    heard: list[bool] = []
    box.connect("contentsCollapsed(bool)", heard.append)
    box.collapsed = False
    panel.process_events()
    assert panel.ui.hiddenLabel.visible
    panel.ui.hiddenLabel.hide()
    box.click()
    box.click()
    panel.process_events()
    assert not panel.ui.hiddenLabel.visible
    assert heard == [False, True, False]


@panel_test(TEMPLATE)
def test_number_widgets_stay_within_their_range(panel: Any) -> None:
    import ctk

    slider, heard = ctk.ctkSliderWidget(), []
    slider.connect("valueChanged(double)", heard.append)
    slider.minimum, slider.maximum, slider.decimals, slider.suffix = -10.0, 10.0, 1, " mm"
    slider.value = 3.26
    slider.value = 99
    assert (slider.value, heard) == (10.0, [3.3, 10.0])
    limits = ctk.ctkRangeWidget()
    limits.setRange(0.0, 50.0)
    limits.setValues(10.0, 20.0)
    limits.minimumValue = 30.0
    assert (limits.minimumValue, limits.maximumValue) == (30.0, 30.0)
    box = ctk.ctkDoubleSpinBox()
    box.maximum = 5.0
    box.value = 7.5
    assert box.value == 5.0


@panel_test(TEMPLATE)
def test_paths_are_browsed_typed_and_remembered(panel: Any, tmp_path: Path) -> None:
    import ctk

    field, heard = ctk.ctkPathLineEdit(), []
    field.filters = ctk.ctkPathLineEdit.Dirs
    field.connect("currentPathChanged(QString)", heard.append)
    panel.user.paths.append(str(tmp_path))
    field.browse()
    assert (field.currentPath, heard) == (str(tmp_path), [str(tmp_path)])
    field.settingKey = "host/folder"
    field.currentPath = str(tmp_path)
    field.addCurrentPathToHistory()
    again = ctk.ctkPathLineEdit()
    again.settingKey = "host/folder"
    assert again.currentPath == str(tmp_path)
    button = ctk.ctkDirectoryButton()
    button.directory = str(tmp_path)
    assert button.directory == str(tmp_path)


@panel_test(TEMPLATE)
def test_a_checkable_combo_box_keeps_its_marks(panel: Any) -> None:
    import ctk
    import qt

    box, heard = ctk.ctkCheckableComboBox(), []
    box.addItems(["liver", "lung"])
    box.connect("checkedIndexesChanged()", lambda: heard.append(len(box.checkedIndexes())))
    box.setCheckState(box.model().index(1, 0), qt.Qt.Checked)
    assert [index.data() for index in box.checkedIndexes()] == ["lung"]
    assert heard == [1]
    assert not box.allChecked()


@panel_test(TEMPLATE)
def test_a_table_view_shows_and_follows_its_node(panel: Any) -> None:
    import numpy as np
    import qt
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode")
    slicer.util.updateTableFromArray(node, (np.array([1.5, 10.0]), np.array([4, 5])), ["radius_mm", "count"])
    view = slicer.qMRMLTableView()
    view.setMRMLScene(slicer.mrmlScene)
    view.setMRMLTableNode(node)
    assert view.model().rowCount() == 2
    assert view.model().headerData(0, qt.Qt.Horizontal) == "radius_mm"
    assert view.model().index(0, 0).data() == "1.5"
    slicer.util.updateTableFromArray(node, (np.array([1.0, 2.0, 3.0]),), ["radius_mm"])
    assert view.model().rowCount() == 3
    panel.close_scene()
    assert view.mrmlTableNode() is None


@panel_test(TEMPLATE)
def test_a_plot_view_draws_its_chart(panel: Any) -> None:
    import numpy as np
    import slicer

    values = np.column_stack([np.arange(20.0), np.arange(20.0) ** 2])
    chart = slicer.util.plot(values, 0, columnNames=["x", "square"], title="Squares", show=False)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotViewNode")
    view = slicer.qMRMLPlotView()
    view.setMRMLScene(slicer.mrmlScene)
    view.setMRMLPlotViewNode(node)
    view.resize(300, 200)
    empty = view.grab().toImage()
    node.SetPlotChartNodeID(chart.GetID())
    assert view.title == "Squares"
    assert view.grab().toImage() != empty


@panel_test(TEMPLATE)
def test_points_are_placed_listed_and_deleted(panel: Any) -> None:
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    node.AddControlPoint(1, 2, 3)
    points = slicer.qSlicerSimpleMarkupsWidget()
    points.setMRMLScene(slicer.mrmlScene)
    points.setCurrentNode(node)
    node.AddControlPoint(4, 5, 6)
    assert points.tableWidget().rowCount == 2
    assert points.tableWidget().item(1, 3).text() == "6.000"
    placer, heard = points.markupsPlaceWidget(), []
    placer.connect("activeMarkupsPlaceModeChanged(bool)", heard.append)
    placer.setPlaceModeEnabled(True)
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)  # the user presses Escape
    assert heard == [True, False]
    placer.deleteLastPoint()
    assert node.GetNumberOfControlPoints() == 1


@panel_test(TEMPLATE)
def test_segments_are_listed_and_chosen(panel: Any) -> None:
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.GetSegmentation().AddEmptySegment("liver", "Liver")
    table, selector, heard = slicer.qMRMLSegmentsTableView(), slicer.qMRMLSegmentSelectorWidget(), []
    table.setSegmentationNode(node)
    selector.setMRMLScene(slicer.mrmlScene)
    selector.setCurrentNode(node)
    node.GetSegmentation().AddEmptySegment("lesion", "Lesion")
    assert (table.segmentCount, selector.segmentIDs()) == (2, ("liver", "lesion"))
    table.setSelectedSegmentIDs(["lesion"])
    assert table.selectedSegmentIDs() == ("lesion",)
    selector.connect("currentSegmentChanged(QString)", heard.append)
    selector.setCurrentSegmentID("lesion")
    assert (selector.currentSegmentID(), heard) == ("lesion", ["lesion"])
    assert slicer.modules.segmentations.logic() is not None


@panel_test(TEMPLATE)
def test_volumes_tables_and_scenes_are_saved_and_loaded(panel: Any, tmp_path: Path) -> None:
    import SampleData
    import slicer

    volume = SampleData.downloadSample("TemplateRamp")
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.widget._parameterNode.factor = 4.0
    assert slicer.util.saveNode(volume, str(tmp_path / "ramp.nrrd"))
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    panel.close_scene()
    assert panel.widget._parameterNode.factor == 2.0
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    panel.widget.initializeParameterNode()
    assert panel.widget._parameterNode.factor == 4.0
    assert panel.ui.inputSelector.currentNode().GetName() == "TemplateRamp"
    panel.close_scene()
    loaded = slicer.util.loadVolume(str(tmp_path / "ramp.nrrd"))
    assert slicer.util.arrayFromVolume(loaded).max() == 59
    with pytest.raises(RuntimeError):
        slicer.util.loadVolume(str(tmp_path / "none.nrrd"))


@panel_test(TEMPLATE)
def test_a_series_goes_through_the_dicom_database(panel: Any, tmp_path: Path) -> None:
    """Truth: the ramp along z that the slices were written with, in shuffled file order."""
    import numpy as np
    import slicer
    from DICOMLib import DICOMUtils

    uid = _write_series(tmp_path, [3, 0, 2, 1])
    DICOMUtils.importDicom(str(tmp_path))
    database = slicer.dicomDatabase
    (patient,) = database.patients()
    (study,) = database.studiesForPatient(patient)
    assert database.seriesForStudy(study) == (uid,)
    files = database.filesForSeries(uid)
    assert len(files) == 4
    assert database.fileValue(files[0], "0008,0060") == "CT"
    (node_id,) = DICOMUtils.loadSeriesByUID([uid])
    array = slicer.util.arrayFromVolume(slicer.mrmlScene.GetNodeByID(node_id))
    assert np.array_equal(array[:, 0, 0], [0, 1, 2, 3])


def _write_series(folder: Path, order: list[int]) -> str:
    import numpy as np
    import pydicom
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for number, z in enumerate(order):
        header = pydicom.Dataset()
        header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, generate_uid()
        header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = study, series, frame
        header.PatientID, header.PatientName, header.Modality = "P1", "Test^Panel", "CT"
        header.SeriesDescription = "ramp"
        header.Rows = header.Columns = 8
        header.PixelSpacing, header.SliceThickness = [1.0, 1.0], 2.0
        header.ImageOrientationPatient, header.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 2.0 * z]
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated = header.BitsStored = 16
        header.HighBit, header.PixelRepresentation, header.InstanceNumber = 15, 1, number + 1
        header.RescaleSlope, header.RescaleIntercept = 1, 0
        header.PixelData = np.full((8, 8), z, dtype=np.int16).tobytes()
        header.file_meta = pydicom.dataset.FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return str(series)
