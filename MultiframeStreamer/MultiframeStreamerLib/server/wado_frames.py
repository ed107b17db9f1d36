"""WADO-RS: frames as they are stored or in another transfer syntax, and pictures of them (DICOM PS3.18 10.4.1.1, 10.4.1.4)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from DicomWorkbenchLib.errors import PixelDataError
from DicomWorkbenchLib.pixels_encode import encode_frame
from DicomWorkbenchLib.web_problems import Problem
from starlette.requests import Request
from starlette.responses import Response

from ..decode import decoded
from ..frames import Frames
from ..repack import little_endian
from ..syntaxes import EXPLICIT_LE, syntax_of
from .answers import accept_of, caching, frame_numbers, ranged, without_path
from .catalog import Instance
from .desk import Desk
from .negotiation import Choice, best_of, choose, is_decodable
from .ranges import is_unchanged
from .rendering import View, parse_view, rendered, thumbnail

_PICTURES = ("image/jpeg", "image/png")


class WadoFrames:
    """Answers requests for frames."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def frames(self, request: Request) -> Response:
        """Answer ``/frames/{list}`` (and ``/frames``: all of them)."""
        instance = self._desk.instances(request)[0]
        choice = choose(
            accept_of(request),
            syntax_of(instance.transfer_syntax),
            decodable=is_decodable(syntax_of(instance.transfer_syntax)),
        )
        tag = f'"{self._desk.pool.tag_of(instance)}-{choice.transfer_syntax.rpartition(".")[2]}{"-parts" * choice.multipart}"'
        if is_unchanged(request.headers, tag):
            return Response(status_code=304, headers=caching(tag))
        lease = self._desk.pool.lease(instance)
        frames: Frames = await self._desk.work(lease.__enter__)
        try:
            numbers = frame_numbers(request.path_params.get("frames", ""), len(frames))
            if not choice.multipart:
                return await self._single(request, frames, numbers, choice, tag)
            sizes = await self._desk.work(_sizes, frames, numbers) if choice.stored else None
            if not choice.stored:
                await self._desk.work(
                    _coded, frames, numbers[0], choice
                )  # what cannot be transcoded is known before the answer begins
            make = lambda number: _coded(frames, number, choice)  # noqa: E731
            answer = self._desk.parts(
                make, numbers, sizes, choice.content_type, self._desk.address(request, instance), lease
            )
            lease = None  # type: ignore[assignment]  # the answer ends it
            answer.headers.update(caching(tag))
            return answer
        finally:
            if lease is not None:
                lease.__exit__(None, None, None)

    async def _single(
        self, request: Request, frames: Frames, numbers: Sequence[int], choice: Choice, tag: str
    ) -> Response:
        if len(numbers) != 1:
            raise Problem(406, "several frames can only be had as multipart/related")
        data = await self._desk.work(_coded, frames, numbers[0], choice)
        tag = f'{tag[:-1]}-{numbers[0]}"'
        return ranged(request, data, choice.content_type, tag)

    async def rendered(self, request: Request) -> Response:
        """Answer ``/rendered`` of an instance (its first frame) and of a list of frames."""
        instance = self._desk.instances(request)[0]
        view = parse_view(request.query_params)
        media, multipart = best_of(accept_of(request), _PICTURES)
        tag = f'"{self._desk.pool.tag_of(instance)}-{media[6:]}{"-parts" * multipart}"'
        if is_unchanged(request.headers, tag):
            return Response(status_code=304, headers=caching(tag))
        lease = self._desk.pool.lease(instance)
        frames = await self._desk.work(lease.__enter__)
        try:
            numbers = frame_numbers(request.path_params.get("frames", "1"), len(frames))
            if len(numbers) > 1 or multipart:
                make = lambda number: rendered(frames, number, view, media)  # noqa: E731
                answer = self._desk.parts(make, numbers, None, media, self._desk.address(request, instance), lease)
                lease = None  # type: ignore[assignment]  # the answer ends it
                answer.headers.update(caching(tag))
                return answer
            data = await self._desk.work(rendered, frames, numbers[0], view, media)
            return Response(data, media_type=media, headers=caching(tag))
        finally:
            if lease is not None:
                lease.__exit__(None, None, None)

    async def thumbnail(self, request: Request) -> Response:
        """Answer ``/thumbnail`` of a study, series, instance or frame: the middle frame unless one is named."""
        found = self._desk.instances(request)
        instance = found[len(found) // 2]
        best_of(accept_of(request), ("image/jpeg",))
        view = parse_view(request.query_params)
        tag = f'"{self._desk.pool.tag_of(instance)}-t{request.path_params.get("frames", "")}{hash(view) & 0xFFFFFF:x}"'
        if is_unchanged(request.headers, tag):
            return Response(status_code=304, headers=caching(tag))
        named = request.path_params.get("frames", "")
        data = await self._desk.work(self._thumbnail, instance, named, view)
        return Response(data, media_type="image/jpeg", headers=caching(tag))

    def _thumbnail(self, instance: Instance, named: str, view: View) -> bytes:
        with self._desk.pool.lease(instance) as frames:
            if named:
                return thumbnail(frames, frame_numbers(named, len(frames))[0], view)
            *others, last = dict.fromkeys((len(frames) // 2, 0, len(frames) - 1))
            for number in others:
                with suppress(PixelDataError):  # the middle frame may be damaged; any other will do
                    return thumbnail(frames, number, view)
            return thumbnail(frames, last, view)


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
            f"frame {number + 1} cannot be decoded: {without_path(error)}; transfer-syntax=* gives its stored bytes",
        ) from error
    if choice.transfer_syntax == EXPLICIT_LE:
        import numpy as np

        if frames.pixels.bits_allocated == 1:
            return np.packbits(samples.reshape(-1), bitorder="little").tobytes()
        return samples.astype(samples.dtype.newbyteorder("<")).tobytes()
    return encode_frame(samples, choice.transfer_syntax)
