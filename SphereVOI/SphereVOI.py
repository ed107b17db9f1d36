"""Panel of SphereVOI: clicks become sphere centres at once; measuring and reports run as our own command in a child process."""

# No "from __future__ import annotations" in a file with a parameter node: its annotations must be types, not texts.
from pathlib import Path
from typing import Annotated, Any

import qt
import slicer
import vtk
from DicomWorkbenchLib.errors import WorkbenchError
from DicomWorkbenchLib.panel_widgets import describe, fill_table, say
from slicer import vtkMRMLMarkupsFiducialNode, vtkMRMLScalarVolumeNode
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
from SphereVOILib import export, mrml, panel
from SphereVOILib.settings import Unit, targets_from_json

SETTLE_MS = 30  # dragging sends many events; the last one counts


class SphereVOI(ScriptedLoadableModule):
    """What Slicer asks about the module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        category = translate("qSlicerAbstractCoreModule", "Quantification")
        describe(parent, _("Sphere VOI"), category, _(panel.HELP), "spheres")


@parameterNodeWrapper
class SphereVOIParameterNode:
    """What the panel shows and the scene keeps."""

    volume: vtkMRMLScalarVolumeNode
    clicks: vtkMRMLMarkupsFiducialNode
    targetTable: str
    unit: Annotated[str, Choice(["suvbw", "suvlbm", "suvbsa", "native"]), Default("suvbw")]
    method: Annotated[str, Choice(["fit", "grid"]), Default("fit")]
    region: Annotated[str, Choice(["sphere", "cylinder", "chord"]), Default("sphere")]
    searchMm: Annotated[float, WithinRange(1, 50), Default(10.0)]
    wallMm: Annotated[float, WithinRange(0, 10), Default(1.0)]
    contrast: Annotated[float, WithinRange(0, 1000), Default(4.0)]
    nema: bool
    earl: Annotated[str, Choice(["no", "v1", "v2"]), Default("no")]
    exportFolder: Path


class SphereVOILogic(ScriptedLoadableModuleLogic):
    """From the parameter node to what the session needs."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self.session = mrml.Session()

    def getParameterNode(self) -> SphereVOIParameterNode:
        parameters = SphereVOIParameterNode(super().getParameterNode())
        parameters.targetTable = parameters.targetTable or panel.presets()[panel.IEC]
        return parameters

    def targets(self, parameters: SphereVOIParameterNode) -> Any:
        return mrml.with_clicks(targets_from_json(parameters.targetTable), parameters.clicks)

    def refine(self, parameters: SphereVOIParameterNode) -> dict[str, Any]:
        settings = panel.refine_settings(panel.values_of(parameters))
        refined = self.session.refine(parameters.volume, self.targets(parameters), settings)
        return {one.target.label: one for one in refined}

    def start(self, parameters: SphereVOIParameterNode, auto: bool, *callbacks: Any) -> None:
        self.session.start(parameters.volume, self.targets(parameters), panel.values_of(parameters), auto, callbacks)


class SphereVOIWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Connects the widgets of the .ui file with the parameter node."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = self._parameterNode = self._parameterNodeGuiTag = self._shownVolume = self._observedClicks = None
        self.refined = {}  # label -> what became of its click

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/SphereVOI.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = SphereVOILogic()
        self._settle = qt.QTimer()
        self._settle.setSingleShot(True)
        self._settle.timeout.connect(self.refineNow)
        for table in (self.ui.targetsTable, self.ui.resultsTable):
            table.cellClicked.connect(self.onRow)
        rows = self.ui.targetsTable
        for name, slot in {
            "place": self.onPlace,
            "undo": lambda: mrml.undo_point(self._parameterNode.clicks),
            "clear": lambda: self._parameterNode.clicks.RemoveAllControlPoints(),
            "add": lambda: self.setTargets(panel.longer_table(self._parameterNode.targetTable)),
            "remove": lambda: self.setTargets(panel.shorter_table(self._parameterNode.targetTable, rows.currentRow())),
            "savePreset": self.onSavePreset,
            "find": self.onFind,
            "measure": lambda: self.startJob(auto=False),
            "cancel": lambda: self.logic.session.job.cancel(),
            "export": self.onExport,
        }.items():
            getattr(self.ui, f"{name}Button").clicked.connect(slot)
        self.ui.presetComboBox.connect("activated(int)", self.onPreset)
        self.ui.targetsTable.itemChanged.connect(self.onCellEdited)
        self.ui.placeWidget.connect("activeMarkupsPlaceModeChanged(bool)", self.ui.placeButton.setChecked)
        self.ui.chartComboBox.connect("currentIndexChanged(int)", lambda _index: self.showChart())
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.ui.presetComboBox.addItems(list(self.presets()))
        self.showReport(None)
        say(self.ui.statusLabel, "")
        self.enter()

    def cleanup(self) -> None:
        self.logic.session.forget()
        self.removeObservers()

    def enter(self) -> None:
        self.setParameterNode(self.logic.getParameterNode())

    def exit(self) -> None:
        self.ui.placeWidget.setPlaceModeEnabled(False)
        self.setParameterNode(None)

    def onSceneStartClose(self, _caller: Any, _event: str) -> None:
        self.setParameterNode(None)

    def onSceneEndClose(self, _caller: Any, _event: str) -> None:
        self.logic.session.forget()
        self.showReport(None)
        if self.parent.isEntered:
            self.enter()

    def setParameterNode(self, parameterNode: SphereVOIParameterNode | None) -> None:
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterChanged)
            self.observeClicks(None)
        self._parameterNode, self._shownVolume = parameterNode, None
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterChanged)
            self.onParameterChanged()

    def onParameterChanged(self, _caller: Any = None, _event: str = "") -> None:
        self.observeClicks(self._parameterNode.clicks)
        self._settle.start(SETTLE_MS)
        self.showButtons()

    def showVolume(self) -> None:
        volume, unit = self._parameterNode.volume, self._parameterNode.unit
        before, self._shownVolume = self._shownVolume, volume and (volume.GetID(), unit)
        if self._shownVolume != before:
            say(self.ui.unitsLabel, mrml.units_text(volume, Unit(unit)))
            if volume and (before is None or before[0] != volume.GetID()):
                mrml.show_volume(volume)
                self.forgetReport()

    def observeClicks(self, clicks: vtkMRMLMarkupsFiducialNode | None) -> None:
        if clicks is self._observedClicks:
            return
        self.removeObservers(self.onPoints)
        for event in mrml.point_events() if clicks else ():
            self.addObserver(clicks, event, self.onPoints)
        self._observedClicks = clicks
        self.ui.placeWidget.setCurrentNode(clicks)

    def onPoints(self, _caller: Any, _event: str) -> None:
        if len(mrml.points_lps(self._observedClicks)) >= len(targets_from_json(self._parameterNode.targetTable)):
            self.ui.placeWidget.setPlaceModeEnabled(False)
        self._settle.start(SETTLE_MS)

    def refineNow(self) -> None:
        """Refine what was clicked or dragged and show it; a sphere takes some hundredths of a second."""
        parameters, self.refined = self._parameterNode, {}
        if not parameters:
            return
        try:
            self.showVolume()
            if parameters.volume and parameters.clicks:
                mrml.label_points(parameters.clicks, [t.label for t in targets_from_json(parameters.targetTable)])
                self.refined = self.logic.refine(parameters)
        except WorkbenchError as error:
            say(self.ui.statusLabel, str(error))
        fill_table(self.ui.targetsTable, panel.target_rows(parameters.targetTable, self.refined), qt)
        self.showButtons()

    def showButtons(self) -> None:
        parameters, session = self._parameterNode, self.logic.session
        points = mrml.points_lps(parameters.clicks) if parameters else []
        given = (bool(parameters and parameters.volume), bool(points), session.busy, bool(session.results))
        for name, (enabled, tip) in panel.button_states(*given).items():
            button = getattr(self.ui, name)
            button.enabled, button.toolTip = enabled, _(tip)
        self.ui.progressBar.visible = self.ui.cancelButton.visible = session.busy

    def onRow(self, row: int, _column: int = 0) -> None:
        one = self.refined.get(targets_from_json(self._parameterNode.targetTable)[row].label)
        if one is not None:
            mrml.jump_to(one.target.lps_mm if one.center_lps_mm is None else one.center_lps_mm)

    def ensureClicks(self) -> Any:
        parameters = self.logic.getParameterNode()  # a job may end while another module is shown
        parameters.clicks = parameters.clicks or mrml.new_clicks(mrml.CLICKS)
        return parameters.clicks

    def onPlace(self, placing: bool) -> None:
        self.ensureClicks()
        self.ui.placeWidget.setPlaceModeEnabled(placing)

    def setTargets(self, targets: str) -> None:
        self._parameterNode.targetTable = targets
        self._settle.start(SETTLE_MS)  # shows the old text again where a new one cannot be

    def onCellEdited(self, item: Any) -> None:
        self.setTargets(panel.changed_table(self._parameterNode.targetTable, item.row(), item.column(), item.text()))

    def onPreset(self, _index: int) -> None:
        self.setTargets(self.presets()[self.ui.presetComboBox.currentText])

    def presets(self) -> dict[str, str]:
        return panel.all_presets(slicer.util.settingsValue(panel.PRESETS, ""))

    def onSavePreset(self) -> None:
        name = qt.QInputDialog.getText(None, _("Save preset"), _("Name of this set of spheres:"))
        if name:
            saved = panel.presets_with(self.presets(), name, self._parameterNode.targetTable)
            qt.QSettings().setValue(panel.PRESETS, saved)
            self.ui.presetComboBox.clear()
            self.ui.presetComboBox.addItems(list(self.presets()))
            self.ui.presetComboBox.currentText = name

    def onFind(self) -> None:
        self.setTargets(panel.with_iec(self._parameterNode.targetTable))
        self.startJob(auto=True)

    def startJob(self, auto: bool) -> None:
        say(self.ui.statusLabel, "")
        self.showReport(None)  # numbers of the last job must not stand beside a new scan
        with slicer.util.tryWithErrorDisplay(_("The spheres cannot be measured."), waitCursor=True):
            self.logic.start(self._parameterNode, auto, self.onProgress, self.onDone, self.onFailed)
        self.showButtons()

    def onProgress(self, done: int, total: int, message: str) -> None:
        self.ui.progressBar.maximum, self.ui.progressBar.value = total, done
        say(self.ui.statusLabel, message)

    def onFailed(self, reason: str) -> None:
        say(self.ui.statusLabel, reason or _("Cancelled."))
        self.showButtons()

    def onDone(self, report: dict[str, Any]) -> None:
        say(self.ui.statusLabel, "")
        with slicer.util.tryWithErrorDisplay(_("The results cannot be shown."), waitCursor=True):
            self.logic.session.take(report, self.ensureClicks())
        self.showReport(report)
        self._settle.start(SETTLE_MS)

    def showReport(self, report: dict[str, Any] | None) -> None:
        fill_table(self.ui.resultsTable, panel.result_rows(report) if report else [], qt)
        say(self.ui.summaryLabel, panel.summary_of(report) if report else "")
        self.ui.chartComboBox.clear()
        self.ui.chartComboBox.addItems(mrml.charts() if report else [])
        self.ui.plotView.visible = self.ui.chartComboBox.visible = self.ui.chartComboBox.count > 0
        self.showButtons()

    def forgetReport(self) -> None:
        """Let go of results that are not those of the scan now shown."""
        if not self.logic.session.busy and self.logic.session.report:
            self.logic.session.report = None
            self.showReport(None)

    def showChart(self) -> None:
        mrml.show_in_plot_view(self.ui.plotView, self.ui.chartComboBox.currentText)

    def onExport(self) -> None:
        with slicer.util.tryWithErrorDisplay(_("The results cannot be written."), waitCursor=True):
            parent = self._parameterNode.exportFolder or Path(slicer.app.defaultScenePath)
            target = export.export_results(self.logic.session.results, Path(parent))
            say(self.ui.statusLabel, _("Written to {folder}").format(folder=target))


class SphereVOITest(ScriptedLoadableModuleTest):
    """Self-test: a phantom made here is refined in the scene."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def test_aRoughClickBecomesTheCentre(self) -> None:
        logic = SphereVOILogic()
        parameters = logic.getParameterNode()
        parameters.volume, parameters.clicks, truth = mrml.small_phantom("S1 37 mm")
        center = logic.refine(parameters)["S1 37 mm"].center_lps_mm
        self.assertLess(max(abs(a - b) for a, b in zip(center, truth, strict=True)), 0.01)
