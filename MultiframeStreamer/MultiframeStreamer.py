"""Panel of MultiframeStreamer: frames are shown as they are asked for; the server and copies run as our own command in a child process."""

# No "from __future__ import annotations" in a file with a parameter node: its annotations must be types, not texts.
from pathlib import Path
from typing import Annotated, Any

import qt
import slicer
import vtk
from DicomWorkbenchLib.panel_widgets import describe, say
from MultiframeStreamerLib import mrml, panel
from MultiframeStreamerLib.child import CommandChild
from slicer import vtkMRMLVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, Default, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

LOAD_MS = 20  # between two steps of loading a range
STEP_SECONDS = 0.03  # of loading before the window gets its turn again


class MultiframeStreamer(ScriptedLoadableModule):
    """What Slicer asks about the module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        category = translate("qSlicerAbstractCoreModule", "Informatics")
        describe(parent, _("Multiframe Streamer"), category, _(panel.HELP), "streamer")


@parameterNodeWrapper
class MultiframeStreamerParameterNode:
    """What the panel shows and the scene keeps; a saved scene opens its stream again."""

    source: Path
    file: str
    frame: Annotated[float, WithinRange(1, 10_000_000), Default(1)]
    volume: vtkMRMLVolumeNode
    rate: Annotated[float, WithinRange(0.1, 200), Default(15.0)]
    loop: Annotated[bool, Default(True)]
    cacheMb: Annotated[int, WithinRange(16, 65536), Default(256)]
    first: Annotated[int, WithinRange(1, 10_000_000), Default(1)]
    last: Annotated[int, WithinRange(1, 10_000_000), Default(1)]
    every: Annotated[int, WithinRange(1, 100_000), Default(1)]
    target: Annotated[str, Choice(["volume", "sequence"]), Default("volume")]
    port: Annotated[int, WithinRange(0, 65535), Default(8042)]
    copyTo: Path
    region: str


class MultiframeStreamerLogic(ScriptedLoadableModuleLogic, mrml.Session):
    """Holds the opened frames."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        mrml.Session.__init__(self)

    def getParameterNode(self) -> MultiframeStreamerParameterNode:
        return MultiframeStreamerParameterNode(super().getParameterNode())


class MultiframeStreamerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Connects the widgets of the .ui file with the parameter node."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = self._parameterNode = self._parameterNodeGuiTag = self._opened = None

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MultiframeStreamer.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = MultiframeStreamerLogic()
        launch = slicer.util.launchConsoleProcess
        self.server = CommandChild(launch, self.onServerSays, self.onServerEnds)
        self.copy = CommandChild(launch, self.onCopySays, self.onCopyEnds)
        self.playTimer, self.loadTimer = qt.QTimer(), qt.QTimer()
        self.playTimer.timeout.connect(self.onPlayTick)
        self.loadTimer.setInterval(LOAD_MS)
        self.loadTimer.timeout.connect(self.onLoadTick)
        for name in ("play", "previous", "next", "load", "cancelLoad", "serve", "copyAddress", "openPage", "copy"):
            getattr(self.ui, f"{name}Button").clicked.connect(getattr(self, f"on{name[0].upper()}{name[1:]}"))
        self.ui.fileComboBox.connect("currentIndexChanged(int)", self.onFile)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndClose)
        say(self.ui.serveLabel, "")
        self.initializeParameterNode()

    def cleanup(self) -> None:
        self.stopEverything()
        self.server.end()
        self.copy.end()
        self.removeObservers()

    def enter(self) -> None:
        self.initializeParameterNode()

    def exit(self) -> None:
        self.playTimer.stop()
        self.setParameterNode(None)

    def onSceneStartClose(self, _caller: Any, _event: str) -> None:
        self.stopEverything()
        self.setParameterNode(None)

    def onSceneEndClose(self, _caller: Any, _event: str) -> None:
        self._opened = None  # what the scene names is opened anew
        if self.parent.isEntered:
            self.initializeParameterNode()

    def stopEverything(self) -> None:
        self.playTimer.stop()
        self.loadTimer.stop()
        self.logic.close()

    def initializeParameterNode(self) -> None:
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode: MultiframeStreamerParameterNode | None) -> None:
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterChanged)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterChanged)
            self.onParameterChanged()

    def onParameterChanged(self, _caller: Any = None, _event: str = "") -> None:
        parameters = self._parameterNode
        if not parameters or slicer.mrmlScene.IsImporting():  # references to nodes hold only at the end
            return
        wanted = (str(parameters.source), parameters.file)
        if wanted != self._opened:
            self._opened = wanted
            self.openSource()
        if self.logic.frames:
            self.logic.frames.cache.resize(parameters.cacheMb * panel.MEGABYTE)
            self.playTimer.setInterval(max(round(1000 / parameters.rate), 5))
            self.showFrame(int(parameters.frame) - 1)
        self.showState()

    def openSource(self) -> None:
        """Open what the path names and show its first frame (or the frame a saved scene names)."""
        parameters = self._parameterNode
        self.playTimer.stop()
        with slicer.util.tryWithErrorDisplay(_("The file cannot be opened."), waitCursor=True):
            names, problem = self.logic.open_source(parameters.source, parameters.file, parameters.cacheMb)
        self.fillFiles(names)
        ui, (facts, health) = self.ui, panel.texts(self.logic.frames, problem)
        say(ui.factsLabel, facts, ui.healthLabel, health, ui.frameLabel, "", ui.loadLabel, "", ui.copyLabel, "")
        if self.logic.frames:
            self.showOpened()

    def fillFiles(self, names: list[str]) -> None:
        box, chosen = self.ui.fileComboBox, panel.chosen(names, self._parameterNode.file)
        blocked = box.blockSignals(True)
        box.clear()
        box.addItems(names)
        box.setCurrentIndex(box.findText(chosen))
        box.visible = self.ui.fileLabel.visible = len(names) > 1
        box.blockSignals(blocked)
        self._opened = (str(self._parameterNode.source), chosen)
        self._parameterNode.file = chosen

    def onFile(self, _index: int) -> None:
        self._parameterNode.file = self.ui.fileComboBox.currentText

    def showOpened(self) -> None:
        frames, parameters, target = self.logic.frames, self._parameterNode, self.ui.copyPathEdit
        if frames.syntax.encapsulated:
            self.ensurePackages()
        self.ui.frameSlider.maximum = self.ui.firstSpinBox.maximum = self.ui.lastSpinBox.maximum = len(frames)
        parameters.frame = min(parameters.frame, len(frames))
        parameters.rate = panel.rate_of(frames)
        parameters.first, parameters.last = 1, len(frames)
        target.currentPath = target.currentPath or str(panel.default_copy(parameters.source))

    def ensurePackages(self) -> None:
        requirements = slicer.packaging.load_requirements(self.resourcePath("MultiframeStreamer-requirements.txt"))
        slicer.packaging.pip_ensure(requirements, requester="MultiframeStreamer")

    def showFrame(self, index: int) -> None:
        parameters = self._parameterNode
        if index != self.logic.shown and 0 <= index < len(self.logic.frames):
            parameters.volume, text = self.logic.show_frame(index, parameters.volume)
            say(self.ui.frameLabel, text)

    def showState(self) -> None:
        frames, parameters, loading = self.logic.frames, self._parameterNode, self.logic.loader is not None
        if not parameters:
            return
        planned = panel.plan(frames, parameters.first, parameters.last, parameters.every)
        states = panel.button_states(bool(frames), loading, planned, self.copy.running, str(parameters.copyTo))
        for name, (enabled, tip) in states.items():
            getattr(self.ui, name).enabled, getattr(self.ui, name).toolTip = enabled, _(tip)
        say(self.ui.memoryLabel, panel.memory_text(planned) if frames else "")
        self.ui.playButton.text = _("Pause") if self.playTimer.active else _("Play")
        self.ui.loadProgressBar.visible = self.ui.cancelLoadButton.visible = loading
        self.ui.serveButton.text = _("Stop serving") if self.server.running else _("Serve over DICOMweb")
        self.ui.copyAddressButton.enabled = self.ui.openPageButton.enabled = bool(self.ui.addressEdit.text)
        self.ui.memoryBar.value, self.ui.memoryBar.format = panel.gauge(frames)

    def onPlay(self) -> None:
        if self.playTimer.active:
            self.playTimer.stop()
        else:
            self.playTimer.start()
        self.showState()

    def onPlayTick(self) -> None:
        number = self.logic.following(int(self._parameterNode.frame), self._parameterNode.loop)
        if number:
            self._parameterNode.frame = number
        else:
            self.onPlay()

    def onPrevious(self) -> None:
        self._parameterNode.frame = max(self._parameterNode.frame - 1, 1)

    def onNext(self) -> None:
        self._parameterNode.frame = min(self._parameterNode.frame + 1, len(self.logic.frames))

    def onLoad(self) -> None:
        parameters = self._parameterNode
        planned = panel.plan(self.logic.frames, parameters.first, parameters.last, parameters.every)
        name = _("Frames {first} to {last}").format(first=parameters.first, last=parameters.last)
        self.logic.load(planned.indexes, parameters.target == "sequence", name)
        self.ui.loadProgressBar.maximum = len(planned.indexes)
        say(self.ui.loadLabel, "")
        self.loadTimer.start()
        self.showState()

    def onLoadTick(self) -> None:
        loader, ended = self.logic.loader, self.logic.load_step(STEP_SECONDS)
        self.ui.loadProgressBar.value = loader.done
        if ended:
            self.endLoading(ended)

    def onCancelLoad(self) -> None:
        self.logic.cancel_load()
        self.endLoading(_("Cancelled; nothing was kept."))

    def endLoading(self, text: str) -> None:
        self.loadTimer.stop()
        say(self.ui.loadLabel, text)
        self.showState()

    def onServe(self) -> None:
        if self.server.running:
            self.server.stop()
            return
        with slicer.util.tryWithErrorDisplay(_("The server cannot be started.")):
            self.ensurePackages()
            say(self.ui.serveLabel, _("Starting ..."))
            self.server.start(*panel.serve_arguments([self._parameterNode.source], self._parameterNode.port))
        self.showState()

    def onServerSays(self, message: dict[str, Any]) -> None:
        if "serving" in message:
            self.ui.addressEdit.text = message["serving"] + "/dicomweb"
            say(self.ui.serveLabel, _("Objects served: {n}, to this machine alone.").format(n=message["objects"]))
            self.showState()

    def onServerEnds(self, problem: str) -> None:
        self.ui.addressEdit.text = ""
        say(self.ui.serveLabel, problem or _("Stopped."))
        self.showState()

    def onCopyAddress(self) -> None:
        qt.QApplication.clipboard().setText(self.ui.addressEdit.text)

    def onOpenPage(self) -> None:
        qt.QDesktopServices.openUrl(qt.QUrl(self.ui.addressEdit.text.removesuffix("dicomweb")))

    def onCopy(self) -> None:
        path = Path(self.logic.frames.objects[0].source.name)
        with slicer.util.tryWithErrorDisplay(_("The copy cannot be made.")):
            self.copy.start(*panel.blank_arguments(path, self._parameterNode.copyTo, self._parameterNode.region))
            say(self.ui.copyLabel, _("Working ..."))
        self.showState()

    def onCopySays(self, message: dict[str, Any]) -> None:
        if message.get("total"):
            say(self.ui.copyLabel, f"{message['stage']} {message['done']} / {message['total']}")

    def onCopyEnds(self, problem: str) -> None:
        say(self.ui.copyLabel, problem or _("The copy is ready. Look at it before you share it."))
        self.showState()


class MultiframeStreamerTest(ScriptedLoadableModuleTest):
    """Self-test: an object made here is opened, shown and loaded."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def test_aRangeBecomesAVolumeAndASequence(self) -> None:
        self.assertEqual(mrml.check_loading(), [])
