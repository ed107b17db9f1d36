"""Objects find the images they refer to: directly, by way of each other, or with a reason why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from DicomWorkbenchLib.series import LinkedObject, ProblemKind, Scan, scan
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

RT = "1.2.840.10008.5.1.4.1.1.481."
CLASSES = {
    "RTSTRUCT": f"{RT}3",
    "RTDOSE": f"{RT}2",
    "RTPLAN": f"{RT}5",
    "SEG": "1.2.840.10008.5.1.4.1.1.66.4",
    "REG": "1.2.840.10008.5.1.4.1.1.66.1",
    "PR": "1.2.840.10008.5.1.4.1.1.11.1",
    "SR": "1.2.840.10008.5.1.4.1.1.88.33",
}


def item(**attributes: Any) -> Dataset:
    dataset = Dataset()
    for name, value in attributes.items():
        setattr(dataset, name, Sequence(value) if isinstance(value, list) else value)
    return dataset


def reference(uid: str) -> Dataset:
    return item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID=uid)


def add(maker: Any, modality: str, uid: str, **attributes: Any) -> Path:
    """Write an object of a modality, without pixels."""
    dataset = maker.dataset(
        SOPClassUID=CLASSES[modality],
        SOPInstanceUID=uid,
        Modality=modality,
        SeriesInstanceUID=f"{uid}.1",
        Rows=None,
        Columns=None,
        FrameOfReferenceUID=attributes.pop("FrameOfReferenceUID", None),
    )
    del dataset.PixelData
    for name, value in attributes.items():
        setattr(dataset, name, Sequence(value) if isinstance(value, list) else value)
    return Path(maker.save(dataset, f"{modality}_{uid}"))


def rtstruct_references(series: str, *uids: str) -> list[Dataset]:
    images = item(SeriesInstanceUID=series, ContourImageSequence=[reference(uid) for uid in uids])
    study = item(ReferencedSOPInstanceUID="1.2.1", RTReferencedSeriesSequence=[images])
    return [item(FrameOfReferenceUID="1.2.4", RTReferencedStudySequence=[study])]


def linked(found: Scan, modality: str) -> LinkedObject:
    return next(one for one in found.linked if one.modality == modality)


def test_a_chain_of_dose_plan_and_structure_set_ends_at_the_ct(maker: Any) -> None:
    maker.stack(3)
    add(maker, "RTSTRUCT", "5.1", ReferencedFrameOfReferenceSequence=rtstruct_references("1.2.2", "1.2.3.1"))
    add(maker, "RTPLAN", "5.2", ReferencedStructureSetSequence=[reference("5.1")])
    add(maker, "RTDOSE", "5.3", ReferencedRTPlanSequence=[reference("5.2")], FrameOfReferenceUID="1.2.4")
    with scan(maker.folder) as found:
        (series,) = found.series
        assert {one.modality for one in series.linked} == {"RTSTRUCT", "RTPLAN", "RTDOSE"}
        assert not found.problems
        assert linked(found, "RTSTRUCT").referenced_series_uids == ("1.2.2",)
        assert "1.2.3.1" in linked(found, "RTSTRUCT").referenced_sop_uids
        assert linked(found, "RTSTRUCT").link_reason == "refers to its images"
        assert linked(found, "RTDOSE").referenced_sop_uids == ("5.2",)
        assert linked(found, "RTDOSE").series_instance_uids == ("1.2.2",)
        assert linked(found, "RTDOSE").link_reason == "by way of the RTPLAN it refers to"


@pytest.mark.parametrize(
    ("modality", "references"),
    [
        ("SEG", {"ReferencedSeriesSequence": [item(SeriesInstanceUID="1.2.2")]}),
        (
            "SEG",
            {
                "PerFrameFunctionalGroupsSequence": [
                    item(DerivationImageSequence=[item(SourceImageSequence=[reference("1.2.3.2")])])
                ]
            },
        ),
        (
            "PR",
            {
                "ReferencedSeriesSequence": [
                    item(SeriesInstanceUID="1.2.2", ReferencedImageSequence=[reference("1.2.3.1")])
                ]
            },
        ),
        ("REG", {"RegistrationSequence": [item(ReferencedImageSequence=[reference("1.2.3.1")])]}),
        (
            "SR",
            {
                "CurrentRequestedProcedureEvidenceSequence": [
                    item(
                        ReferencedSeriesSequence=[
                            item(SeriesInstanceUID="1.2.2", ReferencedSOPSequence=[reference("1.2.3.3")])
                        ]
                    )
                ]
            },
        ),
        ("RTDOSE", {"FrameOfReferenceUID": "1.2.4"}),
        (
            "RTSTRUCT",
            {"ROIContourSequence": [item(ContourSequence=[item(ContourImageSequence=[reference("1.2.3.1")])])]},
        ),
    ],
)
def test_each_kind_of_object_finds_its_series(maker: Any, modality: str, references: dict[str, Any]) -> None:
    maker.stack(3)
    maker.stack(3, prefix="other", SeriesInstanceUID="1.2.88", FrameOfReferenceUID="1.2.44")
    add(maker, modality, "5.9", **references)
    with scan(maker.folder) as found:
        series = {one.series_instance_uid: one for one in found.series}
        assert [one.modality for one in series["1.2.2"].linked] == [modality]
        assert series["1.2.88"].linked == []


def test_an_object_goes_to_the_stack_its_images_are_in(maker: Any) -> None:
    maker.stack(4)
    maker.slice("localizer", ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    add(maker, "RTSTRUCT", "5.1", ReferencedFrameOfReferenceSequence=rtstruct_references("1.2.2", "1.2.3.2"))
    with scan(maker.folder) as found:
        assert [len(one.linked) for one in found.series] == [int(len(one.planes) == 4) for one in found.series]


def test_an_object_whose_images_are_missing_says_so(maker: Any) -> None:
    maker.stack(3)
    path = add(maker, "RTSTRUCT", "5.1", ReferencedFrameOfReferenceSequence=rtstruct_references("9.9", "9.9.1"))
    with scan(maker.folder) as found:
        assert found.series[0].linked == []
        (problem,) = found.problems
    assert problem.kind is ProblemKind.UNLINKED
    assert problem.origins == (str(path),)
    assert problem.message.endswith("refers to images that are not among these files")


def test_an_object_that_refers_to_nothing_says_so(maker: Any) -> None:
    maker.stack(3)
    add(maker, "RTPLAN", "5.1")
    with scan(maker.folder) as found:
        assert found.problems[0].message.endswith("does not say which images it belongs to")


def test_objects_that_refer_to_each_other_in_a_circle_end(maker: Any) -> None:
    maker.stack(2)
    add(maker, "RTPLAN", "5.1", ReferencedStructureSetSequence=[reference("5.2")])
    add(maker, "RTSTRUCT", "5.2", PredecessorStructureSetSequence=[reference("5.1")])
    with scan(maker.folder) as found:
        assert [problem.kind for problem in found.problems] == [ProblemKind.UNLINKED] * 2


def test_a_second_copy_of_an_object_is_left_out_and_named(maker: Any) -> None:
    maker.stack(2)
    path = add(maker, "RTSTRUCT", "5.1", ReferencedFrameOfReferenceSequence=rtstruct_references("1.2.2"))
    (maker.folder / "copy").write_bytes(path.read_bytes())
    with scan(maker.folder) as found:
        assert len(found.series[0].linked) == 1
        assert [problem.kind for problem in found.problems] == [ProblemKind.DUPLICATE_INSTANCE]


def test_the_sample_study_is_linked_completely(tmp_path: Path) -> None:
    from DicomWorkbenchLib.samples.catalog import SAMPLES

    folder = tmp_path / "ct"
    SAMPLES["ct-rtstruct"].make(folder, slices=20, size=128)
    with scan(folder) as found:
        (series,) = found.series
        assert {one.modality for one in series.linked} == {"RTSTRUCT", "RTDOSE", "RTPLAN", "SEG"}
        assert not found.problems


@pytest.mark.needs("data")
def test_real_rtstructs_find_their_pet(workbench_data: Path) -> None:
    with scan(workbench_data / "suv") as found:
        assert len(found.series) == 5
        for series in found.series:
            (rtstruct,) = series.linked
            assert rtstruct.modality == "RTSTRUCT"
            assert Path(rtstruct.origin).parent.parent == Path(series.instances[0].origin).parent.parent
        assert not found.problems
