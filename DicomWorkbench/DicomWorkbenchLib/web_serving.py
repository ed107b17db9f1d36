"""What every server of the project needs: a listening socket, running until cancelled, host names, clients that do not read."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.progress import CancelToken

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import Message, Send

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LOOK_SECONDS = 0.2
_BACKLOG = 128


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises
    ------
    OutputError : the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's delay off (40 ms now and then) only for sockets that say TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OutputError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; choose another with --port"
        ) from error
    return listener


def address_of(listener: socket.socket, host: str, scheme: str = "http") -> str:
    """Return the address a listening socket is reached at, without a slash at the end."""
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{listener.getsockname()[1]}"


async def serve_until(
    server: uvicorn.Server, listener: socket.socket, cancel: CancelToken, ready: Callable[[], None]
) -> None:
    """Serve until the token is turned; ``ready`` is called once, when requests are answered."""

    async def watch() -> None:
        told = False
        while not server.should_exit:
            if server.started and not told:
                told = True
                ready()
            if cancel.cancelled:
                server.should_exit = True
            await asyncio.sleep(_LOOK_SECONDS if told else 0.01)

    watcher = asyncio.create_task(watch())
    await server.serve(sockets=[listener])
    watcher.cancel()


def host_name(host: str) -> str:
    """Return the name in a Host header, without the port and the brackets of IPv6."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def origin_host(origin: str) -> str:
    """Return the host of an Origin header; empty text if there is none in it."""
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def impatient(send: Send, seconds: float) -> Send:
    """Give up on a client that takes nothing for so long."""

    async def guarded(message: Message) -> None:
        async with asyncio.timeout(seconds):
            await send(message)

    return guarded
