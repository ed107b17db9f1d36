"""Paths that mean one folder on the queue's machine and another on a node."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PathMap:
    """Pairs of a path here and the path there; what lies below one goes with it."""

    pairs: tuple[tuple[str, str], ...] = ()

    def text(self, value: str) -> str:
        """Return a text with a mapped path at its beginning replaced; the longest path that fits counts."""
        fitting = [pair for pair in self.pairs if _lies_in(value, pair[0])]
        if not fitting:
            return value
        here, there = max(fitting, key=lambda pair: len(pair[0]))
        return there + value[len(here) :].replace("\\" if "\\" in here else "/", "\\" if "\\" in there else "/")

    def value(self, value: Any) -> Any:
        """Return JSON values with every text mapped."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if isinstance(value, dict):
            return {name: self.value(one) for name, one in value.items()}
        return value

    @property
    def back(self) -> PathMap:
        """The map from there to here."""
        return PathMap(tuple((there, here) for here, there in self.pairs))

    def arguments(self, arguments: Sequence[str], folder: Path) -> list[str]:
        """Map a command; JSON files of the job's folder it names are written anew beside themselves, with mapped paths."""
        return [self._argument(self.text(one), folder) for one in arguments]

    def _argument(self, argument: str, folder: Path) -> str:
        path = Path(argument)
        if not self.pairs or path.suffix != ".json" or path.parent != folder:
            return argument
        mapped = path.with_name(f"node-{path.name}")
        mapped.write_text(json.dumps(self.value(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")
        return str(mapped)

    def rewrite(self, path: Path) -> None:
        """Map the paths in a JSON file written by us, if there is one."""
        if self.pairs and path.is_file():
            data = json.loads(path.read_text(encoding="utf-8"))
            path.write_text(json.dumps(self.value(data), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def rewrite_lines(self, path: Path) -> None:
        """Map the paths in a file of JSON lines; a line that is none stays as it is."""
        if self.pairs and path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            path.write_text("".join(f"{self._line(line)}\n" for line in lines), encoding="utf-8")

    def _line(self, line: str) -> str:
        try:
            return json.dumps(self.value(json.loads(line)))
        except ValueError:
            return line


def _lies_in(value: str, folder: str) -> bool:
    return value == folder or value.startswith((f"{folder}/", f"{folder}\\"))
