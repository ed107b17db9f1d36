"""Volumes of the common room as MRML nodes; the only file here, beside ``headless``, that knows Slicer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import slicer

from DicomWorkbenchLib.errors import NoDicomError
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from DicomWorkbenchLib.series import scan
from DicomWorkbenchLib.volume import Volume, read_volume


def add_volume(volume: Volume, name: str = "") -> Any:
    """Put a volume into the scene.

    Parameters
    ----------
    volume : as `read_volume` gives it; gaps and order of the slices are already right there.
    name : of the node; the series' description if not given.

    Returns
    -------
    ``vtkMRMLScalarVolumeNode`` with a display node, IJK-to-RAS matrix in mm, and the UIDs of its instances, by which
    Slicer's DICOM modules know where it comes from.
    """
    matrix = np.ascontiguousarray(volume.matrix_ras)
    node = slicer.util.addVolumeFromArray(volume.array, matrix, name or volume.series.label, "vtkMRMLScalarVolumeNode")
    uids = [instance.sop_instance_uid for instance in volume.series.instances]
    node.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
    if volume.units:
        node.SetAttribute("DicomWorkbench.units", volume.units)
    node.CreateDefaultDisplayNodes()
    return node


def load_first_volume(
    folder: Path, name: str = "", *, progress: Progress = no_progress, cancel: CancelToken = NEVER
) -> Any:
    """Find the DICOM series below ``folder``, sort the first one that is a volume, and put it into the scene.

    Raises
    ------
    NoDicomError : no series there is a volume.
    """
    with scan([folder], progress=progress, cancel=cancel) as found:
        series = next((series for series in found.series if series.is_volume), None)
        if series is None:
            raise NoDicomError(f"no series in {folder} is a volume; it holds {len(found.series)} series")
        return add_volume(read_volume(series, progress=progress, cancel=cancel), name)
