"""Format checks: every prefix of a good file is "not complete", damage is "not usable", and nothing is believed from a header."""

from __future__ import annotations

import contextlib
import random
import struct
import time
import zlib
from pathlib import Path

import pytest
from AutoSegmentQueueLib.formats import NotComplete, NotUsable, StillOpen, base_name, check
from queue_testing import dicom, nifti
from queue_testing.corpus import GOOD, mutants, zipped


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", GOOD)
def test_good_files_pass_with_their_voxels(tmp_path: Path, name: str) -> None:
    checked = check(written(tmp_path, name, GOOD[name]))
    assert checked.voxels == {"zip": 0, "dicom": 64}.get(checked.form, 64)


@pytest.mark.parametrize("name", GOOD)
def test_no_prefix_of_a_good_file_passes(tmp_path: Path, name: str) -> None:
    content, draw = GOOD[name], random.Random(1)
    lengths = {
        0,
        1,
        3,
        min(131, len(content) - 1),
        len(content) // 2,
        len(content) - 1,
        *draw.sample(range(len(content)), min(60, len(content))),
    }
    waits = 0
    for length in sorted(lengths):
        path = written(tmp_path, name, content[:length])
        with pytest.raises((NotComplete, NotUsable)) as caught:
            check(path)
        waits += caught.type is not NotUsable
    assert waits >= len(lengths) * 0.9, "half-copied files are waited for"


@pytest.mark.parametrize("name", ["scan.nii.gz", "packed.nrrd", "study.zip"])
def test_space_that_is_only_reserved_yet_is_waited_for(tmp_path: Path, name: str) -> None:
    content = GOOD[name]
    path = written(tmp_path, name, content[: len(content) // 2].ljust(len(content) + 5000, b"\0"))
    with pytest.raises(NotComplete):
        check(path)


def test_a_file_of_zeros_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(NotComplete, match="reserved"):
        check(written(tmp_path, "scan.nii", bytes(2000)))


def test_a_damaged_gzip_trailer_is_found(tmp_path: Path) -> None:
    content = bytearray(GOOD["scan.nii.gz"])
    content[-6] ^= 1  # in the CRC32 (RFC 1952 2.3.1)
    with pytest.raises(NotUsable, match="gzip"):
        check(written(tmp_path, "scan.nii.gz", bytes(content)))
    content = bytearray(GOOD["scan.nii.gz"])
    content[-1] ^= 1  # in ISIZE
    with pytest.raises(NotUsable, match="gzip"):
        check(written(tmp_path, "scan.nii.gz", bytes(content)))


def test_headers_that_promise_terabytes_are_refused_without_memory(tmp_path: Path) -> None:
    header = bytearray(nifti())
    struct.pack_into("<8h", header, 40, 3, 32767, 32767, 32767, 1, 1, 1, 1)
    with pytest.raises(NotUsable, match="more than any scan"):
        check(written(tmp_path, "huge.nii", bytes(header)))
    text = GOOD["raw.nrrd"].replace(b"sizes: 4 4 4", b"sizes: 9999999 9999999 9")
    with pytest.raises(NotUsable, match="more than any scan"):
        check(written(tmp_path, "huge.nrrd", text))


def test_a_gzip_bomb_is_refused_early(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = packer.compress(nifti()) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    path, began = written(tmp_path, "bomb.nii.gz", bomb), time.monotonic()
    with pytest.raises(NotUsable, match="more than the"):
        check(path)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("name", ["../up.dcm", "/abs.dcm", "C:/x.dcm"])
def test_archives_with_dangerous_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotUsable):
        check(written(tmp_path, "bad.zip", zipped(dicom(), name)))


def test_two_dimensional_images_and_detached_headers_are_refused(tmp_path: Path) -> None:
    flat = GOOD["raw.nrrd"].replace(b"sizes: 4 4 4", b"sizes: 64 1 1")
    with pytest.raises(NotUsable, match="no volume"):
        check(written(tmp_path, "flat.nrrd", flat))
    detached = GOOD["raw.nrrd"].replace(b"endian: little", b"data file: other.raw")
    with pytest.raises(NotUsable, match="another file"):
        check(written(tmp_path, "detached.nrrd", detached))


def test_a_folder_of_slices_passes_and_one_half_copied_slice_holds_it_back(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    for number in range(3):
        written(folder, f"{number}", dicom())
    written(folder, "notes.txt", b"not a scan")
    assert check(folder).voxels == 3 * 64
    written(folder, "3", dicom()[:-5])
    with pytest.raises(NotComplete):
        check(folder)
    written(folder, "3", dicom())
    written(folder, "4.part", b"")
    with pytest.raises(NotComplete, match="part"):
        check(folder)


@pytest.mark.skipif("sys.platform != 'linux'", reason="leases of the Linux kernel")
def test_a_file_that_is_open_for_writing_is_waited_for(tmp_path: Path) -> None:
    path = written(tmp_path, "scan.nii", GOOD["scan.nii"])
    with path.open("ab"), pytest.raises(StillOpen):
        check(path)
    assert check(path).form == "nifti"


def test_base_names_lose_their_format() -> None:
    names = {"a.nii.gz": "a", "b.NRRD": "b", "c.x.nii": "c.x", "d": "d", ".nii": ".nii", "e.txt": "e.txt"}
    assert {name: base_name(Path(name)) for name in names} == names


def test_two_hundred_mutants_get_an_answer_within_a_second_each(tmp_path: Path) -> None:
    for name, content in mutants(200, seed=5):
        path, began = written(tmp_path, name, content), time.monotonic()
        with contextlib.suppress(NotComplete, NotUsable):
            check(path)
        assert time.monotonic() - began < 1
