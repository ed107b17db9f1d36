"""Runs the server until it is asked to stop."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import uvicorn
from DicomWorkbenchLib.errors import NoDicomError
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from DicomWorkbenchLib.report import Report
from DicomWorkbenchLib.web_serving import address_of, listen, serve_until

from ..settings import ServeSettings
from .app import ROOT, create_app
from .catalog import Catalog, build_catalog

_MOST_CONNECTIONS = 512


@dataclass
class ServeReport(Report):
    """What was served and where."""

    url: str = ""
    objects: int = 0
    studies: int = 0
    not_served: list[str] = field(default_factory=list)


def run(
    settings: ServeSettings,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
    on_ready: Callable[[ServeReport], None] | None = None,
) -> ServeReport:
    """Serve until cancelled or interrupted.

    Parameters
    ----------
    on_ready : called once, when requests are answered.

    Raises
    ------
    InputError : a path does not exist or holds no DICOM file.
    OutputError : the port is taken.
    """
    began = time.perf_counter()
    catalog = build_catalog(settings.paths, progress, cancel)
    if not catalog.instances:
        reason = catalog.problems[0] if catalog.problems else "they are empty"
        raise NoDicomError(f"there is nothing to serve in {', '.join(map(str, settings.paths))}: {reason}")
    listener = listen(settings.host, settings.port)
    report = _report(catalog, settings, listener)
    server = uvicorn.Server(_config(catalog, settings))
    try:
        asyncio.run(serve_until(server, listener, cancel, lambda: on_ready(report) if on_ready else None))
    finally:
        listener.close()
    report.seconds = round(time.perf_counter() - began, 3)
    return report


def _report(catalog: Catalog, settings: ServeSettings, listener: socket.socket) -> ServeReport:
    url = address_of(listener, settings.host)
    return ServeReport(
        "stream-serve",
        settings={
            "paths": [str(path) for path in settings.paths],
            "host": settings.host,
            "token": bool(settings.token),
        },
        url=url,
        objects=len(catalog.instances),
        studies=len(catalog.studies),
        not_served=catalog.problems[:100],
        measured={"dicomweb": url + ROOT},
    )


def _config(catalog: Catalog, settings: ServeSettings) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(catalog, settings),
        log_level="warning",
        access_log=False,  # addresses hold UIDs
        server_header=False,
        lifespan="on",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,
        limit_concurrency=_MOST_CONNECTIONS,
        h11_max_incomplete_event_size=1 << 17,  # a list of thousands of frames makes a long address
        http="h11",
        ws="none",
    )
