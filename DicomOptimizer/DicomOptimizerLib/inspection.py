"""What a job would do, before it is done: series, sizes, problems, a preview. Panels run this as a child process."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from pathlib import Path

from DicomWorkbenchLib.errors import FileError, SettingsError
from DicomWorkbenchLib.headers import read_dataset
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress, part_of
from DicomWorkbenchLib.report import Report
from DicomWorkbenchLib.series import Scan, scan
from DicomWorkbenchLib.settings import to_json

from DicomOptimizerLib.estimate import bytes_before, expected_bytes, expected_linked_bytes
from DicomOptimizerLib.picture import beside, png
from DicomOptimizerLib.planning import SeriesPlan, plan_series
from DicomOptimizerLib.preview import make_preview
from DicomOptimizerLib.reading import BROKEN
from DicomOptimizerLib.settings import OptimizerSettings

SCAN_SHARE = 70  # per cent of the progress bar


@dataclass(frozen=True)
class InspectionSettings:
    """What to look at.

    Attributes
    ----------
    job : the job that is planned.
    series : number of the series (from 0) to show a preview of; None takes the one with most slices.
    """

    job: OptimizerSettings
    series: int | None = None

    def __post_init__(self) -> None:
        if self.series is not None and self.series < 0:
            raise SettingsError(f"series counts from 0, got {self.series}")


@dataclass
class SeriesRow:
    """One series as a table shows it; sizes in bytes."""

    label: str
    description: str
    modality: str
    slices: int
    slices_after: int
    rows: int
    columns: int
    bytes_before: int
    bytes_after: int
    linked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass
class InspectionReport(Report):
    """What was found; pictures are PNG in base 64, empty if there is none."""

    job: str = "optimize-preview"
    series: list[SeriesRow] = field(default_factory=list)
    expected_bytes: int = 0
    bytes_before: int = 0
    before_png: str = ""
    after_png: str = ""
    both_png: str = ""
    shown: str = ""

    @property
    def text(self) -> str:
        """A table for a terminal."""
        lines = [f"{'series':<28}{'slices':>14}{'size':>12}{'MB':>18}  linked"]
        for one in self.series:
            slices, size = f"{one.slices} -> {one.slices_after}", f"{one.columns}x{one.rows}"
            megabytes = f"{one.bytes_before / 1e6:.1f} -> {one.bytes_after / 1e6:.1f}"
            lines.append(f"{one.label:<28}{slices:>14}{size:>12}{megabytes:>18}  {', '.join(one.linked)}")
        lines.append(f"expected: {self.bytes_before / 1e6:.1f} MB -> {self.expected_bytes / 1e6:.1f} MB")
        return "\n".join(lines)

    @property
    def picture(self) -> bytes:
        """Before and after beside each other, as PNG; empty if there is none."""
        return base64.b64decode(self.both_png)


def inspect(
    settings: InspectionSettings, progress: Progress = no_progress, cancel: CancelToken = NEVER
) -> InspectionReport:
    """Look at the input and work out what the job would make of it; nothing is written.

    Raises
    ------
    NoDicomError : the input holds no DICOM image.
    """
    started = time.monotonic()
    job = settings.job
    report = InspectionReport(settings=to_json(job.for_report()))
    with scan(job.inputs, progress=part_of(progress, 0, SCAN_SHARE), cancel=cancel) as found:
        found.require_images()
        plans = [plan_series(series, job) for series in found.series]
        for n, plan in enumerate(plans):
            cancel.check()
            report.series.append(_row(plan))
            progress(SCAN_SHARE + round(25 * (n + 1) / len(plans)), 100, "estimating sizes")
        linked = sum(one.path.stat().st_size for one in found.linked)
        report.bytes_before = linked + sum(row.bytes_before for row in report.series)
        report.expected_bytes = expected_linked_bytes(found.linked, plans) + sum(r.bytes_after for r in report.series)
        report.warnings = [str(problem) for problem in found.problems]
        _show(found, plans, settings, report)
    report.seconds = round(time.monotonic() - started, 3)
    progress(100, 100, "done")
    return report


def _row(plan: SeriesPlan) -> SeriesRow:
    series = plan.series
    return SeriesRow(
        label=series.label,
        description=series.description,
        modality=series.modality,
        slices=len(series.planes),
        slices_after=len(plan.kept),
        rows=series.rows,
        columns=series.columns,
        bytes_before=bytes_before(plan),
        bytes_after=expected_bytes(plan),
        linked=[one.modality for one in series.linked],
        problems=[str(problem) for problem in series.problems] + plan.reasons,
    )


def _show(found: Scan, plans: list[SeriesPlan], settings: InspectionSettings, report: InspectionReport) -> None:
    chosen = settings.series
    if chosen is None or chosen >= len(plans):
        chosen = max(range(len(plans)), key=lambda n: len(plans[n].series.planes))
    plan = plans[chosen]
    uid = plan.series.series_instance_uid
    structures = [
        read_dataset(Path(one.path))
        for one in found.linked
        if one.modality == "RTSTRUCT" and uid in one.series_instance_uids
    ]
    try:
        preview = make_preview(plan, structures, settings.job.contours, settings.job.window)
    except FileError as error:
        report.warnings.append(f"no preview: {error}")
        return
    except BROKEN:
        report.warnings.append("no preview: a value of the slice is not what its attribute needs")
        return
    report.before_png, report.after_png = _text(png(preview.before)), _text(png(preview.after))
    report.both_png = _text(png(beside(preview.before, preview.after)))
    report.shown = f"{plan.series.label}, slice {preview.slice_number} of {preview.slices}"


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
