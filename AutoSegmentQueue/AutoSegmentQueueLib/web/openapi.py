"""The description of the interface for programs (OpenAPI 3.1); a test sends made-up requests by it and compares the answers."""

from __future__ import annotations

from typing import Any

from DicomWorkbenchLib import __version__

from AutoSegmentQueueLib.states import State
from AutoSegmentQueueLib.web.openapi_schemas import SCHEMAS, array, ref, text, whole

Json = dict[str, Any]
_TUS_VERSION = {
    "name": "Tus-Resumable",
    "in": "header",
    "required": True,
    "schema": {"type": "string", "enum": ["1.0.0"]},
}
_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[2-9a-z]{8}$"}}
_DELIVERY = {
    "name": "delivery",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[0-9a-f]{10}$"},
}
_SAYS = {
    400: "The request makes no sense; the sentence says why.",
    401: "Nobody is logged in, and no good token came.",
    403: "The one who asks may not do this.",
    404: "There is no such thing, or it is somebody else's.",
    405: "The address cannot be used in this way.",
    408: "The request stalled.",
    409: "The thing is not in a state for this.",
    411: "The length must be known.",
    412: "Another version of tus was asked for.",
    413: "It is too large, or more than the user may store.",
    414: "The address is too long.",
    415: "It is of the wrong type; for files: no scan.",
    421: "The server does not answer to this host name.",
    422: "The scan cannot be used; the sentence says why.",
    423: "Another request has this upload.",
    429: "Too many requests; Retry-After says how long to wait.",
    431: "The headers are too long.",
    460: "The bytes do not match their checksum.",
    503: "The queue cannot be read or written now, or too many are connected.",
    507: "The disk has no room.",
}
_ALWAYS = (400, 401, 403, 408, 414, 421, 429, 431, 503)


