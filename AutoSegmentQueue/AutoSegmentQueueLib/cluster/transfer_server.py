"""The queue's side of transfers: offers the files of orders to their nodes and takes back what they made.

Every order has a token of its own that opens its files and nothing else, from the moment it is given to a node until the queue has heard
of its end. Results come into the order's private folder and are then checked by their manifest like any others.
"""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import threading
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from AutoSegmentQueueLib.cluster.parcel import Parcel, ParcelFile
from AutoSegmentQueueLib.cluster.settings import ADDRESS, ClusterSettings
from AutoSegmentQueueLib.cluster.transfer_incoming import Incoming
from AutoSegmentQueueLib.cluster.transfer_requests import Handler
from AutoSegmentQueueLib.executor import Order

WORK = "work"  # the node's name for the job's private folder, below its folder of the job


@dataclass
class Offer:
    """The files of one order.

    Attributes
    ----------
    files : what may be fetched, by number.
    incoming : what comes back.
    withdrawn : set once nothing of it may be fetched or returned any more.
    """

    token: str
    files: list[Path]
    incoming: Incoming
    withdrawn: threading.Event = field(default_factory=threading.Event)
    _free: threading.Lock = field(default_factory=threading.Lock)

    def claim(self) -> bool:
        """Let the order be begun once; False for a second time."""
        return self._free.acquire(blocking=False)

    def opens(self, token: str) -> bool:
        """True for the token of this order while it is good."""
        return hmac.compare_digest(self.token.encode(), token.encode()) and not self.withdrawn.is_set()


class FileServer:
    """Serves the files of orders over HTTP, with certificates over HTTPS.

    Raises
    ------
    SettingsError : the certificates cannot be used.
    OSError : the port is taken.
    """

    def __init__(self, settings: ClusterSettings, scheduler: str) -> None:
        host, port = _own_address(settings.files_address, scheduler)
        self._offers: dict[str, Offer] = {}
        self._lock = threading.Lock()
        self._most_bytes = settings.result_bytes
        context = None
        if settings.tls is not None:
            from AutoSegmentQueueLib.cluster.tls import ssl_context

            context = ssl_context(settings.tls, server=True)
        bound = "" if settings.files_address else host
        self._server = _Server((bound, port), Handler)
        self._server.context, self._server.find = context, self.find
        self._address = f"{'https' if context else 'http'}://{host}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, name="cluster files", daemon=True).start()

    def offer(self, order: Order) -> Parcel:
        """Make an order's files ready for its node."""
        paths, listed, roots = [], [], [(str(order.folder), WORK)]
        for path in sorted(path for path in order.folder.iterdir() if path.is_file()):
            paths.append(path)
            listed.append(ParcelFile(f"{WORK}/{path.name}", path.stat().st_size))
        for number, given in enumerate(order.inputs):
            root = f"inputs/{number}/{given.name}"
            roots.append((str(given), root))
            for path in _files_of(given):
                paths.append(path)
                name = root if path == given else f"{root}/{path.relative_to(given).as_posix()}"
                listed.append(ParcelFile(name, path.stat().st_size))
        token = secrets.token_urlsafe(32)
        incoming = Incoming(order.folder, order.stdout, order.stderr, self._most_bytes)
        with self._lock:
            self._offers[order.key] = Offer(token, paths, incoming)
        return Parcel(f"{self._address}/{order.key}", token, tuple(listed), tuple(roots))

    def withdraw(self, key: str) -> None:
        """Let nobody fetch or return anything for an order any more."""
        with self._lock:
            offer = self._offers.pop(key, None)
        if offer:
            offer.withdrawn.set()

    def find(self, key: str, token: str) -> Offer | None:
        """Return an order's offer to who has its token."""
        with self._lock:
            offer = self._offers.get(key)
        return offer if offer and offer.opens(token) else None

    def close(self) -> None:
        """End the service."""
        for key in list(self._offers):
            self.withdraw(key)
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    context: Any = None
    find: Any = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, so that a silent peer keeps nobody waiting."""
        request.settimeout(Handler.timeout)
        if self.context is None:
            super().finish_request(request, client_address)
            return
        with self.context.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as secured:
            secured.do_handshake()
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke off is tried again by its node."""


def _files_of(given: Path) -> list[Path]:
    if not given.is_dir():
        return [given]
    return sorted(Path(base) / name for base, _, names in os.walk(given) for name in names)


def _own_address(wanted: str, scheduler: str) -> tuple[str, int]:
    """Return under which address of ours the nodes are told to fetch: what is set, or the one that leads to the scheduler."""
    if wanted:
        host, _, port = wanted.rpartition(":") if wanted.rpartition(":")[2].isdigit() else (wanted, "", "0")
        return host or wanted, int(port)
    if not ADDRESS.match(scheduler):
        return (socket.gethostname() if scheduler == "slurm" else "127.0.0.1"), 0
    parts = urlsplit(scheduler)
    family = socket.AF_INET6 if ":" in (parts.hostname or "") else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((parts.hostname, parts.port))  # sends nothing; asks the system for the way
        return str(probe.getsockname()[0]), 0
