"""The web server: its options for ``queue serve``, where it runs beside the workers, and ``queue web``, where it runs alone."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.job import cancel_on_signals
from DicomWorkbenchLib.process import child_environment
from DicomWorkbenchLib.progress import CancelToken

from AutoSegmentQueueLib.cli_options import home_option, opened, tell
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.settings import QueueSettings

READY = "page "
_START_SECONDS = 60.0
_END_SECONDS = 10.0


def options(function: Any) -> Any:
    """Add the options of the server to ``queue serve``."""
    return _options(
        click.option("--port", type=click.IntRange(0, 65535), help="Show the queue to browsers; 0 takes a free port.")(
            function
        )
    )


def _options(function: Any) -> Any:
    file = click.Path(path_type=Path, dir_okay=False)
    for option in reversed(
        [
            click.option(
                "--host", help="Address to listen on; another than 127.0.0.1 needs users, and TLS or a proxy."
            ),
            click.option("--tls-cert", type=file, help="Certificate (PEM)."),
            click.option("--tls-key", type=file, help="Its key (PEM)."),
            click.option("--tls-self-made", is_flag=True, default=None, help="Make a certificate and use that."),
            click.option(
                "--behind-proxy", is_flag=True, default=None, help="A reverse proxy on this machine does TLS."
            ),
            click.option("--allow-host", multiple=True, help="A name browsers may use for this server; repeat it."),
        ]
    ):
        function = option(function)
    return function


def chosen(settings: QueueSettings, given: dict[str, Any]) -> QueueSettings:
    """Return settings with what was given; those of the server are kept apart, see `web.settings`."""
    return settings


def _keep(home: Home, given: dict[str, Any]) -> Any:
    """Return the server's settings with what was given, kept for the next time, and checked."""
    from AutoSegmentQueueLib.web import settings as web_settings
    from AutoSegmentQueueLib.web.people import People
    from AutoSegmentQueueLib.web.store import WebStore

    names = ("host", "tls_cert", "tls_key", "tls_self_made", "behind_proxy")
    changes = {name: given[name] for name in names if given.get(name) is not None}
    for name in ("tls_cert", "tls_key"):
        if name in changes:
            changes[name] = changes[name].absolute()
    if given.get("allow_host"):
        changes["allowed_hosts"] = tuple(given["allow_host"])
    settings = replace(web_settings.load(home), **changes)
    store = WebStore(home)
    try:
        settings.check_safe(People(store).any)
    finally:
        store.close()
    if changes:
        web_settings.save(home, settings)
    return settings


@contextmanager
def beside(
    place: Home, settings: QueueSettings, given: dict[str, Any], tell: Callable[[str], None]
) -> Iterator[list[str]]:
    """Serve while the block runs, in a process of its own: neither a busy queue nor a busy server slows the other down.

    Gives the lines that say where.
    """
    if given["port"] is None:
        yield []
        return
    _keep(place, given)
    command = [sys.executable, "-m", "DicomWorkbenchLib", "queue", "web", "--home", str(place.root)]
    command += ["--port", str(given["port"]), "--with-parent"]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment(), **_apart()
    )
    try:
        yield [_first_line(child)]
    finally:
        _end(child)


def _first_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout
    line = child.stdout.readline().strip()
    if not line.startswith(READY):
        child.wait(_START_SECONDS)
        raise OutputError("the web server could not start; see above")
    return line


def _end(child: subprocess.Popen[str]) -> None:
    if child.stdin:
        child.stdin.close()  # it ends by itself, with or without us
    try:
        child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout:
        child.stdout.close()


def _apart() -> dict[str, Any]:
    # A Ctrl-C at the terminal goes to the whole group; the server is to end after the workers, by its parent.
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, **child_environment()}


@click.command()
@home_option
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free port.")
@_options
@click.option("--with-parent", is_flag=True, hidden=True, help="End when stdin ends.")
def web(home: Path | None, port: int, with_parent: bool, **given: Any) -> None:
    """Show the queue to browsers, without workers; `queue serve --port` does both."""
    from AutoSegmentQueueLib.web.run import run

    with opened(home) as (place, settings, _), cancel_on_signals() as cancel:
        kept = _keep(place, given)
        if with_parent:
            threading.Thread(target=_until_parent_ends, args=(cancel,), name="parent", daemon=True).start()
            run(place, settings, kept, port, cancel, lambda address: click.echo(f"{READY}  {address}"))
        else:
            run(
                place,
                settings,
                kept,
                port,
                cancel,
                lambda address: tell(f"{READY}  {address}\nready; stop with Ctrl-C"),
            )


def _until_parent_ends(cancel: CancelToken) -> None:
    sys.stdin.read()
    cancel.cancel()
