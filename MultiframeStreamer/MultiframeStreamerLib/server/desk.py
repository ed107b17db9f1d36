"""What all routes of WADO-RS use: the catalogue and its open files, threads for what blocks, and answers that are sent piece by piece."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import anyio.to_thread
from DicomWorkbenchLib.errors import DependencyError, InputError
from DicomWorkbenchLib.web_problems import Problem, bad_request, not_found
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ..frames import Frames
from .answers import base_of, caching, without_path
from .catalog import Catalog, Instance, is_uid
from .multipart import Multipart
from .pool import Pool
from .ranges import wanted_range

BLOCK = 1 << 18
_READ_SECONDS = 30.0  # a disk or network path that stalls longer gets 504
_WORKERS = 8
T = TypeVar("T")


class Desk:
    """Takes requests for what lies in the catalogue."""

    def __init__(self, catalog: Catalog, pool: Pool, root: str) -> None:
        self.catalog, self.pool, self.root = catalog, pool, root
        self._workers = anyio.CapacityLimiter(_WORKERS)

    async def work(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run something that blocks in a thread, and do not wait for ever.

        Raises
        ------
        Problem : it took too long (504), or the file cannot be used (404, 406).
        """
        try:
            with anyio.fail_after(_READ_SECONDS):
                return await anyio.to_thread.run_sync(
                    function, *arguments, limiter=self._workers, abandon_on_cancel=True
                )
        except TimeoutError:
            raise Problem(504, "the disk or network path that holds the file does not answer") from None
        except DependencyError as error:
            raise Problem(406, str(error)) from error
        except InputError as error:
            raise not_found(without_path(error)) from error

    def instances(self, request: Request) -> list[Instance]:
        """Return the objects a path names.

        Raises
        ------
        Problem : a UID is none (400), or there is no such object (404).
        """
        names = [request.path_params.get(name, "") for name in ("study", "series", "sop")]
        if any(name and not is_uid(name) for name in names):
            raise bad_request("a UID in the address is not a UID")
        found = self.catalog.find(*names)
        if not found:
            raise not_found("there is no such study, series or instance")
        return found

    def address(self, request: Request, instance: Instance) -> str:
        """Return the address of an instance."""
        return (
            f"{base_of(request, self.root)}/studies/{instance.study}/series/{instance.series}/instances/{instance.sop}"
        )

    def parts(
        self,
        make: Callable[[int], bytes],
        numbers: Sequence[int],
        sizes: Sequence[int] | None,
        content_type: str,
        address: str,
        lease: AbstractContextManager[Frames],
    ) -> StreamingResponse:
        """Send one part a frame; only one frame at a time is in memory."""
        body = Multipart(content_type.partition(";")[0])

        async def made() -> AsyncIterator[bytes]:
            try:
                for number in numbers:
                    location = f"{address}/frames/{number + 1}"
                    try:
                        data, kind = await self.work(make, number), content_type
                    except Problem as problem:  # the others are fine: say which one is not
                        data, kind = (
                            json.dumps({"frame": number + 1, "error": problem.reason}).encode(),
                            "application/problem+json",
                        )
                    yield body.head(kind, len(data), location) + data + body.after()
                yield body.end()
            finally:
                lease.__exit__(None, None, None)

        headers = {}
        if sizes is not None:
            total = len(body.end())
            for number, size in zip(numbers, sizes, strict=True):
                total += len(body.head(content_type, size, f"{address}/frames/{number + 1}")) + size + len(body.after())
            headers["Content-Length"] = str(total)
        return StreamingResponse(made(), headers=headers | {"Content-Type": body.content_type})

    def stretch(
        self,
        request: Request,
        frames: Frames,
        span: tuple[int, int],
        tag: str,
        lease: AbstractContextManager[Frames],
        kind: str = "application/octet-stream",
    ) -> Response:
        """Send a stretch of the file block by block, or the part of it that is asked for."""
        begin, end = span
        try:
            wanted = wanted_range(request.headers, end - begin, tag)
        except Problem:
            lease.__exit__(None, None, None)
            raise
        first, last = wanted or (0, end - begin - 1)
        headers = caching(tag) | {
            "Accept-Ranges": "bytes",
            "Content-Type": kind,
            "Content-Length": str(last - first + 1),
        }
        if wanted:
            headers["Content-Range"] = f"bytes {first}-{last}/{end - begin}"

        async def blocks() -> AsyncIterator[bytes]:
            try:
                position = begin + first
                while position <= begin + last:
                    block = await self.work(
                        frames.objects[0].source.read_at, position, min(BLOCK, begin + last + 1 - position)
                    )
                    if not block:
                        return
                    position += len(block)
                    yield block
            finally:
                lease.__exit__(None, None, None)

        return StreamingResponse(blocks(), 206 if wanted else 200, headers=headers)
