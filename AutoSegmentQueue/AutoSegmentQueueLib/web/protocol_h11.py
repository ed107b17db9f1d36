"""The watched protocol over h11, which is there wherever uvicorn is."""

from __future__ import annotations

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from AutoSegmentQueueLib.web.protocol import MOST_HEADER_BYTES, Watched


class WatchedH11(Watched, H11Protocol):
    """One connection."""

    def in_header(self) -> bool:
        """Whether a header has begun, or the first one is waited for."""
        return self.conn.their_state is h11.IDLE and (self.cycle is None or bool(self.conn.trailing_data[0]))

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or has a header longer than any browser sends."""
        if len(self.conn.trailing_data[0]) >= MOST_HEADER_BYTES:
            self.refuse(431, "the headers of this request are too long")
        else:
            self.refuse(400, "this is not HTTP")
