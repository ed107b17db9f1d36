"""Adding scans by name: they are checked at once, read where they are, and never moved unless they lie in the input folder."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from AutoSegmentQueueLib import kinds
from AutoSegmentQueueLib.formats import base_name
from AutoSegmentQueueLib.formats_dicom import slice_of
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.intake import Intake
from AutoSegmentQueueLib.intake_slices import folder_name
from AutoSegmentQueueLib.intake_units import safe_name, unit_of
from AutoSegmentQueueLib.ledger import Job, Ledger, NewJob
from AutoSegmentQueueLib.ledger_rows import Step
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.states import State

LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Wanted:
    """What is to be done with a scan; ``name`` is that of its results where the file is not called so."""

    settings: QueueSettings
    kind: str = kinds.SEGMENT
    options: dict[str, Any] = field(default_factory=dict)
    then: tuple[str, ...] = ()
    then_options: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    priority: int = 0
    user: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        for kind, options in ((self.kind, self.options), *self._steps()):
            kinds.check_kind(kind, options)

    def new_job(self, home: Home, path: Path, signature: str) -> NewJob:
        """Return the row to add for a path."""
        is_segmentation = self.kind == kinds.SEGMENT
        options = {**self.settings.segmentation.options(), **self.options} if is_segmentation else self.options
        return NewJob(
            name=safe_name(self.name or (path.name if path.is_dir() else base_name(path))),
            kind=self.kind,
            engine=self.settings.engine if is_segmentation else self.kind,
            options=options,
            source=str(path),
            signature=signature,
            owned=home.input_of(self.settings) in path.parents or home.uploads in path.parents,
            priority=self.priority,
            user=self.user,
            chain=tuple(Step(kind, options) for kind, options in self._steps()),
        )

    def _steps(self) -> list[tuple[str, dict[str, Any]]]:
        return [(kind, dict(self.then_options.get(kind, {}))) for kind in self.then]


def add_paths(home: Home, ledger: Ledger, paths: Sequence[Path], wanted: Wanted) -> list[Job]:
    """Add files and folders; slices of one series that are named together become one job.

    Raises
    ------
    OutputError : the ledger cannot be written.
    """
    groups = _together(home, wanted.settings, paths)
    return [add_path(home, ledger, first, wanted, tuple(others)) for first, *others in groups]


def add_path(home: Home, ledger: Ledger, path: Path, wanted: Wanted, others: tuple[Path, ...] = ()) -> Job:
    """Add one file or folder; it is queued, or failed with the reason, when this returns.

    Parameters
    ----------
    others : further slices of the series that ``path`` is one of.

    Raises
    ------
    OutputError : the ledger cannot be written.
    """
    inputs = tuple(str(one) for one in (path, *others))
    unit = unit_of(inputs)
    new = wanted.new_job(home, path, unit.signature if unit else "")
    if others:
        first = slice_of(path, whole=False)
        new = replace(new, inputs=inputs, name=safe_name(wanted.name or (folder_name(first) if first else new.name)))
    job = ledger.receive(new)
    if unit is None:
        return ledger.refuse(job.id, "there is no file in it, or it is a link; name the file itself")
    return settle_now(home, wanted.settings, ledger, job)


def _together(home: Home, settings: QueueSettings, paths: Sequence[Path]) -> list[list[Path]]:
    """Return the paths as inputs: slices of one series together, everything else alone, in the order of their first one."""
    groups: dict[object, list[Path]] = {}
    for path in dict.fromkeys(paths):
        key: object = path
        if path.is_file() and home.input_of(settings) not in path.parents:  # there intake gathers slices
            with suppress(OSError):
                key = slice_of(path, whole=False) or path
        groups.setdefault(key, []).append(path)
    return list(groups.values())


def settle_now(home: Home, settings: QueueSettings, ledger: Ledger, job: Job) -> Job:
    """Check and queue one input without the watcher; what is still being written is waited for, but not long."""
    intake = Intake(home, settings, ledger)
    until = time.monotonic() + settings.stable_seconds + max(1.0, settings.stable_seconds)
    while True:
        job = intake.settle_one(job.id)
        if job.state not in (State.RECEIVED, State.STABILISING):
            return job
        if time.monotonic() >= until:
            return ledger.refuse(job.id, f"it is not complete: {intake.reason_of(job.id)}")
        time.sleep(LOOK_SECONDS)
