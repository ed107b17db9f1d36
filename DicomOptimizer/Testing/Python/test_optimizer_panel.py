"""The panel on the stand-in for Slicer: opened, filled in, clicked and photographed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from DicomWorkbenchLib.samples.ct_rtstruct import make_ct_rtstruct
from SlicerHost.testing import panel_test

pytestmark = [pytest.mark.needs("module:slicer"), pytest.mark.needs("module:PySide6")]


ALL = {"decimated": True, "eightBit": True, "resize": True}


def looked(panel: Any, folder: Path, **fields: object) -> Any:
    """Choose a folder, set fields, wait for the look at it; returns the parameter node."""
    if not folder.exists():
        make_ct_rtstruct(folder, slices=12, size=64)
    parameters = panel.widget._parameterNode
    for name, value in {**ALL, **fields}.items():
        setattr(parameters, name, value)
    panel.ui.folderPathEdit.currentPath = str(folder)
    panel.wait_until(lambda: panel.ui.seriesTable.rowCount > 0 and not panel.widget.look.running, timeout_s=60)
    return parameters


def cut(panel: Any, folder: Path) -> list[str]:
    """Texts that are cut, apart from the path the user chose, which may be of any length."""
    return [text for text in panel.cut_texts() if str(folder) not in text]


def cells(table: Any, row: int) -> list[str]:
    return [table.item(row, column).text() for column in range(table.columnCount)]


@panel_test("DicomOptimizer")
def test_an_empty_panel_says_what_is_missing_and_cuts_no_text(panel: Any) -> None:
    assert not panel.ui.runButton.enabled
    assert "Choose a folder" in panel.ui.runButton.toolTip
    assert not panel.cut_texts()
    assert not panel.cut_texts(width=300)
    panel.picture("empty")
    panel.picture("narrow", width=300)


@panel_test("DicomOptimizer")
def test_a_folder_is_listed_with_a_preview_and_an_expected_size(panel: Any, tmp_path: Path) -> None:
    looked(panel, tmp_path / "case", size=32)
    row = cells(panel.ui.seriesTable, 0)
    assert row[:3] == ["CT series 2", "12 → 6", "64×64"]
    assert {"RTSTRUCT", "SEG", "RTDOSE"} <= set(row[4].split(", "))
    assert "times smaller" in panel.ui.expectedLabel.text
    assert not panel.ui.beforeLabel.pixmap.isNull()
    assert not panel.ui.afterLabel.pixmap.isNull()
    assert panel.ui.runButton.enabled
    assert not cut(panel, tmp_path)
    panel.picture("looked")


@panel_test("DicomOptimizer")
def test_presets_set_the_window_and_a_changed_window_is_custom(panel: Any) -> None:
    panel.ui.eightBitCheckBox.checked = True
    box = panel.ui.presetComboBox
    assert box.currentText == "abdomen"
    box.setCurrentIndex(box.findText("lung"))
    box.activated.emit(box.currentIndex)
    assert (panel.ui.levelSpinBox.value, panel.ui.widthSpinBox.value) == (-600, 1600)
    panel.ui.widthSpinBox.value = 1500
    panel.process_events()
    assert box.currentText == "custom"


@panel_test("DicomOptimizer")
def test_options_of_a_technique_that_is_off_are_disabled(panel: Any) -> None:
    for name in ("stepSpinBox", "contoursComboBox", "levelSpinBox", "legalCtCheckBox", "sizeSpinBox", "datesComboBox"):
        assert not getattr(panel.ui, name).enabled, name
    assert panel.ui.identityLabel.visible
    panel.ui.deidentifyCheckBox.checked = True
    panel.process_events()
    assert panel.ui.datesComboBox.enabled
    assert not panel.ui.identityLabel.visible


@panel_test("DicomOptimizer")
def test_with_nothing_chosen_the_button_says_so(panel: Any, tmp_path: Path) -> None:
    looked(panel, tmp_path / "case", decimated=False, eightBit=False, resize=False)
    assert not panel.ui.runButton.enabled
    assert "Nothing to do" in panel.ui.runButton.toolTip
    assert "choose what to do" in panel.ui.expectedLabel.text


@panel_test("DicomOptimizer")
def test_a_run_ends_with_a_summary_and_its_result_can_be_loaded(panel: Any, tmp_path: Path) -> None:
    looked(panel, tmp_path / "case", size=32)
    panel.click(panel.ui.runButton)
    assert not panel.ui.runButton.enabled
    assert panel.ui.cancelButton.enabled
    panel.wait_until(lambda: not panel.widget.job.running, timeout_s=60)
    result = tmp_path / "Optimized_Decimated_8Bit_Resized"
    assert json.loads((result / "report.json").read_text())["measured"]["slices_after"] == 6
    assert "12 → 6 slices" in panel.ui.statusLabel.text
    assert "dropped because" in panel.ui.statusLabel.text
    assert panel.ui.resultTable.rowCount > 4
    assert not cut(panel, tmp_path)
    panel.picture("done")
    panel.click(panel.ui.openButton)
    assert any(result.name in str(url) for url in panel.user.opened_urls)
    panel.click(panel.ui.loadButton)
    node = panel.slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")[0]
    assert node.GetImageData().GetDimensions() == (32, 32, 6)
    low, high = node.GetImageData().GetScalarRange()
    assert -170 < low < high < 245, "values are Hounsfield units of the window"


@panel_test("DicomOptimizer")
def test_a_failure_is_said_in_the_panel_and_nothing_is_made(panel: Any, tmp_path: Path) -> None:
    looked(panel, tmp_path / "case")
    for path in (tmp_path / "case" / "ct").iterdir():
        path.write_bytes(path.read_bytes()[:-3000])
    panel.click(panel.ui.runButton)
    panel.wait_until(lambda: not panel.widget.job.running, timeout_s=60)
    assert panel.ui.statusLabel.text
    assert not panel.ui.loadButton.visible
    assert [p.name for p in tmp_path.iterdir()] == ["case"]
    panel.picture("failed")


@panel_test("DicomOptimizer")
def test_a_cancel_leaves_nothing(panel: Any, tmp_path: Path) -> None:
    make_ct_rtstruct(tmp_path / "case", slices=60, size=256)
    looked(panel, tmp_path / "case", size=100, compress="jpegls", contours="union")
    panel.click(panel.ui.runButton)
    panel.click(panel.ui.cancelButton)
    panel.wait_until(lambda: not panel.widget.job.running, timeout_s=30)
    assert "nothing was written" in panel.ui.statusLabel.text
    assert [p.name for p in tmp_path.iterdir()] == ["case"]
    assert panel.ui.runButton.enabled


@panel_test("DicomOptimizer")
def test_the_choices_of_the_last_run_are_remembered_in_a_new_scene(panel: Any, tmp_path: Path) -> None:
    looked(panel, tmp_path / "case", size=48, compress="jpegls", step=3)
    panel.click(panel.ui.runButton)
    panel.wait_until(lambda: not panel.widget.job.running, timeout_s=60)
    panel.close_scene()
    parameters = panel.widget._parameterNode
    assert (parameters.size, parameters.compress, parameters.step) == (48, "jpegls", 3)


@panel_test("DicomOptimizer")
def test_the_self_test_passes(panel: Any) -> None:
    assert panel.run_self_test() == 1
