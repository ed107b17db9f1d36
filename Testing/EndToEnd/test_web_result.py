"""The page of a finished job in a real browser: turn, pick, hide, slices, files to take home; by fingers, without WebGL or scripts."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from AutoSegmentQueueLib.export_mesh import enclosed_volume_ml
from EndToEnd.web_browser import drive, served

pytestmark = [pytest.mark.needs("node", "npm", "chromium", "module:slicer", "module:trimesh"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("taken")


@pytest.fixture(scope="module")
def seen(journey: Any, folder: Path) -> dict[str, Any]:
    with served(journey.home) as server:
        order = {
            "url": server.address,
            "root": server.root,
            "pictures": str(folder),
            "name": "chest-anna",
            "home": str(journey.home),
        }
        return drive("web_result.mjs", order)


def test_a_hidden_structure_is_gone_from_the_picture_and_nothing_else_is(seen: dict[str, Any]) -> None:
    assert [name for name, _ in seen["structures"]] == ["body", "lungs", "bone"]
    assert seen["before"]["yellow"] > 2000 and seen["without"]["yellow"] < 0.02 * seen["before"]["yellow"]
    assert seen["without"]["all"] > 0.8 * seen["before"]["all"]
    assert seen["scene"] == {"body": True, "lungs": True, "bone": False} and seen["pressed"] == "false"


def test_a_click_names_the_structure_and_its_volume(seen: dict[str, Any]) -> None:
    volume = dict(seen["structures"])["bone"]
    assert seen["chosen"] == "bone" and seen["picked"] == f"Bone · {volume}"


def test_from_the_front_the_patients_left_is_on_the_right_and_the_head_is_up(seen: dict[str, Any]) -> None:
    places = {letter: [float(part) for part in text[10:-1].split()] for letter, text in seen["front"].items()}
    assert places["L"][0] > 30 and places["R"][0] < -30 and places["S"][1] < -30 and places["I"][1] > 30


def test_mouse_keys_and_fingers_move_the_model(seen: dict[str, Any]) -> None:
    assert seen["keys"] == [True, True] and seen["mouse"] == [True, True]
    assert seen["pinch"] < 0.5 and seen["tapped"].startswith("Bone")


def test_opacity_isolation_and_show_all_reach_the_scene(seen: dict[str, Any]) -> None:
    assert seen["opacity"] == pytest.approx(0.3) and seen["only"] == ["lungs"] and seen["all"] == 3


def test_slices_follow_the_list_and_each_other(seen: dict[str, Any]) -> None:
    assert seen["center"][1] not in (3, -1)
    assert seen["boneShown"] > 50 and seen["boneHidden"] == 0
    assert seen["under"].startswith("Lungs") and 0.2 < seen["sagittal"] < 0.4  # the patient's right lung is on the left


def test_downloads_are_what_the_page_says_byte_for_byte(seen: dict[str, Any], journey: Any) -> None:
    assert {"segmentation.glb", "segmentation.gltf", "segmentation.seg.nrrd", "statistics.csv", "report.json"} <= set(
        seen["downloads"]
    )
    for name, (got, said, size) in seen["downloads"].items():
        content = (journey.result / name).read_bytes()
        assert got == said == hashlib.sha256(content).hexdigest() and size == len(content), name


def test_the_archive_holds_every_file_of_the_result(seen: dict[str, Any], journey: Any, folder: Path) -> None:
    with zipfile.ZipFile(io.BytesIO((folder / "everything.zip").read_bytes())) as archive:
        assert archive.testzip() is None
        held = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    assert held == {
        path.relative_to(journey.result).as_posix(): path.read_bytes()
        for path in journey.result.rglob("*")
        if path.is_file()
    }


def test_the_stl_of_one_structure_encloses_what_the_model_does(
    seen: dict[str, Any], journey: Any, folder: Path
) -> None:
    content = (folder / "bone.stl").read_bytes()
    count = int(np.frombuffer(content, "<u4", 1, 80)[0])
    records = np.frombuffer(
        content, [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")], count, 84
    )
    assert len(content) == 84 + 50 * count
    from AutoSegmentQueueLib.export_parts import read_parts

    part = next(part for part in read_parts(journey.result / "segmentation.glb") if part.name == "bone")
    corners = records["corners"].reshape(-1, 3)
    triangles = np.arange(3 * count, dtype=np.uint32).reshape(-1, 3)
    assert enclosed_volume_ml(corners, triangles) == pytest.approx(
        enclosed_volume_ml(part.points_lps_mm, part.triangles), rel=1e-4
    )


def test_without_webgl_the_page_says_so_and_keeps_slices_and_files(seen: dict[str, Any]) -> None:
    assert "WebGL" in seen["flat"]


def test_without_scripts_there_are_pictures_and_files(seen: dict[str, Any]) -> None:
    assert seen["plainPictures"] == 3 and seen["plainFiles"] >= 6


def test_the_page_tells_no_path_fits_a_phone_and_has_no_serious_violation(seen: dict[str, Any]) -> None:
    assert seen["path"] is False and seen["width"] == 390
    assert seen["violations"] == [] and seen["errors"] == [] and seen["outside"] == []
