"""Panel of DicomOptimizer: fields to settings; looking and working happen in a child process that is our own command."""

# No "from __future__ import annotations" in a file with a parameter node: its annotations must be types, not texts.
import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import qt
import slicer
import vtk
from DicomOptimizerLib import mrml, panel
from DicomOptimizerLib.inspection import InspectionSettings
from DicomWorkbenchLib.panel_job import PanelJob
from DicomWorkbenchLib.panel_widgets import describe, fill_table, say
from DicomWorkbenchLib.windowing import PRESETS
from slicer import vtkMRMLScalarVolumeNode
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

LOOK_MS = 400  # a look at the input starts when the user has stopped changing things for so long
SETTINGS_KEY = "DicomOptimizer/fields"


class DicomOptimizer(ScriptedLoadableModule):
    """What Slicer asks about the module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        category = translate("qSlicerAbstractCoreModule", "Informatics")
        describe(parent, _("DICOM Optimizer"), category, _(panel.HELP), "optimizer")


@parameterNodeWrapper
class DicomOptimizerParameterNode:
    """What the panel's fields hold."""

    folder: Path
    volume: vtkMRMLScalarVolumeNode
    decimated: bool
    step: Annotated[int, WithinRange(2, 100), Default(2)]
    keepLast: bool
    contours: Annotated[str, Choice(["own-first", "union", "interpolate"]), Default("own-first")]
    eightBit: bool
    level: Annotated[float, WithinRange(-5000, 5000), Default(40.0)]
    width: Annotated[float, WithinRange(2, 20000), Default(400.0)]
    legalCt: bool
    resize: bool
    size: Annotated[int, WithinRange(16, 4096), Default(256)]
    compress: Annotated[str, Choice(["none", "htj2k", "jpegls"]), Default("none")]
    deidentify: bool
    dates: Annotated[str, Choice(["remove", "shift"]), Default("remove")]
    output: Path
    salt: str
    onBadSlice: Annotated[str, Choice(["stop", "skip"]), Default("stop")]
    remembered: bool  # the fields of the last run were filled in


class DicomOptimizerLogic(ScriptedLoadableModuleLogic):
    """Fields of the parameter node as plain values."""

    def getParameterNode(self) -> DicomOptimizerParameterNode:
        return DicomOptimizerParameterNode(super().getParameterNode())

    def fields(self, parameters: DicomOptimizerParameterNode) -> dict[str, Any]:
        return {name: getattr(parameters, name) for name in (*panel.REMEMBERED, "salt")}

    def remember(self, parameters: DicomOptimizerParameterNode) -> None:
        fields = self.fields(parameters)
        qt.QSettings().setValue(SETTINGS_KEY, json.dumps({name: fields[name] for name in panel.REMEMBERED}))

    def recall(self, parameters: DicomOptimizerParameterNode) -> None:
        if not parameters.remembered:
            parameters.remembered = True
            for name, value in panel.recalled(slicer.util.settingsValue(SETTINGS_KEY, "{}")).items():
                setattr(parameters, name, value)


class DicomOptimizerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Connects the widgets of the .ui file with the parameter node and the two jobs: looking and working."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = self._parameterNode = self._parameterNodeGuiTag = self._looked = None
        self._result = Path()

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/DicomOptimizer.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = DicomOptimizerLogic()
        launch = slicer.util.launchConsoleProcess
        self.look = PanelJob(launch, self.onLookProgress, self.onLooked, self.onLookFailed)
        self.job = PanelJob(launch, self.onProgress, self.onDone, self.onFailed)
        self.lookTimer = qt.QTimer()
        self.lookTimer.setSingleShot(True)
        self.lookTimer.setInterval(LOOK_MS)
        self.lookTimer.timeout.connect(self.startLook)
        self.ui.presetComboBox.addItems([panel.CUSTOM, *PRESETS])
        self.ui.presetComboBox.connect("activated(int)", self.onPreset)
        self.ui.databaseComboBox.connect("currentIndexChanged(int)", self.onParameterChanged)
        self.ui.seriesTable.connect("cellClicked(int,int)", lambda _row, _column: self.lookTimer.start())
        for name in ("Run", "Cancel", "Open", "Load"):
            getattr(self.ui, f"{name.lower()}Button").clicked.connect(getattr(self, f"on{name}"))
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.showResult(None)
        say(self.ui.problemsLabel, "")
        self.setParameterNode(self.logic.getParameterNode())

    def cleanup(self) -> None:
        self.lookTimer.stop()
        self.look.cancel()
        self.job.cancel()
        self.removeObservers()

    def enter(self) -> None:
        self.setParameterNode(self.logic.getParameterNode())
        self.fillDatabase()

    def exit(self) -> None:
        self.setParameterNode(None)

    def onSceneStartClose(self, _caller: Any, _event: str) -> None:
        self.setParameterNode(None)

    def onSceneEndClose(self, _caller: Any, _event: str) -> None:
        if self.parent.isEntered:
            self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode: DicomOptimizerParameterNode | None) -> None:
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterChanged)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self.logic.recall(self._parameterNode)
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterChanged)
            self.onParameterChanged()

    def fillDatabase(self) -> None:
        box, listed = self.ui.databaseComboBox, mrml.database_series()
        chosen = box.currentData
        box.clear()
        box.addItem(_("none"), "")
        for text, uid in listed:
            box.addItem(text, uid)
        box.setCurrentIndex(max(box.findData(chosen), 0))
        box.visible = self.ui.databaseLabel.visible = bool(listed)

    def inputs(self) -> list[Path]:
        """Files or folder the user chose: a database series before a volume before the folder."""
        series = mrml.files_of_series(self.ui.databaseComboBox.currentData or "")
        return panel.chosen(series, mrml.files_of_volume(self._parameterNode.volume), self._parameterNode.folder)

    def onParameterChanged(self, _caller: Any = None, _event: str = "") -> None:
        parameters = self._parameterNode
        if not parameters:
            return
        inputs, fields = self.inputs(), self.logic.fields(parameters)
        needsOutput = inputs != [parameters.folder]
        obstacle = panel.run_obstacle(fields, inputs, panel.output_of(parameters.output), needs_output=needsOutput)
        if self.job.running:
            obstacle = _("The job is running.")
        self.ui.runButton.enabled, self.ui.runButton.toolTip = not obstacle, obstacle or _("Make the small copy.")
        self.ui.cancelButton.enabled = self.ui.progressBar.visible = self.job.running
        preset = panel.preset_of(parameters.level, parameters.width)
        self.ui.presetComboBox.setCurrentIndex(self.ui.presetComboBox.findText(preset))
        for name, on in panel.enabled(fields).items():
            getattr(self.ui, name).enabled = on
        self.ui.identityLabel.visible = not parameters.deidentify
        self.ui.identityLabel.toolTip = _("Without de-identification the copy still names the patient.")
        if inputs and self._looked != (inputs, fields):
            self._looked = (inputs, fields)
            self.lookTimer.start()

    def onPreset(self, _index: int) -> None:
        window = PRESETS.get(self.ui.presetComboBox.currentText)
        if window:
            self._parameterNode.level, self._parameterNode.width = float(window.level), float(window.width)

    # ---- looking -----------------------------------------------------------------------------------------------------

    def startLook(self) -> None:
        if self.look.running:  # a look is short: come again when it is over
            self.lookTimer.start()
            return
        if not self._parameterNode or not self.inputs():
            return
        row = self.ui.seriesTable.currentRow()
        job = panel.inspected(self.logic.fields(self._parameterNode), self.inputs())
        say(self.ui.problemsLabel, _("Looking ..."))
        self.look.start("optimize-preview", InspectionSettings(job, row if row >= 0 else None))

    def onLookProgress(self, done: int, total: int, message: str) -> None:
        say(self.ui.problemsLabel, f"{message} {round(100 * done / max(total, 1))} %")

    def onLooked(self, report: dict[str, Any]) -> None:
        fill_table(self.ui.seriesTable, panel.series_rows(report), qt)
        say(self.ui.problemsLabel, "")
        before, after = panel.pictures(report)
        showPicture(self.ui.beforeLabel, before)
        showPicture(self.ui.afterLabel, after)
        if self._parameterNode:
            fields = self.logic.fields(self._parameterNode)
            self.ui.shownLabel.text, self.ui.expectedLabel.text = panel.look_texts(report, fields, self.inputs())

    def onLookFailed(self, text: str) -> None:
        say(self.ui.problemsLabel, panel.in_panel_words(text))

    # ---- working -----------------------------------------------------------------------------------------------------

    def onRun(self) -> None:
        with slicer.util.tryWithErrorDisplay(_("The job cannot start.")):
            if self._parameterNode.compress != "none":
                needed = slicer.packaging.load_requirements(self.resourcePath("DicomOptimizer-requirements.txt"))
                slicer.packaging.pip_ensure(needed, requester="DicomOptimizer")
            fields = self.logic.fields(self._parameterNode)
            self.logic.remember(self._parameterNode)
            self.showResult(None)
            say(self.ui.statusLabel, _("Starting ..."))
            self.job.start(
                "optimize", panel.settings_of(fields, self.inputs(), panel.output_of(self._parameterNode.output))
            )
        self.onParameterChanged()

    def onCancel(self) -> None:
        self.job.cancel()

    def onProgress(self, done: int, total: int, message: str) -> None:
        self.ui.progressBar.maximum, self.ui.progressBar.value = total, done
        say(self.ui.statusLabel, message)

    def onDone(self, report: dict[str, Any]) -> None:
        self.showResult(report)
        self.onParameterChanged()

    def onFailed(self, text: str) -> None:
        self.ui.progressBar.value = 0
        say(self.ui.statusLabel, panel.in_panel_words(text) or _("Cancelled; nothing was written."))
        self.onParameterChanged()

    def showResult(self, report: dict[str, Any] | None) -> None:
        self._result = Path(report["output"]) if report else Path()
        say(self.ui.statusLabel, panel.summary_text(report) if report else "")
        rows = panel.result_rows(report) if report else []
        fill_table(self.ui.resultTable, rows, qt)
        self.ui.resultTable.visible = bool(rows)
        self.ui.openButton.visible = self.ui.loadButton.visible = report is not None
        self.ui.progressBar.value = self.ui.progressBar.maximum if report else 0

    def onOpen(self) -> None:
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._result)))

    def onLoad(self) -> None:
        with slicer.util.tryWithErrorDisplay(_("The result cannot be loaded."), waitCursor=True):
            mrml.load_result(self._result)


def showPicture(label: Any, content: bytes) -> None:
    """Show a PNG in a label, as large as the label is wide."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "picture.png")
        path.write_bytes(content)
        picture = qt.QPixmap(str(path)) if content else qt.QPixmap()
    side = max(100, min(label.width, 384))
    label.setPixmap(
        picture.scaled(side, side, qt.Qt.KeepAspectRatio, qt.Qt.SmoothTransformation) if content else picture
    )


class DicomOptimizerTest(ScriptedLoadableModuleTest):
    """Self-test: a small scan made here becomes a smaller one and is loaded."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def test_aSmallScanIsMadeSmallerAndLoaded(self) -> None:
        from DicomOptimizerLib import OptimizerSettings, run
        from DicomWorkbenchLib.samples.ct_rtstruct import make_ct_rtstruct

        with tempfile.TemporaryDirectory() as folder:
            make_ct_rtstruct(Path(folder, "case"), slices=12, size=32)
            report = run(OptimizerSettings((Path(folder, "case"),), decimate=2, eight_bit=True, resize=16, jobs=1))
            self.assertEqual(report.measured["slices_after"], 6)
            node = mrml.load_result(Path(report.output))
            self.assertEqual(node.GetImageData().GetDimensions(), (16, 16, 6))
