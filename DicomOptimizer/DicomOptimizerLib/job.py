"""The optimizer's one entry: scan, plan, let the workers write, report.

What takes long to load is loaded while other processes read the headers.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from DicomWorkbenchLib.outputs import StagedFolder
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress, part_of
from DicomWorkbenchLib.report import relative_files
from DicomWorkbenchLib.series import Scan, scan
from DicomWorkbenchLib.settings import to_json

from DicomOptimizerLib.ahead import reading_ahead
from DicomOptimizerLib.naming import output_folder
from DicomOptimizerLib.report import OptimizerReport
from DicomOptimizerLib.settings import OptimizerSettings

if TYPE_CHECKING:
    from DicomWorkbenchLib.parts import Cluster

SCAN_SHARE = 15  # per cent of the progress bar


def run(
    settings: OptimizerSettings,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
    cluster: Cluster | None = None,
) -> OptimizerReport:
    """Make the small copy that the settings ask for, on this machine or on a cluster.

    Returns
    -------
    The report, which also lies as ``report.json`` in the output folder.

    Raises
    ------
    NoDicomError : the input holds no DICOM image.
    PixelDataError : a slice cannot be read and the settings say stop.
    OutputError : the output cannot be written.
    Cancelled : somebody asked to stop; nothing is left.
    """
    started = time.monotonic()
    target = output_folder(settings)
    with _scanned(settings, part_of(progress, 0, SCAN_SHARE), cancel) as found:
        from DicomOptimizerLib.planning import plan_series
        from DicomOptimizerLib.working import work

        found.require_images()
        plans = [plan_series(series, settings) for series in found.series]
        report = OptimizerReport(settings=to_json(settings.for_report()), output=str(target))
        folder = StagedFolder(target)
        with folder as stage:
            work(found, plans, settings, folder, report, part_of(progress, SCAN_SHARE, 100), cancel, cluster)
            report.outputs = relative_files_of(stage)
            report.seconds = round(time.monotonic() - started, 3)
            _written(report, settings).write(stage)
            cancel.check()
    progress(100, 100, "done")
    return report


def _scanned(settings: OptimizerSettings, progress: Progress, cancel: CancelToken) -> Scan:
    with reading_ahead(settings, cancel) as ahead:
        import DicomOptimizerLib.working  # noqa: F401 - loaded now, while others read

        examined = ahead.chunks() if ahead is not None else None
        return scan(settings.inputs, progress=progress, cancel=cancel, examined=examined)


def _written(report: OptimizerReport, settings: OptimizerSettings) -> OptimizerReport:
    """Return the report as it is published with the result: de-identified, it names no folder of this computer."""
    return replace(report, output=Path(report.output).name) if settings.deidentify else report


def relative_files_of(stage: Path) -> list[str]:
    """Name what was written, without the stage's own marks."""
    return [name for name in relative_files(stage) if not name.startswith(".")]
