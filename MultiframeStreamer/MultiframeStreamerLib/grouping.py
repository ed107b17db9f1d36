"""Which fragments make which frame: the question every reader answers, and most answer by believing.

Three witnesses are heard: the offset tables, the first bytes of fragments (where a code stream begins), and the last bytes (where it
ends). The answer is taken where they agree, or where one of them is beyond doubt; otherwise there is a named refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from DicomWorkbenchLib.errors import PixelDataError

from .items import End, Items
from .pixel_format import PixelFormat
from .sources import ByteSource
from .syntaxes import Family, Syntax, frame_begins
from .tables import Table, first_fragments

_TAIL = 16  # bytes looked at for an end marker; writers pad with a few zero bytes
_END_MARKER = b"\xff\xd9"


@dataclass(frozen=True)
class Grouping:
    """First fragment of each frame that was found, the number of frames there should be, and who said so.

    ``lengths`` are the true lengths of frames from an Extended Offset Table, empty otherwise.
    """

    first: list[int]
    frames: int
    witness: str
    lengths: tuple[int, ...] = ()


class _Case:
    """Everything known about one object's fragments; ends are read only when asked for."""

    def __init__(self, source: ByteSource, items: Items, syntax: Syntax, pixels: PixelFormat) -> None:
        self.source, self.items, self.syntax, self.pixels = source, items, syntax, pixels
        self.declared = pixels.declared_frames
        self.marked = syntax.has_start_marker
        if syntax.family is Family.RLE and len(items) != (self.declared or 1):
            self._look_closer_at_rle()
        self.begins = [index for index, flag in enumerate(items.begins) if flag]
        self._ends: dict[int, bool] = {}

    def _look_closer_at_rle(self) -> None:
        """Four bytes are a weak sign of an RLE header; where fragments are split, all 64 are checked."""
        for index, flag in enumerate(self.items.begins):
            if flag and index:
                head = self.source.read_at(self.items.offsets[index], min(self.items.lengths[index], 64))
                self.items.begins[index] = len(head) == 64 and frame_begins(Family.RLE, head)

    @property
    def fragments(self) -> int:
        return len(self.items)

    @property
    def lost(self) -> bool:
        """True if items are missing at the end."""
        return self.items.end in (End.CUT, End.BROKEN)

    @property
    def open_ended(self) -> bool:
        """True if items may be missing at the end: a file cut between two items looks like one without a delimiter."""
        return self.items.end is not End.DELIMITER

    def ends(self, index: int) -> bool:
        """True if a code stream ends with this fragment."""
        if index not in self._ends:
            length = self.items.lengths[index]
            self._ends[index] = ends_with_marker(self.source, self.items.offsets[index], length)
        return self._ends[index]

    def cleanly_separated(self, first: list[int]) -> bool:
        """True if the fragment before each of these ends a code stream (where this syntax has an end marker)."""
        return self.syntax.ends_with_marker and all(self.ends(index - 1) for index in first[1:])

    def name(self, text: str) -> None:
        self.items.note(text)


def ends_with_marker(source: ByteSource, offset: int, length: int) -> bool:
    """Tell whether bytes end with FFD9, apart from zeros that pad them."""
    take = min(length, _TAIL)
    return source.read_at(offset + length - take, take).rstrip(b"\0").endswith(_END_MARKER)


def group(source: ByteSource, items: Items, syntax: Syntax, pixels: PixelFormat, tables: list[Table]) -> Grouping:
    """Find which fragments make which frame.

    Raises
    ------
    PixelDataError : nothing unambiguous can be derived; the message says which witnesses said what.
    """
    case = _Case(source, items, syntax, pixels)
    if not case.fragments:
        raise PixelDataError(f"{source.name} has no frames: its pixel data hold no fragment")
    if items.gaps:
        return _with_gaps(case, tables)
    steps: tuple[Callable[[], Grouping | None], ...] = (
        lambda: _by_tables(case, tables),
        lambda: _by_size(case),
        lambda: _by_marks(case),
        lambda: _one_frame(case),
        lambda: _one_fragment_each(case),
        lambda: _by_complete_streams(case, tables),
        lambda: _what_is_left(case),
    )
    for step in steps:
        found = step()
        if found is not None:
            return found
    raise PixelDataError(_refusal(case, tables))


def _by_tables(case: _Case, tables: list[Table]) -> Grouping | None:
    for table in tables:
        first = first_fragments(table, case.items)
        if first is None:
            case.name(f"the {_title(table)} is wrong: its entries do not land on items; the index was rebuilt")
            continue
        if case.declared is None or len(first) != case.declared:
            case.name(
                f"the {_title(table)} has {len(first)} entries for {case.declared or 'an unknown number of'} frames"
            )
            continue
        if case.marked and first != case.begins and len(case.begins) == case.declared:
            case.name(f"the {_title(table)} contradicts the code streams; the index was rebuilt")
            continue
        if table.wrapped:
            case.name("the Basic Offset Table wraps at 4 GiB; it was unwrapped")
        return Grouping(first, case.declared, f"{_title(table)}, checked", _true_lengths(case, table, first))
    return None


def _true_lengths(case: _Case, table: Table, first: list[int]) -> tuple[int, ...]:
    """Accept the lengths of an Extended Offset Table if each fits into its single fragment (less a padding byte)."""
    if not table.lengths:
        return ()
    if len(first) != case.fragments:
        case.name(
            "there is an Extended Offset Table although frames are split into fragments; its lengths are not used"
        )
        return ()
    if any(not 0 <= stored - true <= 1 for stored, true in zip(case.items.lengths, table.lengths, strict=True)):
        case.name("the lengths of the Extended Offset Table are wrong; they are not used")
        return ()
    return tuple(table.lengths)


