"""The host opens a module as Slicer does: parameters and widgets stay equal, processes run beside a live panel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from SlicerHost.testing import panel_test, run_panel

TEMPLATE = Path(__file__).parent / "TemplatePanel" / "TemplatePanel.py"


@panel_test(TEMPLATE)
def test_apply_is_disabled_until_a_volume_is_chosen(panel: Any) -> None:
    assert not panel.ui.applyButton.enabled
    assert panel.ui.applyButton.toolTip == "Choose an input volume"
    with pytest.raises(AssertionError, match="applyButton is disabled: Choose an input volume"):
        panel.click(panel.ui.applyButton)
    import SampleData

    volume = SampleData.downloadSample("TemplateRamp")
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.click(panel.ui.applyButton)
    assert panel.slicer.util.arrayFromVolume(volume).max() == 59 * 2


@panel_test(TEMPLATE)
def test_a_parameter_and_its_widget_follow_each_other(panel: Any) -> None:
    parameters, ui = panel.widget._parameterNode, panel.ui
    method = type(parameters.method)
    ui.factorSlider.value = 3.5
    ui.roundsBox.value = 4
    ui.invertBox.checked = True
    ui.labelEdit.text = "mine"
    ui.methodBox.setCurrentIndex(0)
    ui.organBox.currentText = "lung"
    ui.folderEdit.currentPath = "/data"
    ui.widthBox.value = 350.0
    assert (parameters.factor, parameters.rounds, parameters.invert) == (3.5, 4, True)
    assert (parameters.label, parameters.method, parameters.organ) == ("mine", method.ADD, "lung")
    assert (parameters.folder, parameters.window.width) == (Path("/data"), 350.0)
    parameters.factor = -1.25
    parameters.method = method.SCALE
    parameters.folder = Path("/other")
    assert (ui.factorSlider.value, ui.methodBox.currentText, ui.folderEdit.currentPath) == (-1.25, "SCALE", "/other")


@panel_test(TEMPLATE)
def test_parameters_are_checked_and_keep_their_types(panel: Any) -> None:
    parameters = panel.widget._parameterNode
    assert (parameters.factor, parameters.names, parameters.limit, parameters.organ) == (2.0, [], None, "liver")
    for name, value, error in (
        ("factor", 11.0, ValueError),
        ("organ", "brain", ValueError),
        ("rounds", "a", TypeError),
        ("invert", 1, TypeError),
        ("nothing", 1, AttributeError),
    ):
        with pytest.raises(error):
            setattr(parameters, name, value)
    parameters.names.append("a")
    parameters.limit = 2.5
    fresh = type(parameters)(parameters.parameterNode)
    assert (fresh.names, fresh.limit, fresh.window.width) == (["a"], 2.5, 400.0)


@panel_test(TEMPLATE)
def test_a_widget_slicer_cannot_connect_is_refused(panel: Any) -> None:
    import qt

    with pytest.raises(RuntimeError, match="cannot be connected"):
        panel.widget._parameterNode.connectParametersToGui({"label": qt.QSpinBox()})
    with pytest.raises(RuntimeError, match="needs WithinRange"):
        panel.widget._parameterNode.connectParametersToGui({"window.width": panel.ui.factorSlider})
    with pytest.raises(RuntimeError, match="does not have"):
        panel.widget._parameterNode.connectParametersToGui({"nothing": qt.QSpinBox()})


@panel_test(TEMPLATE)
def test_the_panel_survives_a_closed_scene_and_leaving(panel: Any) -> None:
    import SampleData

    panel.ui.inputSelector.setCurrentNode(SampleData.downloadSample("TemplateRamp"))
    panel.ui.factorSlider.value = 7.0
    assert panel.ui.applyButton.enabled
    panel.close_scene()
    assert not panel.ui.applyButton.enabled
    assert panel.ui.inputSelector.currentNode() is None
    assert panel.ui.factorSlider.value == 2.0
    panel.leave()
    panel.ui.factorSlider.value = 3.0
    panel.come_back()
    assert panel.ui.factorSlider.value == 2.0


@panel_test(TEMPLATE)
def test_a_process_reports_while_the_panel_is_live(panel: Any) -> None:
    panel.click(panel.ui.processButton)
    assert not panel.ui.processButton.enabled
    ticks: list[int] = []
    import qt

    timer = qt.QTimer()
    timer.timeout.connect(lambda: ticks.append(1))
    timer.start(20)
    panel.wait_until(lambda: panel.ui.processButton.enabled, timeout_s=20)
    assert panel.widget.lines == ["step 0", "step 1", "step 2"]
    assert panel.ui.statusLabel.text == "3 lines, code 0"
    assert len(ticks) >= 5


@panel_test(TEMPLATE)
def test_an_error_inside_a_slot_is_a_problem_of_the_test(panel: Any) -> None:
    import SampleData

    panel.ui.inputSelector.setCurrentNode(SampleData.downloadSample("TemplateRamp"))
    panel.widget._parameterNode.factor = 0.0
    panel.click(panel.ui.applyButton)
    assert panel.problems() == ["ValueError: the factor is zero"]
    assert panel.user.shown("error") == []  # Slicer shows nothing in testing mode
    panel.forgive("the factor is zero")
    panel.testing(False)
    panel.click(panel.ui.applyButton)
    assert panel.user.shown("error") == ["Failed to scale.\n\nthe factor is zero"]
    panel.forgive("the factor is zero")


@panel_test(TEMPLATE)
def test_pictures_differ_between_light_and_dark_and_nothing_is_cut(panel: Any, tmp_path: Path) -> None:
    light = panel.picture("template")
    panel.dark()
    dark = panel.picture("template-dark")
    panel.dark(False)
    assert light.stat().st_size > 2000
    assert light.read_bytes() != dark.read_bytes()
    assert panel.cut_texts(width=300) == []
    panel.ui.applyButton.text = "A text that is far too long for a button in a panel of this width"
    assert any("applyButton" in text for text in panel.cut_texts(width=300))


@panel_test(TEMPLATE)
def test_the_self_test_runs(panel: Any) -> None:
    assert panel.run_self_test() == 2


@panel_test(TEMPLATE)
def test_without_a_main_window_there_are_no_views(panel: Any) -> None:
    assert panel.slicer.app.layoutManager() is None
    assert panel.slicer.util.mainWindow() is None


@panel_test(TEMPLATE, main_window=True)
def test_with_a_main_window_slices_move_and_show_the_volume(panel: Any) -> None:
    import numpy as np

    slicer = panel.slicer
    volume = slicer.util.addVolumeFromArray(np.full((8, 16, 16), 500, dtype=np.int16))
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    views = slicer.app.layoutManager()
    assert views.sliceViewNames() == ("Red", "Yellow", "Green")
    red = views.sliceWidget("Red")
    red.sliceController().setSliceOffsetValue(5.0)
    assert red.mrmlSliceNode().GetSliceOffset() == 5.0
    red.resize(200, 220)
    assert not red.grab().toImage().isNull()
    panel.close_scene()
    red.sliceController().setSliceOffsetValue(2.0)
    assert red.mrmlSliceNode().GetSliceOffset() == 2.0
    slicer.util.selectModule("Data")
    assert ("module", "Data") in panel.user.messages


@panel_test(TEMPLATE)
def test_a_form_with_an_unknown_class_is_refused(panel: Any, tmp_path: Path) -> None:
    form = tmp_path / "Form.ui"
    form.write_text(
        '<ui version="4.0"><class>F</class><widget class="QWidget" name="F"><layout class="QVBoxLayout" name="l">'
        '<item><widget class="qMRMLNoSuchWidget" name="w"/></item></layout></widget></ui>',
        encoding="utf-8",
    )
    with pytest.raises(RuntimeError, match="qMRMLNoSuchWidget"):
        panel.slicer.util.loadUI(str(form))
    with pytest.raises(RuntimeError, match="file not found"):
        panel.slicer.util.loadUI(str(tmp_path / "none.ui"))
    panel.process_events()
    panel.forget_problems()  # Qt's loader complains about the class, too


def test_the_command_runs_the_self_test_and_writes_a_picture(tmp_path: Path) -> None:
    picture = tmp_path / "panel.png"
    output = run_panel(TEMPLATE, "--self-test", "--picture", str(picture), "--dark")
    assert "2 self tests passed" in output
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_failing_script_gives_the_childs_traceback(tmp_path: Path) -> None:
    script = tmp_path / "steps.py"
    script.write_text("panel.ui.applyButton.txt\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="QPushButton has no attribute named 'txt'"):
        run_panel(TEMPLATE, "--script", str(script))
