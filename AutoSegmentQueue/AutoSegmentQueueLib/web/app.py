"""The routes of the server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from AutoSegmentQueueLib.web import (
    api_batches,
    api_deliveries,
    api_files,
    api_jobs,
    chores,
    dicomweb,
    events,
    multipart,
    oidc,
    openapi,
    routes_login,
    routes_pages,
    tus,
)
from AutoSegmentQueueLib.web.context import Web
from AutoSegmentQueueLib.web.problems import answer_to
from AutoSegmentQueueLib.web.security import Guard

_JOB = "/api/jobs/{id}"
_DELIVERY = "/deliveries/{delivery}/send"


def create_app(web: Web) -> Starlette:
    """Return the ASGI application of a queue; it closes ``web`` when it ends."""
    hub = events.Hub(web)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(hub.run()), asyncio.create_task(chores.run(web))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            dicomweb.close(app)
            web.close()

    app = Starlette(
        routes=routes(),
        lifespan=lifespan,
        middleware=[Middleware(Guard, web=web)],
        exception_handlers={HTTPException: _answer},
    )
    app.state.web, app.state.hub = web, hub
    return app


def routes() -> list[Route]:
    """Return all routes."""
    get, post = ["GET"], ["POST"]
    return [
        Route("/", routes_pages.index, methods=get),
        Route("/jobs/{id}", routes_pages.job, methods=get),
        Route("/login", routes_login.form, methods=get),
        Route("/login", routes_login.login, methods=post),
        Route("/login/oidc", oidc.begin, methods=get),
        Route("/login/oidc/callback", oidc.callback, methods=get),
        Route("/logout", routes_login.logout, methods=post),
        Route("/static/{name}", routes_pages.static, methods=get),
        Route("/favicon.ico", routes_pages.favicon, methods=get),
        Route("/robots.txt", routes_pages.robots, methods=get),
        Route("/api/health", routes_pages.health, methods=get),
        Route("/api/openapi.json", openapi_json, methods=get),
        Route("/api/me", routes_pages.me, methods=get),
        Route("/api/engines", routes_pages.engine_list, methods=get),
        Route("/api/events", events.events, methods=get),
        Route("/api/jobs", api_jobs.jobs, methods=get),
        Route(_JOB, api_jobs.job, methods=get),
        Route(_JOB, api_jobs.delete, methods=["DELETE"]),
        Route(_JOB + "/cancel", api_jobs.cancel, methods=post),
        Route(_JOB + "/retry", api_jobs.retry, methods=post),
        Route(_JOB + "/priority", api_jobs.priority, methods=post),
        Route(_JOB + _DELIVERY, api_deliveries.send_again, methods=post),
        Route(_JOB + "/files/{path:path}", api_files.file, methods=get),
        Route(_JOB + "/archive.zip", api_files.archive, methods=get),
        Route(_JOB + "/models/{structure}.stl", api_files.model, methods=get),
        Route(_JOB + "/slices/{axis}/{n:int}.png", api_files.picture, methods=get),
        Route("/api/uploads", tus.options, methods=["OPTIONS"]),
        Route("/api/uploads", tus.listed, methods=get),
        Route("/api/uploads", tus.create, methods=post),
        Route("/api/uploads/{id}", tus.options, methods=["OPTIONS"]),
        Route("/api/uploads/{id}", tus.head, methods=["HEAD"]),
        Route("/api/uploads/{id}", tus.patch, methods=["PATCH"]),
        Route("/api/uploads/{id}", tus.delete, methods=["DELETE"]),
        Route("/api/uploads/{id}", tus.overridden, methods=post),
        Route("/api/batches/{batch}", api_batches.batch, methods=post),
        Route("/upload", multipart.upload, methods=post),
        Route("/jobs/{id}/cancel", routes_pages.by_form(api_jobs.cancel), methods=post),
        Route("/jobs/{id}/retry", routes_pages.by_form(api_jobs.retry), methods=post),
        Route("/jobs/{id}" + _DELIVERY, routes_pages.by_form(api_deliveries.send_again), methods=post),
        Route("/jobs/{id}/delete", routes_pages.by_form(api_jobs.delete), methods=post),
        Route("/api/queue/pause", api_jobs.pause, methods=post),
        Route("/api/queue/resume", api_jobs.resume, methods=post),
        Route("/files", api_files.files, methods=get),
        Route("/download/{name:path}", api_files.download, methods=get),
        Route("/status", routes_pages.status, methods=get),
        *dicomweb.routes(),
    ]


async def openapi_json(request: Request) -> Response:
    """Describe all this to programs."""
    return JSONResponse(openapi.document())


async def _answer(request: Request, error: Exception) -> Response:
    return answer_to(request, error)
