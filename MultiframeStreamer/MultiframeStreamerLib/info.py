"""Patient-free facts about one object: what `stream info` prints and the panel shows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.errors import PixelDataError
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from DicomWorkbenchLib.report import Report

from .frames import Frames, open_frames


@dataclass(frozen=True)
class InfoSettings:
    """Look at one object.

    Attributes
    ----------
    source : file, folder of a concatenation, or http(s) address.
    """

    source: str


@dataclass
class InfoReport(Report):
    """Facts of one object; ``health`` is what departs from the standard, empty for a healthy file."""

    frames: int = 0
    rows: int = 0
    columns: int = 0
    samples: int = 0
    bits_stored: int = 0
    photometric: str = ""
    transfer_syntax: str = ""
    transfer_syntax_name: str = ""
    bytes: int = 0
    parts: int = 1
    rate: float = 0.0
    rate_source: str = ""
    offset_table: str = ""
    index_from: str = ""
    sidecar: bool = False
    health: list[str] | None = None
    broken_frames: list[int] | None = None


def run(settings: InfoSettings, progress: Progress = no_progress, cancel: CancelToken = NEVER) -> InfoReport:
    """Open an object, read its first frame, and report what it is and how long that took.

    Raises
    ------
    InputError : it cannot be opened; the reason is named.
    """
    began = time.perf_counter()
    cancel.check()
    with open_frames(settings.source) as frames:
        opened = time.perf_counter()
        report = facts(frames)
        report.settings = {"source": settings.source}
        report.measured["open_ms"] = round((opened - began) * 1000, 2)
        _first_frame(frames, report, began)
    report.seconds = round(time.perf_counter() - began, 4)
    return report


def facts(frames: Frames) -> InfoReport:
    """Return the facts of an opened object, without its name, patient or dates."""
    pixels, first = frames.pixels, frames.objects[0]
    return InfoReport(
        job="stream-info",
        frames=len(frames),
        rows=pixels.rows,
        columns=pixels.columns,
        samples=pixels.samples,
        bits_stored=pixels.bits_stored,
        photometric=pixels.photometric,
        transfer_syntax=frames.syntax.uid,
        transfer_syntax_name=frames.syntax.name,
        bytes=sum(part.source.size for part in frames.objects),
        parts=len(frames.objects),
        rate=round(frames.timing.rate, 3),
        rate_source=frames.timing.source,
        offset_table=first.index.table,
        index_from=first.index.witness,
        sidecar=first.from_sidecar,
        health=frames.notes,
        broken_frames=broken_frames(frames),
    )


def broken_frames(frames: Frames) -> list[int]:
    """Return numbers (from 1) of frames that the index knows to be damaged or missing."""
    found, start = [], 0
    for part in frames.objects:
        index = part.index
        found += [start + frame + 1 for frame in getattr(index, "broken", {})]
        there = int(getattr(index, "known", getattr(index, "complete", index.frames)))
        found += range(start + there + 1, start + index.frames + 1)
        start += index.frames
    return found


def summary(report: InfoReport) -> str:
    """Write the facts for people."""
    health = "\n".join(f"  - {note}" for note in report.health or []) or "  - nothing unusual"
    broken = report.broken_frames or []
    damaged = (
        f"damaged     {len(broken)} frames: {', '.join(map(str, broken[:20]))}{' ...' if len(broken) > 20 else ''}\n"
        if broken
        else ""
    )
    return (
        f"frames      {report.frames} of {report.rows} x {report.columns}, "
        f"{report.samples} x {report.bits_stored} bits, {report.photometric}\n"
        f"coding      {report.transfer_syntax_name} ({report.transfer_syntax})\n"
        f"size        {report.bytes / 1e6:.1f} MB in {report.parts} file{'s' if report.parts > 1 else ''}\n"
        f"rate        {report.rate:g} frames/s ({report.rate_source})\n"
        f"offsets     {report.offset_table} table; index from {report.index_from}{' (sidecar)' if report.sidecar else ''}\n"
        f"{damaged}"
        f"opened in   {report.measured['open_ms']} ms, first frame after {report.measured['first_frame_ms']} ms\n"
        f"health\n{health}"
    )


def _first_frame(frames: Frames, report: InfoReport, began: float) -> None:
    try:
        frames.encoded(0)
    except PixelDataError as error:
        report.warnings.append(str(error))
    report.measured["first_frame_ms"] = round((time.perf_counter() - began) * 1000, 2)


def is_address(place: str | Path) -> bool:
    """True for an http(s) address."""
    return str(place).startswith(("http://", "https://"))
