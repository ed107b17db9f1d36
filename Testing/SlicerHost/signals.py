"""Connecting as PythonQt does: by exact C++ signature or by name, surplus arguments trimmed for plain functions only."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import shiboken6
from PySide6 import QtCore

from SlicerHost.api import normalized
from SlicerHost.faces import Face, face_of

Slot = Callable[..., Any]
Connection = tuple[Slot, Slot, Any]  # what the caller gave, what Qt calls, the PySide6 signal

# Wrong signatures, in words: Slicer only returns False, so tests look here.
refused_connections: list[str] = []
_connections: dict[tuple[int, str], list[Connection]] = {}

# PySide6 gives a Python slot as many arguments as it names: hence one adapter for each count.
_ADAPTERS: tuple[Callable[[Slot], Slot], ...] = (
    lambda call: lambda: call(),
    lambda call: lambda a: call(a),
    lambda call: lambda a, b: call(a, b),
    lambda call: lambda a, b, c: call(a, b, c),
    lambda call: lambda a, b, c, d: call(a, b, c, d),
    lambda call: lambda a, b, c, d, e: call(a, b, c, d, e),
)
# Qt 6 spells these types differently; the panel writes what Slicer (Qt 5) has.
_QT6_SPELLING = {"QVector<int>": "QList<int>"}


class HostSignal:
    """A signal of one object, as PythonQt shows it: ``connect``, ``disconnect``, ``emit`` or a call."""

    def __init__(self, sender: QtCore.QObject, name: str, signal: Any) -> None:
        self._sender, self._name, self.qt_signal = sender, name, signal

    def connect(self, slot: Slot) -> bool:
        """Connect to the overload with the most arguments."""
        return _connect(self._sender, self._name, self.qt_signal, _largest_overload(self._sender, self._name), slot)

    def disconnect(self, slot: Slot | None = None) -> bool:
        """Disconnect one slot, or all that were connected from Python."""
        return _disconnect(self._sender, self._name, slot)

    def emit(self, *arguments: Any) -> None:
        """Emit the signal."""
        self.qt_signal.emit(*arguments)

    __call__ = emit


def connect_by_signature(sender: QtCore.QObject, signature: Any, slot: Any, member: Any = None) -> bool:
    """``sender.connect("clicked(bool)", slot)``: False for a signature that Slicer or Qt 6 does not have."""
    if isinstance(signature, QtCore.QObject):  # PySide6's own calls: QTimer.singleShot(), QMenu.addAction(text, slot)
        sender, signature, slot, member = signature, slot.lstrip("2"), member, None
    if member is not None:
        slot = getattr(slot, member.partition("(")[0])
    if not callable(slot):
        raise ValueError(f"connect: {slot!r} is not callable")
    signal = _find(sender, normalized(signature))
    if signal is None:
        refused_connections.append(f"{_caller()}: {face_of(type(sender)).name} has no signal {signature}")
        return False
    name = normalized(signature).partition("(")[0]
    return _connect(sender, name, signal, _argument_types(normalized(signature)), slot)


def disconnect_by_signature(
    sender: QtCore.QObject, signature: str | None = None, slot: Any = None, member: str | None = None
) -> bool:
    """``sender.disconnect("clicked(bool)", slot)``: whether there was something to disconnect."""
    if signature is None:
        names = [name for address, name in _connections if address == _address(sender)]
        return any(_disconnect(sender, name, None) for name in names)
    if member is not None:
        slot = getattr(slot, member.partition("(")[0])
    return _disconnect(sender, normalized(signature).partition("(")[0], slot)


def _find(sender: QtCore.QObject, signature: str) -> Any:
    """Return the PySide6 signal for an exact signature, None if Slicer or Qt 6 lacks it."""
    face = face_of(type(sender))
    name = signature.partition("(")[0]
    if name not in face.python_names and face.entry is not None and not face.entry.has_signal(signature):
        return None
    return getattr(sender, name).qt_signal if _declares(face, sender, name, signature) else None


def _declares(face: Face, sender: QtCore.QObject, name: str, signature: str) -> bool:
    meta = sender.metaObject()
    spelled = signature
    for slicer_type, qt6_type in _QT6_SPELLING.items():
        spelled = spelled.replace(slicer_type, qt6_type)
    if meta.indexOfSignal(spelled) >= 0:
        return True
    # Signals that our stand-ins declare carry Python objects: their C++ types are known to the table alone.
    ours = [vars(base).get(name) for base in face.cpp.__mro__ if "_stands_for" in vars(base)]
    return any(isinstance(found, QtCore.Signal) for found in ours)


def _largest_overload(sender: QtCore.QObject, name: str) -> list[str]:
    meta = sender.metaObject()
    methods = (meta.method(index) for index in range(meta.methodCount()))
    overloads = [
        bytes(method.methodSignature().data()).decode()
        for method in methods
        if bytes(method.name().data()).decode() == name
    ]
    return max((_argument_types(overload) for overload in overloads), key=len, default=[])


def _argument_types(signature: str) -> list[str]:
    inside = signature.partition("(")[2].removesuffix(")")
    return [part for part in inside.split(",") if part]


def _connect(sender: QtCore.QObject, name: str, signal: Any, types: list[str], slot: Slot) -> bool:
    accepted = _positional_limit(slot)
    if inspect.isbuiltin(slot) and isinstance(slot.__self__, QtCore.QObject):
        return _remember(sender, name, (slot, slot, signal))  # a C++ slot: Qt itself knows how many arguments it takes

    def call(*arguments: Any) -> None:
        given = tuple(_as(kind, value) for kind, value in zip(types, arguments, strict=False))
        slot(*given[:accepted])

    return _remember(sender, name, (slot, _ADAPTERS[len(types)](call), signal))


def _remember(sender: QtCore.QObject, name: str, connection: Connection) -> bool:
    connection[2].connect(connection[1])
    _connections.setdefault((_address(sender), name), []).append(connection)
    return True


def _as(kind: str, value: Any) -> Any:
    """Turn what our stand-ins emit into the overload asked for: ``currentNodeChanged(bool)`` of a node."""
    return value is not None and value is not False if kind == "bool" else value


def _disconnect(sender: QtCore.QObject, name: str, slot: Slot | None) -> bool:
    known = _connections.get((_address(sender), name), [])
    going = [connection for connection in known if slot is None or connection[0] == slot]
    for connection in going:
        connection[2].disconnect(connection[1])
        known.remove(connection)
    return bool(going)


def _positional_limit(slot: Slot) -> int | None:
    """Return how many arguments a slot gets; None for all. PythonQt trims for functions and methods, not for partials."""
    function = slot.__func__ if inspect.ismethod(slot) else slot
    if not inspect.isfunction(function):
        return None
    if function.__code__.co_flags & inspect.CO_VARARGS:
        return None
    return function.__code__.co_argcount - (1 if inspect.ismethod(slot) else 0)


def _address(sender: QtCore.QObject) -> int:
    return int(shiboken6.getCppPointer(sender)[0])


def _caller() -> str:
    frame = sys._getframe(2)
    while frame.f_back is not None and "SlicerHost" in frame.f_code.co_filename:
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
