"""Servers of the queue's web side for tests: in a thread of the test's own process, on 127.0.0.1 and a free port."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.web import people
from AutoSegmentQueueLib.web.people import People, Role
from AutoSegmentQueueLib.web.run import run
from AutoSegmentQueueLib.web.settings import WebSettings
from AutoSegmentQueueLib.web.store import WebStore
from AutoSegmentQueueLib.web.tokens import Tokens
from DicomWorkbenchLib.progress import CancelToken

from queue_testing import opened_home

# Passwords of tests need not withstand anybody: one real hash takes up to a second on a busy machine.
people._hasher = lambda: PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)  # type: ignore[assignment]
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}
PASSWORD = "a long enough password"


@dataclass
class WebServer:
    """A server that runs."""

    address: str  # without a slash at the end
    printed: str  # with the one-time token
    home: Home
    settings: QueueSettings
    ledger: Ledger

    @property
    def host(self) -> str:
        return self.address.partition("//")[2]

    @contextlib.contextmanager
    def browser(self, **options: Any) -> Iterator[httpx.Client]:
        """A client without any login."""
        with httpx.Client(base_url=self.address, timeout=30, **options) as client:
            yield client

    @contextlib.contextmanager
    def local(self) -> Iterator[httpx.Client]:
        """A browser that has opened the printed address, with its word against forged requests."""
        with self.browser() as client:
            assert client.get(self.printed, follow_redirects=True).status_code == 200
            client.headers["X-CSRF-Token"] = client.get("/api/me").json()["csrf"]
            yield client

    @contextlib.contextmanager
    def user(self, name: str) -> Iterator[httpx.Client]:
        """A browser in which somebody has logged in."""
        with self.browser() as client:
            log_in(client, name)
            client.headers["X-CSRF-Token"] = client.get("/api/me").json()["csrf"]
            yield client

    @contextlib.contextmanager
    def script(self, scopes: str = "admin", name: str = "script", user: str = "") -> Iterator[httpx.Client]:
        """A client with a token."""
        with self.store() as store:
            secret = Tokens(store).add(name, tuple(scopes.split(",")), 1, user)
        with self.browser(headers={"Authorization": f"Bearer {secret}"}) as client:
            yield client

    @contextlib.contextmanager
    def store(self) -> Iterator[WebStore]:
        store = WebStore(self.home)
        try:
            yield store
        finally:
            store.close()

    def add_user(self, name: str, role: str) -> None:
        with self.store() as store:
            People(store).add(name, Role(role), PASSWORD)


@contextlib.contextmanager
def web_server(
    root: Path, web: WebSettings | None = None, users: dict[str, str] | None = None, **changes: Any
) -> Iterator[WebServer]:
    """A server of a home with the light job; ``users`` are names and roles."""
    with opened_home(root, **changes) as (home, settings, ledger):
        store = WebStore(home)
        for name, role in (users or {}).items():
            People(store).add(name, Role(role), PASSWORD)
        store.close()
        cancel, told, is_ready = CancelToken(), [], threading.Event()
        failed: list[BaseException] = []

        def serve() -> None:
            try:
                run(home, settings, web or WebSettings(), 0, cancel, lambda text: (told.append(text), is_ready.set()))
            except BaseException as error:  # noqa: BLE001 (handed to the test)
                failed.append(error)
                is_ready.set()

        thread = threading.Thread(target=serve, name="web server under test")
        thread.start()
        try:
            assert is_ready.wait(30)
            if failed:
                raise failed[0]
            printed = told[0].split("   ")[0]
            yield WebServer(printed.partition("/?")[0].rstrip("/"), printed, home, settings, ledger)
        finally:
            cancel.cancel()
            thread.join(20)
        assert not thread.is_alive()


def log_in(client: httpx.Client, name: str, password: str = PASSWORD, goal: str = "/") -> httpx.Response:
    """Fill in the form."""
    import re

    page = client.get("/login").text
    word = re.search(r'name="csrf" value="([^"]+)"', page)
    assert word
    return client.post("/login", data={"name": name, "password": password, "csrf": word[1], "next": goal})


def metadata(**values: str) -> str:
    """The header ``Upload-Metadata``."""
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())


def begin(client: httpx.Client, length: int, **values: str) -> httpx.Response:
    """Create an upload."""
    return client.post(
        "/api/uploads", headers={**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata(**values)}
    )


def send(client: httpx.Client, url: str, offset: int, content: bytes, **headers: str) -> httpx.Response:
    """Send bytes of it."""
    return client.patch(url, headers={**BYTES, "Upload-Offset": str(offset), **headers}, content=content)


def upload(client: httpx.Client, content: bytes, **values: str) -> httpx.Response:
    """Create an upload and send it in one request."""
    headers = {**BYTES, "Upload-Length": str(len(content)), "Upload-Metadata": metadata(**values)}
    return client.post("/api/uploads", headers=headers, content=content)


class Follower:
    """Reads live events in a thread until closed; keeps them with the time they came."""

    def __init__(self, client: httpx.Client, **headers: str) -> None:
        self.found: list[tuple[str, dict[str, Any], int | None]] = []
        self.times: list[float] = []
        self._connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=60)
        cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}
        self._connection.request("GET", "/api/events", headers={**cookie, **headers})
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200, self._answer.status
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        message: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError, AttributeError, http.client.HTTPException):
            while line := self._answer.readline():
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    message[name] = value
                    continue
                if "event" in message:
                    number = int(message["id"]) if "id" in message else None
                    self.times.append(time.time())
                    self.found.append((message["event"], json.loads(message["data"]), number))
                message = {}

    def rows(self, job_id: str) -> list[dict[str, Any]]:
        """What was told of a job."""
        return [data for kind, data, _ in list(self.found) if kind == "job" and data["id"] == job_id]

    def close(self) -> int:
        """Close and return the number of the last event."""
        if self._connection.sock:
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._connection.close()
        self._answer.close()
        return max([number for _, _, number in self.found if number is not None], default=0)
