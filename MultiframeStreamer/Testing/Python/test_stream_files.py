"""Files out: single frames, repacked copies, concatenations, shareable copies, and the command that makes them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from DicomWorkbenchLib.cli import run as workbench
from DicomWorkbenchLib.errors import InputError, OutputError, PixelDataError, SettingsError
from MultiframeStreamerLib import blank, export, indexing, open_frames, repack
from MultiframeStreamerLib.corpus import all_cases
from MultiframeStreamerLib.corpus.cine import JpegFrames, Layout, write_cine
from MultiframeStreamerLib.corpus.sample import small_stack
from MultiframeStreamerLib.settings import (
    BlankSettings,
    Codec,
    ExportSettings,
    FrameForm,
    Region,
    RepackSettings,
    parse_frames,
)

CASES = {case.name: case for case in all_cases()}
READABLE = [name for name, case in CASES.items() if case.frames and all(case.frames) and name != "garbage-frame"]
Written = Callable[[str], Path]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICOM_WORKBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(name: str) -> Path:
        (tmp_path / f"{name}.dcm").write_bytes(CASES[name].content)
        return tmp_path / f"{name}.dcm"

    return write


def test_frames_are_written_as_stored_as_samples_and_as_pictures(written: Written, tmp_path: Path) -> None:
    import imagecodecs

    path = written("jpeg-ls-fragments")
    for form in FrameForm:
        report = export.run(ExportSettings(str(path), tmp_path / form, "2,4-5", form))
        assert report.written == 3
    assert (tmp_path / "encoded" / "frame-000004.jls").read_bytes() == CASES["jpeg-ls-fragments"].frames[3]
    with open_frames(path) as frames:
        assert (tmp_path / "raw" / "frame-000002.raw").read_bytes() == frames[1].astype("<u2").tobytes()
        assert np.array_equal(
            imagecodecs.png_decode((tmp_path / "png" / "frame-000005.png").read_bytes()), frames.displayed(4)
        )
    assert json.loads((tmp_path / "raw" / "report.json").read_text())["written"] == 3


def test_a_broken_frame_is_reported_and_the_rest_is_written(written: Written, tmp_path: Path) -> None:
    report = export.run(ExportSettings(str(written("cut-in-third-frame")), tmp_path / "out", ""))
    assert report.written == 2
    assert sorted(report.failed) == ["3", "4", "5"]
    with pytest.raises(PixelDataError):
        export.run(ExportSettings(str(written("cut-in-third-frame")), tmp_path / "none", "4"))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("text", ["0", "6", "3-2", "1,1", "a", "1-", "-3", "1;2", "1,,2", "99999999999999999999"])
def test_frame_lists_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_frames(text, 5)


@pytest.mark.parametrize("name", READABLE)
def test_a_repacked_copy_has_the_same_frames_and_a_clean_bill_of_health(
    name: str, written: Written, tmp_path: Path
) -> None:
    path, out = written(name), tmp_path / "out.dcm"
    repack.run(RepackSettings(path, out))
    with open_frames(path) as before, open_frames(out) as after:
        assert after.notes == []
        assert len(after) == len(before)
        for index in range(len(before)):
            if before.syntax.encapsulated:
                assert after.encoded(index).rstrip(b"\0") == before.encoded(index).rstrip(b"\0")
            assert np.array_equal(after[index], before[index])
        if after.syntax.encapsulated:
            assert after.objects[0].index.witness == "Basic Offset Table, checked"


@pytest.mark.parametrize("codec", [Codec.HTJ2K, Codec.JPEG_LS])
@pytest.mark.parametrize(
    "name", ["jpeg-lossless", "native-implicit-signed", "native-colour-planes", "colour-jpeg", "native-big-endian-16"]
)
def test_a_recoded_copy_is_bit_exact_for_us_and_for_pydicom(
    name: str, codec: Codec, written: Written, tmp_path: Path
) -> None:
    path, out = written(name), tmp_path / "out.dcm"
    repack.run(RepackSettings(path, out, codec))
    stored = pydicom.dcmread(out)
    with open_frames(path) as before, open_frames(out) as after:
        for index in range(len(before)):
            assert np.array_equal(after[index], before[index])
        if codec is Codec.JPEG_LS:  # pydicom alone cannot decode HTJ2K
            assert np.array_equal(stored.pixel_array, np.stack([*before]))


def test_one_bit_frames_are_repacked_bit_by_bit_and_not_recoded(written: Written, tmp_path: Path) -> None:
    path = written("native-1-bit-padded")
    repack.run(RepackSettings(path, tmp_path / "out.dcm"))
    with open_frames(path) as before, open_frames(tmp_path / "out.dcm") as after:
        assert after.notes == []
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    with pytest.raises(PixelDataError, match="keep"):
        repack.run(RepackSettings(path, tmp_path / "no.dcm", Codec.HTJ2K))
    assert not (tmp_path / "no.dcm").exists()


def test_a_concatenation_is_split_found_again_and_joined(tmp_path: Path) -> None:
    path, truth = small_stack(tmp_path, frames=13)
    report = repack.run(RepackSettings(path, tmp_path / "parts", split=5))
    files = sorted((tmp_path / "parts").iterdir())
    assert (report.files, len(files)) == (3, 3)
    headers = [pydicom.dcmread(f, stop_before_pixels=True) for f in files]
    assert [h.ConcatenationFrameOffsetNumber for h in headers] == [0, 5, 10]
    assert len({h.ConcatenationUID for h in headers}) == 1
    assert len({h.SOPInstanceUID for h in headers}) == 3
    for place in (tmp_path / "parts", files[1], files):
        with open_frames(place) as frames:
            assert len(frames) == 13
            assert all(np.array_equal(frames.values(i), truth[i]) for i in range(13))
            assert frames.metadata(11).InStackPositionNumber == 12
    repack.run(RepackSettings(files[0], tmp_path / "joined.dcm"))
    joined, original = pydicom.dcmread(tmp_path / "joined.dcm"), pydicom.dcmread(path)
    assert joined.PixelData == original.PixelData
    assert joined.SOPInstanceUID == original.SOPInstanceUID
    assert joined.PerFrameFunctionalGroupsSequence == original.PerFrameFunctionalGroupsSequence
    files[1].unlink()
    with pytest.raises(InputError, match="part 2 of 3"):
        open_frames(files[0])


def test_a_broken_file_is_not_repacked_into_a_trap(written: Written, tmp_path: Path) -> None:
    with pytest.raises(PixelDataError):
        repack.run(RepackSettings(written("cut-in-third-frame"), tmp_path / "out.dcm"))
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix == ".dcm" or p.name.startswith(".")) == [
        "cut-in-third-frame.dcm"
    ]
    (tmp_path / "there.dcm").write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists"):
        repack.run(RepackSettings(written("basic-table"), tmp_path / "there.dcm"))
    assert (tmp_path / "there.dcm").read_bytes() == b"precious"


# Faults that lie in the picture itself go with it: a thumbnail's beginning, and bits that show how frames are padded.
LOST_WITH_THE_PICTURE = ("false-beginning",)
BLANKED = [n for n in CASES if CASES[n].frames and not n.startswith(("deflated-data", "native-1-bit-padded"))]


def without_digits(notes: list[str]) -> list[str]:
    """Return notes without the positions in them."""
    return ["".join(c for c in note if not c.isdigit()) for note in notes]


@pytest.mark.parametrize("name", BLANKED)
def test_a_blank_copy_has_the_same_structure_and_nothing_else(name: str, written: Written, tmp_path: Path) -> None:
    path, out = written(name), tmp_path / "blank.dcm"
    report = blank.run(BlankSettings(path, out))
    assert report.same_structure
    with open_frames([path], sidecar=False) as before, open_frames([out], sidecar=False) as after:
        old, new = before.objects[0], after.objects[0]
        if name not in LOST_WITH_THE_PICTURE:
            assert without_digits(new.index.notes) == without_digits(old.index.notes)
        assert len(after) == len(before)
        sizes = [len(frame) for frame in CASES[name].frames]
        assert [after.encoded_size(i) for i in range(len(after)) if sizes[i]] == [s for s in sizes if s]
        shift = new.header.pixel_offset - old.header.pixel_offset
        if hasattr(old.index, "offsets"):
            assert [o + shift for o in old.index.offsets] == list(new.index.offsets)
        for index, size in enumerate(sizes):
            if size and name != "garbage-frame":
                assert (after[index] == after[index][0, 0]).all()
    stored = pydicom.dcmread(out, stop_before_pixels=True)
    assert b"Corpus" not in out.read_bytes() and b"CORPUS" not in out.read_bytes()
    assert stored.PatientIdentityRemoved == "YES"
    assert stored.SOPInstanceUID != pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID


def test_no_pixel_and_no_name_of_the_original_is_left_in_a_blank_copy(tmp_path: Path) -> None:
    path, _ = small_stack(tmp_path)
    original = pydicom.dcmread(path)
    original.add_new(0x00091001, "LO", "PRIVATE SECRET")
    original.add_new(0x00090010, "LO", "MAKER")
    original.ImageComments, original.InstitutionName = "SECRET comment", "SECRET hospital"
    original.PerFrameFunctionalGroupsSequence[0].FrameContentSequence[0].FrameComments = "SECRET frame"
    original.save_as(path)
    blank.run(BlankSettings(path, tmp_path / "blank.dcm"))
    raw = (tmp_path / "blank.dcm").read_bytes()
    assert b"SECRET" not in raw and b"Sample^Stack" not in raw
    with open_frames(path) as frames:
        for index in range(len(frames)):
            stored = frames.encoded(index)
            assert stored[-60:-4] not in raw
    copy = pydicom.dcmread(tmp_path / "blank.dcm")
    assert (
        copy.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence
        == original.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence
    )
    assert blank.is_blank(tmp_path / "blank.dcm")


@pytest.mark.parametrize(
    "name", ["jpeg-lossless", "htj2k", "native-colour-planes", "colour-jpeg", "native-1-bit-unaligned"]
)
def test_only_a_region_is_blanked_on_wish(name: str, written: Written, tmp_path: Path) -> None:
    path, out = written(name), tmp_path / "blank.dcm"
    blank.run(BlankSettings(path, out, (Region(2, 3, 9, 5),)))
    with open_frames(path) as before, open_frames(out) as after:
        for index in range(len(before)):
            assert after[index][3:8, 2:11].max() <= (60 if name == "colour-jpeg" else 0)
            rest = np.ones(before[index].shape[:2], bool)
            rest[3:8, 2:11] = False
            if name != "colour-jpeg":
                assert np.array_equal(after[index][rest], before[index][rest])
    with pytest.raises(SettingsError, match="outside"):
        blank.run(BlankSettings(path, tmp_path / "no.dcm", (Region(0, 0, 500, 5),)))


def test_a_folder_is_indexed_and_what_cannot_be_is_named(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write_cine(data / "a.dcm", 100, JpegFrames(20, 24, different=2), rows=20, columns=24)
    write_cine(data / "b.dcm", 100, JpegFrames(20, 24, different=2), Layout.FRAGMENTS, rows=20, columns=24)
    (data / "c.txt").write_text("no DICOM")
    report = indexing.run(indexing.IndexSettings(data))
    assert (report.indexed, report.frames, list(report.failed)) == (2, 200, ["c.txt"])
    assert sorted(p.name for p in data.iterdir()) == ["a.dcm", "b.dcm", "c.txt"]
    with open_frames(data / "a.dcm") as frames:
        assert frames.objects[0].from_sidecar
    indexing.run(indexing.IndexSettings(data, beside=True))
    assert (data / "a.dcm.frame-index").exists()


def test_the_command_does_all_of_it_and_has_the_right_exit_codes(
    written: Written, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written("fragments-with-table")
    assert workbench(["stream", "info", str(path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["frames"], facts["transfer_syntax_name"], facts["health"]) == (5, "JPEG Baseline", [])
    assert workbench(["stream", "frames", str(path), "1,3-4", "-o", str(tmp_path / "f"), "--raw"]) == 0
    names = ["frame-000001.raw", "frame-000003.raw", "frame-000004.raw", "report.json"]
    assert sorted(p.name for p in (tmp_path / "f").iterdir()) == names
    assert workbench(["stream", "frames", str(path), "9", "-o", str(tmp_path / "g")]) == 2
    assert workbench(["stream", "info", str(written("video"))]) == 1
    assert "video" in capsys.readouterr().err
    assert workbench(["stream", "blank", str(path), str(tmp_path / "blank.dcm")]) == 0
    assert workbench(["stream", "repack", str(path), str(tmp_path / "repacked.dcm"), "--codec", "htj2k"]) == 0
    assert workbench(["stream", "serve", str(path), "--host", "0.0.0.0"]) == 2
    assert workbench(["stream", "corpus", str(tmp_path / "corpus")]) == 0
    assert len(json.loads((tmp_path / "corpus" / "truth.json").read_text())) == len(CASES)


@pytest.mark.needs("dciodvfy")
def test_a_split_enhanced_ct_has_no_new_errors_for_dciodvfy(tmp_path: Path) -> None:
    path, _ = small_stack(tmp_path)
    repack.run(RepackSettings(path, tmp_path / "parts", split=6))

    def errors(file: Path) -> set[str]:
        done = subprocess.run(["dciodvfy", "-new", str(file)], capture_output=True, text=True, check=False)
        return {line for line in done.stderr.splitlines() if line.startswith("Error")}

    before = errors(path)
    for part in (tmp_path / "parts").iterdir():
        assert errors(part) - before == set()
