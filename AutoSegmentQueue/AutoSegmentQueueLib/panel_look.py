"""What the panel's widgets show. They come as arguments: nothing here imports Qt."""

from __future__ import annotations

from typing import Any

from AutoSegmentQueueLib.panel import BUILT_IN, RUNS, TIPS, Situation, why_disabled
from AutoSegmentQueueLib.panel_cells import WIDTHS
from AutoSegmentQueueLib.panel_network import SCHEDULER

ROW_HEIGHT = 22  # pixels
STOPPED = "The queue does not run; jobs wait."
OTHER = "The queue is served by another process; stop it there to change what it does."


def prepare_table(view: Any) -> None:
    """Give the table of jobs its rows and columns."""
    view.verticalHeader().hide()
    view.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
    for column, width in enumerate(WIDTHS):
        view.setColumnWidth(column, width)


def show_situation(ui: Any, now: Situation, fields: dict[str, Any], *, is_paused: bool) -> None:
    """Enable and explain the buttons and sections."""
    ui.engineLabel.text, ui.engineLabel.visible = now.obstacle, bool(now.obstacle)
    ui.workSection.enabled = ui.foldersSection.enabled = not now.served
    for widget in (ui.taskEdit, ui.qualityComboBox, ui.deviceComboBox):
        widget.enabled = fields["engine"] != BUILT_IN
    for widget in (ui.receiveCheckBox, ui.dicomPortSpinBox, ui.dicomAddressEdit, ui.aeTitleEdit):
        widget.enabled = not now.served
    for widget in (ui.allowAeEdit, ui.allowFromEdit, ui.sendToEdit):
        widget.enabled = not now.served
    ui.schedulerEdit.enabled = fields["executor"] == SCHEDULER
    for name, reason in why_disabled(now).items():
        button = getattr(ui, f"{name}Button")
        button.enabled, button.toolTip = not reason, reason or TIPS[name]
    ui.pauseButton.text = "Go on" if is_paused else "Pause"
    ui.statusLabel.text = RUNS if now.ours else OTHER if now.served else STOPPED


def show_log(edit: Any, text: str) -> None:
    """Show the end of a log."""
    edit.plainText = text
    edit.verticalScrollBar().value = edit.verticalScrollBar().maximum
