"""`open_frames`: a sequence of decoded frames over files of any size, read only where somebody looks."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

from DicomWorkbenchLib.errors import FileError, InputError, PixelDataError

from .concatenation import joined_in_folder, joined_with_siblings
from .frame_cache import FrameCache
from .pixel_format import PixelFormat
from .stored import StoredObject, open_object, open_source
from .syntaxes import Syntax
from .timing import Timing, read_timing

if TYPE_CHECKING:
    from DicomWorkbenchLib.windowing import Window
    from numpy.typing import NDArray
    from pydicom import Dataset

    from .placement import Placement

    Array = NDArray[Any]

CACHE_BYTES = 256 << 20
READ_AHEAD = 8
_LARGEST_FRAME = 1 << 33  # bytes of one decoded frame; a whole slide at full size has about this


def open_frames(
    place: str | Path | Sequence[str | Path],
    *,
    cache_bytes: int = CACHE_BYTES,
    read_ahead: int = READ_AHEAD,
    sidecar: bool = True,
    headers: Mapping[str, str] | None = None,
    timeout: float = 20.0,
) -> Frames:
    """Open a multi-frame DICOM object without reading it.

    Parameters
    ----------
    place : a file, an http(s) address whose server answers Range requests, a folder that holds one object, or the files of a
        concatenation. A file that is part of a concatenation is joined with the other parts in its folder.
    cache_bytes : limit of decoded frames kept in memory.
    read_ahead : frames decoded in the background in the direction of play; 0 switches it off.
    sidecar : keep the index in the user's cache, so that the next opening costs one read.
    headers : sent with every request to a web server.
    timeout : seconds after which a stalled server is given up.

    Raises
    ------
    FileError, PixelDataError, InputError : with the reason by name; no frame is ever guessed.

    Examples
    --------
    >>> with open_frames("scan.dcm") as frames:
    ...     print(len(frames), frames[17].shape, frames.metadata(17).ImagePositionPatient)
    """
    objects: list[StoredObject] = []
    try:
        for each in _places(place, headers, timeout, sidecar, objects):
            opened = open_object(open_source(each, headers, timeout), use_sidecar=sidecar)
            objects.append(opened)
        return Frames(objects, cache_bytes=cache_bytes, read_ahead=read_ahead)
    except BaseException:
        for opened in objects:
            opened.close()
        raise


def _places(
    place: str | Path | Sequence[str | Path],
    headers: Mapping[str, str] | None,
    timeout: float,
    sidecar: bool,
    objects: list[StoredObject],
) -> list[str | Path]:
    """Return what is still to be opened; a single object is opened here already."""
    if not isinstance(place, str | Path):
        return list(place)
    if not str(place).startswith(("http://", "https://")) and Path(place).is_dir():
        return list(joined_in_folder(Path(place)))
    opened = open_object(open_source(place, headers, timeout), use_sidecar=sidecar)
    objects.append(opened)
    if opened.source.remote:
        return []
    paths = joined_with_siblings(Path(place), opened.header)
    if len(paths) == 1:
        return []
    objects.clear()
    opened.close()
    return list(paths)


class Frames(Sequence[Any]):
    """Frames of one object, or of a concatenation, by number from 0. Safe to use from several threads; close it or use ``with``.

    ``frames[i]`` is a decoded array: (rows, columns) of stored grey values or palette indexes, or (rows, columns, 3) RGB.
    """

    def __init__(
        self, objects: Sequence[StoredObject], *, cache_bytes: int = CACHE_BYTES, read_ahead: int = READ_AHEAD
    ) -> None:
        self.objects = list(objects)
        self._check_alike()
        self._starts = [0, *accumulate(part.index.frames for part in self.objects)]
        self._read_ahead = read_ahead
        self._cache = FrameCache(self._decode, cache_bytes, len(self))
        self._common: dict[int, Dataset] = {}
        self._lock = threading.Lock()
        self._closed = False

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> Array: ...

    @overload
    def __getitem__(self, index: slice) -> list[Array]: ...

    def __getitem__(self, index: int | slice) -> Array | list[Array]:
        """Return a decoded frame, or a list of them; the array is shared and cannot be written to.

        Raises
        ------
        IndexError : there is no such frame.
        PixelDataError : this frame is missing or damaged; others may be fine.
        """
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = self._number(index)
        array: Array = self._cache.get(number)
        self._cache.look_ahead(number, min(self._read_ahead, self._frames_in_half_the_cache))
        return array

    def __iter__(self) -> Iterator[Array]:
        return (self[i] for i in range(len(self)))

    def __enter__(self) -> Frames:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close files and connections, stop reading ahead."""
        self._closed = True
        self._cache.close()
        for part in self.objects:
            part.close()

    def encoded(self, index: int) -> bytes:
        """Return the stored bytes of a frame, its fragments joined.

        Raises
        ------
        PixelDataError, FileError : the frame is missing or damaged, or the file was changed.
        """
        part, local = self._part(self._number(index))
        part.source.check_unchanged()
        return part.index.read(part.source, local)

    def encoded_size(self, index: int) -> int:
        """Return how many bytes `encoded` gives (0 where a remote file does not tell before reading)."""
        part, local = self._part(self._number(index))
        return part.index.size(local)

    def metadata(self, index: int) -> Dataset:
        """Return the header of one frame: the object's attributes, with shared and own functional groups brought to the top."""
        from .metadata import frame_header, groups_of_frame

        number = self._number(index)
        part, local = self._part(number)
        return frame_header(self._common_header(part), groups_of_frame(part.header, local))

    def values(self, index: int) -> Array:
        """Return a frame in real-world values: rescaled, or through its modality lookup table."""
        from .decode import real_values

        return real_values(self[index], self.metadata(index))

    def displayed(self, index: int, window: Window | None = None) -> Array:
        """Return a frame as a person is meant to see it, 8 bit grey or RGB; ``window`` is in real-world values."""
        from .decode import displayed

        return displayed(self[index], self.metadata(index), self.pixels, window)

    def placement(self, index: int) -> Placement:
        """Return where a frame lies in the patient."""
        from .placement import placement_of

        return placement_of(self.metadata(index))

    @cached_property
    def timing(self) -> Timing:
        """Times of frames and the rate to play them with."""
        return read_timing(self.objects[0].header, len(self))

    @property
    def pixels(self) -> PixelFormat:
        """Pixel description, the same for all frames."""
        return self.objects[0].pixels

    @property
    def syntax(self) -> Syntax:
        """Transfer syntax of the stored frames."""
        return self.objects[0].syntax

    @property
    def notes(self) -> list[str]:
        """Departures from the standard that were found, each once."""
        return list(dict.fromkeys(note for part in self.objects for note in part.index.notes))

    @property
    def cache(self) -> FrameCache:
        """The memory of decoded frames: its use and limit."""
        return self._cache

    def prefetch(self, indexes: Sequence[int]) -> None:
        """Decode frames in the background, as many as half the cache holds."""
        self._cache.prefetch(list(indexes)[: self._frames_in_half_the_cache])

    def ready(self, index: int) -> bool:
        """Return whether a frame can be had without waiting."""
        return self._cache.ready(index)

    @property
    def _frames_in_half_the_cache(self) -> int:
        return self._cache.capacity_bytes // 2 // max(self.pixels.decoded_bytes, 1)

    def _number(self, index: int) -> int:
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(f"there is no frame {index}; frames are numbered 0 to {len(self) - 1}")
        if self._closed:
            raise FileError(f"{self.objects[0].source.name} is closed")
        return number

    def _part(self, number: int) -> tuple[StoredObject, int]:
        at = bisect_right(self._starts, number) - 1
        return self.objects[at], number - self._starts[at]

    def _decode(self, number: int) -> Array:
        from .decode import decoded

        part, local = self._part(number)
        if part.pixels.decoded_bytes > _LARGEST_FRAME:
            raise PixelDataError(f"{part.source.name}: one frame would need {part.pixels.decoded_bytes >> 20} MB")
        part.source.check_unchanged()
        data = part.index.read(part.source, local)
        try:
            array = decoded(data, part.header.transfer_syntax, part.pixels)
        except PixelDataError as error:
            raise PixelDataError(f"{part.source.name}, frame {number + 1}: {error}") from error
        array.flags.writeable = False
        return array

    def _common_header(self, part: StoredObject) -> Dataset:
        from .metadata import common_header

        with self._lock:
            known = self._common.get(id(part))
            if known is None:
                known = self._common[id(part)] = common_header(part.header)
            return known

    def _check_alike(self) -> None:
        first = self.objects[0]
        for other in self.objects[1:]:
            if other.header.transfer_syntax != first.header.transfer_syntax or _look(other.pixels) != _look(
                first.pixels
            ):
                raise InputError(
                    f"{other.source.name} cannot be joined with {first.source.name}: their frames are not alike"
                )


def _look(pixels: PixelFormat) -> tuple[object, ...]:
    return (*pixels.shape, pixels.dtype, pixels.photometric, pixels.bits_stored)
