"""HTTP/1.1 as uvicorn does it, with an eye on clients that stall: half a header, answers nobody takes, hundreds of connections.

Requests are read by httptools where it is installed, whose parser is written in C and brings gigabytes in faster, and by h11 elsewhere.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
from typing import Any

from AutoSegmentQueueLib.web.settings import WebSettings

HEADER_SECONDS = 10.0
MOST_OF_CLIENT = 250  # connections of one address: a lab behind one router has room, one program cannot take all
MOST_HEADER_BYTES = 1 << 15
_CODES = {400: "bad-request", 408: "too-slow", 431: "headers-too-large", 503: "busy"}


class Watched(asyncio.Protocol):
    """What one connection is watched for, mixed into a protocol of uvicorn; the settings are those of the class `protocol_for` returns."""

    slow_seconds = 30.0
    most_of_client = MOST_OF_CLIENT
    transport: Any
    loop: Any
    client: Any
    connections: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin; the header has to come soon."""
        super().connection_made(transport)
        client = _client_of(self)
        same = sum(_client_of(one) == client for one in self.connections)
        if same > self.most_of_client:
            self.refuse(503, "too many connections from this address")
            return
        self._watch_header()

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        super().data_received(data)
        self._watch_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        for timer in (self._header_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(2 * self.slow_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()

    def refuse(self, status: int, reason: str) -> None:
        """Answer without asking the application, and close."""
        body = json.dumps({"status": status, "error": reason, "code": _CODES[status]}).encode()
        head = f"HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()

    def in_header(self) -> bool:
        """Whether a header has begun, or the first one is waited for."""
        raise NotImplementedError

    def _watch_header(self) -> None:
        waits = self.in_header()
        if waits and self._header_timer is None:
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self._header_is_late)
        elif not waits and self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _header_is_late(self) -> None:
        self._header_timer = None
        if not self.transport.is_closing() and self.in_header():
            self.refuse(408, f"no whole request came within {HEADER_SECONDS:.0f} s")


def _client_of(connection: Any) -> str:
    return str(connection.client[0]) if connection.client else ""


def protocol_for(web: WebSettings) -> type[Watched]:
    """Return the protocol with the limits of a server; behind a proxy all connections come from one address."""
    limits = {
        "slow_seconds": web.slow_seconds,
        "most_of_client": 1 << 30 if web.behind_proxy else MOST_OF_CLIENT,
    }
    return type("Protocol", (_base(),), limits)


def _base() -> type[Watched]:
    if importlib.util.find_spec("httptools"):
        from AutoSegmentQueueLib.web.protocol_httptools import WatchedHttpTools

        return WatchedHttpTools
    from AutoSegmentQueueLib.web.protocol_h11 import WatchedH11

    return WatchedH11
