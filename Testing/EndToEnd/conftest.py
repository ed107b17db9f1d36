"""What the proofs in a browser share: two scans and a folder, brought through the page and segmented once for all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from EndToEnd.web_browser import drive, require_browser, served
from queue_testing import chest


@dataclass(frozen=True)
class Journey:
    """The home where all was done, what was brought, and what the browser saw."""

    home: Path
    scans: tuple[Path, ...]
    folder: Path
    seen: dict[str, Any]

    @property
    def result(self) -> Path:
        """The result folder of the first scan."""
        return self.home / "output" / "chest-anna"


@pytest.fixture(scope="session")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    """Bring two scans and a folder, and watch them until they are done; nobody changes the home afterwards."""
    require_browser()
    brought = tmp_path_factory.mktemp("brought")
    names = ("chest-anna.nii.gz", "chest-ben.nii.gz")
    scans = tuple(
        chest.write_nifti(brought / name, chest.make_chest(seed, coarse=2), coarse=2)
        for seed, name in enumerate(names, 1)
    )
    folder = chest.write_dicom(brought / "chest-folder", chest.make_chest(3, coarse=2), 3, coarse=2)
    (folder / "README.txt").write_text("not a scan; left out")
    (brought / "notes.txt").write_text("no scan")
    (brought / "broken.nii.gz").write_bytes(bytes(range(200)))
    home = tmp_path_factory.mktemp("queue") / "home"
    with served(home, "serve", "--slots", "2", "--stable-seconds", "0.2") as server:
        order = {"url": server.address, "root": server.root, "pictures": str(brought), "folder": str(folder)}
        order |= {"scans": [str(scan) for scan in scans], "noScan": str(brought / "notes.txt")}
        order |= {"broken": str(brought / "broken.nii.gz"), "names": [*names, folder.name]}
        seen = drive("web_upload.mjs", order)
    return Journey(home, scans, folder, seen)
