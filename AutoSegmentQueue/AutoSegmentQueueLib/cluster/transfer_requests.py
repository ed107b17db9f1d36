"""The HTTP of transfers.

``POST /KEY/claim`` begins an order, once. ``GET /KEY/file/N`` gives a file, from any byte on (``Range``), a small one with its
SHA-256; ``GET /KEY/sums`` the SHA-256 of all. ``HEAD /KEY/return/NAME`` says how much of a result is here, ``PUT`` appends to it,
``POST /KEY/complete`` puts all in place. Each needs ``Authorization: Bearer TOKEN``.
"""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from DicomWorkbenchLib.report import sha256_of

from AutoSegmentQueueLib.cluster.transfer_incoming import RefusedError

if TYPE_CHECKING:
    from AutoSegmentQueueLib.cluster.transfer_server import Offer

BLOCK = 1 << 20
MOST_JSON = 64 << 20
_RANGE = re.compile(r"^bytes=(\d+)-$")


class Handler(BaseHTTPRequestHandler):
    """Answers one connection of a node."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True  # answers are small, and the node waits for each

    def do_GET(self) -> None:
        """Give a file, or the hashes of all."""
        self._answer({"file": self._give, "sums": self._sums})

    def do_HEAD(self) -> None:
        """Say how much of a result is here."""
        self._answer({"return": self._size})

    def do_PUT(self) -> None:
        """Take a part of a result."""
        self._answer({"return": self._take})

    def do_POST(self) -> None:
        """Begin an order, or put its results in place."""
        self._answer({"claim": self._claim, "complete": self._complete})

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: keys and names of files belong in no log."""

    def _answer(self, verbs: dict[str, Any]) -> None:
        _, key, verb, name = [*self.path.split("/", 3), "", "", ""][:4]
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        offer = self.server.find(key, token)  # type: ignore[attr-defined]
        try:
            if offer is None:
                raise RefusedError(403, "no such order, or not with this token")
            if verb not in verbs:
                raise RefusedError(404, "there is nothing of that name")
            verbs[verb](offer, unquote(name))
        except RefusedError as error:
            self.close_connection = True  # what was sent with the request has not been read
            self._send(error.code, str(error).encode())
        except (OSError, ValueError) as error:
            self.close_connection = True
            self._send(500, type(error).__name__.encode())

    def _give(self, offer: Offer, name: str) -> None:
        if not name.isdigit() or int(name) >= len(offer.files):
            raise RefusedError(404, "there is no file of that number")
        wanted = _RANGE.match(self.headers.get("Range", ""))
        with offer.files[int(name)].open("rb") as file:
            size = file.seek(0, 2)
            start = min(int(wanted[1]), size) if wanted else 0
            file.seek(start)
            self.send_response(206 if wanted else 200)
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{max(start, size - 1)}/{size}")
            if size <= BLOCK:  # small enough to be read twice; the node then need not ask for it
                self.send_header("X-SHA256", sha256_of(offer.files[int(name)]))
            self.send_header("Content-Length", str(size - start))
            self.end_headers()
            while not offer.withdrawn.is_set() and (block := file.read(BLOCK)):
                self.wfile.write(block)
            if offer.withdrawn.is_set():
                self.close_connection = True

    def _sums(self, offer: Offer, name: str) -> None:
        self._send(200, json.dumps([sha256_of(path) for path in offer.files]).encode())

    def _size(self, offer: Offer, name: str) -> None:
        self.send_response(200)
        self.send_header("X-Offset", str(offer.incoming.size(name)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _take(self, offer: Offer, name: str) -> None:
        length, offset = self._number("Content-Length"), self._number("X-Offset")
        sha256, total = self.headers.get("X-SHA256", ""), self._number("X-Size")
        offer.incoming.take(name, offset, length, self.rfile, sha256, total, lambda: not offer.withdrawn.is_set())
        self._send(200)

    def _claim(self, offer: Offer, name: str) -> None:
        self._body()
        if not offer.claim():
            raise RefusedError(409, "it was started once already")
        self._send(200)

    def _complete(self, offer: Offer, name: str) -> None:
        names = json.loads(self._body())
        offer.incoming.complete([str(one) for one in names])
        self._send(200)

    def _number(self, name: str) -> int:
        value = self.headers.get(name, "")
        if not value.isdigit():
            raise RefusedError(411, f"{name} must say a number of bytes")
        return int(value)

    def _body(self) -> bytes:
        length = self._number("Content-Length")
        if length > MOST_JSON:
            raise RefusedError(413, "that is too much")
        return self.rfile.read(length)

    def _send(self, code: int, body: bytes = b"") -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
