"""Tables of the ledger, one step per version; an older ledger is brought up step by step when it is opened."""

from __future__ import annotations

import sqlite3

from DicomWorkbenchLib.errors import OutputError

_VERSION_1 = """
CREATE TABLE jobs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  key TEXT,                              -- idempotency: content hash and what is to be done with it
  link_of TEXT,                          -- id of the job that does the work for equal content
  parent TEXT,                           -- id of the job before this one in a chain
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  engine TEXT NOT NULL,
  options TEXT NOT NULL,                 -- JSON
  chain TEXT NOT NULL DEFAULT '[]',      -- JSON: the steps still to come
  user TEXT NOT NULL DEFAULT '',
  device TEXT NOT NULL DEFAULT 'cpu',
  priority INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  crashes INTEGER NOT NULL DEFAULT 0,
  losses INTEGER NOT NULL DEFAULT 0,
  ladder INTEGER NOT NULL DEFAULT 0,     -- steps of the memory ladder taken
  fence INTEGER NOT NULL DEFAULT 0,      -- grows with every lease; who has an older one may not publish
  lease_owner TEXT,
  lease_start REAL,
  lease_until REAL,
  not_before REAL NOT NULL DEFAULT 0,    -- wall clock; a retry waits a little
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  progress REAL NOT NULL DEFAULT 0,
  stage TEXT NOT NULL DEFAULT '',
  error TEXT,
  error_class TEXT,
  source TEXT NOT NULL DEFAULT '',       -- path as it was given
  signature TEXT NOT NULL DEFAULT '',    -- size, time and number of that file when it was last looked at
  owned INTEGER NOT NULL DEFAULT 0,      -- 1: lies in our input folder, so we move it when the job has ended
  inputs TEXT NOT NULL DEFAULT '[]',     -- JSON: where the content is now
  sha256 TEXT,
  bytes INTEGER NOT NULL DEFAULT 0,
  voxels INTEGER NOT NULL DEFAULT 0,
  disposal TEXT NOT NULL DEFAULT '',     -- '', archived, deleted, failed, kept, taken
  reserved TEXT,                         -- output folder this job alone may publish
  output TEXT,
  created REAL NOT NULL,
  queued REAL,
  started REAL,
  ended REAL,
  changed REAL NOT NULL                  -- wall clock of the last change
);
CREATE UNIQUE INDEX one_run ON jobs(key)
  WHERE key IS NOT NULL AND link_of IS NULL AND state NOT IN ('failed', 'quarantined', 'cancelled');
CREATE INDEX next_job ON jobs(priority DESC, seq) WHERE state = 'queued' AND link_of IS NULL;
CREATE INDEX by_state ON jobs(state, seq);
CREATE UNIQUE INDEX one_output ON jobs(reserved) WHERE reserved IS NOT NULL;
CREATE INDEX by_source ON jobs(source, seq) WHERE source != '';
CREATE INDEX by_link ON jobs(link_of) WHERE link_of IS NOT NULL;
CREATE INDEX by_parent ON jobs(parent) WHERE parent IS NOT NULL;
CREATE INDEX undisposed ON jobs(state, seq) WHERE disposal = '' AND owned = 1;
CREATE INDEX archived ON jobs(ended) WHERE disposal = 'archived' AND owned = 1;
CREATE TABLE history (
  event INTEGER PRIMARY KEY AUTOINCREMENT,
  at REAL NOT NULL,
  job TEXT NOT NULL,
  state TEXT NOT NULL,
  previous TEXT,
  attempt INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  note TEXT NOT NULL DEFAULT ''
);
CREATE INDEX history_of ON history(job, event);
CREATE TRIGGER history_is_never_changed BEFORE UPDATE ON history BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
CREATE TRIGGER history_is_never_deleted BEFORE DELETE ON history BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

_VERSION_2 = """
ALTER TABLE jobs ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;  -- 1: deleted by a user; the history stays
CREATE INDEX by_user ON jobs(user, seq);
CREATE INDEX hidden_jobs ON jobs(state, seq) WHERE hidden = 1;
"""

MIGRATIONS: tuple[str, ...] = (_VERSION_1, _VERSION_2)


def migrate(connection: sqlite3.Connection, migrations: tuple[str, ...] = MIGRATIONS) -> None:
    """Bring the tables to the newest version, all steps or none.

    Raises
    ------
    OutputError : the ledger was written by a newer version of this program.
    """
    if _version(connection) == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)  # somebody else may have been quicker
        if version > len(migrations):
            raise OutputError(
                f"the ledger has version {version}, this program knows {len(migrations)}; update DicomWorkbench"
            )
        for step in migrations[version:]:
            for statement in _statements(step):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> list[str]:
    # executescript would commit first; a trigger holds semicolons, so complete_statement decides where one ends
    found, current = [], ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            found.append(current)
            current = ""
    return found
