"""The borders of the design, held by reading the code: who may import what, and what nobody does.

Each rule is a function from one parsed file to its violations; a message has ``file:line`` and says what to do.
The rules themselves are tested on small bad snippets at the end.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("DicomWorkbench", "DicomOptimizer", "TumorAnalysis", "SphereVOI", "AutoSegmentQueue", "MultiframeStreamer")
COMMON = "DicomWorkbench"

GUI = {"qt", "ctk", "PythonQt", "PySide6", "PyQt5", "PyQt6", "slicer.ScriptedLoadableModule"}
MRML = {"slicer", "slicer_core", "vtk", "vtkmodules", "vtkITK", "vtkSegmentationCore", "vtkTeem", "mrml"}
ALGORITHMS = {"numpy", "scipy", "pydicom", "SimpleITK", "highdicom", "pandas", "imagecodecs", "skimage", "cc3d", "edt"}
MOST_CODE_LINES = 250  # of a module file: parameter node, widget, logic and self-test, nothing else

POSIX_MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "pty", "tty", "posix", "syslog"}
POSIX_NAMES = {
    "os.fork os.forkpty os.killpg os.setsid os.setpgid os.getpgid os.getpgrp os.geteuid os.getuid os.getegid os.getgid",
    "os.chown os.statvfs os.nice os.sched_getaffinity os.sched_setaffinity os.mkfifo os.uname os.wait os.wait4 os.getloadavg",
    "signal.SIGKILL signal.SIGHUP signal.SIGUSR1 signal.SIGUSR2 signal.SIGCHLD signal.SIGSTOP signal.SIGCONT signal.alarm",
    "signal.setitimer signal.pause signal.pthread_sigmask socket.AF_UNIX",
}
POSIX_CALLS = {name for line in POSIX_NAMES for name in line.split()}
POSIX_PLACES = re.compile(r"/(proc|tmp|dev|etc|usr|var|run)(/|$)")
SET_UP = "setup_environment.py"
PLATFORM_QUESTION = re.compile(
    r"sys\.platform|os\.name|platform\.system|hasattr\((os|signal|socket)\b|WINDOWS|POSIX|IS_WIN"
)

# Put together from pieces, so that this file does not contain what it looks for.
MACHINE_PATH = re.compile(
    r"(?<![\w.\-:/])/(?:" + "|".join(("work", "root", "tmp", r"home/[a-z]\w*", r"Users/\w+")) + r")/[\w.]"
    r"|[A-Za-z]:\\{1,2}Users\\{1,2}\w"
)
TEXT_ENDINGS = {
    ".py",
    ".md",
    ".txt",
    ".toml",
    ".cfg",
    ".cmake",
    ".json",
    ".ui",
    ".yml",
    ".yaml",
    ".html",
    ".js",
    ".css",
    ".cff",
    "",
}


@dataclass(frozen=True)
class Source:
    """One tracked Python file, parsed."""

    path: str  # from the root, with slashes
    text: str

    @property
    def tree(self) -> ast.Module:
        return _parse(self.text)

    @property
    def room(self) -> str:
        return self.path.partition("/")[0]

    @property
    def in_lib(self) -> bool:
        return self.path.startswith(f"{self.room}/{self.room}Lib/")

    @property
    def is_module_file(self) -> bool:
        return self.path == f"{self.room}/{self.room}.py"

    @property
    def is_shipped(self) -> bool:
        return self.in_lib or self.is_module_file or self.path == SET_UP

    @property
    def may_use_mrml(self) -> bool:
        return PurePosixPath(self.path).name == "mrml.py" or self.path.startswith(f"{COMMON}/{COMMON}Lib/headless")

    def at(self, node: ast.AST, message: str) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {message}"


@cache
def _parse(text: str) -> ast.Module:
    return ast.parse(text)


def tracked(pattern: str = "") -> list[str]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [name for name in listing.split("\0") if name.endswith(pattern) and (ROOT / name).is_file()]


@cache
def sources() -> tuple[Source, ...]:
    return tuple(Source(name, (ROOT / name).read_text(encoding="utf-8")) for name in tracked(".py"))


def of_rooms() -> list[Source]:
    return [source for source in sources() if source.in_lib or source.is_module_file]


# ---- the rules -------------------------------------------------------------------------------------------------------


def imports(source: Source) -> Iterator[tuple[ast.stmt, str]]:
    """Yield (statement, dotted name) of every import, those inside functions too, those for the type checker not."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            node.body = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node, node.module


