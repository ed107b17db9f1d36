"""The node's side of transfers: fetches what an order reads, and returns what it made."""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from DicomWorkbenchLib.report import relative_files, sha256_of

from AutoSegmentQueueLib.cluster.mapping import PathMap
from AutoSegmentQueueLib.cluster.parcel import Parcel
from AutoSegmentQueueLib.cluster.transfer_incoming import FAILURE, RESULT, STDERR, STDOUT
from AutoSegmentQueueLib.executor import Advance

if TYPE_CHECKING:
    from AutoSegmentQueueLib.cluster.node import RemoteOrder, Site

BLOCK = 1 << 20
TIMEOUT_SECONDS = 30.0
TRY_SECONDS = 60.0  # how long a transfer that makes no headway is tried
WAIT_SECONDS = 1.0
LAST_OF_LOG = 4 << 20
_FINAL = (400, 403, 404, 409, 410, 413)  # trying again would change nothing


class TransferError(OSError):
    """A transfer that cannot succeed: refused by the queue, damaged on the way, or not wanted any more."""


def perform_away(remote: RemoteOrder, parcel: Parcel, site: Site) -> dict[str, Any]:
    """Fetch an order's files, run it in a folder of this node, return its files; nothing is left here.

    Raises
    ------
    OSError : the queue cannot be reached, or does not want it any more.
    """
    from AutoSegmentQueueLib.cluster.node import perform_here

    with tempfile.TemporaryDirectory(prefix="order-", dir=site.folder, ignore_cleanup_errors=True) as name:
        root = Path(name)
        with closing(QueueFiles(parcel, site.tls, site.wanted)) as queue:
            queue.claim()
            site.tell(Advance(0.0, "fetching"))
            queue.fetch(root)
        log = root / "log"
        here = tuple((path, str(root / below)) for path, below in parcel.roots)
        away = replace(remote, stderr=str(log), paths=here)
        for below in ("tmp", "home"):
            (root / "work" / below).mkdir(parents=True, exist_ok=True)
        ending = perform_here(away, PathMap(here), site)
        if ending["why"] != "cancelled":
            site.tell(Advance(1.0, "returning"))
            with closing(QueueFiles(parcel, site.tls, site.wanted)) as queue:
                queue.give_back(root / "work", Path(PathMap(here).text(remote.stdout)), log)
        return ending


