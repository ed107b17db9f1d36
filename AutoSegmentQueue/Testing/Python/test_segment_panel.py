"""The queue's panel on the stand-in for Slicer: opened, filled in, clicked and photographed, with a real queue behind it."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from AutoSegmentQueueLib.pacs.outbox import FILE, DeliveryState, NewDelivery, Outbox
from AutoSegmentQueueLib.pacs.send_settings import SendSettings
from AutoSegmentQueueLib.pacs.settings import DicomSettings
from AutoSegmentQueueLib.panel import fields_of, place_in_input, settings_of
from AutoSegmentQueueLib.panel_cells import duration
from AutoSegmentQueueLib.panel_network import pull_arguments, pull_obstacle, serve_arguments
from AutoSegmentQueueLib.settings import QueueSettings, SegmentationSettings
from DicomWorkbenchLib.errors import SettingsError
from SlicerHost.testing import panel_test

pytestmark = [pytest.mark.needs("module:slicer", "module:PySide6", "module:SimpleITK")]


def use_home(panel: Any, folder: Path) -> Any:
    """Let the panel use a home of this test; returns its parameter node."""
    parameters = panel.widget._parameterNode
    parameters.home = folder / "home"
    return parameters


def fill(folder: Path, count: int, state: str = "queued") -> Any:
    """Make a ledger with so many jobs, quickly: straight into its table."""
    from AutoSegmentQueueLib.home import Home
    from AutoSegmentQueueLib.ledger import Ledger

    home = Home.open(folder / "home")
    ledger = Ledger(home.ledger)
    now = time.time()
    rows = [(f"id{n:06}", f"scan-{n:05}", state, now - count + n, now - count + n, n) for n in range(count)]
    with ledger.writing() as connection:
        connection.executemany(
            "INSERT INTO jobs (id, name, kind, engine, options, state, created, changed, key)"
            " VALUES (?, ?, 'segment', 'threshold', '{}', ?, ?, ?, ?)",
            rows,
        )
    return ledger


def names(panel: Any, count: int) -> list[str]:
    model = panel.widget.model
    return [model.data(model.index(row, 0)) for row in range(count)]


def test_the_address_of_the_page_is_taken_without_the_fingerprint_behind_it(tmp_path: Path) -> None:
    from AutoSegmentQueueLib.home import Home
    from AutoSegmentQueueLib.panel import QueueProcess

    given: dict[str, Any] = {}
    lines: list[str] = []
    process = QueueProcess(lambda command, **options: given.update(options), lines.append, lambda code: None)
    process.start(Home.open(tmp_path / "home"), "serve", "--port", "0")
    for line in ("page ", "page https://127.0.0.1:8443/?token=abc   certificate SHA256 AB:CD", "serving"):
        given["logCallback"](line)
    assert process.page == "https://127.0.0.1:8443/?token=abc" and len(lines) == 3


@panel_test("AutoSegmentQueue")
def test_an_empty_panel_says_what_can_be_done_and_cuts_no_text(panel: Any, tmp_path: Path) -> None:
    use_home(panel, tmp_path)
    assert panel.ui.startButton.enabled
    assert not panel.ui.addVolumeButton.enabled
    assert "Choose a volume" in panel.ui.addVolumeButton.toolTip
    assert "Click a job first" in panel.ui.cancelButton.toolTip
    assert "Nothing has been queued" in panel.ui.summaryLabel.text
    assert not (tmp_path / "home").exists(), "looking at a panel writes nothing"
    assert not panel.cut_texts()


@panel_test("AutoSegmentQueue")
def test_an_engine_that_is_not_there_is_explained(panel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_TOTALSEGMENTATOR", str(tmp_path))
    use_home(panel, tmp_path).engine = "totalsegmentator"
    assert not panel.ui.startButton.enabled
    assert "make setup-totalsegmentator" in panel.ui.engineLabel.text
    panel.widget._parameterNode.engine = "threshold"
    assert panel.ui.startButton.enabled
    assert not panel.ui.taskEdit.enabled, "thresholds have no tasks"
    panel.ui.structuresEdit.text = "liver"
    assert "body, lungs, bone" in panel.ui.startButton.toolTip


@panel_test("AutoSegmentQueue")
def test_the_network_section_explains_itself_and_cuts_no_text(panel: Any, tmp_path: Path) -> None:
    parameters = use_home(panel, tmp_path)
    panel.ui.networkSection.collapsed = False
    assert "where the study is" in panel.ui.pullButton.toolTip
    parameters.pullFrom, parameters.study = "PACS@127.0.0.1:104", "1.2.3"
    assert panel.ui.pullButton.enabled
    assert not panel.ui.schedulerEdit.enabled
    parameters.executor = "scheduler"
    assert panel.ui.schedulerEdit.enabled
    assert "address of the scheduler" in panel.ui.engineLabel.text
    parameters.scheduler = "tcp://127.0.0.1:8786"
    assert panel.ui.startButton.enabled
    assert not panel.cut_texts()
    panel.picture("network")


@panel_test("AutoSegmentQueue", timeout_s=240)
def test_a_volume_is_queued_segmented_and_its_result_loaded(panel: Any, tmp_path: Path) -> None:
    """From Start to the segmentation in the scene, with the real server process and the embedded engine."""
    from AutoSegmentQueueLib.panel_sample import write_sample_scan

    parameters = use_home(panel, tmp_path)
    write_sample_scan(tmp_path / "chest.nrrd")
    parameters.scan = panel.slicer.util.loadVolume(str(tmp_path / "chest.nrrd"))
    panel.click(panel.ui.startButton)
    panel.wait_until(lambda: "The queue runs" in panel.ui.statusLabel.text, timeout_s=60)
    assert not panel.ui.workSection.enabled
    panel.click(panel.ui.addVolumeButton)
    panel.wait_until(lambda: panel.widget.model.rowCount() == 1, timeout_s=60)
    panel.ui.jobsView.selectRow(0)
    state = panel.widget.model
    panel.wait_until(lambda: state.data(state.index(0, 1)) in ("done", "failed", "quarantined"), timeout_s=100)
    assert state.data(state.index(0, 1)) == "done", state.source.tip(0)
    panel.wait_until(lambda: panel.ui.loadButton.enabled, timeout_s=5)
    panel.picture("done")
    panel.click(panel.ui.loadButton)
    node = panel.slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[0]
    assert node.GetSegmentation().GetNumberOfSegments() == 3
    panel.click(panel.ui.previewButton)
    assert panel.user.opened_urls[0].endswith("preview.html")
    panel.click(panel.ui.webButton)
    panel.click(panel.ui.webButton)
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    for address in panel.user.opened_urls[1:3]:  # the address logs this browser in once; after that it knows us
        with browser.open(address, timeout=10) as answer:
            assert "chest" in answer.read().decode()
    panel.click(panel.ui.stopButton)
    panel.wait_until(lambda: not panel.widget.server.running, timeout_s=20)
    panel.wait_until(lambda: "does not run" in panel.ui.statusLabel.text, timeout_s=5)
    assert not panel.ui.webButton.enabled


@panel_test("AutoSegmentQueue")
def test_jobs_are_cancelled_tried_again_and_moved_up(panel: Any, tmp_path: Path) -> None:
    ledger = fill(tmp_path, 3)
    use_home(panel, tmp_path)
    assert names(panel, 3) == ["scan-00002", "scan-00001", "scan-00000"]
    panel.ui.jobsView.selectRow(1)
    panel.widget.poll()
    panel.click(panel.ui.soonerButton)
    assert ledger.job("id000001").priority == 1
    panel.click(panel.ui.cancelButton)
    assert ledger.job("id000001").state == "cancelled"
    assert not panel.ui.cancelButton.enabled
    assert "cancelled" in panel.ui.cancelButton.toolTip
    panel.click(panel.ui.retryButton)
    assert ledger.job("id000001").state == "queued"
    panel.click(panel.ui.pauseButton)
    assert ledger.paused
    assert panel.ui.summaryLabel.text.startswith("Paused. 3 queued")
    assert panel.ui.pauseButton.text == "Go on"
    ledger.close()


@panel_test("AutoSegmentQueue")
def test_where_results_went_is_said_and_what_was_given_up_is_sent_again(panel: Any, tmp_path: Path) -> None:
    ledger = fill(tmp_path, 2, "done")
    use_home(panel, tmp_path)
    panel.ui.jobsView.selectRow(0)
    panel.widget.poll()
    assert not panel.ui.sentLabel.visible and not panel.ui.sendAgainButton.visible, "nothing was to be sent"
    box = Outbox(tmp_path / "home" / FILE)
    box.take_in([NewDelivery("id000001", one, "result") for one in ("PACS@10.1.2.3:104", "https://pacs/dicom-web")], 1)
    stored, dead = box.deliveries()
    box.mark(stored, DeliveryState.STORED)
    box.mark(dead, DeliveryState.DEAD, "it refuses SEG objects")
    panel.widget.poll()
    assert panel.ui.sentLabel.text.splitlines() == [
        "Stored at PACS@10.1.2.3:104",
        "Given up: https://pacs/dicom-web (it refuses SEG objects)",
    ]
    assert not panel.cut_texts()
    panel.picture("sent")
    panel.click(panel.ui.sendAgainButton)
    assert [one.state for one in box.deliveries()] == ["stored", "waiting"]
    box.mark(dead, DeliveryState.STORED)
    panel.widget.poll()
    assert not panel.ui.sendAgainButton.enabled and "has been sent" in panel.ui.sendAgainButton.toolTip
    panel.ui.jobsView.selectRow(1)
    panel.widget.poll()
    assert not panel.ui.sentLabel.visible
    box.close()
    ledger.close()


@panel_test("AutoSegmentQueue", timeout_s=90)
def test_ten_thousand_jobs_are_shown_page_by_page(panel: Any, tmp_path: Path) -> None:
    """How long the window is held up is measured by the benchmark, not here: other programs may be busy."""
    ledger = fill(tmp_path, 10_000)
    use_home(panel, tmp_path)
    assert panel.widget.model.rowCount() == 100
    for n in range(3):
        ledger.prioritise(f"id{9_999 - n:06}", 1)  # another connection's change
        panel.widget.poll()
    priority = 7
    assert [panel.widget.model.data(panel.widget.model.index(row, priority)) for row in range(4)] == ["1", "1", "1", ""]
    assert panel.widget.model.rowCount() == 100, "a change reads nothing anew"
    panel.ui.jobsView.scrollToBottom()
    panel.process_events()
    assert panel.widget.model.rowCount() == 200
    assert names(panel, 200)[-1] == "scan-09800"
    panel.picture("ten-thousand")
    ledger.close()


@panel_test("AutoSegmentQueue")
def test_a_heading_sorts_all_jobs_not_only_those_that_are_loaded(panel: Any, tmp_path: Path) -> None:
    ledger = fill(tmp_path, 250)
    ledger.prioritise("id000003", 7)
    use_home(panel, tmp_path)
    panel.ui.jobsView.selectRow(0)
    priority = 7
    panel.widget.onHeader(priority)
    panel.widget.onHeader(priority)
    assert names(panel, 2) == ["scan-00003", "scan-00000"], "largest first, equal ones as they came"
    assert panel.widget.watch.job() is None, "the chosen job is not among those that are loaded"
    panel.widget.onHeader(0)
    assert names(panel, 2) == ["scan-00000", "scan-00001"]
    panel.ui.jobsView.scrollToBottom()
    panel.process_events()
    panel.ui.jobsView.scrollToBottom()
    panel.process_events()
    assert names(panel, 250) == [f"scan-{n:05}" for n in range(250)], "page by page in the same order"
    panel.ui.jobsView.selectRow(240)
    for _ in range(2):
        panel.widget.onHeader(0)
    assert names(panel, 2) == ["scan-00249", "scan-00248"], "the third click shows the newest first again"
    ledger.close()


@panel_test("AutoSegmentQueue")
def test_the_log_of_the_chosen_job_goes_on_by_itself(panel: Any, tmp_path: Path) -> None:
    from AutoSegmentQueueLib.home import Home

    ledger = fill(tmp_path, 2)
    use_home(panel, tmp_path)
    log = Home(tmp_path / "home").log_of("id000001")
    log.write_text("first line\n")
    panel.ui.jobsView.selectRow(0)
    assert panel.ui.logTabs.currentIndex == 1
    assert "first line" in panel.ui.jobLogText.plainText
    log.write_text("first line\nsecond line\n")
    panel.widget.poll()
    assert "second line" in panel.ui.jobLogText.plainText
    with ledger.writing() as connection:
        connection.executemany(
            "INSERT INTO jobs (id, name, kind, engine, options, state, created, changed)"
            " VALUES (?, 'n', 'segment', 'x', '{}', 'queued', 1, 1)",
            [(f"later{n}",) for n in range(300)],
        )
        connection.executemany(
            "INSERT INTO history (at, job, state, attempt, fence) VALUES (1, ?, 'queued', 0, 0)",
            [(f"later{n}",) for n in range(300)],
        )
    panel.widget.poll()
    assert names(panel, 1) == ["n"], "more has changed than a page holds: everything is read anew"
    ledger.close()


@panel_test("AutoSegmentQueue")
def test_a_closed_scene_and_a_second_visit_leave_a_working_panel(panel: Any, tmp_path: Path) -> None:
    use_home(panel, tmp_path).task = "lung_vessels"
    panel.close_scene()
    assert panel.ui.taskEdit.text == "total"
    panel.leave()
    panel.come_back()
    assert panel.ui.startButton.enabled


@panel_test("AutoSegmentQueue", timeout_s=120)
def test_its_self_test_passes(panel: Any) -> None:
    assert panel.run_self_test() == 2


# ---- without a panel -------------------------------------------------------------------------------------------------


def test_fields_and_settings_are_two_forms_of_the_same(tmp_path: Path) -> None:
    segmentation = SegmentationSettings(
        task="body",
        quality="fast",
        structures=("a", "b"),
        device="gpu:1",
        reduction=0.5,
        formats=("gltf", "glb", "obj"),
    )
    settings = QueueSettings(
        input=tmp_path,
        slots=3,
        engine="totalsegmentator",
        segmentation=segmentation,
        executor="tcp://nodes:8786",
        dicom=DicomSettings(address="0.0.0.0", ae_title="LAB", allow_ae=("PACS", "CT1"), allow_from=("10.1.0.0/16",)),
        send=SendSettings(to=("PACS@pacs:104", "https://pacs/dicom-web")),
    )
    not_kept = {"receive": True, "dicomPort": 11112, "pullFrom": "", "study": ""}
    assert settings_of(fields_of(settings) | not_kept, settings) == settings
    assert settings_of(fields_of(QueueSettings()) | not_kept, QueueSettings()) == QueueSettings()


def test_fields_of_the_network_say_what_is_missing() -> None:
    fields = fields_of(QueueSettings()) | {"receive": True, "dicomPort": 104, "pullFrom": "", "study": ""}
    for change, said in (
        ({"executor": "scheduler"}, "address of the scheduler"),
        ({"executor": "scheduler", "scheduler": "nodes:8786"}, "executor must be"),
        ({"dicomAddress": "0.0.0.0"}, "who may call"),
        ({"aeTitle": "A" * 17}, "AE title"),
        ({"sendTo": "pacs"}, "AET@HOST:PORT"),
    ):
        with pytest.raises(SettingsError, match=said):
            settings_of(fields | change, QueueSettings())
    assert "where the study is" in pull_obstacle(fields)
    assert "written AET@HOST:PORT" in pull_obstacle(fields | {"pullFrom": "pacs"})
    assert "Study Instance UID" in pull_obstacle(fields | {"pullFrom": "PACS@pacs:104", "study": "1.2.x"})
    whole = fields | {"pullFrom": " PACS@pacs:104", "study": "1.2.840.3 "}
    assert pull_obstacle(whole) == ""
    assert pull_arguments(whole) == ["--from", "PACS@pacs:104", "--study", "1.2.840.3"]
    assert serve_arguments(fields) == ["--port", "0", "--dicom-port", "104"]


def test_a_volume_appears_in_the_input_folder_whole_and_under_a_free_name(tmp_path: Path) -> None:
    from AutoSegmentQueueLib.home import Home

    home = Home.open(tmp_path / "home")
    settings = QueueSettings(input=tmp_path / "in")

    def save(path: Path) -> bool:
        assert not list((tmp_path / "in").glob("*.nrrd")), "nothing may be seen before it is complete"
        return path.write_text("volume") > 0

    first = place_in_input(home, settings, "CT: thorax/1", save)
    assert first == tmp_path / "in" / "CT__thorax_1.nrrd"
    first.rename(tmp_path / "in" / "kept.txt")
    assert list(home.work.iterdir()) == []


def test_a_look_takes_up_what_has_happened_and_nothing_else(tmp_path: Path) -> None:
    """New rows on top, changed ones in their place; a deleted job makes everything be read anew."""
    from AutoSegmentQueueLib.ledger import Content, Ledger, NewJob
    from AutoSegmentQueueLib.panel_jobs import Changes, JobList

    ledger, other = Ledger(tmp_path / "ledger"), Ledger(tmp_path / "ledger")
    first, second = (other.enqueue(NewJob(name), Content(name, 1)) for name in "ab")
    jobs = JobList(ledger)
    jobs.reload()
    assert [job.name for job in jobs.jobs] == ["b", "a"]
    assert jobs.refresh() == Changes()
    other.prioritise(first.id, 3)
    other.enqueue(NewJob("c"), Content("c", 1))
    assert jobs.refresh() == Changes(added=1, rows=(2,))
    assert [(job.name, job.priority) for job in jobs.jobs] == [("c", 0), ("b", 0), ("a", 3)]
    other.cancel(second.id)
    other.hide(second.id)
    assert jobs.refresh() == Changes(reset=True)
    assert [job.name for job in jobs.jobs] == ["c", "a"]
    ledger.close()
    other.close()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1:00 min"), (187, "3:07 min"), (3900, "1:05 h"), (-3, "0 s")]
)
def test_durations_are_said_as_people_do(seconds: float, text: str) -> None:
    assert duration(seconds) == text
