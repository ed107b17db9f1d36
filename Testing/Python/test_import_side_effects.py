"""Importing our packages does nothing but define names, and is light. Each proof runs in an interpreter of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("DicomWorkbench", "DicomOptimizer", "TumorAnalysis", "SphereVOI", "AutoSegmentQueue", "MultiframeStreamer")

# Slicer does not bring these: a panel must open without them and offer to install them when they are needed.
MISSING_IN_SLICER = (
    "click", "rich", "imagecodecs", "pandas", "openpyxl", "matplotlib", "cc3d", "edt", "starlette", "uvicorn", "httpx",
    "watchdog", "ipywidgets",
)  # fmt: skip
# Each of these takes longer to import than ``--help`` may take altogether.
HEAVY = ("numpy", "pydicom", "pandas", "matplotlib", "SimpleITK", "highdicom", "scipy", "imagecodecs", "slicer", "vtk")

WATCH = r'''
import contextlib, importlib, json, logging, os, pkgutil, signal, subprocess, sys, threading, traceback, warnings
from pathlib import Path

seen = []
ours = tuple(os.path.join(os.environ["CHECKOUT"], room) + os.sep for room in os.environ["ROOMS"].split(","))

def culprit():
    """The innermost frame that is ours, unless a package of somebody else's came after it (then it is that one's doing)."""
    frames = [f for f in traceback.extract_stack() if not f.filename.startswith("<") and "importlib" not in f.filename]
    for frame in reversed(frames):
        if frame.filename.startswith(ours):
            return f"{os.path.relpath(frame.filename, os.environ['CHECKOUT'])}:{frame.lineno}"
        if "site-packages" in frame.filename:
            return None
    return None

def audit(event, args):
    what = None
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        what = None if "__pycache__" in str(args[0]) else f"writes {args[0]}"
    elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "socket.bind",
                   "os.mkdir", "os.remove", "os.rename", "tempfile.mkstemp", "tempfile.mkdtemp"):
        what = event
    if what and (where := culprit()):
        seen.append(f"{where}: {what} on import; do it in a function")

def state():
    root = logging.getLogger()
    return {
        "threads": threading.active_count(),
        "logging handlers": len(root.handlers),
        "logging level": root.level,
        "sys.path": list(sys.path),
        "environment": dict(os.environ),
        "working folder": os.getcwd(),
        "SIGINT handler": str(signal.getsignal(signal.SIGINT)),
        "excepthook": str(sys.excepthook),
        "pip": any(name == "pip" or name.startswith("pip.") for name in sys.modules),
    }

def import_all(package_name):
    package = importlib.import_module(package_name)
    for info in pkgutil.walk_packages(package.__path__, package_name + "."):
        if not info.name.endswith(".__main__"):
            with contextlib.suppress(ModuleNotFoundError) if sys.argv[2] == "lenient" else contextlib.nullcontext():
                importlib.import_module(info.name)

sys.addaudithook(audit)
before = state()
import_all(sys.argv[1])
after = state()
changed = [f"{name}: {before[name]} -> {after[name]}" for name in before if before[name] != after[name]]
print(json.dumps({"seen": seen, "changed": changed, "modules": [n for n in sys.modules if n.startswith(sys.argv[1])]}))
'''


def run_python(code: str, *arguments: str, home: Path, **environment: str) -> str:
    """Run ``code`` where every usual place to leave files is the empty folder ``home``; return its output."""
    places = {
        name: str(home)
        for name in ("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    }
    # Third-party packages' caches are not our doing: they go elsewhere.
    places |= {"MPLCONFIGDIR": str(home.parent), "NUMBA_CACHE_DIR": str(home.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=home,
        env=os.environ | places | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def watch_import(package: str, home: Path, checkout: Path = ROOT, rooms: tuple[str, ...] = ROOMS) -> dict[str, Any]:
    # With everything installed an import that fails is an error of ours.
    mode = "strict" if os.environ.get("WORKBENCH_REQUIRE_ALL") == "1" else "lenient"
    places = {"CHECKOUT": str(checkout), "ROOMS": ",".join(rooms)}
    path = {"PYTHONPATH": str(checkout / rooms[0])} if checkout != ROOT else {}
    report: dict[str, Any] = json.loads(run_python(WATCH, package, mode, home=home, **places, **path).splitlines()[-1])
    return report


@pytest.mark.parametrize("room", ROOMS)
def test_importing_every_file_of_a_lib_has_no_side_effect(room: str, home: Path) -> None:
    report = watch_import(f"{room}Lib", home)
    assert report["modules"], "nothing was imported"
    assert report["seen"] == [], "\n" + "\n".join(report["seen"])
    assert report["changed"] == [], f"importing {room}Lib changed the process: " + "; ".join(report["changed"])
    assert [path.name for path in home.iterdir()] == [], "files were left"


@pytest.mark.parametrize("room", ROOMS)
def test_a_lib_imports_without_what_slicer_lacks(room: str, home: Path) -> None:
    run_python(
        f"""
import importlib, importlib.util, sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {MISSING_IN_SLICER!r}:
            raise ModuleNotFoundError(f"{{name}} is not there, as in Slicer; import it inside the function that needs it", name=name)
sys.meta_path.insert(0, Hidden())
importlib.import_module("{room}Lib")
importlib.import_module("{room}Lib.mrml") if importlib.util.find_spec("{room}Lib.mrml") and importlib.util.find_spec("slicer") else None
""",
        home=home,
    )


def test_the_command_starts_without_heavy_packages(home: Path) -> None:
    loaded = run_python(
        f"import sys, DicomWorkbenchLib.cli; print(*sorted({set(HEAVY)!r} & set(sys.modules)))", home=home
    ).split()
    assert loaded == [], f"DicomWorkbenchLib.cli imports {', '.join(loaded)}; import them inside functions"


# ---- the watcher sees what it should ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("open('x.txt', 'w').close()", "writes x.txt"),
        ("import subprocess, sys; subprocess.run([sys.executable, '-c', ''])", "subprocess.Popen"),
        ("import os; os.mkdir('d')", "os.mkdir"),
        ("import tempfile; tempfile.mkdtemp()", "tempfile.mkdtemp"),
        ("import socket; socket.socket().bind(('127.0.0.1', 0))", "socket.bind"),
    ],
)
def test_what_a_bad_import_does_is_named_with_its_line(tmp_path: Path, home: Path, line: str, complaint: str) -> None:
    report = watch_import("BadLib", home, bad_checkout(tmp_path, line), ("Bad",))
    assert any(f"{Path('Bad', 'BadLib', 'inner.py')}:2: {complaint}" in message for message in report["seen"]), report[
        "seen"
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("import logging; logging.basicConfig(level=10)", "logging level"),
        ("import threading, time; threading.Thread(target=time.sleep, args=(9,), daemon=True).start()", "threads"),
        ("import sys; sys.path.append('x')", "sys.path"),
        ("import os; os.environ['A_NAME'] = '1'", "environment"),
        ("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)", "SIGINT"),
    ],
)
def test_what_a_bad_import_changes_is_named(tmp_path: Path, home: Path, line: str, complaint: str) -> None:
    report = watch_import("BadLib", home, bad_checkout(tmp_path, line), ("Bad",))
    assert any(complaint in message for message in report["changed"]), report["changed"]


def bad_checkout(folder: Path, line: str) -> Path:
    lib = folder / "Bad" / "BadLib"
    lib.mkdir(parents=True)
    (lib / "__init__.py").touch()
    (lib / "inner.py").write_text(f"# a bad file\n{line}\n")
    return folder
