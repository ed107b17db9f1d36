"""Small scans with structures that the optimizer's tests work on; each test gets the same read-only folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from DicomOptimizerLib import OptimizerReport, OptimizerSettings, run
from DicomWorkbenchLib.samples.ct_rtstruct import make_ct_rtstruct
from pydicom.dataset import Dataset


@pytest.fixture(scope="session")
def scan_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 slices of 64 x 64 with RTSTRUCT (holes, points, one-slice ROI), SEG, RTPLAN and RTDOSE."""
    folder = tmp_path_factory.mktemp("optimizer") / "case"
    make_ct_rtstruct(folder, slices=24, size=64, dose_bits=16)
    return folder


@pytest.fixture(scope="session")
def oblique_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, turned about all three axes, with pixels that are not square and XOR holes."""
    folder = tmp_path_factory.mktemp("optimizer-oblique") / "case"
    make_ct_rtstruct(
        folder, slices=24, size=64, dose_bits=16, rotation_deg=(12, -7, 20), pixel_aspect=1.25, xor_holes=True
    )
    return folder


@pytest.fixture
def optimize(tmp_path: Path) -> Callable[..., tuple[Path, OptimizerReport]]:
    """Run a job in this process into a fresh folder; returns folder and report."""

    def go(*inputs: Path, **options: object) -> tuple[Path, OptimizerReport]:
        target = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        options = {"jobs": 1, "uid_salt": "test", "output": target, **options}
        report = run(OptimizerSettings(inputs=inputs, **options))  # type: ignore[arg-type]
        return target, report

    return go


@pytest.fixture(scope="session")
def images() -> Callable[[Path], list[Dataset]]:
    """Read the images of a folder, sorted along their normal."""

    def read(folder: Path) -> list[Dataset]:
        found = [pydicom.dcmread(path) for path in sorted(folder.rglob("*")) if path.is_file() and _is_dicom(path)]
        slices = [
            d for d in found if "ImagePositionPatient" in d and "PixelData" in d and d.Modality in ("CT", "MR", "PT")
        ]
        cosines = np.asarray(slices[0].ImageOrientationPatient, float)
        normal = np.cross(cosines[:3], cosines[3:])
        return sorted(slices, key=lambda d: float(np.asarray(d.ImagePositionPatient, float) @ normal))

    return read


@pytest.fixture(scope="session")
def hashes() -> Callable[[Path], dict[str, str]]:
    """SHA-256 of every file of a folder by its relative path."""

    def of(folder: Path) -> dict[str, str]:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    return of


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"
