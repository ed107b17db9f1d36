"""The queue's home: the folder that holds ledger, settings, logs, archive and failed files."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from DicomWorkbenchLib.errors import OutputError, SettingsError, WorkbenchError
from DicomWorkbenchLib.outputs import write_atomically
from DicomWorkbenchLib.settings import from_json, to_json

from AutoSegmentQueueLib.settings import QueueSettings


class BusyError(WorkbenchError):
    """Another process does this already, and only one may."""


def default_home() -> Path:
    """Return the folder for a user's data where this system has it."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "DicomWorkbench" / "queue"


@dataclass(frozen=True)
class Home:
    """Paths within a home; `open` makes the folders."""

    root: Path

    @staticmethod
    def open(root: Path | None) -> Home:
        """Return the home with its folders made.

        Raises
        ------
        OutputError : it cannot be written.
        """
        home = Home((root or default_home()).expanduser().absolute())
        try:
            for folder in (home.root, home.logs, home.archive, home.failed, home.work, home.uploads):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise OutputError(
                f"{home.root} cannot be made: {error.strerror}; choose another folder with --home"
            ) from error
        return home

    @property
    def ledger(self) -> Path:
        """The data base that alone decides what has happened."""
        return self.root / "ledger.sqlite3"

    @property
    def logs(self) -> Path:
        """One text file per job."""
        return self.root / "logs"

    @property
    def archive(self) -> Path:
        """Inputs whose results are verified, one folder per job."""
        return self.root / "archive"

    @property
    def failed(self) -> Path:
        """Inputs that did not work, each with its reason beside it."""
        return self.root / "failed"

    @property
    def work(self) -> Path:
        """Private folders of running jobs."""
        return self.root / "work"

    @property
    def uploads(self) -> Path:
        """Scans that came over the web; the queue owns them as it does what lies in the input folder."""
        return self.root / "uploads"

    def log_of(self, job_id: str) -> Path:
        """The log of one job."""
        return self.logs / f"{job_id}.log"

    def input_of(self, settings: QueueSettings) -> Path:
        """The folder that is watched."""
        return (settings.input or self.root / "input").expanduser().absolute()

    def output_of(self, settings: QueueSettings) -> Path:
        """The folder for results."""
        return (settings.output or self.root / "output").expanduser().absolute()

    def load(self) -> QueueSettings:
        """Return the kept settings, or the defaults.

        Raises
        ------
        SettingsError : the file cannot be read or holds what cannot work.
        """
        path = self.root / "settings.json"
        if not path.exists():
            return QueueSettings()
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"{path} cannot be read ({error}); mend it or remove it to start with defaults"
            ) from error
        if not isinstance(data, dict):
            raise SettingsError(f"{path} must hold one JSON object; mend it or remove it to start with defaults")
        return from_json(QueueSettings, data)

    def save(self, settings: QueueSettings) -> None:
        """Keep the settings."""
        text = json.dumps(to_json(settings), indent=2) + "\n"
        write_atomically(self.root / "settings.json", text.encode())


class Lock:
    """A lock on a file that ends with its process, however that ends.

    Raises
    ------
    BusyError : on entering, if another process holds it.
    """

    def __init__(self, path: Path, message: str) -> None:
        self._path = path
        self._message = message
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Lock:
        self._file = open(self._path, "ab")
        try:
            _lock(self._file)
        except OSError as error:
            self._file.close()
            raise BusyError(self._message) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
