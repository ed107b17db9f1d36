"""The routes of the server (DICOM PS3.18 tables 10.1-1 and 10.4.1-1)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.resources import files

from DicomWorkbenchLib.web_problems import Problem, bad_request, not_found
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..settings import ServeSettings
from .answers import accept_of, base_of
from .catalog import SERIES, STUDY, Catalog, is_uid
from .desk import Desk
from .negotiation import best_of
from .pool import Pool
from .qido import Query, search
from .security import Guard
from .wado_frames import WadoFrames
from .wado_objects import WadoObjects

ROOT = "/dicomweb"
_TYPES = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8",
          "svg": "image/svg+xml"}  # fmt: skip
_PAGE = {
    "/": "index.html",
    "/app.js": "app.js",
    "/player.js": "player.js",
    "/style.css": "style.css",
    "/icon.svg": "icon.svg",
}
Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(catalog: Catalog, settings: ServeSettings) -> Starlette:
    """Return the ASGI application that serves a catalogue."""
    pool = Pool()
    desk = Desk(catalog, pool, ROOT)
    frames, objects = WadoFrames(desk), WadoObjects(desk)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        pool.close()

    study, series, instance = "/studies/{study}", "/series/{series}", "/instances/{sop}"
    one = study + series + instance
    table: list[tuple[str, Endpoint]] = [
        ("/studies", _searching(catalog, "study")),
        ("/series", _searching(catalog, "series")),
        ("/instances", _searching(catalog, "instance")),
        (study + "/series", _searching(catalog, "series")),
        (study + "/instances", _searching(catalog, "instance")),
        (study + series + "/instances", _searching(catalog, "instance")),
        (study + "/metadata", objects.metadata),
        (study + series + "/metadata", objects.metadata),
        (one + "/metadata", objects.metadata),
        (one + "/frames", frames.frames),
        (one + "/frames/{frames}", frames.frames),
        (one + "/frames/{frames}/rendered", frames.rendered),
        (one + "/frames/{frames}/thumbnail", frames.thumbnail),
        (one + "/rendered", frames.rendered),
        (one + "/thumbnail", frames.thumbnail),
        (study + series + "/thumbnail", frames.thumbnail),
        (study + "/thumbnail", frames.thumbnail),
        (one + "/bulkdata/{path:path}", objects.bulkdata),
        (study, objects.objects),
        (study + series, objects.objects),
        (one, objects.objects),
    ]
    routes = [Route(ROOT + path, endpoint, methods=["GET"]) for path, endpoint in table]
    routes.append(Route("/facts/{sop}", objects.facts, methods=["GET"]))
    routes += [Route(path, _static(name), methods=["GET"]) for path, name in _PAGE.items()]
    return Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(Guard, settings=settings)],
        exception_handlers={Problem: _answer, HTTPException: _answer},
    )


def _searching(catalog: Catalog, level: str) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        best_of(accept_of(request), ("application/dicom+json", "application/json"))
        within = {}
        for name, tag in (("study", STUDY), ("series", SERIES)):
            value = request.path_params.get(name, "")
            if value and not is_uid(value):
                raise bad_request("a UID in the address is not a UID")
            if value:
                within[tag] = value
        found = search(catalog, level, Query(request.query_params.multi_items()), base_of(request, ROOT), within)
        return JSONResponse(found, media_type="application/dicom+json", headers={"Cache-Control": "no-store"})

    return endpoint


def _static(name: str) -> Endpoint:
    content = files("MultiframeStreamerLib.server").joinpath("page", name).read_bytes()

    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=_TYPES[name.rpartition(".")[2]], headers={"Cache-Control": "no-cache"})

    return endpoint


async def _answer(request: Request, error: Exception) -> Response:
    if isinstance(error, Problem):
        return error.response()
    status = error.status_code if isinstance(error, HTTPException) else 500
    problem = (
        not_found("there is nothing at this address") if status == 404 else Problem(status, "this cannot be done here")
    )
    return problem.response()
