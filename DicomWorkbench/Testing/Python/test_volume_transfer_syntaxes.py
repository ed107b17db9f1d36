"""Pixels of every transfer syntax: encoded here and got back, and as in pydicom for every file pydicom ships."""

from __future__ import annotations

import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from DicomWorkbenchLib import pixels as pixels_module
from DicomWorkbenchLib.errors import DependencyError, FileError, PixelDataError
from DicomWorkbenchLib.series import scan
from DicomWorkbenchLib.volume import decode_pixels, read_volume
from pydicom.encaps import encapsulate, encapsulate_extended

imagecodecs = pytest.importorskip("imagecodecs")
Encoder = Callable[[Any], bytes]

U = "1.2.840.10008.1.2"
SHIPPED = sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm"))


def deflated(frame: Any) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(frame.tobytes()) + packer.flush()


def rle(frame: Any) -> bytes:
    from pydicom.pixels.encoders import RLELosslessEncoder

    rows, columns = frame.shape[:2]
    return bytes(
        RLELosslessEncoder.encode(
            frame.tobytes(),
            rows=rows,
            columns=columns,
            samples_per_pixel=frame.shape[2] if frame.ndim == 3 else 1,
            number_of_frames=1,
            bits_allocated=frame.dtype.itemsize * 8,
            bits_stored=frame.dtype.itemsize * 8,
            pixel_representation=0,
            photometric_interpretation="RGB" if frame.ndim == 3 else "MONOCHROME2",
            planar_configuration=0,
        )
    )


def unsigned(encode: Encoder) -> Encoder:
    """Encode two's complement as it lies in memory, as JPEG, JPEG-LS and RLE files hold it."""
    return lambda frame: bytes(encode(frame.view(f"u{frame.dtype.itemsize}")))


LOSSLESS: dict[str, Encoder] = {
    f"{U}.4.57": unsigned(lambda frame: imagecodecs.jpeg8_encode(frame, lossless=True, predictor=4)),
    f"{U}.4.70": unsigned(imagecodecs.ljpeg_encode),
    f"{U}.4.80": unsigned(imagecodecs.jpegls_encode),
    f"{U}.4.90": lambda frame: imagecodecs.jpeg2k_encode(frame, level=0, reversible=True, codecformat="j2k"),
    f"{U}.4.201": imagecodecs.htj2k_encode,
    f"{U}.4.202": lambda frame: imagecodecs.htj2k_encode(frame, tlm=True),
    f"{U}.4.110": unsigned(lambda frame: imagecodecs.jpegxl_encode(frame, lossless=True)),
    f"{U}.5": unsigned(rle),
    f"{U}.8.1": deflated,
    f"{U}.1.98": lambda frame: frame.tobytes(),
}
LOSSY: dict[str, Encoder] = {
    f"{U}.4.50": lambda frame: imagecodecs.jpeg8_encode(frame, level=98),
    f"{U}.4.81": lambda frame: imagecodecs.jpegls_encode(frame, level=2),
    f"{U}.4.91": lambda frame: imagecodecs.jpeg2k_encode(frame, level=55, reversible=False, codecformat="j2k"),
    f"{U}.4.203": lambda frame: imagecodecs.htj2k_encode(frame, level=0.001, reversible=False),
    f"{U}.4.112": lambda frame: imagecodecs.jpegxl_encode(frame, level=95),
}
STAND_IN = f"{U}.4.201"  # the longest name
NATIVE = {
    "implicit": f"{U}",
    "explicit": f"{U}.1",
    "deflated": f"{U}.1.99",
    "big endian": f"{U}.2",
}


def frame_of(dtype: Any, bits: int, seed: int = 0) -> Any:
    """Return a smooth picture with noise that uses all of the bits, 40 x 24."""
    rows, columns = np.mgrid[0:40, 0:24]
    smooth = np.sin(rows / 9) * np.cos(columns / 7) * 0.4 + np.random.default_rng(seed).normal(0, 0.02, (40, 24))
    low = -(1 << bits - 1) if np.dtype(dtype).kind == "i" else 0
    values = np.clip((smooth + 0.5) * (1 << bits), 0, (1 << bits) - 1).astype(np.int64) + low
    values[0, 0], values[0, 1] = low, low + (1 << bits) - 1
    return values.astype(dtype)


