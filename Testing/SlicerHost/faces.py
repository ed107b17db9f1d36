"""What a PythonQt wrapper of each Python class shows: found once per class, from the API table and Qt's meta-object."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from PySide6 import QtCore

from SlicerHost.api import Entry, class_entry, entry_of_class_name, object_entry, table


@dataclass(frozen=True)
class Face:
    """How instances of one Python class look from the outside.

    Attributes
    ----------
    cpp : the class that is C++ in Slicer: one of PySide6, or one of ours that stands for a Slicer class.
    name : its C++ name.
    entry : what Slicer says it has; None for the few Qt classes that are not in the table.
    properties : name -> (C++ type, writable).
    python_names : names that a Python subclass defines; there Python's own rules hold.
    is_wrapper : the object is the C++ object itself, so it takes no new attributes.
    own_properties : the Qt properties that a stand-in of ours defines.
    own_state : names with an underscore that a stand-in of ours declares for itself.
    """

    cpp: type
    name: str
    entry: Entry | None
    properties: dict[str, tuple[str, bool]]
    python_names: frozenset[str]
    is_wrapper: bool
    own_properties: dict[str, QtCore.Property]
    own_state: frozenset[str]

    def has(self, attribute: str) -> bool:
        """Say whether Slicer knows ``attribute``; a class that is not in the table is believed to have everything."""
        return self.entry is None or self.entry.has(attribute) or attribute in self.properties


def stands_for(name: str) -> Any:
    """Mark one of our classes as the stand-in of something of Slicer: ``ctk.ctkSliderWidget`` or ``slicer.app``."""

    def mark(cls: type) -> type:
        if entry_named(name) is None:
            raise ValueError(f"{name} is not in the API table")
        cls._stands_for = name
        return cls

    return mark


def entry_named(name: str) -> Entry | None:
    """Return the entry of a class or of a live object."""
    return object_entry(name) if name in table()["objects"] else class_entry(name)


def is_cpp(cls: type) -> bool:
    """Say whether a class is C++ in Slicer: PySide6's own, or marked by ``stands_for``."""
    return cls.__module__.startswith("PySide6.") or "_stands_for" in vars(cls)


@cache
def face_of(cls: type) -> Face:
    """Return the face of a class; ``cls`` derives from QObject."""
    mro = cls.__mro__
    cpp = next(base for base in mro if is_cpp(base))
    python_side = mro[: mro.index(cpp)]
    ours = [base for base in mro if "_stands_for" in vars(base)]
    entry = entry_named(cpp._stands_for) if "_stands_for" in vars(cpp) else entry_of_class_name(cpp.__name__)
    return Face(
        cpp=cpp,
        name=cpp.__name__,
        entry=entry,
        properties=entry.properties if entry is not None and entry.properties else _qt_properties(cpp),
        python_names=frozenset(name for base in python_side for name in vars(base)),
        is_wrapper=cpp is cls,
        own_properties={
            name: what
            for base in reversed(ours)
            for name, what in vars(base).items()
            if isinstance(what, QtCore.Property)
        },
        own_state=frozenset(name for base in ours for name in _declared(base)),
    )


def _declared(cls: type) -> set[str]:
    return {name for name in vars(cls).keys() | vars(cls).get("__annotations__", {}).keys() if name.startswith("_")}


def _qt_properties(cls: type) -> dict[str, tuple[str, bool]]:
    """Return what Qt's meta-object says: for classes the table does not have, or has without their properties."""
    meta: QtCore.QMetaObject = cls.staticMetaObject
    found = (meta.property(index) for index in range(meta.propertyCount()))
    return {prop.name(): (str(prop.typeName()), prop.isWritable()) for prop in found}
