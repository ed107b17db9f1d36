"""Logins of browsers: a random id in a cookie, its hash here. What a user may do is looked up anew at every request."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from AutoSegmentQueueLib.web.settings import WebSettings
from AutoSegmentQueueLib.web.store import WebStore, digest

_HOUR = 3600.0
_SEEN_SECONDS = 60.0  # how exact the time of the last request is kept
MOST_OF_USER = 50  # the oldest login of a user ends when there are more


@dataclass(frozen=True)
class Session:
    """A login; ``id`` is the hash."""

    id: str
    user: str
    kind: str


class Sessions:
    """The table of logins."""

    def __init__(self, store: WebStore, settings: WebSettings) -> None:
        self._store = store
        self._settings = settings

    def begin(self, user: str, kind: str) -> str:
        """Log a user in and return what the cookie holds."""
        secret, now = secrets.token_urlsafe(32), self._store.now()
        with self._store.writing() as connection:
            connection.execute("DELETE FROM sessions WHERE expires < ?", (now,))
            connection.execute(
                "DELETE FROM sessions WHERE user = ? AND id NOT IN"
                " (SELECT id FROM sessions WHERE user = ? ORDER BY seen DESC LIMIT ?)",
                (user, user, MOST_OF_USER - 1),
            )
            row = (digest(secret), user, kind, now, now, now + self._settings.session_hours * _HOUR)
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)", row)
        return secret

    def find(self, secret: str) -> Session | None:
        """Return the login a cookie stands for, None if it has ended."""
        key, now = digest(secret), self._store.now()
        with self._store.reading() as connection:
            row = connection.execute("SELECT * FROM sessions WHERE id = ?", (key,)).fetchone()
        idle = self._settings.idle_hours * _HOUR
        if row is None or not row["created"] <= now < row["expires"] or now - row["seen"] > idle:
            return None
        if now - row["seen"] > _SEEN_SECONDS:
            with self._store.writing() as connection:
                connection.execute("UPDATE sessions SET seen = ? WHERE id = ?", (now, key))
        return Session(key, row["user"], row["kind"])

    def lives(self, session_id: str) -> bool:
        """Whether a login has not been ended; for answers that go on for hours."""
        with self._store.reading() as connection:
            row = connection.execute("SELECT expires FROM sessions WHERE id = ?", (session_id,)).fetchone()
        return row is not None and bool(self._store.now() < row["expires"])

    def end(self, session_id: str) -> None:
        """Log out."""
        with self._store.writing() as connection:
            connection.execute("DELETE FROM sessions WHERE id = ?", (session_id,))

    def use_once(self, token: str) -> bool:
        """Take a one-time token; False if somebody has used it before."""
        name = f"used:{digest(token)}"
        with self._store.writing() as connection:
            taken = connection.execute("INSERT OR IGNORE INTO facts VALUES (?, '1')", (name,)).rowcount
        return bool(taken)


def csrf_of(secret: str) -> str:
    """Return the word that proves a form was made for this login; it follows from the cookie and does not give it away."""
    return hashlib.sha256(b"csrf:" + secret.encode()).hexdigest()[:43]
