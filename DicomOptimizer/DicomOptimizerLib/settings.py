"""What a user may choose: one frozen dataclass per job, checked when it is made."""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass, replace
from pathlib import Path

from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.windowing import Window

CT_WINDOW = Window(40, 400)
NOT_WRITTEN = "(not written here)"
MOST_JOBS = 8  # each worker process holds about 70 MB; more of them read faster than most disks deliver


class ContourRule(enum.StrEnum):
    """Where the contours (and SEG frames) of removed slices go."""

    OWN_FIRST = "own-first"  # to a kept plane that has none of that ROI, otherwise nowhere
    UNION = "union"  # the kept plane's region becomes the union with those that are moved to it
    INTERPOLATE = "interpolate"  # kept planes without contours get a shape between their neighbours


class Compression(enum.StrEnum):
    """How pixel data is written."""

    NONE = "none"
    HTJ2K = "htj2k"
    JPEGLS = "jpegls"


class OnBadSlice(enum.StrEnum):
    """What to do with a slice whose pixels cannot be read."""

    STOP = "stop"
    SKIP = "skip"


class Dates(enum.StrEnum):
    """What de-identification does with dates and times."""

    REMOVE = "remove"
    SHIFT = "shift"  # all dates of a patient by the same number of days


_ENUMS: dict[str, type[enum.StrEnum]] = {
    "contours": ContourRule,
    "compress": Compression,
    "dates": Dates,
    "on_bad_slice": OnBadSlice,
}


@dataclass(frozen=True)
class OptimizerSettings:
    """A job of the optimizer.

    Attributes
    ----------
    inputs : folders, DICOM files or archives; everything found in them is one job with one map of UIDs.
    output : the new folder; None: beside the first input, named by what was done. An existing folder gets that name inside it.
    decimate : keep every n-th slice, 1 keeps all.
    keep_last : keep the last slice of a series even where the n-th ones miss it.
    eight_bit : reduce to 256 grey values.
    window : level and width for CT; other modalities take theirs from the data.
    legal_ct : write the 256 grey values as CT Image (16 bits allocated, 12 stored) instead of Secondary Capture.
    resize : length of the longer image side in pixels; images that are not larger stay as they are.
    contours : where contours of removed slices go.
    compress : how pixel data is written.
    deidentify, dates, keep_patient_characteristics : PS3.15 Basic Profile and its two options on offer.
    uid_salt : the same salt gives the same new UIDs in every run; None draws a secret one.
    on_bad_slice : stop, or leave the slice out and say so.
    jobs : worker processes; None takes the machine's cores, at most eight.

    Raises
    ------
    SettingsError : no technique is chosen, or a value cannot work.
    """

    inputs: tuple[Path, ...]
    output: Path | None = None
    decimate: int = 1
    keep_last: bool = False
    eight_bit: bool = False
    window: Window = CT_WINDOW
    legal_ct: bool = False
    resize: int | None = None
    contours: ContourRule = ContourRule.OWN_FIRST
    compress: Compression = Compression.NONE
    deidentify: bool = False
    dates: Dates = Dates.REMOVE
    keep_patient_characteristics: bool = False
    uid_salt: str | None = None
    on_bad_slice: OnBadSlice = OnBadSlice.STOP
    jobs: int | None = None

    def __post_init__(self) -> None:
        self._accept_plain_values()
        if not self.inputs:
            raise SettingsError("no input given: name a folder with DICOM files")
        if self.decimate < 1:
            raise SettingsError(f"decimate must be 1 (keep all) or more, got {self.decimate}")
        if self.resize is not None and self.resize < 16:
            raise SettingsError(f"resize must be at least 16 pixels, got {self.resize}")
        if self.legal_ct and not self.eight_bit:
            raise SettingsError("legal-ct says how 8-bit images are written; choose eight-bit with it")
        if self.jobs is not None and self.jobs < 1:
            raise SettingsError(f"jobs must be 1 or more, got {self.jobs}")
        if self.uid_salt is not None and not self.uid_salt.strip():
            raise SettingsError("the UID salt is empty; leave it out to get new UIDs in every run")
        if not self.techniques:
            raise SettingsError(
                "nothing to do: choose at least one of decimate, eight-bit, resize, compress or deidentify"
            )

    def _accept_plain_values(self) -> None:
        """Let callers write "htj2k" for an enum member, and one path for a tuple of paths."""
        given = (self.inputs,) if isinstance(self.inputs, str | Path) else self.inputs
        object.__setattr__(self, "inputs", tuple(Path(path) for path in given))
        if self.output is not None:
            object.__setattr__(self, "output", Path(self.output))
        for name, kind in _ENUMS.items():
            try:
                object.__setattr__(self, name, kind(getattr(self, name)))
            except ValueError:
                allowed = ", ".join(member.value for member in kind)
                raise SettingsError(f"{name} must be one of {allowed}; got {getattr(self, name)!r}") from None

    @property
    def techniques(self) -> tuple[str, ...]:
        """Words for what this job does, as they stand in the output folder's name."""
        chosen = (
            ("Decimated", self.decimate > 1),
            ("8Bit", self.eight_bit),
            ("Resized", self.resize is not None),
            ("HTJ2K", self.compress is Compression.HTJ2K),
            ("JPEGLS", self.compress is Compression.JPEGLS),
            ("Deidentified", self.deidentify),
        )
        return tuple(word for word, is_chosen in chosen if is_chosen)

    @property
    def folder_name(self) -> str:
        """Name of the output folder, such as ``Optimized_Decimated_8Bit_Resized``."""
        return "_".join(("Optimized", *self.techniques))

    @property
    def workers(self) -> int:
        """Number of worker processes."""
        return self.jobs or min(os.cpu_count() or 1, MOST_JOBS)

    def for_report(self) -> OptimizerSettings:
        """Return a copy fit to be published: without the salt, which would let others test guesses of the original UIDs.

        With de-identification the paths go too; folders are often named after patients.
        """
        shown = self if self.uid_salt is None else replace(self, uid_salt=NOT_WRITTEN)
        return replace(shown, inputs=(Path(NOT_WRITTEN),), output=None) if self.deidentify else shown
