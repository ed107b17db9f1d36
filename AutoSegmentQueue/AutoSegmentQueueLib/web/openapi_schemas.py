"""The shapes of what the interface for programs takes and gives (JSON Schema 2020-12)."""

from __future__ import annotations

from typing import Any

from AutoSegmentQueueLib.states import State

Json = dict[str, Any]


def ref(name: str) -> Json:
    """Return a reference to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Json) -> Json:
    """Return the shape of a list."""
    return {"type": "array", "items": items}


def text(longest: int = 64) -> Json:
    """Return the shape of a text."""
    return {"type": "string", "maxLength": longest}


def whole(least: int, most: int) -> Json:
    """Return the shape of a whole number."""
    return {"type": "integer", "minimum": least, "maximum": most}


def _object(required: Json, **optional: Json) -> Json:
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


_TEXT: Json = {"type": "string"}
_NUMBER: Json = {"type": "number"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_YES: Json = {"type": "boolean"}
_ANY: Json = {"type": "object"}


def _or_null(shape: Json) -> Json:
    return {**shape, "type": [shape["type"], "null"]}


_STATE: Json = {"type": "string", "enum": [state.value for state in State]}
_QUEUE = {"counts": {"type": "object", "additionalProperties": _COUNT}, "paused": _YES, "intake": _TEXT}
_JOB = {
    "seq": _COUNT,
    "id": _TEXT,
    "name": _TEXT,
    "kind": _TEXT,
    "engine": _TEXT,
    "task": _TEXT,
    "quality": _TEXT,
    "device": _TEXT,
    "state": _STATE,
    "stage": _TEXT,
    "progress": {"type": "number", "minimum": 0, "maximum": 1},
    "position": _or_null(_COUNT),
    "eta_seconds": _or_null(_NUMBER),
    "wait_seconds": _NUMBER,
    "run_seconds": _or_null(_NUMBER),
    "priority": {"type": "integer"},
    "attempts": _COUNT,
    "user": _TEXT,
    "created": _NUMBER,
    "queued": _or_null(_NUMBER),
    "started": _or_null(_NUMBER),
    "ended": _or_null(_NUMBER),
    "error": _or_null(_TEXT),
    "error_class": _or_null(_TEXT),
    "can": _object({"cancel": _YES, "retry": _YES, "delete": _YES}),
    "links": _object({"self": _TEXT, "page": _TEXT}),
}
_FILE = _object({"name": _TEXT, "bytes": _COUNT, "sha256": _TEXT, "url": _TEXT})
_EVENT = _object({"event": _COUNT, "at": _NUMBER, "state": _STATE, "note": _TEXT})

SCHEMAS: dict[str, Json] = {
    "Problem": _object({"status": {"type": "integer"}, "error": _TEXT, "code": _TEXT}),
    "Queue": _object(_QUEUE),
    "Job": _object(_JOB),
    "JobList": _object({"jobs": array(ref("Job")), "next": _or_null(_COUNT), **_QUEUE, "event": _COUNT}),
    "JobDetail": _object(
        {
            **_JOB,
            "files": array(_FILE),
            "structures": array(_ANY),
            "report": _ANY,
            "history": array(_EVENT),
            "deliveries": array(ref("Delivery")),
            "models": _ANY,
        },
        previews=_or_null(_ANY),
    ),
    "Delivery": _object(
        {
            "id": _TEXT,
            "job": _TEXT,
            "destination": _TEXT,
            "state": {"type": "string", "enum": ["waiting", "sent", "stored", "dead"]},
            "attempts": _COUNT,
            "error": _TEXT,
            "changed": _NUMBER,
            "again": _YES,
        }
    ),
    "Status": _object({"jobs": array(ref("Job")), **_QUEUE}),
    "Me": _object(
        {
            "name": _TEXT,
            "role": {"type": "string", "enum": ["viewer", "submitter", "admin"]},
            "csrf": _TEXT,
            "can_submit": _YES,
            "can_admin": _YES,
            "quota": _object({"used": _COUNT, "limit": _COUNT}),
            "free_bytes": _COUNT,
        }
    ),
    "Engine": _object(
        {
            "name": _TEXT,
            "title": _TEXT,
            "available": _YES,
            "reason": _or_null(_TEXT),
            "tasks": array(_TEXT),
            "qualities": array(_TEXT),
        }
    ),
    "Upload": _object(
        {
            "url": _TEXT,
            "filename": _TEXT,
            "relativepath": _TEXT,
            "offset": _COUNT,
            "length": _COUNT,
            "batch": _TEXT,
            "state": {"type": "string", "enum": ["open", "complete"]},
            "created": _NUMBER,
            "expires": _NUMBER,
        }
    ),
    "UploadForm": _object(
        {"files": array({"type": "string", "format": "binary"})},
        **{name: text() for name in ("engine", "task", "quality")},
    ),
}
