"""What answers of the server share: caching, ranges, frame lists, addresses."""

from __future__ import annotations

import re

from DicomWorkbenchLib.web_problems import bad_request, not_found
from starlette.requests import Request
from starlette.responses import Response

from .ranges import is_unchanged, wanted_range

_FRAME_LIST = re.compile(r"[1-9]\d{0,8}(,[1-9]\d{0,8})*$")
_CACHING = "private, max-age=0, must-revalidate"


def frame_numbers(text: str, count: int) -> list[int]:
    """Read a frame list such as ``1,2,9`` and return numbers from 0; an empty one means all.

    Raises
    ------
    Problem : not a list of numbers or a number twice (400), or a frame that is not there (404).
    """
    if not text:
        return list(range(count))
    if not _FRAME_LIST.match(text):
        raise bad_request("frames are a list of numbers from 1, such as 1,2,3")
    numbers = [int(part) - 1 for part in text.split(",")]
    if len(set(numbers)) != len(numbers):
        raise bad_request("a frame is named twice in the list")
    if max(numbers) >= count:
        raise not_found(f"there is no frame {max(numbers) + 1}; there are {count}")
    return numbers


def ranged(request: Request, data: bytes, content_type: str, tag: str) -> Response:
    """Answer with bytes that are in memory, or the range of them that is asked for."""
    if is_unchanged(request.headers, tag):
        return Response(status_code=304, headers=caching(tag))
    headers = caching(tag) | {"Accept-Ranges": "bytes", "Content-Type": content_type}
    wanted = wanted_range(request.headers, len(data), tag)
    if wanted is None:
        return Response(data, headers=headers)
    first, last = wanted
    return Response(data[first : last + 1], 206, headers | {"Content-Range": f"bytes {first}-{last}/{len(data)}"})


def accept_of(request: Request) -> str:
    """Return what a client accepts: the query parameter wins over the header (PS3.18 8.3.3.1)."""
    return request.query_params.get("accept") or ", ".join(request.headers.getlist("accept"))


def base_of(request: Request, root: str) -> str:
    """Return the address of the DICOMweb root as the client sees it."""
    return f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}{root}"


def caching(tag: str) -> dict[str, str]:
    """Return the headers of an answer that may be kept, and must be asked about."""
    return {"ETag": tag, "Cache-Control": _CACHING, "Vary": "Accept"}


def without_path(error: Exception) -> str:
    """Say what is wrong without telling a client where files lie."""
    return re.sub(r"(?:[A-Za-z]:)?[\\/]\S*[\\/]\S+?(?=[:,\s]|$)", "the file", str(error))
