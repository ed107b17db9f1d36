"""Truth: small objects whose references are known."""

from __future__ import annotations

from DicomOptimizerLib.presentation import scale_coordinates
from DicomOptimizerLib.references import Changes, rewire
from DicomOptimizerLib.resampling import Resize
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

CT, SC = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"


def image(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, uid
    return item


def holder(**sequences: list[Dataset]) -> Dataset:
    item = Dataset()
    for keyword, items in sequences.items():
        setattr(item, keyword, Sequence(items))
    return item


def test_references_to_removed_slices_go_at_every_depth_and_others_get_their_new_class() -> None:
    series = holder(ReferencedInstanceSequence=[image("1.1"), image("1.2")])
    dataset = holder(ReferencedSeriesSequence=[series], ReferencedImageSequence=[image("1.2")])
    dropped = rewire(dataset, Changes(frozenset({"1.2"}), {"1.1": SC}))
    assert dropped == 2
    assert "ReferencedImageSequence" not in dataset
    left = dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert [(i.ReferencedSOPInstanceUID, i.ReferencedSOPClassUID) for i in left] == [("1.1", SC)]


def test_a_series_item_that_lost_all_its_images_goes_too() -> None:
    series = holder(ReferencedImageSequence=[image("1.2")])
    series.SeriesInstanceUID = "9"
    dataset = holder(ReferencedSeriesSequence=[series])
    rewire(dataset, Changes(frozenset({"1.2"})))
    assert "ReferencedSeriesSequence" not in dataset


def test_a_contour_item_stays_although_its_image_went() -> None:
    contour = holder(ContourImageSequence=[image("1.2")])
    contour.ContourData = ["1", "2", "3"]
    roi = holder(ContourSequence=[contour])
    rewire(roi, Changes(frozenset({"1.2"})))
    assert len(roi.ContourSequence) == 1
    assert "ContourImageSequence" not in roi.ContourSequence[0]


def test_the_frame_of_reference_around_a_shortened_list_stays() -> None:
    """An RTSTRUCT's list of images lies three sequences deep; losing some of it must not take the outer items away."""
    series = holder(ContourImageSequence=[image("1.1"), image("1.2")])
    study = holder(RTReferencedSeriesSequence=[series])
    frame = holder(RTReferencedStudySequence=[study])
    frame.FrameOfReferenceUID = "5"
    dataset = holder(ReferencedFrameOfReferenceSequence=[frame])
    assert rewire(dataset, Changes(frozenset({"1.2"}))) == 1
    kept = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert [i.ReferencedSOPInstanceUID for i in kept.ContourImageSequence] == ["1.1"]


def report_with_coordinate(uid: str) -> Dataset:
    shown = holder(ReferencedSOPSequence=[image(uid)])
    shown.ValueType, shown.RelationshipType = "IMAGE", "SELECTED FROM"
    coordinate = holder(ContentSequence=[shown])
    coordinate.ValueType, coordinate.GraphicType, coordinate.GraphicData = "SCOORD", "POINT", [100.0, 50.0]
    measurement = holder(ContentSequence=[coordinate])
    measurement.ValueType = "NUM"
    return holder(ContentSequence=[measurement])


def test_a_coordinate_in_a_report_goes_with_its_image_but_the_measurement_stays() -> None:
    report = report_with_coordinate("1.2")
    rewire(report, Changes(frozenset({"1.2"})))
    assert report.ContentSequence[0].ValueType == "NUM"
    assert "ContentSequence" not in report.ContentSequence[0]


def test_coordinates_in_reports_and_presentation_states_follow_a_smaller_image() -> None:
    resized = {"1.1": Resize((512, 512), (256, 128))}
    report = report_with_coordinate("1.1")
    assert scale_coordinates(report, resized) == 1
    assert list(report.ContentSequence[0].ContentSequence[0].GraphicData) == [25.0, 25.0]

    graphic = Dataset()
    graphic.GraphicAnnotationUnits, graphic.GraphicData = "PIXEL", [4.0, 2.0, 8.0, 4.0]
    area = holder(ReferencedImageSequence=[image("1.1")])
    area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner = [1, 1], [512, 512]
    state = holder(
        GraphicAnnotationSequence=[holder(ReferencedImageSequence=[image("1.1")], GraphicObjectSequence=[graphic])],
        DisplayedAreaSelectionSequence=[area],
    )
    assert scale_coordinates(state, resized) == 2
    assert list(graphic.GraphicData) == [1, 1, 2, 2]
    assert list(area.DisplayedAreaBottomRightHandCorner) == [128, 256]
    assert list(area.DisplayedAreaTopLeftHandCorner) == [1, 1]


def test_coordinates_on_unchanged_images_are_left_alone() -> None:
    report = report_with_coordinate("7.7")
    assert scale_coordinates(report, {"1.1": Resize((512, 512), (256, 256))}) == 0
