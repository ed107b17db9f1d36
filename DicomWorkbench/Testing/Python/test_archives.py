"""Archives that nobody vouches for: unpacked completely, or refused with nothing left behind."""

from __future__ import annotations

import io
import os
import stat
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import pytest
from DicomWorkbenchLib.archives import Limits, is_archive, unpack
from DicomWorkbenchLib.errors import ArchiveError, Cancelled
from DicomWorkbenchLib.progress import CancelToken


def archive_of(path: Path, *entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as target:
        for name, content in entries:
            target.writestr(name, content)
    return path


def packed(*entries: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in entries:
            target.writestr(name, content)
    return buffer.getvalue()


def refused(archive: Path, into: Path, reason: str, limits: Limits | None = None) -> None:
    with pytest.raises(ArchiveError, match=reason) as caught:
        unpack(archive, into, limits=limits)
    assert archive.name in str(caught.value)
    assert not into.exists()


def test_files_and_folders_come_out_as_they_went_in(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.zip", ("x/y/one", b"1"), ("x/two.dcm", b"22"), ("empty/", b""), ("üñ/三", b"3"))
    files = unpack(archive, tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in files] == ["x/y/one", "x/two.dcm", "üñ/三"]
    assert [path.read_bytes() for path in files] == [b"1", b"22", b"3"]
    assert (tmp_path / "out" / "empty").is_dir()


def test_archives_within_archives_become_folders(tmp_path: Path) -> None:
    innermost = packed(("image_0", b"pixels"))
    inner = packed(("PATIENT_DICOM/image_0", b"ct"), ("deeper", innermost))
    archive = archive_of(tmp_path / "a.zip", ("p1/PATIENT_DICOM.zip", inner), ("readme", b"text"))
    files = unpack(archive, tmp_path / "out")
    names = {path.relative_to(tmp_path / "out").as_posix(): path.read_bytes() for path in files}
    assert names == {
        "p1/PATIENT_DICOM.zip/PATIENT_DICOM/image_0": b"ct",
        "p1/PATIENT_DICOM.zip/deeper/image_0": b"pixels",
        "readme": b"text",
    }
    assert sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file()) == sorted(files)


def test_archives_inside_can_be_left_for_later(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.zip", ("inner.zip", packed(("x", b"1"))))
    (file,) = unpack(archive, tmp_path / "out", nested=False)
    assert is_archive(file)


def test_office_documents_inside_are_files(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.zip", ("table.xlsx", packed(("[Content_Types].xml", b"<x/>"))))
    (file,) = unpack(archive, tmp_path / "out")
    assert file.name == "table.xlsx"
    assert file.is_file()


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "a/../../evil",
        "/etc/evil",
        "\\\\server\\evil",
        "..\\evil",
        "a\\..\\..\\evil",
        "C:\\evil",
        "c:evil",
        "./../evil",
    ],
)
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    archive = archive_of(tmp_path / "evil.zip", ("good", b"1"), (name, b"2"))
    refused(archive, tmp_path / "out", "leads out of its folder")
    assert not list(tmp_path.rglob("evil"))


def test_backslashes_of_windows_programs_separate_folders(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for name, content in (("aXb", b"1"), ("dX", b"")):
            target.writestr(zipfile.ZipInfo(name), content)
    archive.write_bytes(archive.read_bytes().replace(b"aXb", b"a\\b").replace(b"dX", b"d\\"))
    files = unpack(archive, tmp_path / "out")
    assert files == [tmp_path / "out" / "a" / "b"]
    assert (tmp_path / "out" / "d").is_dir()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    entry = zipfile.ZipInfo("link")
    entry.create_system = 3
    entry.external_attr = (kind | 0o777) << 16
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("good", b"1")
        target.writestr(entry, "/etc/passwd")
    refused(archive, tmp_path / "out", "link or device")


def test_names_used_twice_never_overwrite(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as target, pytest.warns(UserWarning, match="Duplicate name"):
        target.writestr("s/image.dcm", b"1")
        target.writestr("s/image.dcm", b"2")
        target.writestr("s/IMAGE.dcm", b"3")
        target.writestr("S/other", b"4")
        target.writestr("s/image.dcm/inside", b"5")
        target.writestr("s/e\u0301", b"6")
        target.writestr("s/\u00e9", b"7")
    files = unpack(archive, tmp_path / "out")
    assert [path.read_bytes() for path in files] == [b"1", b"2", b"3", b"4", b"5", b"6", b"7"]
    folded = {path.relative_to(tmp_path / "out").as_posix().casefold() for path in files}
    assert len(folded) == 7
    assert [path.name for path in files[:3]] == ["image.dcm", "image_2.dcm", "IMAGE_3.dcm"]
    assert files[3].parent == files[0].parent  # one folder, as on file systems that ignore case


@pytest.mark.parametrize("name", ["con", "NUL.txt", "a:b?.dcm", "ends. ", "x" * 400, "tab\tname"])
def test_names_that_some_systems_forbid_are_changed(tmp_path: Path, name: str) -> None:
    (file,) = unpack(archive_of(tmp_path / "a.zip", ("d/" + name, b"1")), tmp_path / "out")
    assert file.read_bytes() == b"1"
    assert len(file.name) < 200
    assert not set('<>:"|?*\t') & set(file.name)
    assert file.name.rstrip(". ") == file.name
    assert file.stem.lower() not in ("con", "nul")


def bomb(path: Path) -> Path:
    """Write a small archive within which another one holds three entries of 4.2 GB, all zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    # After a full flush the packed bytes can be repeated: 250 times the zeros without the time to deflate them.
    block, repeats = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH), 250
    stream = block * repeats + b"\x03\x00"
    data = bytearray(archive_of(path, *[(name, stream) for name in "abc"], method=zipfile.ZIP_STORED).read_bytes())
    for signature, method, size in ((b"PK\x03\x04", 8, 22), (b"PK\x01\x02", 10, 24)):
        at = -1
        while (at := data.find(signature, at + 1)) >= 0:
            struct.pack_into("<H", data, at + method, zipfile.ZIP_DEFLATED)
            struct.pack_into("<I", data, at + size, repeats << 24)
    return archive_of(path, ("inner.zip", bytes(data)))


@pytest.fixture(scope="module")
def ten_gigabytes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bomb(tmp_path_factory.mktemp("bomb") / "bomb.zip")


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a child is read from /proc")
def test_a_bomb_of_ten_gigabytes_is_refused_quickly_with_little_memory_and_disk(
    ten_gigabytes: Path, tmp_path: Path
) -> None:
    assert ten_gigabytes.stat().st_size < 200_000
    script = (
        "import resource, sys, time\n"
        "from pathlib import Path\n"
        "from DicomWorkbenchLib.archives import unpack\n"
        "from DicomWorkbenchLib.errors import ArchiveError\n"
        # No file may grow beyond 200 MB: the bomb must be noticed long before it fills a disk.
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200 << 20, 200 << 20))\n"
        "def peak(): return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        "before, start = peak(), time.monotonic()\n"
        "try:\n"
        "    unpack(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except ArchiveError as error:\n"
        "    assert 'times its size' in str(error), error\n"
        "print(time.monotonic() - start, peak() - before)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(ten_gigabytes), str(tmp_path / "out")],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    seconds, kilobytes = (float(part) for part in run.stdout.split())
    assert seconds < 5
    assert kilobytes < 40_000
    assert not (tmp_path / "out").exists()


def test_sizes_that_an_archive_states_are_not_believed(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "liar.zip", ("zeros", bytes(3_000_000)))
    data = bytearray(archive.read_bytes())
    for signature, field in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", data, data.index(signature) + field, 10)
    archive.write_bytes(data)
    # zipfile gives no more than the stated ten bytes, whose checksum is wrong then.
    refused(archive, tmp_path / "out", "damaged")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(entries=3), "more than 3 files"),
        (Limits(file_bytes=1000), "unpacks to more than 1000 bytes"),
        (Limits(total_bytes=5000), "unpacks to more than 5 kB"),
        (Limits(ratio=3, ratio_from_bytes=100), "more than 3 times its size"),
        (Limits(depth=1), "more than 1 levels deep"),
    ],
)
def test_every_limit_is_kept(tmp_path: Path, limits: Limits, reason: str) -> None:
    entries = [(f"f{number}", bytes(1500)) for number in range(5)]
    archive = archive_of(tmp_path / "a.zip", ("inner.zip", packed(("x", b"1"))), *entries)
    assert len(unpack(archive, tmp_path / "fine")) == 6
    refused(archive, tmp_path / "out", reason, limits)


def test_an_archive_that_contains_itself_without_end_is_refused(tmp_path: Path) -> None:
    content = packed(("end", b"x"))
    for _ in range(10):
        content = packed(("r/r.zip", content))
    (tmp_path / "r.zip").write_bytes(content)
    refused(tmp_path / "r.zip", tmp_path / "out", "levels deep")


def test_masks_of_zeros_are_no_bomb(tmp_path: Path) -> None:
    # 16-bit masks of 512 x 512 behind a header: what liver data sets hold, near the limit of what deflate can do.
    header = os.urandom(700)
    archive = tmp_path / "masks.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for number in range(200):
            target.writestr(f"MASKS_DICOM/liver/image_{number}", header + bytes(2 * 512 * 512))
    assert 100_000_000 / archive.stat().st_size > 200
    assert len(unpack(archive, tmp_path / "out")) == 200


def test_an_archive_with_a_giant_directory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.zip", ("x", b"1"))
    data = bytearray(archive.read_bytes())
    struct.pack_into("<I", data, data.rindex(b"PK\x05\x06") + 12, 0x7FFFFFFF)
    archive.write_bytes(data)
    refused(archive, tmp_path / "out", "directory of 2 GB")


def test_an_encrypted_archive_is_refused_by_name(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "secret.zip", ("x", b"1"))
    data = bytearray(archive.read_bytes())
    for signature, field in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + field] |= 1
    archive.write_bytes(data)
    refused(archive, tmp_path / "out", r"secret\.zip is encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_claim_memory_at_once_are_refused(tmp_path: Path, method: int) -> None:
    archive = archive_of(tmp_path / "a.zip", ("x", bytes(1000)), method=method)
    refused(archive, tmp_path / "out", "other than deflate")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"no archive at all" * 10])
def test_what_is_no_archive_says_so(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(content)
    if content.startswith(b"PK\x05\x06"):
        assert unpack(archive, tmp_path / "out") == []
    else:
        refused(archive, tmp_path / "out", "damaged")


def test_any_damage_is_an_archive_error_and_leaves_nothing(tmp_path: Path) -> None:
    import random

    whole = archive_of(
        tmp_path / "a.zip", ("x/y", os.urandom(3000)), ("z", bytes(5000)), ("i.zip", packed(("q", b"1")))
    ).read_bytes()
    dice = random.Random(2)
    for number in range(150):
        data = bytearray(whole)
        for _ in range(dice.choice((1, 4))):
            data[dice.randrange(len(data))] = dice.randrange(256)
        if number % 3 == 0:
            del data[dice.randrange(len(data)) :]
        (tmp_path / "a.zip").write_bytes(data)
        into = tmp_path / f"out{number}"
        try:
            unpack(tmp_path / "a.zip", into)
        except ArchiveError:
            assert not into.exists()


def test_a_damaged_archive_inside_stays_a_file(tmp_path: Path) -> None:
    inner = bytearray(packed(("x", os.urandom(500))))
    inner[60] ^= 0xFF
    archive = archive_of(tmp_path / "a.zip", ("good", b"1"), ("bad.zip", bytes(inner)))
    files = unpack(archive, tmp_path / "out")
    assert [path.name for path in files] == ["good", "bad.zip"]
    assert files[1].read_bytes() == bytes(inner)
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_cancel_leaves_nothing(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.zip", ("x", os.urandom(3_000_000)))
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        unpack(archive, tmp_path / "out", cancel=token)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limit of file sizes stands in for a full disk")
def test_a_disk_that_takes_no_more_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.zip", ("small", b"1"), ("large", os.urandom(2_000_000)))
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from DicomWorkbenchLib.archives import unpack\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "unpack(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(archive), str(tmp_path / "out")], capture_output=True, text=True, timeout=60
    )
    assert f"ArchiveError: {archive} could not be unpacked: File too large" in run.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("keep")
    with pytest.raises(ArchiveError, match="not empty"):
        unpack(archive_of(tmp_path / "a.zip", ("x", b"1")), tmp_path / "out")
    assert (tmp_path / "out" / "mine").read_text() == "keep"


def test_an_empty_folder_that_existed_stays_and_stays_empty(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ArchiveError):
        unpack(archive_of(tmp_path / "a.zip", ("x", b"1"), ("../y", b"2")), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_progress_counts_entries(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    archive = archive_of(tmp_path / "a.zip", *[(str(number), b"1") for number in range(5)])
    unpack(archive, tmp_path / "out", progress=lambda done, total, message: seen.append((done, total)))
    assert seen == [(number, 5) for number in range(5)]


def test_a_bomb_of_a_thousand_gigabytes_is_refused_as_quickly(ten_gigabytes: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "more.zip", "w", zipfile.ZIP_DEFLATED) as target:
        for number in range(100):
            target.write(ten_gigabytes, f"{number}.zip")
    started = time.monotonic()
    refused(tmp_path / "more.zip", tmp_path / "out", "times its size")
    assert time.monotonic() - started < 20
