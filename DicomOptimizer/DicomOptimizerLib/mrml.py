"""Nodes in, files out, and back: the only file here that knows Slicer's scene and DICOM database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from DicomWorkbenchLib import mrml


def database() -> Any:
    """Return Slicer's DICOM database if it is open, else None."""
    found = getattr(slicer, "dicomDatabase", None)
    return found if found is not None and found.isOpen else None


def files_of_volume(node: Any) -> list[Path]:
    """Return the DICOM files a volume was loaded from; empty if it did not come from the database."""
    found = database()
    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split() if node is not None else []
    if found is None:
        return []
    return [Path(path) for uid in uids if (path := found.fileForInstance(uid))]


def files_of_series(uid: str) -> list[Path]:
    """Return the files of a series of the database."""
    found = database()
    return [Path(path) for path in found.filesForSeries(uid)] if found is not None and uid else []


def database_series() -> list[tuple[str, str]]:
    """List the series of the database as (text, series instance UID); the text names no patient."""
    found = database()
    if found is None:
        return []
    listed: list[tuple[str, str]] = []
    for number, patient in enumerate(found.patients(), 1):
        for study in found.studiesForPatient(patient):
            listed += [
                (f"{number}: {found.descriptionForSeries(series) or 'series'}", str(series))
                for series in found.seriesForStudy(study)
            ]
    return listed


def load_result(folder: Path) -> Any:
    """Load the first volume of a result and show it; returns its node."""
    node = mrml.load_first_volume(folder, folder.name)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node
