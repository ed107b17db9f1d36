"""Where results were sent, for those who may know, and sending again."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from AutoSegmentQueueLib.web import api_jobs
from AutoSegmentQueueLib.web.access import Principal
from AutoSegmentQueueLib.web.context import Web, web_of


def undelivered(web: Web, principal: Principal) -> list[dict[str, Any]]:
    """Return what was given up, with the jobs' names, for those who see all jobs; deleted jobs are left out."""
    if principal.only_user is not None:
        return []
    found = [(one, web.ledger.job(one["job"])) for one in web.deliveries.given_up()]
    return [{**one, "name": job.name} for one, job in found if not job.hidden]


async def send_again(request: Request) -> Response:
    """Send a job's result to a destination again."""
    web, found = web_of(request), await api_jobs.to_handle(request)
    await web.ask(web.deliveries.again, found.id, request.path_params["delivery"])
    await web.note(request, "delivery.again", found.id)
    return JSONResponse(await web.ask(web.deliveries.of_job, found.id, True))
