"""A new panel and a new settings object say the same: their defaults are equal wherever they have a name in common.

A panel's ``fieldOfViewMm`` is the settings' ``field_of_view_mm``. The module file is read, not run: no Slicer is needed.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("DicomOptimizer", "TumorAnalysis", "SphereVOI", "AutoSegmentQueue", "MultiframeStreamer")

# What parameterNodeWrapper gives a parameter that has no Default: the value of its type's constructor.
IMPLIED = {"int": 0, "float": 0.0, "bool": False, "str": "", "Path": Path(), "pathlib.Path": Path()}


def parameters(text: str) -> Iterator[tuple[str, int, Any]]:
    """Yield (name, line, default) of each parameter of a value type in the classes marked @parameterNodeWrapper."""
    tree = ast.parse(text)
    names = names_of_lib(tree)
    for node in tree.body:
        marks = {ast.unparse(mark) for mark in node.decorator_list} if isinstance(node, ast.ClassDef) else set()
        if not marks & {"parameterNodeWrapper", "parameterPack"}:
            continue
        assert isinstance(node, ast.ClassDef)
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                expression = default_expression(field)
                if expression is not None:
                    yield field.target.id, field.lineno, eval(compile(expression, "<default>", "eval"), dict(names))


def names_of_lib(tree: ast.Module) -> dict[str, Any]:
    """Return what the file imports from its Lib, and the constants it makes of that."""
    names: dict[str, Any] = {"Path": Path}
    for node in tree.body:
        from_lib = isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0].endswith("Lib")
        constant = isinstance(node, ast.Assign) and {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)} <= {
            *names
        }
        if from_lib or constant:
            exec(compile(ast.Module([node], []), "<names>", "exec"), names)
    return names


def default_expression(field: ast.AnnAssign) -> ast.Expression | None:
    """Return what a parameter is by default, None if it is no value (a node, a list of choices made by a widget)."""
    if field.value is not None:
        return ast.Expression(field.value)
    annotation = field.annotation
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Annotated":
        parts = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        for part in parts[1:]:
            if isinstance(part, ast.Call) and ast.unparse(part.func) == "Default":
                return ast.Expression(part.args[0])
        annotation = parts[0]
    implied = IMPLIED.get(ast.unparse(annotation))
    return (
        None
        if implied is None
        else ast.parse(repr(str(implied) if isinstance(implied, Path) else implied), mode="eval")
    )


def settings_defaults(module: Any) -> dict[str, list[Any]]:
    """Return the defaults of all fields of all settings classes, by name; those that mean "not given" left out."""
    found: dict[str, list[Any]] = {}
    classes = [value for value in vars(module).values() if isinstance(value, type) and dataclasses.is_dataclass(value)]
    for field in (field for cls in classes for field in dataclasses.fields(cls)):
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        if default is not dataclasses.MISSING and default is not None:
            found.setdefault(field.name, []).append(default)
    return found


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def plain(value: Any) -> Any:
    """Return what two spellings of one value have in common: an enum member is its value, a path its text, several texts one line."""
    if isinstance(value, tuple) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return value.value if isinstance(value, enum.Enum) else str(value) if isinstance(value, Path) else value


def differences(path: str, text: str, settings: Any) -> tuple[int, list[str]]:
    """Return how many defaults were compared, and a message for each that differs."""
    known = settings_defaults(settings)
    compared, messages = 0, []
    for name, line, default in parameters(text):
        if expected := known.get(snake(name)):
            compared += 1
            if plain(default) not in [plain(value) for value in expected]:
                ours = " or ".join(repr(plain(value)) for value in expected)
                messages.append(
                    f"{path}:{line}: {name} is {plain(default)!r} in a new panel and {ours} in the settings; use one value"
                )
    return compared, messages


@pytest.mark.parametrize("room", ROOMS)
def test_a_new_panel_shows_the_defaults_of_the_settings(room: str) -> None:
    path = f"{room}/{room}.py"
    settings = importlib.import_module(f"{room}Lib.settings")
    compared, messages = differences(path, (ROOT / path).read_text(encoding="utf-8"), settings)
    assert not messages, "\n" + "\n".join(messages)
    assert compared, f"{path}: no parameter is named like a field of {room}Lib.settings; name them alike"


# ---- the comparison sees what it should ------------------------------------------------------------------------------


class Speed(enum.Enum):
    FAST = "fast"
    SLOW = "slow"


@dataclasses.dataclass
class ExampleSettings:
    radius_mm: float = 5.0
    use_ct: bool = True
    speed: Speed = Speed.SLOW
    folder: Path | None = None
    input: str = dataclasses.field(default_factory=str)


class Settings:
    ExampleSettings = ExampleSettings


PANEL = """
from typing import Annotated
@parameterNodeWrapper
class P:
    volume: vtkMRMLScalarVolumeNode
    {}
class Other:
    radiusMm: float = 99.0
"""


@pytest.mark.parametrize(
    "line",
    [
        "radiusMm: Annotated[float, WithinRange(0, 9), Default(5.0)]",
        "radiusMm: float = 5.0",
        "useCt: bool = True",
        "speed: Annotated[str, Choice(['fast', 'slow']), Default('slow')]",
        "input: str",
    ],
)
def test_equal_defaults_are_compared_and_accepted(line: str) -> None:
    assert differences("P.py", PANEL.format(line), Settings) == (1, [])


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("radiusMm: Annotated[float, WithinRange(0, 9), Default(4.0)]", "4.0 in a new panel and 5.0"),
        ("radiusMm: Annotated[float, WithinRange(0, 9)]", "0.0 in a new panel and 5.0"),
        ("useCt: bool", "False in a new panel and True"),
        ("speed: str = 'fast'", "'fast' in a new panel and 'slow'"),
    ],
)
def test_other_defaults_are_named_with_their_line(line: str, values: str) -> None:
    _, (message,) = differences("P.py", PANEL.format(line), Settings)
    assert message.startswith("P.py:6: ")
    assert values in message


def test_what_has_no_default_in_the_settings_is_not_compared() -> None:
    assert differences("P.py", PANEL.format("folder: Path"), Settings) == (0, [])


def test_a_default_taken_from_the_lib_is_followed() -> None:
    text = (
        "from AutoSegmentQueueLib import SegmentationSettings\nDEFAULTS = SegmentationSettings()\n"
        "@parameterNodeWrapper\nclass P:\n    task: Annotated[str, Default(DEFAULTS.task)]\n"
    )
    assert list(parameters(text)) == [("task", 5, "total")]
