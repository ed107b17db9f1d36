"""Volumes: real values of each slice, the type of the array, units, padding, bad slices; against values known by construction."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DicomWorkbenchLib.errors import Cancelled, FileError, GeometryError, PixelDataError
from DicomWorkbenchLib.progress import CancelToken
from DicomWorkbenchLib.series import ProblemKind, Series, scan
from DicomWorkbenchLib.volume import Volume, read_volume
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import PositronEmissionTomographyImageStorage


def read(maker: Any, **options: Any) -> Volume:
    with scan(maker.folder) as found:
        assert len(found.series) == 1
        return read_volume(found.series[0], **options)


def series_of(maker: Any) -> Series:
    with scan(maker.folder) as found:
        return found.series[0]


def test_each_slice_has_its_own_slope_as_in_pet(maker: Any, ramp: Any) -> None:
    slopes = [0.25, 1.5, 3.1415926]
    for k, slope in enumerate(slopes):
        maker.slice(
            f"s{k}",
            pixels=ramp,
            ImagePositionPatient=[0, 0, k],
            RescaleSlope=slope,
            RescaleIntercept=0,
            SOPClassUID=PositronEmissionTomographyImageStorage,
            Modality="PT",
            Units="BQML",
        )
    volume = read(maker)
    assert volume.array.dtype == np.float32
    assert volume.units == "Bq/ml"
    truth = np.stack([ramp.astype(np.float64) * slope for slope in slopes]).astype(np.float32)
    np.testing.assert_array_equal(volume.array, truth)


@pytest.mark.parametrize(
    ("stored", "slope", "intercept"),
    [
        (np.array([-32768, 0, 32767], np.int16), 1, 0),
        (np.array([0, 1000, 33767], np.uint16), 1, -1000),
        (np.array([32768, 40000, 65535], np.uint16), 1, -32768),
        (np.array([0, 100, 255], np.uint8), 2, -1024),
        (np.array([-100, 0, 100], np.int16), -3, 5),
        (np.array([-128, 0, 127], np.int8), 1, 0),
    ],
)
def test_whole_numbers_that_fit_stay_16_bit_and_exact(maker: Any, stored: Any, slope: int, intercept: int) -> None:
    pixels = np.resize(stored, (4, 3))
    maker.stack(3, pixels=pixels, RescaleSlope=slope, RescaleIntercept=intercept)
    volume = read(maker)
    assert volume.array.dtype == np.int16
    np.testing.assert_array_equal(volume.array[1], pixels.astype(np.int64) * slope + intercept)


@pytest.mark.parametrize(
    ("stored", "slope", "intercept"),
    [
        (np.array([0, 1000, 33768], np.uint16), 1, -1000),
        (np.array([0, 5, 20000], np.int16), 2, 0),
        (np.array([0, 5, 2000], np.int16), 0.5, 0),
        (np.array([0, 5, 2000], np.int16), 1, 0.5),
        (np.array([0, 5, 100_000], np.int32), 1, 0),
    ],
)
def test_values_that_do_not_fit_become_float32(maker: Any, stored: Any, slope: float, intercept: float) -> None:
    pixels = np.resize(stored, (4, 3))
    maker.stack(3, pixels=np.zeros((4, 3), stored.dtype), RescaleSlope=slope, RescaleIntercept=intercept)
    maker.slice(
        "last", pixels=pixels, ImagePositionPatient=[-10, 20, 0], RescaleSlope=slope, RescaleIntercept=intercept
    )
    volume = read(maker)
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array[-1], (pixels * float(slope) + intercept).astype(np.float32))
    np.testing.assert_array_equal(volume.array[0], np.full((4, 3), intercept, np.float32))


@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_those_stored_are_no_part_of_the_value(maker: Any, signed: bool) -> None:
    # 12 stored bits; the four above hold an overlay, as old scanners wrote it.
    values = np.resize(np.array([0, 1, 1000, 2047, -5 if signed else 4000, -2048 if signed else 4095]), (4, 3))
    words = (values & 0x0FFF | 0xA000).astype(np.uint16).view(np.int16 if signed else np.uint16)
    maker.stack(2, pixels=words, BitsStored=12, HighBit=11, RescaleIntercept=-10)
    np.testing.assert_array_equal(read(maker).array[0], values - 10)


def test_samples_at_the_upper_end_of_the_word_are_moved_down(maker: Any) -> None:
    values = np.resize(np.array([0, 1, 1000, 4095]), (4, 3))
    maker.stack(2, pixels=(values << 4).astype(np.uint16), BitsStored=12, HighBit=15, RescaleIntercept=0)
    np.testing.assert_array_equal(read(maker).array[0], values)


@pytest.mark.parametrize(
    ("attributes", "units"),
    [
        ({}, "HU"),
        ({"RescaleType": "HU"}, "HU"),
        ({"RescaleType": "US"}, "HU"),
        ({"RescaleSlope": None, "RescaleIntercept": None}, ""),
        ({"Modality": "MR"}, ""),
        ({"Modality": "MR", "RescaleType": "mGy"}, "mGy"),
        ({"Modality": "PT", "Units": "GML"}, "g/ml"),
        ({"Modality": "PT", "Units": "CNTS"}, "counts"),
        ({"Modality": "PT", "Units": "SOMETHING"}, "SOMETHING"),
    ],
)
def test_units_are_what_the_file_says(maker: Any, attributes: dict[str, Any], units: str) -> None:
    maker.stack(2, **attributes)
    assert read(maker).units == units


def test_padding_is_known_in_real_values(maker: Any, ramp: Any) -> None:
    pixels = ramp.copy()
    pixels[0] = -2000
    maker.stack(2, pixels=pixels, PixelPaddingValue=-2000, RescaleIntercept=-24)
    volume = read(maker)
    assert volume.padding == (-2024.0, -2024.0)
    assert volume.is_padding()[:, 0].all()
    assert not volume.is_padding()[:, 1:].any()


def test_a_range_of_padding_values_is_a_range(maker: Any, ramp: Any) -> None:
    maker.stack(2, pixels=ramp.astype(np.uint16), PixelPaddingValue=0, PixelPaddingRangeLimit=5, RescaleIntercept=-1000)
    volume = read(maker)
    assert volume.padding == (-1000.0, -995.0)
    assert int(volume.is_padding().sum()) == 12


def test_without_padding_nothing_is_padding(maker: Any) -> None:
    maker.stack(2)
    volume = read(maker)
    assert volume.padding is None
    assert not volume.is_padding().any()


def test_a_modality_lookup_table_is_applied(maker: Any) -> None:
    table = Dataset()
    table.LUTDescriptor = [4, 10, 16]
    table.ModalityLUTType = "HU"
    table.add_new("LUTData", "OW", np.array([100, 250, 251, 3000], np.uint16).tobytes())
    pixels = np.resize(np.array([0, 10, 11, 12, 13, 200], np.uint16), (4, 3))
    maker.stack(2, pixels=pixels, RescaleSlope=None, RescaleIntercept=None, ModalityLUTSequence=Sequence([table]))
    truth = np.resize(np.array([100, 100, 250, 251, 3000, 3000]), (4, 3))
    np.testing.assert_array_equal(read(maker).array[0], truth)


def test_a_broken_lookup_table_names_the_file(maker: Any) -> None:
    table = Dataset()
    table.LUTDescriptor = [400, 0, 16]
    table.add_new("LUTData", "OW", bytes(8))
    maker.stack(2, RescaleSlope=None, RescaleIntercept=None, ModalityLUTSequence=Sequence([table]))
    with pytest.raises(FileError, match="broken modality lookup table"):
        read(maker)


def test_a_gap_is_a_warning_and_the_matrix_spans_first_to_last(maker: Any) -> None:
    maker.stack(9, origin=(0, 0, 0), step=(0, 0, 2), leave_out=[3])
    volume = read(maker)
    assert volume.array.shape[0] == 8
    assert [problem.kind for problem in volume.problems] == [ProblemKind.GAP]
    assert volume.warnings == [volume.problems[0].message]
    assert volume.spacing_mm[2] == pytest.approx(16 / 7)
    np.testing.assert_allclose(volume.matrix_lps @ [0, 0, 7, 1], [0, 0, 16, 1])


def cut(path: Path, count: int) -> None:
    path.write_bytes(path.read_bytes()[:-count])


def short(maker: Any, k: int) -> Path:
    """Write a slice whose pixel data end two rows early, and say so themselves."""
    return Path(
        maker.slice(
            "short", ImagePositionPatient=[-10, 20, -30 + 2.5 * k], PixelData=bytes(6 * 6 * 2), Rows=8, Columns=6
        )
    )


def test_a_cut_slice_stops_the_reading_and_is_named(maker: Any) -> None:
    paths = maker.stack(6)
    cut(paths[3], 7)
    with pytest.raises(PixelDataError, match=f"{paths[3].name}: the file ends before its pixel data do"):
        read(maker)


def test_pixel_data_shorter_than_rows_times_columns_are_named(maker: Any) -> None:
    maker.stack(3)
    path = short(maker, 3)
    with pytest.raises(PixelDataError, match=rf"{path.name}: the pixel data have 72 bytes; 8 x 6 pixels need 96"):
        read(maker)


def test_bad_slices_can_be_left_out_and_are_named(maker: Any) -> None:
    paths = maker.stack(8, origin=(0, 0, 0), step=(0, 0, 1), RescaleIntercept=0)
    cut(paths[2], 9)
    paths[5].write_bytes(paths[5].read_bytes()[:300])
    with scan(maker.folder) as found:
        series = next(one for one in found.series)
        assert len(series.planes) == 7  # the header of the other one is gone
        volume = read_volume(series, on_bad_slice="skip")
    assert volume.array[:, 0, 0].tolist() == [13 * (k + 1) for k in (0, 1, 3, 4, 6, 7)]
    bad = [problem for problem in volume.problems if problem.kind is ProblemKind.BAD_SLICE]
    assert [problem.origins for problem in bad] == [(str(paths[2]),)]
    assert "left out" in bad[0].message
    gaps = [problem for problem in volume.problems if problem.kind is ProblemKind.GAP]
    assert len(gaps) == 2
    assert len(volume.series.planes) == 6
    np.testing.assert_allclose(volume.matrix_lps[:3, 2], [0, 0, 7 / 5])


def test_a_file_that_vanished_since_the_scan_is_named(maker: Any) -> None:
    paths = maker.stack(4)
    series = series_of(maker)
    paths[1].unlink()
    with pytest.raises(FileError, match=paths[1].name):
        read_volume(series)
    assert read_volume(series, on_bad_slice="skip").array.shape[0] == 3


def test_a_file_that_changed_its_size_since_the_scan_is_named(maker: Any) -> None:
    paths = maker.stack(4)
    series = series_of(maker)
    maker.slice(paths[2].name, pixels=np.zeros((4, 4), np.int16))
    with pytest.raises(FileError, match="has changed since it was found"):
        read_volume(series)


def test_when_no_slice_can_be_read_that_is_said(maker: Any) -> None:
    for path in maker.stack(3):
        cut(path, 20)
    with pytest.raises(PixelDataError, match="none of the 3 slices can be read"):
        read(maker, on_bad_slice="skip")


def test_colours_are_no_volume(maker: Any) -> None:
    for k in range(3):
        dataset = maker.dataset(
            ImagePositionPatient=[0, 0, k],
            pixels=np.zeros((8, 6), np.uint8),
            PixelData=bytes(8 * 6 * 3),
            SamplesPerPixel=3,
            PhotometricInterpretation="RGB",
            PlanarConfiguration=0,
        )
        dataset["PixelData"].VR = "OB"
        maker.save(dataset, f"s{k}")
    with pytest.raises(GeometryError, match="holds colours"):
        read(maker)


@pytest.mark.parametrize("jobs", [None, 1, 5])
def test_any_number_of_threads_reads_the_same(maker: Any, jobs: int | None) -> None:
    maker.stack(30, RescaleIntercept=0)
    assert read(maker, jobs=jobs).array[:, 0, 0].tolist() == [13 * (k + 1) for k in range(30)]


def test_progress_ends_with_all_slices(maker: Any) -> None:
    maker.stack(20)
    seen: list[tuple[int, int, str]] = []
    read(maker, progress=lambda *state: seen.append(state))
    assert seen[-1] == (20, 20, "reading slices")
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)


def test_a_cancelled_reading_stops_within_a_second(maker: Any) -> None:
    maker.stack(60)
    series = series_of(maker)
    token = CancelToken()
    token.cancel()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        read_volume(series, cancel=token)
    assert time.monotonic() - started < 1


def test_pixels_of_a_volume_inside_an_archive_are_read_from_there(maker: Any, tmp_path: Path) -> None:
    import zipfile

    paths = maker.stack(3, RescaleIntercept=0)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        for path in paths:
            target.write(path, path.name)
    cut(paths[0], 9)
    with scan(tmp_path / "a.zip") as found:
        assert read_volume(found.series[0]).array[:, 0, 0].tolist() == [13, 26, 39]


@pytest.mark.needs("data")
def test_a_real_pet_has_the_maximum_that_its_makers_state(workbench_data: Path) -> None:
    # Digital reference objects: SUVbw maximum 4.00; activity = SUV x injected activity decay-corrected / weight.
    with scan(workbench_data / "suv" / "DRO_0_0") as found:
        volume = read_volume(found.series[0])
    assert volume.units == "Bq/ml"
    assert volume.array.shape == (20, 256, 256)
    assert volume.array.max() == pytest.approx(14400)


@pytest.mark.needs("data", "module:SimpleITK")
def test_a_real_pet_equals_simpleitk(workbench_data: Path) -> None:
    import SimpleITK as sitk

    with scan(workbench_data / "nema_pet") as found:
        series = found.series[0]
        volume = read_volume(series)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(item.path) for item in series.instances])
    image = reader.Execute()
    # These files are MONOCHROME1. That is about display (PS3.3 C.7.6.3.1.2) and ours are the values; ITK inverts the stored ones.
    slope = 0.5817961222247654
    np.testing.assert_allclose(volume.array, 65535 * slope - sitk.GetArrayFromImage(image), atol=0.01)
    np.testing.assert_allclose(
        volume.matrix_lps @ [3, 4, 5, 1], [*image.TransformIndexToPhysicalPoint((3, 4, 5)), 1], atol=1e-3
    )
