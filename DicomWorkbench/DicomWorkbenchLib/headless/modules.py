"""The loadable modules of Slicer that slicer-core brings as logics, and stand-ins for ``slicer.modules``."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import slicer

# Module name in Slicer -> logic class in slicer-core. The order is that in which the logics register node classes:
# Terminologies before Segmentations, which asks for them.
LOGIC_CLASSES = {
    "Volumes": "vtkSlicerVolumesLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "SceneViews": "vtkSlicerSceneViewsModuleLogic",
    "Annotations": "vtkSlicerAnnotationModuleLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Units": "vtkSlicerUnitsLogic",
    "Plots": "vtkSlicerPlotsLogic",
}


class HeadlessModule:
    """One entry of ``slicer.modules``: a name and a logic; there is no widget."""

    def __init__(self, name: str, logic: Any) -> None:
        self.name = name
        self.title = name
        self._logic = logic

    def logic(self) -> Any:
        """Return the module's logic, as in Slicer."""
        return self._logic


class ScriptedModule(HeadlessModule):
    """Stand-in for ``slicer.qSlicerScriptedLoadableModule``, which ``slicer.util.getModuleLogic`` asks about."""


class ModuleManager:
    """Stand-in for ``slicer.app.moduleManager()``."""

    def __init__(self, scene: Any, application_logic: Any, share: Path) -> None:
        # The application logic makes its own colour logic; a second one would look for Slicer's colour files.
        colors = application_logic.GetColorLogic()
        application_logic.SetModuleLogic("Colors", colors)
        self._modules = {"colors": HeadlessModule("Colors", colors)}
        for name, class_name in LOGIC_CLASSES.items():
            logic = getattr(slicer, class_name)()
            # Before the scene: setting the scene makes Terminologies look for its files.
            if hasattr(logic, "SetModuleShareDirectory"):
                logic.SetModuleShareDirectory(str(share))
            logic.SetMRMLApplicationLogic(application_logic)
            logic.SetMRMLScene(scene)
            application_logic.SetModuleLogic(name, logic)
            self._modules[name.lower()] = HeadlessModule(name, logic)

    def module(self, name: str) -> HeadlessModule | None:
        """Return a module by its name, None if there is none."""
        return self._modules.get(name.lower())

    def modulesNames(self) -> list[str]:
        """Return the names of all modules."""
        return [module.name for module in self._modules.values()]

    def as_namespace(self) -> SimpleNamespace:
        """Return what ``slicer.modules`` is: one attribute per module, in lower case."""
        return SimpleNamespace(**self._modules)

    def detach(self) -> None:
        """Take the scene away from every logic, so that the scene can end."""
        for module in self._modules.values():
            if module.name != "Segmentations":  # this one then asks the missing scene for its hierarchy, and complains
                module.logic().SetMRMLScene(None)
        self._modules.clear()
