"""Slices from a result: right orientation and aspect for every way a scan can lie, colours of the structures, nothing kept for ever.

Truth: a block of known corners in patient coordinates, written on grids of all orientations.
"""

from __future__ import annotations

import io
import json
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from AutoSegmentQueueLib import preview_volume
from AutoSegmentQueueLib.engines.model import ImageVolume
from AutoSegmentQueueLib.export_gltf import as_glb, build
from AutoSegmentQueueLib.export_mesh import Mesh, enclosed_volume_ml
from AutoSegmentQueueLib.web import downloads, results, slices
from DicomWorkbenchLib.errors import InputError
from PIL import Image

SIZE_MM = (40.0, 60.0, 80.0)  # left, posterior, superior
SPACING_MM = (2.0, 3.0, 4.0)
# The block lies to the patient's right, in front, above.
BLOCK_LPS = ((4.0, 14.0), (6.0, 21.0), (48.0, 68.0))
RED = [0.8, 0.2, 0.1]


def on_grid(
    order: tuple[int, ...], flips: tuple[int, ...], spacing: tuple[float, ...] = SPACING_MM
) -> tuple[ImageVolume, Any]:
    """A CT and its labels on a grid whose axes i, j, k run along patient axes ``order``, backwards where ``flips`` is -1."""
    matrix = np.eye(4)
    matrix[:3, :3] = 0
    shape_ijk = []
    for index, (axis, sign) in enumerate(zip(order, flips, strict=True)):
        count = round(SIZE_MM[axis] / spacing[index])
        shape_ijk.append(count)
        matrix[axis, index] = sign * spacing[index]
        matrix[axis, 3] = spacing[index] / 2 if sign > 0 else SIZE_MM[axis] - spacing[index] / 2
    i, j, k = np.meshgrid(*(np.arange(n) for n in shape_ijk), indexing="ij")
    points = np.stack([i, j, k, np.ones_like(i)], -1) @ matrix.T
    inside = np.all(
        [(points[..., a] > low) & (points[..., a] < high) for a, (low, high) in enumerate(BLOCK_LPS)], axis=0
    )
    array = np.where(inside, 300, -1000).astype(np.int16).transpose(2, 1, 0)
    return ImageVolume(array, matrix, "HU", "CT"), inside.astype(np.uint16).transpose(2, 1, 0)


def write_result(folder: Path, volume: ImageVolume, labels: Any) -> Path:
    folder.mkdir(parents=True)
    preview_volume.write(folder / preview_volume.NAME, preview_volume.make(volume, labels))
    center = [float(np.mean(part)) for part in BLOCK_LPS]
    structure = {
        "name": "block",
        "label": 1,
        "labels": [1],
        "color": RED,
        "opacity": 1.0,
        "volume_ml": 3.0,
        "centroid_lps_mm": center,
    }
    files = [{"path": preview_volume.NAME, "bytes": 1, "sha256": "00"}]
    (folder / "manifest.json").write_text(
        json.dumps({"id": "x", "outputs": files, "structures": [structure], "models": []})
    )
    return folder


def picture(folder: Path, axis: str, number: int, overlay: int, **more: Any) -> Any:
    content = slices.png(folder, folder.parent / "cache" / folder.name, axis, number, overlay, **more)
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("order", permutations(range(3)))
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, -1, 1), (1, -1, -1), (-1, 1, -1)])
def test_however_a_scan_lies_its_slices_look_the_same(
    tmp_path: Path, order: tuple[int, ...], flips: tuple[int, ...]
) -> None:
    spacing = tuple(SPACING_MM[axis] for axis in order)
    folder = write_result(tmp_path / "result", *on_grid(order, flips, spacing))
    center = results.describe(folder, "x")["structures"][0]["center_slices"]
    # (first, last) of the block along each side of the picture, as a share of it: down from the top, across from the left.
    left, posterior, superior = (
        (low / size, high / size) for (low, high), size in zip(BLOCK_LPS, SIZE_MM, strict=True)
    )
    fallen = (1 - superior[1], 1 - superior[0])
    for axis, down, across in (("axial", posterior, left), ("coronal", fallen, left), ("sagittal", fallen, posterior)):
        found = picture(folder, axis, center[axis], slices.NUMBERED)
        rows, columns = np.nonzero(found[..., 1] == 1)
        height, width = found.shape[:2]
        for have, want, length in ((rows, down, height), (columns, across, width)):
            assert (have.min() / length, (have.max() + 1) / length) == pytest.approx(want, abs=0.06), axis
        described = results.describe(folder, "x")["previews"]["axes"][axis]
        assert (described["width"], described["height"]) == (width, height)
    axial = picture(folder, "axial", center["axial"], slices.PLAIN)
    assert axial.shape[1] / axial.shape[0] == pytest.approx(
        SIZE_MM[0] / SIZE_MM[1], rel=0.05
    )  # millimetres, not voxels


