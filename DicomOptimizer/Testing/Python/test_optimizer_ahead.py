"""Truth: the scan of one process, which must find the same as headers read by several."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from DicomWorkbenchLib.errors import Cancelled, ProcessError
from DicomWorkbenchLib.progress import NEVER, CancelToken
from DicomWorkbenchLib.series import Scan, scan

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="headers are read by forked processes on Linux only")


def readers(inputs: list[Path], count: int, cancel: CancelToken = NEVER) -> Any:
    from DicomOptimizerLib.ahead_posix import ForkedReaders

    return ForkedReaders(inputs, count, cancel)


@pytest.fixture(scope="module")
def everything(scan_folder: Path, oblique_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several chunks of images with linked objects, an archive, a broken image, and files that are no DICOM."""
    folder = tmp_path_factory.mktemp("ahead") / "case"
    for name, source in (("a", scan_folder), ("b", oblique_folder), ("c", scan_folder), ("d", oblique_folder)):
        shutil.copytree(source, folder / name)
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        for path in sorted((scan_folder / "ct").iterdir())[:3]:
            archive.write(path, path.name)
    for n in range(100):
        (folder / f"note{n}.txt").write_text("no DICOM")
    broken = next((folder / "d" / "ct").iterdir())
    broken.write_bytes(broken.read_bytes()[:300])
    return folder


def facts(found: Scan) -> tuple[Any, ...]:
    def planes(one: Any) -> list[tuple[str, Any, Any]]:
        return [(plane.instance.sop_instance_uid, plane.instance.rows, plane.position_lps) for plane in one.planes]

    return (
        [(one.label, one.series_instance_uid, planes(one)) for one in found.series],
        [(one.origin, one.modality, one.series_instance_uids, one.referenced_sop_uids) for one in found.linked],
        [str(problem) for problem in found.problems if ".zip" not in str(problem)],
        (found.files_seen, found.files_ignored),
    )


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_several_processes_find_what_one_finds(count: int, everything: Path) -> None:
    inputs = [everything, everything.parent / "missing"]
    ahead = readers(inputs, count)
    try:
        with scan(inputs, examined=ahead.chunks()) as found, scan(inputs) as true:
            assert len(true.linked) > 1
            assert len(true.problems) > 2
            assert facts(found) == facts(true)
    finally:
        ahead.end()


def test_a_cancel_stops_the_scan_and_ends_the_processes(everything: Path) -> None:
    cancel = CancelToken()
    ahead = readers([everything], 2, cancel)
    cancel.cancel()
    with pytest.raises(Cancelled):
        scan([everything], examined=ahead.chunks(), cancel=cancel)
    ahead.end()
    for pid in ahead._pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_process_that_dies_is_said_and_no_file_is_lost_in_silence(everything: Path) -> None:
    ahead = readers([everything], 2)
    try:
        chunks = ahead.chunks()
        next(chunks)
        os.kill(ahead._pids[1], signal.SIGKILL)
        ahead._streams[1].read()  # what it had sent before
        with pytest.raises(ProcessError, match="--jobs 1"):
            list(chunks)
    finally:
        ahead.end()
