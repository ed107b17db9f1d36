"""One module opened in this process: its panel is filled in, clicked and photographed."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtWidgets

from SlicerHost import signals
from SlicerHost.answers import user
from SlicerHost.boot import boot, qt_warnings
from SlicerHost.looks import cut_texts, dress

WIDTH = 420  # pixels: Slicer's module panel as most people have it
LEAST_WIDTH = 300  # pixels: the panel must stay usable down to this


def checkout() -> Path:
    """Return the folder that holds the modules' folders."""
    return Path(os.environ.get("WORKBENCH_MODULES", Path(__file__).parents[2]))


def pictures_folder() -> Path:
    """Return the folder for pictures: WORKBENCH_PICTURES, or one in the temporary folder."""
    folder = Path(os.environ.get("WORKBENCH_PICTURES") or Path(tempfile.gettempdir(), "workbench-pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Panel:
    """An open module.

    Attributes
    ----------
    module, widget, logic : the objects of the module's classes (``logic`` is the widget's); a hidden module without a
        Widget class has neither widget nor ``outer``, the C++ widget around it.
    ui : the widgets of the .ui file by name, ``widget.ui``.
    slicer : the module ``slicer``.
    user : preset answers and recorded messages, see ``SlicerHost.answers``.
    """

    def __init__(self, module: Any, outer: Any, slicer: Any) -> None:
        self.module, self.outer, self.slicer, self.user = module, outer, slicer, user
        self.widget = outer.self() if outer is not None else None

    @property
    def ui(self) -> Any:
        return self.widget.ui

    @property
    def logic(self) -> Any:
        return self.widget.logic

    @property
    def name(self) -> str:
        return str(self.module.moduleName)

    # ---- acting ------------------------------------------------------------------------------------------------------

    def click(self, button: Any) -> None:
        """Click a button as the user does: a hidden or disabled one cannot be clicked."""
        if not button.isEnabled():
            raise AssertionError(f"{button.objectName} is disabled: {button.toolTip}")
        if not button.isVisible():
            raise AssertionError(f"{button.objectName} is not visible")
        button.click()
        self.process_events()

    def process_events(self) -> None:
        """Let Qt and the panel catch up."""
        QtWidgets.QApplication.processEvents()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)

    def wait_until(self, condition: Callable[[], Any], timeout_s: float = 30.0, what: str = "") -> Any:
        """Handle events until ``condition()`` is true and return its value; AssertionError after ``timeout_s``."""
        end = time.monotonic() + timeout_s
        while not (value := condition()):
            if time.monotonic() > end:
                raise AssertionError(f"waited {timeout_s:g} s in vain for {what or 'the condition'}")
            loop = QtCore.QEventLoop()
            QtCore.QTimer.singleShot(10, loop.quit)
            loop.exec()
        return value

    def testing(self, on: bool) -> None:
        """Say what ``slicer.app.testingEnabled()`` answers; True at first. Off, tryWithErrorDisplay shows its message."""
        self.slicer.app._testing = on

    def close_scene(self) -> None:
        """Close the scene as File > Close Scene does."""
        self.slicer.mrmlScene.Clear(0)
        self.process_events()

    def leave(self) -> None:
        """Show another module."""
        self.outer.exit()

    def come_back(self) -> None:
        """Show this module again."""
        self.outer.enter()

    # ---- looking -----------------------------------------------------------------------------------------------------

    def resize(self, width: int = WIDTH, height: int | None = None) -> None:
        """Give the panel a width, and the height it wants at that width, as Slicer's scroll area does, or the one given."""
        wanted = max(self.outer.sizeHint.height(), self.outer.heightForWidth(width), 300)
        self.outer.resize(width, height or wanted)
        self.process_events()

    def dark(self, on: bool = True) -> None:
        """Switch between the dark and the light palette."""
        application = QtWidgets.QApplication.instance()
        assert isinstance(application, QtWidgets.QApplication)
        dress(application, dark=on)
        self.process_events()

    def picture(self, name: str, width: int = WIDTH, height: int | None = None) -> Path:
        """Photograph the panel into ``<WORKBENCH_PICTURES>/<module>-<name>.png`` and return the path."""
        self.resize(width, height)
        path = pictures_folder() / f"{self.name}-{name}.png"
        if not self.outer.grab().save(str(path)):
            raise RuntimeError(f"the picture cannot be written: {path}")
        return path

    def cut_texts(self, width: int = LEAST_WIDTH) -> list[str]:
        """Return the texts that do not fit at a width, and a line if the panel itself does not get as narrow."""
        self.resize(width)
        least = self.outer.minimumSizeHint.width()
        too_wide = [f"the panel is at least {least} pixels wide, not {width}"] if least > width else []
        return too_wide + cut_texts(self.outer)

    # ---- ending ------------------------------------------------------------------------------------------------------

    def run_self_test(self) -> int:
        """Run the module's own test class and return how many tests passed; raise what a test raises."""
        cases = getattr(sys.modules[self.name], f"{self.name}Test")
        names = unittest.TestLoader().getTestCaseNames(cases)
        if not names:
            raise AssertionError(f"{cases.__name__} has no test")
        self.slicer.selfTests[self.name]()
        return len(names)

    def problems(self) -> list[str]:
        """Return what went wrong without an exception: refused connections, errors inside slots, Qt's warnings."""
        return [*signals.refused_connections, *uncaught, *qt_warnings]

    def forget_problems(self) -> None:
        """Start over, for the next test."""
        for kind in (signals.refused_connections, uncaught, qt_warnings):
            kind.clear()

    def forgive(self, part: str) -> None:
        """Take the problems that contain ``part`` as expected; AssertionError if there is none."""
        if not any(part in problem for problem in self.problems()):
            raise AssertionError(f"no problem with {part!r} among {self.problems()}")
        for kind in (signals.refused_connections, uncaught, qt_warnings):
            kind[:] = [problem for problem in kind if part not in problem]

    def close(self) -> None:
        """Leave the panel and clean up, as Slicer does at its end."""
        if self.outer is None:
            return
        if self.outer.isEntered:
            self.outer.exit()
        self.widget.cleanup()
        self.outer.close()
        self.outer.deleteLater()
        self.process_events()


uncaught: list[str] = []


def _record_uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Keep what a slot raised: Qt cannot hand it to whoever clicked."""
    uncaught.append(f"{kind.__name__}: {error}")
    sys.__excepthook__(kind, error, trace)


def open_module(module: str | Path, *, main_window: bool = False, dark: bool = False) -> Panel:
    """Load a module and open its panel.

    Parameters
    ----------
    module : a name such as "SphereVOI", looked for in the checkout, or the path of the module file.
    main_window, dark : see ``SlicerHost.boot.boot``; they count at the first call in a process.
    """
    slicer = boot(main_window=main_window, dark=dark)
    sys.excepthook = _record_uncaught
    path = Path(module) if str(module).endswith(".py") else checkout() / module / f"{module}.py"
    instance = load_module(slicer, path.resolve())
    slicer.app.startupCompleted.emit()
    slicer.app.disconnect("startupCompleted()")  # what is loaded later in this process has its own start
    outer = instance.parent.createNewWidgetRepresentation()
    instance.parent._widget = outer
    panel = Panel(instance, outer, slicer)
    if outer is not None:
        outer.setWindowTitle(instance.parent.title)
        outer.show()
        outer.enter()
        panel.resize()
    return panel


def load_module(slicer: Any, path: Path) -> Any:
    """Import a module file, and those it depends on, and register its module; return the module object."""
    name = path.stem
    if hasattr(slicer.modules, f"{name}Instance"):
        return getattr(slicer.modules, f"{name}Instance")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"no module file {path}")
    source = importlib.util.module_from_spec(spec)
    sys.modules[name] = source
    spec.loader.exec_module(source)
    entry = slicer.qSlicerScriptedLoadableModule()
    entry._name, entry._path = name, str(path)
    entry.setMRMLScene(slicer.mrmlScene)
    setattr(slicer.modules, name.lower(), entry)
    instance = getattr(source, name)(entry)
    setattr(slicer.modules, f"{name}Instance", instance)
    for dependency in entry.dependencies:  # those that are not of this checkout are Slicer's own
        file = path.parents[1] / dependency / f"{dependency}.py"
        if file.is_file():
            load_module(slicer, file)
    return instance
