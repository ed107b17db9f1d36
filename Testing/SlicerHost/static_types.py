"""Which expressions of a module file are Slicer's objects: ``self.ui.applyButton``, ``qt.QTimer()``, ``lm.sliceWidget("Red")``."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from SlicerHost import api
from SlicerHost.static_ui import UiForm

OBJECTS = ("slicer.app", "slicer.dicomDatabase")
# What a method of a known object returns.
RETURNS = {
    ("slicer.app", "layoutManager"): "slicer.app.layoutManager()",
    ("slicer.app", "moduleManager"): "slicer.app.moduleManager()",
    ("slicer.app", "ioManager"): "slicer.app.ioManager()",
    ("slicer.app", "coreIOManager"): "slicer.app.ioManager()",
    ("slicer.app", "pythonManager"): "slicer.app.pythonManager()",
    ("slicer.app", "dicomDatabase"): "slicer.dicomDatabase",
    ("slicer.app", "userSettings"): "qt.QSettings",
    ("slicer.app.layoutManager()", "sliceWidget"): "layoutManager.sliceWidget('Red')",
    ("slicer.app.layoutManager()", "threeDWidget"): "layoutManager.threeDWidget(0)",
    ("slicer.app.layoutManager()", "plotWidget"): "slicer.qMRMLPlotWidget",
    ("slicer.app.layoutManager()", "tableWidget"): "slicer.qMRMLTableWidget",
    ("layoutManager.sliceWidget('Red')", "sliceController"): "sliceWidget.sliceController()",
    ("layoutManager.sliceWidget('Red')", "sliceView"): "sliceWidget.sliceView()",
    ("layoutManager.threeDWidget(0)", "threeDView"): "threeDWidget.threeDView()",
    ("slicer.qMRMLPlotWidget", "plotView"): "slicer.qMRMLPlotView",
    ("slicer.qMRMLTableWidget", "tableView"): "slicer.qMRMLTableView",
    ("qt.QTableWidget", "horizontalHeader"): "qt.QHeaderView",
    ("qt.QTableWidget", "verticalHeader"): "qt.QHeaderView",
    ("qt.QTableView", "horizontalHeader"): "qt.QHeaderView",
    ("qt.QTableView", "verticalHeader"): "qt.QHeaderView",
    ("slicer.qMRMLTableView", "horizontalHeader"): "qt.QHeaderView",
    ("slicer.qMRMLTableView", "verticalHeader"): "qt.QHeaderView",
}
FUNCTIONS = {
    "slicer.util.mainWindow": "slicer.util.mainWindow()",
    "slicer.util.createProgressDialog": "qt.QProgressDialog",
}


def dotted(node: ast.AST) -> str:
    """Return ``slicer.app.temporaryPath`` for a chain of names, "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""


def entry_named(name: str) -> api.Entry | None:
    """Return a class or a live object by the name it has in the table."""
    return api.object_entry(name) if name in api.table()["objects"] else api.class_entry(name)


class Types:
    """Finds the entry of an expression inside one class of a module file."""

    def __init__(self, forms: Iterable[UiForm]) -> None:
        self.forms = list(forms)
        self.of_attributes: dict[str, api.Entry] = {}  # self.<name>
        self.of_names: dict[str, api.Entry] = {}  # locals of the function at hand
        self.made_in_code: dict[str, api.Entry | None] = {}  # self.ui.<name> = ...

    def ui_entry(self, name: str) -> api.Entry | None:
        """Return what ``self.ui.<name>`` is."""
        found = (form.widgets[name].entry for form in self.forms if name in form.widgets)
        return next(found, self.made_in_code.get(name))

    def learn(self, statement: ast.AST) -> None:
        """Remember ``x = <known>`` and ``self.x = <known>``; forget a name that gets something else."""
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            return
        entry = self.of(statement.value)
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            if isinstance(target, ast.Name):
                self._remember(self.of_names, target.id, entry)
            elif isinstance(target, ast.Attribute) and dotted(target.value) == "self.ui":
                self.made_in_code[target.attr] = entry
            elif isinstance(target, ast.Attribute) and dotted(target.value) == "self" and entry is not None:
                self.of_attributes[target.attr] = entry

    @staticmethod
    def _remember(known: dict[str, api.Entry], name: str, entry: api.Entry | None) -> None:
        if entry is None:
            known.pop(name, None)
        else:
            known[name] = entry

    def of(self, node: ast.AST) -> api.Entry | None:
        """Return the entry of an expression, None where it is not one of Slicer's objects (or not known to be)."""
        if isinstance(node, ast.Name):
            return self.of_names.get(node.id)
        if isinstance(node, ast.Attribute):
            return self._of_attribute(node)
        if isinstance(node, ast.Call):
            return self._of_call(node)
        return None

    def _of_attribute(self, node: ast.Attribute) -> api.Entry | None:
        name = dotted(node)
        if name in OBJECTS:
            return entry_named(name)
        if name.startswith("self.ui.") and name.count(".") == 2:
            return self.ui_entry(node.attr)
        return self.of_attributes.get(node.attr) if dotted(node.value) == "self" else None

    def _of_call(self, node: ast.Call) -> api.Entry | None:
        name = dotted(node.func)
        if name == "slicer.util.loadUI" and len(self.forms) == 1:
            return self.forms[0].top.entry
        if name in FUNCTIONS:
            return entry_named(FUNCTIONS[name])
        if name.startswith(("qt.", "ctk.", "slicer.q")) and name.count(".") == 1:
            return api.class_entry(name)
        if isinstance(node.func, ast.Attribute):
            base = self.of(node.func.value)
            returned = RETURNS.get((base.name, node.func.attr)) if base is not None else None
            return entry_named(returned) if returned else None
        return None
