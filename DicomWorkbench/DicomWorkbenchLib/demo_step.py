"""One step of the demo: a command, what it makes, and what of it is shown."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Facts = list[tuple[str, str]]  # value with its unit, what it is
Table = tuple[Sequence[str], Sequence[Sequence[Any]], str]  # header, rows, caption


@dataclass(frozen=True)
class Step:
    """One command of the demo.

    Attributes
    ----------
    chapter : "data", a workflow or "journey"; steps of one chapter stand together on the page.
    title, text : heading on the page, and what the reader sees there.
    arguments : the command without ``dicom-workbench``; paths are relative to the demo folder.
    output : what it makes, relative to the demo folder.
    pictures : patterns of pictures to show, relative to the output, and what each shows (empty: the file's name says it).
    facts : takes the report and returns figures for the page.
    how : "" runs the command to its end; "serve" keeps it as a server and fetches from it; "drop" drops a scan into a running queue.
    before : text files that the command reads, by name relative to the demo folder.
    table : takes the step's output folder and returns a table for the page.
    """

    chapter: str
    title: str
    text: str
    arguments: tuple[str, ...]
    output: str
    pictures: Mapping[str, str] = field(default_factory=dict)
    facts: Callable[[Mapping[str, Any]], Facts] = field(default=lambda report: [])
    how: str = ""
    before: Mapping[str, str] = field(default_factory=dict)
    table: Callable[[Path], Table] | None = None

    @property
    def verb(self) -> str:
        """The workflow's command."""
        return self.arguments[0]


@dataclass(frozen=True)
class Outcome:
    """A step that has run: its report and its seconds."""

    step: Step
    report: Mapping[str, Any]
    seconds: float


def shown_command(step: Step) -> str:
    """Return the command as a reader would type it."""
    real = os.environ.get("WORKBENCH_DATA")
    parts = [part.replace(real, "$WORKBENCH_DATA") if real else part for part in step.arguments]
    return "dicom-workbench " + " ".join(part if part.startswith("$") else shlex.quote(part) for part in parts)