def _is_of(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def lib_imports_no_gui(source: Source) -> Iterator[str]:
    if source.in_lib:
        for node, name in imports(source):
            if _is_of(name, GUI):
                yield source.at(
                    node, f"a Lib never imports {name}; take a callable as argument, or move this to the module file"
                )


def only_mrml_files_import_slicer(source: Source) -> Iterator[str]:
    if source.in_lib and not source.may_use_mrml:
        for node, name in imports(source):
            if _is_of(name, MRML):
                yield source.at(
                    node, f"only mrml.py and DicomWorkbenchLib.headless import {name}; move what needs it to mrml.py"
                )


def rooms_do_not_know_each_other(source: Source) -> Iterator[str]:
    if not (source.in_lib or source.is_module_file):
        return
    others = {package for room in ROOMS if room != source.room for package in (room, f"{room}Lib")}
    allowed = {f"{COMMON}Lib"} if source.room != COMMON else set()
    for node, name in imports(source):
        if name.partition(".")[0] in others - allowed:
            yield source.at(node, f"{source.room} must not import {name}; what two rooms share moves to {COMMON}Lib")


def module_files_hold_no_algorithm(source: Source) -> Iterator[str]:
    if source.is_module_file:
        for node, name in imports(source):
            if _is_of(name, ALGORITHMS):
                yield source.at(
                    node, f"a module file holds no algorithm and imports no {name}; move the work to {source.room}Lib"
                )


def module_files_are_short(source: Source) -> Iterator[str]:
    if source.is_module_file and (lines := code_lines(source.text)) > MOST_CODE_LINES:
        yield f"{source.path}:1: {lines} lines of code, at most {MOST_CODE_LINES}; move work to {source.room}Lib"


def code_lines(text: str) -> int:
    """Count the lines that hold code: no blank ones, no comments, no docstrings."""
    quiet = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    busy: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in quiet:
            busy.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(_parse(text)):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node, clean=False) is not None
        ):
            busy -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(busy)


def nobody_writes_sys_path(source: Source) -> Iterator[str]:
    advice = "nothing writes sys.path; put the code into a Lib, which Slicer and the wheel make importable"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            call = ast.unparse(node.func)
            if call in {f"sys.path.{verb}" for verb in ("append", "insert", "extend", "remove", "pop")} | {
                "site.addsitedir"
            }:
                yield source.at(node, advice)
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
        )
        if any(
            ast.unparse(target).startswith("sys.path") and "sys.path_" not in ast.unparse(target) for target in targets
        ):
            yield source.at(node, advice)


def nothing_pumps_events_or_makes_qt_threads(source: Source) -> Iterator[str]:
    if not (source.in_lib or source.is_module_file):
        return
    for node in ast.walk(source.tree):
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        if name == "processEvents" and not isinstance(getattr(node, "ctx", None), ast.Store):
            yield source.at(
                node, "no processEvents loops; run the work as a child process and take its progress by a callback"
            )
        elif name == "QThread":
            yield source.at(node, "no QThread; run the work as a child process (DicomWorkbenchLib.panel_job)")


def libs_do_not_print(source: Source) -> Iterator[str]:
    if source.in_lib:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                yield source.at(
                    node, "a Lib does not print; report through progress, return it, or click.echo in cli.py"
                )


def posix_calls_stand_in_marked_branches(source: Source) -> Iterator[str]:
    if not source.is_shipped or "posix" in PurePosixPath(source.path).stem:
        return
    advice = "exists on POSIX only; put it under `if sys.platform != 'win32':` or after an early return for Windows"
    guarded = _guarded_lines(source.tree)
    for node, name in imports(source):
        if _is_of(name, POSIX_MODULES) and node.lineno not in guarded:
            yield source.at(node, f"{name} {advice}")
        names = node.names if isinstance(node, ast.ImportFrom) else []
        for call in sorted({f"{name}.{alias.name}" for alias in names} & POSIX_CALLS):
            if node.lineno not in guarded:
                yield source.at(node, f"{call} {advice}")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in POSIX_CALLS and node.lineno not in guarded:
            yield source.at(node, f"{ast.unparse(node)} {advice}")


