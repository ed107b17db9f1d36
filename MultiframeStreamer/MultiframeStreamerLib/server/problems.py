"""HTTP answers that are no success, with a sentence that says why."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse


class Problem(Exception):
    """Raised anywhere below a request; becomes a JSON answer with this status."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, dict(headers or {})

    def response(self) -> JSONResponse:
        """Return the answer."""
        return JSONResponse({"status": self.status, "error": self.reason}, self.status, headers=self.headers)


def bad_request(reason: str) -> Problem:
    """Return the answer to a request that makes no sense."""
    return Problem(400, reason)


def not_found(reason: str) -> Problem:
    """Return the answer to a request for something that is not here."""
    return Problem(404, reason)


def not_acceptable(reason: str) -> Problem:
    """Return the answer to a request that allows no form we have."""
    return Problem(406, reason)
