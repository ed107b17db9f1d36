"""Whether two demos made the same: every file, bit for bit, but for those that hold the time or the way they were made."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

DIFFERS: Mapping[str, str] = {
    r".*/queue/.*\.sqlite3?(-wal|-shm)?": "the ledger holds times, ids and its own pages",
    r".*/models/.*/manifest\.json": "times, and hashes of DICOM objects that hold the time they were made",
    r".*/queue/archive/[^/]+/.*": "inputs are archived under the id of their job",
    r".*/queue/(logs/.*|.*\.lock|.*\.log)": "logs and locks hold times and process numbers",
}
_MOVING = {
    "seconds",
    "started",
    "finished",
    "created",
    "duration_s",
    "job",
    "id",
    "folder",
    "path",
    "output",
    "input",
    "inputs",
    "home",
    "origin",
    "compute_seconds",
}


def differences(one: Path, other: Path) -> Iterator[tuple[str, str]]:
    """Yield (file, why) for every file that is not the same in both; why is empty where nothing explains it.

    Reports are compared without their seconds and places, DICOM objects without dates and times.
    """
    names = sorted(
        {p.relative_to(folder).as_posix() for folder in (one, other) for p in folder.rglob("*") if p.is_file()}
    )
    for name in names:
        if not _same(one / name, other / name):
            yield name, next((why for pattern, why in DIFFERS.items() if re.fullmatch(pattern, name)), "")


def _same(one: Path, other: Path) -> bool:
    if not (one.is_file() and other.is_file()):
        return False
    if _digest(one) == _digest(other):
        return True
    if one.suffix == ".dcm":
        return bool(_timeless(one) == _timeless(other))
    if one.suffix == ".json":
        return bool(_still(json.loads(one.read_text("utf-8"))) == _still(json.loads(other.read_text("utf-8"))))
    return False


def _timeless(path: Path) -> Any:
    """Return a DICOM object without its dates and times."""
    import pydicom

    def forget(dataset: Any, element: Any) -> None:
        if element.VR in ("DA", "TM", "DT"):
            del dataset[element.tag]

    found = pydicom.dcmread(path)
    found.walk(forget)
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _still(value: Any) -> Any:
    """Return a report without what moves from run to run."""
    if isinstance(value, dict):
        return {key: _still(part) for key, part in value.items() if key not in _MOVING}
    return [_still(part) for part in value] if isinstance(value, list) else value
