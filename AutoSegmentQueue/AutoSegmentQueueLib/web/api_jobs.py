"""Jobs: lists, one job, and what may be done with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.web_problems import Problem, bad_request, not_found
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from AutoSegmentQueueLib.adding import settle_now
from AutoSegmentQueueLib.ledger import Job
from AutoSegmentQueueLib.ledger_store import NoSuchJob
from AutoSegmentQueueLib.ledger_views import Wish
from AutoSegmentQueueLib.states import State
from AutoSegmentQueueLib.web import results
from AutoSegmentQueueLib.web.access import Principal
from AutoSegmentQueueLib.web.bodies import json_body
from AutoSegmentQueueLib.web.context import Web, web_of, who_asks

MOST_ROWS = 500
_LONGEST_TEXT = 200
_MOST_PRIORITY = 1_000_000


async def jobs(request: Request) -> Response:
    """List jobs page by page, newest first."""
    web, principal, query = web_of(request), who_asks(request), request.query_params
    wish = Wish(states_of(query.get("state", "")), principal.only_user, query.get("q", "")[:_LONGEST_TEXT])
    after = _number(query.get("after", ""), "after", 0, 1 << 62)
    limit = _number(query.get("limit", ""), "limit", 1, MOST_ROWS) or 100
    text = await web.ask(listing_text, web, principal, wish, after, limit)
    return Response(text, media_type="application/json")


def listing(web: Web, principal: Principal, wish: Wish, after: int | None = None, limit: int = 100) -> dict[str, Any]:
    """Return a page of jobs, and what a page shows around it."""
    event = web.ledger.last_event()  # before the rows: what happens in between comes again as an event
    found = web.ledger.newest(wish, after, limit + 1)
    more = len(found) > limit
    rows = web.rows.rows(found[:limit], principal)
    return {
        "jobs": rows,
        "next": rows[-1]["seq"] if more else None,
        **web.rows.queue(principal.only_user),
        "event": event,
    }


def listing_text(web: Web, principal: Principal, wish: Wish, after: int | None, limit: int) -> str:
    """Return the same as JSON, put together from texts that are known already."""
    event = web.ledger.last_event()
    found = web.ledger.newest_rows(wish, after, limit + 1)
    shown = found[:limit]
    around = {
        "next": shown[-1]["seq"] if len(found) > limit else None,
        **web.rows.queue(principal.only_user),
        "event": event,
    }
    return f'{{"jobs":[{",".join(web.rows.texts(shown, principal))}],{json.dumps(around, separators=(",", ":"))[1:]}'


async def job(request: Request) -> Response:
    """Describe one job with its results and its history."""
    web, principal = web_of(request), who_asks(request)
    found = await find(request)
    return JSONResponse(await web.move(described, web, principal, found))


def described(web: Web, principal: Principal, job: Job) -> dict[str, Any]:
    """Return everything about one job."""
    handles = principal.handles(job)
    row = web.rows.row(job, handles)
    history = [
        {"event": one.event, "at": one.at, "state": one.state.value, "note": one.note}
        for one in web.ledger.history(job.id)
    ]
    shown = results.describe(Path(job.output), job.id) if job.output else dict(results.EMPTY)
    return {**row, **shown, "history": history, "deliveries": web.deliveries.of_job(job.id, handles)}


async def find(request: Request) -> Job:
    """Return the job of the address.

    Raises
    ------
    Problem : there is none, or the one who asks does not see it; both look the same.
    """
    web, principal = web_of(request), who_asks(request)
    name = request.path_params["id"]
    try:
        found = await web.ask(web.ledger.job, name)
    except NoSuchJob:
        raise not_found("there is no such job") from None
    if found.id != name or not principal.sees(found):
        raise not_found("there is no such job")
    return found


async def to_handle(request: Request) -> Job:
    """Return the job of the address to one who may change it.

    Raises
    ------
    Problem : there is none, or it is somebody else's.
    """
    found = await find(request)
    if not who_asks(request).handles(found):
        raise Problem(403, "this job is somebody else's; you may look at it only")
    return found


async def cancel(request: Request) -> Response:
    """Cancel a job."""
    web, found = web_of(request), await to_handle(request)
    after = await web.ask(web.ledger.cancel, found.id)
    await web.note(request, "job.cancel", found.id)
    return await _row(request, after)


async def retry(request: Request) -> Response:
    """Try a job again."""
    web, found = web_of(request), await to_handle(request)
    await web.ask(web.ledger.retry, found.id)
    await web.note(request, "job.retry", found.id)
    web.later(web.move(_settle, web, found.id))
    return await _row(request, await web.ask(web.ledger.job, found.id))


def _settle(web: Web, job_id: str) -> None:
    job = web.ledger.job(job_id)
    if job.state is State.STABILISING:
        settle_now(web.home, web.settings, web.ledger, job)


async def priority(request: Request) -> Response:
    """Set a job's priority."""
    who_asks(request).need_rule()
    web, found = web_of(request), await find(request)
    value = (await json_body(request)).get("priority")
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _MOST_PRIORITY:
        raise bad_request(f'the body must be {{"priority": N}}, N a whole number within {_MOST_PRIORITY}')
    after = await web.ask(web.ledger.prioritise, found.id, value)
    await web.note(request, "job.priority", found.id)
    return await _row(request, after)


