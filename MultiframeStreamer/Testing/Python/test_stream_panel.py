"""The panel on the stand-in for Slicer: opened, filled in, clicked and photographed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from SlicerHost.testing import panel_test

pytestmark = [pytest.mark.needs("module:slicer"), pytest.mark.needs("module:PySide6")]


def cine(folder: Path, frames: int = 30, name: str = "cine.dcm") -> Path:
    """Write a small cine object."""
    from MultiframeStreamerLib.corpus.cine import JpegFrames, Layout, write_cine

    write_cine(folder / name, frames, JpegFrames(120, 160, different=8), Layout.FRAGMENTS, rows=120, columns=160)
    return folder / name


def opened(panel: Any, path: Path) -> Any:
    """Choose a file in the panel and return its parameter node."""
    panel.ui.sourcePathEdit.currentPath = str(path)
    panel.process_events()
    assert panel.logic.frames is not None, panel.ui.healthLabel.text
    return panel.widget._parameterNode


@panel_test("MultiframeStreamer")
def test_before_a_file_is_open_every_button_says_so(panel: Any) -> None:
    for name in ("playButton", "loadButton", "serveButton", "copyButton"):
        button = getattr(panel.ui, name)
        assert not button.enabled
        assert button.toolTip == "Open a file first."
    panel.picture("empty")


@panel_test("MultiframeStreamer")
def test_the_first_frame_and_the_facts_stand_there_at_once(panel: Any, tmp_path: Path) -> None:
    parameters = opened(panel, cine(tmp_path))
    array = panel.slicer.util.arrayFromVolume(parameters.volume)
    assert array.shape == (1, 120, 160)
    assert (array[0] == panel.logic.frames[0]).all()
    assert "30 frames of 160 × 120" in panel.ui.factsLabel.text
    assert "25 frames/s (FrameTime)" in panel.ui.factsLabel.text
    assert "code streams" in panel.ui.healthLabel.text
    assert "Corpus" not in panel.ui.factsLabel.text + panel.ui.healthLabel.text
    assert not [text for text in panel.cut_texts() if str(tmp_path) not in text]  # a long path may be cut
    panel.picture("opened")
    panel.dark()
    panel.picture("opened-dark")


@panel_test("MultiframeStreamer")
def test_slider_and_steps_show_the_frame_they_name(panel: Any, tmp_path: Path) -> None:
    parameters = opened(panel, cine(tmp_path))
    panel.ui.frameSlider.value = 8
    assert (panel.slicer.util.arrayFromVolume(parameters.volume)[0] == panel.logic.frames[7]).all()
    panel.click(panel.ui.nextButton)
    assert parameters.frame == 9
    panel.click(panel.ui.previousButton)
    panel.click(panel.ui.previousButton)
    assert parameters.frame == 7
    assert panel.ui.frameLabel.text == "Frame 7 of 30, 0.240 s"


@panel_test("MultiframeStreamer")
def test_playing_goes_on_by_itself_and_begins_again(panel: Any, tmp_path: Path) -> None:
    parameters = opened(panel, cine(tmp_path))
    parameters.rate, parameters.frame = 100.0, 28
    panel.click(panel.ui.playButton)
    assert panel.ui.playButton.text == "Pause"
    panel.wait_until(lambda: 2 <= parameters.frame < 20, timeout_s=20)
    panel.click(panel.ui.playButton)
    stopped = parameters.frame
    panel.process_events()
    assert parameters.frame == stopped
    assert panel.ui.memoryBar.value >= 0


@panel_test("MultiframeStreamer")
def test_a_range_with_positions_becomes_a_volume_in_the_right_place(panel: Any, tmp_path: Path) -> None:
    import numpy as np
    import pydicom
    from DicomWorkbenchLib.geometry import lps_to_ras
    from MultiframeStreamerLib.corpus.sample import small_stack
    from MultiframeStreamerLib.mrml import matrix_ras

    path, truth = small_stack(tmp_path)
    parameters = opened(panel, path)
    parameters.first, parameters.last, parameters.every = 2, 10, 2
    assert "5 frames" in panel.ui.memoryLabel.text
    panel.click(panel.ui.loadButton)
    panel.wait_until(lambda: panel.logic.loader is None, timeout_s=30)
    (node,) = [n for n in panel.slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if n is not parameters.volume]
    assert (panel.slicer.util.arrayFromVolume(node) == truth[1:10:2]).all()
    groups = pydicom.dcmread(path, stop_before_pixels=True).PerFrameFunctionalGroupsSequence
    for k, frame in enumerate(range(1, 10, 2)):
        position = np.array(groups[frame].PlanePositionSequence[0].ImagePositionPatient, float)
        assert np.allclose((matrix_ras(node) @ [0, 0, k, 1])[:3], lps_to_ras(position), atol=1e-6)
    panel.picture("loaded")


@panel_test("MultiframeStreamer")
def test_a_cine_range_becomes_a_sequence_with_the_times_of_the_file(panel: Any, tmp_path: Path) -> None:
    parameters = opened(panel, cine(tmp_path))
    parameters.target, parameters.first, parameters.last = "sequence", 5, 9
    panel.click(panel.ui.loadButton)
    panel.wait_until(lambda: panel.logic.loader is None, timeout_s=30)
    (sequence,) = panel.slicer.util.getNodesByClass("vtkMRMLSequenceNode")
    assert [sequence.GetNthIndexValue(i) for i in range(5)] == ["160", "200", "240", "280", "320"]
    array = panel.slicer.util.arrayFromVolume(sequence.GetNthDataNode(3))
    assert (array[0] == panel.logic.frames[7]).all()
    assert sequence.GetIndexUnit() == "ms"


@panel_test("MultiframeStreamer")
def test_frames_at_uneven_distances_are_not_forced_into_one_volume(panel: Any, tmp_path: Path) -> None:
    from MultiframeStreamerLib.corpus.sample import small_stack

    path, _ = small_stack(tmp_path, uneven=True)
    opened(panel, path)
    panel.click(panel.ui.loadButton)
    panel.wait_until(lambda: panel.logic.loader is None, timeout_s=30)
    assert "load them as a sequence" in panel.ui.loadLabel.text
    assert len(panel.slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 1


@panel_test("MultiframeStreamer")
def test_cancel_takes_away_what_was_loaded(panel: Any, tmp_path: Path) -> None:
    opened(panel, cine(tmp_path, frames=400))
    before = len(panel.slicer.util.getNodesByClass("vtkMRMLVolumeNode"))
    panel.click(panel.ui.loadButton)
    panel.wait_until(lambda: panel.ui.loadProgressBar.value > 0, timeout_s=20)
    panel.picture("loading")
    panel.click(panel.ui.cancelLoadButton)
    assert len(panel.slicer.util.getNodesByClass("vtkMRMLVolumeNode")) == before
    assert panel.ui.loadLabel.text == "Cancelled; nothing was kept."


@panel_test("MultiframeStreamer")
def test_a_colour_object_is_shown_in_colour(panel: Any, tmp_path: Path) -> None:
    from MultiframeStreamerLib.corpus import all_cases

    (case,) = [c for c in all_cases() if c.name == "colour-jpeg"]
    (tmp_path / "colour.dcm").write_bytes(case.content)
    parameters = opened(panel, tmp_path / "colour.dcm")
    assert parameters.volume.IsA("vtkMRMLVectorVolumeNode")
    assert panel.slicer.util.arrayFromVolume(parameters.volume).shape == (1, 18, 22, 3)


@panel_test("MultiframeStreamer")
def test_a_broken_frame_is_named_and_the_next_one_is_shown(panel: Any, tmp_path: Path) -> None:
    from MultiframeStreamerLib.corpus import all_cases

    (case,) = [c for c in all_cases() if c.name == "garbage-frame"]
    (tmp_path / "garbage.dcm").write_bytes(case.content)
    parameters = opened(panel, tmp_path / "garbage.dcm")
    panel.ui.frameSlider.value = 3
    assert "frame 3" in panel.ui.frameLabel.text
    panel.ui.frameSlider.value = 4
    assert panel.ui.frameLabel.text.startswith("Frame 4")
    parameters.rate, parameters.frame = 100.0, 2
    panel.click(panel.ui.playButton)
    panel.wait_until(lambda: parameters.frame >= 4, timeout_s=20)
    panel.click(panel.ui.playButton)


@panel_test("MultiframeStreamer")
def test_a_file_that_cannot_be_read_says_why(panel: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no DICOM at all")
    panel.ui.sourcePathEdit.currentPath = str(tmp_path / "notes.txt")
    panel.process_events()
    assert "not a DICOM file" in panel.ui.healthLabel.text
    assert not panel.ui.playButton.enabled


@panel_test("MultiframeStreamer")
def test_a_folder_offers_its_objects(panel: Any, tmp_path: Path) -> None:
    cine(tmp_path, 5, "a.dcm")
    cine(tmp_path, 7, "b.dcm")
    (tmp_path / "readme.txt").write_text("no DICOM")
    parameters = opened(panel, tmp_path)
    assert len(panel.logic.frames) == 5
    panel.ui.fileComboBox.currentText = "b.dcm"
    panel.process_events()
    assert (parameters.file, len(panel.logic.frames)) == ("b.dcm", 7)


@panel_test("MultiframeStreamer")
def test_serving_shows_an_address_that_answers_and_stops(panel: Any, tmp_path: Path) -> None:
    import httpx

    parameters = opened(panel, cine(tmp_path, 4))
    parameters.port = 0
    panel.ui.serveSection.collapsed = False
    panel.click(panel.ui.serveButton)
    panel.wait_until(lambda: panel.ui.addressEdit.text != "", timeout_s=40)
    assert len(httpx.get(panel.ui.addressEdit.text + "/studies").json()) == 1
    panel.picture("serving")
    panel.click(panel.ui.copyAddressButton)
    panel.click(panel.ui.serveButton)
    panel.wait_until(lambda: not panel.widget.server.running, timeout_s=20)
    assert panel.ui.addressEdit.text == ""


@panel_test("MultiframeStreamer")
def test_a_shareable_copy_is_made_beside_a_live_panel(panel: Any, tmp_path: Path) -> None:
    from MultiframeStreamerLib.blank import is_blank

    parameters = opened(panel, cine(tmp_path, 4))
    parameters.copyTo = tmp_path / "out" / "copy.dcm"
    panel.ui.copySection.collapsed = False
    panel.click(panel.ui.copyButton)
    panel.wait_until(lambda: not panel.widget.copy.running, timeout_s=40)
    assert "ready" in panel.ui.copyLabel.text, panel.ui.copyLabel.text
    assert is_blank(tmp_path / "out" / "copy.dcm")
    panel.picture("copied")


@panel_test("MultiframeStreamer")
def test_a_closed_scene_closes_the_stream_and_the_panel_lives_on(panel: Any, tmp_path: Path) -> None:
    opened(panel, cine(tmp_path, 4))
    panel.close_scene()
    assert panel.logic.frames is None
    opened(panel, cine(tmp_path, 6, "other.dcm"))
    panel.leave()
    panel.come_back()
    assert len(panel.logic.frames) == 6


@panel_test("MultiframeStreamer")
def test_a_saved_scene_brings_the_stream_and_the_loaded_frames_back(panel: Any, tmp_path: Path) -> None:
    parameters = opened(panel, cine(tmp_path))
    parameters.target, parameters.first, parameters.last = "sequence", 5, 9
    panel.click(panel.ui.loadButton)
    panel.wait_until(lambda: panel.logic.loader is None, timeout_s=30)
    panel.ui.frameSlider.value = 8
    frame = panel.logic.frames[7]
    assert panel.slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    panel.close_scene()
    assert panel.logic.frames is None
    panel.slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    panel.wait_until(lambda: panel.logic.frames is not None, timeout_s=10)
    assert len(panel.logic.frames) == 30 and panel.widget._parameterNode.frame == 8
    (sequence,) = panel.slicer.util.getNodesByClass("vtkMRMLSequenceNode")
    assert sequence.GetNumberOfDataNodes() == 5
    panel.wait_until(lambda: panel.widget._parameterNode.volume is not None, timeout_s=10)
    shown = panel.slicer.util.arrayFromVolume(panel.widget._parameterNode.volume)
    assert (shown[0] == frame).all()


@panel_test("MultiframeStreamer")
def test_the_self_test_of_the_module_passes(panel: Any) -> None:
    assert panel.run_self_test() == 1
