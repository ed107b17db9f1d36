"""The job's file: what is to be segmented, how, and where the results go."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import ProcessError, SettingsError
from DicomWorkbenchLib.outputs import write_atomically
from DicomWorkbenchLib.progress import CancelToken

from AutoSegmentQueueLib.engines.model import EngineOptions
from AutoSegmentQueueLib.settings import SegmentationSettings

MANIFEST = "manifest.json"
FAILURE = "result.failure.json"


class DeadlineError(ProcessError):
    """The job has run longer than it may."""


@dataclass(frozen=True)
class SegmentJob:
    """One job; see the queue's documentation for the meaning of each entry of the file.

    Attributes
    ----------
    inputs : one file, or one folder or zip archive of DICOM.
    name : base name of the results.
    options, engine_options : as the file gives them, and the part engines see.
    work : private folder for temporary files.
    result : folder to be made.
    """

    id: str
    attempt: int
    fence: int
    inputs: tuple[Path, ...]
    name: str
    engine: str
    settings: SegmentationSettings
    engine_options: EngineOptions
    options: dict[str, Any]
    work: Path
    result: Path
    deadline_seconds: float | None = None
    path: Path = field(default=Path())

    @staticmethod
    def read(path: Path) -> SegmentJob:
        """Read a job's file.

        Raises
        ------
        SettingsError : it cannot be read, or asks for what cannot work.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            options = dict(data.get("options") or {})
            return SegmentJob(
                id=str(data["id"]),
                attempt=int(data.get("attempt", 1)),
                fence=int(data.get("fence", 0)),
                inputs=tuple(Path(text) for text in data["inputs"]),
                name=str(data.get("name") or "scan"),
                engine=str(data.get("engine", "threshold")),
                settings=_settings(options),
                engine_options=_engine_options(options),
                options=options,
                work=Path(data["work"]),
                result=Path(data["result"]),
                deadline_seconds=float(data["deadline_seconds"]) if data.get("deadline_seconds") else None,
                path=path,
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, SettingsError):
                raise
            raise SettingsError(f"the job's file {path.name} cannot be used: {type(error).__name__} {error}") from error

    def fail(self, kind: str, message: str) -> None:
        """Say why the job did not work, where its starter looks for it."""
        write_failure(self.work, kind, message)

    @staticmethod
    def say_unreadable(path: Path, message: str) -> None:
        """Say that a job's file cannot be used, in the folder it names, if that much of it can be read."""
        try:
            work = Path(json.loads(path.read_text(encoding="utf-8"))["work"])
        except (OSError, ValueError, KeyError, TypeError):
            return
        write_failure(work, "bad-input", message)


def write_failure(work: Path, kind: str, message: str) -> None:
    """Write the file that says why a job did not work."""
    write_atomically(work / FAILURE, json.dumps({"class": kind, "message": message}).encode())


def _settings(options: dict[str, Any]) -> SegmentationSettings:
    known = {
        name: options[name] for name in ("task", "quality", "device", "reduction") if options.get(name) is not None
    }
    for name in ("structures", "formats", "dicom"):
        if options.get(name) is not None:
            known[name] = tuple(options[name])
    return SegmentationSettings(**known)


def _engine_options(options: dict[str, Any]) -> EngineOptions:
    settings = _settings(options)
    quality = "faster" if settings.quality == "fastest" else settings.quality
    split = bool(options.get("force_split") or options.get("split"))
    return EngineOptions(settings.task, quality, settings.structures, settings.device, split)


class JobToken(CancelToken):
    """A token that also stops the work when the deadline has passed."""

    def __init__(self, deadline_seconds: float | None) -> None:
        super().__init__()
        self._seconds = deadline_seconds
        self._end = None if deadline_seconds is None else time.monotonic() + deadline_seconds

    def check(self) -> None:
        """Raise `Cancelled` if somebody asked, `DeadlineError` if the time is over."""
        super().check()
        if self._end is not None and time.monotonic() > self._end:
            raise DeadlineError(
                f"the job took longer than its {self._seconds:.0f} s; give it more time or a faster device"
            )
