"""Stacks: sorted, measured and judged against positions known by construction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DicomWorkbenchLib.errors import GeometryError
from DicomWorkbenchLib.geometry import transform_points
from DicomWorkbenchLib.series import ProblemKind, Scan, Series, scan
from DicomWorkbenchLib.volume import read_volume
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage, NuclearMedicineImageStorage

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def rotation(degrees: tuple[float, float, float]) -> np.ndarray:
    """Return rotation matrix about x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        turn = np.eye(3)
        first, second = [place for place in range(3) if place != axis]
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def kinds(found: Scan | Series) -> set[ProblemKind]:
    return {problem.kind for problem in found.problems}


def only(found: Scan) -> Series:
    assert len(found.series) == 1
    return found.series[0]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angles=st.tuples(*[st.floats(-170, 170)] * 3),
    spacing=st.tuples(st.floats(0.3, 4), st.floats(0.3, 4), st.floats(0.4, 8)),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    reverse=st.booleans(),
)
def test_the_matrix_of_any_oblique_stack_gives_the_position_of_every_pixel(
    new_maker: Callable[[], Any],
    angles: tuple[float, float, float],
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
    reverse: bool,
) -> None:
    maker = new_maker()
    axes = rotation(angles)
    row, column, normal = axes[:, 0], axes[:, 1], axes[:, 2]
    step = normal * spacing[2] * (-1 if reverse else 1)
    maker.stack(5, origin=origin, orientation=[*row, *column], step=step, PixelSpacing=[spacing[1], spacing[0]])
    with scan(maker.folder) as found:
        series = only(found)
        volume = read_volume(series)
    assert not series.problems
    assert series.is_volume
    first = np.asarray(origin) + (4 * step if reverse else 0)
    indices = np.array([[0, 0, 0], [5, 0, 0], [0, 7, 0], [0, 0, 4], [2, 3, 1]], float)
    truth = first + indices @ np.stack([row * spacing[0], column * spacing[1], normal * spacing[2]])
    np.testing.assert_allclose(transform_points(volume.matrix_lps, indices), truth, atol=2e-4)  # DS: 16 characters
    np.testing.assert_allclose(series.normal_lps, normal, atol=1e-6)
    np.testing.assert_allclose(volume.spacing_mm, spacing, rtol=1e-4)
    # Every slice lies in the array where its position says: pixels were written in the order of k.
    expected = range(5)[::-1] if reverse else range(5)
    assert [int(volume.array[place, 0, 0]) for place in range(5)] == [13 * (k + 1) - 1000 for k in expected]
    ras = transform_points(volume.matrix_ras, indices)
    np.testing.assert_allclose(ras, transform_points(volume.matrix_lps, indices) * [-1, -1, 1])


def test_names_and_instance_numbers_do_not_matter_for_the_order(maker: Any) -> None:
    paths = maker.stack(12, step=(0, 0, 1.25))
    with scan(maker.folder) as found:
        series = only(found)
    assert [instance.path for instance in series.instances] == paths
    assert [path.name for path in paths] != sorted(path.name for path in paths)
    np.testing.assert_allclose(series.positions_mm, -30 + 1.25 * np.arange(12))
    assert series.spacing_mm == pytest.approx((0.75, 0.5, 1.25))  # PixelSpacing is rows first: (0.5, 0.75)


def test_a_missing_slice_is_a_gap_that_says_where(maker: Any) -> None:
    paths = maker.stack(10, origin=(0, 0, 100), step=(0, 0, 3), leave_out=[4])
    with scan(maker.folder) as found:
        series = only(found)
    (gap,) = series.problems
    assert gap.kind is ProblemKind.GAP
    assert "1 slice missing between 109.00 and 115.00 mm" in gap.message
    assert paths[3].name in gap.message
    assert paths[4].name in gap.message
    assert series.is_volume
    assert gap in found.problems


def test_two_gaps_of_several_slices_are_counted(maker: Any) -> None:
    maker.stack(14, step=(0, 0, 2), leave_out=[3, 4, 9])
    with scan(maker.folder) as found:
        messages = [problem.message for problem in only(found).problems]
    assert ["2 slices missing" in message for message in messages] == [True, False]
    assert "1 slice missing" in messages[1]


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_regular(maker: Any) -> None:
    for k in range(40):
        maker.slice(f"s{k}", ImagePositionPatient=[0, 0, round(k * 0.625, 1)])
    with scan(maker.folder) as found:
        series = only(found)
    assert not series.problems
    assert series.spacing_mm == pytest.approx((0.75, 0.5, 0.625), abs=0.002)


