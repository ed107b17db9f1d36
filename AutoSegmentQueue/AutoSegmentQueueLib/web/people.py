"""Users and roles. Passwords are stored as argon2id; a wrong name takes as long to refuse as a wrong password."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from DicomWorkbenchLib.errors import SettingsError, WorkbenchError

from AutoSegmentQueueLib.web.store import WebStore

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LEAST_PASSWORD, LONGEST_PASSWORD = 10, 1024
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")
LOCAL_USER = "local"  # who opened the printed address while there were no users


class Role(enum.StrEnum):
    """What a user may do."""

    VIEWER = "viewer"  # sees all jobs and their results
    SUBMITTER = "submitter"  # adds scans; sees and handles the jobs that came of them
    ADMIN = "admin"  # sees and handles all jobs, pauses the queue


@dataclass(frozen=True)
class User:
    """A user as stored."""

    name: str
    kind: str
    role: Role


class People:
    """The table of users."""

    def __init__(self, store: WebStore) -> None:
        self._store = store

    def add(self, name: str, role: Role, password: str) -> bool:
        """Add a user or change one; returns whether the user is new.

        Raises
        ------
        SettingsError : the name or the password cannot be used.
        """
        check_name(name)
        if not LEAST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise SettingsError(f"a password needs {LEAST_PASSWORD} to {LONGEST_PASSWORD} signs")
        return self._write(name, "password", role, _hasher().hash(password))

    def met(self, name: str, role: Role) -> None:
        """Write down a user whom a provider has vouched for, with the role the provider gives."""
        self._write(name, "oidc", role, "")

    def remove(self, name: str) -> None:
        """Remove a user and end what they are logged in with.

        Raises
        ------
        WorkbenchError : there is no such user.
        """
        with self._store.writing() as connection:
            if not connection.execute("DELETE FROM users WHERE name = ?", (name,)).rowcount:
                raise WorkbenchError(f"there is no user {name}; `queue user list` names them")
            connection.execute("DELETE FROM sessions WHERE user = ?", (name,))
            connection.execute("DELETE FROM tokens WHERE user = ?", (name,))

    def get(self, name: str) -> User | None:
        """Return a user."""
        with self._store.reading() as connection:
            row = connection.execute("SELECT name, kind, role FROM users WHERE name = ?", (name,)).fetchone()
        return User(row["name"], row["kind"], Role(row["role"])) if row else None

    def all(self) -> list[User]:
        """Return all users by name."""
        with self._store.reading() as connection:
            rows = connection.execute("SELECT name, kind, role FROM users ORDER BY name").fetchall()
        return [User(row["name"], row["kind"], Role(row["role"])) for row in rows]

    @property
    def any(self) -> bool:
        """Whether there are users, so that the printed address alone opens nothing."""
        with self._store.reading() as connection:
            return connection.execute("SELECT 1 FROM users LIMIT 1").fetchone() is not None

    def check_password(self, name: str, password: str) -> bool:
        """Tell whether the password is right; takes a tenth of a second and 64 MB on purpose."""
        from argon2.exceptions import InvalidHashError, VerificationError

        with self._store.reading() as connection:
            row = connection.execute(
                "SELECT password FROM users WHERE name = ? AND kind = 'password'", (name,)
            ).fetchone()
        try:
            right = _hasher().verify(row["password"] if row else _nobodys_hash(), password[:LONGEST_PASSWORD])
        except (VerificationError, InvalidHashError):
            return False
        return right and row is not None

    def _write(self, name: str, kind: str, role: Role, password: str) -> bool:
        with self._store.writing() as connection:
            old = connection.execute("SELECT kind, password FROM users WHERE name = ?", (name,)).fetchone()
            if old is not None and old["kind"] != kind:
                raise SettingsError(f"the name {name} is taken by a user who logs in another way")
            connection.execute(
                "INSERT INTO users VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET role = excluded.role,"
                " password = excluded.password",
                (name, kind, role.value, password, self._store.now()),
            )
            if old is not None and old["password"] != password:  # whoever knew the old password is out
                connection.execute("DELETE FROM sessions WHERE user = ?", (name,))
        return old is None


def check_name(name: str) -> None:
    """Raise `SettingsError` for a name that cannot be used for a user or token."""
    if not _NAME.match(name) or name == LOCAL_USER:
        raise SettingsError(
            f"a name has up to 64 letters, digits and . _ @ -, and is not {LOCAL_USER!r}; got {name[:80]!r}"
        )


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobodys_hash() -> str:
    return _hasher().hash("nobody has this password")
