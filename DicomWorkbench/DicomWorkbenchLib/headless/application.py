"""Stand-in for ``slicer.app``: the part of the application object that needs no Qt."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import slicer
import vtk

from DicomWorkbenchLib.headless.hierarchy import SubjectHierarchyObserver
from DicomWorkbenchLib.headless.io_manager import CoreIOManager
from DicomWorkbenchLib.headless.modules import ModuleManager
from DicomWorkbenchLib.headless.terminology import write_terminologies


class HeadlessApplication:
    """The scene, its logics and what ``slicer.util`` asks an application for.

    Method names are Slicer's. What needs a screen is absent on purpose (AttributeError), except the questions code asks
    before it touches the screen: ``layoutManager()`` is None and ``topLevelWidgets()`` is empty, as in
    ``Slicer --no-main-window``.

    Attributes
    ----------
    temporaryPath : a folder of this session, deleted at its end.
    applicationName : what ``slicer.util`` shows in messages.
    """

    applicationName = "DicomWorkbench headless"

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="dicom-workbench-", ignore_cleanup_errors=True)
        self.temporaryPath = self._temporary.name
        self._scene = _new_scene()
        self._logic = _new_application_logic(self._scene, self.temporaryPath)
        self._remote = _start_remote_io(self._scene, self._logic, self.temporaryPath)
        share = Path(self.temporaryPath, "share")
        share.mkdir()
        write_terminologies(share)
        self._modules = ModuleManager(self._scene, self._logic, share)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self._scene, True)
        self._hierarchy = SubjectHierarchyObserver(self._scene)
        self._io = CoreIOManager(self._scene, self._logic, self._modules)

    def mrmlScene(self) -> Any:
        """Return the scene."""
        return self._scene

    def applicationLogic(self) -> Any:
        """Return the ``vtkSlicerApplicationLogic``."""
        return self._logic

    def moduleManager(self) -> ModuleManager:
        """Return the modules by name."""
        return self._modules

    def coreIOManager(self) -> CoreIOManager:
        """Return what ``slicer.util.load*`` and ``save*`` go through."""
        return self._io

    ioManager = coreIOManager

    def layoutManager(self) -> None:
        """Return None: there are no views."""

    def topLevelWidgets(self) -> list[Any]:
        """Return no widgets."""
        return []

    def testingEnabled(self) -> bool:
        """Return True: nobody is there to answer a question."""
        return True

    def pauseRender(self) -> None:
        """Do nothing: nothing renders by itself."""

    resumeRender = pauseRender
    processEvents = pauseRender

    def startupEnvironment(self) -> StartupEnvironment:
        """Return the environment for child processes."""
        return StartupEnvironment()

    def close_headless_session(self) -> None:
        """Take the session apart in the order in which VTK survives it: observers, logics, nodes, scene."""
        self._hierarchy.close()
        self._scene.Clear(1)
        self._modules.detach()
        self._remote.close()
        self._logic.SetMRMLScene(None)
        self._temporary.cleanup()


class StartupEnvironment:
    """Stand-in for the QProcessEnvironment of ``slicer.app.startupEnvironment()``."""

    def keys(self) -> list[str]:
        """Return the names of the variables."""
        return list(os.environ)

    def value(self, name: str, default: str = "") -> str:
        """Return the value of a variable."""
        return os.environ.get(name, default)


class RemoteIO:
    """The data IO logics without which a scene cannot be read from an .mrb file."""

    def __init__(self, scene: Any, application_logic: Any, cache: str) -> None:
        self.remote = slicer.vtkMRMLRemoteIOLogic()
        self.remote.SetMRMLScene(scene)
        self.remote.SetMRMLApplicationLogic(application_logic)
        self.remote.GetCacheManager().SetRemoteCacheDirectory(cache)
        self.data = slicer.vtkDataIOManagerLogic()
        self.data.SetMRMLScene(scene)
        self.data.SetMRMLApplicationLogic(application_logic)
        self.data.SetAndObserveDataIOManager(self.remote.GetDataIOManager())
        self.remote.AddDataIOToScene()

    def close(self) -> None:
        """Detach both logics from the scene."""
        self.remote.RemoveDataIOFromScene()
        self.data.SetAndObserveDataIOManager(None)
        self.data.SetMRMLScene(None)
        self.remote.SetMRMLScene(None)


def _start_remote_io(scene: Any, application_logic: Any, folder: str) -> RemoteIO:
    return RemoteIO(scene, application_logic, folder)


def _new_scene() -> Any:
    scene = slicer.vtkMRMLScene()
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    return scene


def _new_application_logic(scene: Any, temporary: str) -> Any:
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetMRMLScene(scene)
    logic.SetTemporaryPath(temporary)
    logic.GetColorLogic().SetMRMLScene(scene)
    logic.GetColorLogic().AddDefaultColorNodes()
    logic.SetSliceLogics(vtk.vtkCollection())
    logic.SetViewLogics(vtk.vtkCollection())
    return logic
