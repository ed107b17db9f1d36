"""``dicom-workbench demo``: its commands, its gallery, and that a second run makes the same."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from DicomWorkbenchLib.demo_steps import steps
from DicomWorkbenchLib.workflows import WORKFLOWS
from EndToEnd.demo_files import differences

pytestmark = pytest.mark.needs("module:imagecodecs")
TIMES = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d")


class Links(HTMLParser):
    """Collects what a page leads to and shows."""

    def __init__(self) -> None:
        super().__init__()
        self.local: list[str] = []
        self.remote: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value and not value.startswith(("#", "data:")):
                (self.remote if "//" in value else self.local).append(value)


def demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "DicomWorkbenchLib", "demo", str(folder), *options]
    return subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, check=False)


def check_gallery(folder: Path) -> str:
    """Check that everything on the page is there and nothing comes from elsewhere; return the page."""
    page, found = (folder / "index.html").read_text(encoding="utf-8"), Links()
    found.feed(page)
    assert found.local, "a gallery shows something"
    assert [link for link in found.local if not (folder / link).exists()] == []
    assert found.remote == [], "the gallery works without a network"
    assert not TIMES.search(page), "equal results are equal pages"
    return page


def test_the_demo_uses_every_workflow_and_chains_one_journey_to_a_served_picture():
    chosen = list(steps(None))
    assert {step.verb for step in chosen} == set(WORKFLOWS) - {"demo", "optimize-preview"}
    journey = [step.arguments[:2] for step in chosen if step.chapter == "journey"]
    assert journey == [
        ("queue", "serve"),
        ("tumors", "data/ct-rtstruct"),
        ("optimize", "data/ct-rtstruct"),
        ("stream", "serve"),
    ]
    assert len({step.output for step in chosen}) == len(chosen)


def test_the_frames_of_the_demo_stand_in_a_gallery_and_come_out_the_same_again(tmp_path):
    for name in ("one", "two ä"):
        done = demo(tmp_path / name, "--only", "frames")
        assert done.returncode != 0, "frames need the sample data"
        done = demo(tmp_path / name, "--only", "multiframe")
        assert done.returncode == 0, done.stderr
        assert "index.html" in done.stderr + done.stdout
    assert "dicom-workbench sample-data multiframe" in check_gallery(tmp_path / "one")
    assert list(differences(tmp_path / "one", tmp_path / "two ä")) == []


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("three years of work")
    done = demo(tmp_path / "mine")
    assert done.returncode == 1
    assert "choose another folder" in done.stderr
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.prove
def test_two_whole_demos_are_equal_bit_for_bit_but_for_what_holds_the_time(tmp_path):
    for name in ("one", "two"):
        done = demo(tmp_path / name)
        assert done.returncode == 0, done.stderr
        page = check_gallery(tmp_path / name)
        assert "served" in page
        assert (tmp_path / name / "journey/served/rendered.png").read_bytes().startswith(b"\x89PNG")
    unexplained = [name for name, why in differences(tmp_path / "one", tmp_path / "two") if not why]
    assert unexplained == []
