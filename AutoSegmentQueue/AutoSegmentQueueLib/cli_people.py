"""Who may use the web server: ``queue user``, ``queue token`` and ``queue audit``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from DicomWorkbenchLib.errors import WorkbenchError

from AutoSegmentQueueLib.cli_options import home_option, tell
from AutoSegmentQueueLib.home import Home

if TYPE_CHECKING:
    from AutoSegmentQueueLib.web.store import WebStore

_ROLES = ("viewer", "submitter", "admin")
_COMMAND = "command"  # who, in the audit, has done what was done here


@click.group()
def user() -> None:
    """Users of the web server: viewer reads, submitter adds and handles own jobs, admin does all."""


@click.group()
def token() -> None:
    """Tokens for scripts: scoped, expiring, revocable."""


@click.group()
def audit() -> None:
    """Who did what over the web."""


@contextmanager
def _store(root: Path | None) -> Iterator[WebStore]:
    from AutoSegmentQueueLib.web.store import WebStore

    store = WebStore(Home.open(root))
    try:
        yield store
    finally:
        store.close()


def _note(store: WebStore, what: str, subject: str) -> None:
    from AutoSegmentQueueLib.web.audit import Audit

    Audit(store).note(_COMMAND, what, subject)


@user.command(name="add")
@home_option
@click.argument("name")
@click.option("--role", type=click.Choice(_ROLES), default="submitter", show_default=True)
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin; otherwise it is asked for.")
def add_user(home: Path | None, name: str, role: str, password_stdin: bool) -> None:
    """Add a user, or change role and password of one."""
    from AutoSegmentQueueLib.web.people import People, Role

    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("password", hide_input=True, confirmation_prompt=True, err=True)
    with _store(home) as store:
        is_new = People(store).add(name, Role(role), password)
        _note(store, "user.add" if is_new else "user.change", name)
    click.echo(f"{name}  {role}  {'added' if is_new else 'changed'}")


@user.command(name="list")
@home_option
def list_users(home: Path | None) -> None:
    """Name the users."""
    from AutoSegmentQueueLib.web.people import People

    with _store(home) as store:
        for one in People(store).all():
            click.echo(f"{one.role:<10} {one.kind:<9} {one.name}")


@user.command(name="remove")
@home_option
@click.argument("name")
def remove_user(home: Path | None, name: str) -> None:
    """Remove a user; their logins and tokens end, their jobs stay."""
    from AutoSegmentQueueLib.web.people import People

    with _store(home) as store:
        People(store).remove(name)
        _note(store, "user.remove", name)
        if not People(store).any:
            tell("no users are left: the next start prints an address with a token again")
    click.echo(f"{name}  removed")


@token.command(name="add")
@home_option
@click.argument("name")
@click.option("--scope", required=True, help="read, submit, admin; several separated by commas.")
@click.option("--days", type=float, default=90.0, show_default=True, help="Until it ends.")
@click.option("--user", "user_", default="", help="Acts for this user, and can do no more than them.")
def add_token(home: Path | None, name: str, scope: str, days: float, user_: str) -> None:
    """Make a token and print it; it is shown this once."""
    from AutoSegmentQueueLib.web.tokens import Tokens

    scopes = tuple(dict.fromkeys(one.strip() for one in scope.split(",") if one.strip()))
    with _store(home) as store:
        secret = Tokens(store).add(name, scopes, days, user_)
        _note(store, "token.add", name)
    click.echo(secret)


@token.command(name="list")
@home_option
def list_tokens(home: Path | None) -> None:
    """Name the tokens, what they may do and when they end; not the tokens themselves."""
    from AutoSegmentQueueLib.web.tokens import Tokens

    with _store(home) as store:
        for one in Tokens(store).all():
            ends, used = _day(one.expires), _day(one.used) if one.used else "never used"
            click.echo(f"{','.join(one.scopes):<18} until {ends}  {used:<10}  {one.name}  {one.user}".rstrip())


@token.command(name="revoke")
@home_option
@click.argument("name")
def revoke_token(home: Path | None, name: str) -> None:
    """End a token."""
    from AutoSegmentQueueLib.web.tokens import Tokens

    with _store(home) as store:
        Tokens(store).revoke(name)
        _note(store, "token.revoke", name)
    click.echo(f"{name}  revoked")


@audit.command(name="show")
@home_option
@click.option("--after", type=int, default=0, help="Only lines after this number.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show_audit(home: Path | None, after: int, limit: int, as_json: bool) -> None:
    """Print lines of the audit."""
    from AutoSegmentQueueLib.web.audit import Audit

    with _store(home) as store:
        for line in Audit(store).lines(after, limit):
            if as_json:
                click.echo(json.dumps(line.__dict__))
            else:
                stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(line.at))
                said = f"{line.n:>7}  {stamp}  {line.status}  {line.what:<16} {line.who:<20} {line.subject}  {line.address}"
                click.echo(said.rstrip())


@audit.command(name="verify")
@home_option
@click.option("--expect", default="", help="Hash noted earlier: it must be that of a line, or lines are missing.")
def verify_audit(home: Path | None, expect: str) -> int:
    """See that no line was changed, removed or added in between; exit code 1 if one was."""
    from AutoSegmentQueueLib.web.audit import Audit

    with _store(home) as store:
        found = Audit(store).verify()
        known = not expect or Audit(store).has(expect)
    click.echo(f"{found.lines} lines, last hash {found.last}")
    if found.problem or not known:
        raise WorkbenchError(f"the audit was tampered with: {found.problem or 'the noted line is not there any more'}")
    return 0


def _day(seconds: float | None) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(seconds or 0))
