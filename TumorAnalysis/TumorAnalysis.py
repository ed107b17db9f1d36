"""Panel of TumorAnalysis: data set or segmentation to lesions, measurements, views and a report."""

# No "from __future__ import annotations" in a file with a parameter node: its annotations must be types, not texts.
from pathlib import Path
from typing import Annotated, Any

import qt
import slicer
import vtk
from DicomWorkbenchLib.panel_job import PanelJob
from DicomWorkbenchLib.panel_widgets import describe, say
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Default, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin
from TumorAnalysisLib import mrml
from TumorAnalysisLib.panel_choices import HELP, Choices, enable_buttons
from TumorAnalysisLib.panel_results import ResultsView
from TumorAnalysisLib.patient import Role
from TumorAnalysisLib.session import Session

CONNECTIVITIES = ((26, _("26 neighbours")), (6, _("6 neighbours")))


def registerPlugin() -> None:
    """Add the lesion measurements to Slicer's Segment Statistics, once all modules are there."""
    from TumorAnalysisLib import statistics_plugin

    statistics_plugin.register()


class TumorAnalysis(ScriptedLoadableModule):
    """What Slicer asks about the module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        category = translate("qSlicerAbstractCoreModule", "Quantification")
        describe(parent, _("Tumor Analysis"), category, _(HELP), "tumors")
        slicer.app.connect("startupCompleted()", registerPlugin)


@parameterNodeWrapper
class TumorAnalysisParameterNode:
    """What the panel shows and the scene keeps."""

    dataset: Path
    output: Path
    organ: Annotated[str, Default("liver")]
    lesion: str
    connectivity: Annotated[int, Default(26)]
    volume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    level: Annotated[float, WithinRange(-1000, 1000), Default(60)]
    width: Annotated[float, WithinRange(1, 3000), Default(160)]
    opacity: Annotated[float, WithinRange(0, 1), Default(0.5)]


class TumorAnalysisLogic(ScriptedLoadableModuleLogic):
    """Session and shown patient; the measuring is done by the job in a process of its own."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self.session = Session()
        self.shown: mrml.ShownPatient | None = None

    def getParameterNode(self) -> TumorAnalysisParameterNode:
        return TumorAnalysisParameterNode(super().getParameterNode())

    def takeScene(self, volume: Any, segmentation: Any, organ: str, lesions: list[str]) -> None:
        """Save CT and segmentation as a data set of one patient, with the roles the user chose."""
        self.session.dataset = mrml.save_for_analysis(volume, segmentation, self.session.new_folder())
        self.session.open_scene(organ, lesions, mrml.segment_names(segmentation))
        self.shown = mrml.adopt(volume, segmentation)


class TumorAnalysisWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Connects the widgets of the .ui file with parameter node, job and nodes."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self._parameterNode = None
        self._guiTag = None
        self._whenDone = None

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/TumorAnalysis.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = TumorAnalysisLogic()
        self.results = ResultsView(self.ui, self.logic, qt)
        self.job = PanelJob(
            slicer.util.launchConsoleProcess, self.onProgress, self.onDone, self.onFailed, self.onMessage
        )
        say(self.ui.statusLabel, "")
        say(self.ui.summaryLabel, "")
        self.choices = Choices(self.ui, CONNECTIVITIES, _("custom"))
        self.ui.patientTable.horizontalHeader().setStretchLastSection(True)
        self.connectWidgets()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def connectWidgets(self) -> None:
        ui = self.ui
        for button, slot in (
            (ui.scanButton, self.onScan), (ui.analyseSceneButton, self.onAnalyseScene), (ui.showButton, self.onShow),
            (ui.analysePatientButton, self.onAnalysePatient), (ui.analyseAllButton, self.onAnalyseAll), (ui.exportButton, self.onExport),
            (ui.cancelButton, self.onCancel), (ui.burdenPlotButton, self.onPlotBurden), (ui.sizePlotButton, self.onPlotSizes),
        ):  # fmt: skip
            button.connect("clicked()", slot)
        ui.patientTable.connect("itemSelectionChanged()", self.updateButtons)
        ui.structureTable.connect("itemSelectionChanged()", self.results.structure_selected)
        ui.structureTable.connect("itemChanged(QTableWidgetItem*)", self.results.structure_checked)
        ui.lesionTable.connect("itemSelectionChanged()", self.results.lesion_selected)
        ui.connectivityCombo.connect("activated(int)", self.onConnectivityChosen)
        ui.windowCombo.connect("activated(int)", self.onWindowChosen)
        ui.roleCombo.connect("activated(int)", self.onRoleChosen)
        ui.sliceSlider.connect("valueChanged(double)", mrml.set_slice)
        ui.lesionCombo.connect("checkedIndexesChanged()", self.updateButtons)

    def cleanup(self) -> None:
        self.job.cancel()
        self.results.close()
        self.removeObservers()
        self.logic.session.close()

    def enter(self) -> None:
        self.initializeParameterNode()

    def exit(self) -> None:
        self.setParameterNode(None)

    def onSceneStartClose(self, _caller: Any, _event: str) -> None:
        self.logic.shown = None
        self.setParameterNode(None)

    def onSceneEndClose(self, _caller: Any, _event: str) -> None:
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode: TumorAnalysisParameterNode | None) -> None:
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObservers(self.onParameterChanged)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._guiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterChanged)
            self.onParameterChanged()

    # Buttons

    def onParameterChanged(self, _caller: Any = None, _event: str = "") -> None:
        shown = self.logic.shown
        if shown:
            mrml.set_window(shown, self._parameterNode.level, self._parameterNode.width)
            mrml.set_opacity(shown, self._parameterNode.opacity)
        segmentation = self._parameterNode.segmentation
        self.choices.follow(self._parameterNode, mrml.segment_names(segmentation) if segmentation else [])
        self.updateButtons()

    def updateButtons(self) -> None:
        if not self._parameterNode:
            return
        busy = self.job.running
        lesions = bool(self.choices.lesions())
        reasons = self.logic.session.obstacles(self._parameterNode, self.selectedPatient(), lesions)
        enable_buttons(self.ui, reasons, _("Wait until the job is done.") if busy else "")
        self.ui.statusRow.visible = busy

    def selectedPatient(self) -> Any:
        row = self.ui.patientTable.currentRow()
        return self.logic.session.patients[row] if 0 <= row < len(self.logic.session.patients) else None

    # Jobs

    def start(self, settings: Any, whenDone: Any) -> None:
        self._whenDone = whenDone
        self._output = settings.output
        say(self.ui.statusLabel, _("Starting ..."))
        self.job.start("tumors", settings)
        self.updateButtons()

    def onScan(self) -> None:
        self.logic.session.open(self._parameterNode.dataset)
        self.results.clear()
        self.start(
            self.logic.session.list_settings(self._parameterNode),
            lambda report: _("{n} patients found.").format(n=len(report["patients"])),
        )

    def onShow(self) -> None:
        self.start(self.logic.session.show_settings(self.selectedPatient()["id"], self._parameterNode), self.afterShow)

    def onAnalysePatient(self) -> None:
        self.analyse(self.selectedPatient()["id"])

    def onAnalyseAll(self) -> None:
        self.analyse("")

    def onAnalyseScene(self) -> None:
        with slicer.util.tryWithErrorDisplay(_("The segmentation could not be measured."), waitCursor=True):
            p = self._parameterNode
            self.logic.takeScene(p.volume, p.segmentation, self.ui.organCombo.currentText, self.choices.lesions())
            self.analyse("")

    def analyse(self, patient: str) -> None:
        self.start(self.logic.session.analyse_settings(patient, self._parameterNode), self.afterAnalysis)

    def onCancel(self) -> None:
        self.job.cancel()

    def onProgress(self, done: int, total: int, message: str) -> None:
        self.ui.progressBar.maximum, self.ui.progressBar.value = total, done
        say(self.ui.statusLabel, message)

    def onMessage(self, message: Any) -> None:
        if "patient" in message:
            self.results.add_patient(message["patient"])
            self.updateButtons()

    def onDone(self, report: Any) -> None:
        with slicer.util.tryWithErrorDisplay(_("The result could not be shown.")):
            say(self.ui.statusLabel, self._whenDone(report) or "")
        self.updateButtons()

    def onFailed(self, reason: str) -> None:
        say(self.ui.statusLabel, reason or _("Cancelled; nothing was left half-made."))
        self.updateButtons()

    # Results

    def afterShow(self, report: Any) -> str:
        shown = self.results.show(self._output, report["patients"][0])
        self.onParameterChanged()
        return _("{id} is shown.").format(id=shown.patient_id)

    def afterAnalysis(self, report: Any) -> str:
        self.results.take(self._output, report)
        self.onParameterChanged()
        return _("Analysed in {s:.0f} s.").format(s=report["seconds"])

    def onRoleChosen(self, _index: int) -> None:
        if self.results.change_role(self.ui.roleCombo.currentText):
            say(self.ui.statusLabel, _("The role counts from the next analysis on and is recorded in its report."))

    def onWindowChosen(self, index: int) -> None:
        self.choices.take_window(index, self._parameterNode)

    def onConnectivityChosen(self, index: int) -> None:
        self.choices.take_connectivity(index, self._parameterNode)

    def onPlotBurden(self) -> None:
        self.results.plot(_("Burden"), 1, "lesions", "burden (%)", "patient")

    def onPlotSizes(self) -> None:
        self.results.plot(_("Sizes"), 0, "longest diameter (mm)", "volume (ml)", "lesion")

    def onExport(self) -> None:
        with slicer.util.tryWithErrorDisplay(_("The report could not be written."), waitCursor=True):
            page = self.logic.session.export(self._parameterNode.output)
            say(self.ui.statusLabel, _("Written: {page}").format(page=page))


class TumorAnalysisTest(ScriptedLoadableModuleTest):
    """Self-test with a ball of 20 mm in a ball of 100 mm; needs no download."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def test_measuresASegmentOfTheScene(self) -> None:
        from TumorAnalysisLib import statistics_plugin

        volume, segmentation = mrml.example_scene()
        segment = segmentation.GetSegmentation().GetSegmentIdBySegmentName("livertumor")
        values = statistics_plugin.measurements_of(*mrml.mask_of_segment(segmentation, segment, volume))
        self.assertAlmostEqual(values["longest_diameter_mm"], 20.0, delta=0.7)
        self.assertAlmostEqual(values["sphericity"], 1.0, delta=0.03)

    def test_savesTheSceneForTheJob(self) -> None:
        logic = TumorAnalysisLogic()
        logic.takeScene(*mrml.example_scene(), "liver", ["livertumor"])
        self.assertTrue((logic.session.dataset / "scene" / "ct.nrrd").is_file())
        self.assertEqual(logic.session.roles[("", "livertumor")], Role.LESION)
        logic.session.close()
