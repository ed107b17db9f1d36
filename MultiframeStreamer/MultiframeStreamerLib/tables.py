"""Offset tables, checked against the items that are really there: they count, but only if every entry lands on one.

Source: DICOM PS3.5 A.4 (Basic Offset Table), PS3.3 C.7.6.3.1.8 (Extended Offset Table).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from .header import Header
from .items import Items

EXTENDED_OFFSETS, EXTENDED_LENGTHS = 0x7FE00001, 0x7FE00002
_WRAP = 1 << 32


@dataclass(frozen=True)
class Table:
    """One offset table: positions relative to the first fragment's item tag, and true frame lengths where it has them."""

    kind: str
    offsets: list[int]
    lengths: list[int]
    wrapped: bool = False

    def positions(self, first_item: int) -> list[int]:
        """Return absolute positions of item tags."""
        return [first_item + offset for offset in self.offsets]


def tables_of(header: Header, items: Items) -> list[Table]:
    """Return the object's offset tables, the extended one first; a basic one that wrapped at 4 GiB is unwrapped."""
    found = []
    if EXTENDED_OFFSETS in header.elements:
        offsets = header.offsets_table(EXTENDED_OFFSETS)
        lengths = header.offsets_table(EXTENDED_LENGTHS)
        if len(lengths) != len(offsets):
            items.note("the Extended Offset Table and its lengths differ in number; the lengths are not used")
            lengths = []
        found.append(Table("extended", offsets, lengths))
        if items.table:
            items.note("there are a Basic and an Extended Offset Table; only one is allowed")
    if items.table:
        found.append(_unwrapped(items.table))
    return found


def _unwrapped(stored: list[int]) -> Table:
    """Add 4 GiB after every entry that is smaller than the one before."""
    offsets, high, last = [], 0, -1
    for value in stored:
        if value < last:
            high += _WRAP
        offsets.append(value + high)
        last = value
    return Table("basic", offsets, [], wrapped=high > 0)


def first_fragments(table: Table, items: Items) -> list[int] | None:
    """Return the fragment each frame begins with, None if any entry does not land on an item or they do not ascend."""
    found: list[int] = []
    for position in table.positions(items.first_item + 8):
        at = bisect_left(items.offsets, position)
        if at == len(items.offsets) or items.offsets[at] != position or (found and at <= found[-1]):
            return None
        found.append(at)
    return found if found and found[0] == 0 else None