def compressed(maker: Any, syntax: str, frames: list[bytes], like: Any, **attributes: Any) -> Path:
    colour = (
        {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0} if like.ndim == 3 else {}
    )
    dataset = maker.dataset(
        pixels=like[..., 0] if like.ndim == 3 else like,
        **({"NumberOfFrames": len(frames) if len(frames) > 1 else None} | colour | attributes),
    )
    dataset.file_meta.TransferSyntaxUID = STAND_IN
    dataset.PixelData = attributes.get("PixelData") or encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    path = Path(maker.save(dataset, f"{syntax}_{maker.written}"))
    # pydicom writes no transfer syntax that is newer than itself, so its name is put in afterwards.
    path.write_bytes(path.read_bytes().replace(f"{STAND_IN}\0".encode(), syntax.encode().ljust(24, b"\0"), 1))
    return path


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize(
    ("dtype", "bits"), [(np.uint8, 8), (np.uint16, 16), (np.uint16, 12), (np.int16, 16), (np.int16, 12)]
)
def test_lossless_syntaxes_give_back_every_bit(maker: Any, syntax: str, dtype: Any, bits: int) -> None:
    truth = frame_of(dtype, bits)
    path = compressed(maker, syntax, [LOSSLESS[syntax](truth)], truth, BitsStored=bits, HighBit=bits - 1)
    decoded = decode_pixels(path)
    assert decoded.dtype == dtype
    np.testing.assert_array_equal(decoded, truth[np.newaxis])
    np.testing.assert_array_equal(decode_pixels(pydicom.dcmread(path)), truth[np.newaxis])


@pytest.mark.parametrize("syntax", LOSSY)
def test_lossy_syntaxes_come_close(maker: Any, syntax: str) -> None:
    truth = frame_of(np.uint8, 8)
    path = compressed(maker, syntax, [LOSSY[syntax](truth)], truth)
    assert np.abs(decode_pixels(path)[0].astype(int) - truth).max() <= 12


def test_twelve_bit_jpeg_comes_close(maker: Any) -> None:
    truth = frame_of(np.uint16, 12)
    path = compressed(
        maker,
        f"{U}.4.51",
        [imagecodecs.jpeg8_encode(truth, level=98, bitspersample=12)],
        truth,
        BitsStored=12,
        HighBit=11,
    )
    assert np.abs(decode_pixels(path)[0].astype(int) - truth).max() <= 40


@pytest.mark.parametrize("syntax", [uid for uid in LOSSLESS if uid not in (f"{U}.4.70", f"{U}.4.80")])
def test_colours_come_back_as_rgb(maker: Any, syntax: str) -> None:
    truth = np.stack([frame_of(np.uint8, 8, seed) for seed in range(3)], axis=-1)
    path = compressed(maker, syntax, [LOSSLESS[syntax](truth)], truth)
    np.testing.assert_array_equal(decode_pixels(path)[0], truth)


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "RGB"])
def test_jpeg_colours_come_back_as_rgb_whatever_the_stream_holds(maker: Any, photometric: str) -> None:
    truth = np.zeros((40, 24, 3), np.uint8)
    truth[:20, :, 0], truth[20:, :, 2], truth[:, 12:, 1] = 200, 180, 60
    stored = "YCBCR" if photometric == "YBR_FULL_422" else "RGB"
    data = imagecodecs.jpeg8_encode(truth, level=98, colorspace="RGB", outcolorspace=stored)
    path = compressed(maker, f"{U}.4.50", [data], truth, PhotometricInterpretation=photometric)
    assert np.median(np.abs(decode_pixels(path)[0].astype(int) - truth)) <= 3


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 8), (np.uint16, 16), (np.int16, 12), (np.int32, 32)])
def test_native_syntaxes_give_back_every_bit(maker: Any, name: str, dtype: Any, bits: int) -> None:
    truth = np.stack([frame_of(dtype, bits, seed) for seed in range(3)])
    order = ">" if name == "big endian" else "<"
    dataset = maker.dataset(
        pixels=truth[0],
        NumberOfFrames=3,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelData=truth.astype(truth.dtype.newbyteorder(order)).tobytes(),
    )
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    dataset.file_meta.TransferSyntaxUID = NATIVE[name]
    path = maker.save(dataset, "native")
    np.testing.assert_array_equal(decode_pixels(path), truth)
    np.testing.assert_array_equal(decode_pixels(path, frames=[2, 0]), truth[[2, 0]])
    np.testing.assert_array_equal(decode_pixels(pydicom.dcmread(path)), truth)


