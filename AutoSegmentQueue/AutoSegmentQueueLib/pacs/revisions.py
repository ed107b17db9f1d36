"""Revisions: what of a series has been queued, as a folder of hard links that appears whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.outputs import sync

from AutoSegmentQueueLib.failpoints import reach
from AutoSegmentQueueLib.intake_units import DONE_MARK
from AutoSegmentQueueLib.pacs.received import SeriesFolder

_RECORD = "revision.json"
_STAGE = ".stage-"


@dataclass(frozen=True)
class Revision:
    """A revision as it was recorded.

    Attributes
    ----------
    unit : the folder that is, or was, the input of a job; None for a series that was ignored.
    stamps : what each file was like, by its name.
    expected : how many instances a peer had announced, if it could be asked.
    """

    number: int
    unit: Path | None
    stamps: dict[str, str]
    expected: int | None = None

    @property
    def missing(self) -> int:
        """How many announced instances had not come."""
        return max(0, (self.expected or 0) - len(self.stamps))


def stamps_of(files: Sequence[Path]) -> dict[str, str]:
    """Return for each file what changes when it is replaced."""
    found = {}
    for path in files:
        status = path.stat()
        found[path.name] = f"{status.st_size}:{status.st_mtime_ns}"
    return found


def newest(series: SeriesFolder) -> Revision | None:
    """Return the newest revision of a series."""
    number = series.last_revision()
    return read(series, number) if number else None


def read(series: SeriesFolder, number: int) -> Revision:
    """Return a revision of a series."""
    data: dict[str, Any] = json.loads((series.revision(number) / _RECORD).read_text(encoding="utf-8"))
    unit = series.revision(number) / data["name"] if data["name"] else None
    return Revision(number, unit, data["stamps"], data["expected"])


def make(series: SeriesFolder, files: Sequence[Path], name: str, expected: int | None) -> Revision:
    """Make the next revision of a series; ``name`` of its folder, empty if nothing is to be queued.

    Raises
    ------
    OSError : it cannot be written, or a file was replaced at this moment.
    """
    number = series.last_revision() + 1
    for left in series.path.glob(f"{_STAGE}*"):
        shutil.rmtree(left, ignore_errors=True)
    stage = series.path / f"{_STAGE}{uuid.uuid4().hex[:12]}"
    stage.mkdir(mode=0o700)
    if name:
        _fill(stage / name, files)
        (stage / f"{name}{DONE_MARK}").touch()  # it has been quiet for long enough: intake need not wait again
    stamps = stamps_of(files)
    record = {"name": name, "stamps": stamps, "expected": expected}
    (stage / _RECORD).write_text(json.dumps(record), encoding="utf-8")
    sync(stage / _RECORD)
    sync(stage)
    reach("pacs.revision-staged")
    stage.rename(series.revision(number))
    reach("pacs.revision-renamed")
    sync(series.path)
    return Revision(number, series.revision(number) / name if name else None, stamps, expected)


def _fill(folder: Path, files: Sequence[Path]) -> None:
    folder.mkdir(mode=0o700)
    for path in files:
        try:
            os.link(path, folder / path.name)
        except OSError:  # a file system without hard links
            shutil.copy2(path, folder / path.name)
            sync(folder / path.name)
    sync(folder)
