"""The multi-frame sample: every layout holds the frames the truth names, read back by other people's programs."""

from __future__ import annotations

import hashlib
import struct
import subprocess
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from DicomWorkbenchLib.report import sha256_of
from DicomWorkbenchLib.samples.multiframe import CINES, make_multiframe
from DicomWorkbenchLib.samples.truth import read_truth
from DicomWorkbenchLib.samples.ultrasound import Heart
from pydicom.encaps import generate_fragments, generate_frames
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

FRAMES = 8
SMALL: dict[str, Any] = {"frames": FRAMES, "rows": 120, "columns": 160, "ct_frames": 6, "ct_size": 48}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("samples") / "multiframe"
    make_multiframe(made, **SMALL)
    return made


def truth_of(folder: Path, name: str) -> dict[str, Any]:
    (truth,) = [truth for truth in read_truth(folder)["files"] if truth["file"] == name]
    return dict(truth)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", [name for name, layout in CINES.items() if layout.valid])
def test_pydicom_finds_the_frames_of_every_valid_layout(folder: Path, name: str) -> None:
    dataset, truth = pydicom.dcmread(folder / name), truth_of(folder, name)
    tables = None
    if "ExtendedOffsetTable" in dataset:
        tables = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    frames = list(generate_frames(dataset.PixelData, number_of_frames=FRAMES, extended_offsets=tables))
    cut = [frame[:size] for frame, size in zip(frames, truth["frame_bytes"], strict=True)]
    assert [sha256(frame) for frame in cut] == truth["frame_sha256"]
    items = list(generate_fragments(dataset.PixelData))  # the first is the offset table
    assert len(items) == 1 + FRAMES * truth["fragments_per_frame"]


def test_lying_tables_are_named_in_the_truth_and_point_where_no_frame_begins(folder: Path) -> None:
    lying = [truth["file"] for truth in read_truth(folder)["files"] if not truth["valid"]]
    assert lying == ["us-lying-bot.dcm", "us-fragments-shifted-bot.dcm"]
    honest = {"us-lying-bot.dcm": "us-bot.dcm", "us-fragments-shifted-bot.dcm": "us-fragments-bot.dcm"}
    for name in lying:
        data, good = (pydicom.dcmread(folder / n).PixelData for n in (name, honest[name]))
        (size,) = struct.unpack("<I", data[4:8])
        offsets = [struct.unpack(f"<{size // 4}I", value[8 : 8 + size]) for value in (data, good)]
        assert offsets[0] != offsets[1] and data[8 + size :] == good[8 + size :]
        on_items = [data[8 + size + offset :][:4] == b"\xfe\xff\x00\xe0" for offset in offsets[0]]
        assert all(on_items) == (name == "us-fragments-shifted-bot.dcm")


def test_the_cine_is_in_colour_and_beats() -> None:
    heart = Heart(120, 160)
    first, contracted, next_beat = (heart.frame(n) for n in (0, 15, 30))
    assert (first == next_beat).all()
    assert np.abs(first.astype(int) - contracted).mean() > 2
    red, _, blue = (first[..., n].astype(int) for n in range(3))
    assert (red - blue).max() > 100


def test_a_jpeg_frame_shows_the_picture_that_was_drawn(folder: Path) -> None:
    dataset = pydicom.dcmread(folder / "us-empty-bot.dcm")
    decoded = imagecodecs.jpeg8_decode(next(iter(generate_frames(dataset.PixelData, number_of_frames=FRAMES))))
    assert np.abs(decoded.astype(int) - Heart(120, 160).frame(0))[:-3].mean() < 12  # lossy, and speckle is hard on it


@pytest.mark.needs("dcmdrle")
def test_dcmtk_decodes_the_rle_file_to_the_frames_of_the_truth(folder: Path, tmp_path: Path) -> None:
    subprocess.run(["dcmdrle", str(folder / "us-rle.dcm"), str(tmp_path / "plain.dcm")], check=True, timeout=60)
    pixels = pydicom.dcmread(tmp_path / "plain.dcm")
    truth = truth_of(folder, "us-rle.dcm")
    frames = np.frombuffer(pixels.PixelData, np.uint8)[: truth["frames"] * 120 * 160 * 3].reshape(truth["frames"], -1)
    if pixels.PlanarConfiguration == 1:
        frames = frames.reshape(len(frames), 3, -1).transpose(0, 2, 1)
    assert [sha256(frame.tobytes()) for frame in frames] == truth["decoded_sha256"]


@pytest.mark.needs("dcmdjpeg")
def test_dcmtk_decodes_frames_in_fragments_like_whole_ones(folder: Path, tmp_path: Path) -> None:
    pixels = []
    for name in ("us-bot.dcm", "us-fragments-bot.dcm"):
        subprocess.run(["dcmdjpeg", str(folder / name), str(tmp_path / name)], check=True, timeout=60)
        pixels.append(pydicom.dcmread(tmp_path / name).PixelData)
    assert pixels[0] == pixels[1]


def test_enhanced_ct_frames_have_their_own_places_and_both_files_the_same_values(folder: Path) -> None:
    plain, packed = (pydicom.dcmread(folder / name) for name in ("ct-enhanced.dcm", "ct-enhanced-htj2k.dcm"))
    truth = truth_of(folder, "ct-enhanced.dcm")
    matrix = np.array(truth["matrix_ijk_to_lps"])
    for group, k in zip(plain.PerFrameFunctionalGroupsSequence, truth["order"], strict=True):
        position = group.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(position, matrix[:3, 3] + k * matrix[:3, 2], atol=1e-6)
    assert truth["order"] == [0, 2, 4, 1, 3, 5]
    coded = generate_frames(packed.PixelData, number_of_frames=6)
    decoded = [imagecodecs.htj2k_decode(frame).astype("<i2") for frame in coded]
    assert [sha256(values.tobytes()) for values in decoded] == truth["decoded_sha256"]
    assert (np.stack(decoded) == plain.pixel_array).all()


def test_the_same_seed_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    make_multiframe(tmp_path / "again", **SMALL)
    for path in folder.iterdir():
        assert sha256_of(path) == sha256_of(tmp_path / "again" / path.name)


@pytest.mark.needs("dciodvfy")
def test_dciodvfy_finds_no_error_in_any_file(folder: Path, tmp_path: Path) -> None:
    for path in folder.glob("*.dcm"):
        checked = path
        if path.name == "ct-enhanced-htj2k.dcm":  # dciodvfy of 2022 does not know HTJ2K: the same header as JPEG 2000
            dataset = pydicom.dcmread(path)
            assert dataset.file_meta.TransferSyntaxUID != ExplicitVRLittleEndian
            dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
            checked = tmp_path / path.name
            dataset.save_as(checked)
        done = subprocess.run(["dciodvfy", "-new", str(checked)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "Error" not in done.stdout + done.stderr, path.name


@pytest.mark.needs("gdcminfo")
def test_gdcm_reads_the_cine_and_the_enhanced_ct(folder: Path) -> None:
    for name in ("us-bot.dcm", "us-rle.dcm", "ct-enhanced.dcm"):
        done = subprocess.run(["gdcminfo", str(folder / name)], capture_output=True, text=True, timeout=60, check=True)
        assert "NumberOfDimensions: 3" in done.stdout
