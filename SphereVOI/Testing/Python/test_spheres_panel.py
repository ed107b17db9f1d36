"""The panel on the stand-in for Slicer: opened, filled in, clicked, measured, photographed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from SlicerHost.testing import panel_test


def _phantom(panel: Any) -> tuple[Any, dict[str, Any]]:
    """Add an IEC phantom to the scene: six spheres, 4 to 1, a lung insert, voxels of 4 x 4 x 4 mm."""
    import numpy as np
    from DicomWorkbenchLib.geometry import lps_to_ras
    from SphereVOILib.testing_phantom import iec_phantom

    grid, truth = iec_phantom(spacing_mm=(4.0, 4.0, 4.0), noise=0.05, seed=3)
    node = panel.slicer.util.addVolumeFromArray(
        np.asarray(grid.array), np.ascontiguousarray(lps_to_ras(grid.matrix_lps)), "Phantom", "vtkMRMLScalarVolumeNode"
    )
    node.SetAttribute("DicomWorkbench.units", "kBq/ml")
    panel.ui.volumeSelector.setCurrentNode(node)
    panel.wait_until(lambda: "kBq/ml" in panel.ui.unitsLabel.text)
    return node, truth


def _place(panel: Any, truth: dict[str, Any], offset: float = 3.0) -> None:
    """Place one point per sphere, each some millimetres off, as clicks in a view do."""
    import vtk

    panel.click(panel.ui.placeButton)
    clicks = panel.widget._parameterNode.clicks
    for x, y, z in truth.values():
        clicks.AddControlPoint(vtk.vtkVector3d(-x + offset, -y - offset, z + offset))
    panel.wait_until(lambda: len(panel.widget.refined) == len(truth))


@panel_test("SphereVOI")
def test_without_a_volume_every_button_says_why_it_is_off(panel: Any) -> None:
    assert not panel.ui.placeButton.enabled
    assert panel.ui.placeButton.toolTip == "Choose a scan first."
    assert panel.ui.measureButton.toolTip == "Choose a scan first."
    assert panel.ui.exportButton.toolTip == "Measure first."
    panel.wait_until(lambda: panel.ui.targetsTable.rowCount == 6)
    panel.picture("empty")


@panel_test("SphereVOI")
def test_clicks_are_refined_at_once_and_dragging_refines_again(panel: Any) -> None:
    import numpy as np

    _, truth = _phantom(panel)
    _place(panel, truth)
    assert not panel.ui.placeButton.checked  # six spheres, six clicks: placing ends by itself
    found = panel.widget.refined
    for label, center in truth.items():
        assert found[label].found, found[label].reason
        assert np.linalg.norm(found[label].center_lps_mm - np.array(center)) < 0.35
    first = found["S1 37 mm"].center_lps_mm
    panel.widget._parameterNode.clicks.SetNthControlPointPosition(
        0, -truth["S1 37 mm"][0] - 5, -truth["S1 37 mm"][1], truth["S1 37 mm"][2]
    )
    panel.wait_until(lambda: abs(panel.widget.refined["S1 37 mm"].moved_mm - 5.0) < 0.5)
    assert np.linalg.norm(panel.widget.refined["S1 37 mm"].center_lps_mm - first) < 0.02
    circles = [n for n in panel.slicer.util.getNodesByClass("vtkMRMLModelNode") if n.GetAttribute("SphereVOI.role")]
    assert len(circles) == 6
    panel.picture("placed")


@panel_test("SphereVOI")
def test_a_transform_that_is_edited_moves_the_spheres_with_the_volume(panel: Any) -> None:
    import numpy as np
    import vtk

    volume, truth = _phantom(panel)
    shift = panel.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    volume.SetAndObserveTransformNodeID(shift.GetID())
    _place(panel, truth)
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(2, 3, 30.0)  # towards the head; nothing of the volume itself changes
    shift.SetMatrixTransformToParent(matrix)
    clicks = panel.widget._parameterNode.clicks
    for number, (x, y, z) in enumerate(truth.values()):
        clicks.SetNthControlPointPosition(number, -x + 3.0, -y - 3.0, z + 33.0)
    there = np.array(truth["S1 37 mm"]) + np.array([0.0, 0.0, 30.0])
    panel.wait_until(lambda: np.linalg.norm(panel.widget.refined["S1 37 mm"].center_lps_mm - there) < 0.35)


@panel_test("SphereVOI")
def test_undo_takes_back_the_last_click_and_clear_all(panel: Any) -> None:
    _, truth = _phantom(panel)
    _place(panel, truth)
    panel.click(panel.ui.undoButton)
    panel.wait_until(lambda: len(panel.widget.refined) == 5)
    panel.click(panel.ui.clearButton)
    panel.wait_until(lambda: not panel.widget.refined)
    assert panel.ui.undoButton.toolTip == "Place the spheres first."


@panel_test("SphereVOI")
def test_the_table_of_spheres_can_be_edited_and_refuses_nonsense(panel: Any) -> None:
    table = panel.ui.targetsTable
    panel.wait_until(lambda: table.rowCount == 6)
    table.item(5, 1).setText("9.5")
    panel.wait_until(lambda: table.item(5, 0).text() == "S6 9.5 mm")
    table.item(5, 1).setText("wide")
    panel.wait_until(lambda: table.item(5, 1).text() == "9.5")
    panel.click(panel.ui.addButton)
    panel.wait_until(lambda: table.rowCount == 7)
    table.setCurrentCell(6, 0)
    panel.click(panel.ui.removeButton)
    panel.wait_until(lambda: table.rowCount == 6)
    panel.ui.presetComboBox.currentIndex = 1
    panel.widget.onPreset(1)
    panel.wait_until(lambda: table.item(0, 2).text() == "cold")
    panel.user.texts.append("Ours")
    panel.click(panel.ui.savePresetButton)
    assert panel.ui.presetComboBox.currentText == "Ours"
    panel.widget.onPreset(0)
    assert "Ours" in panel.widget.presets()


@panel_test("SphereVOI", timeout_s=120)
def test_measure_fills_tables_plots_and_segmentation_and_exports(panel: Any, tmp_path: Path) -> None:
    _, truth = _phantom(panel)
    _place(panel, truth)
    panel.ui.nemaCheck.checked = True
    panel.ui.earlComboBox.currentText = "v2"
    panel.click(panel.ui.measureButton)
    assert panel.ui.cancelButton.visible
    panel.wait_until(lambda: panel.ui.resultsTable.rowCount == 6, timeout_s=60, what=panel.ui.statusLabel.text)
    assert "6 of 6 spheres found. Values in kBq/ml." in panel.ui.summaryLabel.text
    segmentation = panel.slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[0].GetSegmentation()
    assert [segmentation.GetNthSegment(n).GetName() for n in range(6)] == list(truth)
    charts = [panel.ui.chartComboBox.itemText(n) for n in range(panel.ui.chartComboBox.count)]
    assert {"Contrast against variability", "Recovery coefficients", "Profile S1 37 mm"} <= set(charts)
    panel.widget.onRow(3)
    panel.picture("measured", height=1700)
    panel.ui.chartComboBox.currentText = "Profile S1 37 mm"
    panel.picture("profile", height=1700)
    panel.ui.exportPath.currentPath = str(tmp_path)
    panel.click(panel.ui.exportButton)
    written = {p.name for p in (tmp_path / "SphereVOI results").iterdir()}
    assert {"report.html", "report.json", "outputMetaTargets.xlsx", "spheres.seg.nrrd", "output_images"} <= written


@panel_test("SphereVOI", timeout_s=120)
def test_find_automatically_places_the_clicks_itself(panel: Any) -> None:
    import numpy as np

    _, truth = _phantom(panel)
    panel.click(panel.ui.findButton)
    panel.wait_until(lambda: panel.ui.resultsTable.rowCount == 6 and len(panel.widget.refined) == 6, timeout_s=60)
    for label, center in truth.items():
        assert np.linalg.norm(panel.widget.refined[label].center_lps_mm - np.array(center)) < 0.35


@panel_test("SphereVOI", timeout_s=120)
def test_cancel_ends_the_job_and_says_so(panel: Any) -> None:
    _phantom(panel)
    panel.click(panel.ui.findButton)
    panel.click(panel.ui.cancelButton)
    panel.wait_until(lambda: panel.ui.statusLabel.text == "Cancelled.", timeout_s=20)
    assert panel.ui.findButton.enabled


@panel_test("SphereVOI")
def test_closing_the_scene_empties_the_panel(panel: Any) -> None:
    _, truth = _phantom(panel)
    _place(panel, truth)
    panel.close_scene()
    panel.wait_until(lambda: not panel.widget.refined)
    assert panel.ui.volumeSelector.currentNode() is None
    panel.wait_until(lambda: panel.ui.targetsTable.rowCount == 6)


@panel_test("SphereVOI", main_window=True)
def test_with_views_the_slices_jump_to_the_chosen_sphere(panel: Any) -> None:
    _, truth = _phantom(panel)
    _place(panel, truth)
    panel.widget.onRow(1)
    offset = panel.slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceOffset()
    assert abs(offset - truth["S2 28 mm"][2]) < 0.5


@panel_test("SphereVOI")
def test_a_volume_with_one_slice_is_explained(panel: Any) -> None:
    import numpy as np

    panel.slicer.util.addVolumeFromArray(np.ones((1, 8, 8), np.float32), name="Flat")
    panel.click(panel.ui.placeButton)
    import vtk

    panel.widget._parameterNode.clicks.AddControlPoint(vtk.vtkVector3d(0, 0, 0))
    panel.wait_until(lambda: "only one slice" in panel.ui.statusLabel.text)


@panel_test("SphereVOI")
def test_the_self_test_passes_and_no_text_is_cut(panel: Any) -> None:
    assert panel.run_self_test() >= 1
    assert not panel.cut_texts(360)


@panel_test("SphereVOI", timeout_s=120)
def test_a_job_that_ends_while_another_module_is_shown_is_not_lost(panel: Any) -> None:
    _phantom(panel)
    panel.click(panel.ui.findButton)
    panel.leave()
    panel.wait_until(lambda: panel.ui.resultsTable.rowCount == 6, timeout_s=60)
    panel.come_back()
    panel.wait_until(lambda: len(panel.widget.refined) == 6)
