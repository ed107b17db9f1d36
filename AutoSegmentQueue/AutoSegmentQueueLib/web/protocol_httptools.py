"""The watched protocol over httptools, with the limits that its parser leaves to others."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from AutoSegmentQueueLib.web.protocol import MOST_HEADER_BYTES, Watched


class NotAllowed(Exception):
    """A header that no honest client sends."""


class WatchedHttpTools(Watched, HttpToolsProtocol):
    """One connection.

    The parser bounds neither a header nor what stands between the pieces of a chunked body, nor what follows it. So the bytes are
    counted that came since a body last went on.
    """

    _header = True  # the first one is waited for
    _message = False  # a request has begun and not ended
    _moved = False  # these bytes brought a body on, or ended a request
    _idle_bytes = 0

    def in_header(self) -> bool:
        """Whether a header has begun, or the first one is waited for."""
        return self._header

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self._moved, began = False, self._message
        super().data_received(data)
        self._idle_bytes = 0 if self._moved else self._idle_bytes + len(data)
        if not (began or self._message or self._moved):
            self._header = True  # empty lines between requests: they are no way to stay for ever
            self._watch_header()
        if self._idle_bytes > MOST_HEADER_BYTES and not self.transport.is_closing():
            self._give_up(431, "the headers of this request are too long")

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._header = self._message = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; those after a body are nobody's."""
        if self._header:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._header = False
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            raise NotAllowed("a request has one Host")
        super().on_headers_complete()
        if self.parser.should_upgrade():  # nothing here speaks another protocol: what follows is not looked at
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._moved = True
        if not self.cycle.body:
            self.cycle.body = b""  # type: ignore[assignment]  # joined to it nothing is copied, unlike to a bytearray
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._moved, self._message = True, False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._give_up(400, "this is not HTTP")

    def _give_up(self, status: int, reason: str) -> None:
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()  # an answer is under way; another cannot be put into it
        else:
            self.refuse(status, reason)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: a log line for each such request would be a gift."""
