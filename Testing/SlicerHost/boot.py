"""Turn this process into a stand-in for Slicer: ``qt``, ``ctk``, ``slicer`` and what belongs to them can be imported."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import types
from typing import Any

from PySide6 import QtCore, QtWidgets

from SlicerHost.looks import dress
from SlicerHost.qt_facade import Facade, make_qt

_CTK_PARTS = ("ctk_buttons", "ctk_numbers", "ctk_choices", "ctk_texts")
_SLICER_PARTS = (
    *("qmrml_base", "qmrml_nodes", "qmrml_segments", "qmrml_tables", "qmrml_plots", "qmrml_numbers"),
    *("qmrml_markups", "qmrml_point_lists", "scripted_modules", "layout"),
)


def boot(main_window: bool = False, dark: bool = False) -> Any:
    """Start the host once; further calls return the same ``slicer``.

    Parameters
    ----------
    main_window : whether ``slicer.app.layoutManager()`` gives views; without, it is None as with --no-main-window.
    dark : the dark palette.
    """
    if "qt" in sys.modules:
        return sys.modules["slicer"]
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    QtCore.qInstallMessageHandler(_on_qt_message)
    application = QtWidgets.QApplication(["Slicer"])
    _keep_settings_apart(application)
    dress(application, dark=dark)
    sys.modules["qt"] = make_qt()
    slicer = _boot_scene()
    stand_ins = _expose_widgets(slicer)
    _expose_modules(slicer, stand_ins)
    _start_application(slicer, main_window)
    return slicer


# What Qt complained about; "problem" to a test, noise of the offscreen platform left out.
qt_warnings: list[str] = []
_NOISE = ("This plugin does not support",)


def _on_qt_message(kind: QtCore.QtMsgType, _context: Any, message: str) -> None:
    if message.startswith(_NOISE):
        return
    if kind != QtCore.QtMsgType.QtDebugMsg:
        qt_warnings.append(message)
    print(f"Qt: {message}", file=sys.stderr)


def _keep_settings_apart(application: QtWidgets.QApplication) -> None:
    application.setOrganizationName("SlicerHost")
    application.setApplicationName("SlicerHost")
    folder = tempfile.TemporaryDirectory(prefix="slicer-host-settings-")
    application.setProperty("settings_folder", folder.name)
    _kept_to_the_end.append(folder)
    QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
    QtCore.QSettings.setPath(QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, folder.name)


_kept_to_the_end: list[Any] = []


def _boot_scene() -> Any:
    from DicomWorkbenchLib.headless import boot as boot_headless

    boot_headless()
    return sys.modules["slicer"]


def _expose_widgets(slicer: Any) -> dict[str, type]:
    """Put our widget classes into ``ctk`` and ``slicer``; return all by their C++ names."""
    ctk = Facade("ctk", "CTK as Slicer's Python sees it")
    sys.modules["ctk"] = ctk
    stand_ins: dict[str, type] = {}
    for target, parts in ((ctk, _CTK_PARTS), (slicer, _SLICER_PARTS)):
        for part in parts:
            module = importlib.import_module(f"SlicerHost.{part}")
            ours = {cls.__name__: cls for cls in vars(module).values() if _is_stand_in_of(target.__name__, cls)}
            for name, cls in ours.items():
                setattr(target, name, cls)
            stand_ins |= ours
    return stand_ins


def _is_stand_in_of(prefix: str, what: Any) -> bool:
    """Say whether ``what`` is one of our classes for a class of ``ctk`` or ``slicer`` (and not for a live object)."""
    return getattr(what, "__dict__", {}).get("_stands_for", "") == f"{prefix}.{getattr(what, '__name__', '')}"


def _expose_modules(slicer: Any, stand_ins: dict[str, type]) -> None:
    from SlicerHost import packaging_functions, sample_data, scripted_loadable_module, util_functions
    from SlicerHost.dicom_database import make_dicomlib
    from SlicerHost.parameter_node import annotations, packs, wrapper
    from SlicerHost.ui_loader import load_ui

    slicer.selfTests = {}
    util_functions.tidy_slicer()
    slicer.util.loadUI = lambda path: load_ui(path, stand_ins)
    _publish(slicer, "slicer.ScriptedLoadableModule", scripted_loadable_module)
    _publish(slicer, "slicer.packaging", packaging_functions)
    _publish(slicer, "slicer.i18n", _i18n())
    _publish(slicer, "slicer.parameterNodeWrapper", _merged("slicer.parameterNodeWrapper", annotations, packs, wrapper))
    sys.modules["SampleData"] = sample_data
    sys.modules |= make_dicomlib()


def _publish(slicer: Any, name: str, module: types.ModuleType) -> None:
    sys.modules[name] = module
    setattr(slicer, name.rpartition(".")[2], module)


def _i18n() -> types.ModuleType:
    module = types.ModuleType("slicer.i18n")
    module.tr = lambda text: text
    module.translate = lambda context, text: text
    module.getContext = lambda sourceFile: ""
    return module


def _merged(name: str, *parts: types.ModuleType) -> types.ModuleType:
    """Return one module with those public names of ``parts`` that Slicer's has."""
    from SlicerHost.api import python_names

    module = types.ModuleType(name)
    for part in parts:
        vars(module).update({key: value for key, value in vars(part).items() if key in python_names(name)})
    return module


def _start_application(slicer: Any, main_window: bool) -> None:
    from SlicerHost.application import Application
    from SlicerHost.dicom_database import DicomDatabase

    layout_manager = None
    if main_window:
        from SlicerHost.layout import LayoutManager, MainWindow

        layout_manager = LayoutManager(slicer.mrmlScene, slicer.app.applicationLogic())
        _kept_to_the_end.append(MainWindow())
    slicer.app = Application(slicer.app, layout_manager)
    slicer.dicomDatabase = DicomDatabase()
