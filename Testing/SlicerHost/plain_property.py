"""Qt properties of our stand-ins that are no more than a value to keep."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from PySide6 import QtCore

_keys = count()


def plain(kind: Any, default: Any = None, changed: Callable[[Any], None] | None = None) -> Any:
    """Return a Qt property that keeps what is assigned and tells ``changed(self)``.

    It is seen by .ui files too, which set properties through Qt's meta-object.
    """
    key = f"_plain_{next(_keys)}"

    def read(self: Any) -> Any:
        return vars(self).get(key, default)

    def write(self: Any, value: Any) -> None:
        if value != read(self):
            vars(self)[key] = value
            if changed is not None:
                changed(self)

    return QtCore.Property(kind, read, write)
