"""DICOM over the web server: instances in by STOW-RS, and studies pulled from a PACS by request.

Whoever may submit may store. Pulling lets this server call other systems: submitters may name only those that ``queue serve --ask`` has
named, admins any.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from typing import Any

from DicomWorkbenchLib.errors import SettingsError, WorkbenchError
from DicomWorkbenchLib.process import child_environment, run_command, workbench_command
from DicomWorkbenchLib.progress import CancelToken
from DicomWorkbenchLib.web_problems import Problem, bad_request
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from AutoSegmentQueueLib.pacs import stow
from AutoSegmentQueueLib.pacs.pull import PullSettings
from AutoSegmentQueueLib.pacs.store import Store
from AutoSegmentQueueLib.web.bodies import json_body
from AutoSegmentQueueLib.web.context import Web, web_of, who_asks

MOST_PULLS = 4  # at once
KEPT_PULLS = 200  # that have ended, so that their end can be asked for
_making = threading.Lock()


@dataclass
class Pull:
    """A pull that was asked for: its child process tells how far it is."""

    user: str
    cancel: CancelToken = field(default_factory=CancelToken)
    state: str = "running"
    done: int = 0
    total: int = 0
    stage: str = ""
    error: str = ""
    report: dict[str, Any] | None = None

    def progress(self, done: int, total: int, stage: str) -> None:
        """Take a word of the child."""
        self.done, self.total, self.stage = done, total, stage

    def row(self, pull_id: str) -> dict[str, Any]:
        """Return what is said about it."""
        names = ("state", "done", "total", "stage", "error", "report")
        return {"id": pull_id, **{name: getattr(self, name) for name in names}}


def routes() -> list[Route]:
    """Return all routes of this part."""
    return [
        *stow.routes(_gate),
        Route("/api/pull", begin, methods=["POST"]),
        Route("/api/pull/{id}", look, methods=["GET"]),
        Route("/api/pull/{id}", cancel, methods=["DELETE"]),
    ]


def close(app: Starlette) -> None:
    """End what the routes have started."""
    for pull in getattr(app.state, "pulls", {}).values():
        pull.cancel.cancel()
    store = getattr(app.state, "stow_store", None)
    if store is not None:
        store.close()


def _gate(request: Request) -> tuple[Store, str]:
    principal, length = who_asks(request), request.headers.get("content-length", "")
    principal.need_submit()
    if length.isascii() and length.isdigit() and int(length) > web_of(request).web.most_upload_bytes:
        raise Problem(413, "a request with so much is not taken; send fewer instances at once", {"Connection": "close"})
    return _store(request), principal.name


def _store(request: Request) -> Store:
    """Return the server's store; it is made when the first instance comes."""
    state = request.app.state
    with _making:
        if getattr(state, "stow_store", None) is None:
            web = web_of(request)
            state.stow_store = Store(web.home, web.settings)
        found: Store = state.stow_store
        return found


def _pulls(request: Request) -> dict[str, Pull]:
    state = request.app.state
    if not hasattr(state, "pulls"):
        state.pulls = {}
    found: dict[str, Pull] = state.pulls
    return found


async def begin(request: Request) -> Response:
    """Start pulling: ``{"source": PEER, "study": UID, "series": [UID, ...]}``."""
    web, principal = web_of(request), who_asks(request)
    principal.need_submit()
    body = await json_body(request)
    settings = _settings(body, web, principal.name)
    if not principal.rules and settings.source not in web.settings.dicom.ask:
        raise Problem(403, "only an admin may name a system that the queue was not told of (queue serve --ask)")
    pulls = _pulls(request)
    if sum(1 for one in pulls.values() if one.state == "running") >= MOST_PULLS:
        raise Problem(429, f"{MOST_PULLS} pulls are under way; wait for one to end", {"Retry-After": "30"})
    for old in [key for key, one in pulls.items() if one.state != "running"][: max(0, len(pulls) - KEPT_PULLS)]:
        del pulls[old]
    pull_id, pull = secrets.token_urlsafe(9), Pull(principal.name)
    pulls[pull_id] = pull
    threading.Thread(target=_run, args=(pull, settings), name="pull", daemon=True).start()
    await web.note(request, "pull", pull_id, 202)
    return JSONResponse(pull.row(pull_id), 202)


async def look(request: Request) -> Response:
    """Say how far a pull is."""
    pull_id, pull = _found(request)
    return JSONResponse(pull.row(pull_id))


async def cancel(request: Request) -> Response:
    """Stop a pull; what has come stays."""
    who_asks(request).need_submit()
    pull_id, pull = _found(request)
    pull.cancel.cancel()
    return JSONResponse(pull.row(pull_id), 202)


def _found(request: Request) -> tuple[str, Pull]:
    principal, pull_id = who_asks(request), request.path_params["id"]
    pull = _pulls(request).get(pull_id)
    if pull is None or not (principal.rules or pull.user == principal.name):
        raise Problem(404, "there is no such pull")
    return pull_id, pull


def _settings(body: dict[str, Any], web: Web, user: str) -> PullSettings:
    source, study, series = body.get("source"), body.get("study"), body.get("series", [])
    if unknown := set(body) - {"source", "study", "series"}:
        raise bad_request(f"a pull takes source, study and series, not {', '.join(sorted(map(str, unknown)))}")
    if not isinstance(source, str) or not isinstance(study, str):
        raise bad_request("a pull needs source (AET@HOST:PORT or a DICOMweb address) and study (its UID)")
    if not isinstance(series, list) or not all(isinstance(one, str) for one in series):
        raise bad_request("series is a list of UIDs")
    try:
        return PullSettings(source, study, tuple(series), web.home.root, user=user)
    except SettingsError as error:
        raise bad_request(str(error)) from None


def _run(pull: Pull, settings: PullSettings) -> None:
    """Run the command as a child, like every long work."""
    arguments = ["--home", str(settings.home), "--from", settings.source, "--study", settings.study]
    for uid in settings.series:
        arguments += ["--series", uid]
    command = workbench_command("queue", "pull", *arguments, "--user", settings.user, "--progress", "json")
    try:
        result = run_command(command, progress=pull.progress, cancel=pull.cancel, environment=child_environment())
    except WorkbenchError as error:
        pull.error, pull.state = str(error), "cancelled" if pull.cancel.cancelled else "failed"
        return
    pull.report = result.report
    if result.report is None:
        last = result.messages.strip().rpartition("\n")[2].removeprefix("error: ")
        pull.error = last[:500] or f"it ended with code {result.exit_code}"
    pull.state = "done" if result.report is not None else "failed"
