"""The decorator ``parameterNodeWrapper``: a class of typed parameters over a scripted module node."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any

import vtk

from SlicerHost.parameter_node.annotations import Choice, Default, WithinRange, alternatives, split_annotations
from SlicerHost.parameter_node.gui import Connector, Parameter, connector_for
from SlicerHost.parameter_node.serializers import PackSerializer, Serializer, serializer_for

SLICER_PARAMETER_NAME = "SlicerParameterName"
_NOTHING = object()


class ParameterInfo:
    """One declared parameter: its type, default, validators and how it is stored."""

    def __init__(self, name: str, annotated: Any, class_default: Any) -> None:
        self.name = name
        self.basetype, annotations = split_annotations(annotated)
        options = [option for option in alternatives(self.basetype) if option is not type(None)]
        self.gui = Parameter(name, options[0], tuple(annotations))
        self.serializer: Serializer = serializer_for(annotated)
        self.validators = [annotation for annotation in annotations if hasattr(annotation, "validate")]
        self.default = self._default(class_default)

    def _default(self, class_default: Any) -> Any:
        if class_default is not _NOTHING:
            return class_default
        given = self.gui.find(Default)
        if given is not None:
            return given.value
        if hasattr(self.gui.kind, "_is_parameter_pack"):
            return self.gui.kind()
        choice, limits = self.gui.find(Choice), self.gui.find(WithinRange)
        if choice is not None:
            return next(iter(choice.choices))
        return self.gui.kind(limits.minimum) if limits is not None else self.serializer.empty

    def write(self, node: Any, value: Any) -> None:
        """Validate and store."""
        for validator in self.validators:
            validator.validate(value)
        self.serializer.write(node, self.name, value)

    def read(self, node: Any) -> Any:
        """Return the stored value, or the default."""
        return self.serializer.read(node, self.name) if self.serializer.is_in(node, self.name) else self.default


@dataclass
class _Tie:
    """One connected panel: what to undo at ``disconnectGui``."""

    observer: int
    slots: list[tuple[Connector, Any]]


class _Wrapper:
    """What every wrapped class gets."""

    allParameters: dict[str, ParameterInfo]
    parameterNode: Any

    def __init__(self, parameterNode: Any, prefix: str | None = None) -> None:
        if prefix:
            raise NotImplementedError("this host keeps one wrapper per node: no prefix")
        object.__setattr__(self, "parameterNode", parameterNode)
        object.__setattr__(self, "_ties", {})
        object.__setattr__(self, "_is_showing", False)
        for info in self.allParameters.values():
            if not info.serializer.is_in(parameterNode, info.name) and info.default is not None:
                info.write(parameterNode, info.default)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.allParameters:
            raise AttributeError(f"{type(self).__name__} has no parameter {name}")
        self.allParameters[name].write(self.parameterNode, value)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the node's: AddObserver, GetID, Modified, ..."""
        return getattr(object.__getattribute__(self, "parameterNode"), name)

    def getValue(self, name: str) -> Any:
        """Return a parameter by name; ``pack.field`` reaches into a parameterPack."""
        first, _, rest = name.partition(".")
        value = self.allParameters[first].read(self.parameterNode)
        for part in filter(None, rest.split(".")):
            value = getattr(value, part)
        return value

    def setValue(self, name: str, value: Any) -> None:
        """Set a parameter by name; ``pack.field`` reaches into a parameterPack."""
        first, _, rest = name.partition(".")
        if rest:
            pack = self.getValue(first)
            setattr(pack, rest, value)
            value = pack
        self.allParameters[first].write(self.parameterNode, value)

    def default(self, name: str) -> Any:
        """Return the default of a parameter."""
        return self.allParameters[name].default

    def dataType(self, name: str) -> Any:
        """Return the type of a parameter."""
        return self.allParameters[name].basetype

    # ---- widgets -------------------------------------------------------------------------------------------------

    def connectGui(self, gui: Any) -> int:
        """Tie every widget that names a parameter in its property SlicerParameterName; return a tag to untie them."""
        widgets = [widget for widget in vars(gui).values() if hasattr(widget, "property")]
        names = [(str(widget.property(SLICER_PARAMETER_NAME) or ""), widget) for widget in widgets]
        return self.connectParametersToGui({name: widget for name, widget in names if name})

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        """Tie parameters to widgets; return a tag to untie them."""
        ties = [(name, connector_for(widget, self._parameter(name))) for name, widget in mapping.items()]
        slots = [(connector, self._slot(name, connector)) for name, connector in ties]
        self._show(ties)
        for connector, slot in slots:
            connector.signal.connect(slot)
        observer = self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._show(ties))
        tag = max(self._ties, default=0) + 1
        self._ties[tag] = _Tie(observer, slots)
        return tag

    def disconnectGui(self, tag: int) -> None:
        """Untie the widgets of one ``connectGui``."""
        tie = self._ties.pop(tag, None)
        if tie is not None:
            self.parameterNode.RemoveObserver(tie.observer)
            for connector, slot in tie.slots:
                connector.signal.disconnect(slot)

    def _parameter(self, name: str) -> Parameter:
        first, _, rest = name.partition(".")
        if first not in self.allParameters:
            raise RuntimeError(f"a widget names the parameter {name}, which {type(self).__name__} does not have")
        info = self.allParameters[first]
        if not rest:
            return info.gui
        assert isinstance(info.serializer, PackSerializer)
        bare, annotations = split_annotations(typing.get_type_hints(info.basetype, include_extras=True)[rest])
        return Parameter(name, bare, tuple(annotations))

    def _slot(self, name: str, connector: Connector) -> Any:
        def changed() -> None:
            if not self._is_showing and self.getValue(name) != connector.read():
                self.setValue(name, connector.read())

        return changed

    def _show(self, ties: list[tuple[str, Connector]]) -> None:
        """Show the values; a widget that rounds them does not change the parameters by that."""
        object.__setattr__(self, "_is_showing", True)
        for name, connector in ties:
            value = self.getValue(name)
            if connector.read() != value:
                connector.write(value)
        object.__setattr__(self, "_is_showing", False)


def _property(info: ParameterInfo) -> property:
    return property(
        lambda self: info.read(self.parameterNode), lambda self, value: info.write(self.parameterNode, value)
    )


def parameterNodeWrapper(classtype: Any = None) -> Any:
    """Turn a class of annotated names into a wrapper of a parameter node."""
    if classtype is None:
        return parameterNodeWrapper
    if any(isinstance(kind, str) for kind in vars(classtype).get("__annotations__", {}).values()):
        raise TypeError(f"{classtype.__name__}: Slicer reads real types; remove `from __future__ import annotations`")
    hints = typing.get_type_hints(classtype, include_extras=True)
    infos = {name: ParameterInfo(name, kind, vars(classtype).get(name, _NOTHING)) for name, kind in hints.items()}
    own = {name: what for name, what in vars(classtype).items() if name not in ("__dict__", "__weakref__")}
    members = own | {name: _property(info) for name, info in infos.items()} | {"allParameters": infos}
    return type(classtype.__name__, (_Wrapper,), members)
