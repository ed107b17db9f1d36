"""The panel, opened, filled in and clicked on the stand-in for Slicer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from SlicerHost.testing import panel_test

PATIENTS = (1, 5, 14)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from DicomWorkbenchLib.samples.liver_cohort import make_liver_cohort

    folder = tmp_path_factory.mktemp("panel") / "cohort"
    make_liver_cohort(folder, patients=PATIENTS)
    return folder


def scanned(panel: Any, cohort: Path) -> None:
    panel.ui.datasetEdit.currentPath = str(cohort)
    panel.click(panel.ui.scanButton)
    panel.wait_until(lambda: not panel.widget.job.running, timeout_s=60)
    assert panel.ui.patientTable.rowCount == len(PATIENTS), panel.ui.statusLabel.text


@panel_test("TumorAnalysis", timeout_s=120)
def test_a_disabled_button_says_why(panel: Any) -> None:
    for button in ("scanButton", "showButton", "analyseAllButton", "exportButton", "analyseSceneButton"):
        assert not getattr(panel.ui, button).enabled
        assert "first" in getattr(panel.ui, button).toolTip.lower()


@panel_test("TumorAnalysis", timeout_s=120)
def test_a_data_set_is_scanned_shown_analysed_and_exported(panel: Any, cohort: Path, tmp_path: Path) -> None:
    import qt

    scanned(panel, cohort)
    names = [panel.ui.patientTable.item(row, 0).text() for row in range(3)]
    assert names == ["patient1", "patient5", "patient14"]
    panel.ui.patientTable.selectRow(0)
    panel.click(panel.ui.showButton)
    panel.wait_until(lambda: not panel.widget.job.running, timeout_s=60)
    assert panel.logic.shown is not None, panel.ui.statusLabel.text
    assert "livertumor03" in [
        panel.ui.structureTable.item(r, 0).text() for r in range(panel.ui.structureTable.rowCount)
    ]
    panel.ui.structureTable.item(0, 0).setCheckState(qt.Qt.Unchecked)
    shown, first = panel.logic.shown, panel.ui.structureTable.item(0, 0).text()
    segment = shown.segmentation.GetSegmentation().GetSegmentIdBySegmentName(first)
    assert not shown.segmentation.GetDisplayNode().GetSegmentVisibility(segment)
    panel.ui.windowCombo.currentIndex = 3
    panel.ui.windowCombo.activated(3)
    assert shown.volume.GetScalarVolumeDisplayNode().GetWindow() == 1600
    panel.click(panel.ui.analyseAllButton)
    panel.wait_until(lambda: not panel.widget.job.running, timeout_s=90)
    assert panel.ui.lesionTable.rowCount == 7, panel.ui.statusLabel.text
    panel.ui.lesionTable.selectRow(2)
    lines = panel.slicer.util.getNodesByClass("vtkMRMLMarkupsLineNode")
    assert [round(line.GetMeasurement("length").GetValue(), 2) for line in lines] == [
        round(panel.logic.session.lesions[2][key], 2) for key in ("longest_diameter_mm", "short_axis_mm")
    ]
    panel.click(panel.ui.burdenPlotButton)
    assert panel.slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    panel.picture("analysed")
    panel.ui.outputEdit.currentPath = str(tmp_path / "report")
    panel.click(panel.ui.exportButton)
    assert (tmp_path / "report" / "report.html").is_file()
    assert (tmp_path / "report" / "cohort.xlsx").is_file()


@panel_test("TumorAnalysis", timeout_s=120)
def test_a_role_chosen_by_the_user_counts_in_the_next_analysis(panel: Any, cohort: Path) -> None:
    scanned(panel, cohort)
    panel.ui.patientTable.selectRow(2)
    panel.click(panel.ui.showButton)
    panel.wait_until(lambda: not panel.widget.job.running, timeout_s=60)
    rows = [panel.ui.structureTable.item(r, 0).text() for r in range(panel.ui.structureTable.rowCount)]
    panel.ui.structureTable.selectRow(rows.index("metastasectomie"))
    panel.ui.roleCombo.currentText = "lesion"
    panel.ui.roleCombo.activated(panel.ui.roleCombo.currentIndex)
    panel.click(panel.ui.analysePatientButton)
    panel.wait_until(lambda: not panel.widget.job.running, timeout_s=60)
    assert [panel.ui.lesionTable.item(0, 1).text()] == ["metastasectomie"], panel.ui.statusLabel.text


@panel_test("TumorAnalysis", timeout_s=120)
def test_a_segmentation_of_the_scene_is_measured(panel: Any) -> None:
    from TumorAnalysisLib import mrml

    volume, segmentation = mrml.example_scene()
    panel.ui.volumeSelector.setCurrentNode(volume)
    panel.ui.segmentationSelector.setCurrentNode(segmentation)
    assert panel.ui.organCombo.currentText == "liver"
    panel.ui.inputTabs.currentIndex = 1
    import qt

    model = panel.ui.lesionCombo.checkableModel()
    panel.ui.lesionCombo.setCheckState(model.index(1, 0), qt.Qt.Checked)
    panel.click(panel.ui.analyseSceneButton)
    panel.wait_until(lambda: not panel.widget.job.running, timeout_s=60)
    assert panel.ui.lesionTable.rowCount == 1, panel.ui.statusLabel.text
    assert abs(float(panel.ui.lesionTable.item(0, 3).text()) - 20) < 0.5


@panel_test("TumorAnalysis", timeout_s=120)
def test_cancel_ends_the_job_and_leaves_nothing(panel: Any, cohort: Path) -> None:
    panel.ui.datasetEdit.currentPath = str(cohort)
    panel.click(panel.ui.scanButton)
    panel.click(panel.ui.cancelButton)
    panel.wait_until(lambda: not panel.widget.job.running, timeout_s=10)
    assert "Cancelled" in panel.ui.statusLabel.text


@panel_test("TumorAnalysis", timeout_s=120)
def test_a_broken_data_set_is_explained(panel: Any, tmp_path: Path) -> None:
    panel.ui.datasetEdit.currentPath = str(tmp_path)
    panel.click(panel.ui.scanButton)
    panel.wait_until(lambda: not panel.widget.job.running, timeout_s=30)
    assert "no patient in a known layout" in panel.ui.statusLabel.text


@panel_test("TumorAnalysis", timeout_s=120)
def test_the_self_test_passes_and_the_scene_can_be_closed(panel: Any) -> None:
    assert panel.run_self_test() == 2
    panel.close_scene()
    panel.leave()
    panel.come_back()
