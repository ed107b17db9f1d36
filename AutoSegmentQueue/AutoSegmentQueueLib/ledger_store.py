"""The ledger's data base: connections per thread, transactions that are on disk when they return, errors in plain words."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from DicomWorkbenchLib.errors import OutputError, WorkbenchError

from AutoSegmentQueueLib.failpoints import reach, writing
from AutoSegmentQueueLib.ledger_schema import MIGRATIONS, migrate

CHECKPOINT_PAGES = (
    4000  # 16 MB; a commit touches about 12 pages, so at the default of 1000 every 80th would wait for a checkpoint
)
BUSY_SECONDS = 30.0  # how long one process waits for another one's transaction


class LedgerError(OutputError):
    """The ledger cannot be read or written now; nothing was changed. A full disk is the usual cause."""


class NoSuchJob(WorkbenchError):
    """No job has this id."""


class NotAllowed(WorkbenchError):
    """A job cannot change in this way from the state it is in."""


class StaleFence(WorkbenchError):
    """The job has been given to another worker since; this one has no say in it any more."""


class LedgerStore:
    """SQLite in WAL mode with synchronous FULL, on a local disk; each thread has its own connection.

    Parameters
    ----------
    path : the data base; it is made, and older versions are brought up to date.
    migrations : its tables, one script per version.

    Raises
    ------
    LedgerError : it cannot be opened.

    References
    ----------
    https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous
    """

    def __init__(self, path: Path, migrations: tuple[str, ...] = MIGRATIONS) -> None:
        self.path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        with _plain_errors(path):
            migrate(self.connection(), migrations)

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._connections:
            self._connections.pop().close()
        self._local = threading.local()

    def connection(self) -> sqlite3.Connection:
        """Return this thread's connection."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = _connect(self.path)
            self._local.connection = found
            self._connections.append(found)
        return found

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the one write transaction while the block runs; what it did is on disk afterwards, or nothing is."""
        with writing, _plain_errors(self.path):
            connection = self.connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                reach("ledger.before-commit")
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                raise
        reach("ledger.after-commit")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for one statement that reads."""
        with _plain_errors(self.path):
            yield self.connection()

    def data_version(self) -> int:
        """Return a number that changes when another connection has changed the data base."""
        with self.reading() as connection:
            return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    return connection


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise LedgerError(f"{path} cannot be used now: {error}; see that its disk has space and is writable") from error
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError):
            raise
        raise LedgerError(
            f"{path} is damaged: {error}; move it away, put back a copy, or start with a new one"
        ) from error
