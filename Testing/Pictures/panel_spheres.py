"""SphereVOI: empty, spheres clicked, measuring, measured, a scan without spheres."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from Pictures import everywhere

MODULE = "SphereVOI"


def photograph(panel: Any, scans: Path) -> None:
    """Take the panel through its states."""
    panel.wait_until(lambda: panel.ui.targetsTable.rowCount == 6)
    everywhere(panel, "empty")
    truth = _phantom(panel)
    _click(panel, truth)
    everywhere(panel, "filled")
    panel.ui.nemaCheck.checked = True
    panel.ui.earlComboBox.currentText = "v2"
    panel.click(panel.ui.measureButton)
    panel.wait_until(lambda: panel.ui.progressBar.value > 0 or panel.ui.resultsTable.rowCount, timeout_s=60)
    everywhere(panel, "running")
    panel.wait_until(lambda: panel.ui.resultsTable.rowCount == 6, timeout_s=90)
    everywhere(panel, "done")
    panel.ui.chartComboBox.currentText = "Profile S1 37 mm"
    panel.picture("profile")
    _without_spheres(panel)
    panel.click(panel.ui.findButton)
    panel.wait_until(lambda: not panel.logic.session.busy, timeout_s=90)
    everywhere(panel, "error")


def _phantom(panel: Any) -> dict[str, tuple[float, float, float]]:
    import numpy as np
    from DicomWorkbenchLib.geometry import lps_to_ras
    from SphereVOILib.testing_phantom import iec_phantom

    grid, truth = iec_phantom(spacing_mm=(3.0, 3.0, 3.0), noise=0.05, seed=3)
    _show(panel, np.asarray(grid.array), np.ascontiguousarray(lps_to_ras(grid.matrix_lps)), "NEMA phantom")
    return truth


def _without_spheres(panel: Any) -> None:
    import numpy as np

    _show(panel, np.ones((40, 40, 40)), np.diag([4.0, 4.0, 4.0, 1.0]), "Empty scan")


def _show(panel: Any, array: Any, matrix: Any, name: str) -> None:
    node = panel.slicer.util.addVolumeFromArray(array, matrix, name, "vtkMRMLScalarVolumeNode")
    node.SetAttribute("DicomWorkbench.units", "kBq/ml")
    panel.ui.volumeSelector.setCurrentNode(node)
    panel.wait_until(lambda: "kBq/ml" in panel.ui.unitsLabel.text)


def _click(panel: Any, truth: dict[str, tuple[float, float, float]], offset_mm: float = 3.0) -> None:
    import vtk

    panel.click(panel.ui.placeButton)
    for x, y, z in truth.values():
        panel.widget._parameterNode.clicks.AddControlPoint(
            vtk.vtkVector3d(-x + offset_mm, -y - offset_mm, z + offset_mm)
        )
    panel.wait_until(lambda: len(panel.widget.refined) == len(truth))
