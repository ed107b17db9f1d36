"""Bytes of one request to disk: written beside the reading, brought safely to disk now and then, counted only after that."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from DicomWorkbenchLib.web_problems import Problem

WRITE_BYTES = 4 << 20  # collected before a write, by one upload alone; two such pieces are all the memory it takes
ALL_BYTES = 32 << 20  # for the pieces of all uploads; where there are many, each collects less
LEAST_WRITE_BYTES = 1 << 18
COMMIT_BYTES = 16 << 20  # after so many the offset moves on, while more is being read
AHEAD_BYTES = 40 << 20  # no more than these may wait for a slow disk: a kill then costs less than one chunk of 64 MB
SMALL_BYTES = 1 << 14  # parts below this are put together; larger ones are written as they are, without a copy
_sync = getattr(os, "fdatasync", os.fsync)  # size and content are enough; times need not wait for the disk
_writev: Any = getattr(os, "writev", None)  # not on Windows
Run = Callable[..., Awaitable[Any]]


class Interrupted(Exception):
    """Another request for the same upload has come; this one is over."""


class Stop:
    """Lets a newer request end an older one, also while the older one waits for bytes that do not come."""

    def __init__(self) -> None:
        self._asked = False
        self._waiting: asyncio.Task[Any] | None = None

    def ask(self) -> None:
        """Ask whoever has this to end."""
        self._asked = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def watch(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Give parts until asked to end.

        Raises
        ------
        Interrupted : it was asked for.
        """
        task = asyncio.current_task()
        while not self._asked:
            self._waiting = task
            try:
                part = await anext(parts)
            except StopAsyncIteration:
                return
            except asyncio.CancelledError:
                if not self._asked or task is None or task.uncancel():
                    raise  # the server ends
                break
            finally:
                self._waiting = None
            yield part
        raise Interrupted


class _Pieces:
    """Bytes that wait to be written; many small parts take no more memory than few large ones."""

    def __init__(self) -> None:
        self.parts: list[bytes | bytearray] = []
        self.size = 0

    def add(self, part: bytes) -> None:
        """Take a part."""
        self.size += len(part)
        last = self.parts[-1] if self.parts else b""
        if len(part) >= SMALL_BYTES:
            self.parts.append(part)
        elif isinstance(last, bytearray):
            last += part
        else:
            self.parts.append(bytearray(part))


@dataclass
class Sink:
    """Takes the bytes of one request.

    Parameters
    ----------
    run : runs a function in a thread.
    path, offset, most : file, place of the first byte, and number of bytes that may come.
    commit : called with every new offset that is safely on disk.
    digest : takes all bytes too, if a checksum was given; then nothing counts before the caller has compared it.
    """

    run: Run
    path: Path
    offset: int
    most: int
    commit: Callable[[int], None]
    digest: Any = None
    stop: Stop = field(default_factory=Stop)
    written: int = 0  # bytes in the file
    committed: int = 0  # bytes safely on disk
    _under_way: ClassVar[int] = 0
    _file: int = -1
    _writing: asyncio.Future[Any] | None = None
    _committing: asyncio.Future[Any] | None = None
    _asked: int = 0

    async def take(self, parts: AsyncIterator[bytes]) -> None:
        """Take all that comes; what has come is kept, also when the request breaks off.

        Raises
        ------
        Problem : more comes than was promised; the disk is full.
        Interrupted : another request goes on with this upload.
        """
        self._file = os.open(self.path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
        collected, seen = _Pieces(), 0
        Sink._under_way += 1
        try:
            os.lseek(self._file, self.offset, os.SEEK_SET)
            async for part in self.stop.watch(parts):
                seen += len(part)
                if seen > self.most:
                    raise Problem(413, "more bytes came than the upload was said to have", {"Connection": "close"})
                collected.add(part)
                if collected.size >= _write_bytes(Sink._under_way):
                    full, collected = collected, _Pieces()
                    await self._write(full)
        except OSError as error:
            collected = _Pieces()
            raise _full(error) from error
        finally:
            try:
                await self._finish(collected)
            except OSError as error:
                raise _full(error) from error
            finally:
                Sink._under_way -= 1
                os.close(self._file)

    async def _write(self, pieces: _Pieces) -> None:
        if self._writing is not None:
            await self._writing
        self._writing = asyncio.ensure_future(self.run(self._to_file, pieces))
        if self._committing is not None and self.written - self.committed >= AHEAD_BYTES and self.digest is None:
            await self._committing
        idle = self._committing is None or self._committing.done()
        if self.digest is None and idle and self.written - self._asked >= COMMIT_BYTES:
            if self._committing is not None:
                await self._committing
            self._asked = self.written
            self._committing = asyncio.ensure_future(self.run(self._to_disk, self.written))

    async def _finish(self, rest: _Pieces) -> None:
        if self._writing is not None:
            await self._writing
        if rest.size:
            await self.run(self._to_file, rest)
        if self._committing is not None:
            await self._committing
        if self.digest is None and self.written > self.committed:
            await self.run(self._to_disk, self.written)

    async def keep(self) -> None:
        """Count what has come although a checksum was given: it is right."""
        self._file = os.open(self.path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
        try:
            await self.run(self._to_disk, self.written)
        finally:
            os.close(self._file)

    def _to_file(self, pieces: _Pieces) -> None:
        done = _writev(self._file, pieces.parts) if _writev else 0  # one call: each has to wait for the other threads
        for piece in pieces.parts:
            if self.digest is not None:
                self.digest.update(piece)
            view = memoryview(piece)[done:]
            done -= min(done, len(piece))
            while view:
                view = view[os.write(self._file, view) :]
        self.written += pieces.size

    def _to_disk(self, written: int) -> None:
        _sync(self._file)
        self.commit(self.offset + written)
        self.committed = written


def _write_bytes(uploads: int) -> int:
    return min(max(ALL_BYTES // (2 * uploads), LEAST_WRITE_BYTES), WRITE_BYTES)


def _full(error: OSError) -> Problem:
    return Problem(507, f"the disk of the queue cannot take more ({error.strerror}); what came before is kept")
