"""Sidecars made ahead of time: index every multi-frame object below a folder, so that each opens at once later."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from DicomWorkbenchLib.errors import InputError, SettingsError
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from DicomWorkbenchLib.report import Report
from DicomWorkbenchLib.settings import to_json

from . import sidecar
from .concatenation import dicom_files
from .header import read_header
from .index import build_index
from .pixel_format import read_format
from .sources import LocalSource
from .syntaxes import DEFLATED


@dataclass(frozen=True)
class IndexSettings:
    """Make sidecars.

    Attributes
    ----------
    folder : a folder or a file.
    beside : write them beside the data as ``NAME.frame-index`` instead of into the user's cache.
    """

    folder: Path
    beside: bool = False

    def __post_init__(self) -> None:
        if not self.folder.exists():
            raise SettingsError(f"{self.folder} does not exist")


@dataclass
class IndexReport(Report):
    """How many objects got a sidecar, how many need none, and which could not be indexed and why."""

    indexed: int = 0
    not_needed: int = 0
    frames: int = 0
    sidecar_bytes: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def run(settings: IndexSettings, progress: Progress = no_progress, cancel: CancelToken = NEVER) -> IndexReport:
    """Index every object; what is no image or cannot be indexed is named and passed over."""
    began = time.perf_counter()
    report = IndexReport("stream-index", settings=to_json(settings))
    paths = [p for p in dicom_files(settings.folder) if p.suffix != sidecar.SUFFIX]
    for done, path in enumerate(paths):
        cancel.check()
        progress(done, len(paths), "indexing")
        try:
            _index(path, settings.beside, report)
        except InputError as error:
            report.failed[path.name] = str(error)
    progress(len(paths), len(paths), "indexing")
    report.warnings += list(report.failed.values())[:20]
    report.seconds = round(time.perf_counter() - began, 3)
    return report


def summary(report: IndexReport) -> str:
    """Write the result for people."""
    return (
        f"{report.indexed} objects with {report.frames} frames indexed ({report.sidecar_bytes / 1e3:.1f} kB), "
        f"{report.not_needed} need no sidecar, {len(report.failed)} could not be indexed"
    )


def _index(path: Path, beside: bool, report: IndexReport) -> None:
    source = LocalSource(path)
    try:
        header = read_header(source)
        if header.transfer_syntax == DEFLATED:
            report.not_needed += 1
            return
        pixels = read_format(header)
        index = build_index(header, pixels)
        if not beside and not sidecar.worth_keeping(index, header):
            report.not_needed += 1
            return
        key = sidecar.key_of(source)
        target = sidecar.beside(path) if beside else sidecar.cache_folder() / (key + sidecar.SUFFIX)
        sidecar.save(target, key, header, pixels, index)
        report.sidecar_bytes += target.stat().st_size
        report.indexed += 1
        report.frames += index.frames
    finally:
        source.close()
