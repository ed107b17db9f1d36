"""Bodies of requests that are small: JSON and forms, read up to a limit and no further."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from DicomWorkbenchLib.web_problems import Problem, bad_request
from starlette.requests import Request

MOST_BYTES = 64 << 10


async def small_body(request: Request, most: int = MOST_BYTES) -> bytes:
    """Return the body.

    Raises
    ------
    Problem : it is larger than a request of this kind can be.
    """
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > most:
            raise Problem(413, f"the body is larger than {most >> 10} kB", {"Connection": "close"})
    return bytes(found)


async def json_body(request: Request) -> dict[str, Any]:
    """Return a body that holds one JSON object; no body is an empty one.

    Raises
    ------
    Problem : it is something else.
    """
    content = await small_body(request)
    try:
        value = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        raise bad_request("the body is not JSON") from None
    if not isinstance(value, dict):
        raise bad_request("the body must be one JSON object")
    return value


async def form_body(request: Request) -> dict[str, str]:
    """Return the fields of a form as browsers send them.

    Raises
    ------
    Problem : it is something else.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Problem(415, "this takes a form (application/x-www-form-urlencoded)")
    content = await small_body(request)
    try:
        return dict(parse_qsl(content.decode(), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        raise bad_request("the form cannot be read") from None