def posix_places_are_asked_for_first(source: Source) -> Iterator[str]:
    if not source.is_shipped or "posix" in PurePosixPath(source.path).stem:
        return
    fine = _guarded_lines(source.tree) | _lines_that_expect_absence(source.tree)
    for node in ast.walk(source.tree):
        is_place = isinstance(node, ast.Constant) and isinstance(node.value, str) and POSIX_PLACES.match(node.value)
        if is_place and node.lineno not in fine:
            yield source.at(
                node, f"{node.value} is a place of POSIX systems; use tempfile, or ask `exists()` or catch OSError"
            )


def _lines_that_expect_absence(tree: ast.Module) -> set[int]:
    """Return the lines that ask whether a place exists, and those for which the lack of it is handled."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        asks = isinstance(node, ast.If | ast.IfExp) and ".exists()" in ast.unparse(node.test)
        catches = isinstance(node, ast.Try) and any(h.type and "OSError" in ast.unparse(h.type) for h in node.handlers)
        if asks or catches:
            lines.update(range(node.lineno, (node.end_lineno or 0) + 1))
    return lines


def _guarded_lines(tree: ast.Module) -> set[int]:
    """Return the lines under a question about the platform, or behind one that leaves the function."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        asks = isinstance(node, ast.If | ast.IfExp) and PLATFORM_QUESTION.search(ast.unparse(node.test))
        tries = isinstance(node, ast.Try) and any(
            h.type and ast.unparse(h.type) == "ImportError" for h in node.handlers
        )
        if asks or tries:
            lines.update(range(node.lineno, (node.end_lineno or 0) + 1))
        body = node.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else []
        for statement in body:
            if (
                isinstance(statement, ast.If)
                and PLATFORM_QUESTION.search(ast.unparse(statement.test))
                and _leaves(statement)
            ):
                lines.update(range(statement.lineno, (node.end_lineno or 0) + 1))
    return lines


def _leaves(branch: ast.If) -> bool:
    return isinstance(branch.body[-1], ast.Return | ast.Raise)


def public_names_of_libs_have_docstrings(source: Source) -> Iterator[str]:
    """Modules, classes, functions, and methods of public classes; not what overrides Python's own methods."""
    if not source.in_lib:
        return
    if ast.get_docstring(source.tree) is None and source.text.strip():
        yield f"{source.path}:1: the file has no docstring; say in one sentence what idea lives here"
    for node, name in _public_definitions(source.tree):
        if ast.get_docstring(node) is None and not _inherits_docstring(node):
            yield source.at(
                node, f"{name} is public and has no docstring; say what it does, units and frame, what it raises"
            )


def _public_definitions(scope: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[ast.AST, str]]:
    for node in scope.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node, prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from _public_definitions(node, f"{prefix}{node.name}.")


def _inherits_docstring(node: ast.AST) -> bool:
    decorators = {ast.unparse(decorator) for decorator in getattr(node, "decorator_list", [])}
    return bool(decorators & {"override", "typing.override", "overload", "typing.overload"}) or any(
        decorator.endswith(".setter") for decorator in decorators
    )


RULES: tuple[Callable[[Source], Iterator[str]], ...] = (
    lib_imports_no_gui,
    only_mrml_files_import_slicer,
    rooms_do_not_know_each_other,
    module_files_hold_no_algorithm,
    module_files_are_short,
    nobody_writes_sys_path,
    nothing_pumps_events_or_makes_qt_threads,
    libs_do_not_print,
    posix_calls_stand_in_marked_branches,
    posix_places_are_asked_for_first,
    public_names_of_libs_have_docstrings,
)


# ---- the project keeps them ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_project_keeps_the_rule(rule: Callable[[Source], Iterator[str]]) -> None:
    violations = [message for source in sources() for message in rule(source)]
    assert not violations, "\n" + "\n".join(violations)


