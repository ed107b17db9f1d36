"""The panel's lists of choices and its buttons. Widgets are handed in: no Qt here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from DicomWorkbenchLib.windowing import PRESETS

from TumorAnalysisLib.patient import Role

HELP = (
    "Measures the liver lesions of a data set of many patients, or of a segmentation, and writes a cohort report.\n"
    "1. Choose a data set and Find patients, or take CT and segmentation from the scene. 2. Analyse. 3. Select a lesion to see it. "
    "4. Write report.\n"
    "Sample: liver cohort under DICOM Workbench in the module Sample Data."
)
WINDOWS = ("liver", "abdomen", "soft tissue", "lung", "bone")


class Choices:
    """Window, connectivity, organ and lesions.

    Parameters
    ----------
    ui : the panel's widgets by name.
    connectivities : number of neighbours and its text.
    custom : what a window is called that is no preset.
    """

    def __init__(self, ui: Any, connectivities: Sequence[tuple[int, str]], custom: str) -> None:
        self._ui = ui
        self._connectivities = [number for number, _ in connectivities]
        ui.windowCombo.addItems([*WINDOWS, custom])
        ui.connectivityCombo.addItems([text for _, text in connectivities])
        ui.roleCombo.addItems([role.value for role in Role])

    def follow(self, parameters: Any, segments: Sequence[str]) -> None:
        """Show what the parameter node says, and offer these segments."""
        ui, window = self._ui, (parameters.level, parameters.width)
        presets = [(PRESETS[name].level, PRESETS[name].width) for name in WINDOWS]
        ui.windowCombo.currentIndex = presets.index(window) if window in presets else len(WINDOWS)
        ui.connectivityCombo.currentIndex = self._connectivities.index(parameters.connectivity)
        if list(segments) != [ui.organCombo.itemText(n) for n in range(ui.organCombo.count)]:
            for combo in (ui.organCombo, ui.lesionCombo):
                combo.clear()
                combo.addItems(list(segments))
            ui.organCombo.currentIndex = next((n for n, name in enumerate(segments) if name.lower() == "liver"), 0)

    def take_window(self, index: int, parameters: Any) -> None:
        """Set level and width of the preset that was chosen; "custom" changes nothing."""
        if index < len(WINDOWS):
            preset = PRESETS[WINDOWS[index]]
            parameters.level, parameters.width = preset.level, preset.width

    def take_connectivity(self, index: int, parameters: Any) -> None:
        """Set the connectivity that was chosen."""
        parameters.connectivity = self._connectivities[index]

    def lesions(self) -> list[str]:
        """Return the names of the segments that are checked as lesions."""
        return [index.data() for index in self._ui.lesionCombo.checkedIndexes()]


def enable_buttons(ui: Any, obstacles: Mapping[str, str], waiting: str) -> None:
    """Enable each button that nothing stands against; the tool tip of the others says what does.

    Parameters
    ----------
    obstacles : name of a button -> why it cannot be used; empty if it can.
    waiting : why none of them can be used now, empty if no job runs.
    """
    for name, reason in obstacles.items():
        button = getattr(ui, name)
        button.enabled = not (waiting or reason)
        button.toolTip = waiting or reason or button.text
