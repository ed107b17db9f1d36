"""What the panel says and allows, worked out without Qt: texts, button states, expected memory, frame ranges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .concatenation import dicom_files
from .frames import Frames
from .info import broken_frames, facts
from .settings import Region
from .sources import LocalSource

HELP = (
    "Opens compressed multi-frame DICOM of any size at once, frame by frame, and serves it over DICOMweb.\n"
    "1. Choose a file or a folder. 2. Play, or drag the slider. 3. Load a range as a volume or a sequence, or serve the file "
    "to a viewer in the browser.\n"
    "Sample: DICOM Workbench in the module Sample Data."
)
MEGABYTE = 1 << 20
_MOST_LISTED = 2000  # files offered for choice; more is a case for the server's page
_MOST_NOTES = 4


@dataclass(frozen=True)
class LoadPlan:
    """A range of frames to load; ``indexes`` count from 0."""

    indexes: tuple[int, ...]
    bytes: int
    problem: str = ""


def choices_in(place: Path) -> list[Path]:
    """Return the DICOM files a user can choose from: the file itself, or those of a folder, told by their first bytes."""
    if not place.is_dir():
        return [place]
    found = []
    for path in dicom_files(place):
        source = LocalSource(path)
        if source.read_at(128, 4) == b"DICM":
            found.append(path)
        source.close()
        if len(found) >= _MOST_LISTED:
            break
    return found


def facts_text(frames: Frames) -> str:
    """Write what a file holds in two lines, without anything of the patient."""
    found = facts(frames)
    size = size_text(found.bytes)
    parts = f" in {found.parts} files" if found.parts > 1 else ""
    return (
        f"{found.frames} frames of {found.columns} × {found.rows}, {found.photometric}, {found.bits_stored} bits; {size}{parts}\n"
        f"{found.transfer_syntax_name}; {found.rate:g} frames/s ({found.rate_source})"
    )


def health_text(frames: Frames) -> str:
    """Write how the file departs from the standard, or that it does not."""
    notes, broken = frames.notes, broken_frames(frames)
    index = frames.objects[0].index
    lines = [f"Index from {index.witness} ({index.table} table)."]
    lines += [f"• {note}" for note in notes[:_MOST_NOTES]]
    if len(notes) > _MOST_NOTES:
        lines.append(f"• and {len(notes) - _MOST_NOTES} more")
    if broken:
        lines.append(f"• {len(broken)} frames are damaged or missing, the first is frame {broken[0]}")
    return "\n".join(lines)


def texts(frames: Frames | None, problem: str) -> tuple[str, str]:
    """Return what is said of a file and of its health; of one that cannot be opened, why."""
    return (facts_text(frames), health_text(frames)) if frames is not None else ("", problem)


def chosen(names: Sequence[str], wanted: str) -> str:
    """Return the name that is to be opened: the wanted one, or the first."""
    return wanted if wanted in names else next(iter(names), "")


def rate_of(frames: Frames) -> float:
    """Return the file's rate within what the panel allows."""
    return min(max(frames.timing.rate, 0.1), 200.0)


def plan(frames: Frames | None, first: int, last: int, step: int) -> LoadPlan:
    """Return which frames a range means and how much memory they will take.

    Parameters
    ----------
    first, last, step : from 1, both ends included.
    """
    if frames is None:
        return LoadPlan((), 0)
    if not 1 <= first <= last <= len(frames):
        return LoadPlan((), 0, f"frames go from 1 to {len(frames)}, the first before the last")
    indexes = tuple(range(first - 1, last, max(step, 1)))
    sample = 4 if frames.pixels.samples == 1 else 1  # grey values may be rescaled to float
    sample = max(sample, frames.pixels.sample_bytes)
    return LoadPlan(indexes, len(indexes) * frames.pixels.rows * frames.pixels.columns * frames.pixels.samples * sample)


def memory_text(planned: LoadPlan) -> str:
    """Write what a range will take."""
    if planned.problem:
        return planned.problem
    return f"{len(planned.indexes)} frames, up to {size_text(planned.bytes)} of memory"


def size_text(size: int) -> str:
    """Write a number of bytes."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1e3:.0f} kB"


def gauge(frames: Frames | None) -> tuple[int, str]:
    """Return how much of the memory for frames is used: percent and text."""
    if frames is None:
        return 0, ""
    percent = round(100 * frames.cache.used_bytes / max(frames.cache.capacity_bytes, 1))
    return percent, f"{frames.cache.used_bytes / MEGABYTE:.0f} of {frames.cache.capacity_bytes / MEGABYTE:.0f} MB"


def default_copy(path: Path) -> Path:
    """Return a free name for the shareable copy beside the user's home folder, never beside the data."""
    candidate = Path.home() / f"{path.stem}-shareable.dcm"
    number = 2
    while candidate.exists():
        candidate = Path.home() / f"{path.stem}-shareable-{number}.dcm"
        number += 1
    return candidate


def blank_arguments(source: Path, target: Path, region: str) -> list[str]:
    """Return the arguments of ``stream blank``.

    Raises
    ------
    SettingsError : the region is not LEFT,TOP,WIDTH,HEIGHT.
    """
    regions = [Region.parse(text) for text in region.split(";") if text.strip()]
    options = [part for r in regions for part in ("--region", f"{r.left},{r.top},{r.width},{r.height}")]
    return ["blank", str(source), str(target), *options]


def serve_arguments(paths: Sequence[Path], port: int) -> list[str]:
    """Return the arguments of ``stream serve``, on the loopback only."""
    return ["serve", *map(str, paths), "--port", str(port)]


def button_states(
    opened: bool, loading: bool, planned: LoadPlan | None, copying: bool, copy_to: str
) -> dict[str, tuple[bool, str]]:
    """Return for each button whether it can be pressed, and the tool tip that says why not."""
    first = "Open a file first."
    problem = planned.problem if planned else ""
    return {
        "frameSlider": (opened, "Frame that is shown." if opened else first),
        "playButton": (opened, "Play or pause." if opened else first),
        "previousButton": (opened, "One frame back." if opened else first),
        "nextButton": (opened, "One frame on." if opened else first),
        "loadButton": (
            opened and not loading and not problem,
            first
            if not opened
            else "Frames are being loaded."
            if loading
            else problem or "Load these frames into the scene.",
        ),
        "serveButton": (opened, "Start or stop a DICOMweb server for this file or folder." if opened else first),
        "copyButton": (
            opened and not copying and bool(copy_to),
            first
            if not opened
            else "A copy is being made."
            if copying
            else "Make the copy."
            if copy_to
            else "Say where to write it.",
        ),
    }
