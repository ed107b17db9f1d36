"""Objects that refer to images: what each refers to, and which of the scanned series that is.

References
----------
DICOM PS3.3 C.8.8.5 (structure set), C.8.8.3 (dose), C.8.8.9 (plan), A.51 and C.8.20 (segmentation), C.11.11 (presentation state),
C.20.2 (registration), C.17.2 (SR documents)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from DicomWorkbenchLib.headers import quiet_pydicom, read_dataset
from DicomWorkbenchLib.series_model import LinkedObject, Series
from DicomWorkbenchLib.series_problems import Problem, ProblemKind

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.tag import BaseTag

_STORAGE = "1.2.840.10008.5.1.4.1.1"

LINKED_CLASSES: dict[str, str] = {
    f"{_STORAGE}.481.2": "RTDOSE",
    f"{_STORAGE}.481.3": "RTSTRUCT",
    f"{_STORAGE}.481.5": "RTPLAN",
    f"{_STORAGE}.481.8": "RTPLAN",  # ions
    **dict.fromkeys((f"{_STORAGE}.481.{last}" for last in (4, 6, 7, 9)), "RTRECORD"),
    f"{_STORAGE}.66.1": "REG",
    f"{_STORAGE}.66.2": "FID",
    f"{_STORAGE}.66.3": "REG",  # deformable
    f"{_STORAGE}.66.4": "SEG",
    f"{_STORAGE}.66.5": "SEG",  # surfaces
    f"{_STORAGE}.66.7": "SEG",  # label map
    **dict.fromkeys((f"{_STORAGE}.88.{last}" for last in range(1, 78)), "SR"),
    **dict.fromkeys((f"{_STORAGE}.11.{last}" for last in range(1, 13)), "PR"),
    f"{_STORAGE}.88.59": "KO",
}
"""SOP classes that are linked to images instead of being shown as images, with the modality each stands for."""

# Sequences that repeat references plane by plane; they are read only where the short lists at the top say nothing.
_BULKY = ("ROIContourSequence", "PerFrameFunctionalGroupsSequence", "BeamSequence", "IonBeamSequence")
_SOP, _SERIES, _FRAMES = (
    0x00081155,
    0x0020000E,
    (0x00200052, 0x30060024),
)  # UIDs: referenced instance, series, frames of reference


def read_linked(path: Path, origin: str) -> LinkedObject:
    """Read what one object refers to.

    Raises
    ------
    FileError : the file cannot be read; the message names it.
    """
    dataset = read_dataset(path, pixels=False)
    with quiet_pydicom(f"{path} is a broken DICOM file"):
        return _linked_object(dataset, path, origin)


def _linked_object(dataset: Dataset, path: Path, origin: str) -> LinkedObject:
    from pydicom.datadict import keyword_for_tag

    found = _References()
    public = [tag for tag in dataset.keys() if not tag.is_private]  # noqa: SIM118 - iterating would parse every element
    found.collect(dataset, [tag for tag in public if keyword_for_tag(tag) not in _BULKY])
    if not found.sops and not found.series:
        found.collect(dataset, public)
    sop_class = str(dataset.get("SOPClassUID", ""))
    own_sop = str(dataset.get("SOPInstanceUID", ""))
    return LinkedObject(
        path=path,
        origin=origin,
        modality=LINKED_CLASSES.get(sop_class, str(dataset.get("Modality", ""))),
        sop_instance_uid=own_sop,
        sop_class_uid=sop_class,
        series_instance_uid=str(dataset.get("SeriesInstanceUID", "")),
        study_instance_uid=str(dataset.get("StudyInstanceUID", "")),
        frame_of_reference_uid=str(dataset.get("FrameOfReferenceUID", "")) or next(iter(found.frames), ""),
        referenced_series_uids=tuple(found.series),
        referenced_sop_uids=tuple(uid for uid in found.sops if uid != own_sop),
    )


class _References:
    """Collects UIDs that nested items refer to; dictionaries keep their order and hold each once."""

    def __init__(self) -> None:
        self.sops: dict[str, None] = {}
        self.series: dict[str, None] = {}
        self.frames: dict[str, None] = {}

    def collect(self, dataset: Dataset, tags: Iterable[BaseTag], *, nested: bool = False) -> None:
        """Walk elements at every depth."""
        for tag in tags:
            raw = dataset.get_item(tag)
            if raw.VR == "UI" and isinstance(
                raw.value, bytes
            ):  # thousands of them; building pydicom's values takes ten times longer
                self._add(tag, raw.value.decode("latin-1").rstrip("\0 ").strip(), nested)
            elif dataset[tag].VR == "SQ":
                for item in dataset[tag].value or ():
                    self.collect(item, list(item.keys()), nested=True)
            else:
                self._add(tag, dataset[tag].value, nested)

    def _add(self, tag: BaseTag, value: object, nested: bool) -> None:
        if not value:
            return
        if tag == _SOP:
            self.sops[str(value)] = None
        elif nested and tag == _SERIES:
            self.series[str(value)] = None
        elif nested and tag in _FRAMES:
            self.frames[str(value)] = None


def link(objects: list[LinkedObject], series: list[Series]) -> list[Problem]:
    """Attach each object to the series it refers to; returns a problem for each that could not be attached."""
    index = _Index(objects, series)
    problems = []
    for item in objects:
        targets, reason = index.targets(item)
        item.link_reason = reason
        item.series_instance_uids = tuple(dict.fromkeys(target.series_instance_uid for target in targets))
        for target in targets:
            target.linked.append(item)
        if not targets:
            problems.append(Problem(ProblemKind.UNLINKED, f"{item.modality} {item.origin} {reason}", (item.origin,)))
    return problems


class _Index:
    """Looks up series by what objects may say about them."""

    def __init__(self, objects: list[LinkedObject], series: list[Series]) -> None:
        self.all = series
        self.objects = {item.sop_instance_uid: item for item in objects}
        self.by_sop: dict[str, list[Series]] = {}
        self.by_series: dict[str, list[Series]] = {}
        self.by_frame: dict[str, list[Series]] = {}
        for one in series:
            self.by_series.setdefault(one.series_instance_uid, []).append(one)
            if one.frame_of_reference_uid:
                self.by_frame.setdefault(one.frame_of_reference_uid, []).append(one)
            for instance in one.instances:
                self.by_sop.setdefault(instance.sop_instance_uid, []).append(one)

    def targets(self, item: LinkedObject) -> tuple[list[Series], str]:
        """Return the series of one object and how they were found, or why none was."""
        seen = {item.sop_instance_uid}
        level, way = [item], ""
        while level:
            direct = _unique(found for one in level for found in self._direct(one))
            if direct:
                return direct, way or "refers to its images"
            level = list(self._next(level, seen))
            way = way or f"by way of the {' and '.join(sorted({one.modality for one in level}))} it refers to"
        if same_frame := self._same_frame(item):
            return same_frame, "shares their frame of reference"
        if item.referenced_sop_uids or item.referenced_series_uids:
            return [], "refers to images that are not among these files"
        return [], "does not say which images it belongs to"

    def _direct(self, item: LinkedObject) -> Iterator[Series]:
        by_sop = [one for uid in item.referenced_sop_uids for one in self.by_sop.get(uid, ())]
        yield from by_sop
        covered = {one.series_instance_uid for one in by_sop}
        for uid in item.referenced_series_uids:
            if uid not in covered:
                yield from self.by_series.get(uid, ())

    def _next(self, level: list[LinkedObject], seen: set[str]) -> Iterator[LinkedObject]:
        for item in level:
            for uid in item.referenced_sop_uids:
                if uid in self.objects and uid not in seen:
                    seen.add(uid)
                    yield self.objects[uid]

    def _same_frame(self, item: LinkedObject) -> list[Series]:
        if item.modality not in ("RTSTRUCT", "RTDOSE", "SEG") or item.referenced_series_uids:
            return []
        return list(self.by_frame.get(item.frame_of_reference_uid, ()))


def _unique(series: Iterable[Series]) -> list[Series]:
    return list({id(one): one for one in series}.values())
