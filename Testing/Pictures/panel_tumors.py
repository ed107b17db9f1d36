"""TumorAnalysis: empty, a data set scanned and a patient shown, analysing, analysed, a segmentation of the scene, an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from DicomWorkbenchLib.samples.liver_cohort import make_liver_cohort

from Pictures import everywhere

MODULE = "TumorAnalysis"


def photograph(panel: Any, scans: Path) -> None:
    """Take the panel through its states."""
    everywhere(panel, "empty")
    make_liver_cohort(scans / "liver", patients=(1, 2, 5, 14))
    panel.ui.datasetEdit.currentPath = str(scans / "liver")
    panel.click(panel.ui.scanButton)
    _wait(panel)
    panel.ui.patientTable.selectRow(0)
    panel.click(panel.ui.showButton)
    _wait(panel)
    everywhere(panel, "filled")
    panel.click(panel.ui.analyseAllButton)
    panel.wait_until(lambda: panel.ui.progressBar.value > 0, timeout_s=60)
    everywhere(panel, "running")
    _wait(panel)
    panel.ui.lesionTable.selectRow(2)
    panel.click(panel.ui.burdenPlotButton)
    everywhere(panel, "done")
    panel.ui.inputTabs.currentIndex = 1
    panel.picture("scene")
    panel.ui.inputTabs.currentIndex = 0
    (scans / "empty").mkdir()
    panel.ui.datasetEdit.currentPath = str(scans / "empty")
    panel.click(panel.ui.scanButton)
    _wait(panel)
    everywhere(panel, "error")


def _wait(panel: Any) -> None:
    panel.wait_until(lambda: not panel.widget.job.running, timeout_s=120)
