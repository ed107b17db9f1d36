"""Hand over the results of a panel's job, which lie in a temporary folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.outputs import StagedFolder, free_name

NAME = "SphereVOI results"


def export_results(results: Path, parent: Path) -> Path:
    """Copy a results folder into ``parent`` under a new name and return it; it appears complete or not at all.

    Raises
    ------
    OutputError : ``parent`` is no folder or cannot be written.
    """
    if not parent.is_dir():
        raise OutputError(f"{parent} is no folder; choose where the results are to go")
    target = free_name(parent / NAME)
    with StagedFolder(target) as stage:
        shutil.copytree(results, stage, dirs_exist_ok=True)
    return target
