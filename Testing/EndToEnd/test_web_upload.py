"""Two scans and a folder go through the page in a real browser and are segmented by the real embedded engine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from AutoSegmentQueueLib.validation import check_result

pytestmark = [
    pytest.mark.needs("node", "npm", "chromium", "module:slicer", "module:SimpleITK"),
    pytest.mark.timeout(600),
]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_two_scans_and_a_folder_are_done_without_the_page_being_loaded_again(journey: Any) -> None:
    assert journey.seen["live"] is True and journey.seen["counts"] == "3" and journey.seen["title"] == "chest-folder"
    assert {"Waiting", "Running", "Done"} <= set(journey.seen["words"])
    assert journey.seen["progress"] >= 3, "progress did not move"


def test_what_arrived_is_what_was_sent_and_its_results_are_valid(journey: Any) -> None:
    folders = sorted(path.name for path in (journey.home / "output").iterdir())
    assert folders == ["chest-anna", "chest-ben", "chest-folder"]
    for name in folders:
        assert check_result(journey.home / "output" / name) == []
    manifest = json.loads((journey.result / "manifest.json").read_text())
    assert [one["sha256"] for one in manifest["inputs"]] == [sha256(journey.scans[0])]
    slices = json.loads((journey.home / "output" / "chest-folder" / "manifest.json").read_text())["inputs"]
    assert sorted(one["sha256"] for one in slices) == sorted(sha256(path) for path in journey.folder.rglob("*.dcm"))


def test_what_is_no_scan_is_refused_with_the_reason(journey: Any) -> None:
    assert "notes.txt is no scan" in journey.seen["toast"]
    assert len(journey.seen["refused"]) > 20 and "broken" not in (journey.home / "output").name


def test_uploading_has_no_serious_violation_and_asks_nobody_outside(journey: Any) -> None:
    assert journey.seen["violations"] == [] and journey.seen["outside"] == [] and journey.seen["errors"] == []
    assert journey.seen["tokenInAddress"] is False
