"""Results: files, everything as one archive, models of single structures, pictures of slices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from DicomWorkbenchLib.errors import InputError
from DicomWorkbenchLib.web_problems import Problem, bad_request, not_found
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from AutoSegmentQueueLib.ledger import Job
from AutoSegmentQueueLib.ledger_views import Wish
from AutoSegmentQueueLib.publish import MANIFEST, read_manifest
from AutoSegmentQueueLib.states import State
from AutoSegmentQueueLib.web import api_jobs
from AutoSegmentQueueLib.web.context import Web, web_of, who_asks

_LISTED = 1000  # jobs that /files looks at, the newest
_KEPT_SECONDS = 3600
_TYPES = {
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".png": "image/png",
    ".stl": "model/stl",
    ".dcm": "application/dicom",
}


async def file(request: Request) -> Response:
    """Send one file of a job's results."""
    found = await api_jobs.find(request)
    return await _send(request, found, request.path_params["path"])


async def archive(request: Request) -> Response:
    """Send all results as a zip archive, packed while it is sent."""
    from AutoSegmentQueueLib.web import downloads

    web, found = web_of(request), await api_jobs.find(request)
    folder = _folder(found)
    await web.note(request, "download", found.id)
    headers = {"Content-Disposition": _attachment(f"{found.name}.zip")}
    return StreamingResponse(_in_threads(web, downloads.zip_of(folder)), media_type="application/zip", headers=headers)


async def model(request: Request) -> Response:
    """Send the surface of one structure as STL, made now."""
    from AutoSegmentQueueLib.web import downloads

    web, found = web_of(request), await api_jobs.find(request)
    structure = request.path_params["structure"]
    try:
        content = await web.move(downloads.stl_of, _folder(found), structure)
    except InputError as error:
        raise not_found(str(error)) from None
    await web.note(request, "download", found.id)
    headers = {"Content-Disposition": _attachment(f"{found.name}-{structure}.stl")}
    return Response(content, media_type=_TYPES[".stl"], headers=headers)


async def picture(request: Request) -> Response:
    """Send one slice of the scan as a picture."""
    from AutoSegmentQueueLib.web import slices

    web, found, given, query = web_of(request), await api_jobs.find(request), request.path_params, request.query_params
    overlay = query.get("overlay", "1")
    if overlay not in ("0", "1", "2"):
        raise bad_request("overlay must be 0, 1 or 2")
    cache = web.home.root / "cache" / found.id
    axis, number, window = given["axis"], int(given["n"]), query.get("window", "")[:40]
    try:
        content = await web.move(slices.png, _folder(found), cache, axis, number, int(overlay), window)
    except InputError as error:
        raise not_found(str(error)) from None
    headers = {"Cache-Control": f"private, max-age={_KEPT_SECONDS}"}
    return Response(content, media_type="image/png", headers=headers)


async def files(request: Request) -> Response:
    """List the files of all results, as ``FOLDER/FILE``."""
    web, principal = web_of(request), who_asks(request)

    def found() -> list[str]:
        done = web.ledger.newest(Wish((State.DONE,), principal.only_user), None, _LISTED)
        folders = dict.fromkeys(Path(job.output) for job in done if job.output)
        return [f"{folder.name}/{name}" for folder in folders for name in _names(folder)]

    return JSONResponse(await web.move(found))


async def download(request: Request) -> Response:
    """Send one file by the name ``GET /files`` gave it."""
    web, principal = web_of(request), who_asks(request)
    folder, _, name = request.path_params["name"].partition("/")
    place = web.home.output_of(web.settings) / folder
    jobs = await web.ask(web.ledger.of_output, str(place)) if folder not in ("", ".", "..") else []
    seen = next((job for job in jobs if principal.sees(job) and job.state is State.DONE), None)
    if seen is None:
        raise not_found("there is no such file; GET /files lists them")
    return await _send(request, seen, name)


async def _send(request: Request, job: Job, name: str) -> Response:
    web, folder = web_of(request), _folder(job)
    entry = await web.move(_entry, folder, name)
    tag = f'"{entry["sha256"]}"' if entry.get("sha256") else None
    headers = {"Content-Disposition": _attachment(Path(name).name), "Cache-Control": "private, no-cache"}
    if tag:
        headers["ETag"] = tag
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
    if request.method == "GET" and "range" not in request.headers:
        await web.note(request, "download", job.id)
    return FileResponse(
        folder / name, media_type=_TYPES.get(Path(name).suffix.lower(), "application/octet-stream"), headers=headers
    )


def _folder(job: Job) -> Path:
    if job.state is not State.DONE or not job.output:
        raise Problem(409, "this job has no results yet")
    return Path(job.output)


def _entry(folder: Path, name: str) -> dict[str, Any]:
    """Return what the manifest says about a file; what it does not name is not there for anybody."""
    manifest = read_manifest(folder) or {}
    entries = {str(one.get("path")): one for one in manifest.get("outputs", []) if isinstance(one, dict)}
    entry = {} if name == MANIFEST and manifest else entries.get(name)
    path = folder / name
    if entry is None or path.is_symlink() or not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
        raise not_found("there is no such file in the results")
    return entry


def _names(folder: Path) -> list[str]:
    manifest = read_manifest(folder) or {}
    return [str(one["path"]) for one in manifest.get("outputs", []) if isinstance(one, dict) and one.get("path")]


def _attachment(name: str) -> str:
    return f"attachment; filename*=utf-8''{quote(name, safe='')}"


async def _in_threads(web: Web, parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (part := await web.move(next, parts, b"")) != b"":
        yield part
