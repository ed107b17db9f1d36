"""A server killed in the middle of an upload and of a job, under a real browser: nothing lost, little sent twice.

The queue, the server and the upload are the real ones; the job is the light one that tests know.
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest
from AutoSegmentQueueLib.ledger import Ledger
from EndToEnd.web_browser import drive, require_browser, served
from queue_testing import nifti, opened_home

pytestmark = [pytest.mark.needs("node", "npm", "chromium"), pytest.mark.timeout(600)]
VOXELS_ALONG = 200  # 16 MB, some seconds at the speed the browser is held to
CHUNK = 1 << 20


def scan(path: Path, seed: int) -> Path:
    """A scan that no compression on the way could make smaller."""
    header = nifti("ok", VOXELS_ALONG, seed)[:352]
    path.write_bytes(header + random.Random(seed).randbytes(2 * VOXELS_ALONG**3))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path, dict[str, Path]]:
    require_browser()
    folder = tmp_path_factory.mktemp("interrupted")
    files = {name: scan(folder / f"{name}.nii", number) for number, name in enumerate(("first", "second", "third"))}
    files["job"] = folder / "sleeper.nii"
    files["job"].write_bytes(nifti("sleep:3"))
    with opened_home(folder / "home") as (home, _, _), served(home.root, "serve") as server:
        order = {
            "url": server.address,
            "root": server.root,
            "pictures": str(folder),
            "size": files["first"].stat().st_size,
        }
        order |= {name: str(path) for name, path in files.items()}
        seen = drive("web_interrupted.mjs", order, {"kill": server.kill, "start": server.start})
    return seen, home.root, files


def test_a_killed_server_costs_an_upload_at_most_one_chunk(run: Any) -> None:
    seen = run[0]["resumed"]
    assert seen["before"] * seen["size"] - seen["offset"] <= CHUNK and seen["offset"] > 0
    assert "connection is lost" in run[0]["lost"]


def test_an_upload_goes_on_after_the_page_was_loaded_again(run: Any) -> None:
    seen = run[0]
    assert "choose the same file again" in seen["listed"] and seen["listedShare"] > 0
    assert seen["reloaded"]["offset"] > 0 and seen["units"] == 1


def test_a_paused_upload_stands_still_and_a_removed_one_is_gone(run: Any) -> None:
    assert run[0]["pausedStays"] is True and run[0]["removed"] is True
    assert "/s" in run[0]["speed"] and "left" in run[0]["speed"]


def test_everything_arrived_once_and_unchanged(run: Any) -> None:
    seen, home, files = run
    ledger = Ledger(home / "ledger.sqlite3")
    try:
        jobs = {job.name: job for job in ledger.jobs(None)}
    finally:
        ledger.close()
    assert sorted(seen["rows"]) == sorted(jobs) == ["first", "second", "sleeper"]
    for name in ("first", "second"):
        assert jobs[name].sha256 == hashlib.sha256(files[name].read_bytes()).hexdigest()


def test_a_job_whose_server_was_killed_is_done_on_the_page_that_watched_it(run: Any) -> None:
    assert run[0]["job"] == "Done" and run[0]["stayed"] is True


def test_lost_and_unfinished_uploads_have_no_serious_violation(run: Any) -> None:
    assert run[0]["lostViolations"] == run[0]["listedViolations"] == [] and run[0]["outside"] == [] == run[0]["errors"]
