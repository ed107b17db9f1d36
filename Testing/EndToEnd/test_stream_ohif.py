"""A real viewer in front of our server: OHIF in headless Chromium opens, scrolls, plays and reloads a large cine object."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from DicomWorkbenchLib.process import end_group, own_group, workbench_command
from EndToEnd import ohif_viewer
from MultiframeStreamerLib.corpus.cine import JpegFrames, Layout, write_cine

ROWS, COLUMNS, FRAMES = 480, 640, 600
HEAP_MB = 1500  # a tab may use about 4 GB; all frames decoded here would be 0.7 GB of float textures


@contextmanager
def served(path: Path) -> Iterator[str]:
    """Run our own command as users do; gives the address of the DICOMweb root."""
    command = workbench_command("stream", "serve", str(path), "--port", "0", "--progress", "json")
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **own_group())
    try:
        assert child.stdout is not None
        for line in child.stdout:
            message = json.loads(line)
            if "serving" in message:
                yield message["serving"] + "/dicomweb"
                return
        raise AssertionError("the server ended before it was ready")
    finally:
        end_group(child)
        assert child.stdout is not None
        child.stdout.close()


@pytest.mark.timeout(400)
def test_ohif_opens_scrolls_plays_and_reloads_a_file_with_an_empty_offset_table(tmp_path: Path) -> None:
    try:
        ohif_viewer.viewer_folder()
    except ohif_viewer.NotAvailableError as reason:
        pytest.skip(str(reason))
    path = tmp_path / "cine.dcm"
    write_cine(
        path, FRAMES, JpegFrames(ROWS, COLUMNS, different=16, size=200_000), Layout.EMPTY, rows=ROWS, columns=COLUMNS
    )
    study = str(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID)
    with served(path) as dicomweb, ohif_viewer.hosted(dicomweb) as address:
        seen = ohif_viewer.drive(address, study, tmp_path, seconds=300, play_seconds=5, reloads=3)
    assert seen.get("failure") is None
    assert not seen["crashed"] and not seen["errors"]
    assert len(seen["firstFrameMs"]) == 4 and all(seen["firstFrameMs"]), "one of the four openings showed no picture"
    assert seen["index"] == [1, FRAMES]
    assert seen["scrolled"] == [2, 3, 4, 5, 6]
    assert seen["cine"] == 1 and seen["played"] >= 5, "the cine player did not show different frames"
    assert seen["playedTo"][0] > seen["playedFrom"][0]
    assert set(seen["statuses"]) == {"200"}
    assert max(seen["heapMb"]) < HEAP_MB
