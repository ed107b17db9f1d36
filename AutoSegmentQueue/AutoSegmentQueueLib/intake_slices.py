"""Loose slices in the input folder: DICOM files of one frame that belong to one series become one scan.

A viewer or a camera exports a series as hundreds of files; who drops them into the input folder expects one scan. Once all slices of a
series that lie loose have been quiet and are complete, they are moved into a folder of their own within the input folder, which appears
at once and is from then on an input like any other. Its name is made from the series, so late slices find it again.
"""

from __future__ import annotations

import filecmp
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.errors import InputError
from DicomWorkbenchLib.outputs import free_name, sync
from DicomWorkbenchLib.report import sha256_of

from AutoSegmentQueueLib.failpoints import reach
from AutoSegmentQueueLib.formats import NotComplete, ensure_closed
from AutoSegmentQueueLib.formats_dicom import Slice, slice_of
from AutoSegmentQueueLib.intake_units import DONE_MARK, is_left_alone, look_at
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.states import State

STAGE = ".gathering"
_HASH_LETTERS = 8


@dataclass(frozen=True)
class _Seen:
    """A loose file as it looked, the slice it is (None: none, or not yet), and whether more of it may come."""

    look: tuple[int, int, int]  # size, time, number
    slice: Slice | None
    is_open: bool


def folder_name(one: Slice) -> str:
    """Return the name of the folder of a series: its modality, and letters that only this series has; nothing of the patient."""
    digest = hashlib.sha256(one.series_uid.encode()).hexdigest()[:_HASH_LETTERS]
    return f"{one.modality or 'DICOM'}_series_{digest}"


class Gatherer:
    """Gathers loose slices; one look is `look`.

    Parameters
    ----------
    folder : the input folder.
    clock : monotonic seconds.
    """

    def __init__(self, folder: Path, settings: QueueSettings, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self.trouble = ""
        self._seen: dict[Path, _Seen] = {}
        self._quiet: dict[str, tuple[object, float]] = {}  # per folder name: what its files looked like, since when

    def look(self) -> tuple[set[Path], list[Path]]:
        """Look once.

        Returns
        -------
        Slices that still lie loose and are to be left alone; folders that slices were moved into. Why they could not be moved is
        in ``trouble``.
        """
        self._read_on()
        groups: dict[str, list[Path]] = {}
        for path, seen in self._seen.items():
            if seen.slice:
                groups.setdefault(folder_name(seen.slice), []).append(path)
        self._quiet = {name: since for name, since in self._quiet.items() if name in groups}
        self.trouble, moved = "", []
        try:
            moved += [self._end(stage) for stage in self._stages() if _name_of(stage) not in groups]
            moved += [self._gather(name, paths) for name, paths in groups.items() if self._is_due(name, paths)]
        except OSError as error:  # the other inputs do not wait for it
            self.trouble = f"loose slices cannot be moved into a folder of their own: {error.strerror or error}"
        return {path for path, seen in self._seen.items() if seen.slice}, moved

    @property
    def waiting(self) -> bool:
        """True while slices wait to be gathered."""
        return any(seen.slice for seen in self._seen.values())

    def _read_on(self) -> None:
        found: dict[Path, _Seen] = {}
        for entry in os.scandir(self._folder):
            path = Path(entry.path)
            if not entry.is_file(follow_symlinks=False) or is_left_alone(path):
                continue
            status = entry.stat(follow_symlinks=False)
            look, known = (status.st_size, status.st_mtime_ns, status.st_ino), self._seen.get(path)
            if known and known.look == look and not known.is_open:
                found[path] = known
            elif (seen := self._read(path, look)) is not None:
                found[path] = seen
        self._seen = found

    def _read(self, path: Path, look: tuple[int, int, int]) -> _Seen | None:
        """Look into a file; None if it was taken away."""
        try:
            ensure_closed(path)
            one = slice_of(path)
        except NotComplete:
            return _Seen(look, slice_of(path, whole=False), is_open=True)
        except InputError:
            return _Seen(look, None, is_open=False)
        except OSError:
            return None
        if one and self._is_spoken_for(path):
            one = None
        return _Seen(look, one, is_open=False)

    def _is_spoken_for(self, path: Path) -> bool:
        """True if the file was named to the queue as an input of its own, and that job has it still."""
        job, unit = self._ledger.newest_of_source(str(path)), look_at(path)
        if job is None or unit is None or job.signature != unit.signature:
            return False
        return job.state not in (State.RECEIVED, State.STABILISING)

    def _is_due(self, name: str, paths: list[Path]) -> bool:
        """True once nothing has changed in a group for the window, and all of it is complete, or nobody completes it any more."""
        looks = sorted((str(path), self._seen[path].look) for path in paths)
        before, since = self._quiet.get(name, (None, 0.0))
        if before != looks:
            self._quiet[name] = looks, self._clock()
            since = self._clock()
        quiet = self._clock() - since
        if any(self._seen[path].is_open for path in paths):
            return quiet >= max(self._settings.incomplete_seconds, self._settings.stable_seconds)
        return quiet >= self._settings.stable_seconds

    def _stages(self) -> list[Path]:
        return [path for path in self._folder.glob(f".*{STAGE}") if path.is_dir()]

    def _gather(self, name: str, paths: list[Path]) -> Path:
        """Move slices into the folder of their series; every step can be repeated after a crash."""
        target, stage = self._folder / name, self._folder / f".{name}{STAGE}"
        if not target.exists():
            stage.mkdir(exist_ok=True)
            self._bring_back(target, stage, paths)
        into = target if target.exists() else stage
        for path in sorted(paths):
            _move_into(into, path)
            reach("gather.moved")
        for path in paths:
            self._seen.pop(path, None)
        return self._end(stage) if stage.exists() else target

    def _bring_back(self, target: Path, stage: Path, late: list[Path]) -> None:
        """Late slices of a series whose earlier ones have left already: copy those, so that the scan is the whole series."""
        job = self._ledger.newest_of_source(str(target))
        before = Path(job.inputs[0]) if job and job.inputs and job.disposal in ("archived", "failed") else None
        if before is None or not before.is_dir():
            return
        again = {sha256_of(path) for path in late}
        for file in sorted(path for path in before.rglob("*") if path.is_file() and sha256_of(path) not in again):
            half = stage / f".{file.name}.part"
            shutil.copy2(file, half)
            sync(half)
            half.replace(stage / file.name)

    def _end(self, stage: Path) -> Path:
        """Let a gathered folder appear under its name."""
        target = self._folder / _name_of(stage)
        for half in stage.glob(".*.part"):
            half.unlink()
        reach("gather.before-rename")
        if target.exists():
            for path in sorted(stage.iterdir()):
                _move_into(target, path)
            stage.rmdir()
        else:
            stage.rename(target)
        reach("gather.after-rename")
        sync(self._folder)
        return target


def _name_of(stage: Path) -> str:
    return stage.name.removeprefix(".").removesuffix(STAGE)


def _move_into(folder: Path, path: Path) -> None:
    """Move a file into a folder; one that is there already with the same bytes is replaced, another one of that name stays."""
    target = folder / path.name
    if target.exists() and not filecmp.cmp(path, target, shallow=False):
        target = free_name(target)
    path.replace(target)
    path.with_name(path.name + DONE_MARK).unlink(missing_ok=True)
