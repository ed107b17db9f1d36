"""The panel's own way to a PACS: fetch a study by its button, from a real Orthanc."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
import pytest
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.pacs.received import Received
from SlicerHost.testing import panel_test

pytestmark = pytest.mark.needs("Orthanc", "module:pynetdicom", "module:dicomweb_client")
SLICES = 12


@panel_test("AutoSegmentQueue", timeout_s=180)
def test_a_study_is_pulled_by_its_button_and_the_log_says_how_it_went(panel: Any, tmp_path: Path) -> None:
    from pacs_testing import Peer, orthanc, small_slices

    files = small_slices(tmp_path / "ct", SLICES)
    with orthanc(tmp_path / "pacs", peers={"caller": Peer("WORKBENCH", 11112)}) as pacs:
        pacs.upload(tmp_path / "ct")
        panel.ui.networkSection.collapsed = False
        parameters = panel.widget._parameterNode
        parameters.home = tmp_path / "home"
        parameters.pullFrom, parameters.study = f"{pacs.ae_title}@127.0.0.1:{pacs.dicom_port}", "1.2.3"
        panel.click(panel.ui.pullButton)
        panel.wait_until(lambda: not panel.widget.adder.running, timeout_s=60)
        assert "Ended with exit code 1" in panel.ui.logText.plainText, "there is no such study"
        parameters.study = str(pydicom.dcmread(files[0]).StudyInstanceUID)
        panel.click(panel.ui.pullButton)
        assert not panel.ui.pullButton.enabled and "being added" in panel.ui.pullButton.toolTip
        panel.wait_until(lambda: not panel.widget.adder.running, timeout_s=60)
    assert f"{SLICES} of {SLICES}" in panel.ui.logText.plainText
    received = [path for series in Received(Home(tmp_path / "home")).all() for path in series.files()]
    assert len(received) == SLICES
    panel.wait_until(lambda: panel.widget.model.rowCount() == 1, timeout_s=30)
