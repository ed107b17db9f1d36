"""The panel, opened, filled in and clicked on the stand-in for Slicer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from SlicerHost.testing import panel_test

PATIENTS = (1, 14)


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
    names = [panel.ui.patientTable.item(row, 0).text() for row in range(2)]
    assert names == ["patient1", "patient14"]
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
    panel.ui.patientTable.selectRow(1)
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


@panel_test("TumorAnalysis", main_window=True, timeout_s=120)
def test_a_point_clicked_in_a_plot_selects_its_row_and_jumps_there(panel: Any) -> None:
    import vtk
    from TumorAnalysisLib import mrml

    def lesion(patient: str, name: str, at: float) -> dict[str, Any]:
        ends = [[at, 0.0, 0.0], [at + 10, 0.0, 0.0]]
        numbers = dict.fromkeys(
            (
                "volume_ml",
                "longest_diameter_mm",
                "short_axis_mm",
                "feret_mm",
                "sphericity",
                "distance_to_surface_mm",
                "hu_mean",
            ),
            at,
        )
        lines = {"longest_diameter_ends_lps_mm": ends, "short_axis_ends_lps_mm": ends}
        place = {"centroid_ras_mm": [-at, at, 0.0], "contrast_to_parenchyma_hu": None}
        return {"patient": patient, "name": name, **numbers, **lines, **place}

    def patient(name: str, status: str, lesions: list[dict[str, Any]]) -> dict[str, Any]:
        keys = (
            "tumor_count",
            "tumor_count_components",
            "tumor_volume_ml",
            "liver_volume_ml",
            "burden",
            "pixel_mm",
            "slice_spacing_mm",
        )
        return {"id": name, "status": status, "reason": "broken", "lesions": lesions, "structures": [], "warnings": [], "sex": "",
                "slices": 1, **dict.fromkeys(keys, 1.0)}  # fmt: skip

    entries = [
        patient("b0", "failed", []),
        patient("p1", "ok", [lesion("p1", "t1", 1.0)]),
        patient("p2", "ok", [lesion("p2", "t1", 3.0), lesion("p2", "t2", 5.0)]),
    ]
    for entry in entries:
        panel.widget.results.add_patient(entry)
    volume, segmentation = mrml.example_scene()
    panel.logic.shown = mrml.ShownPatient("p2", volume, segmentation, 0, owned=False)
    measured = dict.fromkeys(("patients", "patients_read", "patients_with_lesions", "lesions", "components"), 2)
    panel.widget.results.take(Path(), {"patients": entries, "measured": measured})
    panel.widget.updateButtons()
    view = panel.slicer.app.layoutManager().plotWidget(0).plotView()

    def select(row: int) -> None:
        ids, rows, found = vtk.vtkStringArray(), vtk.vtkIdTypeArray(), vtk.vtkCollection()
        chart = panel.slicer.util.getNodesByClass("vtkMRMLPlotChartNode")[-1]
        ids.InsertNextValue(chart.GetNthPlotSeriesNodeID(0))
        rows.InsertNextValue(row)
        found.AddItem(rows)
        view.dataSelected.emit(ids, found)

    panel.click(panel.ui.sizePlotButton)
    select(2)
    assert panel.ui.lesionTable.currentRow() == 2
    axial = next(n for n in panel.slicer.util.getNodesByClass("vtkMRMLSliceNode") if n.GetOrientation() == "Axial")
    red = axial.GetSliceToRAS()
    assert (red.GetElement(0, 3), red.GetElement(1, 3)) == (-5.0, 5.0)
    panel.click(panel.ui.burdenPlotButton)
    select(1)  # the second patient that could be read is the third of the list
    assert (panel.ui.patientTable.currentRow(), panel.ui.lesionTable.currentRow()) == (2, 1)
    select(0)
    assert (panel.ui.patientTable.currentRow(), panel.ui.lesionTable.currentRow()) == (1, 0)
    assert "p1 is not in the views" in panel.ui.statusLabel.text


@panel_test("TumorAnalysis", timeout_s=120)
def test_a_ct_under_a_transform_is_refused_with_advice(panel: Any, tmp_path: Path) -> None:
    from TumorAnalysisLib import mrml

    volume, segmentation = mrml.example_scene()
    transform = panel.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Registration")
    volume.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(ValueError, match=r"CT Example CT is under the transform Registration.*harden"):
        mrml.save_for_analysis(volume, segmentation, tmp_path / "scene")
    assert not (tmp_path / "scene").exists()


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
