"""From a scan to the files of the output: plan, let the workers write, collect what they say."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from DicomWorkbenchLib.outputs import StagedFolder
from DicomWorkbenchLib.parts import Cluster
from DicomWorkbenchLib.progress import CancelToken, Progress
from DicomWorkbenchLib.series import Scan

from DicomOptimizerLib.collecting import Collector
from DicomOptimizerLib.deidentify import Deidentifier
from DicomOptimizerLib.linked import LinkedResult, LinkedTask
from DicomOptimizerLib.naming import Names
from DicomOptimizerLib.parts import ClusterPool
from DicomOptimizerLib.planning import SeriesPlan
from DicomOptimizerLib.pool import WorkerPool
from DicomOptimizerLib.report import OptimizerReport
from DicomOptimizerLib.settings import OptimizerSettings
from DicomOptimizerLib.slices import FileResult, Job
from DicomOptimizerLib.todo import Work, all_work, changes_of, relinked
from DicomOptimizerLib.worker import HashTask


def work(
    found: Scan,
    plans: list[SeriesPlan],
    settings: OptimizerSettings,
    folder: StagedFolder,
    report: OptimizerReport,
    progress: Progress,
    cancel: CancelToken,
    cluster: Cluster | None,
) -> None:
    """Write everything into the staged folder and fill the report; parameters and errors are those of `job.run`."""
    job = _job(plans, settings)
    todo = all_work(found, plans, settings, Names(folder.path, settings.inputs, neutral=settings.deidentify))
    collector = Collector(plans, settings, report)
    with _pool(job, settings, cluster, folder.target.parent) as pool:
        for done, (n, outcome) in enumerate(pool.run([item.task for item in todo], cancel), 1):
            collector.take(todo[n], outcome)
            if isinstance(outcome, FileResult):
                _complete(todo[n], outcome, folder)
            progress(done, len(todo), "writing")
    if collector.bad:
        plans[:] = [plan.without(collector.bad.get(n, set())) for n, plan in enumerate(plans)]
        again = relinked(todo, plans)
        collector.retake(_redo(again, replace(job, changes=changes_of(plans)), folder, cancel))
    collector.finish(found, plans)


def _complete(item: Work, result: FileResult, folder: StagedFolder) -> None:
    """Bring a file to disk while the workers compute."""
    if result.size_after and not isinstance(item.task, HashTask):
        folder.complete(item.task.target)


def _pool(job: Job, settings: OptimizerSettings, cluster: Cluster | None, beside: Path) -> WorkerPool | ClusterPool:
    return ClusterPool(job, cluster, settings.jobs or 1, beside) if cluster else WorkerPool(job, settings.workers)


def _job(plans: Sequence[SeriesPlan], settings: OptimizerSettings) -> Job:
    salt = settings.uid_salt or secrets.token_hex(16)
    deidentifier = Deidentifier(salt, settings.dates, settings.keep_patient_characteristics)
    return Job(
        salt=salt,
        changes=changes_of(plans),
        treatments=tuple(plan.treatment for plan in plans if plan.treatment is not None),
        deidentify=deidentifier if settings.deidentify else None,
    )


def _redo(work: Sequence[Work], job: Job, folder: StagedFolder, cancel: CancelToken) -> list[tuple[Work, LinkedResult]]:
    """Write the linked objects again, now that some slices turned out to be missing."""
    linked = []
    with WorkerPool(job, 1) as pool:
        for n, outcome in pool.run([item.task for item in work], cancel):
            if isinstance(outcome, LinkedResult):
                linked.append((work[n], outcome))
                _complete(work[n], outcome, folder)
                if outcome.is_left_out and isinstance(work[n].task, LinkedTask):
                    work[n].task.target.unlink(missing_ok=True)  # type: ignore[union-attr]
            elif isinstance(outcome, OSError):
                raise outcome
    return linked
