"""Scans of folders as they come: foreign files, broken files, archives, copies; and how a scan reports and stops."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DicomWorkbenchLib.errors import Cancelled, NoDicomError
from DicomWorkbenchLib.outputs import StagedFolder
from DicomWorkbenchLib.progress import CancelToken
from DicomWorkbenchLib.series import Problem, ProblemKind, Scan, Severity, scan


def kinds(found: Scan) -> list[ProblemKind]:
    return sorted({problem.kind for problem in found.problems})


def problem_of(found: Scan, kind: ProblemKind) -> Problem:
    return next(problem for problem in found.problems if problem.kind is kind)


def zipped(folder: Path, archive: Path, prefix: str = "") -> Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                target.write(path, prefix + path.relative_to(folder).as_posix())
    return archive


def test_foreign_files_beside_the_images_are_ignored_and_counted(maker: Any) -> None:
    maker.stack(4)
    for name, content in {
        ".DS_Store": b"\0\0\0\1Bud1" + bytes(500),
        "Thumbs.db": b"\xd0\xcf\x11\xe0" + bytes(500),
        "report.pdf": b"%PDF-1.7\n" + bytes(3000),
        "notes.txt": b"nothing here\n",
        "empty.dcm": b"",
        "picture.dcm": b"\x89PNG\r\n\x1a\n" + bytes(300),
    }.items():
        (maker.folder / name).write_bytes(content)
    with scan(maker.folder) as found:
        assert len(found.series) == 1
        assert not found.problems
        assert (found.files_seen, found.files_ignored) == (10, 6)


def test_extensions_mean_nothing(maker: Any) -> None:
    for name in ("one", "two.dcm", "three.IMA", "four.txt", "five.zip", "six.0001"):
        maker.slice(name)
    with scan(maker.folder) as found:
        assert [len(one.planes) for one in found.series] == [6]


def test_a_dicomdir_is_passed_over() -> None:
    import pydicom

    folder = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"
    with scan([folder / "DICOMDIR", folder / "77654033"]) as found:
        assert found.files_ignored == 1
        assert {one.modality for one in found.series} == {"CT", "CR"}
        assert not [problem for problem in found.problems if problem.severity is Severity.ERROR]


def test_two_series_in_one_folder_are_kept_apart_and_named(maker: Any) -> None:
    maker.stack(4, prefix="a")
    maker.stack(3, prefix="b", SeriesInstanceUID="1.2.77", SeriesNumber=9)
    with scan(maker.folder) as found:
        assert [len(one.planes) for one in found.series] == [4, 3]
        note = problem_of(found, ProblemKind.SEVERAL_SERIES)
    assert note.severity is Severity.NOTE
    assert str(maker.folder) in note.message
    assert "CT series 9 (3 files)" in note.message


def test_our_own_unfinished_outputs_are_passed_over(maker: Any) -> None:
    paths = maker.stack(3)
    with pytest.raises(RuntimeError), StagedFolder(maker.folder / "result") as stage:
        shutil.copy(paths[0], stage / "half.dcm")
        with scan(maker.folder) as found:
            assert found.files_seen == 3
        raise RuntimeError("the stage is removed")


def test_a_cut_file_is_named_and_stays_in_its_series(maker: Any) -> None:
    paths = maker.stack(4)
    data = paths[2].read_bytes()
    paths[2].write_bytes(data[:-10])
    with scan(maker.folder) as found:
        cut = problem_of(found, ProblemKind.TRUNCATED)
        assert len(found.series[0].planes) == 4
    assert paths[2].name in cut.message
    assert "last 10 bytes" in cut.message
    assert cut.severity is Severity.ERROR


def test_a_file_cut_inside_its_header_is_unreadable(maker: Any) -> None:
    paths = maker.stack(4)
    paths[1].write_bytes(paths[1].read_bytes()[:500])
    with scan(maker.folder) as found:
        assert len(found.series[0].planes) == 3
        assert paths[1].name in problem_of(found, ProblemKind.UNREADABLE_FILE).message


def test_pixel_data_shorter_than_rows_times_columns_are_named(maker: Any) -> None:
    maker.stack(2)
    path = maker.slice("short", PixelData=bytes(70))
    with scan(maker.folder) as found:
        short = problem_of(found, ProblemKind.SHORT_PIXELS)
    assert short.message == f"{path}: the pixel data have 70 bytes; 8 x 6 pixels need 96"


def test_foreign_binary_files_that_begin_like_a_data_set_are_ignored(maker: Any) -> None:
    dice = np.random.default_rng(3)
    maker.stack(2)
    for number in range(40):
        start = (b"\x08\x00\x05\x00", b"\x08\x00\x05\x00CS", b"\x02\x00\x00\x00UL", b"\x00\x08\x00\x05CS")[number % 4]
        (maker.folder / f"x{number}").write_bytes(start + dice.integers(0, 256, 3000, np.uint8).tobytes())
    with scan(maker.folder) as found:
        assert not found.problems
        assert found.files_ignored == 40


def test_an_image_header_without_pixels_is_named(maker: Any) -> None:
    dataset = maker.dataset()
    del dataset.PixelData
    path = maker.save(dataset, "header_only")
    with scan(path) as found:
        assert "header_only" in problem_of(found, ProblemKind.NO_PIXELS).message


def test_paths_that_do_not_exist_are_problems(tmp_path: Path) -> None:
    with scan([tmp_path / "nowhere"]) as found:
        assert "nowhere" in problem_of(found, ProblemKind.UNREADABLE_FILE).message
        with pytest.raises(NoDicomError, match=r"no DICOM image was found among 0 files.*nowhere"):
            found.require_images()


@pytest.mark.skipif(os.name == "nt", reason="POSIX file modes")
def test_folders_and_files_without_permission_are_problems_not_the_end(maker: Any) -> None:
    maker.stack(3)
    locked_file = maker.slice("locked_file")
    maker.slice("locked_folder/x")
    locked_folder = maker.folder / "locked_folder"
    locked_file.chmod(0)
    locked_folder.chmod(0)
    try:
        result = scanned_as_nobody(maker.folder)
    finally:
        locked_file.chmod(0o600)
        locked_folder.chmod(0o700)
    assert result["planes"] == [3]
    assert result["problems"]["unreadable file"].startswith(f"{locked_file} cannot be read")
    assert str(locked_folder) in result["problems"]["unreadable folder"]


def scanned_as_nobody(folder: Path) -> dict[str, Any]:
    """Scan in a child without the rights of root, to whom every file is readable."""
    if os.geteuid() != 0:
        return summary(folder)
    for parent in (folder, *folder.parents):
        if parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o755)
    scan(folder).close()  # everything is imported before the rights are gone
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        os.write(writing, json.dumps(summary(folder)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return dict(json.loads(answer))


def summary(folder: Path) -> dict[str, Any]:
    with scan(folder) as found:
        return {
            "planes": [len(one.planes) for one in found.series],
            "problems": {problem.kind.value: problem.message for problem in found.problems},
        }


@pytest.mark.skipif(os.name == "nt", reason="named pipes and symbolic links of POSIX")
def test_pipes_links_in_circles_and_dead_links_do_no_harm(maker: Any) -> None:
    maker.stack(3)
    os.mkfifo(maker.folder / "pipe")
    (maker.folder / "again").symlink_to(maker.folder, target_is_directory=True)
    (maker.folder / "dead").symlink_to(maker.folder / "nowhere")
    with scan(maker.folder) as found:
        assert [len(one.planes) for one in found.series] == [3]
        assert [problem.kind for problem in found.problems] == [ProblemKind.UNREADABLE_FILE]
        assert "dead" in found.problems[0].message


def test_a_file_given_twice_is_read_once(maker: Any) -> None:
    paths = maker.stack(3)
    with scan([maker.folder, paths[0], str(paths[1])]) as found:
        assert found.files_seen == 3
        assert not found.problems


def test_copies_of_a_slice_are_left_out_and_named(maker: Any) -> None:
    paths = maker.stack(4)
    shutil.copy(paths[1], maker.folder / "copy")
    cut = maker.folder / "cut_copy"
    cut.write_bytes(paths[2].read_bytes()[:-8])
    with scan(maker.folder) as found:
        series = found.series[0]
        assert [item.path for item in series.instances] == paths
        note = problem_of(found, ProblemKind.DUPLICATE_INSTANCE)
    assert "2 files left out as copies" in note.message
    assert set(note.origins) == {str(maker.folder / "copy"), str(cut)}


def test_pictures_that_share_an_identity_are_all_kept(maker: Any) -> None:
    # Masks made by programs that copy the whole header of the CT slice, UIDs included.
    for name in ("ct", "liver", "tumor"):
        for k in range(4):
            pixels = np.full((8, 6), {"ct": 40 + k, "liver": 255, "tumor": 0}[name], np.int16)
            place = {"ImagePositionPatient": [0, 0, k], "SOPInstanceUID": f"1.2.3.{k}", "InstanceNumber": k}
            maker.slice(f"{name}/{k}", pixels=pixels, **place)
    with scan(maker.folder) as found:
        assert [len(one.planes) for one in found.series] == [4, 4, 4]
        folders = [{Path(item.origin).parent.name for item in one.instances} for one in found.series]
        assert folders == [{"ct"}, {"liver"}, {"tumor"}]
        assert problem_of(found, ProblemKind.SHARED_IDENTITY).severity is Severity.WARNING


def test_archives_within_archives_are_unpacked_and_their_names_kept(maker: Any, tmp_path: Path) -> None:
    maker.stack(4)
    inner = zipped(maker.folder, tmp_path / "build" / "p1" / "PATIENT_DICOM.zip", "PATIENT_DICOM/PATIENT_DICOM/")
    outer = zipped(inner.parent.parent, tmp_path / "cohort.zip")
    with scan(outer) as found:
        series = found.series[0]
        origins = {item.origin for item in series.instances}
        unpacked = [item.path for item in series.instances]
        assert len(series.planes) == 4
        assert all(path.is_file() for path in unpacked)
        folder = f"{outer}/p1/PATIENT_DICOM.zip/PATIENT_DICOM/PATIENT_DICOM"
        assert {os.path.dirname(origin) for origin in origins} == {folder}  # noqa: PTH120 - no path of this machine
    assert not any(path.exists() for path in unpacked)


def test_an_archive_beside_what_was_unpacked_from_it_adds_nothing(maker: Any) -> None:
    maker.stack(3)
    zipped(maker.folder, maker.folder.parent / "same.zip").rename(maker.folder / "same.zip")
    with scan(maker.folder) as found:
        assert [len(one.planes) for one in found.series] == [3]
        assert "3 files left out as copies" in problem_of(found, ProblemKind.DUPLICATE_INSTANCE).message


def test_a_refused_archive_is_a_problem_and_the_rest_is_read(maker: Any) -> None:
    maker.stack(3)
    with zipfile.ZipFile(maker.folder / "evil.zip", "w") as target:
        target.writestr("../../evil", b"x")
    (maker.folder / "broken.zip").write_bytes(b"PK\x03\x04" + bytes(200))
    with scan(maker.folder) as found:
        assert len(found.series) == 1
        messages = [one.message for one in found.problems if one.kind is ProblemKind.REFUSED_ARCHIVE]
    assert len(messages) == 2
    assert any("evil.zip" in text and "leads out of its folder" in text for text in messages)
    assert any("broken.zip" in text and "damaged" in text for text in messages)


def test_a_damaged_archive_inside_an_archive_is_named_with_its_way(maker: Any, tmp_path: Path) -> None:
    maker.stack(2)
    (maker.folder / "inner.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    outer = zipped(maker.folder, tmp_path / "outer.zip")
    with scan(outer) as found:
        assert len(found.series[0].planes) == 2
        assert problem_of(found, ProblemKind.REFUSED_ARCHIVE).origins == (f"{outer}/inner.zip",)


def test_documents_that_are_zip_archives_are_left_alone(maker: Any) -> None:
    maker.stack(2)
    zipped(maker.folder, maker.folder.parent / "table.xlsx").rename(maker.folder / "table.xlsx")
    with scan(maker.folder) as found:
        assert found.files_ignored == 1
        assert not found.problems


def test_no_message_holds_patient_data(maker: Any) -> None:
    paths = maker.stack(6, leave_out=[2])
    maker.slice("again", ImagePositionPatient=[-10, 20, -25])
    paths[0].write_bytes(paths[0].read_bytes()[:-6])
    data = bytearray(paths[1].read_bytes())
    place = data.index(b"Secret^Name")
    data[place - 4 : place - 2] = b"!!"  # the value representation of the name: pydicom is asked, and complains
    paths[1].write_bytes(data)
    with scan(maker.folder) as found:
        assert ProblemKind.UNREADABLE_FILE in kinds(found)
        text = " ".join(problem.message for problem in found.problems)
    assert "Secret" not in text
    assert "SECRET" not in text


def test_progress_counts_up_to_all_files(maker: Any) -> None:
    maker.stack(100)
    seen: list[tuple[int, int, str]] = []
    with scan(maker.folder, progress=lambda *state: seen.append(state)) as found:
        assert found.files_seen == 100
    counts = [done for done, _, _ in seen]
    assert counts == sorted(counts)
    assert seen[-1] == (100, 100, "sorting slices")


@pytest.mark.parametrize("jobs", [None, 1, 4])
def test_any_number_of_threads_finds_the_same(maker: Any, jobs: int | None) -> None:
    maker.stack(90)
    with scan(maker.folder, jobs=jobs) as found:
        assert [item.instance_number for item in found.series[0].instances] == list(range(90, 0, -1))


class CancelAtLook(CancelToken):
    """A token that is turned by somebody at its n-th look."""

    def __init__(self, look: int) -> None:
        super().__init__()
        self.left = look
        self.turned_at = 0.0

    def check(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.turned_at = time.monotonic()
            self.cancel()
        super().check()


@pytest.mark.parametrize("look", [1, 4, 20, 40])
def test_a_cancelled_scan_stops_within_a_second_and_leaves_nothing(
    maker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: int
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    noise = np.random.default_rng(1).integers(0, 255, 20_000_000, np.uint8).tobytes()
    maker.stack(5)
    with zipfile.ZipFile(maker.folder / "large.zip", "w", zipfile.ZIP_STORED) as target:
        target.writestr("noise", noise)
    token = CancelAtLook(look)
    with pytest.raises(Cancelled):
        scan(maker.folder, cancel=token)
    assert time.monotonic() - token.turned_at < 1
    assert list(scratch.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="kills the child as only POSIX can")
def test_what_a_killed_scan_unpacked_is_removed_by_the_next_one(maker: Any, tmp_path: Path) -> None:
    maker.stack(3)
    archive = zipped(maker.folder, tmp_path / "a.zip")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    script = (
        "import os, signal, sys\n"
        "from DicomWorkbenchLib.series import scan\n"
        "found = scan(sys.argv[1])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "TMPDIR": str(scratch)}
    command = [sys.executable, "-c", script, str(archive)]
    assert subprocess.run(command, env=environment, timeout=60, check=False).returncode == -signal.SIGKILL
    (left,) = scratch.iterdir()
    assert len([path for path in left.rglob("*") if path.is_file()]) == 4  # three slices and the owner's mark
    script = "import sys; from DicomWorkbenchLib.series import scan; scan(sys.argv[1]).close()"
    subprocess.run([sys.executable, "-c", script, str(archive)], env=environment, timeout=60, check=True)
    assert list(scratch.iterdir()) == []


def test_a_scan_that_nobody_closed_removes_what_it_unpacked(maker: Any, tmp_path: Path) -> None:
    maker.stack(2)
    found = scan(zipped(maker.folder, tmp_path / "a.zip"))
    path = found.series[0].instances[0].path
    assert path.exists()
    del found
    assert not path.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="file names that are no text exist on Linux")
def test_a_file_name_that_is_no_text_can_be_reported(maker: Any) -> None:
    path = maker.slice("odd")
    path.rename(os.fsdecode(os.fsencode(path.parent) + b"/caf\xe9"))
    with scan(maker.folder) as found:
        origin = found.series[0].instances[0].origin
        assert found.series[0].instances[0].path.exists()
    assert origin.endswith("caf?")
    json.dumps(origin).encode("utf-8")


def test_files_without_a_series_are_stacked_folder_by_folder(maker: Any) -> None:
    maker.stack(3, prefix="a/", SeriesInstanceUID=None)
    maker.stack(2, prefix="b/", SeriesInstanceUID=None)
    with scan(maker.folder) as found:
        assert sorted(len(one.planes) for one in found.series) == [2, 3]


def test_differing_descriptions_do_not_split_a_series(maker: Any) -> None:
    for k in range(4):
        maker.slice(f"s{k}", ImagePositionPatient=[0, 0, k], SeriesDescription=f"phase {k}")
    with scan(maker.folder) as found:
        assert [len(one.planes) for one in found.series] == [4]
