"""multipart/related bodies (RFC 2387): one part after the other, never all in memory."""

from __future__ import annotations

import uuid

_END = b"\r\n"


class Multipart:
    """Writes the frame around parts and knows how long the whole will be."""

    def __init__(self, part_type: str) -> None:
        self.boundary = f"workbench-{uuid.uuid4().hex}"
        self.content_type = f'multipart/related; type="{part_type}"; boundary={self.boundary}'

    def head(self, content_type: str, length: int, location: str = "") -> bytes:
        """Return what comes before a part."""
        lines = [f"--{self.boundary}", f"Content-Type: {content_type}", f"Content-Length: {length}"]
        if location:
            lines.append(f"Content-Location: {location}")
        return "\r\n".join(lines).encode() + _END + _END

    def end(self) -> bytes:
        """Return what comes after the last part."""
        return f"--{self.boundary}--".encode() + _END

    @staticmethod
    def after() -> bytes:
        """Return what comes after each part."""
        return _END
