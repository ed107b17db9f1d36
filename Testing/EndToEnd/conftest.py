"""What the proofs in a browser share: results made once by the real queue with the real embedded engine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from DicomWorkbenchLib.process import workbench_command
from queue_testing import chest


@pytest.fixture(scope="session")
def segmented_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A queue's home with one chest segmented; nobody changes it."""
    folder = tmp_path_factory.mktemp("segmented")
    scan = chest.write_nifti(folder / "chest-anna.nii.gz", chest.make_chest(1, coarse=2), coarse=2)
    for words in (["add", str(scan)], ["work"]):
        subprocess.run(
            workbench_command("queue", *words, "--home", str(folder / "home")),
            check=True,
            capture_output=True,
            timeout=300,
        )
    return folder / "home"
