"""A render window that draws off screen, or an error that says what to install; never a crash."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

import vtk
import vtkmodules.vtkInteractionStyle
import vtkmodules.vtkRenderingFreeType  # markups labels
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - these three register what vtkRenderWindow() makes

from DicomWorkbenchLib.errors import DependencyError, OutputError

_CHOICE = "VTK_DEFAULT_OPENGL_WINDOW"
_HINT = "on Debian or Ubuntu: apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri libgl1"
# VTK's last resort, which it also takes when OSMesa is not installed; the first Render() then ends the process.
_LAST_RESORT = "vtkOSOpenGLRenderWindow"

Size = tuple[int, int]  # width, height in pixels


def new_window(size: Size) -> Any:
    """Return a ``vtkRenderWindow`` that can be rendered off screen.

    On Linux without a display EGL is chosen beforehand; VTK would come to it by itself, with a warning.

    Raises
    ------
    DependencyError : OpenGL does not work here; the message names the packages.
    """
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        os.environ.setdefault(_CHOICE, "vtkEGLRenderWindow")
    window = vtk.vtkRenderWindow()
    if window.GetClassName() == _LAST_RESORT and not _osmesa_is_installed():
        raise DependencyError("a way to draw without a screen (EGL)", hint=_HINT)
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)  # software OpenGL is slow at it, and pictures stay the same on every machine
    window.SetSize(*size)
    return window


def write_png(window: Any, path: Path) -> None:
    """Write what ``window`` shows as a PNG of its size.

    Raises
    ------
    OutputError : the file cannot be written.
    """
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.SetInputBufferTypeToRGB()
    grab.ReadFrontBufferOff()
    writer = vtk.vtkPNGWriter()
    writer.SetWriteToMemory(True)
    writer.SetInputConnection(grab.GetOutputPort())
    writer.Write()
    try:
        path.write_bytes(memoryview(writer.GetResult()))
    except OSError as error:
        raise OutputError(f"the picture cannot be written: {path}: {error.strerror}") from error


def _osmesa_is_installed() -> bool:
    for name in ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False
