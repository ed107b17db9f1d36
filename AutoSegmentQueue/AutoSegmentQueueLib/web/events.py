"""Live updates (Server-Sent Events): one reader of the ledger for all browsers, at most four times a second, with replay.

A browser that does not keep up is let go; it comes back by itself with the number of the last event it saw, and misses nothing.

References
----------
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from DicomWorkbenchLib.errors import WorkbenchError
from DicomWorkbenchLib.web_problems import Problem, bad_request
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from AutoSegmentQueueLib.ledger import Job
from AutoSegmentQueueLib.ledger_views import Change
from AutoSegmentQueueLib.web.access import Principal
from AutoSegmentQueueLib.web.context import Web, web_of, who_asks

LOOK_SECONDS = 0.05
COALESCE_SECONDS = 0.25
HEARTBEAT_SECONDS = 15.0
MOST_REPLAYED = 1000  # jobs; who missed more loads the list anew
MOST_OF_USER = 60
_BACKLOG = 40  # updates a browser may be behind: ten seconds of a busy queue
_START = b"retry: 2000\n\n"
RELOAD = b"event: reload\ndata: {}\n\n"


@dataclass
class Update:
    """What is new since the last look; texts are made once for all browsers that see the same."""

    changes: list[Change]
    progress: list[Job]
    always: bool = False  # say how the queue is, also if no job has changed
    _texts: dict[tuple[str, bool], bytes] = field(default_factory=dict)
    _queues: dict[str | None, bytes] = field(default_factory=dict)

    def text(self, web: Web, principal: Principal) -> bytes:
        """Return the part of it somebody sees."""
        parts = [self._job(web, principal, one.job, one.event) for one in self.changes if _concerns(principal, one.job)]
        parts += [self._job(web, principal, job, None) for job in self.progress if principal.sees(job)]
        if self.changes or self.always:
            user = principal.only_user
            if user not in self._queues:
                self._queues[user] = _message("queue", web.rows.queue(user))
            parts.append(self._queues[user])
        return b"".join(parts)

    def _job(self, web: Web, principal: Principal, job: Job, event: int | None) -> bytes:
        key = (job.id, principal.handles(job))
        if key not in self._texts:
            row: dict[str, Any] = web.rows.row(job, key[1])
            if job.hidden:
                row = {"id": job.id, "seq": job.seq, "state": "deleted"}
            self._texts[key] = _message("job", row, event)
        return self._texts[key]


def _concerns(principal: Principal, job: Job) -> bool:
    return principal.reads_all or job.user == principal.name


def _message(kind: str, data: dict[str, Any], event: int | None = None) -> bytes:
    number = f"id: {event}\n" if event is not None else ""
    return f"{number}event: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


class Follower:
    """One browser: what it has not been sent yet, and whether it was let go."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.waiting: deque[bytes] = deque()
        self.ready = asyncio.Event()
        self.dropped = False

    def give(self, text: bytes) -> None:
        """Add an update; one that is too far behind is let go instead."""
        if len(self.waiting) >= _BACKLOG:
            self.dropped = True
            self.waiting.clear()
        elif text:
            self.waiting.append(text)
        self.ready.set()


class Hub:
    """Reads the ledger for all followers."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._followers: set[Follower] = set()
        self._event = 0
        self._version = -1
        self._facts = ""
        self._shown: dict[str, tuple[float, str]] = {}  # job -> progress and stage that were told last

    async def run(self) -> None:
        """Look until cancelled; nobody listening costs nothing."""
        while True:
            began = time.monotonic()
            try:
                update = await self._web.ask(self._look) if self._followers else None
                if update is not None:
                    await self._tell(update)
            except WorkbenchError:  # a full disk or a locked ledger: the next look may work
                update = None
            pause = COALESCE_SECONDS if update else LOOK_SECONDS
            await asyncio.sleep(max(0.01, pause - (time.monotonic() - began)))

    def _look(self) -> Update | None:
        ledger = self._web.ledger
        version = ledger.data_version()
        own = ledger.last_event()  # our own connections' writes do not change the version that this one sees
        if version == self._version and own == self._event:
            return None
        self._version = version
        changes = ledger.changes(self._event, MOST_REPLAYED)
        told = {one.job.id for one in changes}
        active = {job.id: job for job in ledger.active() if job.id not in told}
        progress = [job for job in active.values() if self._shown.get(job.id) != (job.progress, job.stage)]
        self._shown = {job.id: (job.progress, job.stage) for job in (*active.values(), *(one.job for one in changes))}
        facts = f"{ledger.paused}|{ledger.fact('intake')}"
        if not changes and not progress and facts == self._facts:
            return None
        update = Update(changes, progress, always=facts != self._facts)
        self._facts = facts
        self._event = max([self._event, *(one.event for one in changes)])
        return update

    async def _tell(self, update: Update) -> None:
        followers = list(self._followers)
        texts = await self._web.ask(lambda: [update.text(self._web, one.principal) for one in followers])
        for follower, text in zip(followers, texts, strict=True):
            follower.give(text)

    async def join(self, principal: Principal, after: int | None) -> Follower:
        """Add a browser; what it missed since an event comes first.

        Raises
        ------
        Problem : too many follow already.
        """
        own = sum(one.principal.name == principal.name for one in self._followers)
        if len(self._followers) >= self._web.web.most_events or own >= MOST_OF_USER:
            raise Problem(503, "too many browsers follow the queue already", {"Retry-After": "30"})
        if not self._followers:
            self._event = await self._web.ask(self._web.ledger.last_event)
        follower = Follower(principal)
        self._followers.add(follower)  # before the replay: something told twice does no harm, something missed does
        if after is not None:
            follower.waiting.appendleft(await self._web.ask(self._missed, principal, after))
            follower.ready.set()
        return follower

    def _missed(self, principal: Principal, after: int) -> bytes:
        ledger = self._web.ledger
        changes = ledger.changes(after, MOST_REPLAYED + 1)
        if len(changes) > MOST_REPLAYED or after > ledger.last_event():
            return RELOAD
        return Update(changes, ledger.active(), always=True).text(self._web, principal)

    def leave(self, follower: Follower) -> None:
        """Forget a browser."""
        self._followers.discard(follower)

    def __len__(self) -> int:
        return len(self._followers)


async def events(request: Request) -> Response:
    """Follow the jobs."""
    web = web_of(request)
    text = request.headers.get("last-event-id", "") or request.query_params.get("after", "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 19):
        raise bad_request("after must be the number of an event")
    hub: Hub = request.app.state.hub
    follower = await hub.join(who_asks(request), int(text) if text else None)
    headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    return StreamingResponse(_stream(web, hub, follower), media_type="text/event-stream", headers=headers)


async def _stream(web: Web, hub: Hub, follower: Follower) -> AsyncIterator[bytes]:
    session = follower.principal.session
    try:
        yield _START
        while not follower.dropped:
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await follower.ready.wait()
            except TimeoutError:
                if session and not await web.ask(web.sessions.lives, session):
                    return  # logged out meanwhile
                yield b": still here\n\n"
            follower.ready.clear()
            while follower.waiting:
                yield follower.waiting.popleft()
    finally:
        hub.leave(follower)
