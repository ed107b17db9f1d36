"""Range, If-Range and If-None-Match (RFC 9110 sections 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from DicomWorkbenchLib.web_problems import Problem

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})$")


def wanted_range(headers: Mapping[str, str], size: int, tag: str) -> tuple[int, int] | None:
    """Return first and last byte that are asked for, None for all of it.

    A range of another kind, several ranges, or an If-Range that no longer holds mean the whole.

    Raises
    ------
    Problem : the range begins behind the end (416).
    """
    text = headers.get("range", "")
    match = _RANGE.match(text.replace(" ", ""))
    if match is None or headers.get("if-range", tag) != tag or match[1] == match[2] == "":
        return None
    if not match[1]:
        length = min(int(match[2]), size)
        first, last = size - length, size - 1
    else:
        first = int(match[1])
        last = min(int(match[2]), size - 1) if match[2] else size - 1
        if match[2] and int(match[2]) < first:
            return None
    if first >= size or first > last:
        raise Problem(
            416, f"the range begins behind the end; there are {size} bytes", {"Content-Range": f"bytes */{size}"}
        )
    return first, last


def is_unchanged(headers: Mapping[str, str], tag: str) -> bool:
    """Tell whether the client has this version already."""
    known = headers.get("if-none-match", "")
    return known.strip() == "*" or tag in (part.strip().removeprefix("W/") for part in known.split(","))
