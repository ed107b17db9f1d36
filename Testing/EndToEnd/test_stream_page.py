"""The server's own page in a real browser: it lists, plays, windows, follows the keyboard and names a damaged frame."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from DicomWorkbenchLib.process import end_group, own_group, workbench_command
from EndToEnd import ohif_viewer
from MultiframeStreamerLib.corpus import all_cases
from MultiframeStreamerLib.corpus.cine import JpegFrames, write_cine
from MultiframeStreamerLib.corpus.writer import text

FRAMES, TOKEN = 200, "a-token-of-enough-length"


def drive(url: str, pictures: Path, scheme: str, hash_: str = "") -> dict[str, Any]:
    order = {
        "chromium": ohif_viewer.chromium(), "playwright": str(ohif_viewer.CACHE / "node_modules/playwright-core/index.mjs"),
        "url": url, "pictures": str(pictures), "scheme": scheme, "frames": FRAMES, "title": "Heart", "broken": "Broken", "hash": hash_,
    }  # fmt: skip
    script = Path(__file__).with_name("page_drive.mjs")
    done = subprocess.run(
        ["node", str(script), json.dumps(order)], capture_output=True, text=True, timeout=120, check=False
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return result


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("scheme", "token"), [("dark", ""), ("light", TOKEN)])
def test_the_page_plays_by_keyboard_in_batches_and_names_a_damaged_frame(
    tmp_path: Path, scheme: str, token: str
) -> None:
    try:
        ohif_viewer.viewer_folder()
    except ohif_viewer.NotAvailableError as reason:
        pytest.skip(str(reason))
    data = tmp_path / "data"
    data.mkdir()
    write_cine(
        data / "a.dcm",
        FRAMES,
        JpegFrames(480, 640, different=16),
        rows=480,
        columns=640,
        extra={0x0008103E: ("LO", text("Heart"))},
    )
    (garbage,) = [case for case in all_cases() if case.name == "garbage-frame"]
    marked = garbage.content.replace(b"\x20\x00\x0d\x00UI", b"\x08\x00\x3e\x10LO\x06\x00Broken\x20\x00\x0d\x00UI", 1)
    (data / "b.dcm").write_bytes(marked)
    command = workbench_command(
        "stream", "serve", str(data), "--port", "0", "--progress", "json", *(["--token", token] if token else [])
    )
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **own_group())
    try:
        assert child.stdout is not None
        url = next(json.loads(line)["serving"] for line in child.stdout if "serving" in line)
        seen = drive(url, tmp_path, scheme, f"#token={token}" if token else "")
    finally:
        end_group(child)
        assert child.stdout is not None
        child.stdout.close()
    assert seen.get("failure") is None
    assert seen["errors"] == [] and seen["outside"] == []
    assert seen["summary"] == "2 objects"
    assert 30 <= seen["played"] <= 80, "two seconds at 25 frames a second, from frame 11"
    assert seen["batches"] >= 3
    assert seen["level"] == "40"
    assert "Frame 3 cannot be shown" in seen["broken"]
