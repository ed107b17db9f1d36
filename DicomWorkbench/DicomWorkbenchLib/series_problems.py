"""What can be wrong with files and series, and the words to say it.

Messages are for radiographers: they name files and hold no patient data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a problem matters."""

    NOTE = "note"  # worth knowing; nothing is lost
    WARNING = "warning"  # the result may be wrong or incomplete
    ERROR = "error"  # this file or series cannot be used


class ProblemKind(StrEnum):
    """What can be wrong with files and series; the value is stable and appears in reports."""

    UNREADABLE_FILE = "unreadable file"
    UNREADABLE_FOLDER = "unreadable folder"
    REFUSED_ARCHIVE = "refused archive"
    TRUNCATED = "truncated file"
    SHORT_PIXELS = "pixel data too short"
    NO_PIXELS = "no pixel data"
    NON_IMAGE = "not an image"
    MULTI_FRAME = "multi-frame"
    NO_POSITION = "no position"
    BAD_ORIENTATION = "bad orientation"
    DUPLICATE_INSTANCE = "duplicate instance"
    SHARED_IDENTITY = "shared identity"
    DUPLICATE_POSITION = "duplicate position"
    GAP = "gap"
    MIXED_SPACING = "mixed slice spacing"
    SHIFTED = "shifted slices"
    MIXED_PIXEL_SPACING = "mixed pixel spacing"
    GANTRY_TILT = "gantry tilt"
    SPLIT_SERIES = "several stacks in one series"
    SEVERAL_SERIES = "several series in one folder"
    UNLINKED = "unlinked object"
    BAD_SLICE = "bad slice"

    @property
    def severity(self) -> Severity:
        """How much this kind matters."""
        return _SEVERITY.get(self, Severity.WARNING)


_SEVERITY = {
    ProblemKind.UNREADABLE_FILE: Severity.ERROR,
    ProblemKind.UNREADABLE_FOLDER: Severity.ERROR,
    ProblemKind.REFUSED_ARCHIVE: Severity.ERROR,
    ProblemKind.TRUNCATED: Severity.ERROR,
    ProblemKind.SHORT_PIXELS: Severity.ERROR,
    ProblemKind.BAD_SLICE: Severity.ERROR,
    ProblemKind.DUPLICATE_POSITION: Severity.ERROR,
    ProblemKind.MIXED_PIXEL_SPACING: Severity.ERROR,
    ProblemKind.NON_IMAGE: Severity.NOTE,
    ProblemKind.MULTI_FRAME: Severity.NOTE,
    ProblemKind.DUPLICATE_INSTANCE: Severity.NOTE,
    ProblemKind.SPLIT_SERIES: Severity.NOTE,
    ProblemKind.SEVERAL_SERIES: Severity.NOTE,
}


@dataclass(frozen=True)
class Problem:
    """Something a user should know about the input.

    Parameters
    ----------
    kind : what it is.
    message : a sentence for a radiographer; it names files and holds no patient data.
    origins : the files or folders it is about, as the user knows them (inside archives too).
    """

    kind: ProblemKind
    message: str
    origins: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity:
        """How much it matters."""
        return self.kind.severity

    def __str__(self) -> str:
        return self.message


def counted(count: int, noun: str) -> str:
    """Write a number with its noun: "1 slice", "3 slices"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def named(origins: Sequence[str], *, most: int = 3) -> str:
    """List a few files in a message and count the rest."""
    rest = len(origins) - most
    return ", ".join(origins[:most]) + (f" and {rest} more" if rest > 0 else "")
