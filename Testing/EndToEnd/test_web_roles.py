"""Login and roles in a real browser: what each role sees and may do, and what is said when a session ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.web.people import People, Role
from AutoSegmentQueueLib.web.store import WebStore
from EndToEnd.web_browser import drive, require_browser, served
from queue_testing import nifti, web_states

pytestmark = [pytest.mark.needs("node", "npm", "chromium"), pytest.mark.timeout(600)]
PASSWORD = "a long enough password"


def end_sessions(home: Home) -> None:
    """Forget all sessions, as their end by time does."""
    store = WebStore(home)
    try:
        with store.writing() as connection:
            connection.execute("DELETE FROM sessions")
    finally:
        store.close()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    require_browser()
    folder = tmp_path_factory.mktemp("roles")
    home = Home.open(folder / "home")
    store = WebStore(home)
    for name, role in (("vera", Role.VIEWER), ("anna", Role.SUBMITTER), ("adam", Role.ADMIN)):
        People(store).add(name, role, PASSWORD)
    store.close()
    ids = web_states.fill(home, Path(folder / "nothing"))
    (folder / "plain.nii").write_bytes(nifti())
    with served(home.root) as server:
        order = {"url": server.address, "root": server.root, "pictures": str(folder), "ids": ids, "password": PASSWORD}
        order["scan"] = str(folder / "plain.nii")
        return drive("web_roles.mjs", order, {"end": lambda: end_sessions(home)})


def test_nobody_gets_in_without_the_right_password(seen: dict[str, Any]) -> None:
    assert seen["sentTo"] == seen["out"] == "/login"
    assert seen["wrong"]


def test_a_viewer_looks_and_touches_nothing(seen: dict[str, Any]) -> None:
    assert seen["viewer"] == {"upload": 0, "acts": 0, "rows": 10, "pause": 0}


def test_a_submitter_brings_scans_and_handles_only_own_jobs(seen: dict[str, Any]) -> None:
    assert seen["back"] == "spine-lumbar" and seen["cancelled"] == "Cancelled"
    assert seen["submitter"]["upload"] == 1 and seen["submitter"]["pause"] == 0
    assert "head-neck" not in seen["submitter"]["names"] and "chest-anna" in seen["submitter"]["names"]
    assert seen["foreign"] in ("403", "404")


def test_an_admin_sees_all_and_pauses_the_queue(seen: dict[str, Any]) -> None:
    assert seen["returned"] == "?q=spine"  # where the session had ended
    assert seen["admin"]["names"] == 10 and "Go on" in seen["admin"]["paused"]


def test_without_scripts_one_signs_in_and_brings_a_scan(seen: dict[str, Any]) -> None:
    assert seen["plain"][0] == "/" and seen["plain"][1] in ("Waiting", "Checking")


def test_login_and_role_pages_have_no_serious_violation(seen: dict[str, Any]) -> None:
    assert (
        len(seen["violations"]) == 10 and {state: found for state, found in seen["violations"].items() if found} == {}
    )
    assert seen["errors"] == [] and seen["outside"] == []
