"""The frame index of one object: where every frame lies, and how healthy the file is."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from DicomWorkbenchLib.errors import PixelDataError

from .grouping import Grouping, ends_with_marker, group
from .header import UNDEFINED, Header
from .items import End, Items, read_offset_table, walk
from .native import NativeIndex, native_index
from .pixel_format import PixelFormat
from .remote_index import TableIndex, table_index
from .sources import ByteSource
from .syntaxes import EXPLICIT_BE, Family, Syntax, syntax_of
from .tables import tables_of

_LITTLE = "<"


@dataclass
class FragmentIndex:
    """Positions of encapsulated frames.

    Attributes
    ----------
    frames : number of frames there should be.
    first : fragment each known frame begins with, and one more for the end.
    offsets, lengths : position and length of each fragment.
    broken : why a frame that is there cannot be read, by index.
    """

    frames: int
    first: array[int]
    offsets: array[int]
    lengths: array[int]
    broken: dict[int, str] = field(default_factory=dict)
    true_lengths: array[int] = field(default_factory=lambda: array("Q"))
    notes: list[str] = field(default_factory=list)
    witness: str = ""
    table: str = "empty"

    @property
    def known(self) -> int:
        """Number of frames whose fragments were found."""
        return len(self.first) - 1

    def spans(self, index: int) -> list[tuple[int, int]]:
        """Return position and length of each piece of a frame.

        Raises
        ------
        PixelDataError : the frame is missing or damaged.
        """
        self._check(index)
        begin, end = self.first[index], self.first[index + 1]
        if self.true_lengths:
            return [(self.offsets[begin], self.true_lengths[index])]
        return [(self.offsets[i], self.lengths[i]) for i in range(begin, end) if self.lengths[i]]

    def span(self, index: int) -> tuple[int, int] | None:
        """Return position and length where the frame lies in one piece, else None."""
        spans = self.spans(index)
        return spans[0] if len(spans) == 1 else None

    def size(self, index: int) -> int:
        """Bytes of a stored frame."""
        return sum(length for _, length in self.spans(index))

    def read(self, source: ByteSource, index: int) -> bytes:
        """Return the stored bytes of a frame, its fragments joined.

        Raises
        ------
        PixelDataError : the frame is missing or damaged.
        """
        pieces = [source.read_at(offset, length) for offset, length in self.spans(index)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _check(self, index: int) -> None:
        if index >= self.known:
            raise PixelDataError(
                f"frame {index + 1} is missing: the pixel data end after {self.known} of {self.frames} frames"
            )
        if index in self.broken:
            raise PixelDataError(f"frame {index + 1} {self.broken[index]}")


FrameIndex = FragmentIndex | NativeIndex | TableIndex


def build_index(header: Header, pixels: PixelFormat) -> FrameIndex:
    """Find every frame of an object by reading the headers of its items.

    Raises
    ------
    PixelDataError : video, referenced pixel data, or nothing unambiguous can be derived.
    """
    syntax = syntax_of(header.transfer_syntax)
    name = header.source.name
    if syntax.family is Family.VIDEO:
        raise PixelDataError(
            f"{name} is {syntax.name} video: one stream, not frames; a video player shows it once it is taken out of DICOM"
        )
    if syntax.family is Family.REFERENCED:
        raise PixelDataError(f"{name} ({syntax.name}) holds no pixels, only the address of a server that has them")
    if not syntax.encapsulated:
        return native_index(header, pixels)
    if header.pixel_length != UNDEFINED and syntax.family is Family.UNKNOWN:
        raise PixelDataError(f"{name}: {syntax.name} is not known; how its pixels are stored cannot be told")
    return _encapsulated(header, pixels, syntax)


def _encapsulated(header: Header, pixels: PixelFormat, syntax: Syntax) -> FrameIndex:
    source = header.source
    items = read_offset_table(source, header.pixel_offset, syntax.family)
    end = None
    if header.pixel_length != UNDEFINED:
        items.note("the length of the pixel data is written, which is not allowed for compressed frames")
        end = header.pixel_offset + header.pixel_length
    tables = tables_of(header, items)
    if source.remote:
        quick = table_index(source, items, syntax, pixels, tables)
        if quick is not None:
            return quick
    restarts = sorted({position for table in tables for position in table.positions(items.first_item)})
    walk(source, items, syntax.family, end, restarts)
    grouping = group(source, items, syntax, pixels, tables)
    index = _index_of(items, grouping, ", ".join(table.kind for table in tables) or "empty")
    if items.end is not End.DELIMITER:
        _judge_last(index, source, syntax, pixels)
    return index


def _index_of(items: Items, grouping: Grouping, table: str) -> FragmentIndex:
    first = array("Q", grouping.first)
    first.append(len(items))
    index = FragmentIndex(grouping.frames, first, items.offsets, items.lengths, witness=grouping.witness, table=table)
    index.true_lengths = array("Q", grouping.lengths)
    index.notes = items.notes
    _mark_broken(index, items)
    return index


def _judge_last(index: FragmentIndex, source: ByteSource, syntax: Syntax, pixels: PixelFormat) -> None:
    """Without a delimiter, the last frame is whole only if it ends as a frame of its kind does."""
    last = index.known - 1
    if last in index.broken:
        return
    begin, end = index.first[last], index.first[last + 1]
    whole = True
    if syntax.ends_with_marker:
        filled = [i for i in range(begin, end) if index.lengths[i]]
        whole = bool(filled) and ends_with_marker(source, index.offsets[filled[-1]], index.lengths[filled[-1]])
    elif syntax.family is Family.UNCOMPRESSED:
        whole = sum(index.lengths[begin:end]) * 8 >= pixels.frame_bits(native=True)
    elif end - begin > 1:
        whole = False  # one more fragment could be missing, and nothing would show it
    if not whole:
        index.broken[last] = "is cut off: the pixel data end without a delimiter before it is complete"


def _mark_broken(index: FragmentIndex, items: Items) -> None:
    """Name the frames that the item chain shows to be damaged: cut, empty, or with a gap inside."""
    for gap in items.gaps:
        index.broken[_frame_of(index, gap)] = "is damaged: the chain of items is broken inside it"
    last = index.known - 1
    if items.end is End.CUT and items.notes and "the file is cut off inside an item" in items.notes:
        index.broken[last] = "is cut off: the file ends inside it"
    if items.end is End.BROKEN:
        index.broken[last] = "is damaged: what follows its last fragment is no item"
    if any(length == 0 for length in items.lengths):
        _name_empty(index, items)


def _name_empty(index: FragmentIndex, items: Items) -> None:
    items.note("there are fragments of zero length")
    for frame in range(index.known):
        if not any(index.lengths[i] for i in range(index.first[frame], index.first[frame + 1])):
            index.broken[frame] = "is empty: it has zero bytes"


def _frame_of(index: FragmentIndex, fragment: int) -> int:
    from bisect import bisect_right

    return bisect_right(index.first, fragment) - 1


def byte_order(header: Header) -> str:
    """numpy's sign for the byte order of native samples."""
    return ">" if header.transfer_syntax == EXPLICIT_BE else _LITTLE
