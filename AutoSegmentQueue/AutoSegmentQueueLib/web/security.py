"""The guard around all routes: host names, who asks, forged requests, headers of answers, how often and how slowly.

Nothing behind it runs for somebody who is not known, except the few paths in `OPEN`.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import traceback
from pathlib import Path
from urllib.parse import urlsplit

from DicomWorkbenchLib.errors import WorkbenchError
from DicomWorkbenchLib.web_problems import Problem
from DicomWorkbenchLib.web_serving import LOOPBACK, host_name
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from AutoSegmentQueueLib.web.access import Principal
from AutoSegmentQueueLib.web.context import Web
from AutoSegmentQueueLib.web.limits import RateLimit
from AutoSegmentQueueLib.web.problems import answer_to
from AutoSegmentQueueLib.web.protocol import MOST_HEADER_BYTES

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; "
    "worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
OPEN = ("/login", "/api/health", "/favicon.ico", "/robots.txt")  # and everything below /static and /login/oidc
_FORMS = ("/logout", "/upload")
SAFE = ("GET", "HEAD", "OPTIONS")
_LONGEST_TARGET = 8192
_BURST = 10  # times what is allowed each second
_log = logging.getLogger(__name__)


def cookie_name(web: Web) -> str:
    """Return the name of the session cookie; cookies know no ports, so the port is in it."""
    return f"{'__Host-' if web.place.scheme == 'https' else ''}queue_session_{web.place.port}"


class Guard:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp, web: Web) -> None:
        self._app, self._web = app, web
        self._requests = RateLimit(web.web.requests_per_second, _BURST * web.web.requests_per_second)
        self._hosts = {*LOOPBACK, *(name.lower() for name in web.web.allowed_hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, pass it on, and put headers on the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        slow = self._web.web.slow_seconds
        state = {"begun": False}
        guarded = _sender(send, state)
        try:
            self._check_form(scope)
            await self._identify(scope)
            await self._app(scope, _receiver(receive, slow), guarded)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 (the last one who can answer)
            if not isinstance(error, (Problem, WorkbenchError)):
                _log.error("%s", _where(error))
            if not state["begun"]:
                await answer_to(Request(scope), error)(scope, receive, guarded)

    def _check_form(self, scope: Scope) -> None:
        headers, path = Headers(scope=scope), scope["path"]
        if len(scope["raw_path"]) + len(scope["query_string"]) > _LONGEST_TARGET:
            raise Problem(414, "the address is too long")
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEADER_BYTES:
            raise Problem(431, "the headers of this request are too long")
        if (
            "transfer-encoding" in headers and "content-length" in headers
        ):  # a proxy before us may have read the other one
            raise Problem(400, "a request says in one way how long it is", {"Connection": "close"})
        if "\0" in path or "\\" in path:
            raise Problem(400, "the address has signs no address of this server has")
        if not self._is_our_name(scope, host_name(headers.get("host", ""))):
            raise Problem(421, "this server does not answer to that name; an admin can allow it with --allow-host")
        client = scope["client"][0] if scope.get("client") else ""
        if wait := self._requests.take(client):
            raise Problem(429, "too many requests; wait a little", {"Retry-After": str(int(wait) + 1)})
        if scope["method"] not in SAFE:
            self._check_origin(scope, headers)

    def _is_our_name(self, scope: Scope, name: str) -> bool:
        if name in self._hosts or name == self._web.web.host:
            return True
        try:  # names can be made to point here, an address cannot: it is right if the connection came in at it
            return bool(ipaddress.ip_address(name)) and name == (scope.get("server") or ("",))[0]
        except ValueError:
            return False

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        """Refuse what another site's page sends; browsers say so themselves."""
        site, origin = headers.get("sec-fetch-site", ""), headers.get("origin", "")
        if site and site not in ("same-origin", "none"):
            raise Problem(403, "this request comes from another site's page", code="wrong-origin")
        if origin and origin != "null" and urlsplit(origin).netloc.lower() == headers.get("host", "").lower():
            return
        if origin:
            raise Problem(403, "this request comes from another site's page", code="wrong-origin")

    async def _identify(self, scope: Scope) -> None:
        headers, path = Headers(scope=scope), scope["path"]
        principal = await self._web.ask(self._who, headers)
        scope["principal"] = principal
        if path in OPEN or path.startswith(("/static/", "/login/oidc")):
            return
        if path == "/" and not principal and b"token=" in scope["query_string"]:
            return  # the route takes the token
        if principal is None:
            raise Problem(
                401, "log in first, or give a token: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
            )
        if principal.session and scope["method"] not in SAFE:
            given = headers.get("x-csrf-token", "")
            if (path in _FORMS or path.startswith("/jobs/")) and not given:
                return  # a plain form: its route reads the word from a field
            if not hmac.compare_digest(given.encode(), principal.csrf.encode()):
                raise Problem(403, "this form is out of date; reload the page and try again", code="csrf")

    def _who(self, headers: Headers) -> Principal | None:
        access = self._web.access
        if authorization := headers.get("authorization", ""):
            return access.by_token(authorization)
        cookies = cookie_parser(headers.get("cookie", ""))
        return access.by_cookie(cookies.get(cookie_name(self._web), ""))


def _where(error: Exception) -> str:
    """Say what went wrong and where, without the text of the error: it may hold a file's name."""
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-6:]]
    return f"{type(error).__name__} at {' > '.join(places)}"


def _sender(send: Send, state: dict[str, bool]) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            state["begun"] = True
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return guarded


def _receiver(receive: Receive, seconds: float) -> Receive:
    """Give up on a client that stops in the middle of its request; once all has come, waiting for its end is no slowness."""
    whole = False

    async def guarded() -> Message:
        nonlocal whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout(seconds):
                message = await receive()
        except TimeoutError:
            raise Problem(408, f"nothing has come for {seconds:.0f} s", {"Connection": "close"}) from None
        whole = not message.get("more_body", False)
        return message

    return guarded
