"""HTTP answers that are no success, with a sentence that says why."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse

_CODES = {
    400: "bad-request",
    401: "not-logged-in",
    403: "not-allowed",
    404: "not-found",
    405: "wrong-method",
    406: "not-acceptable",
    408: "too-slow",
    409: "conflict",
    410: "gone",
    411: "length-missing",
    412: "precondition-failed",
    413: "too-large",
    414: "address-too-long",
    415: "wrong-type",
    416: "wrong-range",
    421: "wrong-host",
    422: "refused",
    429: "too-many",
    431: "headers-too-large",
    500: "failed",
    503: "busy",
    507: "disk-full",
}


class Problem(Exception):
    """Raised anywhere below a request; becomes a JSON answer with this status.

    Parameters
    ----------
    status : of HTTP.
    reason : a sentence for the one who asked.
    headers : of the answer.
    code : a word for programs; empty takes the usual one of the status.
    """

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None, code: str = "") -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, dict(headers or {})
        self.code = code or _CODES.get(status, "failed")

    def response(self) -> JSONResponse:
        """Return the answer."""
        content = {"status": self.status, "error": self.reason, "code": self.code}
        return JSONResponse(content, self.status, headers=self.headers)


def bad_request(reason: str) -> Problem:
    """Return the answer to a request that makes no sense."""
    return Problem(400, reason)


def not_found(reason: str) -> Problem:
    """Return the answer to a request for something that is not here."""
    return Problem(404, reason)


def not_acceptable(reason: str) -> Problem:
    """Return the answer to a request that allows no form we have."""
    return Problem(406, reason)
