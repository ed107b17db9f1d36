"""``slicer.util.loadUI`` of the host: Qt's own loader, our classes for Slicer's, and connections by PythonQt's rules."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtUiTools, QtWidgets

from SlicerHost.faces import face_of

_PLAIN_VALUES = {
    "bool": lambda text: text == "true",
    "number": int,
    "double": float,
    "string": str,
    "cstring": str,
}


class Loader(QtUiTools.QUiLoader):
    """Makes the widgets of a .ui file; a class Slicer has and this host has not is an error, not a grey box."""

    _stand_ins: dict[str, type]
    _unknown: list[str]

    def __init__(self, stand_ins: dict[str, type]) -> None:
        super().__init__()
        self._stand_ins = stand_ins
        self._unknown = []

    def createWidget(self, class_name: str, parent: QtWidgets.QWidget | None = None, name: str = "") -> Any:
        """Make one widget; Qt calls this for each element."""
        if class_name in self._stand_ins:
            widget = self._stand_ins[class_name](parent)
            widget.setObjectName(name)
            return widget
        if not hasattr(QtWidgets, class_name) and class_name != "Line":
            self._unknown.append(class_name)
        return QtUiTools.QUiLoader.createWidget(self, class_name, parent, name)


def load_ui(path: str | Path, stand_ins: dict[str, type]) -> QtWidgets.QWidget:
    """Return the top widget of a .ui file.

    Raises
    ------
    RuntimeError : no such file, not a .ui file, or a widget class that is neither Qt's nor stood in for.
    """
    if not Path(path).is_file():
        raise RuntimeError(f"Could not load UI file: file not found {path}")
    tree = ElementTree.parse(path)
    connections = list(_take_connections(tree))
    ours = [element for element in tree.iter("widget") if element.get("class") in stand_ins]
    later = [(element.get("name", ""), prop) for element in ours for prop in _take_own_properties(element, stand_ins)]
    loader = Loader(stand_ins)
    widget = _load(loader, ElementTree.tostring(tree.getroot()))
    if widget is None or loader._unknown:
        raise RuntimeError(f"Could not load UI file: {path}: {', '.join(loader._unknown) or loader.errorString()}")
    for name, prop in later:
        setattr(_named(widget, name), prop.get("name", ""), _value(prop, face_of(type(_named(widget, name))).cpp))
    for sender, signal, receiver, slot in connections:
        _connect(_named(widget, sender), signal, _named(widget, receiver), slot, path)
    return widget


def _load(loader: Loader, content: bytes) -> Any:
    buffer = QtCore.QBuffer()
    buffer.setData(content)
    buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
    return loader.load(buffer)


def _take_connections(tree: Any) -> Iterator[tuple[str, ...]]:
    """Take out the connections: Qt cannot make those whose signals carry nodes."""
    root = tree.getroot()
    for block in root.findall("connections"):
        root.remove(block)
        for connection in block.findall("connection"):
            yield tuple(connection.findtext(tag, "") for tag in ("sender", "signal", "receiver", "slot"))


def _take_own_properties(element: Any, stand_ins: dict[str, type]) -> list[Any]:
    """Take out the properties that only the Slicer class has: Qt cannot read their enumerators."""
    face = face_of(stand_ins[element.get("class")])
    own = [prop for prop in element.findall("property") if prop.get("name") in face.own_properties]
    for prop in own:
        element.remove(prop)
    return own


def _value(prop: Any, cls: type) -> Any:
    kind = prop[0]
    if kind.tag in _PLAIN_VALUES:
        return _PLAIN_VALUES[kind.tag](kind.text or "")
    if kind.tag == "stringlist":
        return [text.text or "" for text in kind.findall("string")]
    if kind.tag in ("enum", "set"):
        members = [_enumerator(part.strip(), cls) for part in (kind.text or "").split("|")]
        combined = members[0]
        for member in members[1:]:
            combined |= member
        return combined
    raise RuntimeError(f"property {prop.get('name')} of {cls.__name__}: <{kind.tag}> is not read by this host")


def _enumerator(text: str, cls: type) -> Any:
    """Return ``ctkPathLineEdit::Dirs`` or ``Qt::AlignRight``."""
    scope, _, name = text.rpartition("::")
    owner = QtCore.Qt if scope.startswith("Qt") else getattr(QtWidgets, scope.partition("::")[0], cls)
    return getattr(owner, name)


def _named(top: QtWidgets.QWidget, name: str) -> Any:
    return top if top.objectName == name else top.findChild(QtCore.QObject, name)


def _connect(sender: Any, signal: str, receiver: Any, slot: str, path: str | Path) -> None:
    name = re.sub(r"\(.*", "", slot)
    if sender is None or receiver is None or not sender.connect(signal, getattr(receiver, name)):
        raise RuntimeError(f"{path}: a connection {signal} -> {slot} cannot be made")