def test_frames_of_one_bit_images_need_not_end_on_a_byte(maker: Any) -> None:
    truth = np.random.default_rng(3).integers(0, 2, (5, 7, 3), np.uint8)  # 21 bits a frame
    packed = np.packbits(truth.reshape(-1), bitorder="little").tobytes()
    dataset = maker.dataset(
        pixels=truth[0], NumberOfFrames=5, BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=packed
    )
    dataset["PixelData"].VR = "OB"
    np.testing.assert_array_equal(decode_pixels(maker.save(dataset, "bits")), truth)


@pytest.mark.parametrize(("keyword", "dtype"), [("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")])
def test_floating_point_pixels(maker: Any, keyword: str, dtype: str) -> None:
    truth = np.random.default_rng(4).normal(0, 1e5, (8, 6)).astype(dtype)
    dataset = maker.dataset(pixels=np.zeros((8, 6), np.int32), BitsAllocated=truth.itemsize * 8, RescaleIntercept=0)
    del dataset.PixelData
    setattr(dataset, keyword, truth.tobytes())
    path = maker.save(dataset, "float")
    np.testing.assert_array_equal(decode_pixels(path)[0], truth)
    with scan(path) as found:
        np.testing.assert_array_equal(read_volume(found.series[0]).array[0], truth.astype(np.float32))


@pytest.mark.needs("dcmcjpeg")
@pytest.mark.parametrize("options", [["+el", "+sv", str(number)] for number in range(1, 8)] + [["+e1"]])
@pytest.mark.parametrize(("dtype", "bits"), [(np.uint16, 16), (np.int16, 12)])
def test_jpeg_written_by_dcmtk_gives_back_every_bit(maker: Any, options: list[str], dtype: Any, bits: int) -> None:
    written_by_a_peer(maker, ["dcmcjpeg", *options], dtype, bits)


@pytest.mark.needs("dcmcjpls", "dcmcrle")
@pytest.mark.parametrize("program", ["dcmcjpls", "dcmcrle"])
@pytest.mark.parametrize(("dtype", "bits"), [(np.uint16, 16), (np.int16, 12), (np.uint8, 8)])
def test_jpeg_ls_and_rle_written_by_dcmtk_give_back_every_bit(maker: Any, program: str, dtype: Any, bits: int) -> None:
    written_by_a_peer(maker, [program], dtype, bits)


@pytest.mark.needs("gdcmconv")
@pytest.mark.parametrize("option", ["--j2k", "--jpegls", "--jpeg", "--rle"])
@pytest.mark.parametrize(("dtype", "bits"), [(np.uint16, 16), (np.uint8, 8), (np.int16, 16)])
def test_images_written_by_gdcm_give_back_every_bit(maker: Any, option: str, dtype: Any, bits: int) -> None:
    written_by_a_peer(maker, ["gdcmconv", option], dtype, bits)


def written_by_a_peer(maker: Any, command: list[str], dtype: Any, bits: int) -> None:
    truth = frame_of(dtype, bits)
    native = maker.slice("native", pixels=truth, BitsStored=bits, HighBit=bits - 1)
    coded = maker.folder / "coded"
    subprocess.run([*command, str(native), str(coded)], check=True, timeout=60, capture_output=True)
    assert pydicom.dcmread(coded, stop_before_pixels=True).file_meta.TransferSyntaxUID.is_encapsulated
    np.testing.assert_array_equal(decode_pixels(coded)[0], truth)


def items(*values: bytes) -> bytes:
    return b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value for value in values)


def table_of(frames: list[list[bytes]]) -> bytes:
    offsets, at = [], 0
    for fragments in frames:
        offsets.append(at)
        at += sum(8 + len(fragment) for fragment in fragments)
    return struct.pack(f"<{len(offsets)}I", *offsets)


