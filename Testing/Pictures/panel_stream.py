"""MultiframeStreamer: empty, opened, loading, loaded, serving, a file that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from MultiframeStreamerLib.corpus.cine import JpegFrames, Layout, write_cine

from Pictures import everywhere

MODULE = "MultiframeStreamer"


def photograph(panel: Any, scans: Path) -> None:
    """Take the panel through its states."""
    everywhere(panel, "empty")
    write_cine(scans / "cine.dcm", 600, JpegFrames(240, 320, different=8), Layout.FRAGMENTS, rows=240, columns=320)
    panel.ui.sourcePathEdit.currentPath = str(scans / "cine.dcm")
    panel.process_events()
    parameters = panel.widget._parameterNode
    parameters.frame = 42
    panel.ui.copyPathEdit.currentPath = str(scans / "cine-shareable.dcm")
    panel.process_events()
    everywhere(panel, "filled")
    parameters.target = "sequence"
    panel.click(panel.ui.loadButton)
    panel.wait_until(lambda: panel.ui.loadProgressBar.value > 60, timeout_s=30)
    everywhere(panel, "running")
    panel.wait_until(lambda: panel.logic.loader is None, timeout_s=90)
    panel.ui.serveSection.collapsed = panel.ui.copySection.collapsed = False
    parameters.port = 8042
    panel.click(panel.ui.serveButton)
    panel.wait_until(lambda: panel.ui.addressEdit.text != "" or not panel.widget.server.running, timeout_s=60)
    everywhere(panel, "done")
    if panel.widget.server.running:
        panel.click(panel.ui.serveButton)
        panel.wait_until(lambda: not panel.widget.server.running, timeout_s=30)
    (scans / "notes.dcm").write_text("no DICOM at all")
    panel.ui.sourcePathEdit.currentPath = str(scans / "notes.dcm")
    panel.process_events()
    everywhere(panel, "error")
