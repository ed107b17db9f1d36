"""Dropped folders, and the plain form: several uploads that become jobs together."""

from __future__ import annotations

import asyncio
from typing import Any

from DicomWorkbenchLib.web_problems import Problem, bad_request
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from AutoSegmentQueueLib.ledger import Job
from AutoSegmentQueueLib.web.bodies import json_body
from AutoSegmentQueueLib.web.context import Web, web_of, who_asks
from AutoSegmentQueueLib.web.upload_names import check_batch, check_file_name, checked
from AutoSegmentQueueLib.web.uploads import Upload

CHECK_SECONDS = 5.0  # an answer waits so long for the check of what came; what takes longer goes on after it
MOST_FILES = 100_000


async def batch(request: Request) -> Response:
    """Make jobs of a dropped folder whose files have all come."""
    web, principal = web_of(request), who_asks(request)
    principal.need_submit()
    name, body = check_batch(request.path_params["batch"]), await json_body(request)
    count, title, metadata = _read(body)
    async with web.holding(f"batch {principal.name} {name}", CHECK_SECONDS):
        uploads = await web.ask(web.uploads.of_batch, principal.name, name)
        if not uploads:
            raise Problem(404, "nothing of this folder has come")
        come = sum(one.state != "open" for one in uploads)
        if come != count or len(uploads) != count:
            raise Problem(409, f"{come} of {count} files have come; finish or cancel the others first")
        if all(one.state == "taken" for one in uploads):
            jobs = [await web.ask(web.ledger.job, job) for job in dict.fromkeys(one.job for one in uploads)]
        else:
            jobs = await hand_over(request, uploads, name, title or _folder_of(uploads), metadata)
    rows = await web.ask(web.rows.rows, jobs, principal)
    return JSONResponse({"jobs": rows}, 201)


async def hand_over(
    request: Request, uploads: list[Upload], batch: str, name: str, metadata: dict[str, str]
) -> list[Job]:
    """Make jobs of complete uploads; returns them as they are after a short check."""
    web = web_of(request)
    jobs = await web.move(web.handover.many, uploads, batch, name, metadata)
    for job in jobs:
        await web.note(request, "upload", job.id)
    return await settled(web, jobs)


async def settled(web: Web, jobs: list[Job]) -> list[Job]:
    """Check what came; a check that takes long goes on after the answer."""
    work = [asyncio.ensure_future(web.move(web.handover.settle, job)) for job in jobs]
    done, still = await asyncio.wait(work, timeout=CHECK_SECONDS)
    for one in still:
        web.later(_awaited(one))
    return [one.result() if one in done else job for one, job in zip(work, jobs, strict=True)]


async def _awaited(work: asyncio.Future[Any]) -> None:
    await work


def _read(body: dict[str, Any]) -> tuple[int, str, dict[str, str]]:
    count, name = body.get("files"), body.get("name", "")
    if not isinstance(count, int) or isinstance(count, bool) or not 0 < count <= MOST_FILES:
        raise bad_request(f"files must be the number of files of the folder, up to {MOST_FILES}")
    given = {key: body.get(key) or "" for key in ("engine", "task", "quality")}
    if not isinstance(name, str) or not all(isinstance(value, str) for value in given.values()):
        raise bad_request("name, engine, task and quality must be text")
    check_file_name(name)
    return count, name, checked({key: value for key, value in given.items() if value})


def _folder_of(uploads: list[Upload]) -> str:
    """Return the name of the outermost folder the files lie in."""
    path = uploads[0].metadata.get("relativepath", "").replace("\\", "/")
    return path.partition("/")[0] if "/" in path else uploads[0].filename
