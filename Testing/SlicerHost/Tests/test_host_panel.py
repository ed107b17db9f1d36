"""The host opens a module as Slicer does: parameters and widgets stay equal, processes run beside a live panel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from SlicerHost.testing import panel_test

TEMPLATE = Path(__file__).parent / "TemplatePanel" / "TemplatePanel.py"


@panel_test(TEMPLATE)
def test_apply_is_disabled_until_a_volume_is_chosen(panel: Any) -> None:
    assert not panel.ui.applyButton.enabled
    assert panel.ui.applyButton.toolTip == "Choose an input volume"
    import SampleData

    volume = SampleData.downloadSample("TemplateRamp")
    panel.ui.inputSelector.setCurrentNode(volume)
    assert panel.ui.applyButton.isEnabled()
    panel.click(panel.ui.applyButton)
    assert panel.slicer.util.arrayFromVolume(volume).max() == 59 * 2


@panel_test(TEMPLATE)
def test_a_parameter_and_its_widget_follow_each_other(panel: Any) -> None:
    parameters = panel.widget._parameterNode
    panel.ui.factorSlider.value = 3.5
    assert parameters.factor == 3.5
    parameters.factor = -1.25
    assert panel.ui.factorSlider.value == -1.25
    panel.ui.organBox.setCurrentIndex(1)
    assert parameters.organ == "lung"
    panel.ui.widthBox.value = 350.0
    assert parameters.window.width == 350.0
