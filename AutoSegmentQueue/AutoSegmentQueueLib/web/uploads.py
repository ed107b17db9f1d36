"""Uploads: what is known of each, how much of it is safely on disk, and how much more a user may bring.

The bytes lie in ``uploads/ID.part`` in the home, under a name of ours; what the user calls the file is only metadata.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.web_problems import Problem, not_found

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.web.access import Principal
from AutoSegmentQueueLib.web.settings import WebSettings
from AutoSegmentQueueLib.web.store import WebStore

_HOUR = 3600.0
PART = ".part"


@dataclass(frozen=True)
class Upload:
    """One upload.

    Attributes
    ----------
    length, offset : bytes promised, and bytes safely on disk.
    metadata : as it was given, checked.
    batch : the dropped folder it belongs to; empty for a file of its own.
    state : "open", "complete" (it waits for the rest of its batch), "taken" (``job`` has it).
    expires : when it is removed if nothing comes, seconds since 1970.
    """

    id: str
    user: str
    length: int
    offset: int
    metadata: dict[str, str]
    batch: str
    state: str
    job: str
    created: float
    expires: float

    @property
    def filename(self) -> str:
        """What the user calls the file."""
        return self.metadata.get("filename") or "scan"

    def to_json(self) -> dict[str, Any]:
        """Return what is listed."""
        return {
            "url": f"/api/uploads/{self.id}",
            "filename": self.filename,
            "relativepath": self.metadata.get("relativepath", ""),
            "offset": self.offset,
            "length": self.length,
            "batch": self.batch,
            "state": self.state,
            "created": self.created,
            "expires": self.expires,
        }


class Uploads:
    """The table of uploads and their files."""

    def __init__(self, home: Home, settings: QueueSettings, web: WebSettings, ledger: Ledger, store: WebStore) -> None:
        self._home, self._settings, self._web, self._ledger, self._store = home, settings, web, ledger, store

    def path_of(self, upload_id: str) -> Path:
        """Return where the bytes lie while they come."""
        return self._home.uploads / f"{upload_id}{PART}"

    def create(self, user: str, length: int, metadata: dict[str, str]) -> Upload:
        """Reserve room for an upload and begin its file.

        Raises
        ------
        Problem : it is too large, the user's quota or the disk is full, or too many are unfinished.
        """
        if length > self._web.most_upload_bytes:
            raise Problem(
                413, f"a file may have {_size(self._web.most_upload_bytes)} here; this one has {_size(length)}"
            )
        kept, now, upload_id = self._ledger.kept_bytes(user), self._store.now(), secrets.token_urlsafe(18)
        expires = now + self._web.upload_hours * _HOUR
        row = (upload_id, user, length, json.dumps(metadata), metadata.get("batch", ""), now, expires)
        with self._store.writing() as connection:
            self._check_room(connection, user, kept, length)
            connection.execute(
                "INSERT INTO uploads (id, user, length, metadata, batch, created, expires) VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            self.path_of(upload_id).touch(mode=0o600, exist_ok=False)
        return self.get(upload_id)

    def get(self, upload_id: str, user: str | None = None) -> Upload:
        """Return an upload.

        Raises
        ------
        Problem : there is none, or it is somebody else's; both look the same.
        """
        with self._store.reading() as connection:
            row = connection.execute("SELECT * FROM uploads WHERE id = ?", (upload_id,)).fetchone()
        if row is None or (user is not None and row["user"] != user):
            raise not_found("there is no such upload; it may have expired")
        return _upload(row)

    def commit(self, upload_id: str, offset: int) -> None:
        """Say that so many bytes are safely on disk."""
        expires = self._store.now() + self._web.upload_hours * _HOUR
        with self._store.writing() as connection:
            connection.execute(
                "UPDATE uploads SET offset = ?, expires = ? WHERE id = ? AND state = 'open'",
                (offset, expires, upload_id),
            )

    def complete(self, upload_id: str, length: int | None = None) -> Upload:
        """Say that all has come; ``length`` where it was not known before."""
        with self._store.writing() as connection:
            if length is not None:
                connection.execute(
                    "UPDATE uploads SET length = ?, offset = ? WHERE id = ?", (length, length, upload_id)
                )
            connection.execute("UPDATE uploads SET state = 'complete' WHERE id = ? AND state = 'open'", (upload_id,))
        return self.get(upload_id)

    def taken(self, uploads: Sequence[Upload], job_id: str) -> None:
        """Say that a job has them."""
        with self._store.writing() as connection:
            connection.executemany(
                "UPDATE uploads SET state = 'taken', job = ? WHERE id = ?", [(job_id, one.id) for one in uploads]
            )

    def remove(self, upload: Upload) -> None:
        """Forget an upload and its bytes."""
        self.path_of(upload.id).unlink(missing_ok=True)
        with self._store.writing() as connection:
            connection.execute("DELETE FROM uploads WHERE id = ?", (upload.id,))

    def of_batch(self, user: str, batch: str) -> list[Upload]:
        """Return the files of a dropped folder, in an order that stays."""
        query = "SELECT * FROM uploads WHERE user = ? AND batch = ? ORDER BY created, id"
        with self._store.reading() as connection:
            return [_upload(row) for row in connection.execute(query, (user, batch)).fetchall()]

    def left_over(self) -> list[Upload]:
        """Return complete files of their own that no job has yet: the server was ended in between."""
        with self._store.reading() as connection:
            rows = connection.execute("SELECT * FROM uploads WHERE state = 'complete' AND batch = ''").fetchall()
        return [_upload(row) for row in rows]

    def listed(self, principal: Principal) -> list[dict[str, Any]]:
        """Return the unfinished uploads of a user, and the complete ones that wait for their folder."""
        query = "SELECT * FROM uploads WHERE user = ? AND state != 'taken' ORDER BY created, id LIMIT 10000"
        with self._store.reading() as connection:
            rows = connection.execute(query, (principal.name,)).fetchall()
        return [_upload(row).to_json() for row in rows]

    def used_bytes(self, user: str) -> int:
        """Return what a user has stored, with what is reserved for unfinished uploads."""
        with self._store.reading() as connection:
            return self._ledger.kept_bytes(user) + _promised(connection, user)

    def sweep(self) -> int:
        """Remove what has expired, and files nobody knows; returns how many."""
        now = self._store.now()
        with self._store.reading() as connection:
            rows = connection.execute("SELECT * FROM uploads WHERE expires < ?", (now,)).fetchall()
            known = {row["id"] for row in connection.execute("SELECT id FROM uploads").fetchall()}
        for row in rows:
            self.remove(_upload(row))
        strays = [path for path in self._home.uploads.glob(f"*{PART}") if path.name.removesuffix(PART) not in known]
        for path in strays:
            path.unlink(missing_ok=True)
        return len(rows) + len(strays)

    def _check_room(self, connection: sqlite3.Connection, user: str, kept: int, length: int) -> None:
        if kept + _promised(connection, user) + length > self._web.quota_bytes:
            raise Problem(
                413, f"this would be more than the {_size(self._web.quota_bytes)} you may store; delete old jobs"
            )
        query = "SELECT COUNT(*), COALESCE(SUM(length - offset), 0) FROM uploads WHERE state = 'open'"
        mine = connection.execute(query + " AND user = ?", (user,)).fetchone()[0]
        if mine >= self._web.most_open_uploads:
            raise Problem(429, "too many of your uploads are unfinished; finish or cancel some", {"Retry-After": "60"})
        disk = shutil.disk_usage(self._home.root)
        promised = int(connection.execute(query).fetchone()[1])
        if disk.free - promised - self._settings.least_free_bytes(disk.total) < length:
            raise Problem(507, "the disk of the queue has no room for this; try again later or tell whoever runs it")


def _promised(connection: sqlite3.Connection, user: str) -> int:
    query = "SELECT COALESCE(SUM(length), 0) FROM uploads WHERE user = ? AND state != 'taken'"
    return int(connection.execute(query, (user,)).fetchone()[0])


def _upload(row: sqlite3.Row) -> Upload:
    return Upload(**{**dict(row), "metadata": json.loads(row["metadata"])})


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GB" if count >= 1 << 30 else f"{count / (1 << 20):.1f} MB"
