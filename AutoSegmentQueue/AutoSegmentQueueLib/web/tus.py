"""Resumable uploads: tus 1.0 with creation, creation-with-upload, checksum, expiration and termination.

References
----------
https://tus.io/protocols/resumable-upload
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from functools import wraps
from typing import Any

from DicomWorkbenchLib.web_problems import Problem, bad_request
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from AutoSegmentQueueLib.states import State
from AutoSegmentQueueLib.web.api_batches import settled
from AutoSegmentQueueLib.web.context import Web, client_of, web_of, who_asks
from AutoSegmentQueueLib.web.handover import LEAST_BYTES, kind_of, not_a_scan
from AutoSegmentQueueLib.web.upload_names import read_metadata
from AutoSegmentQueueLib.web.upload_writer import Interrupted, Sink
from AutoSegmentQueueLib.web.uploads import Upload

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
ALGORITHMS = ("sha1", "sha256")
_BODY = "application/offset+octet-stream"
_LOCK_SECONDS = 10.0  # an older request for the same upload has so long to bring its bytes to disk
_PATIENCE_SECONDS = 5.0
CHECKSUM_MISMATCH = 460
Endpoint = Callable[[Request], Awaitable[Response]]


def _tus(endpoint: Endpoint) -> Endpoint:
    """Check the version, and put the headers of the protocol on every answer, refusals included."""

    @wraps(endpoint)
    async def wrapped(request: Request) -> Response:
        try:
            who_asks(request).need_submit()
            if request.method != "GET" and request.headers.get("tus-resumable") != VERSION:
                raise Problem(
                    412, f"this server speaks tus {VERSION}: send the header Tus-Resumable", {"Tus-Version": VERSION}
                )
            answer = await endpoint(request)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody hears it; what came is kept
        except Problem as problem:
            answer = problem.response()
        answer.headers["Tus-Resumable"] = VERSION
        return answer

    return wrapped


async def options(request: Request) -> Response:
    """Say what this server can do."""
    headers = {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(web_of(request).web.most_upload_bytes),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
        "Allow": "OPTIONS, GET, HEAD, POST, PATCH, DELETE",
    }
    return Response(status_code=204, headers=headers)


@_tus
async def listed(request: Request) -> Response:
    """List the unfinished uploads of the one who asks."""
    web = web_of(request)
    return JSONResponse(await web.ask(web.uploads.listed, who_asks(request)))


@_tus
async def create(request: Request) -> Response:
    """Begin an upload, with its first bytes if they come along."""
    web, principal = web_of(request), who_asks(request)
    if "upload-defer-length" in request.headers:
        raise bad_request("the length must be known: send Upload-Length")
    length = _whole(request, "upload-length")
    metadata = read_metadata(request.headers.get("upload-metadata", ""))
    with_body = request.headers.get("content-type", "").startswith(_BODY)
    if not with_body and _announced(request):
        raise Problem(415, f"bytes must come as {_BODY}", {"Connection": "close"})
    await _slow_down(web, principal.name or client_of(request))
    await web.ask(web.handover.wanted, metadata, principal.name)  # refused now rather than after gigabytes
    upload = await web.ask(web.uploads.create, principal.name, length, metadata)
    answer = Response(status_code=201, headers={"Location": f"/api/uploads/{upload.id}"})
    if with_body or length == 0:
        return await _receive(request, upload, answer)
    answer.headers["Upload-Expires"] = formatdate(upload.expires, usegmt=True)
    return answer


@_tus
async def head(request: Request) -> Response:
    """Say how much is safely here."""
    web = web_of(request)
    async with web.holding(request.path_params["id"], _LOCK_SECONDS):  # a request that still hangs ends first
        upload = await _own(request)
    headers = {
        "Upload-Offset": str(upload.offset),
        "Upload-Length": str(upload.length),
        "Upload-Expires": formatdate(upload.expires, usegmt=True),
        "Cache-Control": "no-store",
    }
    if upload.job:
        headers["X-Job"] = upload.job
    return Response(status_code=200, headers=headers)


@_tus
async def patch(request: Request) -> Response:
    """Take more bytes."""
    if not request.headers.get("content-type", "").startswith(_BODY):
        raise Problem(415, f"bytes must come as {_BODY}", {"Connection": "close"})
    return await _receive(request, await _own(request), Response(status_code=204))


@_tus
async def delete(request: Request) -> Response:
    """Give an upload up."""
    web = web_of(request)
    async with web.holding(request.path_params["id"], _LOCK_SECONDS):
        upload = await _own(request)
        if upload.state == "taken":
            raise Problem(409, "a job has this upload already; delete the job instead")
        await web.ask(web.uploads.remove, upload)
    return Response(status_code=204)


@_tus
async def overridden(request: Request) -> Response:
    """Take PATCH and DELETE from clients that can send neither."""
    other = request.headers.get("x-http-method-override", "").upper()
    by_name: dict[str, Any] = {"PATCH": patch, "DELETE": delete, "HEAD": head}
    if other not in by_name:
        raise Problem(405, "this address takes HEAD, PATCH and DELETE", {"Allow": "HEAD, PATCH, DELETE"})
    answer: Response = await by_name[other](request)
    return answer


async def _receive(request: Request, upload: Upload, answer: Response) -> Response:
    web = web_of(request)
    async with web.holding(upload.id, _LOCK_SECONDS) as stop:
        upload = await web.ask(web.uploads.get, upload.id)
        _check_place(request, upload)
        sink = Sink(
            web.move,
            web.uploads.path_of(upload.id),
            upload.offset,
            upload.length - upload.offset,
            lambda offset: web.uploads.commit(upload.id, offset),
            _digest(request),
            stop,
        )
        try:
            await sink.take(request.stream())
        except Interrupted:
            raise Problem(423, "another request goes on with this upload", {"Connection": "close"}) from None
        if sink.digest is not None:
            _compare(request, sink.digest)
            await sink.keep()
        upload = await web.ask(web.uploads.get, upload.id)
        answer.headers["Upload-Offset"] = str(upload.offset)
        answer.headers["Upload-Expires"] = formatdate(upload.expires, usegmt=True)
        await _look_at_beginning(web, upload)
        if upload.offset == upload.length:
            await _finish(request, upload, answer)
    return answer


async def _look_at_beginning(web: Web, upload: Upload) -> None:
    """Refuse what begins like no scan now, not after gigabytes of it; a folder may hold other files too."""
    if upload.batch or upload.offset < min(LEAST_BYTES, upload.length):
        return
    if not await web.move(kind_of, web.uploads.path_of(upload.id), upload.filename):
        await web.ask(web.uploads.remove, upload)
        raise not_a_scan()


async def _finish(request: Request, upload: Upload, answer: Response) -> None:
    web = web_of(request)
    upload = await web.ask(web.uploads.complete, upload.id)
    if upload.batch:
        return
    job = await web.move(web.handover.one, upload)
    await web.note(request, "upload", job.id)
    answer.headers["X-Job"] = job.id
    (job,) = await settled(web, [job])
    if job.state is State.FAILED:
        raise Problem(422, job.error or "it cannot be read", {"X-Job": job.id, "Upload-Offset": str(upload.offset)})


async def _own(request: Request) -> Upload:
    web = web_of(request)
    return await web.ask(web.uploads.get, request.path_params["id"], who_asks(request).name)


def _check_place(request: Request, upload: Upload) -> None:
    if upload.state != "open":
        raise Problem(409, "this upload is complete already")
    if (request.headers.get("content-type", "") and request.method != "POST") or "upload-offset" in request.headers:
        offset = _whole(request, "upload-offset")
        if offset != upload.offset:
            raise Problem(409, "the bytes do not join on to those that are here", {"Upload-Offset": str(upload.offset)})
    if _announced(request) > upload.length - upload.offset:
        raise Problem(413, "more bytes come than the upload was said to have", {"Connection": "close"})


def _announced(request: Request) -> int:
    text = request.headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() else 0


def _digest(request: Request) -> Any:
    header = request.headers.get("upload-checksum")
    if header is None:
        return None
    name, _, packed = header.partition(" ")
    try:
        base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        raise bad_request("Upload-Checksum must be an algorithm and a value in base64") from None
    if name not in ALGORITHMS:
        raise bad_request(f"Upload-Checksum takes {', '.join(ALGORITHMS)}")
    return hashlib.new(name, usedforsecurity=False)


def _compare(request: Request, digest: Any) -> None:
    given = base64.b64decode(request.headers["upload-checksum"].partition(" ")[2])
    if digest.digest() != given:
        raise Problem(CHECKSUM_MISMATCH, "the bytes were damaged on their way; send them again", code="checksum")


def _whole(request: Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise bad_request(f"{name} must be a whole number")
    return int(text)


async def _slow_down(web: Web, who: str) -> None:
    wait = web.upload_rate.take(who)
    if wait > _PATIENCE_SECONDS:
        raise Problem(429, "too many uploads at once; wait a little", {"Retry-After": str(int(wait) + 1)})
    if wait:
        await asyncio.sleep(wait)
        web.upload_rate.take(who)