@pytest.mark.parametrize("layout", ["table", "no table", "wrong table", "extended", "no delimiter"])
def test_every_layout_of_fragments_finds_its_frames(maker: Any, layout: str) -> None:
    truth = np.stack([frame_of(np.uint8, 8, seed) for seed in range(4)])
    coded = [imagecodecs.jpegls_encode(frame) for frame in truth]
    coded = [data + b"\0" * (len(data) % 2) for data in coded]
    # The second and the third frame come in two and three fragments.
    split = [[coded[0]], [coded[1][:100], coded[1][100:]], [coded[2][:60], coded[2][60:90], coded[2][90:]], [coded[3]]]
    whole = [[data] for data in coded]
    attributes: dict[str, Any] = {}
    if layout == "extended":
        value, offsets, lengths = encapsulate_extended(coded)
        attributes = {"ExtendedOffsetTable": offsets, "ExtendedOffsetTableLengths": lengths}
    elif layout == "no delimiter":
        value = items(b"", *coded)
    else:
        table = {"table": table_of(split), "no table": b"", "wrong table": table_of(whole)}[layout]
        value = items(table, *[fragment for fragments in split for fragment in fragments])
    path = compressed(maker, f"{U}.4.80", coded, truth[0], PixelData=value, **attributes)
    if layout == "no delimiter":
        data = path.read_bytes()
        assert data.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0")
        path.write_bytes(data[:-8])
    np.testing.assert_array_equal(decode_pixels(path), truth)
    np.testing.assert_array_equal(decode_pixels(path, frames=[2]), truth[[2]])


def test_a_compressed_series_gives_the_volume_of_the_uncompressed_one(maker: Any) -> None:
    truth = [frame_of(np.int16, 13, seed) for seed in range(6)]
    for syntax in (f"{U}.4.90", f"{U}.4.201", f"{U}.4.80", f"{U}.5"):
        for k, frame in enumerate(truth):
            place = {
                "ImagePositionPatient": [0, 0, k],
                "SeriesInstanceUID": f"1.9.{syntax}",
                "BitsStored": 13,
                "HighBit": 12,
            }
            compressed(maker, syntax, [LOSSLESS[syntax](frame)], frame, **place)
    with scan(maker.folder) as found:
        assert len(found.series) == 4
        for series in found.series:
            volume = read_volume(series)
            assert volume.array.dtype == np.int16
            np.testing.assert_array_equal(volume.array, np.stack(truth) - 1000)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_image_that_pydicom_ships_decodes_as_in_pydicom(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path, force=True)
        if "PixelData" not in dataset or "Rows" not in dataset:
            with pytest.raises((PixelDataError, FileError)):
                decode_pixels(path)
            return
        try:
            truth = dataset.pixel_array
        except Exception as error:  # noqa: BLE001 - whatever pydicom says, there is nothing to compare with
            pytest.importorskip("imagecodecs", reason=str(error))
            return_without_truth(path)
            return
    if int(dataset.get("NumberOfFrames") or 1) == 1:
        truth = truth[np.newaxis]
    decoded = decode_pixels(path)
    np.testing.assert_array_equal(decoded, truth)
    assert decoded.dtype.isnative


def return_without_truth(path: Path) -> None:
    """Decode what pydicom cannot: an array of the right size, or an error that names the file."""
    try:
        decoded = decode_pixels(path)
    except PixelDataError as error:
        assert path.name in str(error)
        return
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    assert decoded.shape[1:3] == (dataset.Rows, dataset.Columns)


