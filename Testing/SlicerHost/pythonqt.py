"""PythonQt's rules laid over PySide6: properties are attributes, nothing is invented, enums are not integers.

``lay_over_pyside()`` replaces attribute access of QObject once per process. What a panel may rely on in Slicer works here,
and what Slicer refuses is refused here in PythonQt's words. Our stand-ins for ctk and qMRML classes follow the same rules.
"""

from __future__ import annotations

import dis
import enum
import numbers
import sys
from types import FrameType
from typing import Any

import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets

from SlicerHost.api import entry_of_class_name
from SlicerHost.faces import Face, face_of
from SlicerHost.signals import HostSignal, connect_by_signature, disconnect_by_signature

_read = QtCore.QObject.__getattribute__
_write = shiboken6.Object.__setattr__
_MISSING = object()

# C++ asks Python for overrides of these while it computes the property itself: answering with the value would never end.
_VIRTUAL_PROPERTIES = frozenset({"sizeHint", "minimumSizeHint"})
# PythonQt turns lists of C++ objects into tuples.
_RETURN_TUPLES = frozenset(
    {
        "actions",
        "buttons",
        "children",
        "findChildren",
        "findItems",
        "selectedFiles",
        "selectedIndexes",
        "selectedItems",
        "selectedRanges",
        "selectedRows",
    }
)
_INTEGERS = frozenset({"int", "uint", "short", "ushort", "qlonglong", "qulonglong"})


def lay_over_pyside() -> None:
    """Make every PySide6 object of this process behave as PythonQt's wrappers do."""
    QtCore.QObject.__getattribute__ = read_attribute
    for module in (QtCore, QtGui, QtWidgets):
        for name in dir(module):
            cls = getattr(module, name)
            if isinstance(cls, type) and issubclass(cls, shiboken6.Object):
                _replace_assignment(cls)


def _replace_assignment(cls: type) -> None:
    if issubclass(cls, QtCore.QObject):
        cls.__setattr__ = write_attribute
    elif entry_of_class_name(cls.__name__) is not None:
        cls.__setattr__ = _refuse_new_attribute


def _refuse_new_attribute(self: Any, name: str, value: Any) -> None:
    """Assignment to a value object such as QTableWidgetItem or QSize: only Python subclasses carry attributes."""
    if type(self).__module__.startswith("PySide6."):
        raise AttributeError(_not_allowed(name, type(self).__name__))
    object.__setattr__(self, name, value)


def _not_allowed(name: str, cls: str) -> str:
    return f"Attribute '{name}' does not exist on {cls} and creating new attributes on C++ objects is not allowed"


# ---- reading -------------------------------------------------------------------------------------------------------


def read_attribute(self: QtCore.QObject, name: str) -> Any:
    """``object.name`` by PythonQt's rules."""
    if name.startswith("_"):
        return _read(self, name)
    face = face_of(type(self))
    if name in face.python_names or (not face.is_wrapper and name in _read(self, "__dict__")):
        return _wrapped(self, name, _read(self, name))
    return _read_cpp(self, face, _property_meant(face, name))


def _property_meant(face: Face, name: str) -> str:
    """PythonQt calls every object's ``objectName`` also ``name``, unless the class has a property of that name."""
    return "objectName" if name == "name" and "name" not in face.properties else name


def _read_cpp(self: QtCore.QObject, face: Face, name: str) -> Any:
    if name in face.properties:
        if name in _VIRTUAL_PROPERTIES and not _python_code_says("LOAD", name):
            return _read(self, name)
        return _read_property(self, face, name)
    if name in _OF_EVERY_OBJECT:
        return _OF_EVERY_OBJECT[name].__get__(self)
    # Qt itself looks for overrides of virtual functions by name: only Python code is refused.
    if not face.has(name) and _python_code_says("LOAD", name):
        raise AttributeError(f"{face.name} has no attribute named '{name}'")
    return _wrapped(self, name, _read_method(self, face, name))


def _read_method(self: QtCore.QObject, face: Face, name: str) -> Any:
    for spelling in (name, name.removesuffix("_"), f"{name}_"):
        try:
            return _read(self, spelling)
        except AttributeError:
            continue
    if face.entry is not None and face.has(name):
        raise AttributeError(f"{face.name}.{name} is in Slicer, but this host has no stand-in for it")
    raise AttributeError(f"{face.name} has no attribute named '{name}'")


