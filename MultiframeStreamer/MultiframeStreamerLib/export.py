"""Single frames as files: the stored bytes, the decoded samples, or a picture."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from DicomWorkbenchLib.errors import DependencyError, PixelDataError
from DicomWorkbenchLib.outputs import StagedFolder
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from DicomWorkbenchLib.report import InputFile, Report, relative_files, sha256_of
from DicomWorkbenchLib.settings import to_json

from .frames import Frames, open_frames
from .settings import ExportSettings, FrameForm, parse_frames

_MOST_HASHED = 1 << 31  # bytes; hashing a 20 GB input would take longer than the work itself


@dataclass
class ExportReport(Report):
    """What was written; ``failed`` are numbers (from 1) of frames that could not be, with the reason."""

    written: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def run(settings: ExportSettings, progress: Progress = no_progress, cancel: CancelToken = NEVER) -> ExportReport:
    """Write frames as ``frame-000001.*`` into a new folder; a broken frame is reported and the rest goes on.

    Raises
    ------
    InputError, SettingsError, OutputError : the file cannot be opened, a frame does not exist, the folder cannot be written.
    """
    began = time.perf_counter()
    report = ExportReport("stream-frames", settings=to_json(settings))
    with open_frames(settings.source) as frames:
        numbers = parse_frames(settings.frames, len(frames))
        with StagedFolder(settings.output) as stage:
            for done, number in enumerate(numbers):
                cancel.check()
                progress(done, len(numbers), "writing frames")
                _write(frames, number, settings.form, stage, report)
            _check_any(report, numbers)
            progress(len(numbers), len(numbers), "writing frames")
            report.inputs = inputs_of(frames)
            report.outputs = relative_files(stage)
            report.seconds = round(time.perf_counter() - began, 3)
            report.write(stage)
    return report


def inputs_of(frames: Frames) -> list[InputFile]:
    """Name the files that were read, with their SHA-256 where they are small enough for hashing to be worth it."""
    return [
        InputFile(
            part.source.name, sha256_of(Path(part.source.name)) if _hashable(part.source.name, part.source.size) else ""
        )
        for part in frames.objects
    ]


def _hashable(name: str, size: int) -> bool:
    return size <= _MOST_HASHED and Path(name).is_file()


def _write(frames: Frames, number: int, form: FrameForm, stage: Path, report: ExportReport) -> None:
    suffix = frames.syntax.suffix if form is FrameForm.ENCODED else form.value
    try:
        content = _content(frames, number, form)
    except PixelDataError as error:
        report.failed[str(number + 1)] = str(error)
        report.warnings.append(str(error))
        return
    (stage / f"frame-{number + 1:06d}.{suffix}").write_bytes(content)
    report.written += 1


def _content(frames: Frames, number: int, form: FrameForm) -> bytes:
    if form is FrameForm.ENCODED:
        return frames.encoded(number)
    if form is FrameForm.RAW:
        samples = frames[number]
        return samples.astype(samples.dtype.newbyteorder("<")).tobytes()
    return png_of(frames, number)


def png_of(frames: Frames, number: int) -> bytes:
    """Return a frame as PNG, windowed as the file says."""
    try:
        import imagecodecs
    except ImportError as error:
        raise DependencyError(
            "the Python package imagecodecs", hint="install it with: pip install imagecodecs"
        ) from error
    import numpy as np

    return bytes(imagecodecs.png_encode(np.ascontiguousarray(frames.displayed(number))))


def _check_any(report: ExportReport, numbers: list[int]) -> None:
    if numbers and not report.written:
        raise PixelDataError(f"none of the {len(numbers)} frames can be read: {next(iter(report.failed.values()))}")
