"""``slicer.app`` of the host: the headless session of the common room, with a Qt application around it."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from SlicerHost.answers import user
from SlicerHost.faces import stands_for
from SlicerHost.looks import dress
from SlicerHost.plain_property import plain

_VERSION = (5, 13)


@stands_for("slicer.app.moduleManager()")
class ModuleManager(QtCore.QObject):
    """Every module by its name."""

    moduleLoaded = QtCore.Signal(str)
    moduleAboutToBeUnloaded = QtCore.Signal(str)

    def module(self, name: str) -> Any:
        """Return a module, or None."""
        return getattr(slicer.modules, name.lower(), None)

    def modulesNames(self) -> tuple[str, ...]:
        """Return the names of all modules."""
        return tuple(module.name for module in vars(slicer.modules).values() if hasattr(module, "logic"))


@stands_for("slicer.app")
class Application(QtCore.QObject):
    """The application object."""

    startupCompleted = QtCore.Signal()
    aboutToQuit = QtCore.Signal()
    renderPaused = QtCore.Signal(bool)
    mrmlSceneChanged = QtCore.Signal(object)
    _session: Any
    _modules: ModuleManager
    _layout: Any
    _testing = True
    _paused = 0
    _exit_status = 0

    def __init__(self, session: Any, layout_manager: Any = None) -> None:
        super().__init__()
        self._session = session
        self._modules = ModuleManager()
        self._layout = layout_manager
        self.temporaryPath = str(session.temporaryPath)

    # ---- the scene and its managers --------------------------------------------------------------------------------

    def mrmlScene(self) -> Any:
        """Return the scene."""
        return self._session.mrmlScene()

    def applicationLogic(self) -> Any:
        """Return the application logic."""
        return self._session.applicationLogic()

    def moduleManager(self) -> ModuleManager:
        """Return the modules by name."""
        return self._modules

    def moduleLogic(self, name: str) -> Any:
        """Return a module's logic."""
        return self._modules.module(name).logic()

    def coreIOManager(self) -> Any:
        """Return what loads and saves."""
        return self._session.coreIOManager()

    def ioManager(self) -> Any:
        """Return what loads and saves."""
        return self._session.coreIOManager()

    def layoutManager(self) -> Any:
        """Return the views, or None as in ``Slicer --no-main-window``."""
        return self._layout

    def dicomDatabase(self) -> Any:
        """Return the DICOM database."""
        return slicer.dicomDatabase

    # ---- Qt ----------------------------------------------------------------------------------------------------------

    def processEvents(self, *arguments: Any) -> None:
        """Handle what is pending."""
        QtWidgets.QApplication.processEvents(*arguments)

    def setOverrideCursor(self, cursor: Any) -> None:
        """Show a cursor everywhere."""
        QtWidgets.QApplication.setOverrideCursor(cursor)

    def restoreOverrideCursor(self) -> None:
        """Show the former cursor."""
        QtWidgets.QApplication.restoreOverrideCursor()

    def overrideCursor(self) -> Any:
        """Return the cursor shown everywhere, or None."""
        return QtWidgets.QApplication.overrideCursor()

    def topLevelWidgets(self) -> tuple[Any, ...]:
        """Return the windows."""
        return tuple(QtWidgets.QApplication.topLevelWidgets())

    def activeWindow(self) -> Any:
        """Return the window with the focus, or None."""
        return QtWidgets.QApplication.activeWindow()

    def palette(self) -> QtGui.QPalette:
        """Return the colours: dark or light."""
        return QtWidgets.QApplication.palette()

    def font(self) -> QtGui.QFont:
        """Return the font."""
        return QtWidgets.QApplication.font()

    def clipboard(self) -> Any:
        """Return the clipboard."""
        return QtWidgets.QApplication.clipboard()

    def userSettings(self) -> QtCore.QSettings:
        """Return the user's settings: a temporary file here."""
        return QtCore.QSettings()

    def settings(self) -> QtCore.QSettings:
        """Return the settings."""
        return QtCore.QSettings()

    def revisionUserSettings(self) -> QtCore.QSettings:
        """Return the settings of this version."""
        return QtCore.QSettings()

    def style(self) -> QtWidgets.QStyle:
        """Return the style; its standard palette is that of the style's name given last."""
        return QtWidgets.QApplication.style()

    def setStyle(self, name: str) -> None:
        """Wear "Light Slicer" or "Dark Slicer"."""
        application = QtWidgets.QApplication.instance()
        assert isinstance(application, QtWidgets.QApplication)
        dress(application, dark=name.startswith("Dark"))

    def setPalette(self, _palette: QtGui.QPalette) -> None:
        """Take a style's colours: `setStyle` has set them already."""

    def openUrl(self, url: Any) -> bool:
        """Open a page in the browser: kept in ``user.opened_urls``."""
        user.opened_urls.append(url if isinstance(url, str) else url.toString())
        return True

    # ---- the rest ------------------------------------------------------------------------------------------------------

    def exit(self, status: int = 0) -> None:
        """End the application: the status is only kept here."""
        self._exit_status = status

    def commandOptions(self) -> Any:
        """Return the options of the command line; only ``runPythonAndExit`` is asked for."""
        return SimpleNamespace(runPythonAndExit=False)

    def testingEnabled(self) -> bool:
        """Say whether Slicer runs with --testing: questions are not asked then."""
        return self._testing

    def pauseRender(self) -> None:
        """Stop drawing until resumeRender."""
        self._paused += 1
        self.renderPaused.emit(True)

    def resumeRender(self) -> None:
        """Draw again."""
        self._paused -= 1
        self.renderPaused.emit(self._paused > 0)

    def setRenderPaused(self, pause: bool) -> None:
        """Pause or resume."""
        if pause:
            self.pauseRender()
        else:
            self.resumeRender()

    def startupEnvironment(self) -> QtCore.QProcessEnvironment:
        """Return the environment before Slicer's launcher changed it."""
        return QtCore.QProcessEnvironment.systemEnvironment()

    def environment(self) -> QtCore.QProcessEnvironment:
        """Return the environment."""
        return QtCore.QProcessEnvironment.systemEnvironment()

    def applicationPid(self) -> int:
        """Return the process id."""
        return os.getpid()

    def moduleDocumentationUrl(self, name: str) -> str:
        """Return a page of Slicer's documentation."""
        return f"{self.documentationBaseUrl}user_guide/modules/{name.lower()}.html"

    def translate(self, _context: str, text: str) -> str:
        """Return the text in the user's language: English."""
        return text

    # ---- for DicomWorkbenchLib.headless.shut_down, which ends the session (not in Slicer) ---------------------------

    def close_headless_session(self) -> None:
        """End the views, the scene and its logics."""
        for logic in self._slice_logics():
            logic.SetMRMLScene(None)
        self.applicationLogic().GetSliceLogics().RemoveAllItems()
        self._session.close_headless_session()

    def _slice_logics(self) -> list[Any]:
        collection = self.applicationLogic().GetSliceLogics()
        return [collection.GetItemAsObject(index) for index in range(collection.GetNumberOfItems())]

    temporaryPath = plain(str, "")
    applicationName = plain(str, "Slicer")
    applicationVersion = plain(str, f"{_VERSION[0]}.{_VERSION[1]}.0-host")
    applicationDisplayName = plain(str, "3D Slicer")
    mainApplicationName = QtCore.Property(str, lambda _self: "Slicer")
    majorVersion = QtCore.Property(int, lambda _self: _VERSION[0])
    minorVersion = QtCore.Property(int, lambda _self: _VERSION[1])
    revision = QtCore.Property(str, lambda _self: "31053")
    os = QtCore.Property(str, lambda _self: QtCore.QSysInfo.kernelType())
    slicerHome = QtCore.Property(str, lambda self: self.temporaryPath)
    cachePath = QtCore.Property(str, lambda self: self.temporaryPath)
    defaultScenePath = plain(str, "")
    documentationBaseUrl = QtCore.Property(str, lambda _self: "https://slicer.readthedocs.io/en/latest/")
    isInstalled = QtCore.Property(bool, lambda _self: False)
