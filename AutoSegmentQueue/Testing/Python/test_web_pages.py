"""What the pages are made of: markup that escapes, words, files with hashes, three.js without anything that a strict policy forbids."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from AutoSegmentQueueLib.states import State
from AutoSegmentQueueLib.web import assets, pages, words
from AutoSegmentQueueLib.web.markup import Markup, tag
from AutoSegmentQueueLib.web.pages_list import group_of

NASTY = "<script>alert(1)</script>\"'&<img src=x onerror=1>"
ME = {
    "name": "anna",
    "role": "admin",
    "csrf": "t0k3n",
    "can_submit": True,
    "can_admin": True,
    "quota": {"used": 0, "limit": 0},
}
ENGINES = [
    {
        "name": "threshold",
        "title": "Threshold",
        "available": True,
        "reason": None,
        "tasks": ["total"],
        "qualities": ["normal", "fast"],
    },
    {"name": "other", "title": NASTY, "available": False, "reason": NASTY, "tasks": [], "qualities": []},
]


def row(state: str, **more: Any) -> dict[str, Any]:
    return {
        "seq": 3, "id": "abcdefgh", "name": NASTY, "kind": "segment", "engine": "threshold", "task": NASTY, "quality": "fast",
        "device": "cpu", "state": state, "stage": NASTY, "progress": 0.5, "position": 2, "eta_seconds": 70, "wait_seconds": 1,
        "run_seconds": 2, "attempts": 3, "user": "anna", "created": 1.8e9, "started": None, "ended": None,
        "error": NASTY, "error_class": "engine",
        "can": {"cancel": True, "retry": True, "delete": True}, **more,
    }  # fmt: skip


def result() -> dict[str, Any]:
    structure = {
        "name": NASTY,
        "label": 1,
        "labels": [1],
        "color": [1, 2, 255],
        "volume_ml": 12.5,
        "mean": 1.0,
        "sd": 2.0,
        "stl": "/x.stl",
        "touches_edge": True,
    }
    axis = {"count": 9, "width": 8, "height": 7, "spacing": 2.0}
    return {
        "structures": [structure], "files": [{"name": NASTY, "bytes": 10, "sha256": "ab", "url": "/f"}], "models": {"glb": "/m.glb"},
        "previews": {"url": "/s", "axes": dict.fromkeys(("axial", "coronal", "sagittal"), axis), "windows": ["lung"]},
        "report": {
            "warnings": [NASTY], "engine": {"name": NASTY}, "inputs": [{"name": NASTY, "sha256": "cd"}], "input_count": 1, "seconds": 3,
        },
        "history": [{"event": 1, "at": 1.8e9, "state": "done", "note": NASTY}],
    }  # fmt: skip


def index(**more: Any) -> str:
    listed = {
        "jobs": [row(state.value) for state in State],
        "next": 1,
        "counts": {"done": 4},
        "paused": True,
        "intake": NASTY,
        "event": 9,
    }
    return pages.index(
        {
            "me": ME,
            "list": listed,
            "engines": ENGINES,
            "uploads": [],
            "defaults": {"engine": "threshold"},
            "q": NASTY,
            **more,
        }
    )


ALL = {
    "index": index(),
    **{f"job {state}": pages.job({"me": ME, "job": {**row(state.value), **result()}, "event": 1}) for state in State},
    "login": pages.login({"csrf": "c", "error": NASTY, "next": f"/jobs/{NASTY}", "oidc": NASTY}),
    "needs token": pages.login({"csrf": "c", "needs_token": True}),
    **{
        f"problem {status}": pages.problem({"status": status, "error": NASTY, "me": None})
        for status in (401, 403, 404, 413, 418, 500, 507)
    },
}


class Reader(HTMLParser):
    """Collects what a strict policy and a screen reader care about."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.unlabelled: list[str] = []

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.bad += [f"{name} {key}" for key in given if key.startswith("on") or key == "style"]
        if name == "style" or (name == "script" and "src" not in given):
            self.bad.append(name)
        for key in ("src", "href", "action"):
            if (given.get(key) or "").startswith(("http:", "https:", "//", "javascript:")):
                self.bad.append(f"{name} {key}={given[key]}")
        if "id" in given:
            self.ids.append(str(given["id"]))
        if name == "label":
            self.labelled.add(str(given.get("for")))
        if name in ("input", "select") and given.get("type") != "hidden" and "aria-label" not in given:
            self.unlabelled.append(str(given.get("id")))


@pytest.mark.parametrize("name", ALL)
def test_no_page_carries_a_script_a_style_or_somebody_elses_markup(name: str) -> None:
    reader = Reader()
    reader.feed(ALL[name])
    assert reader.bad == [] and "<script>alert" not in ALL[name] and "<img src=x" not in ALL[name]
    assert len(set(reader.ids) - {"job-abcdefgh"}) == len([one for one in reader.ids if one != "job-abcdefgh"])
    assert set(reader.unlabelled) <= reader.labelled


def test_a_viewer_gets_no_upload_area_and_no_button_to_pause() -> None:
    page = index(me={**ME, "role": "viewer", "can_submit": False, "can_admin": False})
    assert 'id="upload"' not in page and 'id="pause"' not in page and "upload.js" not in page
    assert 'id="upload"' in index() and 'id="pause"' in index()


def test_markup_escapes_texts_and_attributes_and_keeps_markup() -> None:
    made = tag("a", "<b>", Markup("<i>x</i>"), ["&", None], title='"<>', href="/a?b=1&c", hidden=True, id=None)
    assert made == '<a title="&quot;&lt;&gt;" href="/a?b=1&amp;c" hidden>&lt;b&gt;<i>x</i>&amp;</a>'
    assert tag("input", type="text", for_="x", data_sha256="y") == '<input type="text" for="x" data-sha256="y">'


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (1_500_000, "1.5 MB"),
        (2_340_000_000, "2.3 GB"),
        (123e9, "123 GB"),
    ],
)
def test_sizes_are_short(count: float, text: str) -> None:
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (95, "1 min 35 s"),
        (600, "10 min"),
        (3600, "1 h 0 min"),
        (200_000, "2 days"),
    ],
)
def test_durations_are_as_people_say_them(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_every_state_has_a_word_and_lies_in_one_filter() -> None:
    grouped = [state for _, states in words.GROUPS.values() for state in states]
    assert sorted(grouped) == sorted(words.STATES) == sorted(state.value for state in State)
    assert group_of("failed,quarantined") == "failed" == group_of("failed") and group_of("done,failed") == ""


def test_python_and_javascript_say_the_same_words() -> None:
    script = (assets.find("words.js") or pytest.fail("words.js is missing")).body.decode()
    said = {
        state: (word, color)
        for state, word, color in re.findall(r'(\w+): \["([^"]+)", "(wait|run|good|bad|off)"\]', script)
    }
    assert said == words.STATES


def test_files_are_named_by_their_content_and_scripts_import_by_those_names() -> None:
    for name in assets.names():
        asset = assets.find(name)
        if asset is None:
            continue  # three.js without trimesh
        assert assets.url(name).endswith(f"?v={asset.digest}")
        if name != assets.THREE:
            for other in re.findall(r'(?:from |import\()"([^"]+)"', asset.body.decode()):
                assert other in {assets.url(one) for one in assets.names()}, f"{name} imports {other}"
    assert assets.find("../pages.py") is None and assets.find("no.css") is None


@pytest.mark.needs("module:trimesh")
def test_three_js_comes_whole_with_its_licence_and_evaluates_nothing() -> None:
    asset = assets.find(assets.THREE)
    assert asset is not None
    text = asset.body.decode()
    assert "SPDX-License-Identifier: MIT" in text and "GLTFLoader" in text and "WebGLRenderer" in text
    assert not re.search(r"\beval\(|new Function\(", text) and "B64GLTF" not in text


def test_a_study_is_fetched_only_by_who_may_submit_and_from_systems_that_are_known() -> None:
    submitter = {**ME, "role": "submitter", "can_admin": False}
    known = index(me=submitter, peers=[NASTY])
    assert "pull-source" in known and NASTY not in known
    assert "pull-source" not in index(me=submitter, peers=[])
    assert "pull-source" not in index(me={**submitter, "role": "viewer", "can_submit": False}, peers=[NASTY])
    assert "datalist" in index(peers=[])