def test_slices_of_uneven_distance_are_mixed_spacing(maker: Any) -> None:
    for number, z in enumerate([0, 5, 10, 15, 17.5, 20, 22.5, 30.2]):
        maker.slice(f"s{number}", ImagePositionPatient=[0, 0, z])
    with scan(maker.folder) as found:
        series = only(found)
        volume = read_volume(series)
    assert kinds(series) == {ProblemKind.MIXED_SPACING}
    assert volume.spacing_mm[2] == pytest.approx(30.2 / 7)
    assert any("2.500 to 7.700 mm" in warning for warning in volume.warnings)


def test_two_slices_at_one_position_are_named_and_are_no_volume(maker: Any) -> None:
    paths = maker.stack(6)
    extra = maker.slice("again", ImagePositionPatient=[-10, 20, -25])
    with scan(maker.folder) as found:
        series = only(found)
        assert kinds(series) == {ProblemKind.DUPLICATE_POSITION}
        assert extra.name in series.problems[0].message
        assert paths[2].name in series.problems[0].message
        with pytest.raises(GeometryError, match="at the position of another one"):
            read_volume(series)


@pytest.mark.parametrize(
    ("keyword", "values", "reason"),
    [
        ("AcquisitionNumber", (1, 2), "acquisition"),
        ("TemporalPositionIdentifier", (1, 2), "temporal position"),
        ("EchoNumbers", (1, 2), "echo"),
        ("EchoTime", (4.6, 9.2), "echo time"),
        ("DiffusionBValue", (0.0, 800.0), "b-value"),
        ("TriggerTime", (0.0, 450.0), "trigger time"),
        ("FrameReferenceTime", (0.0, 6000.0), "frame time"),
        ("ImageType", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]), "image type"),
    ],
)
def test_coinciding_slices_are_told_apart_by_what_differs(
    maker: Any, keyword: str, values: tuple[Any, Any], reason: str
) -> None:
    for value in values:
        maker.stack(5, prefix=f"{len(list(maker.folder.glob('*')))}_", **{keyword: value})
    with scan(maker.folder) as found:
        assert [len(one.planes) for one in found.series] == [5, 5]
        assert all(one.is_volume for one in found.series)
        assert [(one.part, one.parts) for one in found.series] == [(1, 2), (2, 2)]
        (note,) = (problem for problem in found.problems if problem.kind is ProblemKind.SPLIT_SERIES)
    assert f"told apart by {reason}" in note.message


def test_a_clock_that_differs_from_slice_to_slice_does_not_tear_a_stack(maker: Any) -> None:
    for echo in (1, 2):
        for k in range(6):
            maker.slice(f"{echo}_{k}", ImagePositionPatient=[0, 0, k], TriggerTime=100.0 * k + echo, EchoNumbers=echo)
    with scan(maker.folder) as found:
        assert [len(one.planes) for one in found.series] == [6, 6]


