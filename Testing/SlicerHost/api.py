"""The real Slicer's API as a table: what exists, with which types and signatures. Needs neither Qt nor Slicer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("api_table.json")
EVERY_WRAPPER_HAS = frozenset({"className", "delete", "help", "inherits"})


@dataclass(frozen=True)
class Entry:
    """What one class (or live object) of the running Slicer has."""

    name: str
    methods: frozenset[str] = frozenset()
    properties: dict[str, tuple[str, bool]] = field(default_factory=dict)  # name -> (C++ type, writable)
    signals: frozenset[str] = frozenset()  # C++ signatures; a bare name where only the name is known
    enums: dict[str, int] = field(default_factory=dict)

    @property
    def signal_names(self) -> frozenset[str]:
        return frozenset(signature.partition("(")[0] for signature in self.signals)

    def has_signal(self, signature: str) -> bool:
        """Say whether ``connect(signature, ...)`` finds a signal."""
        return normalized(signature) in self.signals or signature.partition("(")[0].strip() in self.signals

    def has(self, attribute: str) -> bool:
        """Say whether ``object.attribute`` can be read in Slicer (``raise_`` and ``exec_`` are PythonQt's spelling)."""
        return any(
            name in self.methods
            or name in self.properties
            or name in self.enums
            or name in self.signal_names
            or name in EVERY_WRAPPER_HAS
            for name in {attribute, attribute.removesuffix("_"), "objectName" if attribute == "name" else attribute}
        )


def normalized(signature: str) -> str:
    """Return a signal signature as Qt's meta-object spells it: no spaces, const or reference."""
    name, _, arguments = signature.strip().partition("(")
    plain = [re.sub(r"^const\s+|&|\s", "", part.strip()) for part in arguments.strip().removesuffix(")").split(",")]
    return f"{name.strip()}({','.join(part for part in plain if part)})"


@cache
def table() -> dict[str, Any]:
    """Return the committed table."""
    loaded: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return loaded


def _without(entry: Entry, lacks: list[str]) -> dict[str, Any]:
    gone = set(lacks)
    return {
        "methods": frozenset(name for name in entry.methods if f"methods:{name}" not in gone),
        "properties": {name: what for name, what in entry.properties.items() if f"properties:{name}" not in gone},
        "signals": frozenset(name for name in entry.signals if f"signals:{name}" not in gone),
        "enums": {name: what for name, what in entry.enums.items() if f"enums:{name}" not in gone},
    }


def _expanded(name: str, raw: dict[str, Any]) -> Entry:
    base = class_entry(raw["extends"]) if "extends" in raw else None
    kept = _without(base or Entry(name), raw.get("without", []))
    return Entry(
        name=name,
        methods=kept["methods"] | frozenset(raw.get("methods", ())),
        properties=kept["properties"]
        | {key: (kind, writable) for key, (kind, writable) in raw.get("properties", {}).items()},
        signals=kept["signals"] | frozenset(raw.get("signals", ())),
        enums=kept["enums"] | raw.get("enums", {}),
    )


@cache
def class_entry(name: str) -> Entry | None:
    """Return the entry of a class such as ``qt.QPushButton`` or ``slicer.qMRMLWidget``; None where Slicer has none."""
    raw = table()["classes"].get(name)
    return None if raw is None else _expanded(name, raw)


@cache
def object_entry(name: str) -> Entry:
    """Return the entry of a live object such as ``slicer.app`` or ``slicer.app.layoutManager()``."""
    return _expanded(name, table()["objects"][name])


@cache
def entry_of_class_name(bare: str) -> Entry | None:
    """Return the entry of a class by its bare C++ name, as .ui files and meta-objects spell it."""
    prefix = "ctk" if bare.startswith("ctk") else "slicer" if bare.startswith(("qMRML", "qSlicer")) else "qt"
    return class_entry(f"{prefix}.{bare}")


def exists_but_is_not_stood_in(name: str) -> bool:
    """Say whether Slicer has this class although the trimmed table does not."""
    return name in table()["not_stood_in"]


def python_names(module: str) -> dict[str, Any]:
    """Return the functions and classes of one of Slicer's Python modules: name -> signature or methods."""
    names = table()["python"][module]
    return names if isinstance(names, dict) else dict.fromkeys(names, "")
