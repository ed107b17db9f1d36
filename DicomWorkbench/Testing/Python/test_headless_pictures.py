"""Pictures of a scene show what is in it, where it is, and leave the scene as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DicomWorkbenchLib.errors import OutputError, SettingsError
from DicomWorkbenchLib.headless import boot, picture_of_3d, picture_of_slice
from DicomWorkbenchLib.windowing import Window

pytestmark = [pytest.mark.needs("module:slicer"), pytest.mark.needs("module:PIL")]

LESION_RAS = (30.0, 10.0, -5.0)  # right of, in front of and below the volume's centre
SOFT_TISSUE = Window(level=50, width=350)
RED = (1.0, 0.0, 0.0)


@pytest.fixture
def slicer() -> Any:
    boot()
    import slicer

    slicer.mrmlScene.Clear(0)
    return slicer


@pytest.fixture
def ct(slicer: Any) -> Any:
    """200 x 160 x 90 mm of 40 HU in a frame of air, centred on the origin, with a lesion of 120 HU and 20 mm."""
    k, j, i = np.mgrid[:30, :80, :100]
    right, anterior, superior = 99 - i * 2.0, 79 - j * 2.0, k * 3.0 - 43.5
    array = np.where((abs(right) < 80) & (abs(anterior) < 60), 40, -1000).astype(np.int16)
    r, a, s = LESION_RAS
    array[(right - r) ** 2 + (anterior - a) ** 2 + (superior - s) ** 2 < 10**2] = 120
    matrix = np.diag([-2.0, -2.0, 3.0, 1.0])
    matrix[:3, 3] = 99, 79, -43.5
    node = slicer.util.addVolumeFromArray(array, matrix, "CT", "vtkMRMLScalarVolumeNode")
    node.CreateDefaultDisplayNodes()
    return node


@pytest.fixture
def lesion(slicer: Any, ct: Any) -> Any:
    """The lesion as a red segment with a surface."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Lesion")
    node.CreateDefaultDisplayNodes()
    segment_id = node.GetSegmentation().AddEmptySegment("lesion", "lesion", RED)
    mask = (slicer.util.arrayFromVolume(ct) == 120).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segment_id, ct)
    node.CreateClosedSurfaceRepresentation()
    return node


def pixels(path: Path) -> np.ndarray:
    """(rows, columns, RGB) as signed numbers."""
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def redness(picture: np.ndarray) -> np.ndarray:
    return picture[..., 0] - picture[..., 1]


def center_of_red(picture: np.ndarray) -> tuple[float, float]:
    """(x from the left, y from the top) as fractions of the picture."""
    rows, columns = np.nonzero(redness(picture) > 40)
    assert rows.size, "nothing red in the picture"
    return float(columns.mean() / picture.shape[1]), float(rows.mean() / picture.shape[0])


def test_greys_of_a_slice_are_those_of_the_window(ct: Any, tmp_path: Path) -> None:
    picture = pixels(picture_of_slice(ct, tmp_path / "p.png", center_ras=LESION_RAS, window=SOFT_TISSUE))
    assert picture.shape == (512, 512, 3)
    greys = set(np.unique(picture[..., 0]))
    # 40 HU in a window of -125 .. 225 HU is grey 120, 120 HU is grey 178; interpolation fills in between
    assert {0, 120} <= greys
    assert abs(max(greys) - 178) <= 1


def test_display_window_is_the_same_after_a_picture(ct: Any, tmp_path: Path) -> None:
    display = ct.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(777, 111)
    picture_of_slice(ct, tmp_path / "p.png", window=SOFT_TISSUE)
    assert (display.GetWindow(), display.GetLevel(), display.GetAutoWindowLevel()) == (777, 111, 0)


# Where the lesion must be seen: the volume is 200 x 160 x 90 mm; a picture is as wide as its longer side.
@pytest.mark.parametrize(
    ("orientation", "x", "y"),
    [
        ("Axial", 0.5 - 30 / 200, 0.5 - 10 / 200),  # patient's right on the left, front on top
        ("Coronal", 0.5 - 30 / 200, 0.5 + 5 / 200),  # head on top
        ("Sagittal", 0.5 - 10 / 160, 0.5 + 5 / 160),  # front on the left
    ],
)
def test_a_segment_is_seen_at_its_place_in_every_plane(
    ct: Any, lesion: Any, tmp_path: Path, orientation: Any, x: float, y: float
) -> None:
    picture = pixels(picture_of_slice(ct, tmp_path / "p.png", orientation=orientation, center_ras=LESION_RAS))
    # 0.03 of the picture is 6 mm, two slices of this volume, and more than fitting rounds the field of view by
    assert center_of_red(picture) == pytest.approx((x, y), abs=0.03)


