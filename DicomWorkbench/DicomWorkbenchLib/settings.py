"""JSON round trip for the frozen settings dataclasses of the workflows.

A panel, a command and the queue build the same settings object; between processes and in reports it travels as JSON.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from DicomWorkbenchLib.errors import SettingsError

S = TypeVar("S")


def to_json(value: Any) -> Any:
    """Turn a settings dataclass (or any part of one) into what `json.dumps` takes.

    Paths become strings, enums their values, tuples lists and nested dataclasses dictionaries.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(item) for item in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return value.tolist()
    return value


def from_json(cls: type[S], data: dict[str, Any]) -> S:
    """Build a settings dataclass from the dictionary `to_json` made; its own checks run.

    Raises
    ------
    SettingsError : a name is unknown or a value has the wrong type.
    """
    hints = typing.get_type_hints(cls)
    known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(data) - known)
    if unknown:
        raise SettingsError(f"{cls.__name__} has no setting {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    return cls(**{name: _value(hints[name], value, f"{cls.__name__}.{name}") for name, value in data.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _first_that_fits([a for a in arguments if a is not type(None)], value, where)
    if origin is tuple:
        return _tuple(arguments, value, where)
    if origin is list:
        return [_value(arguments[0], item, where) for item in value]
    if origin is dict:
        return {key: _value(arguments[1], item, where) for key, item in value.items()}
    return _scalar(hint, value, where)


def _tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise SettingsError(f"{where} must be a list, got {value!r}")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_value(arguments[0], item, where) for item in value)
    if len(arguments) != len(value):
        raise SettingsError(f"{where} must have {len(arguments)} values, got {len(value)}")
    return tuple(_value(a, item, where) for a, item in zip(arguments, value, strict=True))


def _first_that_fits(hints: list[Any], value: Any, where: str) -> Any:
    for hint in hints[:-1]:
        try:
            return _value(hint, value, where)
        except SettingsError:
            continue
    return _value(hints[-1], value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if not isinstance(hint, type):
        return value
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise SettingsError(f"{where} must be an object, got {value!r}")
        return from_json(hint, value)
    if issubclass(hint, enum.Enum):
        try:
            return hint(value)
        except ValueError:
            allowed = ", ".join(str(member.value) for member in hint)
            raise SettingsError(f"{where} must be one of {allowed}; got {value!r}") from None
    if issubclass(hint, Path) and isinstance(value, str):
        return hint(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and not (hint in (int, float) and isinstance(value, bool)):
        return value
    raise SettingsError(f"{where} must be {hint.__name__}, got {value!r}")
