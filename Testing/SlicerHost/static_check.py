"""Holding a module file against Slicer's API table, without running it.

``problems_of(path)`` returns "file:line: what is wrong": attributes of the panel's widgets, connections, enumerators,
functions of ``slicer.util`` and their arguments, names of the .ui file and of the parameter node.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from SlicerHost import api
from SlicerHost.static_calls import callable_signature, problem_of_call
from SlicerHost.static_types import OBJECTS, Types, dotted
from SlicerHost.static_ui import UiForm

_MODULES = ("slicer.util", "slicer.packaging", "slicer.i18n", "slicer.testing", "SampleData", "DICOMUtils")
_PARTS_OF_SLICER = {
    *("app", "mrmlScene", "modules", "util", "packaging", "i18n", "testing", "parameterNodeWrapper", "selfTests"),
    *("ScriptedLoadableModule", "dicomDatabase", "cli", "moduleNames"),
}
_PYTHONQT_ADDS = {"Signal", "Slot", "Property"}
_SIMPLE_TYPES = {"bool", "int", "uint", "double", "float", "QString", "QStringList", "QVariant", "qlonglong"}
_CONNECTS = {"connect", "disconnect"}


def problems_of(path: Path) -> list[str]:
    """Return everything in a module file (and its .ui files) that Slicer does not have."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    forms = [UiForm.read(form) for form in sorted(path.parent.glob("Resources/UI/*.ui"))]
    checker = _Checker(path, forms)
    checker.learn_attributes(tree)
    checker.visit(tree)
    found = checker.problems + [problem for form in forms for problem in form.problems()]
    return found + list(_parameter_problems(path, tree, forms))


class _Checker(ast.NodeVisitor):
    """Walks one file."""

    def __init__(self, path: Path, forms: list[UiForm]) -> None:
        self.path, self.forms = path, forms
        self.types = Types(forms)
        self.problems: list[str] = []

    def learn_attributes(self, tree: ast.AST) -> None:
        """Find out what ``self.x`` is before methods that use it are read."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign | ast.AnnAssign):
                self.types.learn(node)
        self.types.of_names.clear()

    def _complain(self, node: Any, text: str) -> None:
        self.problems.append(f"{self.path}:{node.lineno}: {text}")

    # ---- statements ------------------------------------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Start with no locals, keep those of the enclosing function for after."""
        outer = dict(self.types.of_names)
        self.generic_visit(node)
        self.types.of_names = outer

    def visit_Assign(self, node: ast.Assign) -> None:
        """Check what is assigned to properties, learn what names become."""
        self.generic_visit(node)
        for target in node.targets:
            if isinstance(target, ast.Attribute):
                self._check_assignment(target, node.value)
        self.types.learn(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Check what is assigned to an annotated property, learn what the name becomes."""
        self.generic_visit(node)
        if isinstance(node.target, ast.Attribute) and node.value is not None:
            self._check_assignment(node.target, node.value)
        self.types.learn(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """``from slicer.util import x``: x must be there."""
        module = node.module or ""
        if module in api.table()["python"]:
            for alias in node.names:
                if alias.name not in api.python_names(module):
                    self._complain(node, f"{module} has no {alias.name}")
        if module in ("qt", "ctk"):
            for alias in node.names:
                self._check_class(node, f"{module}.{alias.name}")

    # ---- expressions -------------------------------------------------------------------------------------------------

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Check one step of a chain."""
        name = dotted(node)
        self._check_name(node, name)
        entry = self.types.of(node.value)
        if entry is not None and not entry.has(node.attr):
            self._complain(node, f"{entry.name} has no attribute {node.attr} ({name or node.attr})")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Check functions' arguments, connections, and that no property is called."""
        self._check_function(node, dotted(node.func))
        if isinstance(node.func, ast.Attribute):
            entry = self.types.of(node.func.value)
            if entry is not None and node.func.attr in entry.properties:
                self._complain(node, f"{entry.name}.{node.func.attr} is a property in Slicer: do not call it")
            if node.func.attr in _CONNECTS:
                self._check_connection(node, node.func, entry)
        self.generic_visit(node)

    # ---- the rules -----------------------------------------------------------------------------------------------------

    def _check_name(self, node: ast.Attribute, name: str) -> None:
        parts = name.split(".")
        if parts[0] in ("qt", "ctk") or name.startswith("slicer.q"):
            if len(parts) == 2:
                self._check_class(node, name)
            elif len(parts) == 3:
                self._check_member(node, ".".join(parts[:2]), parts[2])
        elif name.startswith("self.ui.") and len(parts) == 3:
            in_code = parts[2] in self.types.made_in_code
            if not in_code and not any(parts[2] in form.names for form in self.forms):
                self._complain(node, f"there is no {parts[2]} in {self._form_names()}")
        elif parts[0] == "slicer" and len(parts) == 2:
            self._check_part_of_slicer(node, parts[1])
        else:
            self._check_python_name(node, name)

    def _form_names(self) -> str:
        return ", ".join(form.path.name for form in self.forms) or "a .ui file (there is none)"

    def _check_class(self, node: Any, name: str) -> None:
        bare = name.partition(".")[2]
        if api.class_entry(name) is None and not (name.startswith("qt.") and bare in _PYTHONQT_ADDS):
            is_there = api.exists_but_is_not_stood_in(name)
            hint = "is not in the host's table: add it to make_api_table.py" if is_there else "does not exist in Slicer"
            self._complain(node, f"{name} {hint}")

    def _check_member(self, node: ast.Attribute, class_name: str, member: str) -> None:
        entry = api.class_entry(class_name)
        if entry is not None and not entry.has(member):
            self._complain(node, f"{class_name}.{member} does not exist in Slicer (enumerators are not scoped)")

    def _check_part_of_slicer(self, node: ast.Attribute, part: str) -> None:
        if part in _PARTS_OF_SLICER or part.startswith(("vtk", "itk")):
            return
        is_util = part in api.python_names("slicer.util")
        self._complain(node, f"slicer.{part} does not exist in Slicer{': slicer.util.' + part if is_util else ''}")

    def _check_python_name(self, node: ast.Attribute, name: str) -> None:
        module, _, member = name.rpartition(".")
        if module in _MODULES and member not in _python(module):
            self._complain(node, f"{name} does not exist in Slicer")

    def _check_function(self, node: ast.Call, name: str) -> None:
        module, _, member = name.rpartition(".")
        what: Any = None
        if module in _MODULES:
            what = _python(module).get(member)
        elif module == "SampleData.SampleDataLogic":
            what = _python("SampleData")["SampleDataLogic"].get(member)
            if what is None:
                self._complain(node, f"{name} does not exist in Slicer")
        signature = callable_signature(what)
        problem = problem_of_call(node, signature) if signature is not None else ""
        if problem:
            self._complain(node, f"{name}{what if isinstance(what, str) else ''}: {problem}")

    def _check_connection(self, node: ast.Call, function: ast.Attribute, entry: api.Entry | None) -> None:
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            self._check_signature(node, entry, first.value)
            return
        if not isinstance(function.value, ast.Attribute):
            return
        owner, signal = self.types.of(function.value.value), function.value.attr
        if owner is not None and owner.has(signal) and signal not in owner.signal_names:
            self._complain(node, f"{owner.name}.{signal} is not a signal")
        if isinstance(first, ast.Call) and dotted(first.func).endswith("partial"):
            self._complain(
                node, f"{signal}: functools.partial gets surplus arguments in Slicer; use a lambda or a method"
            )

    def _check_signature(self, node: ast.Call, entry: api.Entry | None, signature: str) -> None:
        if entry is None:
            if not any(known.has_signal(signature) for known in _all_entries()):
                self._complain(node, f"no class of Slicer has a signal {signature}")
        elif not entry.has_signal(signature):
            name = signature.partition("(")[0]
            spelled = ", ".join(sorted(known for known in entry.signals if known.startswith(f"{name}(")))
            self._complain(node, f"{entry.name} has no signal {signature}" + (f", but {spelled}" if spelled else ""))

    def _check_assignment(self, target: ast.Attribute, value: ast.expr) -> None:
        entry = self.types.of(target.value)
        if entry is None:
            return
        name = "objectName" if target.attr == "name" and "name" not in entry.properties else target.attr
        if name not in entry.properties:
            self._complain(target, f"{entry.name} has no property {name}: nothing can be assigned to it")
            return
        kind, writable = entry.properties[name]
        if not writable:
            self._complain(target, f"{entry.name}.{name} cannot be written")
        is_number = isinstance(value, ast.Constant) and isinstance(value.value, int | float)
        if is_number and kind not in _SIMPLE_TYPES:
            self._complain(target, f"{entry.name}.{name} is a {kind}: give it an enumerator, not a number")


def _python(module: str) -> dict[str, Any]:
    return api.python_names("DICOMLib.DICOMUtils" if module == "DICOMUtils" else module)


def _all_entries() -> Iterator[api.Entry]:
    for name in api.table()["classes"]:
        entry = api.class_entry(name)
        assert entry is not None
        yield entry
    yield from (api.object_entry(name) for name in OBJECTS)
    yield from (api.object_entry(name) for name in api.table()["objects"])


# ---- parameter nodes -----------------------------------------------------------------------------------------------


def _parameter_problems(path: Path, tree: ast.Module, forms: list[UiForm]) -> Iterator[str]:
    packs = _fields_of_classes(tree, "parameterPack")
    wrapped = _fields_of_classes(tree, "parameterNodeWrapper")
    known: set[str] = set()
    for fields in wrapped.values():
        for name, kind in fields.items():
            known |= {name, *(f"{name}.{part}" for part in packs.get(kind, {}))}
    futures = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    if wrapped and any(alias.name == "annotations" for node in futures for alias in node.names):
        yield f"{path}:{futures[0].lineno}: parameterNodeWrapper reads real types: remove the import of annotations"
    for form in forms:
        for widget in form.widgets.values():
            if widget.parameter and widget.parameter not in known:
                yield f"{form.path}: {widget.name}: {widget.parameter} is not a parameter of {', '.join(wrapped) or path.name}"


def _fields_of_classes(tree: ast.Module, decorator: str) -> dict[str, dict[str, str]]:
    """Return class -> field -> name of its type, for classes with a decorator."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(dotted(item).endswith(decorator) for item in node.decorator_list):
            fields = [
                item for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
            ]
            found[node.name] = {field.target.id: ast.unparse(field.annotation) for field in fields}
    return found
