"""Panel of AutoSegmentQueue: fields to the queue's settings, its process, and a live table of its jobs."""

# No "from __future__ import annotations" in a file with a parameter node: its annotations must be types, not texts.
import tempfile
from pathlib import Path
from typing import Annotated, Any

import qt
import slicer
import vtk
from AutoSegmentQueueLib import mrml, panel, panel_cells, panel_jobs, panel_look, panel_order, panel_watch
from AutoSegmentQueueLib.home import Home, default_home
from AutoSegmentQueueLib.panel_network import EXECUTORS, PORT, pull_arguments, pull_obstacle, serve_arguments
from DicomWorkbenchLib.panel_widgets import describe
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

POLL_MS = 500  # the ledger is looked at so often; a look without changes takes less than a millisecond
DISPLAY, FOREGROUND, TIP = qt.Qt.DisplayRole, qt.Qt.ForegroundRole, qt.Qt.ToolTipRole


class AutoSegmentQueue(ScriptedLoadableModule):
    """What Slicer asks about the module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        category = translate("qSlicerAbstractCoreModule", "Segmentation")
        describe(parent, _("Auto Segment Queue"), category, _(panel.HELP), "queue")


@parameterNodeWrapper
class AutoSegmentQueueParameterNode:
    """What the panel's fields hold."""

    scan: vtkMRMLScalarVolumeNode
    home: Path
    input: Path
    output: Path
    engine: Annotated[str, Choice(panel.ENGINES), Default("threshold")]
    task: Annotated[str, Default("total")]
    quality: Annotated[str, Choice(["normal", "fast", "faster"]), Default("normal")]
    structureNames: str
    device: Annotated[str, Choice(panel.DEVICES), Default("cpu")]
    slots: Annotated[int, WithinRange(1, panel.MOST_SLOTS), Default(1)]
    reduction: Annotated[float, WithinRange(0, 0.99), Default(0.9)]
    stl: bool
    obj: bool
    executor: Annotated[str, Choice(EXECUTORS), Default("local")]
    scheduler: str
    receive: bool
    dicomPort: Annotated[int, WithinRange(1, 65535), Default(PORT)]
    dicomAddress: Annotated[str, Default("127.0.0.1")]
    aeTitle: Annotated[str, Default("WORKBENCH")]
    allowAe: str
    receiveFrom: str
    sendTo: str
    pullFrom: str
    study: str


class AutoSegmentQueueLogic(ScriptedLoadableModuleLogic):
    """From parameter node to the queue's home, settings and ledger."""

    def getParameterNode(self) -> AutoSegmentQueueParameterNode:
        return AutoSegmentQueueParameterNode(super().getParameterNode())

    def fields(self, parameters: AutoSegmentQueueParameterNode) -> dict[str, Any]:
        return {name: getattr(parameters, name) for name in panel.FIELDS}

    def home(self, parameters: AutoSegmentQueueParameterNode) -> Home:
        return Home(parameters.home.absolute() if parameters.home.name else default_home())

    def saveSettings(self, parameters: AutoSegmentQueueParameterNode) -> Home:
        """Make the home if it is new and keep the fields in it."""
        home = Home.open(self.home(parameters).root)
        home.save(panel.settings_of(self.fields(parameters), home.load()))
        return home


