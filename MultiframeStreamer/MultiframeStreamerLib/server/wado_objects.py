"""WADO-RS: metadata, bulk data and whole objects (DICOM PS3.18 10.4.1.1, 10.4.1.5, 10.4.1.6), and facts for our own page."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Sequence
from typing import IO, Any

from DicomWorkbenchLib.web_problems import bad_request, not_found
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from ..decode import window_of
from ..info import facts
from ..metadata import whole_header
from .answers import accept_of, caching, ranged
from .catalog import Instance
from .desk import BLOCK, Desk
from .metadata_json import bulk_value, metadata_json
from .multipart import Multipart
from .negotiation import best_of
from .ranges import is_unchanged

_GZIP_FROM = 1 << 16
_FACTS = frozenset(
    ("frames", "rows", "columns", "samples", "bits_stored", "photometric", "transfer_syntax_name", "bytes", "rate", "rate_source",
     "offset_table", "index_from", "health", "broken_frames")
)  # fmt: skip


class WadoObjects:
    """Answers requests for objects and what they say of themselves."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def metadata(self, request: Request) -> Response:
        """Answer ``/metadata`` of a study, series or instance."""
        found = self._desk.instances(request)
        best_of(accept_of(request), ("application/dicom+json", "application/json"))
        tag = '"' + "-".join(self._desk.pool.tag_of(i)[:12] for i in found[:8]) + f'-{len(found)}-m"'
        if is_unchanged(request.headers, tag):
            return Response(status_code=304, headers=caching(tag))
        pieces = [await self._desk.work(self._metadata_of, request, instance) for instance in found]
        body = b"[" + b",".join(piece for piece in pieces if piece) + b"]"
        headers = caching(tag) | {"Vary": "Accept, Accept-Encoding"}
        if len(body) > _GZIP_FROM and "gzip" in request.headers.get("accept-encoding", ""):
            body = await self._desk.work(gzip.compress, body, 1)
            headers["Content-Encoding"] = "gzip"
        return Response(body, media_type="application/dicom+json", headers=headers)

    def _metadata_of(self, request: Request, instance: Instance) -> bytes:
        with self._desk.pool.lease(instance) as frames:
            return json.dumps(
                metadata_json(frames, self._desk.address(request, instance)), separators=(",", ":")
            ).encode()

    async def bulkdata(self, request: Request) -> Response:
        """Answer ``/bulkdata/{TAG}[/{ITEM}/{TAG}...]``; pixel data as the bytes of the stored value, by range."""
        instance = self._desk.instances(request)[0]
        path = [part for part in request.path_params["path"].split("/") if part]
        if not path or len(path) > 64:
            raise bad_request("bulk data are addressed by TAG or TAG/ITEM/TAG")
        _, multipart = best_of(accept_of(request), ("application/octet-stream",))
        tag = f'"{self._desk.pool.tag_of(instance)}-b{"-".join(path)}"'
        if is_unchanged(request.headers, tag):
            return Response(status_code=304, headers=caching(tag))
        lease = self._desk.pool.lease(instance)
        frames = await self._desk.work(lease.__enter__)
        header = frames.objects[0].header
        if len(path) == 1 and path[0].upper() == f"{header.pixel_tag:08X}":
            end = (
                header.source.size
                if header.pixel_length > header.source.size
                else header.pixel_offset + header.pixel_length
            )
            return self._desk.stretch(request, frames, (header.pixel_offset, min(end, header.source.size)), tag, lease)
        try:
            value = await self._desk.work(lambda: bulk_value(whole_header(header), path))
        finally:
            lease.__exit__(None, None, None)
        if value is None:
            raise not_found("there is no such bulk data")
        if multipart:
            body = Multipart("application/octet-stream")
            content = body.head("application/octet-stream", len(value)) + value + body.after() + body.end()
            return Response(content, headers=caching(tag) | {"Content-Type": body.content_type})
        return ranged(request, value, "application/octet-stream", tag)

    async def facts(self, request: Request) -> Response:
        """Answer ``/facts/{sop}`` for our own page: size, rate, window and health of one object, nothing of the patient."""
        instance = self._desk.catalog.instances.get(request.path_params["sop"])
        if instance is None:
            raise not_found("there is no such instance")
        return JSONResponse(await self._desk.work(self._facts, instance), headers={"Cache-Control": "no-store"})

    def _facts(self, instance: Instance) -> dict[str, Any]:
        with self._desk.pool.lease(instance) as frames:
            found = {name: value for name, value in facts(frames).to_json().items() if name in _FACTS}
            window = window_of(frames.metadata(0)) if frames.pixels.samples == 1 else None
            found["window"] = [window.level, window.width] if window else None
            found["values"] = (
                [-(1 << 15), 1 << 16] if frames.pixels.kind != "u" else [0, 1 << frames.pixels.bits_stored]
            )
            return found

    async def objects(self, request: Request) -> Response:
        """Answer a study, series or instance itself: the stored files, in their own transfer syntax."""
        found = self._desk.instances(request)
        _, multipart = best_of(accept_of(request), ("application/dicom",))
        tag = f'"{self._desk.pool.tag_of(found[0])}-o{len(found)}"'
        if is_unchanged(request.headers, tag):
            return Response(status_code=304, headers=caching(tag))
        if len(found) == 1 and not multipart:
            return await self._whole_file(request, found[0], tag)
        body = Multipart("application/dicom")
        return StreamingResponse(self._files(found, body), headers=caching(tag) | {"Content-Type": body.content_type})

    async def _whole_file(self, request: Request, instance: Instance, tag: str) -> Response:
        lease = self._desk.pool.lease(instance)
        frames = await self._desk.work(lease.__enter__)
        kind = f"application/dicom; transfer-syntax={instance.transfer_syntax}"
        if hasattr(frames.objects[0].source, "_original"):  # a deflated object: the file itself is what was stored
            lease.__exit__(None, None, None)
            data = await self._desk.work(instance.path.read_bytes)
            return ranged(request, data, kind, tag)
        return self._desk.stretch(request, frames, (0, frames.objects[0].source.size), tag, lease, kind)

    async def _files(self, found: Sequence[Instance], body: Multipart) -> AsyncIterator[bytes]:
        for instance in found:
            stream: IO[bytes] = await self._desk.work(instance.path.open, "rb")
            try:
                size = instance.path.stat().st_size
                yield body.head(f"application/dicom; transfer-syntax={instance.transfer_syntax}", size)
                while block := await self._desk.work(stream.read, min(BLOCK, size)):
                    size -= len(block)
                    yield block
                yield body.after()
            finally:
                stream.close()
        yield body.end()
