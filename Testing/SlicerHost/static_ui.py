"""Reading .ui files without Qt, and holding them against Slicer's API table."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from SlicerHost import api

# In Designer only: a QFrame, and names PythonQt's table has no entry for although they are plain Qt.
_PLAIN_QT = {"Line": "QFrame"}


@dataclass(frozen=True)
class UiWidget:
    """One widget of a form."""

    name: str
    class_name: str
    properties: tuple[str, ...]
    parameter: str  # its SlicerParameterName, or ""

    @property
    def entry(self) -> api.Entry | None:
        return api.entry_of_class_name(_PLAIN_QT.get(self.class_name, self.class_name))


@dataclass(frozen=True)
class UiForm:
    """A .ui file."""

    path: Path
    root: Any

    @classmethod
    def read(cls, path: Path) -> UiForm:
        return cls(path, ElementTree.parse(path).getroot())

    @cached_property
    def widgets(self) -> dict[str, UiWidget]:
        return {element.get("name", ""): _widget(element) for element in self.root.iter("widget")}

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that ``slicer.util.childWidgetVariables`` makes an attribute: widgets and layouts, not spacers."""
        return frozenset(element.get("name", "") for tag in ("widget", "layout") for element in self.root.iter(tag))

    @property
    def top(self) -> UiWidget:
        return _widget(self.root.find("widget"))

    def problems(self) -> Iterator[str]:
        """Say what Slicer does not have, each with the file and the widget's name."""
        for widget in self.widgets.values():
            yield from (f"{self.path}: {widget.name}: {problem}" for problem in _problems_of(widget))
        for connection in self.root.iter("connection"):
            problem = self._problem_of_connection(connection)
            if problem:
                yield f"{self.path}: connection: {problem}"

    def _problem_of_connection(self, connection: Any) -> str:
        sender, signal, receiver, slot = (
            connection.findtext(tag, "") for tag in ("sender", "signal", "receiver", "slot")
        )
        source, target = self.widgets.get(sender), self.widgets.get(receiver)
        if source is None or target is None:
            return f"{sender} -> {receiver}: there is no such widget"
        if source.entry is not None and not source.entry.has_signal(signal):
            return f"{source.class_name} has no signal {signal}"
        name = slot.partition("(")[0]
        if target.entry is not None and name not in target.entry.methods:
            return f"{target.class_name} has no slot {slot}"
        return ""


def _widget(element: Any) -> UiWidget:
    static = tuple(prop.get("name") for prop in element.findall("property") if prop.get("stdset") != "0")
    named = [prop for prop in element.findall("property") if prop.get("name") == "SlicerParameterName"]
    parameter = named[0][0].text or "" if named else ""
    return UiWidget(element.get("name", ""), element.get("class", ""), static, parameter)


def _problems_of(widget: UiWidget) -> Iterator[str]:
    if widget.entry is None:
        prefix = "ctk" if widget.class_name.startswith("ctk") else "slicer"
        if api.exists_but_is_not_stood_in(f"{prefix}.{widget.class_name}"):
            yield f"{widget.class_name} is in Slicer, but not in the host's table: add it to make_api_table.py"
        else:
            yield f"there is no class {widget.class_name} in Slicer"
        return
    for name in widget.properties:
        if name not in widget.entry.properties and name != "SlicerParameterName":
            yield f"{widget.class_name} has no property {name}"
