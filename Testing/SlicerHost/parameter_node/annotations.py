"""What stands inside ``Annotated[...]`` of a parameter: validators, default, and hints for widgets."""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from typing import Any, Protocol


class Validator(Protocol):
    """Something that refuses values."""

    def validate(self, value: Any) -> None:
        """Raise ValueError for a bad value."""


@dataclass(frozen=True)
class WithinRange:
    """Both limits belong to the range."""

    minimum: float
    maximum: float

    def validate(self, value: Any) -> None:
        if value is None or not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


@dataclass(frozen=True)
class Minimum:
    """A lower limit."""

    minimum: float

    def validate(self, value: Any) -> None:
        if value is None or value < self.minimum:
            raise ValueError(f"Value must be greater than or equal to {self.minimum}, is {value}")


@dataclass(frozen=True)
class Maximum:
    """An upper limit."""

    maximum: float

    def validate(self, value: Any) -> None:
        if value is None or value > self.maximum:
            raise ValueError(f"Value must be less than or equal to {self.maximum}, is {value}")


@dataclass(frozen=True)
class Choice:
    """One of a list."""

    choices: Any

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"Value must be one of {list(self.choices)}, is {value!r}")


@dataclass(frozen=True)
class Exclude:
    """None of a list."""

    excludedValues: Any

    def validate(self, value: Any) -> None:
        if value in self.excludedValues:
            raise ValueError(f"Value must not be one of {list(self.excludedValues)}")


class NotNone:
    """Not None."""

    def validate(self, value: Any) -> None:
        if value is None:
            raise ValueError("Value must not be None")


@dataclass(frozen=True)
class Default:
    """The value of a new parameter node."""

    value: Any


@dataclass(frozen=True)
class Decimals:
    """How many digits the widget shows."""

    value: int


@dataclass(frozen=True)
class SingleStep:
    """How far one step of the widget goes."""

    value: float


@dataclass(frozen=True)
class Label:
    """What a made widget is called."""

    value: str


@dataclass(frozen=True)
class RangeBounds:
    """The limits of a FloatRange."""

    minimum: float
    maximum: float

    def validate(self, value: Any) -> None:
        if not self.minimum <= value.minimum <= value.maximum <= self.maximum:
            raise ValueError(f"Range must lie within [{self.minimum}, {self.maximum}], is {value}")


@dataclass
class FloatRange:
    """Two numbers, the lower first."""

    minimum: float
    maximum: float


def split_annotations(kind: Any) -> tuple[Any, list[Any]]:
    """Return ``int, [WithinRange(0, 9)]`` for ``Annotated[int, WithinRange(0, 9)]``."""
    if typing.get_origin(kind) is typing.Annotated:
        bare, *annotations = typing.get_args(kind)
        return bare, annotations
    return kind, []


def alternatives(kind: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type alone."""
    is_union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return typing.get_args(kind) if is_union else (kind,)
