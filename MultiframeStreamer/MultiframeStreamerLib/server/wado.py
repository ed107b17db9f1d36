"""WADO-RS: metadata, frames, pictures, bulk data and whole objects (DICOM PS3.18 section 10.4)."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import IO, Any, TypeVar

import anyio.to_thread
from DicomWorkbenchLib.errors import DependencyError, InputError, PixelDataError
from DicomWorkbenchLib.pixels_encode import encode_frame
from DicomWorkbenchLib.web_problems import Problem, bad_request, not_found
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from ..decode import decoded, window_of
from ..frames import Frames
from ..info import facts
from ..metadata import whole_header
from ..repack import little_endian
from ..syntaxes import EXPLICIT_LE, syntax_of
from .catalog import Catalog, Instance, is_uid
from .metadata_json import bulk_value, metadata_json
from .multipart import Multipart
from .negotiation import Choice, best_of, choose, is_decodable
from .pool import Pool
from .ranges import is_unchanged, wanted_range
from .rendering import View, parse_view, rendered, thumbnail

_BLOCK = 1 << 18
_READ_SECONDS = 30.0  # a disk or network path that stalls longer gets 504
_WORKERS = 8
_GZIP_FROM = 1 << 16
_FRAME_LIST = re.compile(r"[1-9]\d{0,8}(,[1-9]\d{0,8})*$")
_PICTURES = ("image/jpeg", "image/png")
_FACTS = frozenset(
    ("frames", "rows", "columns", "samples", "bits_stored", "photometric", "transfer_syntax_name", "bytes", "rate", "rate_source",
     "offset_table", "index_from", "health", "broken_frames")
)  # fmt: skip
_CACHING = "private, max-age=0, must-revalidate"
T = TypeVar("T")


class Wado:
    """Answers requests for what lies in the catalogue."""

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
            raise not_found(_without_path(error)) from error

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

    async def metadata(self, request: Request) -> Response:
        """Answer ``/metadata`` of a study, series or instance."""
        found = self.instances(request)
        best_of(accept_of(request), ("application/dicom+json", "application/json"))
        tag = '"' + "-".join(self.pool.tag_of(i)[:12] for i in found[:8]) + f'-{len(found)}-m"'
        if is_unchanged(request.headers, tag):
            return Response(status_code=304, headers=_caching(tag))
        pieces = [await self.work(self._metadata_of, request, instance) for instance in found]
        body = b"[" + b",".join(piece for piece in pieces if piece) + b"]"
        headers = _caching(tag) | {"Vary": "Accept, Accept-Encoding"}
        if len(body) > _GZIP_FROM and "gzip" in request.headers.get("accept-encoding", ""):
            body = await self.work(gzip.compress, body, 1)
            headers["Content-Encoding"] = "gzip"
        return Response(body, media_type="application/dicom+json", headers=headers)

    def _metadata_of(self, request: Request, instance: Instance) -> bytes:
        with self.pool.lease(instance) as frames:
            return json.dumps(metadata_json(frames, self.address(request, instance)), separators=(",", ":")).encode()

    async def frames(self, request: Request) -> Response:
        """Answer ``/frames/{list}`` (and ``/frames``: all of them)."""
        instance = self.instances(request)[0]
        choice = choose(
            accept_of(request),
            syntax_of(instance.transfer_syntax),
            decodable=is_decodable(syntax_of(instance.transfer_syntax)),
        )
        tag = f'"{self.pool.tag_of(instance)}-{choice.transfer_syntax.rpartition(".")[2]}{"-parts" * choice.multipart}"'
        if is_unchanged(request.headers, tag):
            return Response(status_code=304, headers=_caching(tag))
        lease = self.pool.lease(instance)
        frames: Frames = await self.work(lease.__enter__)
        try:
            numbers = frame_numbers(request.path_params.get("frames", ""), len(frames))
            if not choice.multipart:
                return await self._single(request, frames, numbers, choice, tag)
            sizes = await self.work(_sizes, frames, numbers) if choice.stored else None
            if not choice.stored:
                await self.work(
                    _coded, frames, numbers[0], choice
                )  # what cannot be transcoded is known before the answer begins
            make = lambda number: _coded(frames, number, choice)  # noqa: E731
            answer = self._multipart(make, numbers, sizes, choice.content_type, self.address(request, instance), lease)
            lease = None  # type: ignore[assignment]  # the answer ends it
            answer.headers.update(_caching(tag))
            return answer
        finally:
            if lease is not None:
                lease.__exit__(None, None, None)

    async def _single(
        self, request: Request, frames: Frames, numbers: Sequence[int], choice: Choice, tag: str
    ) -> Response:
        if len(numbers) != 1:
            raise Problem(406, "several frames can only be had as multipart/related")
        data = await self.work(_coded, frames, numbers[0], choice)
        tag = f'{tag[:-1]}-{numbers[0]}"'
        return ranged(request, data, choice.content_type, tag)

    def _multipart(
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

        async def parts() -> AsyncIterator[bytes]:
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
        return StreamingResponse(parts(), headers=headers | {"Content-Type": body.content_type})

    async def rendered(self, request: Request) -> Response:
        """Answer ``/rendered`` of an instance (its first frame) and of a list of frames."""
        instance = self.instances(request)[0]
        view = parse_view(request.query_params)
        media, multipart = best_of(accept_of(request), _PICTURES)
        tag = f'"{self.pool.tag_of(instance)}-{media[6:]}{"-parts" * multipart}"'
        if is_unchanged(request.headers, tag):
            return Response(status_code=304, headers=_caching(tag))
        lease = self.pool.lease(instance)
        frames = await self.work(lease.__enter__)
        try:
            numbers = frame_numbers(request.path_params.get("frames", "1"), len(frames))
            if len(numbers) > 1 or multipart:
                make = lambda number: rendered(frames, number, view, media)  # noqa: E731
                answer = self._multipart(make, numbers, None, media, self.address(request, instance), lease)
                lease = None  # type: ignore[assignment]  # the answer ends it
                answer.headers.update(_caching(tag))
                return answer
            data = await self.work(rendered, frames, numbers[0], view, media)
            return Response(data, media_type=media, headers=_caching(tag))
        finally:
            if lease is not None:
                lease.__exit__(None, None, None)

    async def thumbnail(self, request: Request) -> Response:
        """Answer ``/thumbnail`` of a study, series, instance or frame: the middle frame unless one is named."""
        found = self.instances(request)
        instance = found[len(found) // 2]
        best_of(accept_of(request), ("image/jpeg",))
        view = parse_view(request.query_params)
        tag = f'"{self.pool.tag_of(instance)}-t{request.path_params.get("frames", "")}{hash(view) & 0xFFFFFF:x}"'
        if is_unchanged(request.headers, tag):
            return Response(status_code=304, headers=_caching(tag))
        named = request.path_params.get("frames", "")
        data = await self.work(self._thumbnail, instance, named, view)
        return Response(data, media_type="image/jpeg", headers=_caching(tag))

    def _thumbnail(self, instance: Instance, named: str, view: View) -> bytes:
        with self.pool.lease(instance) as frames:
            if named:
                return thumbnail(frames, frame_numbers(named, len(frames))[0], view)
            *others, last = dict.fromkeys((len(frames) // 2, 0, len(frames) - 1))
            for number in others:
                with suppress(PixelDataError):  # the middle frame may be damaged; any other will do
                    return thumbnail(frames, number, view)
            return thumbnail(frames, last, view)

    async def bulkdata(self, request: Request) -> Response:
        """Answer ``/bulkdata/{TAG}[/{ITEM}/{TAG}...]``; pixel data as the bytes of the stored value, by range."""
        instance = self.instances(request)[0]
        path = [part for part in request.path_params["path"].split("/") if part]
        if not path or len(path) > 64:
            raise bad_request("bulk data are addressed by TAG or TAG/ITEM/TAG")
        _, multipart = best_of(accept_of(request), ("application/octet-stream",))
        tag = f'"{self.pool.tag_of(instance)}-b{"-".join(path)}"'
        if is_unchanged(request.headers, tag):
            return Response(status_code=304, headers=_caching(tag))
        lease = self.pool.lease(instance)
        frames = await self.work(lease.__enter__)
        header = frames.objects[0].header
        if len(path) == 1 and path[0].upper() == f"{header.pixel_tag:08X}":
            end = (
                header.source.size
                if header.pixel_length > header.source.size
                else header.pixel_offset + header.pixel_length
            )
            return self._file_range(request, frames, (header.pixel_offset, min(end, header.source.size)), tag, lease)
        try:
            value = await self.work(lambda: bulk_value(whole_header(header), path))
        finally:
            lease.__exit__(None, None, None)
        if value is None:
            raise not_found("there is no such bulk data")
        if multipart:
            body = Multipart("application/octet-stream")
            content = body.head("application/octet-stream", len(value)) + value + body.after() + body.end()
            return Response(content, headers=_caching(tag) | {"Content-Type": body.content_type})
        return ranged(request, value, "application/octet-stream", tag)

    async def facts(self, request: Request) -> Response:
        """Answer ``/facts/{sop}`` for our own page: size, rate, window and health of one object, nothing of the patient."""
        instance = self.catalog.instances.get(request.path_params["sop"])
        if instance is None:
            raise not_found("there is no such instance")
        return JSONResponse(await self.work(self._facts, instance), headers={"Cache-Control": "no-store"})

    def _facts(self, instance: Instance) -> dict[str, Any]:
        with self.pool.lease(instance) as frames:
            found = {name: value for name, value in facts(frames).to_json().items() if name in _FACTS}
            window = window_of(frames.metadata(0)) if frames.pixels.samples == 1 else None
            found["window"] = [window.level, window.width] if window else None
            found["values"] = (
                [-(1 << 15), 1 << 16] if frames.pixels.kind != "u" else [0, 1 << frames.pixels.bits_stored]
            )
            return found

    async def objects(self, request: Request) -> Response:
        """Answer a study, series or instance itself: the stored files, in their own transfer syntax."""
        found = self.instances(request)
        _, multipart = best_of(accept_of(request), ("application/dicom",))
        tag = f'"{self.pool.tag_of(found[0])}-o{len(found)}"'
        if is_unchanged(request.headers, tag):
            return Response(status_code=304, headers=_caching(tag))
        if len(found) == 1 and not multipart:
            return await self._whole_file(request, found[0], tag)
        body = Multipart("application/dicom")
        return StreamingResponse(self._files(found, body), headers=_caching(tag) | {"Content-Type": body.content_type})

    async def _whole_file(self, request: Request, instance: Instance, tag: str) -> Response:
        lease = self.pool.lease(instance)
        frames = await self.work(lease.__enter__)
        kind = f"application/dicom; transfer-syntax={instance.transfer_syntax}"
        if hasattr(frames.objects[0].source, "_original"):  # a deflated object: the file itself is what was stored
            lease.__exit__(None, None, None)
            data = await self.work(instance.path.read_bytes)
            return ranged(request, data, kind, tag)
        return self._file_range(request, frames, (0, frames.objects[0].source.size), tag, lease, kind)

    async def _files(self, found: Sequence[Instance], body: Multipart) -> AsyncIterator[bytes]:
        for instance in found:
            stream: IO[bytes] = await self.work(instance.path.open, "rb")
            try:
                size = instance.path.stat().st_size
                yield body.head(f"application/dicom; transfer-syntax={instance.transfer_syntax}", size)
                while block := await self.work(stream.read, min(_BLOCK, size)):
                    size -= len(block)
                    yield block
                yield body.after()
            finally:
                stream.close()
        yield body.end()

    def _file_range(
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
        headers = _caching(tag) | {
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
                        frames.objects[0].source.read_at, position, min(_BLOCK, begin + last + 1 - position)
                    )
                    if not block:
                        return
                    position += len(block)
                    yield block
            finally:
                lease.__exit__(None, None, None)

        return StreamingResponse(blocks(), 206 if wanted else 200, headers=headers)


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
        return Response(status_code=304, headers=_caching(tag))
    headers = _caching(tag) | {"Accept-Ranges": "bytes", "Content-Type": content_type}
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


def _sizes(frames: Frames, numbers: Sequence[int]) -> list[int]:
    if not frames.syntax.encapsulated:
        for number in numbers:
            if number >= frames.objects[0].index.complete:  # type: ignore[union-attr]
                raise PixelDataError(f"frame {number + 1} is missing: the pixel data end before it")
    return [frames.encoded_size(number) for number in numbers]


def _coded(frames: Frames, number: int, choice: Choice) -> bytes:
    """Return a frame in the agreed form."""
    data, stored = frames.encoded(number), frames.objects[0].header.transfer_syntax
    if choice.stored:
        return little_endian(data, stored, frames.pixels)
    try:
        samples = decoded(data, stored, frames.pixels)
    except PixelDataError as error:
        raise Problem(
            406,
            f"frame {number + 1} cannot be decoded: {_without_path(error)}; transfer-syntax=* gives its stored bytes",
        ) from error
    if choice.transfer_syntax == EXPLICIT_LE:
        import numpy as np

        if frames.pixels.bits_allocated == 1:
            return np.packbits(samples.reshape(-1), bitorder="little").tobytes()
        return samples.astype(samples.dtype.newbyteorder("<")).tobytes()
    return encode_frame(samples, choice.transfer_syntax)


def _caching(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": _CACHING, "Vary": "Accept"}


def _without_path(error: Exception) -> str:
    """Say what is wrong without telling a client where files lie."""
    return re.sub(r"(?:[A-Za-z]:)?[\\/]\S*[\\/]\S+?(?=[:,\s]|$)", "the file", str(error))
