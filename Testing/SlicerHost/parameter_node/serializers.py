"""Values to the texts and references of a vtkMRMLScriptedModuleNode, and back."""

from __future__ import annotations

import enum
import numbers
import pathlib
import typing
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

import slicer

from SlicerHost.parameter_node.annotations import FloatRange, alternatives, split_annotations

_MISSING = object()


class Serializer(Protocol):
    """Keeps values of one type in a node under a name."""

    empty: Any  # the value of a parameter that was never set

    def write(self, node: Any, name: str, value: Any) -> None:
        """Store a value; TypeError for another type."""

    def read(self, node: Any, name: str) -> Any:
        """Return the stored value."""

    def is_in(self, node: Any, name: str) -> bool:
        """Say whether there is a stored value."""


def _has(node: Any, name: str) -> bool:
    return name in node.GetParameterNames()


class ScalarSerializer:
    """int, float, bool, str and Path as one text."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.empty = kind()

    def write(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(name, str(self._checked(name, value)))

    def _checked(self, name: str, value: Any) -> Any:
        if self.kind is float and isinstance(value, numbers.Real) and not isinstance(value, bool):
            return float(value)
        if self.kind is int and isinstance(value, numbers.Integral) and not isinstance(value, bool):
            return int(value)
        if not isinstance(value, self.kind):
            raise TypeError(f"parameter {name} takes {self.kind.__name__}, not {type(value).__name__} ({value!r})")
        return value

    def read(self, node: Any, name: str) -> Any:
        text = node.GetParameter(name)
        return text == "True" if self.kind is bool else self.kind(text)

    def is_in(self, node: Any, name: str) -> bool:
        return _has(node, name)


class EnumSerializer:
    """Enumerators by name."""

    def __init__(self, kind: type[enum.Enum]) -> None:
        self.kind = kind
        self.empty = next(iter(kind))

    def write(self, node: Any, name: str, value: Any) -> None:
        if not isinstance(value, self.kind):
            raise TypeError(f"parameter {name} takes {self.kind.__name__}, not {value!r}")
        node.SetParameter(name, value.name)

    def read(self, node: Any, name: str) -> Any:
        return self.kind[node.GetParameter(name)]

    def is_in(self, node: Any, name: str) -> bool:
        return _has(node, name)


class NodeSerializer:
    """A node of the scene by reference; None is always allowed."""

    empty = None

    def __init__(self, kinds: tuple[type, ...]) -> None:
        self.kinds = kinds

    def write(self, node: Any, name: str, value: Any) -> None:
        if value is not None and not isinstance(value, self.kinds):
            raise TypeError(f"parameter {name} does not take {value.GetClassName()}")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node: Any, name: str) -> Any:
        return node.GetNodeReference(name)

    def is_in(self, node: Any, name: str) -> bool:
        return node.GetNodeReferenceID(name) is not None


class OptionalSerializer:
    """A value or None."""

    empty = None

    def __init__(self, inner: Serializer) -> None:
        self.inner = inner

    def write(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(f"{name}.given", str(value is not None))
        if value is not None:
            self.inner.write(node, name, value)

    def read(self, node: Any, name: str) -> Any:
        return self.inner.read(node, name) if node.GetParameter(f"{name}.given") == "True" else None

    def is_in(self, node: Any, name: str) -> bool:
        return _has(node, f"{name}.given")


class ListSerializer:
    """A list, element by element; what is read writes itself back when it is changed."""

    def __init__(self, element: Serializer) -> None:
        self.element = element
        self.empty: list[Any] = []

    def write(self, node: Any, name: str, value: Any) -> None:
        if not isinstance(value, list | tuple):
            raise TypeError(f"parameter {name} takes a list, not {type(value).__name__}")
        was_modifying = node.StartModify()
        node.SetParameter(f"{name}.len", str(len(value)))
        for index, item in enumerate(value):
            self.element.write(node, f"{name}.{index}", item)
        node.EndModify(was_modifying)

    def read(self, node: Any, name: str) -> Any:
        size = int(node.GetParameter(f"{name}.len"))
        return ObservedList(self, node, name, [self.element.read(node, f"{name}.{index}") for index in range(size)])

    def is_in(self, node: Any, name: str) -> bool:
        return _has(node, f"{name}.len")


class ObservedList(list[Any]):
    """A list that stores itself in the parameter node at every change."""

    def __init__(self, serializer: ListSerializer, node: Any, name: str, items: list[Any]) -> None:
        super().__init__(items)
        self._store = lambda: serializer.write(node, name, list(self))


def _storing(name: str) -> Any:
    plain = getattr(list, name)

    def change(self: ObservedList, *arguments: Any, **options: Any) -> Any:
        result = plain(self, *arguments, **options)
        self._store()
        return result

    return change


for _name in [
    "append",
    "clear",
    "extend",
    "insert",
    "pop",
    "remove",
    "reverse",
    "sort",
    "__setitem__",
    "__delitem__",
    "__iadd__",
]:
    setattr(ObservedList, _name, _storing(_name))


class PackSerializer:
    """A dataclass (``parameterPack``, FloatRange), field by field."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        hints = typing.get_type_hints(kind, include_extras=True)
        self.parts = {field.name: serializer_for(hints[field.name]) for field in fields(kind)}
        self.empty = None

    def write(self, node: Any, name: str, value: Any) -> None:
        if not isinstance(value, self.kind):
            raise TypeError(f"parameter {name} takes {self.kind.__name__}, not {value!r}")
        was_modifying = node.StartModify()
        for part, serializer in self.parts.items():
            serializer.write(node, f"{name}.{part}", getattr(value, part))
        node.EndModify(was_modifying)

    def read(self, node: Any, name: str) -> Any:
        return self.kind(**{part: item.read(node, f"{name}.{part}") for part, item in self.parts.items()})

    def is_in(self, node: Any, name: str) -> bool:
        return all(serializer.is_in(node, f"{name}.{part}") for part, serializer in self.parts.items())


def is_node_type(kind: Any) -> bool:
    """Say whether a type is a MRML node class."""
    return isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode)


def serializer_for(annotated: Any) -> Serializer:
    """Return what keeps values of a type; TypeError where Slicer's wrapper has nothing for it either."""
    kind, _ = split_annotations(annotated)
    options = tuple(option for option in alternatives(kind) if option is not type(None))
    if all(is_node_type(option) for option in options):
        return NodeSerializer(options)
    if type(None) in alternatives(kind) and len(options) == 1:
        return OptionalSerializer(serializer_for(options[0]))
    if typing.get_origin(kind) is list:
        return ListSerializer(serializer_for(typing.get_args(kind)[0]))
    if kind in (int, float, bool, str, pathlib.Path):
        return ScalarSerializer(kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return EnumSerializer(kind)
    if kind is FloatRange or (is_dataclass(kind) and hasattr(kind, "_is_parameter_pack")):
        return PackSerializer(kind)
    raise TypeError(f"no serializer for a parameter of type {kind}")
