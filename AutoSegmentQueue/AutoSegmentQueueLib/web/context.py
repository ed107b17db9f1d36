"""What all routes of one server share: the queue, the server's data base, and threads for work that waits for disks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from starlette.requests import Request

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.web.access import Access, Principal
from AutoSegmentQueueLib.web.audit import Audit
from AutoSegmentQueueLib.web.limits import RateLimit
from AutoSegmentQueueLib.web.people import People
from AutoSegmentQueueLib.web.rows import Rows
from AutoSegmentQueueLib.web.sessions import Sessions
from AutoSegmentQueueLib.web.settings import WebSettings
from AutoSegmentQueueLib.web.store import WebStore
from AutoSegmentQueueLib.web.tokens import Tokens
from AutoSegmentQueueLib.web.uploads import Uploads

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger(__name__)
LOGINS_PER_SECOND, LOGIN_BURST = 1 / 20, 8  # of one address, and for one name
_DESKS = 4  # threads that ask the data bases; each has a connection to both
_MOVERS = 6  # threads that write uploads, read results and draw slices


@dataclass(frozen=True)
class Place:
    """How browsers reach this server: scheme, port, and the one-time token of the printed address."""

    scheme: str
    port: int
    token: str = ""


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
        self.uploads = Uploads()
        self.engines: list[dict[str, Any]] = []
        self.oidc: Any = None
        self.logins = RateLimit(LOGINS_PER_SECOND, LOGIN_BURST)
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
