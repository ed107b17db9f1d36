"""CT series for tests of the PACS: a trunk as a scanner sends it, and many slices that are made quickly."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
from DicomWorkbenchLib.samples.ct_series import ct_header
from DicomWorkbenchLib.samples.dicom_writer import SeriesOf, Subject, save
from DicomWorkbenchLib.samples.grid import ImageGrid

SECRETS = (
    "Trunk^Phantom",
    "PHANTOM-CT",
    "Phantom^Workbench",
    "PHANTOM-1",
)  # of the invented patients: no log may hold them


def ct_series(folder: Path, *, slices: int = 60, size: int = 64, seed: int = 1) -> list[Path]:
    """Write the CT of the sample ``ct-rtstruct`` alone, slices in order of their position; gives their paths."""
    from DicomWorkbenchLib.samples.ct_rtstruct import make_ct_rtstruct  # imports highdicom, which takes a second

    sample = folder.with_name(f"{folder.name}-sample")
    make_ct_rtstruct(sample, slices=slices, size=size, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for path in (one for one in sample.rglob("*") if one.is_file() and one.suffix != ".json"):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        if header.Modality == "CT":
            found.append((float(header.ImagePositionPatient[2]), path))
    paths = []
    for number, (_, path) in enumerate(sorted(found)):
        paths.append(Path(shutil.move(path, folder / f"{number:04d}.dcm")))
    shutil.rmtree(sample)
    return paths


def small_slices(folder: Path, count: int, *, size: int = 16, key: str = "many", number: int = 1) -> list[Path]:
    """Write a CT series of noise: as many slices as wanted, each another content, in no time."""
    folder.mkdir(parents=True, exist_ok=True)
    series = SeriesOf(Subject(key), "CT", number, "many slices")
    grid = ImageGrid(count, size, size, (1.0, 1.0), 2.0, center_lps=(0.0, 0.0, 0.0))
    draw = np.random.default_rng(number)
    paths = []
    for k in range(count):
        dataset = ct_header(series, grid, k, instance_number=k + 1, padded=False)
        dataset.PixelData = draw.integers(-1000, 1000, (size, size)).astype("<i2").tobytes()
        path = folder / f"{k:05d}.dcm"
        save(dataset, path)
        paths.append(path)
    return paths


def dataset_bytes(path: Path) -> bytes:
    """Return a DICOM file without preamble and file meta information: what travels, and must not change."""
    content = path.read_bytes()
    if content[128:132] != b"DICM":
        return content
    # (0002,0000) UL 4: length of the rest of the group (PS3.10 7.1)
    length = int.from_bytes(content[140:144], "little")
    return content[144 + length :]


def files_by_uid(paths: list[Path]) -> dict[str, Path]:
    """Return files by their SOP instance UID."""
    return {_uid(path): path for path in paths}


@cache
def _uid(path: Path) -> str:
    return str(pydicom.dcmread(path, specific_tags=["SOPInstanceUID"], stop_before_pixels=True).SOPInstanceUID)