def _wrapped(self: QtCore.QObject, name: str, value: Any) -> Any:
    if isinstance(value, QtCore.SignalInstance):
        return HostSignal(self, name, value)
    if name in _RETURN_TUPLES and callable(value):
        return lambda *arguments: _as_tuple(value(*arguments))
    return value


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _read_property(self: QtCore.QObject, face: Face, name: str) -> Any:
    if name in face.own_properties:
        return _as_tuple(face.own_properties[name].fget(self))
    for getter in (f"is{name[0].upper()}{name[1:]}", name):
        try:
            value = _read(self, getter)
        except AttributeError:
            continue
        return _as_tuple(value())
    value = QtCore.QObject.property(self, name)
    if value is None and self.metaObject().indexOfProperty(name) < 0:
        raise AttributeError(f"{face.name}.{name} is in Slicer, but this host has no stand-in for it")
    return _as_tuple(value)


def _python_code_says(verb: str, name: str) -> bool:
    """Say whether the caller is a line of Python that names the attribute, and not Qt or a built-in function."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    if frame is None or frame.f_lasti < 0:
        return False
    operation = dis.opname[frame.f_code.co_code[frame.f_lasti]]
    return operation.startswith(verb) and name in frame.f_code.co_names


# ---- writing -------------------------------------------------------------------------------------------------------


def write_attribute(self: QtCore.QObject, name: str, value: Any) -> None:
    """``object.name = value`` by PythonQt's rules."""
    face = face_of(type(self))
    name = _property_meant(face, name)
    if name in face.properties and name not in face.python_names:
        _write_property(self, face, name, value)
    elif not face.is_wrapper or name in face.own_state:
        _write(self, name, value)
    elif _python_code_says(
        "STORE", name
    ):  # the .ui loader of PySide6 also stores children as attributes: not in Slicer
        raise AttributeError(_refusal(face, name))


def _refusal(face: Face, name: str) -> str:
    if face.entry is not None and name in face.entry.signal_names:
        return f"Signal '{name}' can not be overwritten on {face.name} object"
    if face.entry is not None and name in face.entry.methods:
        return f"Slot '{name}' can not be overwritten on {face.name} object"
    return _not_allowed(name, face.name)


def _write_property(self: QtCore.QObject, face: Face, name: str, value: Any) -> None:
    kind, writable = face.properties[name]
    converted = _converted(self, face, name, kind, value) if writable else _MISSING
    if converted is _MISSING or not _stored(self, face, name, converted):
        accepts = f"does not accept an object of type {type(value).__name__} ({value!r})"
        raise AttributeError(f"Property '{name}' of type '{kind}' {accepts}")


def _converted(self: QtCore.QObject, face: Face, name: str, kind: str, value: Any) -> Any:
    """Convert as PythonQt does before a property is set; _MISSING where it would not."""
    if kind == "bool":
        return bool(value)
    if kind in _INTEGERS and not isinstance(value, enum.Enum):
        return int(value) if isinstance(value, numbers.Real) else _MISSING
    if kind in ("double", "float"):
        return float(value) if isinstance(value, numbers.Real) else _MISSING
    if kind == "QString":
        return value if isinstance(value, str) else _MISSING
    if kind == "QStringList":
        fits = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
        return list(value) if fits else _MISSING
    return value if _is_same_enum(_read_property(self, face, name), value) else _MISSING


def _is_same_enum(present: Any, value: Any) -> bool:
    """PythonQt takes integers where an enum is due; PySide6 and Qt 6 do not, so the host refuses them."""
    return not isinstance(present, enum.Enum) or isinstance(value, type(present))


def _stored(self: QtCore.QObject, face: Face, name: str, value: Any) -> bool:
    if name in face.own_properties:
        face.own_properties[name].fset(self, value)
        return True
    try:
        setter = _read(self, f"set{name[0].upper()}{name[1:]}")
    except AttributeError:
        return bool(QtCore.QObject.setProperty(self, name, value))
    try:
        setter(value)
    except TypeError:
        return False
    return True


# ---- what PythonQt adds to every object ----------------------------------------------------------------------------


def _class_name(self: QtCore.QObject) -> str:
    return face_of(type(self)).name


def _delete(self: QtCore.QObject) -> None:
    shiboken6.delete(self)


_OF_EVERY_OBJECT: dict[str, Any] = {
    "className": _class_name,
    "connect": connect_by_signature,
    "delete": _delete,
    "disconnect": disconnect_by_signature,
}