def test_colours_edges_and_windows_are_as_asked(tmp_path: Path) -> None:
    folder = write_result(tmp_path / "result", *on_grid((0, 1, 2), (1, 1, 1)))
    number = results.describe(folder, "x")["structures"][0]["center_slices"]["axial"]
    plain, colored = picture(folder, "axial", number, slices.PLAIN), picture(folder, "axial", number, slices.OVERLAID)
    rows, columns = np.nonzero(picture(folder, "axial", number, slices.NUMBERED)[..., 1])
    edge, middle = colored[rows[0], columns[0]].astype(int), colored[int(rows.mean()), int(columns.mean())].astype(int)
    assert plain[int(rows.mean()), int(columns.mean())] == 255 and plain[0, 0] == 0
    assert edge == pytest.approx(np.rint(0.1 * plain[rows[0], columns[0]] + 0.9 * 255 * np.array(RED)), abs=2)
    assert middle == pytest.approx(np.rint(0.6 * 255 + 0.4 * 255 * np.array(RED)), abs=2)
    assert picture(folder, "axial", number, slices.PLAIN, window="bone")[int(rows.mean()), int(columns.mean())] < 150


def test_what_does_not_exist_is_said(tmp_path: Path) -> None:
    folder = write_result(tmp_path / "result", *on_grid((0, 1, 2), (1, 1, 1)))
    for axis, number, overlay, window in (
        ("axial", 999, 0, ""),
        ("axial", -1, 0, ""),
        ("oblique", 0, 0, ""),
        ("axial", 0, 7, ""),
        ("axial", 0, 0, "x"),
    ):
        with pytest.raises(InputError):
            slices.png(folder, tmp_path / "cache" / "x", axis, number, overlay, window)
    with pytest.raises(InputError, match="no slices"):
        slices.png(tmp_path, tmp_path / "cache" / "y", "axial", 0)
    (folder / preview_volume.NAME).write_bytes(b"PK damaged")
    with pytest.raises(InputError):
        slices.png(folder, tmp_path / "cache" / "z", "axial", 0)
    assert results.describe(folder, "x")["previews"] is None


def test_the_cache_keeps_the_jobs_that_were_looked_at_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "KEPT", 3)
    folder = write_result(tmp_path / "result", *on_grid((0, 1, 2), (1, 1, 1)))
    for number in range(6):
        slices.png(folder, tmp_path / "cache" / f"job{number}", "axial", 1)
    assert len(list((tmp_path / "cache").iterdir())) == 3 and (tmp_path / "cache" / "job5").is_dir()


def test_the_copy_is_small_and_the_same_each_time(tmp_path: Path) -> None:
    array = np.random.default_rng(1).integers(-1000, 1000, (300, 256, 256), np.int16)
    volume = ImageVolume(array, np.diag([0.7, 0.7, 1.0, 1.0]), "HU", "CT")
    labels = np.ones(array.shape, np.uint16)
    made = preview_volume.make(volume, labels)
    assert made.scan.size <= preview_volume.MOST_VOXELS and max(made.scan.shape) <= preview_volume.MOST_ALONG
    assert np.array(made.spacing_mm) * made.scan.shape[::-1] == pytest.approx(
        np.array([0.7, 0.7, 1.0]) * array.shape[::-1], rel=0.03
    )
    preview_volume.write(tmp_path / "a.npz", made)
    preview_volume.write(tmp_path / "b.npz", preview_volume.make(volume, labels))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = preview_volume.read(tmp_path / "a.npz")
    assert np.array_equal(again.scan, made.scan) and again.window == made.window and again.is_ct


def test_values_that_are_no_hounsfield_units_fill_the_window() -> None:
    array = np.linspace(0, 0.5, 8000, dtype=np.float32).reshape(20, 20, 20)
    made = preview_volume.make(ImageVolume(array, np.eye(4), "", "PT"), np.zeros(array.shape, np.uint16))
    assert not made.is_ct and made.scan.min() == 0 and made.scan.max() == 4095
    assert made.window.low < 200 and made.window.high > 3900


def test_stl_and_archive_are_made_of_what_is_there(tmp_path: Path) -> None:
    corners = np.array([[x, y, z] for x, y, z in product((0.0, 10.0), (0.0, 20.0), (0.0, 30.0))], np.float32)
    faces = np.array(
        [
            [0, 1, 3],
            [0, 3, 2],
            [4, 6, 7],
            [4, 7, 5],
            [0, 4, 5],
            [0, 5, 1],
            [2, 3, 7],
            [2, 7, 6],
            [0, 2, 6],
            [0, 6, 4],
            [1, 5, 7],
            [1, 7, 3],
        ],
        np.uint32,
    )
    mesh = Mesh("left lung", "", (1.0, 0.0, 0.0), 1.0, corners, np.zeros_like(corners), faces)
    (tmp_path / "segmentation.glb").write_bytes(as_glb(*build([mesh], "x")))
    content = downloads.stl_of(tmp_path, "left lung")
    records = np.frombuffer(
        content, [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")], offset=84
    )
    triangles = np.arange(36, dtype=np.uint32).reshape(-1, 3)
    assert abs(enclosed_volume_ml(records["corners"].reshape(-1, 3), triangles)) == pytest.approx(6.0, rel=1e-4)
    with pytest.raises(InputError, match="liver"):
        downloads.stl_of(tmp_path, "liver")
    assert b"".join(downloads.zip_of(tmp_path)) == b"".join(downloads.zip_of(tmp_path))
    with pytest.raises(InputError, match="no model"):
        downloads.stl_of(tmp_path / "none", "x")