class QueueFiles:
    """The file server of a queue, seen from a node.

    Parameters
    ----------
    tls : CA, certificate and key files of this node; None where there are none.
    wanted : false once the order is over; every transfer stops then.
    """

    def __init__(self, parcel: Parcel, tls: tuple[str, str, str] | None, wanted: Callable[[], bool]) -> None:
        self._parcel, self._wanted = parcel, wanted
        parts = urlsplit(parcel.address)
        self._host, self._port, self._path = parts.hostname or "", parts.port or 0, parts.path
        self._context = _context(tls) if parts.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None
        self._begun: set[str] = set()

    def claim(self) -> None:
        """Begin the order.

        Raises
        ------
        FileExistsError : it was begun before.
        """
        try:
            self._again(lambda: self._ask("POST", "claim", b""))
        except TransferError as error:
            if error.errno == 409:
                raise FileExistsError("begun before") from error
            raise

    def fetch(self, root: Path) -> None:
        """Bring all files below a folder, and hold them against their SHA-256."""
        digests, sums = [], []
        for number, file in enumerate(self._parcel.files):
            path = root / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            digest = hashlib.sha256()
            sums.append(self._again(lambda p=path, n=number, s=file.size, d=digest: self._fetch_on(p, n, s, d)))  # type: ignore[misc]
            digests.append(digest.hexdigest())
        if not all(sums):
            sums = json.loads(self._again(lambda: self._ask("GET", "sums")))
        if sums != digests:
            raise TransferError(422, "an input arrived damaged, or was changed on its way")

    def give_back(self, work: Path, stdout: Path, log: Path) -> None:
        """Return result, failure, and the ends of both outputs."""
        for output in (log, stdout):
            _cut(output)
        found = {STDOUT: stdout, STDERR: log, FAILURE: work / "result.failure.json"}
        files = {name: path for name, path in found.items() if path.is_file()}
        if (work / RESULT).is_dir():
            files |= {f"{RESULT}/{name}": work / RESULT / name for name in relative_files(work / RESULT)}
        for name, path in files.items():
            sha256 = sha256_of(path)
            self._again(lambda n=name, p=path, s=sha256: self._put_on(n, p, s))  # type: ignore[misc]
        self._again(lambda: self._ask("POST", "complete", json.dumps(list(files)).encode()))

    def _fetch_on(self, path: Path, number: int, size: int, digest: Any) -> str:
        """Go on with a file where it broke off; returns its SHA-256 if the queue says it."""
        with path.open("r+b") as file:
            here = file.seek(0, 2)
            with self._open("GET", f"file/{number}", headers={"Range": f"bytes={here}-"}) as answer:
                said = str(answer.headers.get("X-SHA256", ""))
                while block := answer.read(BLOCK):
                    self._check_wanted()
                    file.write(block)
                    digest.update(block)
            if file.tell() != size:
                raise ConnectionError(f"{file.tell()} of {size} bytes came")
        return said

    def _put_on(self, name: str, path: Path, sha256: str) -> None:
        """Go on with a result where it broke off."""
        verb, total, here = f"return/{quote(name)}", path.stat().st_size, 0
        if name in self._begun:
            with self._open("HEAD", verb) as answer:
                here = int(answer.headers["X-Offset"])
        self._begun.add(name)
        if here == total and total:
            return
        headers = {"X-Offset": str(here), "X-Size": str(total), "X-SHA256": sha256, "Content-Length": str(total - here)}
        with path.open("rb") as file:
            file.seek(here)
            with self._open("PUT", verb, self._blocks(file), headers):
                pass

    def _blocks(self, file: Any) -> Iterator[bytes]:
        while block := file.read(BLOCK):
            self._check_wanted()
            yield block

    def _ask(self, method: str, verb: str, body: bytes | None = None) -> bytes:
        with self._open(method, verb, body) as answer:
            content: bytes = answer.read()
            return content

    @contextmanager
    def _open(
        self, method: str, verb: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._connected()
        try:
            given = {"Authorization": f"Bearer {self._parcel.token}", **(headers or {})}
            connection.request(method, f"{self._path}/{verb}", body, given)
            answer = connection.getresponse()
            if answer.status >= 300:
                said = answer.read(500).decode("utf-8", "replace") or answer.reason
                raise TransferError(answer.status, f"the queue refused: {said}")
            yield answer
            answer.read()
        except BaseException:
            self.close()
            raise

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            if self._context:
                self._connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=TIMEOUT_SECONDS, context=self._context
                )
            else:
                self._connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)
            self._connection.connect()
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._connection

    def close(self) -> None:
        """End the connection; the next request makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _again(self, step: Callable[[], Any]) -> Any:
        """Do a step until it works; give up when refused for good, or without success for `TRY_SECONDS`."""
        until = time.monotonic() + TRY_SECONDS
        while True:
            self._check_wanted()
            try:
                return step()
            except TransferError as error:
                if error.errno in _FINAL or time.monotonic() > until:
                    raise
            except (OSError, http.client.HTTPException) as error:
                if time.monotonic() > until:
                    raise TransferError(0, f"the queue cannot be reached ({type(error).__name__})") from error
            time.sleep(WAIT_SECONDS)

    def _check_wanted(self) -> None:
        if not self._wanted():
            raise TransferError(410, "the order is over")


def _context(tls: tuple[str, str, str] | None) -> ssl.SSLContext:
    from AutoSegmentQueueLib.cluster.tls import context_of

    if tls is None:
        raise TransferError(403, "the queue asks for certificates, and this node has none")
    return context_of(*tls, server=False)


def _cut(path: Path) -> None:
    """Keep the end of a long output; its last line is what counts."""
    if path.is_file() and path.stat().st_size > LAST_OF_LOG:
        with path.open("rb") as file, path.with_suffix(".end").open("wb") as end:
            file.seek(-LAST_OF_LOG, 2)
            file.readline()
            shutil.copyfileobj(file, end)
        path.with_suffix(".end").replace(path)
