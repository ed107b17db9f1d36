"""Pictures of the scene as PNG files: slices with segmentations and markups, and 3D views."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.headless.session import boot

if TYPE_CHECKING:
    from DicomWorkbenchLib.windowing import Window

Orientation = Literal["Axial", "Coronal", "Sagittal"]
# Component of an RAS position along which the slices of an orientation are stacked.
_AXIS = {"Sagittal": 0, "Coronal": 1, "Axial": 2}


def picture_of_slice(
    volume_node: Any,
    path: Path | str,
    *,
    orientation: Orientation = "Axial",
    offset_mm: float | None = None,
    center_ras: tuple[float, float, float] | None = None,
    field_of_view_mm: float | None = None,
    size: tuple[int, int] = (512, 512),
    window: Window | None = None,
) -> Path:
    """Write a slice of a volume as PNG, with all segmentations, models and markups that are visible there.

    Left and right are as radiologists read: the patient's right is on the left of axial and coronal pictures.

    Parameters
    ----------
    volume_node : a scalar, vector or label map volume node of the scene.
    path : the PNG file.
    orientation : anatomical plane.
    offset_mm : RAS coordinate of the slice along its normal (S of an axial one); the volume's middle if not given.
    center_ras : a point in RAS mm the slice goes through, instead of ``offset_mm``.
    field_of_view_mm : width of the picture in mm, around ``center_ras``; the whole volume if not given.
    size : width and height in pixels.
    window : level and width, only for this picture; the volume's display node decides if not given.

    Returns
    -------
    ``path``.

    Raises
    ------
    SettingsError : unknown orientation, or both ``offset_mm`` and ``center_ras``.
    DependencyError : OpenGL does not work on this machine.
    OutputError : the file cannot be written.
    """
    if orientation not in _AXIS:
        raise SettingsError(f"orientation must be one of {', '.join(_AXIS)}, got {orientation!r}")
    if offset_mm is not None and center_ras is not None:
        raise SettingsError("give offset_mm or center_ras of a slice, not both")
    boot()
    from DicomWorkbenchLib.headless.graphics import write_png
    from DicomWorkbenchLib.headless.views import SliceView

    with _windowed(volume_node, window), SliceView(volume_node, orientation, size) as view:
        if field_of_view_mm is not None:
            view.node.SetFieldOfView(field_of_view_mm, field_of_view_mm * size[1] / size[0], 1.0)
            if center_ras is not None:
                view.node.JumpSliceByCentering(*center_ras)
        # By a point, not by SetSliceOffset: along R the slice normal may point either way.
        if point := center_ras or _on_axis(orientation, offset_mm):
            view.node.JumpSliceByOffsetting(*point)
        view.window.Render()
        write_png(view.window, Path(path))
    return Path(path)


def picture_of_3d(
    path: Path | str,
    *,
    size: tuple[int, int] = (512, 512),
    azimuth_deg: float = 0.0,
    elevation_deg: float = 0.0,
) -> Path:
    """Write a 3D view of the scene as PNG: models, surfaces of segmentations, markups, volume renderings.

    A segmentation is seen if it has a surface (``CreateClosedSurfaceRepresentation()``).

    Parameters
    ----------
    path : the PNG file.
    size : width and height in pixels.
    azimuth_deg : turns the camera around the patient's long axis; 0 looks from the front, 90 from the patient's left.
    elevation_deg : lifts the camera towards the head.

    Returns
    -------
    ``path``.

    Raises
    ------
    DependencyError : OpenGL does not work on this machine.
    OutputError : the file cannot be written.
    """
    boot()
    from DicomWorkbenchLib.headless.graphics import write_png
    from DicomWorkbenchLib.headless.views import ThreeDView

    with ThreeDView(size) as view:
        view.window.Render()  # the displayable managers make their actors now
        camera = view.renderer.GetActiveCamera()
        camera.SetFocalPoint(0.0, 0.0, 0.0)
        camera.SetPosition(0.0, 1.0, 0.0)
        camera.SetViewUp(0.0, 0.0, 1.0)
        camera.Azimuth(azimuth_deg)
        camera.Elevation(elevation_deg)
        camera.OrthogonalizeViewUp()
        view.renderer.ResetCamera()
        view.window.Render()
        write_png(view.window, Path(path))
    return Path(path)


def picture_of_segmentation(
    segmentation: Path | str,
    path: Path | str,
    *,
    size: tuple[int, int] = (720, 720),
    outer_opacity: float = 0.25,
) -> Path:
    """Write a 3D view of a segmentation file alone as PNG.

    Parameters
    ----------
    segmentation : a .seg.nrrd file.
    outer_opacity : of its first segment, so that one sees what lies inside.

    Raises
    ------
    DependencyError : Slicer's libraries or OpenGL are missing.
    """
    boot()
    import slicer

    node = slicer.util.loadSegmentation(str(segmentation))
    node.CreateClosedSurfaceRepresentation()
    node.GetDisplayNode().SetSegmentOpacity3D(node.GetSegmentation().GetNthSegmentID(0), outer_opacity)
    try:
        return picture_of_3d(path, size=size, azimuth_deg=25.0, elevation_deg=8.0)
    finally:
        slicer.mrmlScene.RemoveNode(node)


def _on_axis(orientation: Orientation, offset_mm: float | None) -> tuple[float, float, float] | None:
    """Return a point of the plane at ``offset_mm``, None for no offset."""
    if offset_mm is None:
        return None
    axis = _AXIS[orientation]
    return (offset_mm * (axis == 0), offset_mm * (axis == 1), offset_mm * (axis == 2))


@contextlib.contextmanager
def _windowed(volume_node: Any, window: Window | None) -> Iterator[None]:
    """Show the volume with ``window`` for a while, and then as its display node said before."""
    display = volume_node.GetDisplayNode()
    if display is None:
        volume_node.CreateDefaultDisplayNodes()
        display = volume_node.GetDisplayNode()
    if window is None:
        yield
        return
    before = display.GetAutoWindowLevel(), display.GetWindow(), display.GetLevel()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(window.width, window.level)
    try:
        yield
    finally:
        display.SetWindowLevel(before[1], before[2])
        display.SetAutoWindowLevel(before[0])
