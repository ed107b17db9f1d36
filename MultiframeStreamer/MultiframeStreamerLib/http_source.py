"""A file behind http(s), read by ranges: small reads share blocks, every reply is checked, and nothing waits for ever.

Source: RFC 9110 section 14 (Range, Content-Range, If-Range).
"""

from __future__ import annotations

import contextlib
import http.client
import re
import ssl
import threading
from collections import OrderedDict
from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

from DicomWorkbenchLib.errors import FileError

_BLOCK = 1 << 15
_BLOCKS_KEPT = 128
_SMALL = 1 << 12
_TRIES = 3
_MOST_REDIRECTS = 5
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)$")
_FAILURES = (OSError, http.client.HTTPException)  # OSError holds timeouts, resets and TLS failures


class HttpSource:
    """Bytes of one resource of a web server that answers Range requests.

    Parameters
    ----------
    url : http or https address.
    headers : sent with every request, such as an Authorization.
    timeout : seconds after which a stalled connection is given up.

    Raises
    ------
    FileError : the server cannot be reached, refuses, or does not serve ranges.
    """

    remote = True

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 20.0) -> None:
        self._headers, self._timeout = dict(headers or {}), timeout
        self._local = threading.local()
        self._connections: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._url, self._validator, self._closed = url, "", False
        parts = urlsplit(url)
        self.name = f"{parts.scheme}://{parts.hostname}{parts.path}"  # without a query, which may hold a secret
        first = self._first(url)
        self._blocks[0] = first

    @property
    def size(self) -> int:
        """Bytes of the resource."""
        return self._size

    @property
    def identity(self) -> tuple[str, ...]:
        """Address, size and entity tag (or time of the last change)."""
        return (self._url, str(self._size), self._validator)

    def read_at(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``, fewer where the resource ends.

        Raises
        ------
        FileError : the server stopped answering, or the resource changed.
        """
        length = min(length, max(self._size - offset, 0))
        if length <= 0:
            return b""
        number = offset // _BLOCK
        if length <= _SMALL and offset + length <= (number + 1) * _BLOCK:
            return self._block(number)[offset - number * _BLOCK :][:length]
        return self._range(offset, length)

    def check_unchanged(self) -> None:
        """Do nothing: every reply is checked against the entity tag of the first one."""

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            self._closed = True
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.close()

    def _block(self, number: int) -> bytes:
        with self._lock:
            block = self._blocks.get(number)
            if block is not None:
                self._blocks.move_to_end(number)
                return block
        block = self._range(number * _BLOCK, min(_BLOCK, self._size - number * _BLOCK))
        with self._lock:
            self._blocks[number] = block
            while len(self._blocks) > _BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        return block

    def _first(self, url: str) -> bytes:
        """Ask for the first block, following redirects; learns size, entity tag and final address."""
        for _ in range(_MOST_REDIRECTS):
            self._url = url
            status, headers, body = self._ask(0, _BLOCK)
            if status in (301, 302, 303, 307, 308) and "location" in headers:
                url = self._redirected(url, headers["location"])
                continue
            self._validator = headers.get("etag", "") or headers.get("last-modified", "")
            self._size = self._checked(status, headers, body, 0, None)
            return body
        raise FileError(f"{self.name}: the server redirects in a circle")

    def _redirected(self, url: str, location: str) -> str:
        target = urljoin(url, location)
        old, new = urlsplit(url), urlsplit(target)
        if new.scheme not in ("http", "https") or (old.scheme == "https" and new.scheme == "http"):
            raise FileError(f"{self.name}: the server redirects to an address that is not safe to follow")
        if (old.scheme, old.netloc) != (new.scheme, new.netloc):
            self._headers = {k: v for k, v in self._headers.items() if k.lower() not in ("authorization", "cookie")}
        self._drop()
        return target

    def _range(self, offset: int, length: int) -> bytes:
        status, headers, body = self._ask(offset, length)
        self._checked(status, headers, body, offset, length)
        return body

    def _checked(self, status: int, headers: dict[str, str], body: bytes, offset: int, length: int | None) -> int:
        """Return the resource's size after holding a reply against what was asked for."""
        if status == 200:
            raise FileError(
                f"{self.name}: the server does not answer Range requests, so single frames cannot be read from it"
            )
        if status != 206:
            raise FileError(f"{self.name}: the server answers {status}" + _advice(status))
        match = _CONTENT_RANGE.match(headers.get("content-range", ""))
        if match is None or int(match[1]) != offset or (length is not None and len(body) != length):
            raise FileError(f"{self.name}: the server's reply does not hold the range that was asked for")
        validator = headers.get("etag", "") or headers.get("last-modified", "")
        if length is not None and (validator != self._validator or int(match[3]) != self._size):
            raise FileError(f"{self.name} was changed on the server while it was open; open it again")
        return int(match[3])

    def _ask(self, offset: int, length: int) -> tuple[int, dict[str, str], bytes]:
        """Send one request, again on a fresh connection if a kept one has died or the server stalls."""
        problem: BaseException | None = None
        for _ in range(_TRIES):
            if self._closed:
                raise FileError(f"{self.name} is closed")
            try:
                return self._ask_once(offset, length)
            except _FAILURES as error:
                self._drop()
                problem = error
                if isinstance(error, TimeoutError):
                    break  # waiting three times as long would not be kinder
        raise FileError(
            f"{self.name} cannot be read: {problem or 'no answer'} (waited up to {self._timeout:g} s)"
        ) from problem

    def _ask_once(self, offset: int, length: int) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(self._url)
        connection = self._connection()
        headers = {"Range": f"bytes={offset}-{offset + length - 1}", "Accept-Encoding": "identity", **self._headers}
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers=headers)
        response = connection.getresponse()
        body = response.read(length + 1) if response.status == 206 else b""
        if response.status != 206 or len(body) > length:
            self._drop()  # the rest may be gigabytes; it is not worth reading
        elif response.length:
            raise http.client.IncompleteRead(body)
        else:
            response.read()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, body

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is not None:
            return connection
        parts = urlsplit(self._url)
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                parts.hostname or "", parts.port, timeout=self._timeout, context=context
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=self._timeout)
        self._local.connection = connection
        with self._lock:
            self._connections.append(connection)
        return connection

    def _drop(self) -> None:
        connection = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()
            with self._lock:
                if connection in self._connections:
                    self._connections.remove(connection)


def _advice(status: int) -> str:
    if status in (401, 403):
        return "; give the right token or password"
    return "; check the address" if status == 404 else ""
