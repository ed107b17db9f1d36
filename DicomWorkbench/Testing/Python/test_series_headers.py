"""The header parser says what pydicom says, about every file pydicom ships and about encodings made here."""

from __future__ import annotations

import io
import random
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from DicomWorkbenchLib.errors import FileError
from DicomWorkbenchLib.headers import Header, NotDicom, Tag, inflated, read_dataset, read_header
from DicomWorkbenchLib.headers_parse import UNDEFINED
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

SHIPPED = sorted(path for path in (Path(pydicom.__file__).parent / "data" / "test_files").rglob("*") if path.is_file())
TEXTS = (Tag.SOP_CLASS, Tag.SOP_INSTANCE, Tag.MODALITY, Tag.SERIES_DESCRIPTION, Tag.STUDY, Tag.SERIES, Tag.PHOTOMETRIC)
NUMBERS = (Tag.POSITION, Tag.ORIENTATION, Tag.PIXEL_SPACING, Tag.SLICE_THICKNESS, Tag.RESCALE_SLOPE, Tag.ECHO_TIME)
INTEGERS = (Tag.ROWS, Tag.COLUMNS, Tag.BITS_STORED, Tag.INSTANCE_NUMBER, Tag.SERIES_NUMBER, Tag.FRAMES)


def shipped(name: str) -> Path:
    return next(path for path in SHIPPED if path.name == name)


def by_pydicom(path: Path) -> Dataset | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        return dataset if "SOPClassUID" in dataset and "SeriesInstanceUID" in dataset else None


def value(dataset: Dataset, tag: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return dataset[tag].value if tag in dataset else None
        except ValueError:
            return None


def same_as_pydicom(header: Header, dataset: Dataset) -> None:
    for tag in TEXTS:
        assert header.text(tag) == str(value(dataset, tag) or "").strip(" \0"), hex(tag)
    for tag in NUMBERS:
        expected = value(dataset, tag)
        listed = () if expected in (None, "") else expected if hasattr(expected, "__iter__") else [expected]
        assert header.numbers(tag) == tuple(float(one) for one in listed), hex(tag)
    for tag in INTEGERS:
        expected = value(dataset, tag)
        assert header.integer(tag) == (int(expected) if str(expected).isdecimal() else None), hex(tag)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_file_that_pydicom_ships_reads_as_in_pydicom(path: Path) -> None:
    dataset = by_pydicom(path)
    if dataset is None:
        with (
            pytest.raises((NotDicom, FileError)) if path.suffix in (".txt", ".json", ".dump", ".gz", ".icc") else _any()
        ):
            read_header(path)
        return
    same_as_pydicom(read_header(path), dataset)


class _any:
    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        return kind is not None and issubclass(kind, NotDicom | FileError)


def rich(maker: Any) -> Dataset:
    """Return a slice with what makes headers hard: nested sequences, an icon, private elements, long values, umlauts."""
    dataset = maker.dataset(SeriesDescription="Schädel", SpecificCharacterSet="ISO_IR 100", EchoTime="2.5")
    icon = Dataset()
    icon.Rows = icon.Columns = 64
    icon.add_new("PixelData", "OB", b"\x07" * 4096)
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = "9.9.9"
    inner.SeriesInstanceUID = "9.9.8"
    outer = Dataset()
    outer.Modality = "XX"
    outer.ReferencedImageSequence = Sequence([inner])
    dataset.ReferencedSeriesSequence = Sequence([outer])
    dataset.IconImageSequence = Sequence([icon])
    block = dataset.private_block(0x0019, "MADE UP", create=True)
    block.add_new(0x01, "OB", b"\x01" * 30_000)
    block.add_new(0x02, "SQ", Sequence([outer]))
    dataset.DiffusionBValue = 700.5
    return dataset


def undefined_lengths(dataset: Dataset) -> Dataset:
    for element in dataset:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
                undefined_lengths(item)
    return dataset


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
@pytest.mark.parametrize("undefined", [False, True])
def test_every_encoding_reads_as_in_pydicom(maker: Any, syntax: str, undefined: bool) -> None:
    dataset = rich(maker)
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
    path = maker.save(undefined_lengths(dataset) if undefined else dataset, "rich")
    header = read_header(path)
    same_as_pydicom(header, pydicom.dcmread(path, stop_before_pixels=True))
    assert header.text(Tag.SERIES_DESCRIPTION) == "Schädel"
    assert header.text(Tag.MODALITY) == "CT"
    assert header.number(Tag.B_VALUE) == 700.5
    assert header.parsed.pixel_length == 8 * 6 * 2
    assert not header.parsed.truncated


def test_the_pixel_data_lie_where_the_header_says(maker: Any, ramp: Any) -> None:
    path = maker.slice("one", pixels=ramp)
    parsed = read_header(path).parsed
    stored = path.read_bytes()[parsed.pixel_offset : parsed.pixel_offset + parsed.pixel_length]
    assert stored == ramp.tobytes()


def test_pixel_data_in_a_deflated_file_are_found_in_the_inflated_data_set(maker: Any, ramp: Any) -> None:
    dataset = maker.dataset(pixels=ramp)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = maker.save(dataset, "deflated")
    parsed = read_header(path).parsed
    assert inflated(path, 1 << 20)[parsed.pixel_offset :][: ramp.nbytes] == ramp.tobytes()


@pytest.mark.parametrize("implicit", [False, True])
def test_a_bare_data_set_without_preamble_is_accepted(maker: Any, implicit: bool) -> None:
    buffer = io.BytesIO()
    dataset = maker.dataset()
    del dataset.file_meta
    dataset.save_as(buffer, implicit_vr=implicit, little_endian=True)
    path = maker.folder / "bare"
    path.parent.mkdir(parents=True)
    path.write_bytes(buffer.getvalue())
    header = read_header(path)
    assert header.text(Tag.SERIES) == "1.2.2"
    assert header.integer(Tag.ROWS) == 8


@pytest.mark.parametrize(
    "content", [b"", b"x", b"%PDF-1.7 " * 40, b"\0" * 5000, b"\x08\0\x05\0CS\x04\0" + b"abcd" * 50]
)
def test_other_files_are_no_dicom(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.dcm"
    path.write_bytes(content)
    with pytest.raises((NotDicom, FileError)):
        read_header(path)


def test_a_transfer_syntax_that_lies_about_the_value_representation_is_not_believed(maker: Any) -> None:
    path = maker.slice("lying")
    data = path.read_bytes()
    # Same length, so that nothing else moves: explicit data that call themselves implicit.
    uid = b"1.2.840.10008.1.2.1\0"
    assert data.count(uid) == 1
    path.write_bytes(data.replace(uid, b"1.2.840.10008.1.2\0\0\0"))
    header = read_header(path)
    assert header.integer(Tag.ROWS) == 8


@pytest.mark.parametrize(
    ("tag", "good", "bad"),
    [
        (Tag.POSITION, b"0.0\\0.0\\1.0", b"0.0\\0.0 1.0"),
        (Tag.POSITION, b"0.0\\0.0\\1.0", b"0.0\\xyz\\1.0"),
        (Tag.PIXEL_SPACING, b"0.5\\0.75", b"nan\\0.75"),
        (Tag.SLICE_THICKNESS, b"1.0 ", b"inf "),
        (Tag.INSTANCE_NUMBER, b"IS\x02\x001 ", b"IS\x02\x00? "),
    ],
)
def test_broken_numbers_are_absent_not_fatal(maker: Any, tag: int, good: bytes, bad: bytes) -> None:
    path = maker.slice("broken")
    data = path.read_bytes()
    place = data.index(good, data.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF)))
    path.write_bytes(data[:place] + bad + data[place + len(good) :])
    header = read_header(path)
    assert header.numbers(tag) == ()
    assert header.integer(tag) is None or tag == Tag.POSITION
    assert header.text(Tag.SERIES) == "1.2.2"