@pytest.mark.needs("dcmdjpeg")
@pytest.mark.parametrize("name", ["JPGExtended.dcm", "SC_rgb_jpeg_gdcm.dcm"])
def test_what_pydicom_cannot_decode_is_as_in_dcmtk(name: str, tmp_path: Path) -> None:
    path = next(one for one in SHIPPED if one.name == name)
    subprocess.run(["dcmdjpeg", str(path), str(tmp_path / "plain")], check=True, timeout=60, capture_output=True)
    truth = pydicom.dcmread(tmp_path / "plain").pixel_array.astype(int)
    assert np.abs(decode_pixels(path)[0].astype(int) - truth).max() <= 1  # two ways to round a cosine transform


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data[: len(data) // 2], "no end"),
        (lambda data: b"\0" * len(data), "readable code stream header"),
        (lambda data: data[:300] + bytes(80) + data[380:], "cannot be decoded|different"),
    ],
)
def test_broken_compressed_data_name_the_file(maker: Any, change: Callable[[bytes], bytes], reason: str) -> None:
    truth = frame_of(np.uint16, 16)
    path = compressed(maker, f"{U}.4.80", [change(imagecodecs.jpegls_encode(truth))], truth)
    try:
        decoded = decode_pixels(path)
    except PixelDataError as error:
        assert path.name in str(error)
        return
    assert reason.endswith("different")
    assert not np.array_equal(decoded[0], truth)


def test_a_stream_of_another_size_than_the_header_says_is_refused(maker: Any) -> None:
    path = compressed(
        maker, f"{U}.4.80", [imagecodecs.jpegls_encode(np.zeros((64, 64), np.uint8))], frame_of(np.uint8, 8)
    )
    with pytest.raises(PixelDataError, match="64 x 64 pixels, the header says 40 x 24"):
        decode_pixels(path)


def test_a_deflated_frame_never_inflates_beyond_its_size(maker: Any) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(bytes(50_000_000)) + packer.flush()
    path = compressed(maker, f"{U}.8.1", [bomb], frame_of(np.uint8, 8))
    np.testing.assert_array_equal(decode_pixels(path)[0], np.zeros((40, 24)))


@pytest.mark.parametrize(
    ("syntax", "reason"),
    [(f"{U}.4.102", "video"), ("1.2.3.4.5", "transfer syntax 1.2.3.4.5 is not known")],
)
def test_what_is_no_still_image_is_refused_with_the_reason(maker: Any, syntax: str, reason: str) -> None:
    path = compressed(maker, syntax, [bytes(100)], frame_of(np.uint8, 8))
    with pytest.raises(PixelDataError, match=reason):
        decode_pixels(path)


def test_pixels_that_contradict_their_transfer_syntax_are_refused(maker: Any) -> None:
    truth = frame_of(np.uint8, 8)
    path = compressed(maker, f"{U}.4.80", [imagecodecs.jpegls_encode(truth)], truth)
    data = path.read_bytes()
    path.write_bytes(data.replace(f"{U}.4.80".encode(), f"{U}.1\0\0\0".encode()))
    with pytest.raises(PixelDataError, match="encapsulated, the transfer syntax says they are not"):
        decode_pixels(path)


def test_a_frame_that_does_not_exist_is_refused(maker: Any) -> None:
    with pytest.raises(PixelDataError, match="has 1 frames; number 1 does not exist"):
        decode_pixels(maker.slice("one"), frames=[1])


@pytest.fixture
def without_imagecodecs(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    pixels_module.have_imagecodecs.cache_clear()
    yield
    pixels_module.have_imagecodecs.cache_clear()


def test_without_imagecodecs_only_compressed_images_miss_it(maker: Any, without_imagecodecs: None) -> None:
    truth = frame_of(np.uint16, 16)
    np.testing.assert_array_equal(decode_pixels(maker.slice("native", pixels=truth))[0], truth)
    # pydicom brings its own RLE decoder.
    np.testing.assert_array_equal(decode_pixels(compressed(maker, f"{U}.5", [rle(truth)], truth))[0], truth)
    np.testing.assert_array_equal(decode_pixels(compressed(maker, f"{U}.8.1", [deflated(truth)], truth))[0], truth)


def test_without_imagecodecs_the_missing_decoder_is_named(maker: Any, without_imagecodecs: None) -> None:
    path = compressed(maker, f"{U}.4.201", [b"\xff\x4f\xff\x51" + bytes(60)], frame_of(np.uint16, 16))
    with pytest.raises(DependencyError, match=r"High-Throughput JPEG 2000.*pip install imagecodecs"):
        decode_pixels(path)
    with scan(path) as found, pytest.raises(DependencyError):
        read_volume(found.series[0], on_bad_slice="skip")