def test_a_repeated_slice_does_not_tear_two_acquisitions_that_follow_each_other(maker: Any) -> None:
    for k in range(8):
        maker.slice(f"s{k}", ImagePositionPatient=[0, 0, k], AcquisitionNumber=1 + k // 4)
    maker.slice("again", ImagePositionPatient=[0, 0, 2], AcquisitionNumber=1)
    with scan(maker.folder) as found:
        assert len(only(found).planes) == 9
        assert kinds(found) == {ProblemKind.DUPLICATE_POSITION}


def test_time_points_and_echoes_together_make_four_stacks(maker: Any) -> None:
    for time in (1, 2):
        for echo in (1, 2):
            maker.stack(4, prefix=f"{time}{echo}_", TemporalPositionIdentifier=time, EchoNumbers=echo)
    with scan(maker.folder) as found:
        assert [len(one.planes) for one in found.series] == [4] * 4
        marks = [{plane.marks[:3] for plane in one.planes} for one in found.series]
    assert all(len(group) == 1 for group in marks)


def test_equal_folders_of_one_series_are_told_apart(maker: Any) -> None:
    maker.stack(4, prefix="liver/")
    maker.stack(4, prefix="tumor/")
    with scan(maker.folder) as found:
        assert [{Path(item.origin).parent.name for item in one.instances} for one in found.series] == [
            {"liver"},
            {"tumor"},
        ]


def test_positions_held_twice_without_any_mark_are_split_in_order(maker: Any) -> None:
    for k in range(5):
        maker.slice(f"a{k}", ImagePositionPatient=[0, 0, k], InstanceNumber=k + 1)
        maker.slice(f"b{k}", ImagePositionPatient=[0, 0, k], InstanceNumber=k + 101)
    with scan(maker.folder) as found:
        numbers = [[item.instance_number for item in one.instances] for one in found.series]
    assert numbers == [[1, 2, 3, 4, 5], [101, 102, 103, 104, 105]]


def test_a_localizer_and_another_size_are_stacks_of_their_own(maker: Any) -> None:
    maker.stack(6)
    maker.slice("localizer", ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    maker.slice("dose_report", pixels=np.zeros((3, 4), np.int16))
    with scan(maker.folder) as found:
        assert sorted(len(one.planes) for one in found.series) == [1, 1, 6]
        assert found.volumes()[0].parts == 3
        assert ProblemKind.SPLIT_SERIES in kinds(found)


def test_cosines_that_differ_by_rounding_are_one_stack(maker: Any) -> None:
    for k in range(6):
        tiny = 1e-4 * (-1) ** k
        maker.slice(f"s{k}", ImagePositionPatient=[0, 0, k], ImageOrientationPatient=[1, tiny, 0, -tiny, 1, 0])
    with scan(maker.folder) as found:
        assert len(only(found).planes) == 6


def test_another_frame_of_reference_is_another_stack(maker: Any) -> None:
    maker.stack(3, prefix="a")
    maker.stack(3, prefix="b", FrameOfReferenceUID="1.2.99")
    with scan(maker.folder) as found:
        assert [one.frame_of_reference_uid for one in found.series] == ["1.2.4", "1.2.99"]


def test_a_tilted_gantry_is_named_and_the_matrix_follows_it(maker: Any) -> None:
    step = np.array([0.0, np.tan(np.radians(15)) * 5, 5.0])
    maker.stack(8, origin=(1, 2, 3), step=step)
    with scan(maker.folder) as found:
        series = only(found)
        volume = read_volume(series)
    assert kinds(series) == {ProblemKind.GANTRY_TILT}
    assert "15.0 degrees" in series.problems[0].message
    np.testing.assert_allclose(volume.matrix_lps[:3, 2], step, atol=1e-6)
    np.testing.assert_allclose(
        transform_points(volume.matrix_lps, [0, 0, 7]), np.array([1, 2, 3]) + 7 * step, atol=1e-6
    )


def test_slices_beside_the_line_are_shifted(maker: Any) -> None:
    for k in range(6):
        maker.slice(f"s{k}", ImagePositionPatient=[4.0 if k == 3 else 0.0, 0, k])
    with scan(maker.folder) as found:
        (problem,) = only(found).problems
    assert problem.kind is ProblemKind.SHIFTED
    assert "1 slice shifted sideways by up to 4.00 mm" in problem.message


def test_another_pixel_spacing_in_the_stack_is_no_volume(maker: Any) -> None:
    maker.stack(4)
    maker.slice("odd", ImagePositionPatient=[-10, 20, -20], PixelSpacing=[0.6, 0.75])
    with scan(maker.folder) as found:
        series = only(found)
        assert kinds(series) == {ProblemKind.MIXED_PIXEL_SPACING}
        with pytest.raises(GeometryError, match="another pixel spacing"):
            read_volume(series)


@pytest.mark.parametrize("missing", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_images_without_a_place_are_no_volume_and_say_what_is_missing(maker: Any, missing: str) -> None:
    maker.stack(3, **{missing: None})
    with scan(maker.folder) as found:
        series = only(found)
        assert kinds(series) == {ProblemKind.NO_POSITION}
        assert series.spacing_mm is None
        with pytest.raises(GeometryError, match="without usable"):
            read_volume(series)


def test_a_broken_orientation_is_no_orientation(maker: Any) -> None:
    maker.stack(3, ImageOrientationPatient=[1, 0, 0, 1, 0, 0])
    with scan(maker.folder) as found:
        assert kinds(only(found)) == {ProblemKind.NO_POSITION}


def test_one_slice_is_a_volume_as_thick_as_it_says(maker: Any) -> None:
    maker.slice("one", SliceThickness=4.0)
    with scan(maker.folder) as found:
        volume = read_volume(only(found))
    assert volume.array.shape == (1, 8, 6)
    assert volume.spacing_mm == pytest.approx((0.75, 0.5, 4.0))


def enhanced(maker: Any, count: int, *, phases: int = 1) -> Dataset:
    """Return an enhanced CT whose frames are stored in another order than they lie."""
    order = [(phase, k) for k in (2, 0, 3, 1) for phase in range(phases)][: count * phases]
    pixels = np.stack([np.full((8, 6), 100 * k + 10 * phase, np.int16) for phase, k in order])
    dataset = maker.dataset(
        SOPClassUID=EnhancedCTImageStorage,
        pixels=pixels[0],
        PixelData=pixels.tobytes(),
        NumberOfFrames=len(order),
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        PixelSpacing=None,
        RescaleSlope=None,
        RescaleIntercept=None,
    )
    dataset["PixelData"].VR = "OW"
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.75], 2.0
    plane.ImageOrientationPatient = list(AXIAL)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([plane])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for phase, k in order:
        frame, position, content, transformation = Dataset(), Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [0.0, 0.0, 2.0 * k]
        content.TemporalPositionIndex = phase + 1
        transformation.RescaleSlope, transformation.RescaleIntercept, transformation.RescaleType = k + 1, -1000, "HU"
        frame.PlanePositionSequence, frame.FrameContentSequence = Sequence([position]), Sequence([content])
        frame.PixelValueTransformationSequence = Sequence([transformation])
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return dataset


def test_frames_of_an_enhanced_image_are_sorted_and_rescaled_each_on_its_own(maker: Any) -> None:
    maker.save(enhanced(maker, 4), "enhanced")
    with scan(maker.folder) as found:
        series = only(found)
        volume = read_volume(series)
    assert [plane.frame for plane in series.planes] == [1, 3, 0, 2]
    assert len(series.instances) == 1
    assert volume.units == "HU"
    assert volume.array[:, 0, 0].tolist() == [100 * k * (k + 1) - 1000 for k in range(4)]
    assert volume.spacing_mm == pytest.approx((0.75, 0.5, 2.0))


def test_time_points_of_an_enhanced_image_become_stacks(maker: Any) -> None:
    maker.save(enhanced(maker, 4, phases=2), "enhanced")
    with scan(maker.folder) as found:
        assert [len(one.planes) for one in found.series] == [4, 4]
        assert [int(read_volume(one).array[0, 0, 0]) for one in found.series] == [-1000, -990]


def test_a_reconstructed_nuclear_medicine_image_is_a_volume(maker: Any) -> None:
    pixels = np.stack([np.full((8, 6), k, np.uint16) for k in range(5)])
    detector = Dataset()
    detector.ImagePositionPatient, detector.ImageOrientationPatient = [10.0, 20.0, 30.0], list(AXIAL)
    dataset = maker.dataset(
        SOPClassUID=NuclearMedicineImageStorage,
        Modality="NM",
        pixels=pixels[0],
        PixelData=pixels.tobytes(),
        NumberOfFrames=5,
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        RescaleIntercept=0,
        SpacingBetweenSlices=4.0,
        FrameIncrementPointer=0x00540080,
        SliceVector=[1, 2, 3, 4, 5],
        DetectorInformationSequence=Sequence([detector]),
    )
    dataset["PixelData"].VR = "OW"
    maker.save(dataset, "nm")
    with scan(maker.folder) as found:
        volume = read_volume(only(found))
    assert volume.array[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(transform_points(volume.matrix_lps, [0, 0, 4]), [10, 20, 46])


def test_a_cine_is_a_series_of_its_own_and_no_volume(maker: Any) -> None:
    pixels = np.zeros((3, 8, 6), np.uint8)
    for name in ("a", "b"):
        dataset = maker.dataset(pixels=pixels[0], PixelData=pixels.tobytes(), NumberOfFrames=3, Modality="US")
        dataset["PixelData"].VR = "OB"
        maker.save(dataset, name)
    with scan(maker.folder) as found:
        assert len(found.series) == 2
        assert all(kinds(one) >= {ProblemKind.MULTI_FRAME} for one in found.series)
        with pytest.raises(GeometryError, match="cine"):
            read_volume(found.series[0])


def test_simpleitk_agrees_about_an_oblique_series(maker: Any) -> None:
    sitk = pytest.importorskip("SimpleITK")
    axes = rotation((20, -35, 50))
    paths = maker.stack(7, orientation=[*axes[:, 0], *axes[:, 1]], step=axes[:, 2] * 1.7)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in paths])
    image = reader.Execute()
    with scan(maker.folder) as found:
        volume = read_volume(only(found))
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(image))
    for index in ((0, 0, 0), (5, 7, 6), (1, 2, 3)):
        truth = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(transform_points(volume.matrix_lps, index), truth, atol=1e-4)
