"""What a node returns: files that grow as they arrive, are checked, and take their places all at once."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

RESULT, STDOUT, STDERR, FAILURE = "result", "stdout", "stderr", "failure"
BLOCK = 1 << 20
LEAST_FREE = 1 << 30  # of the disk, which belongs to the ledger first
FOLDER = ".incoming"


class Readable(Protocol):
    """What bytes arrive from."""

    def read(self, size: int, /) -> bytes:
        """Return up to so many bytes; none at the end."""


class RefusedError(Exception):
    """What arrives cannot be taken; ``code`` is the HTTP status."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Incoming:
    """The returned files of one order.

    Parameters
    ----------
    folder : the order's private folder.
    stdout, stderr : where its output goes; stderr is appended.
    most_bytes : of all files together.
    """

    def __init__(self, folder: Path, stdout: Path, stderr: Path, most_bytes: int) -> None:
        self._folder, self._stdout, self._stderr = folder, stdout, stderr
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._bytes = 0
        self._growing: dict[str, tuple[Any, int]] = {}  # name -> hash so far, bytes so far
        self._whole: dict[str, str] = {}

    def size(self, name: str) -> int:
        """Return how many bytes of a file are here."""
        return self._growing[name][1] if name in self._growing else 0

    def take(
        self, name: str, offset: int, length: int, stream: Readable, sha256: str, total: int, good: Callable[[], bool]
    ) -> None:
        """Append to a file what arrives; at its full size its hash must be right.

        Parameters
        ----------
        good : false once the order is over; nothing is written after that.

        Raises
        ------
        RefusedError : wrong name, place, size or hash, or there is no room.
        """
        _check_name(name)
        with self._lock:  # one connection per order; a second one is a retry that must wait for the first to break
            digest, here = self._growing.get(name, (hashlib.sha256(), 0))
            if offset != here:
                raise RefusedError(409, f"{here} bytes of it are here")
            if here + length > total or self._bytes + length > self._most_bytes:
                raise RefusedError(413, "the results are larger than the queue takes")
            path = self._folder / FOLDER / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(path.parent).free < length + LEAST_FREE:
                raise RefusedError(507, "the disk of the queue is full")
            with path.open("ab") as file:
                file.truncate(here)
                while length:
                    block = stream.read(min(BLOCK, length))
                    if not block:
                        break
                    if not good():
                        raise RefusedError(410, "the order is over")
                    file.write(block)
                    digest.update(block)
                    here, length, self._bytes = here + len(block), length - len(block), self._bytes + len(block)
                    self._growing[name] = (digest, here)
            self._growing[name] = (digest, here)
            if here == total:
                self._finish(name, digest.hexdigest(), sha256, path)

    def complete(self, names: list[str]) -> None:
        """Put everything in its place.

        Raises
        ------
        RefusedError : something is missing.
        """
        with self._lock:
            missing = set(names) - self._whole.keys()
            if missing:
                raise RefusedError(409, f"{len(missing)} files have not arrived whole")
            place = self._folder / FOLDER
            for name, target in ((STDOUT, self._stdout), (FAILURE, self._folder / "result.failure.json")):
                if name in self._whole:
                    (place / name).replace(target)
            if STDERR in self._whole:
                with self._stderr.open("ab") as log, (place / STDERR).open("rb") as text:
                    shutil.copyfileobj(text, log)
            if (place / RESULT).is_dir():
                (place / RESULT).rename(self._folder / RESULT)

    def _finish(self, name: str, found: str, expected: str, path: Path) -> None:
        if found != expected:
            del self._growing[name]
            self._bytes -= path.stat().st_size
            path.unlink()
            raise RefusedError(422, "it does not have the SHA-256 that was announced")
        self._whole[name] = found


def _check_name(name: str) -> None:
    path = PurePosixPath(name)
    if name in (STDOUT, STDERR, FAILURE):
        return
    inside = len(path.parts) > 1 and path.parts[0] == RESULT and str(path) == name
    if not inside or ".." in path.parts or any(character in name for character in "\\:\0"):
        raise RefusedError(400, "that is no name of a result")
