"""From a scan to the files of the output: plan, let the workers write, collect what they say."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from DicomWorkbenchLib.errors import FileError, InputError, WorkbenchError
from DicomWorkbenchLib.outputs import sync
from DicomWorkbenchLib.parts import Cluster
from DicomWorkbenchLib.progress import CancelToken, Progress
from DicomWorkbenchLib.report import InputFile
from DicomWorkbenchLib.series import LinkedObject, Scan, Severity

from DicomOptimizerLib.deidentify import Deidentifier
from DicomOptimizerLib.linked import LinkedResult, LinkedTask
from DicomOptimizerLib.naming import Names
from DicomOptimizerLib.parts import ClusterPool
from DicomOptimizerLib.passing import CopyTask
from DicomOptimizerLib.planning import SeriesPlan
from DicomOptimizerLib.pool import WorkerPool
from DicomOptimizerLib.references import Changes
from DicomOptimizerLib.report import LinkedReport, OptimizerReport, SeriesReport
from DicomOptimizerLib.settings import OnBadSlice, OptimizerSettings
from DicomOptimizerLib.slices import FileResult, Job, SliceTask
from DicomOptimizerLib.stack import regular_spacing_mm
from DicomOptimizerLib.worker import HashTask, Task

SCAN_SHARE = 15  # per cent of the progress bar
SYNCING = 4  # threads that only wait for the disk


@dataclass(frozen=True)
class _Work:
    """A task and whom it belongs to: plan and plane of a slice, or a linked object."""

    task: Task
    plan: int = -1
    plane: int = -1
    linked: LinkedObject | None = None


@dataclass
class _Collected:
    inputs: list[InputFile] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    bad: dict[int, set[int]] = field(default_factory=dict)
    before: int = 0
    after: int = 0

    def note(self, notes: Sequence[str]) -> None:
        for text in notes:
            self.notes[text] = self.notes.get(text, 0) + 1

    @property
    def warnings(self) -> list[str]:
        return [text if count == 1 else f"{text} ({count} files)" for text, count in sorted(self.notes.items())]


def work(
    found: Scan,
    plans: list[SeriesPlan],
    settings: OptimizerSettings,
    names: Names,
    report: OptimizerReport,
    progress: Progress,
    cancel: CancelToken,
    cluster: Cluster | None,
) -> None:
    """Write everything below the root of ``names`` and fill the report; parameters and errors are those of `job.run`."""
    job = _job(plans, settings)
    todo = _linked_work(found, plans, settings, names) + _image_work(plans, names)
    report.series = [_series_report(plan) for plan in plans]
    collected = _Collected()
    with _pool(job, settings, cluster, Path(report.output).parent) as pool:
        linked = _run(pool, todo, settings, report, collected, progress, cancel)
    if collected.bad:
        plans[:] = [plan.without(collected.bad.get(n, set())) for n, plan in enumerate(plans)]
        again = [_relinked(item, plans) for item in todo if item.linked is not None]
        linked = _redo(again, replace(job, changes=_changes(plans)), collected, cancel)
    _report_linked(linked, settings, report, collected)
    _finish(found, plans, settings, report, collected)


def _pool(job: Job, settings: OptimizerSettings, cluster: Cluster | None, beside: Path) -> WorkerPool | ClusterPool:
    return ClusterPool(job, cluster, settings.jobs or 1, beside) if cluster else WorkerPool(job, settings.workers)


def _job(plans: Sequence[SeriesPlan], settings: OptimizerSettings) -> Job:
    salt = settings.uid_salt or secrets.token_hex(16)
    deidentifier = Deidentifier(salt, settings.dates, settings.keep_patient_characteristics)
    return Job(
        salt=salt,
        changes=_changes(plans),
        treatments=tuple(plan.treatment for plan in plans if plan.treatment is not None),
        deidentify=deidentifier if settings.deidentify else None,
    )


def _changes(plans: Sequence[SeriesPlan]) -> Changes:
    removed: set[str] = set()
    classes: dict[str, str] = {}
    for plan in plans:
        removed |= plan.removed_uids
        classes |= plan.new_classes()
    return Changes(frozenset(removed), classes)


def _image_work(plans: Sequence[SeriesPlan], names: Names) -> list[_Work]:
    work: list[_Work] = []
    numbers = _instance_numbers(plans)
    treated = 0
    for p, plan in enumerate(plans):
        kept = set(plan.kept)
        series = plan.series
        done: set[str] = set()
        for k, plane in enumerate(series.planes):
            instance = plane.instance
            if instance.sop_instance_uid in done:
                continue  # further frames of a file
            done.add(instance.sop_instance_uid)
            path, origin = Path(instance.path), instance.origin
            if k not in kept:
                work.append(_Work(HashTask(path, origin), p, k))
                continue
            target = names.path_of(origin, series.modality, series.study_instance_uid, series.series_instance_uid)
            task: Task = CopyTask(path, origin, target)
            if plan.treatment is not None:
                task = SliceTask(path, origin, target, treated, numbers[instance.sop_instance_uid])
            work.append(_Work(task, p, k))
        treated += plan.treatment is not None
    return work


def _instance_numbers(plans: Sequence[SeriesPlan]) -> dict[str, int]:
    """Number the kept images of each series 1, 2, ... in the order of their old numbers."""
    order: dict[str, list[tuple[int, int, str]]] = {}
    for plan in plans:
        listed = order.setdefault(plan.series.series_instance_uid, [])
        for k in plan.kept:
            instance = plan.series.planes[k].instance
            old = instance.instance_number
            listed.append((old if old is not None else 1 << 31, len(listed), instance.sop_instance_uid))
    return {uid: n for listed in order.values() for n, (_, _, uid) in enumerate(sorted(listed), 1)}


def _linked_work(found: Scan, plans: Sequence[SeriesPlan], settings: OptimizerSettings, names: Names) -> list[_Work]:
    work = []
    for one in found.linked:
        target = names.path_of(one.origin, one.modality, one.study_instance_uid, one.series_instance_uid)
        task = LinkedTask(Path(one.path), one.origin, target, one.modality, (), settings.contours)
        work.append(_relinked(_Work(task, linked=one), plans))
    return work


def _relinked(item: _Work, plans: Sequence[SeriesPlan]) -> _Work:
    """Give a linked object the series it refers to; only structure sets and segmentations change with them."""
    assert item.linked is not None
    assert isinstance(item.task, LinkedTask)
    wanted = item.linked.series_instance_uids
    mine = [plan for plan in plans if plan.series.series_instance_uid in wanted]
    mine.sort(key=lambda plan: (wanted.index(plan.series.series_instance_uid), -len(plan.series.planes)))
    series = tuple(one for plan in mine if (one := plan.linked()) is not None)
    return replace(item, task=replace(item.task, series=series))


def _run(
    pool: WorkerPool | ClusterPool,
    work: Sequence[_Work],
    settings: OptimizerSettings,
    report: OptimizerReport,
    collected: _Collected,
    progress: Progress,
    cancel: CancelToken,
) -> list[tuple[_Work, LinkedResult]]:
    linked = []
    # Files are brought to disk while the workers compute; several at a time share the file system's commits.
    with ThreadPoolExecutor(SYNCING) as disk, ExitStack() as stack:
        stack.callback(disk.shutdown, cancel_futures=True)  # after a cancel nothing waits for the disk
        synced = []
        for done, (n, outcome) in enumerate(pool.run([item.task for item in work], cancel), 1):
            item = work[n]
            if isinstance(outcome, FileResult):
                _collect(item, outcome, settings, report, collected)
                if outcome.size_after and not isinstance(item.task, HashTask):
                    synced.append(disk.submit(sync, item.task.target))
                if isinstance(outcome, LinkedResult):
                    linked.append((item, outcome))
            else:
                _failed(item, outcome, settings, report, collected)
            progress(done, len(work), "writing")
        for one in synced:
            one.result()
    return linked


def _collect(
    item: _Work, result: FileResult, settings: OptimizerSettings, report: OptimizerReport, collected: _Collected
) -> None:
    collected.inputs.append(InputFile(item.task.origin, result.sha256))
    collected.before += result.size_before
    if item.plan >= 0:
        collected.note(result.warnings)
        collected.after += result.size_after
        series = report.series[item.plan]
        series.bytes_before += result.size_before
        series.bytes_after += result.size_after
        series.slices_after += result.size_after > 0


def _failed(
    item: _Work,
    error: WorkbenchError | OSError,
    settings: OptimizerSettings,
    report: OptimizerReport,
    collected: _Collected,
) -> None:
    """Stop at the first bad file, or leave it out and say so, as the user chose; a full disk always stops."""
    if not isinstance(error, FileError) or settings.on_bad_slice is OnBadSlice.STOP:
        if isinstance(error, FileError):
            raise type(error)(f"{error}; to leave such files out, use --on-bad-slice skip") from error
        raise error
    place = "one of its slices" if settings.deidentify else str(error)
    collected.note([f"left out, because it cannot be read: {place}"])
    if item.plan >= 0:
        report.series[item.plan].bad_slices.append(place)
        collected.bad.setdefault(item.plan, set()).add(item.plane)


def _redo(
    work: Sequence[_Work], job: Job, collected: _Collected, cancel: CancelToken
) -> list[tuple[_Work, LinkedResult]]:
    """Write the linked objects again, now that some slices turned out to be missing."""
    linked = []
    with WorkerPool(job, 1) as pool:
        for n, outcome in pool.run([item.task for item in work], cancel):
            if isinstance(outcome, LinkedResult):
                linked.append((work[n], outcome))
                if outcome.is_left_out and isinstance(work[n].task, LinkedTask):
                    work[n].task.target.unlink(missing_ok=True)  # type: ignore[union-attr]
            elif isinstance(outcome, OSError):
                raise outcome
    return linked


def _report_linked(
    linked: Sequence[tuple[_Work, LinkedResult]],
    settings: OptimizerSettings,
    report: OptimizerReport,
    collected: _Collected,
) -> None:
    for item, result in sorted(linked, key=lambda pair: pair[0].task.origin):
        assert item.linked is not None
        collected.note(result.warnings)
        collected.after += result.size_after
        report.linked.append(
            LinkedReport(
                item.linked.modality,
                "" if settings.deidentify else item.task.origin,
                result.size_before,
                result.size_after,
                result.references_dropped,
                result.is_left_out,
                list(result.rois),
            )
        )


def _series_report(plan: SeriesPlan) -> SeriesReport:
    series, treatment = plan.series, plan.treatment
    positions = series.positions_mm
    is_stack = len(positions) > 1
    size = (series.rows, series.columns)
    one = SeriesReport(
        label=series.label,
        modality=series.modality,
        slices_before=len(series.planes),
        size_before=size,
        size_after=treatment.resize.new if treatment and treatment.resize else size,
        spacing_before_mm=regular_spacing_mm(positions.tolist()) if is_stack else None,
        spacing_after_mm=regular_spacing_mm(positions[plan.kept].tolist()) if is_stack else None,
        done=[treatment.description] if treatment else [],
        problems=[*plan.reasons],
    )
    if treatment and treatment.grey:
        one.window = (treatment.grey.window.level, treatment.grey.window.width)
        one.grey_error, one.units = round(treatment.grey.error, 4), treatment.units
    return one


def _finish(
    found: Scan,
    plans: Sequence[SeriesPlan],
    settings: OptimizerSettings,
    report: OptimizerReport,
    collected: _Collected,
) -> None:
    if not any(one.slices_after for one in report.series):
        raise InputError("no image could be read, so nothing was written; look at the files with a DICOM viewer")
    report.inputs = sorted(collected.inputs, key=lambda one: one.path)
    if settings.deidentify:  # numbered, as names of files often say who the patient is
        report.inputs = [replace(one, path=f"file {n}") for n, one in enumerate(report.inputs, 1)]
    for plan, one in zip(plans, report.series, strict=True):
        one.bad_slices.sort()
        one.problems += [] if settings.deidentify else [str(problem) for problem in plan.series.problems]
        report.warnings += [f"{one.label}: {reason}" for reason in plan.reasons]
    said = [problem for problem in found.problems if problem.severity is not Severity.NOTE]
    report.warnings += [problem.kind.value if settings.deidentify else str(problem) for problem in said]
    report.warnings += collected.warnings
    if settings.deidentify:
        report.warnings.append("the pixels were not searched for text that names the patient; look before publishing")
    report.measure(collected.before, collected.after)
