"""Where received series lie in the home, and what is known about each.

::

    received/
      .incoming/RECEIVER/     what is still arriving; a receiver that was killed leaves a folder that the next one removes
      KEY/                    one series; the key is a hash, because a UID from the network is never taken for a file name
        origin.json           study and series UID, and who sent the first slice by which way
        expected.json         how many instances there should be, where a pull has asked
        slices/HASH.dcm       one instance each
        replaced/             instances whose sender sent another content under the same UID later
        rev1/                 what was queued first: the folder NAME of hard links, and revision.json with the list of them
        rev2/                 the same after more slices have come
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.outputs import write_atomically

from AutoSegmentQueueLib.home import BusyError, Home, Lock

INCOMING = ".incoming"
_LOCK = ".lock"


@dataclass(frozen=True)
class Origin:
    """How a series came: ``way`` is dicom, stow or pull; ``calling_ae`` the AE title of who sent it, if there was one."""

    way: str
    calling_ae: str = ""
    user: str = ""


@dataclass(frozen=True)
class SeriesFolder:
    """The folder of one series."""

    path: Path

    @property
    def key(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def slices(self) -> Path:
        """Folder of the instances."""
        return self.path / "slices"

    @property
    def replaced(self) -> Path:
        """Folder of instances that were replaced."""
        return self.path / "replaced"

    def origin(self) -> dict[str, Any]:
        """Return study, series, way, calling AE and user; empty if it cannot be read."""
        return _read_json(self.path / "origin.json")

    def expected(self) -> int | None:
        """Return how many instances a pull has been promised."""
        count = _read_json(self.path / "expected.json").get("count")
        return count if isinstance(count, int) else None

    def expect(self, count: int) -> None:
        """Write down how many instances there should be."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(self.path / "expected.json", json.dumps({"count": count}).encode())

    def files(self) -> list[Path]:
        """Return the instances that have arrived."""
        try:
            return sorted(Path(entry.path) for entry in os.scandir(self.slices) if entry.name.endswith(".dcm"))
        except FileNotFoundError:
            return []

    def revision(self, number: int) -> Path:
        """Return the folder of a revision."""
        return self.path / f"rev{number}"

    def last_revision(self) -> int:
        """Return the number of the newest revision; 0 if there is none."""
        numbers = [int(one.name[3:]) for one in self.path.glob("rev*") if one.name[3:].isdecimal()]
        return max(numbers, default=0)

    def write_origin(self, study_uid: str, series_uid: str, origin: Origin) -> None:
        """Say where the series comes from; the first one to say it is believed."""
        path = self.path / "origin.json"
        if not path.exists():
            self.slices.mkdir(parents=True, exist_ok=True, mode=0o700)
            values = {"study": study_uid, "series": series_uid, **asdict(origin)}
            write_atomically(path, json.dumps(values).encode())


class Received:
    """The folder ``received`` of a home."""

    def __init__(self, home: Home) -> None:
        self.root = home.root / "received"
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def series(self, study_uid: str, series_uid: str) -> SeriesFolder:
        """Return the folder of a series."""
        return SeriesFolder(self.root / _hash(f"{study_uid}\0{series_uid}")[:32])

    def all(self) -> list[SeriesFolder]:
        """Return all series that have arrived at least in part."""
        return [SeriesFolder(path) for path in sorted(self.root.iterdir()) if path.is_dir() and path.name[0] != "."]

    def incoming(self) -> Incoming:
        """Return a place for what is arriving; leftovers of receivers that are gone are removed."""
        return Incoming(self.root / INCOMING)


class Incoming:
    """A receiver's own folder for files that are not complete yet; it disappears with `close`."""

    def __init__(self, parent: Path) -> None:
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in _left_behind(parent):
            shutil.rmtree(left, ignore_errors=True)
        self.folder = parent / uuid.uuid4().hex
        self.folder.mkdir(mode=0o700)
        self._lock = Lock(self.folder / _LOCK, "another receiver uses this folder")
        self._lock.__enter__()

    def new_file(self) -> Path:
        """Return a name nobody else uses."""
        return self.folder / f"{uuid.uuid4().hex}.dcm"

    def close(self) -> None:
        """Remove the folder and what is in it."""
        self._lock.__exit__(None, None, None)
        shutil.rmtree(self.folder, ignore_errors=True)


def slice_name(sop_instance_uid: str) -> str:
    """Return the file name of an instance."""
    return _hash(sop_instance_uid)[:40] + ".dcm"


def _left_behind(parent: Path) -> Iterator[Path]:
    for folder in list(parent.iterdir()):
        try:
            with Lock(folder / _LOCK, ""):
                pass
        except (BusyError, OSError):  # in use, or being made at this moment
            continue
        yield folder


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
