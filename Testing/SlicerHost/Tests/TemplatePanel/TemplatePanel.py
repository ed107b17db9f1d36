"""A small module with one of everything, to try the host on."""

import enum
import logging
import sys
from pathlib import Path
from typing import Annotated, Optional

import qt
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, Decimals, Default, WithinRange, parameterNodeWrapper, parameterPack
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class TemplatePanel(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Template Panel")
        self.parent.categories = ["Testing"]
        self.parent.helpText = _("Scales a volume.")
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="TemplatePanel",
        sampleName="TemplateRamp",
        thumbnailFileName="",
        uris=None,
        fileNames=None,
        nodeNames="TemplateRamp",
        customDownloader=lambda _source: makeRamp(),
    )


def makeRamp():
    import numpy as np

    return slicer.util.addVolumeFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5), name="TemplateRamp")


class Method(enum.Enum):
    ADD = 0
    SCALE = 1


@parameterPack
class Window:
    level: float
    width: Annotated[float, Default(400.0)]


@parameterNodeWrapper
class TemplatePanelParameterNode:
    inputVolume: vtkMRMLScalarVolumeNode
    factor: Annotated[float, WithinRange(-5, 10), Decimals(2)] = 2.0
    rounds: Annotated[int, WithinRange(1, 9)] = 1
    invert: bool = False
    label: str = "scaled"
    method: Method = Method.SCALE
    organ: Annotated[str, Choice(["liver", "lung"])] = "liver"
    folder: Path
    names: list[str]
    limit: Optional[float] = None  # noqa: UP045 - both spellings of None occur
    window: Window


class TemplatePanelWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self.lines = []

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/TemplatePanel.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = TemplatePanelLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.ui.processButton.clicked.connect(self.onProcessButton)
        self.initializeParameterNode()

    def cleanup(self):
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, node):
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._checkCanApply)
        self._parameterNode = node
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._checkCanApply)
            self._checkCanApply()

    def _checkCanApply(self, caller=None, event=None):
        ready = bool(self._parameterNode and self._parameterNode.inputVolume)
        self.ui.applyButton.enabled = ready
        self.ui.applyButton.toolTip = _("Scale the volume") if ready else _("Choose an input volume")

    def onApplyButton(self):
        with slicer.util.tryWithErrorDisplay(_("Failed to scale."), waitCursor=True):
            self.logic.scale(self._parameterNode)

    def onProcessButton(self):
        self.ui.processButton.enabled = False
        code = "import time\nfor i in range(3): print('step', i, flush=True); time.sleep(0.1)"
        slicer.util.launchConsoleProcess(
            [sys.executable, "-c", code], blocking=False, logCallback=self.lines.append, completedCallback=self.onDone
        )

    def onDone(self, returnCode):
        self.ui.processButton.enabled = True
        self.ui.statusLabel.text = f"{len(self.lines)} lines, code {returnCode}"


class TemplatePanelLogic(ScriptedLoadableModuleLogic):
    def getParameterNode(self):
        return TemplatePanelParameterNode(super().getParameterNode())

    def scale(self, parameters):
        if parameters.factor == 0:
            raise ValueError("the factor is zero")
        array = slicer.util.arrayFromVolume(parameters.inputVolume)
        array[:] = array * parameters.factor
        slicer.util.arrayFromVolumeModified(parameters.inputVolume)
        logging.info("scaled")


class TemplatePanelTest(ScriptedLoadableModuleTest):
    def test_scaleDoubles(self):
        import SampleData

        volume = SampleData.downloadSample("TemplateRamp")
        logic = TemplatePanelLogic()
        parameters = logic.getParameterNode()
        parameters.inputVolume = volume
        parameters.factor = 2.0
        logic.scale(parameters)
        self.assertEqual(slicer.util.arrayFromVolume(volume).max(), 118)
        self.delayDisplay("passed")

    def test_timerFires(self):
        fired = []
        qt.QTimer.singleShot(0, lambda: fired.append(1))
        slicer.app.processEvents()
        self.assertEqual(fired, [1])
