"""Sending to a DICOMweb service: STOW-RS with the files as they are, then a search by QIDO-RS (PS3.18 10.5 and 10.6)."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from AutoSegmentQueueLib.failpoints import reach
from AutoSegmentQueueLib.pacs.dimse_client import Caller, PeerError
from AutoSegmentQueueLib.pacs.peers import WebPeer
from AutoSegmentQueueLib.pacs.send_errors import Missing, Permanent, Refused, SendError, Unreachable, check_status
from AutoSegmentQueueLib.pacs.send_objects import SendObject
from AutoSegmentQueueLib.pacs.web_client import WebClient

BATCH_BYTES = 64 << 20  # of one request; a service may hold it in memory
_CHUNK = 1 << 20
_FAILED, _REASON = "00081198", "00081197"
_TRY_AGAIN = (408, 425, 429)


class WebDestination:
    """One DICOMweb service."""

    def __init__(self, peer: WebPeer, caller: Caller) -> None:
        self._peer, self._seconds = peer, caller.seconds
        self._client = WebClient(peer, caller)

    def store(self, objects: Sequence[SendObject]) -> None:
        """Send objects; see `send_errors` for what is raised."""
        for batch in _batches(objects):
            self._post(batch)
            reach("outbox.object-sent")

    def _post(self, batch: Sequence[SendObject]) -> None:
        import requests

        boundary = uuid.uuid4().hex
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": "application/dicom+json",
        }
        try:
            answer = self._client.session.post(
                f"{self._peer.url}/studies", data=_Body(batch, boundary), headers=headers, timeout=self._seconds
            )
        except requests.ConnectionError as error:
            raise Unreachable(f"{self._peer} cannot be reached") from error
        except requests.RequestException as error:
            raise SendError(f"{self._peer} did not take the objects ({type(error).__name__})") from error
        self._check(answer)

    def _check(self, answer: Any) -> None:
        code = int(answer.status_code)
        if code in (401, 403):
            raise Refused(f"{self._peer} refuses us (HTTP {code}); see docs/queue-pacs.md for how to log in")
        try:
            said = answer.json()
        except ValueError:
            said = None
        failed = said.get(_FAILED, {}).get("Value", []) if isinstance(said, dict) else []
        for item in failed:
            check_status(int(item.get(_REASON, {}).get("Value", [0x0110])[0]), self._peer)
        if code in (200, 202):
            return
        if 400 <= code < 500 and code not in _TRY_AGAIN:
            raise Permanent(f"{self._peer} does not take the objects (HTTP {code})")
        raise SendError(f"{self._peer} did not take the objects (HTTP {code})")

    def confirm(self, objects: Sequence[SendObject]) -> None:
        """See by a search that the service has the objects.

        Raises
        ------
        Missing : it does not have all of them.
        """
        missing = {one.sop_instance_uid for one in objects}
        try:
            for study, series in dict.fromkeys((one.study_instance_uid, one.series_instance_uid) for one in objects):
                missing -= self._client.instances_of(study, series)
        except PeerError as error:
            kind = Unreachable if "cannot be reached" in str(error) else Refused
            raise kind(str(error)) from error
        if missing:
            raise Missing(f"{self._peer} does not show {len(missing)} of {len(objects)} objects in a search")


def _batches(objects: Sequence[SendObject]) -> Iterator[list[SendObject]]:
    batch: list[SendObject] = []
    size = 0
    for one in objects:
        size += one.path.stat().st_size
        if batch and size > BATCH_BYTES:
            yield batch
            batch, size = [], one.path.stat().st_size
        batch.append(one)
    if batch:
        yield batch


class _Body(io.RawIOBase):
    """A multipart body that is read from the files while it is sent; its length is known, so it needs no chunked transfer."""

    def __init__(self, batch: Sequence[SendObject], boundary: str) -> None:
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        parts = [part for one in batch for part in (head, one.path, b"\r\n")]
        self._parts: list[bytes | Path] = [*parts, f"--{boundary}--\r\n".encode()]
        self._length = sum(len(part) if isinstance(part, bytes) else part.stat().st_size for part in self._parts)
        self._chunks = self._read_parts()
        self._rest = b""

    def __len__(self) -> int:
        return self._length

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most ``size``; empty at the end."""
        if size is None or size < 0:
            rest, self._rest = self._rest, b""
            return rest + b"".join(self._chunks)
        if not self._rest:
            self._rest = next(self._chunks, b"")
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def _read_parts(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
                continue
            with part.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