def _by_size(case: _Case) -> Grouping | None:
    """Encapsulated Uncompressed: a frame ends when its bytes are complete (PS3.5 A.4.11)."""
    if case.syntax.family is not Family.UNCOMPRESSED:
        return None
    wanted = (case.pixels.frame_bits(native=True) + 7) // 8
    first, have = [0], 0
    for index, length in enumerate(case.items.lengths):
        if have >= wanted and length:
            first.append(index)
            have = 0
        have += length
        if have > wanted + wanted % 2:
            return None
    complete = len(first) if have >= wanted else len(first) - 1
    if case.declared is not None and complete != case.declared and not case.lost:
        return None
    if len(first) != case.fragments:
        case.name("uncompressed frames are split into fragments")
    return Grouping(first, case.declared or complete, "the size of a frame")


def _by_marks(case: _Case) -> Grouping | None:
    """As many code streams begin as there are frames."""
    if not case.marked or len(case.begins) != case.declared or case.begins[0] != 0:
        return None
    if case.declared == 1 and case.lost and case.fragments > 1:
        return None
    if case.syntax.family is Family.RLE and case.fragments > case.declared:
        case.name("RLE frames are split into fragments, which is not allowed")
    return Grouping(case.begins, case.declared, "the beginnings of code streams")


def _one_frame(case: _Case) -> Grouping | None:
    """One frame, however many fragments, unless several begin like a frame."""
    if (
        (case.declared or 1) != 1
        or len(case.begins) > 1
        or (case.lost and case.fragments > 1 and case.declared is None)
    ):
        return None
    if case.marked and not case.begins:
        case.name(f"the frame does not begin like {case.syntax.family.value}")
    return Grouping([0], 1, "there is one frame")


def _one_fragment_each(case: _Case) -> Grouping | None:
    """As many fragments as frames; some frames may be damaged or empty, but nothing is missing."""
    if case.fragments != case.declared or case.lost:
        return None
    odd = case.fragments - len(case.begins)
    if case.marked and odd and not _plausible_damage(case):
        return None
    if case.marked and odd:
        case.name(f"{odd} of {case.fragments} frames do not begin like {case.syntax.family.value}")
    return Grouping(list(range(case.fragments)), case.fragments, "one fragment for each frame")


def _plausible_damage(case: _Case) -> bool:
    """A frame without a beginning is a damaged frame, not a continued one, if what is before it is complete."""
    if not case.syntax.ends_with_marker:
        return True
    without = [index for index, flag in enumerate(case.items.begins) if not flag]
    return all(index == 0 or index - 1 in without or case.ends(index - 1) for index in without)


def _by_complete_streams(case: _Case, tables: list[Table]) -> Grouping | None:
    """NumberOfFrames is absent or wrong, but every beginning follows an end: the code streams count themselves."""
    begins = case.begins
    if not case.marked or case.lost or not begins or begins[0] != 0:
        return None
    separated = case.cleanly_separated(begins) and case.ends(case.fragments - 1)
    agreed = any(first_fragments(table, case.items) == begins for table in tables)
    strict = [i for i in begins if i == 0 or (case.syntax.ends_with_marker and case.ends(i - 1))]
    if case.declared is not None and len(strict) == case.declared and strict[-1:] != [0]:
        case.name("some fragments inside frames look like beginnings; they were told apart by the ends")
        return Grouping(strict, case.declared, "beginnings that follow an end")
    # Fewer streams than declared may also mean that an item's length covers its neighbour: then a table has to agree.
    enough = case.declared is None or len(begins) > case.declared
    if (separated and enough) or agreed:
        said = case.declared if case.declared is not None else "absent"
        case.name(f"NumberOfFrames is {said}, but there are {len(begins)} complete code streams")
        return Grouping(begins, len(begins), "complete code streams")
    return None


def _what_is_left(case: _Case) -> Grouping | None:
    """The file is cut off: the frames before the cut are known if every beginning follows an end."""
    if not case.open_ended or case.declared is None or not case.marked or not case.begins or case.begins[0] != 0:
        return None
    sure = case.cleanly_separated(case.begins) or len(case.begins) == case.fragments
    if not sure or len(case.begins) > case.declared:
        return None
    return Grouping(case.begins, case.declared, "the beginnings of code streams before the cut")


def _with_gaps(case: _Case, tables: list[Table]) -> Grouping:
    """The chain of items broke and was found again by a table: only that table can say which frame is which."""
    for table in tables:
        first = first_fragments(table, case.items)
        if first is not None and len(first) == case.declared:
            return Grouping(first, case.declared, f"{_title(table)}, checked")
    raise PixelDataError(_refusal(case, tables))


def _title(table: Table) -> str:
    return f"{table.kind.capitalize()} Offset Table"


def _refusal(case: _Case, tables: list[Table]) -> str:
    tables_say = ", ".join(f"{_title(t)} with {len(t.offsets)} entries" for t in tables) or "no offset table"
    marks = f", {len(case.begins)} beginnings of {case.syntax.family.value} code streams" if case.marked else ""
    frames = f"NumberOfFrames {case.declared}" if case.declared is not None else "no NumberOfFrames"
    return (
        f"{case.source.name}: which fragments make which frame cannot be told ({frames}, {case.fragments} fragments{marks}, "
        f"{tables_say}; ends with {case.items.end.value}); save it again with one fragment for each frame"
    )
