"""Who may ask: token, host name, origins, methods, and clients that do not read.

Without a token the server listens on the loopback only. There, two things still need care: web pages in the user's own browser (they may
read only if their origin is of this machine or was named), and names that point to the loopback (DNS rebinding: the Host is checked).
"""

from __future__ import annotations

import hmac

from DicomWorkbenchLib.web_problems import Problem
from DicomWorkbenchLib.web_serving import host_name, impatient, origin_host
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..settings import LOOPBACK, ServeSettings

_SEND_SECONDS = 60.0  # a client that takes nothing for so long is let go
_LONGEST_TARGET = 1 << 16
_METHODS = ("GET", "HEAD", "OPTIONS")
_OPEN_PATHS = ("/", "/app.js", "/player.js", "/style.css", "/favicon.ico", "/icon.svg")  # the page itself holds no data
_EXPOSED = "Content-Range, Content-Length, Content-Location, ETag, Accept-Ranges, Warning"
_CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Guard:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, pass it on, and put headers on the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        allowed = self._allowed(origin)
        guarded = _sender(send, origin if allowed else "", bool(self._settings.token))
        try:
            self._check(scope, headers)
        except Problem as problem:
            await problem.response()(scope, receive, guarded)
            return
        if scope["method"] == "OPTIONS":
            await _preflight(guarded, allowed)
            return
        await self._app(scope, receive, guarded)

    def _check(self, scope: Scope, headers: Headers) -> None:
        if scope["method"] not in _METHODS:
            raise Problem(405, "this server only reads", {"Allow": ", ".join(_METHODS)})
        if len(scope["raw_path"]) + len(scope["query_string"]) > _LONGEST_TARGET:
            raise Problem(414, "the address is too long; ask for fewer frames at once")
        if not self._settings.token:
            if host_name(headers.get("host", "")) not in LOOPBACK:
                raise Problem(403, "this server is for this machine only")
            return
        if scope["method"] != "OPTIONS" and scope["path"] not in _OPEN_PATHS:
            self._check_token(headers)

    def _check_token(self, headers: Headers) -> None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode(), self._settings.token.encode())
        if scheme.lower() != "bearer" or not right:
            raise Problem(
                401, "a token is needed: Authorization: Bearer TOKEN", {"WWW-Authenticate": 'Bearer realm="DICOMweb"'}
            )

    def _allowed(self, origin: str) -> bool:
        if not origin:
            return False
        named = "*" in self._settings.origins or origin in self._settings.origins
        return named or origin_host(origin) in LOOPBACK


def _sender(send: Send, origin: str, token: bool) -> Send:
    """Add the headers of every answer, and give up on clients that stop reading."""

    in_time = impatient(send, _SEND_SECONDS)

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "no-referrer"
            headers["Cross-Origin-Opener-Policy"] = "same-origin"
            headers["Cross-Origin-Embedder-Policy"] = "require-corp"
            headers["Cross-Origin-Resource-Policy"] = "cross-origin" if token or origin else "same-site"
            headers["Content-Security-Policy"] = _CONTENT_POLICY
            headers.add_vary_header("Origin")
            if origin:
                headers["Access-Control-Allow-Origin"] = origin
                headers["Access-Control-Expose-Headers"] = _EXPOSED
        await in_time(message)

    return guarded


async def _preflight(send: Send, allowed: bool) -> None:
    headers = [(b"allow", ", ".join(_METHODS).encode()), (b"content-length", b"0")]
    if allowed:
        headers += [
            (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
            (b"access-control-allow-headers", b"Accept, Authorization, Content-Type, If-None-Match, If-Range, Range"),
            (b"access-control-max-age", b"600"),
        ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