class JobTableModel(qt.QAbstractTableModel):
    """Shows a `JobList` in a table view; further jobs are read when one scrolls to them."""

    source = None

    def show(self, source: panel_jobs.JobList | None) -> None:
        self.beginResetModel()
        self.source = source
        if source:
            source.reload()
        self.endResetModel()

    def sortBy(self, order: panel_order.Order | None) -> None:
        self.beginResetModel()
        self.source.sort(order)
        self.endResetModel()

    def refresh(self) -> bool:
        """Take up what has changed; returns whether everything is new."""
        changes = self.source.refresh()
        if changes.reset:
            self.beginResetModel()
            self.endResetModel()
        elif changes.added:  # the list has them already; the view learns of it here
            self.beginInsertRows(qt.QModelIndex(), 0, changes.added - 1)
            self.endInsertRows()
        return changes.reset

    def rowCount(self, parent: Any = None) -> int:
        return len(self.source.jobs) if self.source else 0

    def columnCount(self, parent: Any = None) -> int:
        return len(panel_cells.COLUMNS)

    def data(self, index: Any, role: int = DISPLAY) -> Any:
        if role == DISPLAY:
            return self.source.cell(index.row(), index.column())
        if role == FOREGROUND:
            name = panel_cells.colour(self.source.jobs[index.row()], index.column())
            return qt.QColor(name) if name else None
        return self.source.tip(index.row()) if role == TIP else None

    def headerData(self, section: int, orientation: Any, role: int = DISPLAY) -> Any:
        texts = {DISPLAY: panel_cells.COLUMNS, TIP: panel_cells.COLUMN_TIPS}.get(role)
        return texts[section] if texts and orientation == qt.Qt.Horizontal else None

    def canFetchMore(self, parent: Any = None) -> bool:
        return bool(self.source and self.source.can_load_more)

    def fetchMore(self, parent: Any = None) -> None:
        page, first = self.source.next_page(), len(self.source.jobs)
        if page:
            self.beginInsertRows(qt.QModelIndex(), first, first + len(page) - 1)
        self.source.take(page)
        if page:
            self.endInsertRows()


class AutoSegmentQueueWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Connects the widgets of the .ui file with the parameter node, the queue's process and its ledger."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = self._parameterNode = self._parameterNodeGuiTag = self._home = self._isServed = None

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/AutoSegmentQueue.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic, self.model, self.obstacle = AutoSegmentQueueLogic(), JobTableModel(), panel.Obstacle()
        self.watch = panel_watch.JobsWatch(self.ui, self.model)
        self.ui.jobsView.setModel(self.model)
        panel_look.prepare_table(self.ui.jobsView)
        self.ui.jobsView.horizontalHeader().connect("sectionClicked(int)", self.onHeader)
        self.ui.jobsView.selectionModel().connect("currentRowChanged(QModelIndex,QModelIndex)", self.onJob)
        told = (slicer.util.launchConsoleProcess, self.ui.logText.appendPlainText, self.onEnded)
        self.server, self.adder = panel.QueueProcess(*told), panel.QueueProcess(*told)
        for name in ("start", "addVolume", "addFiles", "addFolder", "pull", "load", "preview"):
            getattr(self.ui, f"{name}Button").clicked.connect(getattr(self, f"on{name[0].upper()}{name[1:]}"))
        self.ui.stopButton.clicked.connect(self.server.stop)
        self.ui.webButton.clicked.connect(lambda: qt.QDesktopServices.openUrl(qt.QUrl(self.server.page)))
        for name in panel_watch.CHANGES:
            getattr(self.ui, f"{name}Button").clicked.connect(lambda _checked=False, name=name: self.change(name))
        self.timer = qt.QTimer()
        self.timer.setInterval(POLL_MS)
        self.timer.timeout.connect(self.poll)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        self.timer.stop()
        self.server.stop()
        self.adder.stop()
        self.watch.use(None)
        self.removeObservers()

    def enter(self) -> None:
        self.initializeParameterNode()
        self.timer.start()

    def exit(self) -> None:
        self.timer.stop()
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
        if not self._parameterNode:
            return
        home = self.logic.home(self._parameterNode)
        if home != self._home:
            self._home = home
            self.watch.use(home)
            if (home.root / "settings.json").exists():  # the home knows what it was last used for
                with slicer.util.tryWithErrorDisplay(_("The settings of this home cannot be used.")):
                    for name, value in panel.fields_of(home.load()).items():
                        setattr(self._parameterNode, name, value)
        self.poll()

    # ---- looking -----------------------------------------------------------------------------------------------------

    def poll(self) -> None:
        """Show what has changed since the last look."""
        if self._parameterNode:
            self._isServed = self.server.running or panel.is_served(self._home)
            self.watch.look(self._parameterNode.slots)
            self.updateButtons()

    def updateButtons(self) -> None:
        fields, ledger, scan = self.logic.fields(self._parameterNode), self.watch.ledger, self._parameterNode.scan
        facts = (self._isServed, self.server.running, self.adder.running, bool(scan), bool(ledger), self.watch.job())
        now = panel.Situation(self.obstacle.of(fields), *facts, self.server.page, pull_obstacle(fields))
        panel_look.show_situation(self.ui, now, fields, is_paused=bool(ledger and ledger.paused))

    def onJob(self, _current: Any = None, _previous: Any = None) -> None:
        self.watch.choose()
        self.updateButtons()

    def onHeader(self, column: int) -> None:
        order, header = self.watch.sort(column), self.ui.jobsView.horizontalHeader()
        header.showSortIndicator, isUp = bool(order), bool(order and not order.descending)
        header.setSortIndicator(column, qt.Qt.AscendingOrder if isUp else qt.Qt.DescendingOrder)

    # ---- acting ------------------------------------------------------------------------------------------------------

    def usedHome(self) -> Home:
        return self._home if self._isServed else self.logic.saveSettings(self._parameterNode)

    def run(self, process: panel.QueueProcess, verb: str, *arguments: str) -> None:
        with slicer.util.tryWithErrorDisplay(_("The queue cannot be used.")):
            needed = slicer.packaging.load_requirements(self.resourcePath("AutoSegmentQueue-requirements.txt"))
            slicer.packaging.pip_ensure(needed, requester="AutoSegmentQueue")
            process.start(self.usedHome(), verb, *arguments)
        self.poll()

    def onEnded(self, code: int) -> None:
        if code > 0:
            self.ui.logText.appendPlainText(_("Ended with exit code {code}, see above.").format(code=code))
        self.poll()

    def onStart(self) -> None:
        self.run(self.server, "serve", *serve_arguments(self.logic.fields(self._parameterNode)))

    def onPull(self) -> None:
        self.run(self.adder, "pull", *pull_arguments(self.logic.fields(self._parameterNode)))

    def onAddFiles(self) -> None:
        if files := qt.QFileDialog.getOpenFileNames(None, _("Add scans"), "", panel.FILE_KINDS):
            self.run(self.adder, "add", *files)

    def onAddFolder(self) -> None:
        if folder := qt.QFileDialog.getExistingDirectory(None, _("Add a folder of DICOM files")):
            self.run(self.adder, "add", folder)

    def onAddVolume(self) -> None:
        with slicer.util.tryWithErrorDisplay(_("The volume cannot be added."), waitCursor=True):
            scan, home = self._parameterNode.scan, self.usedHome()
            path = panel.place_in_input(home, home.load(), scan.GetName(), lambda path: mrml.save_volume(scan, path))
            if not self._isServed:  # otherwise the queue finds it by itself
                self.run(self.adder, "add", str(path))

    def change(self, name: str) -> None:
        """Change something in the ledger or the outbox and show it at once."""
        with slicer.util.tryWithErrorDisplay(_("The queue cannot do this.")):
            panel_watch.CHANGES[name](self.watch, self.watch.job())
            self.model.source.own_change()
        self.poll()

    def onLoad(self) -> None:
        with slicer.util.tryWithErrorDisplay(_("The result cannot be loaded."), waitCursor=True):
            mrml.load_result(Path(self.watch.job().output))

    def onPreview(self) -> None:
        if page := panel.result_file(self.watch.job(), "preview.html"):
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(page)))


class AutoSegmentQueueTest(ScriptedLoadableModuleTest):
    """Self-test: a small scan made here is segmented by the built-in engine and its result is loaded."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def test_aSmallScanIsSegmentedAndLoaded(self) -> None:
        from AutoSegmentQueueLib.panel_sample import run_sample_job

        with tempfile.TemporaryDirectory() as folder:
            segmentation = mrml.load_result(run_sample_job(Path(folder))).GetSegmentation()
        self.assertEqual(segmentation.GetNumberOfSegments(), 3)

    def test_fieldsBecomeTheSettingsOfAHome(self) -> None:
        logic = AutoSegmentQueueLogic()
        with tempfile.TemporaryDirectory() as folder:
            parameters = logic.getParameterNode()
            parameters.home, parameters.structureNames = Path(folder), "liver, spleen"
            self.assertEqual(logic.saveSettings(parameters).load().segmentation.structures, ("liver", "spleen"))
