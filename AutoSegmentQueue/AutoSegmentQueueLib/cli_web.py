"""The web server: its options for ``queue serve``, where it runs beside the workers, and ``queue web``, where it runs alone."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
_PORT = re.compile(r"://[^/]*:(\d+)/")
_END_SECONDS = 10.0
_AGAIN_SECONDS = 2.0  # before a server that has ended is started again


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
    server = _Beside(place, given["port"], tell)
    try:
        yield [server.line]
    finally:
        server.end()


class _Beside:
    """The server's process; one that ends by itself is started again, at the same port and with the same key."""

    def __init__(self, place: Home, port: int, tell: Callable[[str], None]) -> None:
        self._place, self._port, self._tell = place, port, tell
        self._key = secrets.token_urlsafe(24)
        self._ending = threading.Event()
        self._child = self._start()
        self.line = _first_line(self._child)
        if not self.line.startswith(READY):
            self._end_child()
            raise OutputError("the web server could not start; see above")
        found = _PORT.search(self.line)
        self._port = int(found[1]) if found else port
        self._watcher = threading.Thread(target=self._watch, name="web server", daemon=True)
        self._watcher.start()

    def end(self) -> None:
        """End the server."""
        self._ending.set()
        self._end_child()
        self._watcher.join(_END_SECONDS)

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "DicomWorkbenchLib", "queue", "web", "--home", str(self._place.root)]
        command += ["--port", str(self._port), "--with-parent"]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        child = subprocess.Popen(command, text=True, env=_environment(), **pipes, **_apart())
        assert child.stdin
        with suppress(OSError):  # it has ended already; what it says on stderr tells why
            child.stdin.write(self._key + "\n")  # not as an argument: those can be seen by everybody
            child.stdin.flush()
        return child

    def _watch(self) -> None:
        while not self._ending.is_set():
            self._child.wait()
            if self._ending.wait(_AGAIN_SECONDS):
                return
            self._tell("page: the web server has ended; it is started again")
            self._close_pipes()
            self._child = self._start()
            _first_line(self._child)
            if self._ending.is_set():
                self._end_child()

    def _end_child(self) -> None:
        child = self._child
        if child.stdin:
            with suppress(OSError):
                child.stdin.close()  # it ends by itself then, with or without us
        try:
            child.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self._close_pipes()

    def _close_pipes(self) -> None:
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()


def _first_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout
    with suppress(ValueError):  # closed: we are ending
        return child.stdout.readline().strip()
    return ""


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
            key = sys.stdin.readline().strip()
            threading.Thread(target=_until_parent_ends, args=(cancel,), name="parent", daemon=True).start()
            run(place, settings, kept, port, cancel, lambda address: click.echo(f"{READY}  {address}"), key)
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
