"""DicomOptimizer: empty, a folder looked at, running, done, failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from DicomWorkbenchLib.samples.ct_rtstruct import make_ct_rtstruct

from Pictures import everywhere

MODULE = "DicomOptimizer"


def photograph(panel: Any, scans: Path) -> None:
    """Take the panel through its states."""
    everywhere(panel, "empty")
    make_ct_rtstruct(scans / "thorax", slices=60, size=256)
    parameters = panel.widget._parameterNode
    for name, value in {"decimated": True, "eightBit": True, "resize": True, "size": 128, "compress": "htj2k"}.items():
        setattr(parameters, name, value)
    panel.ui.folderPathEdit.currentPath = str(scans / "thorax")
    panel.wait_until(lambda: panel.ui.seriesTable.rowCount > 0 and not panel.widget.look.running, timeout_s=90)
    everywhere(panel, "filled")
    panel.click(panel.ui.runButton)
    panel.wait_until(lambda: panel.ui.progressBar.value > 0, timeout_s=60)
    everywhere(panel, "running")
    panel.wait_until(lambda: not panel.widget.job.running, timeout_s=120)
    everywhere(panel, "done")
    for path in sorted((scans / "thorax" / "ct").iterdir())[:1]:
        path.write_bytes(path.read_bytes()[:-3000])
    panel.click(panel.ui.runButton)
    panel.wait_until(lambda: not panel.widget.job.running, timeout_s=120)
    everywhere(panel, "error")
