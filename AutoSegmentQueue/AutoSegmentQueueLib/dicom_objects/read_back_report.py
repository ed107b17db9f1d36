"""Measurements read back out of a structured report (TID 1500), and compared with what was measured; see `check`.

Written on pydicom alone, not on what wrote the report.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib.errors import FileError
from DicomWorkbenchLib.headers import read_dataset

if TYPE_CHECKING:
    from pydicom import Dataset

_GROUP, _FINDING, _DERIVATION = "125007", "121071", "121401"  # DCM
_VOLUME, _ATTENUATION = "118565006", "112031"  # SCT, DCM
_FIGURES = {"373098007": "mean", "386136009": "sd"}  # derivation (SCT) -> figure of a structure
ROUNDING = 1e-3  # of millilitres and HU: the report keeps three decimals of HU, the manifest all


@dataclass(frozen=True)
class Reported:
    """A measurement group: the segment it is about, what was found, and its figures (volume_ml; of CT mean and sd in HU)."""

    segmentation: str  # SOP Instance UID
    segment: int
    finding: str
    figures: Mapping[str, float]


def groups_of_report(path: Path) -> list[Reported]:
    """Return the measurement groups of a report.

    Raises
    ------
    FileError : it cannot be read, or a group names no segment.
    """
    return [_group(one, path) for one in _items(read_dataset(path)) if _name(one) == _GROUP]


def problems_of_report(report: Path, segmentation: Path, structures: list[dict[str, Any]]) -> Iterator[str]:
    """Compare a report with the segmentation it is about, and with the structures as they were measured."""
    dataset = read_dataset(segmentation)
    segments = {int(item.SegmentNumber): item for item in dataset.SegmentSequence}
    measured = {one["name"]: one for one in structures}
    for group in groups_of_report(report):
        item = segments.get(group.segment)
        if item is None or group.segmentation != dataset.SOPInstanceUID:
            yield f"{report.name} is about a segment that {segmentation.name} does not have"
            continue
        name = str(item.SegmentLabel)
        if group.finding != item.SegmentedPropertyTypeCodeSequence[0].CodeValue:
            yield f"{name} in {report.name} has another code than in {segmentation.name}"
        figures = measured.pop(name, None)
        if figures is None:
            yield f"{report.name} measures {name} twice, or it is no structure of this result"
            continue
        if "volume_ml" not in group.figures:
            yield f"{name} in {report.name} has no volume"
        for figure, value in group.figures.items():
            if not math.isclose(value, figures[figure], rel_tol=1e-6, abs_tol=ROUNDING):
                yield f"{name} in {report.name}: {figure} is {value:g}, measured was {figures[figure]:g}"
    if measured:
        yield f"{report.name} lacks {', '.join(sorted(measured))}"


def _items(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", ()):
        yield child
        yield from _items(child)


def _name(item: Dataset) -> str:
    concepts = item.get("ConceptNameCodeSequence")
    return str(concepts[0].CodeValue) if concepts else ""


def _group(group: Dataset, path: Path) -> Reported:
    figures: dict[str, float] = {}
    segment, finding = None, ""
    for item in group.ContentSequence:
        if item.ValueType == "IMAGE":
            reference = item.ReferencedSOPSequence[0]
            segment = str(reference.ReferencedSOPInstanceUID), int(reference.ReferencedSegmentNumber)
        elif _name(item) == _FINDING:
            finding = str(item.ConceptCodeSequence[0].CodeValue)
        elif item.ValueType == "NUM" and (figure := _figure(item)):
            figures[figure] = float(item.MeasuredValueSequence[0].NumericValue)
    if segment is None:
        raise FileError(f"a measurement in {path.name} names no segment")
    return Reported(*segment, finding, figures)


def _figure(item: Dataset) -> str:
    if _name(item) == _VOLUME:
        return "volume_ml"
    if _name(item) != _ATTENUATION:
        return ""
    derivations = [one.ConceptCodeSequence[0].CodeValue for one in _items(item) if _name(one) == _DERIVATION]
    return _FIGURES.get(derivations[0], "") if derivations else ""