def test_a_file_cut_anywhere_gives_a_header_or_a_named_error_never_a_crash(maker: Any) -> None:
    data = maker.save(undefined_lengths(rich(maker)), "whole").read_bytes()
    path = maker.folder / "cut"
    outcomes = set()
    for length in [*range(0, 1200, 3), *range(1200, len(data), 997)]:
        path.write_bytes(data[:length])
        outcomes.add(outcome(path))
    assert outcomes == {"header", "not DICOM", "named error"} or outcomes == {"header", "not DICOM"}


def outcome(path: Path) -> str:
    try:
        read_header(path)
    except NotDicom:
        return "not DICOM"
    except FileError as error:
        assert str(path) in str(error)
        return "named error"
    return "header"


def test_random_damage_gives_a_header_or_a_named_error(maker: Any) -> None:
    damage(maker, rounds=300)


@pytest.mark.prove
def test_much_random_damage_gives_a_header_or_a_named_error(maker: Any) -> None:
    damage(maker, rounds=30_000)


def damage(maker: Any, rounds: int) -> None:
    data = bytearray(maker.save(undefined_lengths(rich(maker)), "whole").read_bytes())
    path = maker.folder / "damaged"
    dice = random.Random(5)
    for _ in range(rounds):
        copy = data.copy()
        for _ in range(dice.choice((1, 3, 20))):
            copy[dice.randrange(128, 3500)] = dice.randrange(256)
        path.write_bytes(copy)
        outcome(path)


def test_a_value_that_claims_gigabytes_does_not_fill_the_memory(maker: Any) -> None:
    path = maker.slice("claims")
    data = path.read_bytes()
    place = data.index(b"\x08\x00\x3e\x10LO")
    path.write_bytes(data[:place] + b"\x08\x00\x3e\x10UT\0\0\xf0\xff\xff\x7f" + data[place + 8 :])
    assert outcome(path) in ("named error", "header")


def test_a_deflated_bomb_is_given_up_early(maker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import zlib

    from DicomWorkbenchLib import headers_parse

    dataset = maker.dataset()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = maker.save(dataset, "bomb")
    start = read_header(path).parsed.data_offset
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    # A private element of 1 GB in front of everything the parser looks for.
    claimed = struct.pack("<HH2sHI", 0x0009, 0x0010, b"OB", 0, 1 << 30)
    packed = packer.compress(claimed) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    path.write_bytes(path.read_bytes()[:start] + packed)
    monkeypatch.setattr(headers_parse, "LARGEST_INFLATED_HEADER", 8 << 20)
    with pytest.raises(FileError, match="larger than it can be"):
        read_header(path)


def test_reading_a_data_set_names_the_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"gone\.dcm"):
        read_dataset(tmp_path / "gone.dcm")
    text = tmp_path / "text.dcm"
    text.write_text("no DICOM at all, but long enough to look into" * 20)
    with pytest.raises(FileError, match=r"text\.dcm is not a DICOM file"):
        read_dataset(text)


def test_encapsulated_pixel_data_have_no_stated_length() -> None:
    assert read_header(shipped("MR_small_RLE.dcm")).parsed.pixel_length == UNDEFINED
