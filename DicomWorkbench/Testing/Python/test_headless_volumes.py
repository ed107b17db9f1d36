"""A DICOM series becomes a volume node with its values at their places, however its files are called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from DicomWorkbenchLib.errors import NoDicomError
from DicomWorkbenchLib.headless import boot
from DicomWorkbenchLib.samples import make
from numpy.testing import assert_allclose

pytestmark = pytest.mark.needs("module:slicer")

SLICES = 12


@pytest.fixture
def slicer() -> Any:
    boot()
    import slicer

    slicer.mrmlScene.Clear(0)
    return slicer


@pytest.fixture(scope="module")
def shuffled_ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tilted CT whose file names have nothing to do with the order of its slices."""
    folder = tmp_path_factory.mktemp("ct") / "sample"
    make("ct-rtstruct", folder, slices=SLICES, size=64, rotation_deg=(4.0, 7.0, 12.0))
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json")
    for path, number in zip(files, np.random.default_rng(1).permutation(len(files)), strict=True):
        path.rename(path.with_name(f"shuffled-{number:04d}"))
    return folder


def test_every_voxel_is_where_its_own_file_says(slicer: Any, shuffled_ct: Path) -> None:
    import vtk
    from DicomWorkbenchLib.mrml import load_first_volume

    node = load_first_volume(shuffled_ct, "CT")
    assert (node.GetName(), node.GetAttribute("DicomWorkbench.units")) == ("CT", "HU")
    ras_to_ijk = vtk.vtkMatrix4x4()
    node.GetRASToIJKMatrix(ras_to_ijk)
    to_index = slicer.util.arrayFromVTKMatrix(ras_to_ijk)
    array = slicer.util.arrayFromVolume(node)
    checked = 0
    for path in shuffled_ct.rglob("shuffled-*"):
        dataset = pydicom.dcmread(path)
        if dataset.Modality != "CT":
            continue
        # The first pixel's centre, as the file itself gives it: LPS, so x and y change sign.
        position = np.array([-1, -1, 1]) * np.array(dataset.ImagePositionPatient, float)
        i, j, k = (to_index @ [*position, 1])[:3]
        assert_allclose([i, j], 0, atol=1e-3)
        assert abs(k - round(k)) < 1e-3
        values = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        assert_allclose(array[round(k)], values)
        checked += 1
    assert checked == SLICES == array.shape[0]


def test_the_node_knows_the_instances_it_comes_from(slicer: Any, shuffled_ct: Path) -> None:
    from DicomWorkbenchLib.mrml import load_first_volume

    uids = load_first_volume(shuffled_ct).GetAttribute("DICOM.instanceUIDs").split()
    files = [pydicom.dcmread(path, stop_before_pixels=True) for path in shuffled_ct.rglob("shuffled-*")]
    assert sorted(uids) == sorted(file.SOPInstanceUID for file in files if file.Modality == "CT")


def test_a_folder_without_a_volume_is_said_to_be_one(slicer: Any, shuffled_ct: Path, tmp_path: Path) -> None:
    from DicomWorkbenchLib.mrml import load_first_volume

    plan = next(path for path in shuffled_ct.rglob("shuffled-*") if pydicom.dcmread(path).Modality == "RTPLAN")
    (tmp_path / "plan.dcm").write_bytes(plan.read_bytes())
    with pytest.raises(NoDicomError, match=r"no series in .* is a volume"):
        load_first_volume(tmp_path)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0
