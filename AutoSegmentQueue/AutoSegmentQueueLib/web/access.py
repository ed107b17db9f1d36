"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass

from DicomWorkbenchLib.web_problems import Problem

from AutoSegmentQueueLib.ledger_rows import Job
from AutoSegmentQueueLib.web.people import LOCAL_USER, People, Role
from AutoSegmentQueueLib.web.sessions import Session, Sessions, csrf_of
from AutoSegmentQueueLib.web.tokens import PREFIX, Token, Tokens


@dataclass(frozen=True)
class Principal:
    """Who asks.

    Attributes
    ----------
    name : of the user, or ``token:NAME``.
    reads_all, submits, rules : sees all jobs; adds scans and handles its own jobs; handles everything.
    session, csrf : of a browser; empty for a token.
    """

    name: str
    reads_all: bool
    submits: bool
    rules: bool
    session: str = ""
    csrf: str = ""

    @property
    def role(self) -> str:
        """The role these rights are those of."""
        return (Role.ADMIN if self.rules else Role.SUBMITTER if self.submits else Role.VIEWER).value

    @property
    def only_user(self) -> str | None:
        """The user whose jobs alone are shown; None for all."""
        return None if self.reads_all else self.name

    def sees(self, job: Job) -> bool:
        """Whether a job is shown."""
        return not job.hidden and (self.reads_all or job.user == self.name)

    def handles(self, job: Job) -> bool:
        """Whether a job may be cancelled, tried again and deleted."""
        return self.rules or (self.submits and job.user == self.name)

    def need_submit(self) -> None:
        """Raise `Problem` for those who may only read."""
        if not self.submits:
            raise Problem(403, "you may look at results but not add scans; an admin can change your role")

    def need_rule(self) -> None:
        """Raise `Problem` for all but admins."""
        if not self.rules:
            raise Problem(403, "only an admin may do this")


class Access:
    """Finds out who asks."""

    def __init__(self, people: People, sessions: Sessions, tokens: Tokens) -> None:
        self._people, self._sessions, self._tokens = people, sessions, tokens

    def by_token(self, authorization: str) -> Principal | None:
        """Return who a header ``Authorization: Bearer TOKEN`` stands for."""
        scheme, _, secret = authorization.partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret.startswith(PREFIX) or len(secret) > 200:
            return None
        token = self._tokens.find(secret)
        return self._of_token(token) if token else None

    def by_cookie(self, secret: str) -> Principal | None:
        """Return who a session cookie stands for."""
        session = self._sessions.find(secret) if secret and len(secret) <= 200 else None
        return self._of_session(session, secret) if session else None

    def _of_session(self, session: Session, secret: str) -> Principal | None:
        if session.kind == "local":
            if self._people.any:  # there are users now: the printed address opens nothing any more
                return None
            return _with_role(LOCAL_USER, Role.ADMIN, session.id, csrf_of(secret))
        user = self._people.get(session.user)
        return _with_role(user.name, user.role, session.id, csrf_of(secret)) if user else None

    def _of_token(self, token: Token) -> Principal | None:
        read, submit, admin = ("read" in token.scopes, "submit" in token.scopes, "admin" in token.scopes)
        if not token.user:
            return Principal(f"token:{token.name}", read or admin, submit or admin, admin)
        user = self._people.get(token.user)
        if user is None:
            return None
        most = _with_role(user.name, user.role)
        return Principal(
            user.name, most.reads_all and (read or admin), most.submits and (submit or admin), most.rules and admin
        )


def _with_role(name: str, role: Role, session: str = "", csrf: str = "") -> Principal:
    return Principal(name, role is not Role.SUBMITTER, role is not Role.VIEWER, role is Role.ADMIN, session, csrf)
