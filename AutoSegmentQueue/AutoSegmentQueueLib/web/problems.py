"""What becomes of errors: JSON for programs, a page for browsers, and the right status for each kind."""

from __future__ import annotations

import logging

from DicomWorkbenchLib.errors import InputError, SettingsError
from DicomWorkbenchLib.web_problems import Problem
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from AutoSegmentQueueLib.ledger_store import LedgerError, NoSuchJob, NotAllowed

_log = logging.getLogger(__name__)


def problem_of(error: Exception) -> Problem:
    """Return the answer to an error."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, NoSuchJob):
        return Problem(404, "there is no such job")
    if isinstance(error, NotAllowed):
        return Problem(409, str(error))
    if isinstance(error, LedgerError):  # its text names paths of this machine
        return Problem(503, "the queue cannot be read or written now; its disk may be full", {"Retry-After": "5"})
    if isinstance(error, InputError):
        return Problem(422, str(error))
    if isinstance(error, SettingsError):
        return Problem(400, str(error))
    if isinstance(error, HTTPException):
        said = {404: "there is nothing at this address", 405: "this address cannot be used in that way"}
        return Problem(error.status_code, said.get(error.status_code, "this cannot be done here"), error.headers)
    return Problem(500, "this did not work; the log of the server says why")


def answer_to(request: Request, error: Exception) -> Response:
    """Return the answer to an error, as a page if a browser asked for one."""
    problem = problem_of(error)
    if problem.status >= 500:
        _log.warning("%s: %s", type(error).__name__, problem.reason)
    if not _wants_page(request):
        return problem.response()
    if problem.status == 401:
        goal = request.url.path
        return Response(status_code=303, headers={"Location": f"/login?next={goal}" if goal != "/" else "/login"})
    from AutoSegmentQueueLib.web import pages

    view = {"status": problem.status, "error": problem.reason, "code": problem.code, "me": None}
    return HTMLResponse(pages.problem(view), problem.status, headers=problem.headers)


def _wants_page(request: Request) -> bool:
    path = request.url.path
    if (
        path.startswith(("/api/", "/static/"))
        or path in ("/files", "/status", "/upload")
        or path.startswith("/download/")
    ):
        return False
    return "text/html" in request.headers.get("accept", "")
