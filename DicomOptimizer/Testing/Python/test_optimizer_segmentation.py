"""Truth: masks made here, whose frames, places and bits are known."""

from __future__ import annotations

import numpy as np
import pytest
from DicomOptimizerLib.resampling import Resize
from DicomOptimizerLib.segmentation import remap_segmentation
from DicomOptimizerLib.segmentation_pixels import blended, pack_frames, resized_labels, unpack_frames
from DicomOptimizerLib.settings import ContourRule
from DicomOptimizerLib.stack import SliceStack, kept_indices
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

ROWS, COLUMNS = 6, 10  # 60 bits a frame: frames do not begin at whole bytes
ORIGINS = tuple((0.0, 0.0, 2.0 * k) for k in range(6))
STACK = SliceStack(
    tuple(2.0 * k for k in range(6)), (0, 0, 1), (1, 0, 0), 0.5, tuple(kept_indices(6, 2)), tuple(f"1.{k}" for k in range(6))
)  # fmt: skip


def item(**values: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, Sequence([value]) if isinstance(value, Dataset) else value)
    return dataset


def make_seg(places: list[tuple[int, int]], kind: str = "BINARY") -> Dataset:
    """SEG with one frame per (segment, slice index); segment 0 stands for a label map's frame."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SegmentationType, dataset.Rows, dataset.Columns = kind, ROWS, COLUMNS
    dataset.BitsAllocated = 1 if kind == "BINARY" else 8
    dataset.SegmentSequence = Sequence([item(SegmentNumber=n, SegmentLabel=f"S{n}") for n in (1, 2)])
    dataset.SharedFunctionalGroupsSequence = Sequence(
        [
            item(
                PlaneOrientationSequence=item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
                PixelMeasuresSequence=item(PixelSpacing=[0.5, 0.5], SpacingBetweenSlices=2, SliceThickness=2),
            )
        ]
    )
    dataset.DimensionIndexSequence = Sequence(
        [item(DimensionIndexPointer=0x0062000B), item(DimensionIndexPointer=0x00200032)]
    )
    dataset.PerFrameFunctionalGroupsSequence = Sequence([_frame(segment, k) for segment, k in places])
    dataset.NumberOfFrames = len(places)
    return dataset


def _frame(segment: int, k: int) -> Dataset:
    source = item(ReferencedSOPInstanceUID=f"1.{k}", ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    frame = item(
        PlanePositionSequence=item(ImagePositionPatient=[0, 0, 2.0 * k]),
        FrameContentSequence=item(DimensionIndexValues=[max(segment, 1), k + 1]),
        DerivationImageSequence=item(SourceImageSequence=source),
    )
    if segment:
        frame.SegmentIdentificationSequence = Sequence([item(ReferencedSegmentNumber=segment)])
    return frame


def square(value: int = 1, left: int = 2) -> NDArray[np.uint8]:
    frame = np.zeros((ROWS, COLUMNS), np.uint8)
    frame[1:5, left : left + 4] = value
    return frame


def z_of(dataset: Dataset) -> list[float]:
    return [float(f.PlanePositionSequence[0].ImagePositionPatient[2]) for f in dataset.PerFrameFunctionalGroupsSequence]


def test_frames_of_one_bit_are_packed_without_gaps() -> None:
    frames = (np.random.default_rng(1).random((5, ROWS, COLUMNS)) > 0.5).astype(np.uint8)
    dataset = make_seg([(1, k) for k in range(5)])
    pack_frames(dataset, frames)
    assert len(dataset.PixelData) == 38  # 300 bits, and even
    bit = 2 * ROWS * COLUMNS + 7  # frame 2, pixel 7, counted by hand
    assert (dataset.PixelData[bit // 8] >> (bit % 8)) & 1 == frames[2].ravel()[7]
    np.testing.assert_array_equal(unpack_frames(dataset), frames)


def test_frames_follow_the_contours_rule() -> None:
    dataset = make_seg([(1, 0), (1, 1), (1, 2), (2, 3)])
    frames, result = remap_segmentation(dataset, np.stack([square()] * 4), STACK, None, ORIGINS, ContourRule.OWN_FIRST)
    assert z_of(dataset) == [0, 4, 4]
    assert [(r.number, r.kept, r.moved, r.dropped) for r in result.rois] == [(1, 2, 0, 1), (2, 0, 1, 0)]
    assert result.rois[1].moved_mm == [-2.0]
    assert frames.shape == (3, ROWS, COLUMNS)
    assert dataset.NumberOfFrames == 3
    moved = dataset.PerFrameFunctionalGroupsSequence[2]
    assert moved.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID == "1.2"
    values = [list(f.FrameContentSequence[0].DimensionIndexValues) for f in dataset.PerFrameFunctionalGroupsSequence]
    assert values == [[1, 1], [1, 2], [2, 2]]
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert (float(measures.SpacingBetweenSlices), float(measures.SliceThickness)) == (4, 2)


def test_union_adds_the_removed_frame_to_its_neighbour() -> None:
    dataset = make_seg([(1, 0), (1, 1), (1, 2)])
    frames, _ = remap_segmentation(
        dataset, np.stack([square(left=1), square(left=4), square(left=1)]), STACK, None, ORIGINS, ContourRule.UNION
    )
    np.testing.assert_array_equal(frames[0], square(left=1) | square(left=4))


def test_interpolation_gives_the_shape_between() -> None:
    dataset = make_seg([(1, 1), (1, 3)])
    frames, _ = remap_segmentation(
        dataset, np.stack([square(left=1), square(left=3)]), STACK, None, ORIGINS, ContourRule.INTERPOLATE
    )
    assert z_of(dataset) == [4]
    assert frames[0].any()


def test_an_empty_frame_does_not_push_out_one_that_has_something() -> None:
    dataset = make_seg([(1, 2), (1, 3)])
    frames, _ = remap_segmentation(
        dataset, np.stack([square(0), square()]), STACK, None, ORIGINS, ContourRule.OWN_FIRST
    )
    assert z_of(dataset) == [4]
    np.testing.assert_array_equal(frames[0], square())


def test_resizing_takes_what_covers_half_a_pixel_and_moves_the_origin() -> None:
    dataset = make_seg([(1, 0)])
    frames, _ = remap_segmentation(
        dataset, np.stack([square()]), STACK, Resize((ROWS, COLUMNS), (3, 5)), ORIGINS, ContourRule.OWN_FIRST
    )
    assert frames.shape == (1, 3, 5)
    assert frames[0].tolist() == [[0, 1, 1, 0, 0], [0, 1, 1, 0, 0], [0, 1, 1, 0, 0]]
    place = dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient
    assert [float(v) for v in place] == [0.25, 0.25, 0]
    spacing = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
    assert [float(v) for v in spacing] == [1, 1]


def test_a_segmentation_in_its_own_pixel_grid_is_not_resized_and_says_so() -> None:
    dataset = make_seg([(1, 0)])
    frames, result = remap_segmentation(
        dataset, np.stack([square()]), STACK, Resize((512, 512), (256, 256)), ORIGINS, ContourRule.OWN_FIRST
    )
    assert frames.shape == (1, ROWS, COLUMNS)
    assert "grid of its own" in result.warnings[0]


def test_a_label_map_keeps_its_own_labels_and_takes_lost_ones_on_background() -> None:
    dataset = make_seg([(0, 2), (0, 3)], "LABELMAP")
    above = np.where(square(2, left=4) > 0, 2, 0).astype(np.uint8)
    frames, result = remap_segmentation(
        dataset, np.stack([square(1), above]), STACK, None, ORIGINS, ContourRule.OWN_FIRST
    )
    assert frames.shape[0] == 1
    expected = np.where(square(1) == 1, 1, above)
    np.testing.assert_array_equal(frames[0], expected)
    assert [(r.number, r.kept, r.moved) for r in result.rois] == [(1, 1, 0), (2, 0, 1)]


def test_a_resized_label_takes_the_majority() -> None:
    frame = np.array([[1, 1, 2, 2], [1, 3, 2, 0]], np.uint8)
    assert resized_labels(frame, (1, 2)).tolist() == [[1, 2]]


def test_fractions_are_mixed_and_masks_are_blended_by_shape() -> None:
    assert blended(np.full((2, 2), 100, np.uint8), np.full((2, 2), 200, np.uint8), 0.5).tolist() == [[150, 150]] * 2
    wide, narrow = np.zeros((1, 21), np.uint8), np.zeros((1, 21), np.uint8)
    wide[0, 2:19], narrow[0, 8:13] = 1, 1
    assert blended(wide, narrow, 0.5).sum() == pytest.approx((17 + 5) / 2, abs=1)


def test_a_segmentation_across_the_slices_is_left_alone() -> None:
    dataset = make_seg([(1, 0)])
    dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    frames, result = remap_segmentation(dataset, np.stack([square()]), STACK, None, ORIGINS, ContourRule.OWN_FIRST)
    assert "does not lie in the slices" in result.warnings[0]
    np.testing.assert_array_equal(frames[0], square())
