"""Truth: what the rules make of the same structure set when every contour is taken apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DicomOptimizerLib import contour_items
from DicomOptimizerLib.contour_items import PlainItem
from DicomOptimizerLib.deidentify import Deidentifier
from DicomOptimizerLib.linked import LinkedResult, LinkedSeries, LinkedTask, process_linked
from DicomOptimizerLib.reading import parse
from DicomOptimizerLib.references import Changes
from DicomOptimizerLib.settings import ContourRule
from DicomOptimizerLib.slices import Job
from DicomOptimizerLib.stack import SliceStack, kept_indices
from DicomWorkbenchLib.uids import UidMap
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage

SLICES, SPACING = 9, 2.5
UIDS = tuple(f"1.2.{10**k}" for k in range(SLICES))  # of odd and even length
CT, NEW = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"
TURNS = np.linspace(0, 2 * np.pi, 12, endpoint=False)
KEPT = tuple(kept_indices(SLICES, 2))
STACK = SliceStack(tuple(SPACING * k for k in range(SLICES)), (0, 0, 1), (1, 0, 0), 0.7, KEPT, UIDS)
JOB = Job("salt", Changes(frozenset(UIDS) - {UIDS[k] for k in KEPT}, {UIDS[k]: NEW for k in KEPT}))
ODDITIES = (
    "",
    "no image",
    "two images",
    "numbered",
    "point",
    "other image",
    "elsewhere",
    "private",
    "no points",
    "zero padded",
)


def reference(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, uid
    return item


def contour(k: int, radius: int, oddity: str) -> Dataset:
    item = Dataset()
    z = SPACING * (k + (40 if oddity == "elsewhere" else 0))
    points = [(radius * np.cos(t), radius * np.sin(t), z) for t in TURNS[: 1 if oddity == "point" else None]]
    uids = [UIDS[(k + 1) % SLICES] if oddity == "other image" else UIDS[k], *UIDS[: oddity == "two images"]]
    if oddity != "no image":
        item.ContourImageSequence = [reference(uid) for uid in uids]
    item.ContourGeometricType = {"point": "POINT", "zero padded": "CLOSED_PLANAX"}.get(oddity, "CLOSED_PLANAR")
    item.NumberOfContourPoints = len(points)
    if oddity == "numbered":
        item.ContourNumber = radius
    if oddity != "no points":
        item.ContourData = [f"{value:.3f}" for point in points for value in point]
    if oddity == "private":
        item.add_new(0x30070010, "LO", "Somebody")
    return item


def structure_set(rois: list[list[tuple[int, int, str]]], path: Path) -> Path:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = RTStructureSetStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3.4"
    dataset.ROIContourSequence = []
    for number, contours in enumerate(rois, 1):
        roi = Dataset()
        roi.ReferencedROINumber = number
        roi.ContourSequence = [contour(*one) for one in contours]
        dataset.ROIContourSequence.append(roi)
    dataset.save_as(path, enforce_file_format=True)
    path.write_bytes(path.read_bytes().replace(b"CS\x0e\0CLOSED_PLANAX ", b"CS\x0e\0CLOSED_PLANAR\0"))
    return path


def outcome(source: Path, rule: ContourRule, job: Job) -> tuple[LinkedResult, bytes]:
    series = LinkedSeries(STACK, None, tuple((0.0, 0.0, z) for z in STACK.positions_mm), NEW)
    task = LinkedTask(source, "RS", source.with_suffix(".out"), "RTSTRUCT", (series,), rule)
    result = process_linked(task, job, UidMap("salt"))
    return result, task.target.read_bytes()


CONTOUR = st.tuples(st.integers(0, SLICES - 1), st.integers(5, 30), st.sampled_from(ODDITIES) | st.just(""))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rois=st.lists(st.lists(CONTOUR, max_size=8), min_size=1, max_size=3),
    rule=st.sampled_from([ContourRule.OWN_FIRST, ContourRule.UNION]),
    deidentified=st.booleans(),
)
def test_contours_that_stay_bytes_come_out_as_by_the_rules(
    rois: list[list[tuple[int, int, str]]], rule: ContourRule, deidentified: bool, tmp_path: Path
) -> None:
    source = structure_set(rois, tmp_path / "RS.dcm")
    job = Job(JOB.salt, JOB.changes, (), Deidentifier("salt")) if deidentified else JOB
    quick = outcome(source, rule, job)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contour_items, "_plain", lambda content, at: None)
        assert outcome(source, rule, job) == quick


@pytest.mark.parametrize("oddity", ODDITIES)
def test_only_contours_without_anything_unusual_stay_bytes(oddity: str, tmp_path: Path) -> None:
    (roi,) = _rois(structure_set([[(2, 10, oddity), (4, 10, "")]], tmp_path / "RS.dcm"))
    kinds = [isinstance(one, PlainItem) for one in contour_items.contour_items(roi)]
    assert kinds == [oddity in ("", "no image", "point", "other image", "elsewhere"), True]


def test_whichever_byte_is_broken_a_contour_is_understood_as_the_parser_does_or_not_at_all(tmp_path: Path) -> None:
    (roi,) = _rois(structure_set([[(2, 10, "")]], tmp_path / "RS.dcm"))
    content = roi.get_item(contour_items.CONTOURS).value
    for place in range(len(content)):
        for bit in (1, 4, 64):
            broken = content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
            one = contour_items._plain(broken, 0)
            if one is not None:
                parsed = one.dataset()
                assert (one.text, one.end) == (contour_items.text_of(parsed), len(content))
                assert (contour_items.kind_of(one), contour_items.images_of(one)) == (
                    contour_items.kind_of(parsed),
                    contour_items.images_of(parsed),
                )


def _rois(path: Path) -> Any:
    dataset = parse(path.read_bytes())
    assert dataset is not None
    return dataset.ROIContourSequence
