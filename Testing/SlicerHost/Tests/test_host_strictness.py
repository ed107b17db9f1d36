"""The host behaves as PythonQt does in the running Slicer 5.13: what is refused there is refused here.

The expected behaviour and wording were observed in the full application.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from SlicerHost.testing import panel_test

TEMPLATE = Path(__file__).parent / "TemplatePanel" / "TemplatePanel.py"


@panel_test(TEMPLATE)
def test_properties_are_attributes_and_cannot_be_called(panel: Any) -> None:
    import qt

    button, line, table, box = qt.QPushButton("Go"), qt.QLineEdit("a"), qt.QTableWidget(2, 3), qt.QComboBox()
    box.addItems(["liver", "lung"])
    assert (button.text, button.enabled, line.text, table.rowCount) == ("Go", True, "a", 2)
    assert (box.currentText, box.count, box.currentIndex, box.findText("lung")) == ("liver", 2, 0, 1)
    with pytest.raises(TypeError, match="'str' object is not callable"):
        line.text()
    button.setEnabled(False)
    assert button.isEnabled() is False
    button.enabled = True
    assert button.isEnabled() is True
    text = qt.QPlainTextEdit()
    text.plainText = "x"
    assert text.toPlainText() == "x"


@panel_test(TEMPLATE)
def test_a_property_takes_only_its_type(panel: Any) -> None:
    import qt

    slider = qt.QSlider()
    slider.value = 3.7
    assert slider.value == 3
    with pytest.raises(
        AttributeError, match=r"Property 'value' of type 'int' does not accept an object of type str \('a'\)"
    ):
        slider.value = "a"
    with pytest.raises(AttributeError, match="Property 'count' of type 'int'"):
        qt.QComboBox().count = 3
    with pytest.raises(AttributeError, match="Property 'text' of type 'QString'"):
        qt.QLabel().text = Path("a")


@panel_test(TEMPLATE)
def test_unknown_attributes_are_refused_on_cpp_objects_only(panel: Any) -> None:
    import ctk
    import qt
    import slicer

    for widget in (qt.QPushButton(), ctk.ctkSliderWidget(), slicer.qMRMLNodeComboBox(), panel.ui.applyButton):
        with pytest.raises(AttributeError, match="creating new attributes on C\\+\\+ objects is not allowed"):
            widget.foo = 3
        with pytest.raises(AttributeError, match="has no attribute named 'foo'"):
            _ = widget.foo
    with pytest.raises(AttributeError, match="not allowed"):
        qt.QTableWidgetItem("a").foo = 3
    with pytest.raises(AttributeError, match="can not be overwritten"):
        qt.QPushButton().clicked = 3

    class Mine(qt.QWidget):
        def __init__(self) -> None:
            super().__init__()
            self.jobs = [1]

    assert Mine().jobs == [1]


@panel_test(TEMPLATE)
def test_what_only_pyside_has_is_refused(panel: Any) -> None:
    import ctk
    import qt
    import slicer

    with pytest.raises(AttributeError, match="not in the API table of Slicer"):
        _ = qt.QThread
    with pytest.raises(AttributeError, match="not in the API table of Slicer"):
        _ = ctk.ctkNoSuchWidget
    with pytest.raises(AttributeError, match="no stand-in"):
        _ = ctk.ctkDICOMBrowser
    with pytest.raises(AttributeError):
        _ = slicer.qMRMLNoSuchWidget
    with pytest.raises(AttributeError, match="has no attribute named 'setRange'"):
        ctk.ctkDoubleSpinBox().setRange(0, 1)  # a QDoubleSpinBox here, not in CTK
    with pytest.raises(AttributeError, match="has no attribute named 'arrayFromVolume'"):
        _ = slicer.app.arrayFromVolume
    assert not hasattr(slicer, "getNode")  # slicer-core has it, Slicer has slicer.util.getNode


@panel_test(TEMPLATE)
def test_signals_connect_by_exact_signature_or_by_name(panel: Any) -> None:
    import qt

    button, heard = qt.QPushButton(), []
    assert button.connect("clicked()", lambda: heard.append("none")) is True
    assert button.connect("clicked(bool)", lambda checked: heard.append(checked)) is True
    button.clicked.connect(lambda: heard.append("by name"))
    button.click()
    assert heard == ["none", False, "by name"]
    assert button.connect("clickd()", heard.clear) is False
    assert button.connect("clicked(int)", heard.clear) is False
    panel.forgive("QPushButton has no signal clickd()")
    panel.forgive("QPushButton has no signal clicked(int)")
    heard.clear()
    assert button.disconnect("clicked(bool)") is True
    button.click()
    assert heard == []


@panel_test(TEMPLATE)
def test_surplus_arguments_are_trimmed_for_functions_but_not_for_partials(panel: Any) -> None:
    import qt

    button, heard = qt.QPushButton(), []

    class Receiver:
        def one(self, checked: bool) -> None:
            heard.append(("one", checked))

        def none(self) -> None:
            heard.append(("none",))

    receiver = Receiver()
    button.clicked.connect(receiver.one)
    button.clicked.connect(receiver.none)
    button.clicked.connect(functools.partial(lambda *all_given: heard.append(all_given), "mine"))
    button.click()
    assert heard == [("one", False), ("none",), ("mine", False)]
    heard.clear()
    assert button.clicked.disconnect(receiver.one) is True
    button.click()
    assert heard == [("none",), ("mine", False)]


@panel_test(TEMPLATE)
def test_own_signals_and_nodes_as_arguments_work(panel: Any) -> None:
    import qt
    import slicer

    class Worker(qt.QObject):
        finished = qt.Signal(int)

    worker, heard = Worker(), []
    worker.finished.connect(heard.append)
    assert worker.connect("finished(int)", lambda code: heard.append(code + 1)) is True
    worker.finished.emit(3)
    assert heard == [3, 4]
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLTextNode"]
    selector.noneEnabled = True
    selector.setMRMLScene(slicer.mrmlScene)
    heard.clear()
    assert selector.connect("currentNodeChanged(vtkMRMLNode*)", heard.append) is True
    assert selector.connect("currentNodeChanged(bool)", heard.append) is True
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
    selector.setCurrentNode(node)
    assert heard == [node, True]


@panel_test(TEMPLATE)
def test_enumerators_are_flat_and_bare_integers_are_refused(panel: Any) -> None:
    import ctk
    import qt

    slider, label = qt.QSlider(), qt.QLabel()
    slider.orientation = qt.Qt.Horizontal
    assert slider.orientation == qt.Qt.Horizontal
    label.setAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    assert qt.QMessageBox.Yes | qt.QMessageBox.No
    assert label.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed) is None
    with pytest.raises(AttributeError, match="Property 'orientation'"):
        slider.orientation = 1
    with pytest.raises(TypeError):
        label.setAlignment(4)
    path = ctk.ctkPathLineEdit()
    path.filters = ctk.ctkPathLineEdit.Dirs | ctk.ctkPathLineEdit.Readable
    with pytest.raises(AttributeError, match="Property 'filters'"):
        path.filters = 17


@panel_test(TEMPLATE)
def test_item_models_timers_settings_and_processes_work(panel: Any) -> None:
    import sys

    import qt

    class Jobs(qt.QAbstractTableModel):
        def rowCount(self, parent: Any = None) -> int:
            return 10_000

        def columnCount(self, parent: Any = None) -> int:
            return 2

        def data(self, index: Any, role: int = qt.Qt.DisplayRole) -> Any:
            return f"{index.row()}" if role == qt.Qt.DisplayRole else None

    view, model = qt.QTableView(), Jobs()
    view.setModel(model)
    view.show()
    panel.process_events()
    assert view.model().rowCount() == 10_000
    table = qt.QTableWidget(1, 1)
    table.setItem(0, 0, qt.QTableWidgetItem("a"))
    table.selectAll()
    assert isinstance(table.selectedItems(), tuple)
    settings = qt.QSettings()
    settings.setValue("host/flag", True)
    assert panel.slicer.util.settingsValue("host/flag", False, converter=panel.slicer.util.toBool) is True
    fired: list[int] = []
    qt.QTimer.singleShot(5, lambda: fired.append(1))
    panel.wait_until(lambda: fired, timeout_s=5)
    process = qt.QProcess()
    process.start(sys.executable, ["-c", "print('hello')"])
    assert process.waitForFinished(20_000)
    assert process.readAllStandardOutput().data().strip() == b"hello"
    assert process.exitCode() == 0


@panel_test(TEMPLATE)
def test_dialogs_answer_as_preset_and_never_wait(panel: Any) -> None:
    import ctk
    import qt
    import slicer

    panel.user.paths.append("/somewhere/a.dcm")
    assert qt.QFileDialog.getOpenFileName(None, "Open") == "/somewhere/a.dcm"
    with pytest.raises(RuntimeError, match="would wait for the user"):
        qt.QFileDialog.getExistingDirectory()
    assert slicer.util.confirmYesNoDisplay("Really?") is False
    panel.user.confirms.append(True)
    assert slicer.util.confirmOkCancelDisplay("Really?") is True
    slicer.util.errorDisplay("no such file")
    assert panel.user.shown("error") == ["no such file"]
    panel.user.buttons.append(qt.QMessageBox.No)
    box = ctk.ctkMessageBox()
    box.text = "Overwrite?"
    assert box.exec_() == qt.QMessageBox.No
    assert panel.user.shown("box") == ["Overwrite?"]
    qt.QDesktopServices.openUrl(qt.QUrl("https://example.org/page"))
    assert panel.user.opened_urls == ["https://example.org/page"]


@panel_test(TEMPLATE)
def test_the_functions_of_slicer_util_have_slicers_signatures(panel: Any) -> None:
    """Truth: the signatures in the API table, for functions that slicer-core and the host provide."""
    import inspect

    from SlicerHost import api, packaging_functions, sample_data, util_functions
    from SlicerHost.static_calls import signature_of

    def names(signature: Any) -> list[tuple[str, Any]]:
        return [(parameter.name, parameter.kind) for parameter in signature.parameters.values()]

    wanted = api.python_names("slicer.util")
    ours = [what for name, what in vars(util_functions).items() if name in wanted and inspect.isfunction(what)]
    assert len(ours) >= 8
    for function in ours:
        assert names(inspect.signature(function)) == names(signature_of(wanted[function.__name__])), function.__name__
    for module, name in ((packaging_functions, "slicer.packaging"), (sample_data, "SampleData")):
        table = api.python_names(name)
        for function in vars(module).values():
            if inspect.isfunction(function) and function.__module__ == module.__name__ and function.__name__ in table:
                assert names(inspect.signature(function)) == names(signature_of(table[function.__name__]))
    registered = api.python_names("SampleData")["SampleDataLogic"]["registerCustomSampleDataSource"]
    assert names(inspect.signature(sample_data.SampleDataLogic.registerCustomSampleDataSource)) == names(
        signature_of(registered, bound=True)
    )


@panel_test(TEMPLATE)
def test_stand_ins_have_no_public_name_that_slicer_lacks(panel: Any) -> None:
    """Truth: the API table. The one exception ends the session and is called by DicomWorkbenchLib.headless."""
    import sys

    from SlicerHost.faces import entry_named

    modules = [module for name, module in list(sys.modules.items()) if name.startswith("SlicerHost.")]
    classes = {
        cls for module in modules for cls in vars(module).values() if "_stands_for" in getattr(cls, "__dict__", ())
    }
    assert len(classes) > 40
    surplus = {
        f"{cls.__name__}.{name}"
        for cls in classes
        for name in vars(cls)
        if not name.startswith("_") and name != "staticMetaObject" and not entry_named(cls._stands_for).has(name)
    }
    assert surplus == {"Application.close_headless_session"}
