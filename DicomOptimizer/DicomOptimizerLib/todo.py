"""From plans to the list of what workers are to do, one entry per file of the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from DicomWorkbenchLib.series import LinkedObject, Scan

from DicomOptimizerLib.linked import LinkedTask
from DicomOptimizerLib.naming import Names
from DicomOptimizerLib.passing import CopyTask
from DicomOptimizerLib.planning import SeriesPlan
from DicomOptimizerLib.references import Changes
from DicomOptimizerLib.settings import OptimizerSettings
from DicomOptimizerLib.slices import SliceTask
from DicomOptimizerLib.worker import HashTask, Task


@dataclass(frozen=True)
class Work:
    """A task and whom it belongs to: plan and plane of a slice, or a linked object."""

    task: Task
    plan: int = -1
    plane: int = -1
    linked: LinkedObject | None = None


def all_work(found: Scan, plans: Sequence[SeriesPlan], settings: OptimizerSettings, names: Names) -> list[Work]:
    """List everything that is to be done; linked objects come first, as they take longest."""
    return _linked_work(found, plans, settings, names) + _image_work(plans, names)


def relinked(work: Sequence[Work], plans: Sequence[SeriesPlan]) -> list[Work]:
    """Return the linked objects among some work, as they have to be written now that the plans have changed."""
    return [_relinked(item, plans) for item in work if item.linked is not None]


def changes_of(plans: Sequence[SeriesPlan]) -> Changes:
    """Collect what happens to the images of all series."""
    removed: set[str] = set()
    classes: dict[str, str] = {}
    for plan in plans:
        removed |= plan.removed_uids
        classes |= plan.new_classes()
    return Changes(frozenset(removed), classes)


def _image_work(plans: Sequence[SeriesPlan], names: Names) -> list[Work]:
    work: list[Work] = []
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
                work.append(Work(HashTask(path, origin), p, k))
                continue
            target = names.path_of(origin, series.modality, series.study_instance_uid, series.series_instance_uid)
            task: Task = CopyTask(path, origin, target)
            if plan.treatment is not None:
                task = SliceTask(path, origin, target, treated, numbers[instance.sop_instance_uid])
            work.append(Work(task, p, k))
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


def _linked_work(found: Scan, plans: Sequence[SeriesPlan], settings: OptimizerSettings, names: Names) -> list[Work]:
    work = []
    for one in found.linked:
        target = names.path_of(one.origin, one.modality, one.study_instance_uid, one.series_instance_uid)
        task = LinkedTask(Path(one.path), one.origin, target, one.modality, (), settings.contours)
        work.append(_relinked(Work(task, linked=one), plans))
    return work


def _relinked(item: Work, plans: Sequence[SeriesPlan]) -> Work:
    """Give a linked object the series it refers to; only structure sets and segmentations change with them."""
    assert item.linked is not None
    assert isinstance(item.task, LinkedTask)
    wanted = item.linked.series_instance_uids
    mine = [plan for plan in plans if plan.series.series_instance_uid in wanted]
    mine.sort(key=lambda plan: (wanted.index(plan.series.series_instance_uid), -len(plan.series.planes)))
    series = tuple(one for plan in mine if (one := plan.linked()) is not None)
    return replace(item, task=replace(item.task, series=series))