async def delete(request: Request) -> Response:
    """Take an ended job off the lists and remove its results."""
    web, found = web_of(request), await to_handle(request)
    await web.ask(web.ledger.hide, found.id)
    await web.note(request, "job.delete", found.id)
    await web.move(remove_results, web, found)
    return Response(status_code=204)


def remove_results(web: Web, job: Job) -> None:
    """Remove the results of a deleted job unless another job shows them too, and its scan if that was uploaded."""
    sharing = web.ledger.of_output(job.output) if job.output else []
    root = web.home.output_of(web.settings)
    if job.output and all(one.hidden or one.id == job.id for one in sharing) and Path(job.output).parent == root:
        shutil.rmtree(job.output, ignore_errors=True)
    if job.owned and web.home.uploads in Path(job.source).parents and job.disposal in ("archived", "failed", ""):
        for place in job.inputs:
            _remove_kept(web, Path(place))
        web.ledger.dispose(job.id, "deleted", [], "input deleted with the job")


def _remove_kept(web: Web, path: Path) -> None:
    """Remove a scan that lies in one of the home's own folders."""
    home = web.home
    if not any(folder in path.parents for folder in (home.uploads, home.archive, home.failed)):
        return
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
        path.with_name(path.name + ".reason.txt").unlink(missing_ok=True)
    if path.parent.parent == home.archive:
        shutil.rmtree(path.parent, ignore_errors=True)


async def pause(request: Request) -> Response:
    """Start no more jobs."""
    return await _set_paused(request, True)


async def resume(request: Request) -> Response:
    """Start jobs again."""
    return await _set_paused(request, False)


async def _set_paused(request: Request, paused: bool) -> Response:
    web, principal = web_of(request), who_asks(request)
    principal.need_rule()
    await web.ask(web.ledger.set_paused, paused)
    await web.note(request, "queue.pause" if paused else "queue.resume")
    return JSONResponse(await web.ask(web.rows.queue, principal.only_user))


async def _row(request: Request, job: Job) -> Response:
    web = web_of(request)
    return JSONResponse(await web.ask(web.rows.row, job, True))


def states_of(text: str) -> tuple[State, ...]:
    """Read a list of states.

    Raises
    ------
    Problem : one of them is none.
    """
    try:
        return tuple(State(one) for one in text.split(",") if one)
    except ValueError:
        raise bad_request(f"state takes {', '.join(State)}, separated by commas") from None


def _number(text: str, name: str, least: int, most: int) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 19 or not least <= int(text) <= most:
        raise bad_request(f"{name} must be a whole number from {least} to {most}")
    return int(text)
