"""Slice and 3D views off screen: Slicer's displayable managers without Slicer's widgets.

A view adds nodes to the scene (its slice or view node, cameras, slice models); closing it removes every one of them.
Views must be closed before the scene ends: ``with`` does it.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import slicer
import vtk

from DicomWorkbenchLib.headless.graphics import Size, new_window

SLICE_MANAGERS = (
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
)
THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLVolumeRenderingDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
)


class OffscreenView:
    """What both kinds of view share: window, displayable managers, leaving the scene as it was."""

    def __init__(self, size: Size) -> None:
        self.window = new_window(size)  # first: where drawing is impossible the scene stays untouched
        self._scene = slicer.mrmlScene
        self._ids_before = _node_ids(self._scene)
        self.renderer = vtk.vtkRenderer()
        self.window.AddRenderer(self.renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self.window)
        self._managers: Any = None
        self._style: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _manage(self, factory: Any, names: tuple[str, ...], style: Any, node: Any) -> None:
        """Let the displayable managers ``names`` draw the scene as ``node`` says."""
        factory.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        for name in names:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        # Not factory.InstantiateDisplayableManagers(): that group is never freed and goes on watching the scene.
        self._managers = slicer.vtkMRMLDisplayableManagerGroup()
        self._managers.Initialize(factory, self.renderer)
        self._managers.SetMRMLDisplayableNode(node)
        self._style = style
        style.SetDisplayableManagers(self._managers)
        style.SetInteractor(self._interactor)  # and not interactor.SetInteractorStyle, which these styles refuse

    def close(self) -> None:
        """Release the view and remove the nodes it has brought into the scene."""
        # Managers before nodes, or they make new nodes; let go of, not set to None, which they do not survive.
        self._style = None
        self._managers = None
        self.renderer.RemoveAllViewProps()
        for node_id in _node_ids(self._scene) - self._ids_before:
            node = self._scene.GetNodeByID(node_id)
            if node is not None:  # removing one may take others along
                self._scene.RemoveNode(node)
        self.window.Finalize()


class SliceView(OffscreenView):
    """A slice view of one volume.

    Parameters
    ----------
    volume_node : shown in the background.
    orientation : "Axial", "Coronal" or "Sagittal".
    size : width and height in pixels.
    """

    def __init__(self, volume_node: Any, orientation: str, size: Size) -> None:
        super().__init__(size)
        application_logic = slicer.app.applicationLogic()
        self.node = _new_slice_node(self._scene, orientation, size)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(application_logic)
        self.logic.SetMRMLScene(self._scene)
        application_logic.GetSliceLogics().AddItem(self.logic)
        self.logic.SetSliceNode(self.node)
        self.logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume_node.GetID())
        self.logic.FitSliceToBackground()
        self._show_image()
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        self._manage(factory, SLICE_MANAGERS, slicer.vtkMRMLSliceViewInteractorStyle(), self.node)

    def _show_image(self) -> None:
        """Draw the reformatted image in a layer of its own, so that fills are blended over it.

        In Slicer the slice widget of CTK does this; no displayable manager draws the image.
        """
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        mapper.SetInputConnection(self.logic.GetImageDataConnection())
        actor = vtk.vtkActor2D()
        actor.SetMapper(mapper)
        background = vtk.vtkRenderer()
        background.AddViewProp(actor)
        self.window.SetNumberOfLayers(2)
        self.renderer.SetLayer(1)
        self.window.AddRenderer(background)

    def close(self) -> None:
        """Release the slice logic, which would put back the nodes it needs, and then the view."""
        slicer.app.applicationLogic().GetSliceLogics().RemoveItem(self.logic)
        self.logic.SetMRMLScene(None)
        self.logic = None
        super().close()


class ThreeDView(OffscreenView):
    """A 3D view of everything in the scene that is visible in 3D."""

    def __init__(self, size: Size) -> None:
        super().__init__(size)
        self.node = self._scene.AddNode(_layout_node(slicer.vtkMRMLViewNode(), self._scene))
        self.node.SetBoxVisible(False)
        self.node.SetAxisLabelsVisible(False)
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        self._manage(factory, THREE_D_MANAGERS, slicer.vtkMRMLThreeDViewInteractorStyle(), self.node)


def _node_ids(scene: Any) -> set[str]:
    return {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}


def _layout_node(node: Any, scene: Any) -> Any:
    name = scene.GenerateUniqueName("WorkbenchPicture")
    node.SetName(name)
    node.SetLayoutName(name)
    node.SetSingletonTag(name)
    node.SetMappedInLayout(1)
    return node


def _new_slice_node(scene: Any, orientation: str, size: Size) -> Any:
    node = scene.CreateNodeByClass("vtkMRMLSliceNode")  # the scene's default node knows the orientations
    node.UnRegister(None)
    node = scene.AddNode(_layout_node(node, scene))
    node.SetOrientation(orientation)
    node.SetDimensions(size[0], size[1], 1)
    return node