def test_no_python_file_lies_beside_a_module_file() -> None:
    loose = [
        f"{name}:1: Slicer would take this for a module; move it into {room}Lib"
        for name in tracked(".py")
        for room in ROOMS
        if name.startswith(f"{room}/") and name.count("/") == 1 and name != f"{room}/{room}.py"
    ]
    assert not loose, "\n" + "\n".join(loose)


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = [message for name in tracked() if is_text(name) for message in machine_paths(name, read(name))]
    assert not found, "\n" + "\n".join(found)


def is_text(name: str) -> bool:
    return PurePosixPath(name).suffix in TEXT_ENDINGS


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def machine_paths(name: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        if match := MACHINE_PATH.search(line):
            yield f"{name}:{number}: {match[0]}... is a path of one machine; use a relative path, tmp_path or an argument"


def test_every_room_is_looked_at() -> None:
    seen = {source.room for source in of_rooms() if source.in_lib}
    assert seen == set(ROOMS)


# ---- the rules see what they should ----------------------------------------------------------------------------------

LIB = "SphereVOI/SphereVOILib/fit.py"
MODULE = "SphereVOI/SphereVOI.py"
DOC = '"""Doc."""\n'

BAD = [
    (lib_imports_no_gui, LIB, "def f():\n    import qt\n", 2),
    (lib_imports_no_gui, "SphereVOI/SphereVOILib/mrml.py", "from ctk import ctkSliderWidget\n", 1),
    (only_mrml_files_import_slicer, LIB, "import vtkmodules.vtkCommonCore\n", 1),
    (only_mrml_files_import_slicer, LIB, "from slicer.util import getNode\n", 1),
    (only_mrml_files_import_slicer, "DicomWorkbench/DicomWorkbenchLib/volume.py", "import slicer\n", 1),
    (rooms_do_not_know_each_other, LIB, "from TumorAnalysisLib.cohort import x\n", 1),
    (rooms_do_not_know_each_other, MODULE, "import DicomOptimizerLib\n", 1),
    (rooms_do_not_know_each_other, "DicomWorkbench/DicomWorkbenchLib/demo.py", "import SphereVOILib.run\n", 1),
    (module_files_hold_no_algorithm, MODULE, "def f():\n    import numpy as np\n", 2),
    (module_files_hold_no_algorithm, MODULE, "from scipy.ndimage import label\n", 1),
    (module_files_are_short, MODULE, "x = 1\n" * 251, 1),
    (nobody_writes_sys_path, LIB, "import sys\nsys.path.insert(0, 'x')\n", 2),
    (nobody_writes_sys_path, "conftest.py", "import sys\nsys.path += ['x']\n", 2),
    (nobody_writes_sys_path, "conftest.py", "import sys\nsys.path[:0] = ['x']\n", 2),
    (nothing_pumps_events_or_makes_qt_threads, MODULE, "import slicer\nslicer.app.processEvents()\n", 2),
    (nothing_pumps_events_or_makes_qt_threads, MODULE, "import qt\nclass T(qt.QThread): pass\n", 2),
    (libs_do_not_print, LIB, "def f():\n    print('x')\n", 2),
    (posix_calls_stand_in_marked_branches, LIB, "import os\nos.killpg(1, 2)\n", 2),
    (posix_calls_stand_in_marked_branches, LIB, "from os import killpg\n", 1),
    (posix_calls_stand_in_marked_branches, MODULE, "import os\nos.getuid()\n", 2),
    (posix_calls_stand_in_marked_branches, SET_UP, "import os\nos.fork()\n", 2),
    (posix_calls_stand_in_marked_branches, LIB, "import os\nos.setsid()\n", 2),
    (posix_calls_stand_in_marked_branches, LIB, "import signal\nx = signal.SIGKILL\n", 2),
    (posix_calls_stand_in_marked_branches, LIB, "import fcntl\n", 1),
    (posix_calls_stand_in_marked_branches, LIB, "import pwd\n", 1),
    (posix_calls_stand_in_marked_branches, LIB, "def f():\n    import resource\n", 2),
    (posix_places_are_asked_for_first, LIB, "open('/proc/' + 'self')\n", 1),
    (posix_places_are_asked_for_first, LIB, "def f(pid):\n    return open(f'/proc/{pid}/stat')\n", 2),
    (posix_places_are_asked_for_first, SET_UP, "x = '/tmp'\n", 1),
    (
        posix_calls_stand_in_marked_branches,
        LIB,
        "import os\ndef f():\n    if os.name == 'nt':\n        x = 1\n    os.fork()\n",
        5,
    ),
    (public_names_of_libs_have_docstrings, LIB, "x = 1\n", 1),
    (public_names_of_libs_have_docstrings, LIB, DOC + "def f(): ...\n", 2),
    (public_names_of_libs_have_docstrings, LIB, DOC + 'class A:\n    """A."""\n    def f(self): ...\n', 4),
]

GOOD = [
    (lib_imports_no_gui, MODULE, "import qt\n"),
    (only_mrml_files_import_slicer, "SphereVOI/SphereVOILib/mrml.py", "import slicer, vtk\n"),
    (only_mrml_files_import_slicer, "DicomWorkbench/DicomWorkbenchLib/headless/views.py", "import slicer, vtk\n"),
    (only_mrml_files_import_slicer, LIB, "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import slicer\n"),
    (
        rooms_do_not_know_each_other,
        LIB,
        "from DicomWorkbenchLib.errors import InputError\nfrom SphereVOILib import grid\n",
    ),
    (module_files_hold_no_algorithm, LIB, "import numpy\n"),
    (module_files_are_short, MODULE, ("x = 1\n" * 250) + "\n# comment\n" * 99),
    (nobody_writes_sys_path, LIB, "import sys\nfor p in sys.path: x = p\n"),
    (libs_do_not_print, MODULE, "print('x')\n"),
    (posix_calls_stand_in_marked_branches, LIB, "import os, sys\nif sys.platform != 'win32':\n    os.killpg(1, 2)\n"),
    (
        posix_calls_stand_in_marked_branches,
        LIB,
        "import os\ndef f():\n    if os.name == 'nt':\n        return\n    os.fork()\n",
    ),
    (posix_calls_stand_in_marked_branches, LIB, "try:\n    import fcntl\nexcept ImportError:\n    fcntl = None\n"),
    (posix_places_are_asked_for_first, LIB, "x = ['/template', 'see /tmp', '/variants']\n"),
    (posix_places_are_asked_for_first, LIB, "try:\n    open('/proc/1')\nexcept OSError:\n    x = 1\n"),
    (public_names_of_libs_have_docstrings, LIB, DOC + "def _f(): ...\nclass _A:\n    def f(self): ...\n"),
    (public_names_of_libs_have_docstrings, MODULE, "def f(): ...\n"),
]


@pytest.mark.parametrize(("rule", "path", "text", "line"), BAD)
def test_a_violation_is_found_at_its_line(
    rule: Callable[[Source], Iterator[str]], path: str, text: str, line: int
) -> None:
    assert [message.split(" ")[0] for message in rule(Source(path, text))] == [f"{path}:{line}:"]


@pytest.mark.parametrize(("rule", "path", "text"), GOOD)
def test_what_is_allowed_is_left_alone(rule: Callable[[Source], Iterator[str]], path: str, text: str) -> None:
    assert not list(rule(Source(path, text)))


@pytest.mark.parametrize("folder", ["work", "root", "tmp", "home/jane", "Users/jane"])
def test_paths_of_machines_are_found_and_others_are_not(folder: str) -> None:
    assert list(machine_paths("a.md", f"see /{folder}/x\n")) == [
        f"a.md:1: /{folder}/x... is a path of one machine; use a relative path, tmp_path or an argument"
    ]
    assert not list(machine_paths("a.md", f"http://host/{folder}/x and a/{folder}/x and ./{folder}/x\n"))


def test_code_lines_counts_code_only() -> None:
    assert (
        code_lines(
            '"""Doc\nof two lines."""\n\n# comment\nx = (1,\n     2)  # and code\n\ndef f():\n    """Doc."""\n    return 1\n'
        )
        == 4
    )
