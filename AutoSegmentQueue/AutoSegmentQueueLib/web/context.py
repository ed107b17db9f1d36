"""What all routes of one server share: the queue, the server's data base, and threads for work that waits for disks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from DicomWorkbenchLib.web_problems import Problem
from starlette.requests import Request

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.web import oidc_settings
from AutoSegmentQueueLib.web.access import Access, Principal
from AutoSegmentQueueLib.web.audit import Audit
from AutoSegmentQueueLib.web.deliveries import Deliveries
from AutoSegmentQueueLib.web.handover import Handover
from AutoSegmentQueueLib.web.limits import RateLimit
from AutoSegmentQueueLib.web.people import People
from AutoSegmentQueueLib.web.rows import Rows
from AutoSegmentQueueLib.web.sessions import Sessions
from AutoSegmentQueueLib.web.settings import WebSettings
from AutoSegmentQueueLib.web.store import WebStore
from AutoSegmentQueueLib.web.tokens import Tokens
from AutoSegmentQueueLib.web.upload_writer import Stop
from AutoSegmentQueueLib.web.uploads import Uploads

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger(__name__)
LOGINS_PER_SECOND, LOGIN_BURST = 1 / 20, 8  # of one address, and for one name
FLOWS_PER_SECOND, FLOW_BURST = 1.0, 60.0  # logins of one address that begin at a provider
UPLOAD_BURST = 1000.0
_DESKS = 4  # threads that ask the data bases; each has a connection to both
_MOVERS = 6  # threads that write uploads, read results and draw slices


@dataclass(frozen=True)
class Place:
    """How browsers reach this server: scheme, port, and the one-time token of the printed address."""

    scheme: str
    port: int
    token: str = ""


class _Held:
    """Who has an upload now, and how to ask them to end."""

    def __init__(self) -> None:
        self.lock, self.stop, self.waiting = asyncio.Lock(), Stop(), 0


class Web:
    """The server's state; `close` ends its threads and connections."""

    def __init__(self, home: Home, settings: QueueSettings, web: WebSettings, place: Place) -> None:
        self.home, self.settings, self.web, self.place = home, settings, web, place
        self.ledger = Ledger(home.ledger)
        self.store = WebStore(home)
        self.people = People(self.store)
        self.sessions = Sessions(self.store, web)
        self.tokens = Tokens(self.store)
        self.audit = Audit(self.store)
        self.access = Access(self.people, self.sessions, self.tokens)
        self.rows = Rows(self.ledger, settings)
        self.deliveries = Deliveries(home)
        self.uploads = Uploads(home, settings, web, self.ledger, self.store)
        self.handover = Handover(home, settings, self.ledger, self.uploads)
        self.upload_rate = RateLimit(web.uploads_per_second, UPLOAD_BURST)
        self._held: dict[str, _Held] = {}
        self.engines: list[dict[str, Any]] = []
        provider = oidc_settings.load(home)
        self.oidc: Any = None
        if provider is not None:
            from AutoSegmentQueueLib.web.oidc import Provider

            self.oidc = Provider(provider)
        self.logins = RateLimit(LOGINS_PER_SECOND, LOGIN_BURST)
        self.flows = RateLimit(FLOWS_PER_SECOND, FLOW_BURST)
        self._background: set[asyncio.Task[object]] = set()
        self._desks = ThreadPoolExecutor(_DESKS, "desk")
        self._movers = ThreadPoolExecutor(_MOVERS, "mover")
        self._guards = ThreadPoolExecutor(1, "password")  # one at a time: each takes 64 MB

    async def ask(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run something quick that waits for a data base."""
        return await _in(self._desks, work, *args, **kwargs)

    async def move(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run something that reads or writes files."""
        return await _in(self._movers, work, *args, **kwargs)

    async def guard(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run something that hashes a password."""
        return await _in(self._guards, work, *args, **kwargs)

    @asynccontextmanager
    async def holding(self, upload_id: str, seconds: float) -> AsyncIterator[Stop]:
        """Let one request at a time have an upload; an older one is asked to end, by what it was given.

        Raises
        ------
        Problem : it does not end.
        """
        held = self._held.setdefault(upload_id, _Held())
        held.waiting += 1
        held.stop.ask()
        try:
            async with asyncio.timeout(seconds):
                await held.lock.acquire()
        except TimeoutError:
            raise Problem(423, "another request has this upload") from None
        finally:
            held.waiting -= 1
        held.stop = Stop()
        try:
            yield held.stop
        finally:
            held.lock.release()
            if not held.waiting and self._held.get(upload_id) is held:
                del self._held[upload_id]

    def later(self, work: Coroutine[Any, Any, object]) -> None:
        """Go on with something after the answer."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.warning("%s: %s", type(error).__name__, error)

    async def note(self, request: Request, what: str, subject: str = "", status: int = 200, who: str = "") -> None:
        """Write a line of the audit."""
        principal: Principal | None = request.scope.get("principal")
        name = who or (principal.name if principal else "")
        await self.ask(self.audit.note, name, what, subject, client_of(request), status)

    def close(self) -> None:
        """End threads and connections."""
        for pool in (self._desks, self._movers, self._guards):
            pool.shutdown(wait=True, cancel_futures=True)
        self.ledger.close()
        self.deliveries.close()
        self.store.close()


async def _in(pool: ThreadPoolExecutor, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    return await asyncio.get_running_loop().run_in_executor(pool, lambda: work(*args, **kwargs))


def web_of(request: Request) -> Web:
    """Return the state of the server a request came to."""
    found: Web = request.app.state.web
    return found


def who_asks(request: Request) -> Principal:
    """Return who asks; the guard has seen to it that somebody does."""
    found: Principal = request.scope["principal"]
    return found


def client_of(request: Request) -> str:
    """Return the address of the client."""
    return request.client.host if request.client else ""
