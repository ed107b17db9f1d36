"""The queue's panel is honest: it shows what it will do, keeps what was chosen, and says why nothing can be started."""

from __future__ import annotations

from typing import Any

import pytest
from AutoSegmentQueueLib import SegmentationSettings
from DicomWorkbenchLib.errors import SettingsError
from SlicerHost.testing import panel_test


@panel_test("AutoSegmentQueue")
def test_apply_is_disabled_and_its_tool_tip_says_why(panel: Any) -> None:
    assert not panel.ui.applyButton.enabled
    assert "not part of this version" in panel.ui.applyButton.toolTip
    assert panel.ui.statusLabel.text == panel.ui.applyButton.toolTip
    assert not panel.cut_texts()


@panel_test("AutoSegmentQueue")
def test_what_is_chosen_becomes_the_settings(panel: Any) -> None:
    import numpy

    volume = panel.slicer.util.addVolumeFromArray(numpy.zeros((2, 3, 4)), nodeClassName="vtkMRMLScalarVolumeNode")
    panel.ui.scanSelector.setCurrentNode(volume)
    panel.ui.taskEdit.text = "lung_vessels"
    panel.ui.qualityComboBox.currentText = "fast"
    parameters = panel.widget._parameterNode
    assert parameters.scan is volume
    assert panel.logic.settings(parameters) == SegmentationSettings(task="lung_vessels", quality="fast")


@panel_test("AutoSegmentQueue")
def test_a_closed_scene_leaves_a_working_panel(panel: Any) -> None:
    panel.ui.taskEdit.text = "lung_vessels"
    panel.close_scene()
    assert panel.ui.taskEdit.text == "total"
    panel.leave()
    panel.come_back()
    assert panel.widget._parameterNode is not None
    assert panel.run_self_test() == 1


@pytest.mark.parametrize(("field", "value"), [("task", ""), ("quality", "superb")])
def test_settings_that_cannot_work_are_refused(field: str, value: str) -> None:
    with pytest.raises(SettingsError, match=field):
        SegmentationSettings(**{field: value})  # type: ignore[arg-type]  # wrong on purpose
