"""The pages for people, and the files they are made of."""

from __future__ import annotations

import hmac
import shutil
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from DicomWorkbenchLib.web_problems import Problem, not_found
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from AutoSegmentQueueLib import engines
from AutoSegmentQueueLib.ledger_views import Wish
from AutoSegmentQueueLib.web import api_deliveries, api_jobs, assets
from AutoSegmentQueueLib.web.access import Principal
from AutoSegmentQueueLib.web.bodies import form_body
from AutoSegmentQueueLib.web.context import Web, web_of, who_asks
from AutoSegmentQueueLib.web.people import LOCAL_USER
from AutoSegmentQueueLib.web.routes_login import take_token

QUALITIES = ("normal", "fast", "faster")
Endpoint = Callable[[Request], Awaitable[Response]]
_YEAR_SECONDS = 31_536_000


async def index(request: Request) -> Response:
    """Show the queue; an address with a one-time token logs this browser in first."""
    if "token" in request.query_params:
        return await take_token(request)
    from AutoSegmentQueueLib.web import pages

    web, principal, query = web_of(request), who_asks(request), request.query_params
    text = query.get("q", "")[:200]
    try:
        states = api_jobs.states_of(query.get("state", ""))
    except Problem:
        states = ()
    wish = Wish(states, principal.only_user, text)
    after = query.get("after", "")
    before = int(after) if after.isascii() and after.isdigit() and len(after) < 19 else None

    def view() -> dict[str, Any]:
        return {
            "me": me_of(web, principal),
            "list": api_jobs.listing(web, principal, wish, before),
            "undelivered": api_deliveries.undelivered(web, principal),
            "engines": engines_of(web),
            "uploads": web.uploads.listed(principal) if principal.submits else [],
            "defaults": defaults_of(web),
            "peers": list(web.settings.dicom.ask) if principal.submits else [],
            "q": text,
            "state": ",".join(states),
        }

    return HTMLResponse(pages.index(await web.move(view)))


async def job(request: Request) -> Response:
    """Show one job."""
    from AutoSegmentQueueLib.web import pages

    web, principal = web_of(request), who_asks(request)
    found = await api_jobs.find(request)

    def view() -> dict[str, Any]:
        event = web.ledger.last_event()
        return {"me": me_of(web, principal), "job": api_jobs.described(web, principal, found), "event": event}

    return HTMLResponse(pages.job(await web.move(view)))


def by_form(endpoint: Endpoint) -> Endpoint:
    """Let a plain form do what a script does, and show the page again."""

    async def shown(request: Request) -> Response:
        principal, given = who_asks(request), (await form_body(request)).get("csrf", "")
        if not principal.session or not hmac.compare_digest(given.encode(), principal.csrf.encode()):
            raise Problem(403, "this form is out of date; reload the page and try again", code="csrf")
        answer = await endpoint(request)
        job = request.path_params["id"]
        return RedirectResponse("/" if answer.status_code == 204 else f"/jobs/{quote(job)}", 303)

    return shown


async def static(request: Request) -> Response:
    """Send a style, script or icon."""
    asset = await web_of(request).move(assets.find, request.path_params["name"])  # the first time it is packed
    if asset is None:
        raise not_found("there is nothing at this address")
    known = request.query_params.get("v") == asset.digest
    headers = {
        "Cache-Control": f"public, max-age={_YEAR_SECONDS}, immutable" if known else "no-cache",
        "ETag": f'"{asset.digest}"',
        "Vary": "Accept-Encoding",
    }
    if asset.digest in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    body = asset.body
    if "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = asset.gzipped, "gzip"
    return Response(body, media_type=asset.media_type, headers=headers)


async def favicon(request: Request) -> Response:
    """Send the icon browsers ask for by themselves."""
    asset = assets.find("icon.svg")
    return Response(asset.body, media_type="image/svg+xml") if asset else Response(status_code=404)


async def robots(request: Request) -> Response:
    """Tell search engines to stay away."""
    return Response("User-agent: *\nDisallow: /\n", media_type="text/plain")


async def me(request: Request) -> Response:
    """Say who asks, and how much they may store."""
    web, principal = web_of(request), who_asks(request)
    return JSONResponse(await web.ask(me_of, web, principal))


def me_of(web: Web, principal: Principal) -> dict[str, Any]:
    """Return who asks, what they may do and how much they may store."""
    return {
        "name": "" if principal.name == LOCAL_USER else principal.name,
        "role": principal.role,
        "csrf": principal.csrf,
        "can_submit": principal.submits,
        "can_admin": principal.rules,
        "quota": {"used": web.uploads.used_bytes(principal.name), "limit": web.web.quota_bytes},
        "free_bytes": shutil.disk_usage(web.home.root).free,
    }


async def engine_list(request: Request) -> Response:
    """List the engines, their tasks, and why one cannot be used here."""
    web = web_of(request)
    return JSONResponse(await web.move(engines_of, web))


def engines_of(web: Web) -> list[dict[str, Any]]:
    """Return the engines; what they can do is asked once for the life of the server."""
    if not web.engines:
        web.engines = [_engine(name) for name in engines.names()]
    return web.engines


def defaults_of(web: Web) -> dict[str, str]:
    """Return what is done with a scan if nothing else is chosen."""
    segmentation = web.settings.segmentation
    return {"engine": web.settings.engine, "task": segmentation.task, "quality": segmentation.options()["quality"]}


def _engine(name: str) -> dict[str, Any]:
    engine = engines.get(name)
    reason = engine.available()
    tasks = getattr(engine, "tasks", None)
    return {
        "name": name,
        "title": engine.title,
        "available": reason is None,
        "reason": reason,
        "tasks": list(tasks()) if tasks and reason is None else [],
        "qualities": list(QUALITIES) if tasks else [],
    }


async def health(request: Request) -> Response:
    """Say that the server answers and reads the ledger."""
    web = web_of(request)
    await web.ask(web.ledger.last_event)
    return JSONResponse({"status": "ok"})


async def status(request: Request) -> Response:
    """Say what is in the queue, as ``queue status --json --detail`` does; the newest thousand jobs."""
    web, principal = web_of(request), who_asks(request)

    def found() -> dict[str, Any]:
        jobs = web.ledger.newest(Wish(user=principal.only_user), None, 1000)
        return {"jobs": web.rows.rows(jobs, principal), **web.rows.queue(principal.only_user)}

    return JSONResponse(await web.move(found))
