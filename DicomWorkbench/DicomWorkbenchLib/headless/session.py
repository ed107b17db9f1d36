"""Starting and ending the Slicer-like session of this process.

Nothing here imports ``slicer`` before ``boot()`` is called: the package must stay importable without slicer-core.
"""

from __future__ import annotations

import atexit
import importlib
import sys
from typing import Any

from DicomWorkbenchLib.errors import DependencyError

# Top-level modules in Slicer, submodules of slicer_core in the wheel.
VTK_MODULES_OF_SLICER = ("vtkITK", "vtkSegmentationCore", "vtkTeem")


def boot() -> Any:
    """Make sure that ``slicer.app``, ``slicer.mrmlScene``, ``slicer.modules`` and ``slicer.util`` work.

    Inside Slicer (or any other host that has set ``slicer.app``) nothing is touched. Outside, the first call builds a
    scene on slicer-core, about 2 s of which nearly all is the import; further calls return at once.

    Returns
    -------
    ``slicer.app``: Slicer's own, or its stand-in ``HeadlessApplication``.

    Raises
    ------
    DependencyError : slicer-core is not installed, or cannot be loaded on this system.
    """
    slicer = _import_slicer()
    if getattr(slicer, "app", None) is not None:
        return slicer.app
    _alias_vtk_modules()
    from DicomWorkbenchLib.headless.application import HeadlessApplication
    from DicomWorkbenchLib.headless.modules import ScriptedModule

    slicer.app = HeadlessApplication()
    slicer.qSlicerScriptedLoadableModule = ScriptedModule
    slicer.mrmlScene = slicer.app.mrmlScene()
    slicer.modules = slicer.app.moduleManager().as_namespace()
    # VTK objects must go in order, while the interpreter still stands: otherwise it may crash at its very end.
    atexit.register(shut_down)
    return slicer.app


def shut_down() -> None:
    """End the session ``boot()`` made: views first, then the scene. Does nothing inside Slicer."""
    slicer = sys.modules.get("slicer")
    close = getattr(getattr(slicer, "app", None), "close_headless_session", None)
    if slicer is None or close is None:
        return
    close()
    for name in ("app", "mrmlScene", "modules", "qSlicerScriptedLoadableModule"):
        delattr(slicer, name)
    atexit.unregister(shut_down)


def _import_slicer() -> Any:
    try:
        return importlib.import_module("slicer")
    except ModuleNotFoundError as error:
        raise DependencyError("slicer-core", extra="headless") from error
    except ImportError as error:  # the wheel is there, a system library is not
        raise DependencyError("a system library of slicer-core", hint=f"the system says: {error}") from error


def _alias_vtk_modules() -> None:
    """Give the modules the names they have in Slicer."""
    for name in VTK_MODULES_OF_SLICER:
        if name not in sys.modules:
            sys.modules[name] = importlib.import_module(f"slicer_core.{name}")
