"""AutoSegmentQueue: empty, the queue running, a job done, a job that failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from AutoSegmentQueueLib.panel_sample import write_sample_scan

from Pictures import everywhere

MODULE = "AutoSegmentQueue"


def photograph(panel: Any, scans: Path) -> None:
    """Take the panel through its states."""
    parameters = panel.widget._parameterNode
    parameters.home = scans / "queue"
    everywhere(panel, "empty")
    write_sample_scan(scans / "chest.nrrd")
    parameters.scan = panel.slicer.util.loadVolume(str(scans / "chest.nrrd"))
    everywhere(panel, "filled")
    panel.click(panel.ui.startButton)
    panel.wait_until(lambda: "The queue runs" in panel.ui.statusLabel.text, timeout_s=60)
    panel.click(panel.ui.addVolumeButton)
    panel.wait_until(lambda: panel.widget.model.rowCount() == 1, timeout_s=60)
    everywhere(panel, "running")
    _job_ended(panel, 0, "done")
    everywhere(panel, "done")
    (scans / "queue" / "input" / "broken.nrrd").write_bytes(b"NRRD0004\ntype: short\ndimension: 3\nsizes: 9 9 9\n\n")
    panel.wait_until(lambda: panel.widget.model.rowCount() == 2, timeout_s=60)
    _job_ended(panel, 0, "failed")
    everywhere(panel, "error")
    panel.click(panel.ui.stopButton)
    panel.wait_until(lambda: not panel.widget.server.running, timeout_s=30)


def _job_ended(panel: Any, row: int, state: str) -> None:
    model = panel.widget.model
    panel.ui.jobsView.selectRow(row)
    panel.wait_until(lambda: model.data(model.index(row, 1)) == state, timeout_s=90, what=f"a job that is {state}")
    panel.ui.jobsView.selectRow(row)
    panel.widget.poll()
