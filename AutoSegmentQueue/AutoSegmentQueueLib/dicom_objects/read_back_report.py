"""Measurements read back out of a structured report (TID 1500), and compared with what was measured; see `check`.

Written on pydicom alone, not on what wrote the report.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib.errors import FileError
from DicomWorkbenchLib.headers import read_dataset

from AutoSegmentQueueLib.dicom_objects.identity import label_of

if TYPE_CHECKING:
    from pydicom import Dataset

_GROUP, _FINDING, _DERIVATION, _SOURCE_SERIES = "125007", "121071", "121401", "121232"  # DCM
_VOLUME, _ATTENUATION = ("118565006", "ml"), ("112031", "[hnsf'U]")  # SCT, DCM; with their units (UCUM)
_FIGURES = {"373098007": "mean", "386136009": "sd"}  # derivation (SCT) -> figure of a structure
_EVIDENCE = ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
ROUNDING = 1e-3  # of millilitres and HU: the report keeps three decimals of HU, the manifest all
Code = tuple[str, str]  # scheme, value


@dataclass(frozen=True)
class Reported:
    """A measurement group: the segment it is about, what was found, and its figures (volume_ml; of CT mean and sd in HU)."""

    segmentation: str  # SOP Instance UID
    segment: int
    source_series: str
    finding: Code
    figures: Mapping[str, float]


def groups_of_report(report: Dataset) -> list[Reported]:
    """Return the measurement groups of a report.

    Raises
    ------
    FileError : a group names no segment.
    """
    return [_group(one) for one in _items(report) if _name(one) == _GROUP]


def problems_of_report(path: Path, segmentation: Path, structures: list[dict[str, Any]]) -> Iterator[str]:
    """Compare a report with the segmentation it is about, and with the structures as they were measured.

    Raises
    ------
    FileError : one of the files cannot be read, or a measurement names no segment.
    """
    report, dataset = read_dataset(path), read_dataset(segmentation)
    own = str(dataset.SeriesInstanceUID), str(dataset.SOPInstanceUID)
    sources = _references(dataset.ReferencedSeriesSequence, "ReferencedInstanceSequence")
    if _evidence(report) != {own, *sources}:
        yield f"{path.name} names other images than {segmentation.name} was made of"
    measured = {label_of(one["name"]): one for one in structures}
    segments = {int(item.SegmentNumber): item for item in dataset.SegmentSequence}
    groups = groups_of_report(report)
    wanted = {"volume_ml"}.union(*(group.figures for group in groups))
    for group in groups:
        item = segments.get(group.segment)
        if item is None or group.segmentation != own[1]:
            yield f"{path.name} is about a segment that {segmentation.name} does not have"
            continue
        name = str(item.SegmentLabel)
        if group.finding != _code(item.SegmentedPropertyTypeCodeSequence):
            yield f"{name} in {path.name} has another code than in {segmentation.name}"
        if group.source_series not in {series for series, _ in sources}:
            yield f"{name} in {path.name} was measured in another series than {segmentation.name} was made of"
        if name not in measured:
            yield f"{path.name} measures {name} twice, or it is no structure of this result"
            continue
        yield from (f"{name} in {path.name} {said}" for said in _differences(group, measured.pop(name), wanted))
    if measured:
        yield f"{path.name} lacks {', '.join(sorted(measured))}"


def _differences(group: Reported, figures: Mapping[str, Any], wanted: set[str]) -> Iterator[str]:
    yield from (f"has no {figure}" for figure in sorted(wanted - set(group.figures)))
    for figure, value in group.figures.items():
        if not math.isclose(value, figures[figure], rel_tol=1e-6, abs_tol=ROUNDING):
            yield f"has {value:g} as {figure}, measured was {figures[figure]:g}"


def _evidence(report: Dataset) -> set[tuple[str, str]]:
    studies = [study for keyword in _EVIDENCE for study in report.get(keyword, ())]
    return {one for study in studies for one in _references(study.ReferencedSeriesSequence, "ReferencedSOPSequence")}


def _references(series: Iterable[Dataset], keyword: str) -> set[tuple[str, str]]:
    """Return (series, SOP instance) of what a list of series names."""
    return {
        (str(one.SeriesInstanceUID), str(item.ReferencedSOPInstanceUID))
        for one in series
        for item in one[keyword].value
    }


def _items(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", ()):
        yield child
        yield from _items(child)


def _code(codes: Any) -> Code:
    return (str(codes[0].CodingSchemeDesignator), str(codes[0].CodeValue)) if codes else ("", "")


def _name(item: Dataset) -> str:
    return _code(item.get("ConceptNameCodeSequence"))[1]


def _group(group: Dataset) -> Reported:
    figures: dict[str, float] = {}
    segment, series, finding = None, "", ("", "")
    for item in group.ContentSequence:
        if item.ValueType == "IMAGE":
            reference = item.ReferencedSOPSequence[0]
            segment = str(reference.ReferencedSOPInstanceUID), int(reference.ReferencedSegmentNumber)
        elif _name(item) == _SOURCE_SERIES:
            series = str(item.UID)
        elif _name(item) == _FINDING:
            finding = _code(item.ConceptCodeSequence)
        elif item.ValueType == "NUM" and (figure := _figure(item)):
            figures[figure] = float(item.MeasuredValueSequence[0].NumericValue)
    if segment is None:
        raise FileError("a measurement names no segment")
    return Reported(*segment, series, finding, figures)


def _figure(item: Dataset) -> str:
    """Return which figure a number is; nothing for one that is none of ours, or in another unit."""
    measured = _name(item), _code(item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence)[1]
    if measured == _VOLUME:
        return "volume_ml"
    if measured != _ATTENUATION:
        return ""
    derivations = [_code(one.ConceptCodeSequence)[1] for one in _items(item) if _name(one) == _DERIVATION]
    return _FIGURES.get(derivations[0], "") if derivations else ""
