"""What a job says about itself when it is done: the base of every workflow's report and ``report.json``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from DicomWorkbenchLib import __version__
from DicomWorkbenchLib.settings import to_json

REPORT_NAME = "report.json"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class InputFile:
    """A file a job read: its path as given and the SHA-256 of its content."""

    path: str
    sha256: str


@dataclass
class Report:
    """Common part of all reports; a workflow adds its own fields in a subclass.

    Attributes
    ----------
    job : name of the workflow's verb, such as "optimize".
    settings : the settings the job ran with, as JSON.
    inputs : files read, with SHA-256.
    outputs : files written, relative to the output folder, with forward slashes.
    warnings : sentences a user should read.
    measured : figures the job took of itself (bytes, counts, millimetres), by name.
    seconds : wall-clock time.
    """

    job: str
    settings: dict[str, Any] = field(default_factory=dict)
    inputs: list[InputFile] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    version: str = __version__

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain dictionaries, lists, strings and numbers; version and job come first."""
        names = [f.name for f in fields(self)]
        names.sort(key=lambda name: name not in ("version", "job"))
        return {name: to_json(getattr(self, name)) for name in names}

    def write(self, folder: Path) -> Path:
        """Write ``report.json`` into ``folder`` and return its path."""
        path = folder / REPORT_NAME
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")
        return path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def relative_files(folder: Path) -> list[str]:
    """Return every file below ``folder`` as a sorted list of relative paths with forward slashes."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
