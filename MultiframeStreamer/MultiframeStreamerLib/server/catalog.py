"""What there is to serve: every image below the given paths, by study, series and instance; headers only, nothing is opened for long."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from DicomWorkbenchLib.errors import InputError
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress

from ..concatenation import dicom_files
from ..header import Header
from ..sidecar import SUFFIX
from ..sources import LocalSource
from ..stored import header_of

_TRANSFER_SYNTAX = 0x00020010
SOP_CLASS, SOP, STUDY, SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
CHARACTER_SET = 0x00080005
STUDY_TAGS = (
    0x00080020,
    0x00080030,
    0x00080050,
    0x00081030,
    0x00080090,
    0x00100010,
    0x00100020,
    0x00100030,
    0x00100040,
    STUDY,
    0x00200010,
)
SERIES_TAGS = (0x00080060, 0x0008103E, SERIES, 0x00200011, 0x00080021, 0x00080031, 0x00180015)
INSTANCE_TAGS = (SOP_CLASS, SOP, 0x00200013, 0x00280010, 0x00280011, 0x00280100, 0x00280008, 0x00280004)
_KEPT = frozenset((*STUDY_TAGS, *SERIES_TAGS, *INSTANCE_TAGS, CHARACTER_SET))
_LONGEST = 1024  # bytes of a value that is worth keeping for searches


@dataclass(frozen=True)
class Value:
    """The raw value of one element, as it lies in the file."""

    vr: str
    raw: bytes


@dataclass
class Instance:
    """One object on disk."""

    path: Path
    study: str
    series: str
    sop: str
    transfer_syntax: str
    has_pixels: bool
    explicit: bool
    big_endian: bool
    values: dict[int, Value] = field(repr=False)


@dataclass
class Catalog:
    """Everything that is served; ``problems`` are files that are not, with the reason."""

    instances: dict[str, Instance] = field(default_factory=dict)
    series: dict[str, list[Instance]] = field(default_factory=dict)
    studies: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, instance: Instance) -> None:
        """Take an object in; of two with the same SOP Instance UID the first stays."""
        if instance.sop in self.instances:
            self.problems.append(
                f"{instance.path.name} has the same SOP Instance UID as another file; it is not served"
            )
            return
        self.instances[instance.sop] = instance
        members = self.series.setdefault(instance.series, [])
        if not members:
            self.studies.setdefault(instance.study, []).append(instance.series)
        members.append(instance)

    def find(self, study: str, series: str = "", sop: str = "") -> list[Instance]:
        """Return the objects of a study, a series or one instance; empty if there is no such thing."""
        if sop:
            instance = self.instances.get(sop)
            return [instance] if instance and (instance.study, instance.series) == (study, series) else []
        if series:
            return [i for i in self.series.get(series, []) if i.study == study]
        return [i for uid in self.studies.get(study, []) for i in self.series[uid]]


def build_catalog(paths: Iterable[Path], progress: Progress = no_progress, cancel: CancelToken = NEVER) -> Catalog:
    """Read the headers of all files.

    Raises
    ------
    InputError : a path does not exist.
    """
    catalog = Catalog()
    files: list[Path] = []
    for place in paths:
        if not place.exists():
            raise InputError(f"{place} does not exist")
        files += [p.resolve() for p in dicom_files(place) if not p.name.endswith(SUFFIX)]
    for done, path in enumerate(files):
        cancel.check()
        progress(done, len(files), "reading headers")
        try:
            catalog.add(read_instance(path))
        except (InputError, OSError) as error:
            catalog.problems.append(str(error))
    progress(len(files), len(files), "reading headers")
    return catalog


def read_instance(path: Path) -> Instance:
    """Read what searches need of one file.

    Raises
    ------
    FileError : not DICOM, damaged, or without the UIDs that make it addressable.
    """
    source = LocalSource(path)
    header: Header | None = None
    try:
        header = header_of(source)
        uids = {tag: header.text(tag) for tag in (STUDY, SERIES, SOP)}
        if not all(is_uid(uid) for uid in uids.values()):
            raise InputError(f"{path.name} lacks a valid Study, Series or SOP Instance UID; it cannot be addressed")
        values = {
            tag: Value(element.vr, header.raw(tag))
            for tag, element in header.elements.items()
            if tag in _KEPT and element.length <= _LONGEST
        }
        return Instance(
            path, uids[STUDY], uids[SERIES], uids[SOP], header.transfer_syntax, bool(header.pixel_tag),
            header.explicit, header.big_endian, values,
        )  # fmt: skip
    finally:
        source.close()
        if header is not None:
            header.source.close()


def is_uid(text: str) -> bool:
    """Tell whether a text is a UID: digits and dots, at most 64 (PS3.5 section 9)."""
    return 0 < len(text) <= 64 and all(part.isdecimal() and part.isascii() for part in text.split("."))


def stat_of(path: Path) -> tuple[int, int, int]:
    """Return what tells a file from its successor under the same name."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino
