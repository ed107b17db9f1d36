"""Every state of the pages in a real browser, light and dark, on a desktop and a phone: readable, nothing cut, nothing from outside."""

from __future__ import annotations

from typing import Any

import pytest
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Ledger
from EndToEnd.web_browser import drive, require_browser, served
from queue_testing import web_states

pytestmark = [pytest.mark.needs("node", "npm", "chromium", "module:slicer"), pytest.mark.timeout(600)]
DISK = "the disk has 1.2 GB free, less than the 5 GB that are kept; make room, and it goes on by itself"


@pytest.fixture(scope="module")
def seen(journey: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one tour through all states saw."""
    require_browser()
    folder = tmp_path_factory.mktemp("states")
    home, empty = Home.open(folder / "home"), Home.open(folder / "empty")
    ids = web_states.fill(home, journey.result)
    ledger = Ledger(home.ledger)
    acts = {
        "pause": lambda: ledger.set_paused(True),
        "full": lambda: ledger.set_fact("intake", DISK),
        "well": lambda: (ledger.set_paused(False), ledger.set_fact("intake", "")),
    }
    try:
        with served(home.root) as server, served(empty.root) as other:
            acts |= {"stop": server.kill, "start": server.start}
            order = {
                "url": server.address,
                "root": "http://127.0.0.1",
                "empty": other.address,
                "ids": ids,
                "pictures": str(folder),
            }
            return drive("web_states.mjs", order, acts)
    finally:
        ledger.close()


def test_no_page_in_any_state_has_a_serious_violation_in_either_scheme(seen: dict[str, Any]) -> None:
    assert len(seen["violations"]) >= 20
    assert {state: found for state, found in seen["violations"].items() if found} == {}


def test_no_page_is_wider_than_a_phone(seen: dict[str, Any]) -> None:
    assert seen["widths"] and {state: width for state, width in seen["widths"].items() if width > 390} == {}


def test_nothing_comes_from_outside_and_nothing_breaks_the_policy(seen: dict[str, Any]) -> None:
    assert seen["outside"] == [] and seen["errors"] == []


def test_names_are_text_never_markup(seen: dict[str, Any]) -> None:
    assert seen["nasty"] == [web_states.NASTY] * 2 and seen["images"] == 0


def test_filters_and_search_show_what_they_say(seen: dict[str, Any]) -> None:
    assert sorted(seen["failed"]) == ["abdomen-07", "photo", "thorax-long"]
    assert seen["found"] == ["spine-lumbar"] and seen["nothing"] == "Nothing matches"


def test_a_failure_says_why_and_what_to_do(seen: dict[str, Any]) -> None:
    assert web_states.TOO_BRIGHT.lower() in seen["reason"].lower() and "What to do" in seen["reason"]
    assert "Put aside" in seen["quarantine"] and "Tried" not in seen["reason"]


def test_a_lost_server_is_said_and_found_again(seen: dict[str, Any]) -> None:
    assert "cannot be reached" in seen["lost"] and seen["back"] is True


def test_a_deleted_job_is_asked_about_and_gone(seen: dict[str, Any]) -> None:
    assert seen["asked"] == "Delete this job?" and seen["kept"] is True and seen["gone"] is True
