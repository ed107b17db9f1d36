"""Tokens for scripts: scoped, expiring, stored hashed, revocable. The token itself is shown once, when it is made."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from DicomWorkbenchLib.errors import SettingsError, WorkbenchError

from AutoSegmentQueueLib.web.people import check_name
from AutoSegmentQueueLib.web.store import WebStore, digest

PREFIX = "dwq_"  # so that scanners for leaked secrets can know it
SCOPES = ("read", "submit", "admin")
_DAY = 86400.0
_USED_SECONDS = 60.0


@dataclass(frozen=True)
class Token:
    """A token as stored; times are seconds since 1970."""

    name: str
    user: str
    scopes: tuple[str, ...]
    created: float
    expires: float
    used: float | None


class Tokens:
    """The table of tokens."""

    def __init__(self, store: WebStore) -> None:
        self._store = store

    def add(self, name: str, scopes: tuple[str, ...], days: float, user: str = "") -> str:
        """Make a token and return it.

        Parameters
        ----------
        scopes : of `SCOPES`; "read" sees all jobs (of ``user`` what they see), "submit" adds and handles its own, "admin" does all.
        days : until it ends.
        user : acts for this user and can never do more than them; empty: for itself.

        Raises
        ------
        SettingsError : a name is taken, or a scope or the days make no sense.
        """
        check_name(name)
        if not scopes or set(scopes) - set(SCOPES):
            raise SettingsError(f"--scope takes {', '.join(SCOPES)}, separated by commas; got {','.join(scopes)!r}")
        if not 0 < days <= 3660:
            raise SettingsError(f"--days must be more than 0 and at most 3660, got {days}")
        secret, now = PREFIX + secrets.token_urlsafe(32), self._store.now()
        with self._store.writing() as connection:
            if connection.execute("SELECT 1 FROM tokens WHERE name = ?", (name,)).fetchone():
                raise SettingsError(
                    f"there is a token {name} already; revoke it first with `queue token revoke {name}`"
                )
            if user and not connection.execute("SELECT 1 FROM users WHERE name = ?", (user,)).fetchone():
                raise SettingsError(f"there is no user {user}; `queue user list` names them")
            row = (name, digest(secret), user, ",".join(scopes), now, now + days * _DAY, None)
            connection.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return secret

    def revoke(self, name: str) -> None:
        """End a token.

        Raises
        ------
        WorkbenchError : there is none of that name.
        """
        with self._store.writing() as connection:
            if not connection.execute("DELETE FROM tokens WHERE name = ?", (name,)).rowcount:
                raise WorkbenchError(f"there is no token {name}; `queue token list` names them")

    def find(self, secret: str) -> Token | None:
        """Return the token, None if it is wrong or its time is over."""
        now = self._store.now()
        with self._store.reading() as connection:
            row = connection.execute("SELECT * FROM tokens WHERE hash = ?", (digest(secret),)).fetchone()
        if row is None or not row["created"] <= now < row["expires"]:
            return None
        if row["used"] is None or now - row["used"] > _USED_SECONDS:
            with self._store.writing() as connection:
                connection.execute("UPDATE tokens SET used = ? WHERE name = ?", (now, row["name"]))
        return _token(row)

    def all(self) -> list[Token]:
        """Return all tokens by name."""
        with self._store.reading() as connection:
            return [_token(row) for row in connection.execute("SELECT * FROM tokens ORDER BY name").fetchall()]


def _token(row: object) -> Token:
    values = dict(row)  # type: ignore[call-overload]
    scopes = tuple(values["scopes"].split(","))
    return Token(values["name"], values["user"], scopes, values["created"], values["expires"], values["used"])
