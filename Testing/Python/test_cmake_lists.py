"""What Slicer installs is what git tracks, and what it asks pip for is what pyproject.toml declares."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
ADVICE = "\nrun: python Testing/CMake/update_lists.py"


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("update_lists", ROOT / "Testing" / "CMake" / "update_lists.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


update_lists = load_script()
ROOMS = list(update_lists.EXTRA_OF_ROOM)


@pytest.mark.parametrize("room", ROOMS)
def test_lists_of_the_room_are_up_to_date(room: str) -> None:
    messages = [message for message in update_lists.out_of_date() if message.startswith(f"{room}/")]
    assert not messages, "\n" + "\n".join(messages) + ADVICE


@pytest.mark.parametrize("room", ROOMS)
def test_room_has_a_module_file_and_an_icon(room: str) -> None:
    files = update_lists.tracked_files(room)
    assert f"{room}.py" in files
    assert f"Resources/Icons/{room}.png" in files


def test_root_adds_every_room_and_no_other() -> None:
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^add_subdirectory\((\w+)\)", text, re.MULTILINE)) == sorted(ROOMS)


def test_no_two_rooms_install_a_file_of_the_same_name() -> None:
    owners: dict[str, str] = {}
    for room in ROOMS:
        for path in update_lists.tracked_files(room):
            # All modules of Slicer share one folder, and names there must differ on Windows too.
            other = owners.setdefault(path.lower(), room)
            assert other == room, f"{room} and {other} both install {path}; put the module's name into the file's name"


def test_index_entry_has_the_fields_the_extensions_index_accepts() -> None:
    entry = json.loads((ROOT / "DicomWorkbench.json").read_text(encoding="utf-8"))
    known = {
        "$schema", "build_dependencies", "build_subdirectory", "category", "dicom_support_rule", "enabled",
        "scm_revision", "scm_type", "scm_url", "tier",
    }  # fmt: skip
    assert {"$schema", "category", "scm_url"} <= set(entry) <= known
    assert b"\r" not in (ROOT / "DicomWorkbench.json").read_bytes()
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.search(r"^project\(DicomWorkbench\)", text, re.MULTILINE), "the project must be named like the json file"
    depends = re.search(r'EXTENSION_DEPENDS "(.*)"', text)
    assert depends is not None
    assert (depends[1] == "NA") == (entry["build_dependencies"] == [])


def test_icon_and_screenshots_of_the_extension_are_files_of_this_repository() -> None:
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    addresses = " ".join(re.findall(r'EXTENSION_(?:ICONURL|SCREENSHOTURLS) "(.*)"', text)).split()
    assert len(addresses) >= 2
    for address in addresses:
        found = re.fullmatch(
            r"https://raw\.githubusercontent\.com/[\w\-]+/SlicerDicomWorkbench/main/(.+\.png)", address
        )
        assert found, f"{address}: the extensions index wants a raw address of a PNG in this repository"
        assert (ROOT / found[1]).is_file(), f"CMakeLists.txt names {found[1]}, which does not exist: take a picture"


@pytest.mark.parametrize("room", ROOMS)
def test_pip_is_never_asked_for_what_slicer_brings(room: str) -> None:
    lines = [line for line in update_lists.requirements_text(room).splitlines() if not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9_.\-]+(\[[a-z,]+\])?>=[0-9.]+(,<[0-9.]+)?", line), f"{line}: name>=version"
        assert line.lower().split(">")[0] not in update_lists.BUNDLED_WITH_SLICER


# ---- the script itself -----------------------------------------------------------------------------------------------


@pytest.fixture
def small_project(tmp_path: Path) -> Path:
    """A repository with the rooms' smallest possible content and lists that are up to date."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["numpy>=2.0", "click>=8.1"]\n[project.optional-dependencies]\n'
        + "".join(f"{extra} = []\n" for extra in update_lists.EXTRA_OF_ROOM.values() if extra != "tumors")
        + 'tables = ["pandas>=2.2", "Pillow>=10"]\ntumors = ["edt>=3.0", "dicom-workbench[tables]"]\n'
    )
    for room in ROOMS:
        (tmp_path / room / f"{room}Lib").mkdir(parents=True)
        (tmp_path / room / f"{room}.py").touch()
        (tmp_path / room / f"{room}Lib" / "__init__.py").touch()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
    for path, text in update_lists.wanted_texts(tmp_path).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    assert update_lists.out_of_date(tmp_path) == []
    return tmp_path


def add(project: Path, path: str) -> None:
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).touch()
    subprocess.run(["git", "add", path], cwd=project, check=True)


def test_a_file_git_tracks_and_the_list_lacks_is_named(small_project: Path) -> None:
    add(small_project, "SphereVOI/SphereVOILib/web/page.html")
    add(small_project, "SphereVOI/SphereVOILib/fit.py")
    assert update_lists.out_of_date(small_project) == [
        "SphereVOI/CMakeLists.txt: missing: SphereVOILib/fit.py",
        "SphereVOI/CMakeLists.txt: missing: SphereVOILib/web/page.html",
    ]
    scripts, resources = update_lists.scripts_and_resources("SphereVOI", small_project)
    assert scripts == ["SphereVOI.py", "SphereVOILib/__init__.py", "SphereVOILib/fit.py"]
    assert resources == ["Resources/SphereVOI-requirements.txt", "SphereVOILib/web/page.html"]


def test_a_file_that_is_gone_or_untracked_is_not_listed(small_project: Path) -> None:
    (small_project / "SphereVOI" / "SphereVOILib" / "scratch.py").touch()
    assert update_lists.out_of_date(small_project) == []
    (small_project / "SphereVOI" / "SphereVOI.py").unlink()
    assert "SphereVOI/CMakeLists.txt: too much: SphereVOI.py" in update_lists.out_of_date(small_project)


def test_tests_of_a_room_are_not_installed(small_project: Path) -> None:
    add(small_project, "SphereVOI/Testing/Python/test_fit.py")
    assert update_lists.out_of_date(small_project) == []


def test_requirements_follow_extras_of_extras_and_leave_out_what_slicer_has(small_project: Path) -> None:
    lines = update_lists.requirements_text("TumorAnalysis", small_project).splitlines()[1:]
    assert lines == ["click>=8.1", "edt>=3.0", "pandas>=2.2"]
