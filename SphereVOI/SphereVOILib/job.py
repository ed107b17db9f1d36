"""The job behind command, panel and queue: scans in, a folder with pictures, tables and reports out."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import InputError, WorkbenchError
from DicomWorkbenchLib.outputs import StagedFolder
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress, part_of
from DicomWorkbenchLib.report import REPORT_NAME, InputFile, relative_files, sha256_of
from DicomWorkbenchLib.settings import to_json

from SphereVOILib.clicks import write_clicks
from SphereVOILib.markups import MarkedPoint, write_markups
from SphereVOILib.measure import Measurement, measure
from SphereVOILib.report import SphereReport, fill, values_in
from SphereVOILib.scans import LoadedScan, Source, Sources, load
from SphereVOILib.seg_nrrd import Segment, write_segmentation
from SphereVOILib.settings import SphereSettings

PICTURES = "output_images"
CLICK_COLOR, CENTER_COLOR = (0.2, 0.8, 0.2), (1.0, 0.5, 0.0)


def run(settings: SphereSettings, progress: Progress = no_progress, cancel: CancelToken = NEVER) -> SphereReport:
    """Measure every scan of the inputs and write the results.

    One scan: everything lies in ``settings.output``. Several: a folder per scan, and a report of all. A scan that fails is reported and
    the others go on; where all fail, the first reason is raised.

    Raises
    ------
    WorkbenchError : nothing could be measured; see `DicomWorkbenchLib.errors`.
    """
    started = time.monotonic()
    report = SphereReport("spheres", settings=to_json(settings))
    with Sources(settings.inputs, part_of(progress, 0, 10), cancel) as sources, StagedFolder(settings.output) as stage:
        report.warnings += sources.warnings
        if len(sources.sources) == 1:
            _one(sources.sources[0], stage, settings, report, part_of(progress, 10, 100), cancel)
        else:
            _many(sources.sources, stage, settings, report, progress, cancel)
        report.seconds = round(time.monotonic() - started, 3)
        report.outputs = sorted([*relative_files(stage), REPORT_NAME])
        report.outputs = [name for name in report.outputs if not name.startswith(".")]
        report.write(stage)
    return report


def _many(
    sources: list[Source],
    stage: Path,
    settings: SphereSettings,
    report: SphereReport,
    progress: Progress,
    cancel: CancelToken,
) -> None:
    errors: list[WorkbenchError] = []
    for number, source in enumerate(sources):
        cancel.check()
        folder = stage / source.name
        folder.mkdir()
        own = SphereReport("spheres", settings=to_json(settings))
        share = part_of(progress, 10 + 90 * number // len(sources), 10 + 90 * (number + 1) // len(sources))
        started = time.monotonic()
        try:
            _one(source, folder, settings, own, share, cancel)
        except InputError as error:
            errors.append(error)
            folder.rmdir()
            report.scans.append({"name": source.name, "folder": None, "found": 0, "spheres": 0, "error": str(error)})
            report.warnings.append(f"{source.name}: {error}")
            continue
        own.seconds = round(time.monotonic() - started, 3)
        own.outputs = sorted([*relative_files(folder), REPORT_NAME])
        own.write(folder)
        _take_over(report, own, source.name)
    if len(errors) == len(sources):
        raise errors[0]


def _take_over(report: SphereReport, own: SphereReport, name: str) -> None:
    """Enter a scan into the report of the batch; the first one's numbers stand at the top."""
    if not report.spheres:
        for field in ("unit", "spheres", "background", "nema", "earl", "suv", "ring"):
            setattr(report, field, getattr(own, field))
    report.inputs += own.inputs
    report.warnings += [f"{name}: {warning}" for warning in own.warnings]
    found = sum(bool(s["found"]) for s in own.spheres)
    report.scans.append(
        {"name": name, "folder": name, "unit": own.unit, "found": found, "spheres": len(own.spheres), "error": ""}
    )


def _one(
    source: Source,
    folder: Path,
    settings: SphereSettings,
    report: SphereReport,
    progress: Progress,
    cancel: CancelToken,
) -> None:
    loaded = load(source, settings.unit, settings.value_unit, part_of(progress, 0, 40), cancel)
    started = time.monotonic()
    found = measure(loaded.grid, settings.targets, settings.measure, progress=part_of(progress, 40, 60), cancel=cancel)
    report.measured["compute_seconds"] = round(time.monotonic() - started, 4)
    fill(report, found, loaded.scaling, settings.measure)
    report.warnings += [*loaded.warnings, *found.warnings]
    if loaded.scaling.reason:
        report.warnings.append(f"{values_in(loaded.scaling.unit)}: {loaded.scaling.reason}")
    report.measured |= {"spheres_found": len(found.found), "spheres": len(found.spheres)}
    cancel.check()
    progress(60, 100, "checksums")
    report.inputs = [InputFile(name, sha256_of(path)) for path, name in loaded.files]
    write_scene_files(folder, found)
    _write_tables_and_pictures(folder, found, loaded, settings, report, part_of(progress, 65, 100), cancel)


def write_scene_files(folder: Path, found: Measurement) -> None:
    """Write what Slicer opens: clicks, centres and segmentation; and the clicks file of this command."""
    targets = [s.refined.target for s in found.spheres]
    clicks = [MarkedPoint(t.label, t.lps_mm) for t in targets if t.lps_mm is not None]
    write_markups(folder / "clicks.mrk.json", clicks, color=CLICK_COLOR, locked=False)
    centers = [_center(s.label, s.refined.center_lps_mm) for s in found.found]
    write_markups(folder / "centers.mrk.json", centers, color=CENTER_COLOR, locked=True)
    segments = [Segment(s.label, s.mask) for s in found.found if s.mask is not None]
    write_segmentation(folder / "spheres.seg.nrrd", found.grid, segments)
    write_clicks(folder / "clicks.json", targets)


def _center(label: str, center: Any) -> MarkedPoint:
    x, y, z = (float(v) for v in center)
    return MarkedPoint(label, (x, y, z))


def _write_tables_and_pictures(
    folder: Path,
    found: Measurement,
    loaded: LoadedScan,
    settings: SphereSettings,
    report: SphereReport,
    progress: Progress,
    cancel: CancelToken,
) -> None:
    # Imported here: pandas, openpyxl and matplotlib cost a second and may be missing inside Slicer.
    from SphereVOILib.page import write_page
    from SphereVOILib.pictures import write_slices
    from SphereVOILib.workbooks import write_workbooks

    progress(0, 100, "tables")
    write_workbooks(
        folder,
        found,
        loaded.scaling,
        dataclasses.replace(settings, targets=tuple(s.refined.target for s in found.spheres)),
    )
    cancel.check()
    if not settings.pictures:
        return
    progress(40, 100, "pictures")
    (folder / PICTURES).mkdir()
    write_slices(folder / PICTURES, found, loaded.scaling.unit)
    cancel.check()
    progress(70, 100, "report")
    write_page(folder, report, found, loaded, settings)
    progress(100, 100, "done")
