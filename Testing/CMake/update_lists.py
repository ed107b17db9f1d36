"""Rewrite what follows from other files: the lists in each room's CMakeLists.txt and its list of pip requirements.

    python Testing/CMake/update_lists.py            # rewrite
    python Testing/CMake/update_lists.py --check    # only say what would change, exit code 1 if anything

CMake lists: Slicer installs exactly what they name, so every file that git tracks under a room's Lib and Resources must be
there. Requirements: what pyproject.toml declares for a room, without what Slicer already brings.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Room -> the extra of pyproject.toml that holds its dependencies.
EXTRA_OF_ROOM = {
    "DicomWorkbench": "samples",
    "DicomOptimizer": "optimizer",
    "TumorAnalysis": "tumors",
    "SphereVOI": "spheres",
    "AutoSegmentQueue": "queue",
    "MultiframeStreamer": "stream",
}
# Bundled with Slicer 5.12 and newer: installing another copy there breaks other extensions.
BUNDLED_WITH_SLICER = {
    "numpy",
    "scipy",
    "pydicom",
    "simpleitk",
    "highdicom",
    "requests",
    "dicomweb-client",
    "pillow",
    "slicer-core",
}


def tracked_files(room: str, root: Path = ROOT) -> list[str]:
    """Return what Slicer must install for a room: module file, Lib, Resources; relative to the room, sorted."""
    command = ["git", "ls-files", "-z", "--", f"{room}/{room}.py", f"{room}/{room}Lib", f"{room}/Resources"]
    listing = subprocess.run(command, cwd=root, capture_output=True, check=True, text=True).stdout
    paths = {name.removeprefix(f"{room}/") for name in listing.split("\0") if name and (root / name).exists()}
    return sorted(paths | {requirements_path(room).removeprefix(f"{room}/")})  # written here, perhaps not yet added


def scripts_and_resources(room: str, root: Path = ROOT) -> tuple[list[str], list[str]]:
    """Split a room's files into Python scripts, module file first, and everything else."""
    files = tracked_files(room, root)
    scripts = sorted((path for path in files if path.endswith(".py")), key=lambda path: (path != f"{room}.py", path))
    return scripts, [path for path in files if not path.endswith(".py")]


def cmake_text(room: str, root: Path = ROOT) -> str:
    """Return the whole CMakeLists.txt of a room."""
    scripts, resources = ("\n".join(f"  {path}" for path in paths) for paths in scripts_and_resources(room, root))
    return f"""\
set(MODULE_NAME {room})

# Both lists are written by Testing/CMake/update_lists.py from what git tracks; what is not named is not installed.
set(MODULE_PYTHON_SCRIPTS
{scripts}
  )

set(MODULE_PYTHON_RESOURCES
{resources}
  )

slicerMacroBuildScriptedModule(
  NAME ${{MODULE_NAME}}
  SCRIPTS ${{MODULE_PYTHON_SCRIPTS}}
  RESOURCES ${{MODULE_PYTHON_RESOURCES}}
  WITH_GENERIC_TESTS
  )

if(BUILD_TESTING)
  # The self-test class in the module file; the other tests run with pytest.
  slicer_add_python_unittest(SCRIPT ${{MODULE_NAME}}.py)
endif()
"""


def requirements_path(room: str) -> str:
    """Return the name of a room's list of pip requirements; unique, for all rooms are installed into one folder."""
    return f"{room}/Resources/{room}-requirements.txt"


def requirements_text(room: str, root: Path = ROOT) -> str:
    """Return the pip requirements of a room inside Slicer."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {*project["dependencies"], *_expand(EXTRA_OF_ROOM[room], project["optional-dependencies"])}
    missing = sorted(line for line in wanted if _package(line) not in BUNDLED_WITH_SLICER)
    return "# What Slicer does not bring; written by Testing/CMake/update_lists.py from pyproject.toml.\n" + "".join(
        f"{line}\n" for line in missing
    )


def _expand(extra: str, extras: dict[str, list[str]]) -> Iterator[str]:
    """Yield the requirements of an extra, those of the extras it names included."""
    for line in extras[extra]:
        if own := re.fullmatch(r"dicom-workbench\[(.+)\]", line):
            for name in own[1].split(","):
                yield from _expand(name.strip(), extras)
        else:
            yield line


def _package(requirement: str) -> str:
    return re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0].lower()


def wanted_texts(root: Path = ROOT) -> dict[str, str]:
    """Return path -> text of every file this script writes."""
    lists = {f"{room}/CMakeLists.txt": cmake_text(room, root) for room in EXTRA_OF_ROOM}
    return lists | {requirements_path(room): requirements_text(room, root) for room in EXTRA_OF_ROOM}


def out_of_date(root: Path = ROOT) -> list[str]:
    """Return one message per line that is missing from, or too much in, one of the files."""
    messages = []
    for path, text in wanted_texts(root).items():
        file = root / path
        have = set(file.read_text(encoding="utf-8").splitlines()) if file.exists() else set()
        want = set(text.splitlines())
        messages += [f"{path}: missing: {line.strip()}" for line in sorted(want - have)]
        messages += [f"{path}: too much: {line.strip()}" for line in sorted(have - want)]
    return messages


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description="Rewrite each room's CMake lists and requirements.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if something is out of date")
    check = parser.parse_args().check
    messages = out_of_date()
    print("\n".join(messages) or "everything is up to date")
    if check:
        return 1 if messages else 0
    for path, text in wanted_texts().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
