"""The server's own data base beside the ledger: users, sessions, tokens, uploads, audit. Secrets are stored hashed only."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger_store import LedgerStore

_VERSION_1 = """
CREATE TABLE users (
  name TEXT PRIMARY KEY,
  kind TEXT NOT NULL,                    -- 'password', or 'oidc' where a provider says who it is
  role TEXT NOT NULL,
  password TEXT NOT NULL DEFAULT '',     -- argon2id, with its parameters and salt
  created REAL NOT NULL
);
CREATE TABLE sessions (
  id TEXT PRIMARY KEY,                   -- SHA-256 of what the browser holds
  user TEXT NOT NULL,
  kind TEXT NOT NULL,                    -- 'local' (one-time token), 'password', 'oidc'
  created REAL NOT NULL,
  seen REAL NOT NULL,
  expires REAL NOT NULL
);
CREATE INDEX sessions_of ON sessions(user);
CREATE TABLE tokens (
  name TEXT PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  user TEXT NOT NULL DEFAULT '',         -- acts for this user; empty: for itself
  scopes TEXT NOT NULL,
  created REAL NOT NULL,
  expires REAL NOT NULL,
  used REAL
);
CREATE TABLE uploads (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL,
  length INTEGER NOT NULL,
  offset INTEGER NOT NULL DEFAULT 0,     -- bytes that are safely on disk
  metadata TEXT NOT NULL,                -- JSON, as it was given
  batch TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL DEFAULT 'open',    -- 'open', 'complete' (waits for its batch), 'taken' (a job has it)
  job TEXT NOT NULL DEFAULT '',
  created REAL NOT NULL,
  expires REAL NOT NULL
);
CREATE INDEX uploads_of ON uploads(user, batch);
CREATE INDEX uploads_due ON uploads(expires);
CREATE TABLE flows (                     -- logins at a provider that are under way
  state TEXT PRIMARY KEY,                -- SHA-256
  browser TEXT NOT NULL,                 -- SHA-256 of the cookie it began with
  nonce TEXT NOT NULL,
  verifier TEXT NOT NULL,
  goal TEXT NOT NULL,
  expires REAL NOT NULL
);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE audit (
  n INTEGER PRIMARY KEY,
  at REAL NOT NULL,
  who TEXT NOT NULL,
  what TEXT NOT NULL,
  subject TEXT NOT NULL,
  address TEXT NOT NULL,
  status INTEGER NOT NULL,
  previous TEXT NOT NULL,
  hash TEXT NOT NULL
);
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
"""
MIGRATIONS = (_VERSION_1,)


class WebStore(LedgerStore):
    """The data base ``web.sqlite3`` of a home, kept as safely as the ledger.

    Raises
    ------
    LedgerError : it cannot be opened.
    """

    now: Callable[[], float] = staticmethod(time.time)

    def __init__(self, home: Home) -> None:
        super().__init__(home.root / "web.sqlite3", MIGRATIONS)


def digest(secret: str) -> str:
    """Return what is stored of a random secret: long random ones need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
