"""The extension is configured, built and installed as Slicer does it, and works from what was installed alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("DicomWorkbench", "DicomOptimizer", "TumorAnalysis", "SphereVOI", "AutoSegmentQueue", "MultiframeStreamer")

pytestmark = [pytest.mark.needs("cmake"), pytest.mark.needs("c++")]

IMPORT_ALL = """
import importlib, pkgutil, sys
from pathlib import Path
folder = Path(sys.argv[1]).resolve()
packages = [f"{room}Lib" for room in sys.argv[2:]]
for package in map(importlib.import_module, packages):
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not info.name.endswith(".__main__"):
            importlib.import_module(info.name)
ours = [module for name, module in sys.modules.items() if name.partition(".")[0] in packages]
for module in ours:
    assert folder in Path(module.__file__).resolve().parents, f"{module.__name__} came from {module.__file__}"
print(len(ours))
"""


def cmake(*arguments: str | Path) -> None:
    done = subprocess.run(["cmake", *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr


def configure(source: Path, build: Path) -> None:
    cmake("-S", source, "-B", build, f"-DSlicer_DIR={ROOT / 'Testing' / 'CMake'}", "-DBUILD_TESTING=ON")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that Slicer's extension manager would add to the module paths."""
    folder = tmp_path_factory.mktemp("extension")
    configure(ROOT, folder / "build")
    cmake("--build", folder / "build")
    cmake("--install", folder / "build", "--prefix", folder / "there")
    (modules,) = (folder / "there").glob("lib/Slicer-*/qt-scripted-modules")
    return modules


def tracked(room: str) -> set[str]:
    command = ["git", "ls-files", "-z", "--", f"{room}/{room}.py", f"{room}/{room}Lib", f"{room}/Resources"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return {name.removeprefix(f"{room}/") for name in listing.split("\0") if name and (ROOT / name).exists()}


def test_what_git_tracks_is_installed_and_nothing_else(installed: Path) -> None:
    expected = set().union(*(tracked(room) for room in ROOMS))
    there = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    assert expected - there == set(), "not installed: run python Testing/CMake/update_lists.py"
    assert there - expected == set(), (
        "installed and not tracked: git add it, or run python Testing/CMake/update_lists.py"
    )


def test_installed_files_have_the_bytes_of_the_checkout(installed: Path) -> None:
    for room in ROOMS:
        for name in tracked(room):
            assert (installed / name).read_bytes() == (ROOT / room / name).read_bytes(), name


@pytest.mark.needs("module:slicer")
def test_every_package_imports_from_the_installed_folder_alone(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, str(installed), *ROOMS],
        # In front of site-packages, where an editable install would lead back to the checkout.
        env=os.environ | {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > len(ROOMS)


@pytest.mark.needs("module:slicer")
@pytest.mark.needs("module:PySide6")
@pytest.mark.parametrize("room", [room for room in ROOMS if room != "DicomWorkbench"])  # the hidden one has no panel
def test_every_panel_opens_from_the_installed_folder(installed: Path, tmp_path: Path, room: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "SlicerHost", str(installed / f"{room}.py")],
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join((str(installed), str(ROOT / "Testing"))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "QT_QPA_PLATFORM": "offscreen",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


# ---- the stand-in for Slicer's CMake package is strict ---------------------------------------------------------------

HEADER = "cmake_minimum_required(VERSION 3.16)\nproject(Small LANGUAGES NONE)\nfind_package(Slicer REQUIRED)\ninclude(${Slicer_USE_FILE})\n"


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ("slicerMacroBuildScriptedModule(NAME A SCRIPTS A.py missing.py)", "does not exist: missing.py"),
        ("slicerMacroBuildScriptedModule(TITLE x NAME A SCRIPTS A.py)", "Unknown keywords"),
        ("slicerMacroBuildScriptedModule(SCRIPTS A.py)", "NAME CMake variable is empty"),
        (
            "slicerMacroBuildScriptedModule(NAME A SCRIPTS A.py)\nslicerMacroBuildScriptedModule(NAME B SCRIPTS A.py)",
            "Two modules install A.py",
        ),
        ("slicer_add_python_unittest(SCRIPT B.py)", "no such script"),
        ("include(${Slicer_EXTENSION_GENERATE_CONFIG})", "EXTENSION_HOMEPAGE is not set"),
    ],
)
def test_mistakes_in_a_list_stop_the_configuration(tmp_path: Path, call: str, complaint: str) -> None:
    (tmp_path / "CMakeLists.txt").write_text(HEADER + call)
    (tmp_path / "A.py").touch()
    with pytest.raises(AssertionError) as stopped:
        configure(tmp_path, tmp_path / "build")
    assert complaint in " ".join(str(stopped.value).split())


def test_scripts_may_be_named_without_ending(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        HEADER + "slicerMacroBuildScriptedModule(NAME A SCRIPTS A WITH_GENERIC_TESTS)"
    )
    (tmp_path / "A.py").write_text("x = 1\n")
    configure(tmp_path, tmp_path / "build")
    cmake("--build", tmp_path / "build")
    cmake("--install", tmp_path / "build", "--prefix", tmp_path / "there")
    assert [path.read_text() for path in (tmp_path / "there").rglob("*.py")] == ["x = 1\n"]
