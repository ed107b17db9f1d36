"""A study is fetched from Orthanc by the page, in a real browser; truth: the instances that lie in Orthanc."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.pacs.received import Received
from EndToEnd.web_browser import drive, require_browser, served
from pacs_testing import dataset_bytes, orthanc, small_slices
from queue_testing import LIGHT

pytestmark = [pytest.mark.needs("node", "npm", "chromium", "Orthanc"), pytest.mark.timeout(600)]


def test_a_study_is_fetched_from_the_page_and_one_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    require_browser()
    slices = small_slices(tmp_path / "study", 12)
    home = Home.open(tmp_path / "home")
    with orthanc(tmp_path / "orthanc") as pacs:
        pacs.upload(slices[0].parent)
        home.save(replace(LIGHT, dicom=replace(LIGHT.dicom, ask=(pacs.dicomweb,))))
        with served(home.root) as server:
            study = str(pydicom.dcmread(slices[0]).StudyInstanceUID)
            order = {"url": server.address, "root": server.root, "pictures": str(tmp_path), "study": study}
            seen = drive("web_pull.mjs", order)
        assert seen["source"] == pacs.dicomweb
    assert seen["refusedByForm"]
    assert "in the queue" in seen["done"] and seen["job"].startswith("CT-")
    assert "1.2.3.4.5" in seen["missing"] or "no" in seen["missing"]
    assert seen["violations"] == [] and seen["errors"] == [] and seen["outside"] == []
    assert seen["wide"] <= 390
    received = sorted(dataset_bytes(path) for one in Received(home).all() for path in one.files())
    assert received == sorted(map(dataset_bytes, slices))
