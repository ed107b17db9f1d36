"""Which widget may show which parameter, and how the two are kept equal.

A pair that Slicer's wrapper does not connect is refused here as well.
"""

from __future__ import annotations

import enum
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import slicer
from PySide6 import QtWidgets

from SlicerHost.ctk_choices import ctkDirectoryButton, ctkPathLineEdit
from SlicerHost.ctk_numbers import ctkDoubleSpinBox, ctkRangeWidget, ctkSliderWidget
from SlicerHost.parameter_node.annotations import (
    Choice,
    Decimals,
    FloatRange,
    Maximum,
    Minimum,
    RangeBounds,
    SingleStep,
    WithinRange,
)
from SlicerHost.parameter_node.serializers import is_node_type


@dataclass(frozen=True)
class Parameter:
    """One parameter as the GUI sees it."""

    name: str
    kind: Any  # the type without annotations and without None
    annotations: tuple[Any, ...]

    def find(self, *classes: type) -> Any:
        """Return the first annotation of one of these classes, or None."""
        return next((annotation for annotation in self.annotations if isinstance(annotation, classes)), None)


@dataclass(frozen=True)
class Connector:
    """A widget's signal and how to read and write what it shows."""

    signal: Any
    read: Callable[[], Any]
    write: Callable[[Any], None]


def connector_for(widget: Any, parameter: Parameter) -> Connector:
    """Return the connector of a widget and a parameter; RuntimeError for a pair Slicer does not connect."""
    for fits, make in _CONNECTORS:
        if fits(widget, parameter):
            return make(widget, parameter)
    kind = getattr(parameter.kind, "__name__", parameter.kind)
    raise RuntimeError(
        f"parameter {parameter.name} ({kind}) cannot be connected to {widget.objectName} ({widget.className()})"
    )


def _of_attribute(
    widget: Any, attribute: str, signal: Any, convert: Callable[[Any], Any] = lambda value: value
) -> Connector:
    return Connector(
        signal,
        lambda: convert(getattr(widget, attribute)),
        lambda value: setattr(widget, attribute, str(value) if convert is pathlib.Path else value),
    )


def _button(widget: Any, _parameter: Parameter) -> Connector:
    return _of_attribute(widget, "checked", widget.toggled)


def _number(widget: Any, parameter: Parameter) -> Connector:
    kind = parameter.kind
    limits = parameter.find(WithinRange)
    low, high = parameter.find(WithinRange, Minimum), parameter.find(WithinRange, Maximum)
    if isinstance(widget, QtWidgets.QSlider | ctkSliderWidget) and limits is None:
        raise RuntimeError(f"parameter {parameter.name} needs WithinRange to be connected to a slider")
    if low is not None:
        widget.minimum = kind(low.minimum)
    if high is not None:
        widget.maximum = kind(high.maximum)
    _give_steps(widget, parameter)
    return _of_attribute(widget, "value", widget.valueChanged, kind)


def _give_steps(widget: Any, parameter: Parameter) -> None:
    decimals, step = parameter.find(Decimals), parameter.find(SingleStep)
    if decimals is not None:
        widget.decimals = decimals.value
    if step is not None:
        widget.singleStep = step.value


def _choice(widget: Any, parameter: Parameter) -> Connector:
    choice = parameter.find(Choice)
    values = list(choice.choices) if choice is not None else list(parameter.kind)
    widget.clear()
    for value in values:
        label = getattr(value, "label", None)
        widget.addItem(label() if callable(label) else value.name if isinstance(value, enum.Enum) else str(value))
    return Connector(
        widget.currentIndexChanged,
        lambda: values[widget.currentIndex] if values else None,
        lambda value: widget.setCurrentIndex(values.index(value) if value in values else -1),
    )


def _line(widget: Any, _parameter: Parameter) -> Connector:
    return _of_attribute(widget, "text", widget.textChanged)


def _text(widget: Any, _parameter: Parameter) -> Connector:
    return _of_attribute(widget, "plainText", widget.textChanged)


def _path(widget: Any, _parameter: Parameter) -> Connector:
    if isinstance(widget, ctkDirectoryButton):
        return _of_attribute(widget, "directory", widget.directoryChanged, pathlib.Path)

    # An empty field is Path(), which prints as "."; Slicer shows it so, too.
    return _of_attribute(widget, "currentPath", widget.currentPathChanged, pathlib.Path)


def _node(widget: Any, _parameter: Parameter) -> Connector:
    return Connector(widget.currentNodeChanged, widget.currentNode, widget.setCurrentNode)


def _range(widget: Any, parameter: Parameter) -> Connector:
    bounds = parameter.find(RangeBounds)
    if bounds is not None:
        widget.minimum, widget.maximum = bounds.minimum, bounds.maximum
    _give_steps(widget, parameter)
    return Connector(
        widget.valuesChanged,
        lambda: FloatRange(widget.minimumValue, widget.maximumValue),
        lambda value: widget.setValues(value.minimum, value.maximum),
    )


def _is(*classes: type) -> Callable[[Any], bool]:
    return lambda widget: isinstance(widget, classes)


def _rule(kind: Any, fits_widget: Callable[[Any], bool]) -> Callable[[Any, Parameter], bool]:
    return lambda widget, parameter: parameter.kind is kind and fits_widget(widget)


def _is_choice(widget: Any, parameter: Parameter) -> bool:
    is_enum = isinstance(parameter.kind, type) and issubclass(parameter.kind, enum.Enum)
    return isinstance(widget, QtWidgets.QComboBox) and (is_enum or parameter.find(Choice) is not None)


def _is_node(widget: Any, parameter: Parameter) -> bool:
    return is_node_type(parameter.kind) and isinstance(widget, slicer.qMRMLNodeComboBox)


_CONNECTORS: tuple[tuple[Callable[[Any, Parameter], bool], Callable[[Any, Parameter], Connector]], ...] = (
    (_is_choice, _choice),
    (_is_node, _node),
    (_rule(bool, _is(QtWidgets.QAbstractButton)), _button),
    (_rule(int, _is(QtWidgets.QSpinBox, QtWidgets.QSlider)), _number),
    (_rule(float, _is(QtWidgets.QDoubleSpinBox, ctkDoubleSpinBox, ctkSliderWidget)), _number),
    (_rule(str, _is(QtWidgets.QLineEdit)), _line),
    (_rule(str, _is(QtWidgets.QTextEdit, QtWidgets.QPlainTextEdit)), _text),
    (_rule(pathlib.Path, _is(ctkPathLineEdit, ctkDirectoryButton)), _path),
    (_rule(FloatRange, _is(ctkRangeWidget)), _range),
)