def document() -> Json:
    """Return the description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "DicomWorkbench queue",
            "version": __version__,
            "description": "Scans in, segmentations and 3D models out. For research; not for diagnostic use.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": {**_jobs(), **_results(), **_uploads(), **_pulls(), **_others()},
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "`queue token add NAME --scope ...`"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "queue_session",
                    "description": "The port is part of the name. Unsafe requests also need the header X-CSRF-Token.",
                },
            },
        },
    }


def _jobs() -> Json:
    job = ref("Job")
    query = [
        _query("state", text(), f"Only these, separated by commas: {', '.join(State)}."),
        _query("after", whole(0, 1 << 62), "`next` of the page before."),
        _query("limit", whole(1, 500), "Rows of a page."),
        _query("q", text(200), "Part of the name, or the beginning of the id."),
    ]
    body = _body({"type": "object", "required": ["priority"], "properties": {"priority": whole(-1_000_000, 1_000_000)}})
    return {
        "/api/jobs": {"get": _do("List jobs, newest first.", {200: ref("JobList")}, parameters=query)},
        "/api/jobs/{id}": {
            "parameters": [_ID],
            "get": _do("Describe a job with its results.", {200: ref("JobDetail")}, (404,)),
            "delete": _do("Remove an ended job's results and take it off the lists.", {204: None}, (404, 409)),
        },
        "/api/jobs/{id}/cancel": {"parameters": [_ID], "post": _do("Cancel a job.", {200: job}, (404, 409))},
        "/api/jobs/{id}/retry": {"parameters": [_ID], "post": _do("Try a job again.", {200: job}, (404, 409))},
        "/api/jobs/{id}/priority": {
            "parameters": [_ID],
            "post": _do("Set a priority (admin).", {200: job}, (404, 413), body=body),
        },
        "/api/jobs/{id}/deliveries/{delivery}/send": {
            "parameters": [_ID, _DELIVERY],
            "post": _do("Send a result to a destination again.", {200: array(ref("Delivery"))}, (404,)),
        },
        "/api/queue/pause": {"post": _do("Start no more jobs (admin).", {200: ref("Queue")})},
        "/api/queue/resume": {"post": _do("Start jobs again (admin).", {200: ref("Queue")})},
        "/api/events": {
            "get": _do(
                "Follow the jobs by Server-Sent Events: `job`, `queue`, `reload`.",
                {200: "text/event-stream"},
                parameters=[
                    _query("after", whole(0, 1 << 59), "Number of the last event seen."),
                    {"name": "Last-Event-ID", "in": "header", "schema": whole(0, 1 << 59)},
                ],
            )
        },
    }


def _results() -> Json:
    def named(name: str, what: Json) -> Json:
        return {"name": name, "in": "path", "required": True, "schema": what}

    axis = {"type": "string", "enum": ["axial", "coronal", "sagittal"]}
    window = {"type": "string", "maxLength": 40}
    overlay = _query("overlay", {"type": "string", "enum": ["0", "1", "2"]}, "Without, with, or as structure numbers.")
    zipped = {200: "application/zip"}
    return {
        "/api/jobs/{id}/files/{path}": {
            "parameters": [_ID, named("path", {"type": "string", "minLength": 1})],
            "get": _do("Download a file of the results; ranges work.", {200: "application/octet-stream"}, (404, 409)),
        },
        "/api/jobs/{id}/archive.zip": {"parameters": [_ID], "get": _do("Download everything.", zipped, (404, 409))},
        "/api/jobs/{id}/models/{structure}.stl": {
            "parameters": [_ID, named("structure", {"type": "string", "minLength": 1})],
            "get": _do("Download one structure's surface.", {200: "model/stl"}, (404, 409)),
        },
        "/api/jobs/{id}/slices/{axis}/{n}.png": {
            "parameters": [_ID, named("axis", axis), named("n", whole(0, 1 << 20))],
            "get": _do(
                "Look at a slice.",
                {200: "image/png"},
                (404, 409),
                parameters=[overlay, _query("window", window, "soft tissue, lung or bone.")],
            ),
        },
    }


def _uploads() -> Json:
    upload = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    batch = {
        "name": "batch",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{4,64}$"},
    }
    length = {"name": "Upload-Length", "in": "header", "required": True, "schema": whole(0, 1 << 53)}
    offset = {"name": "Upload-Offset", "in": "header", "required": True, "schema": whole(0, 1 << 53)}
    given = {"name": "Upload-Metadata", "in": "header", "schema": {"type": "string"}}
    raw = {"content": {"application/offset+octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    properties = {"files": whole(1, 100_000), **{name: text() for name in ("name", "engine", "task", "quality")}}
    folder = _body({"type": "object", "required": ["files"], "properties": properties})
    form = {"content": {"multipart/form-data": {"schema": ref("UploadForm")}}, "required": True}
    made = {"type": "object", "required": ["jobs"], "properties": {"jobs": array(ref("Job"))}}
    return {
        "/api/uploads": {
            "get": _do("List one's unfinished uploads.", {200: array(ref("Upload"))}),
            "post": _do(
                "Begin a resumable upload (tus 1.0).",
                {201: None},
                (409, 412, 413, 415, 422, 423, 507),
                parameters=[_TUS_VERSION, length, given],
                body=None,
            ),
        },
        "/api/uploads/{id}": {
            "parameters": [upload, _TUS_VERSION],
            "head": _do("Ask how much has come.", {200: None}, (404, 412, 423)),
            "patch": _do(
                "Send bytes.", {204: None}, (404, 409, 412, 413, 415, 422, 423, 460, 507), parameters=[offset], body=raw
            ),
            "delete": _do("Give it up.", {204: None}, (404, 409, 412, 423)),
        },
        "/api/batches/{batch}": {
            "parameters": [batch],
            "post": _do(
                "Make jobs of a folder that has come.", {201: made}, (404, 409, 413, 415, 422, 423), body=folder
            ),
        },
        "/upload": {"post": _do("Upload by a plain form.", {201: made}, (409, 411, 413, 415, 422, 507), body=form)},
    }


def _pulls() -> Json:
    """Describe pulling from a PACS; STOW-RS is described by DICOM PS3.18."""
    wanted = {
        "type": "object",
        "required": ["source", "study"],
        "additionalProperties": False,
        "properties": {
            "source": {"type": "string", "description": "AET@HOST:PORT or a DICOMweb address."},
            "study": {"type": "string", "description": "Study Instance UID."},
            "series": array({"type": "string"}),
        },
    }
    one = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{12}$"}}
    found: Json = {"type": "object", "required": ["id", "state", "done", "total", "stage", "error", "report"]}
    return {
        "/api/pull": {"post": _do("Pull a study from a PACS.", {202: found}, (415,), body=_body(wanted))},
        "/api/pull/{id}": {
            "parameters": [one],
            "get": _do("Say how far a pull is.", {200: found}, (404,)),
            "delete": _do("Stop a pull; what has come stays.", {202: found}, (404,)),
        },
    }


def _others() -> Json:
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    return {
        "/api/me": {"get": _do("Say who asks.", {200: ref("Me")})},
        "/api/engines": {"get": _do("List the engines.", {200: array(ref("Engine"))})},
        "/api/health": {"get": {**_do("Say that the server answers.", {200: {"type": "object"}}), "security": []}},
        "/api/openapi.json": {"get": _do("Describe all this.", {200: {"type": "object"}})},
        "/files": {"get": _do("List the files of all results.", {200: array({"type": "string"})})},
        "/download/{name}": {
            "parameters": [name],
            "get": _do("Download a file that /files names.", {200: "application/octet-stream"}, (404,)),
        },
        "/status": {"get": _do("Say what is in the queue.", {200: ref("Status")})},
    }


def _do(
    summary: str,
    answers: Json | dict[int, Any],
    problems: tuple[int, ...] = (),
    *,
    parameters: Any = (),
    body: Any = None,
) -> Json:
    found: Json = {"summary": summary, "responses": {str(status): _answer(what) for status, what in answers.items()}}
    for status in sorted({*_ALWAYS, *problems}):
        schema = {"application/json": {"schema": ref("Problem")}}
        found["responses"][str(status)] = {"description": _SAYS[status], "content": schema}
    if parameters:
        found["parameters"] = list(parameters)
    if body:
        found["requestBody"] = body
    return found


def _answer(what: Any) -> Json:
    if what is None:
        return {"description": "Done."}
    if isinstance(what, str):
        return {"description": "The content.", "content": {what: {}}}
    return {"description": "What was asked for.", "content": {"application/json": {"schema": what}}}


def _query(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _body(schema: Json) -> Json:
    return {"required": True, "content": {"application/json": {"schema": schema}}}