def test_the_image_shines_through_a_segment(ct: Any, lesion: Any, tmp_path: Path) -> None:
    picture = pixels(picture_of_slice(ct, tmp_path / "p.png", center_ras=LESION_RAS, window=SOFT_TISSUE))
    inside = redness(picture) > 60
    assert np.median(picture[..., 1][inside]) > 50, "the fill of the segment hides the image"


def test_the_offset_chooses_the_slice(ct: Any, lesion: Any, tmp_path: Path) -> None:
    through = pixels(picture_of_slice(ct, tmp_path / "a.png", offset_mm=LESION_RAS[2]))
    above = pixels(picture_of_slice(ct, tmp_path / "b.png", offset_mm=LESION_RAS[2] + 20))
    right = pixels(picture_of_slice(ct, tmp_path / "c.png", orientation="Sagittal", offset_mm=LESION_RAS[0]))
    left = pixels(picture_of_slice(ct, tmp_path / "d.png", orientation="Sagittal", offset_mm=-LESION_RAS[0]))
    assert [bool((redness(p) > 40).any()) for p in (through, above, right, left)] == [True, False, True, False]


def test_field_of_view_zooms_on_the_center(ct: Any, lesion: Any, tmp_path: Path) -> None:
    picture = pixels(picture_of_slice(ct, tmp_path / "p.png", center_ras=LESION_RAS, field_of_view_mm=40))
    assert center_of_red(picture) == pytest.approx((0.5, 0.5), abs=0.03)
    # a disc of 20 mm in a square of 40 mm
    assert (redness(picture) > 40).mean() == pytest.approx(np.pi * 10**2 / 40**2, rel=0.1)


def test_markups_are_seen_in_slices(slicer: Any, ct: Any, tmp_path: Path) -> None:
    bare = pixels(picture_of_slice(ct, tmp_path / "a.png", center_ras=LESION_RAS))
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "P")
    points.CreateDefaultDisplayNodes()
    points.AddControlPoint(LESION_RAS, "lesion 1")
    marked = pixels(picture_of_slice(ct, tmp_path / "b.png", center_ras=LESION_RAS))
    rows, columns = np.nonzero(abs(marked - bare).sum(axis=-1) > 100)
    assert rows.size > 50
    assert (columns.min() / 512, np.median(rows) / 512) == pytest.approx((0.35, 0.45), abs=0.05)


def test_3d_view_shows_surfaces_from_the_side_asked_for(ct: Any, lesion: Any, tmp_path: Path) -> None:
    slicer = boot().mrmlScene()
    front = pixels(picture_of_3d(tmp_path / "front.png", size=(300, 200)))
    assert front.shape == (200, 300, 3)
    assert (redness(front) > 40).mean() > 0.1, "the lesion is not seen"
    # A second surface on the patient's left hides the lesion when looked at from there, not from the front.
    shield = slicer.AddNewNodeByClass("vtkMRMLModelNode", "shield")
    import vtk

    cube = vtk.vtkCubeSource()
    cube.SetCenter(-30, LESION_RAS[1], LESION_RAS[2])
    for length in (cube.SetYLength, cube.SetZLength):
        length(40)
    cube.Update()
    shield.SetAndObservePolyData(cube.GetOutput())
    shield.CreateDefaultDisplayNodes()
    shield.GetDisplayNode().SetColor(0, 1, 0)
    from_left = pixels(picture_of_3d(tmp_path / "left.png", azimuth_deg=90))
    from_front = pixels(picture_of_3d(tmp_path / "front2.png"))
    assert (redness(from_left) > 40).mean() < 0.001
    assert center_of_red(from_front)[0] < 0.4, "the patient's right must be on the left of a view from the front"


def test_pictures_leave_the_scene_as_it_was(slicer: Any, ct: Any, lesion: Any, tmp_path: Path) -> None:
    def nodes() -> list[str]:
        return [slicer.mrmlScene.GetNthNode(i).GetID() for i in range(slicer.mrmlScene.GetNumberOfNodes())]

    before = nodes()
    for _ in range(3):
        picture_of_slice(ct, tmp_path / "p.png")
        picture_of_3d(tmp_path / "p.png")
    assert nodes() == before
    assert slicer.app.applicationLogic().GetSliceLogics().GetNumberOfItems() == 0


def test_pictures_are_the_same_twice(ct: Any, lesion: Any, tmp_path: Path) -> None:
    one = picture_of_slice(ct, tmp_path / "1.png", center_ras=LESION_RAS).read_bytes()
    assert picture_of_slice(ct, tmp_path / "2.png", center_ras=LESION_RAS).read_bytes() == one


def test_what_cannot_be_drawn_is_said(ct: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="got 'axial'"):
        picture_of_slice(ct, tmp_path / "p.png", orientation="axial")  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(SettingsError, match="not both"):
        picture_of_slice(ct, tmp_path / "p.png", offset_mm=1.0, center_ras=LESION_RAS)
    with pytest.raises(OutputError, match=r"missing.p\.png"):
        picture_of_3d(tmp_path / "missing" / "p.png")
