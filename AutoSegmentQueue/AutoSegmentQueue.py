"""Panel of AutoSegmentQueue: what the queue will do; the queue itself is not built yet, and the panel says so."""

# No "from __future__ import annotations" in a file with a parameter node: its annotations must be types, not texts.
from typing import Annotated, Any

import slicer
import vtk
from AutoSegmentQueueLib import SegmentationSettings
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, Default, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class AutoSegmentQueue(ScriptedLoadableModule):
    """What Slicer asks about the module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Auto Segment Queue")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["DicomWorkbench"]
        parent.contributors = ["DicomWorkbench contributors"]
        parent.helpText = _("A queue that segments scans one after another and delivers 3D models.")


@parameterNodeWrapper
class AutoSegmentQueueParameterNode:
    """What the panel shows and the scene keeps."""

    scan: vtkMRMLScalarVolumeNode
    task: Annotated[str, Default("total")]
    quality: Annotated[str, Choice(["normal", "fast", "fastest"]), Default("normal")]


class AutoSegmentQueueLogic(ScriptedLoadableModuleLogic):
    """From parameter node to settings."""

    def getParameterNode(self) -> AutoSegmentQueueParameterNode:
        return AutoSegmentQueueParameterNode(super().getParameterNode())

    def settings(self, parameters: AutoSegmentQueueParameterNode) -> SegmentationSettings:
        return SegmentationSettings(task=parameters.task, quality=parameters.quality)

    def whyNotReady(self, parameters: AutoSegmentQueueParameterNode) -> str:
        """Return why Apply is disabled, empty text if it is enabled."""
        return _("The queue is not part of this version yet; no scan can be added to it.")


class AutoSegmentQueueWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Connects the widgets of the .ui file with the parameter node."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/AutoSegmentQueue.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = AutoSegmentQueueLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        self.removeObservers()

    def enter(self) -> None:
        self.initializeParameterNode()

    def exit(self) -> None:
        self.setParameterNode(None)

    def onSceneStartClose(self, _caller: Any, _event: str) -> None:
        self.setParameterNode(None)

    def onSceneEndClose(self, _caller: Any, _event: str) -> None:
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode: AutoSegmentQueueParameterNode | None) -> None:
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterChanged)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterChanged)
            self.onParameterChanged()

    def onParameterChanged(self, _caller: Any = None, _event: str = "") -> None:
        reason = self.logic.whyNotReady(self._parameterNode)
        self.ui.applyButton.enabled = not reason
        self.ui.applyButton.toolTip = reason or _("Add the scan to the queue.")
        self.ui.statusLabel.text = reason


class AutoSegmentQueueTest(ScriptedLoadableModuleTest):
    """Self-test: the panel says what it cannot do yet."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def test_applyIsDisabledAndSaysWhy(self) -> None:
        logic = AutoSegmentQueueLogic()
        self.assertTrue(logic.whyNotReady(logic.getParameterNode()))
        self.assertEqual(logic.settings(logic.getParameterNode()), SegmentationSettings())
