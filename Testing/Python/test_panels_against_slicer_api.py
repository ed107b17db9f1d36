"""Module files and mrml.py files use only what the real Slicer has: held against its API table, without running them."""

from __future__ import annotations

from pathlib import Path

import pytest
from SlicerHost.static_check import problems_of

ROOT = Path(__file__).parents[2]
MODULE_FILES = sorted(path for path in ROOT.glob("*/*.py") if path.stem == path.parent.name)
TEMPLATE = ROOT / "Testing" / "SlicerHost" / "Tests" / "TemplatePanel" / "TemplatePanel.py"
MRML_FILES = sorted(ROOT.glob("*/*Lib/mrml.py")) + sorted(ROOT.glob("*/*Lib/mrml/*.py"))


@pytest.mark.parametrize("path", [*MODULE_FILES, *MRML_FILES, TEMPLATE], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_uses_only_what_slicer_has(path: Path) -> None:
    problems = problems_of(path)
    assert not problems, "\n" + "\n".join(problems)


def test_the_module_files_are_found() -> None:
    assert {path.stem for path in MODULE_FILES} >= {"DicomWorkbench"}


UI = """<ui version="4.0"><class>Form</class>
<widget class="qMRMLWidget" name="Form"><layout class="QVBoxLayout" name="box">
<item><widget class="QPushButton" name="applyButton"/></item>
<item><widget class="ctkSliderWidget" name="slider">
<property name="SlicerParameterName" stdset="0"><string>factor</string></property>{slider}</widget></item>
<item><widget class="{combo}" name="selector"/></item>
</layout></widget>
<connections><connection><sender>Form</sender><signal>{signal}</signal>
<receiver>selector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections></ui>"""

MODULE = """import functools
import qt, ctk, slicer, SampleData
from slicer.parameterNodeWrapper import parameterNodeWrapper

@parameterNodeWrapper
class Node:
    factor: float

class Widget:
    def setup(self):
        self.timer = qt.QTimer()
        layouts = slicer.app.layoutManager()
{line}
"""


def found(
    folder: Path,
    line: str,
    *,
    slider: str = "",
    combo: str = "qMRMLNodeComboBox",
    signal: str = "mrmlSceneChanged(vtkMRMLScene*)",
) -> list[str]:
    """Return the problems of a small module that contains ``line``."""
    forms = folder / "Resources" / "UI"
    forms.mkdir(parents=True)
    (forms / "Form.ui").write_text(UI.format(slider=slider, combo=combo, signal=signal), encoding="utf-8")
    (folder / "Form.py").write_text(MODULE.format(line=f"        {line}"), encoding="utf-8")
    return problems_of(folder / "Form.py")


@pytest.mark.parametrize(
    "line",
    [
        "self.ui.applyButton.enabled = False",
        "self.ui.applyButton.setEnabled(False)",
        "self.ui.applyButton.connect('clicked(bool)', self.apply)",
        "self.ui.applyButton.clicked.connect(self.apply)",
        "self.ui.selector.currentNodeChanged.connect(self.apply)",
        "self.ui.selector.connect('currentNodeChanged(vtkMRMLNode*)', self.apply)",
        "self.timer.setSingleShot(True)",
        "self.timer.timeout.connect(self.apply)",
        "label = qt.QLabel(); label.alignment = qt.Qt.AlignRight",
        "slicer.util.errorDisplay('no', windowTitle='x', detailedText='y')",
        "slicer.util.launchConsoleProcess(['x'], blocking=False, logCallback=print)",
        "layouts.sliceWidget('Red').sliceController().setSliceOffsetValue(3.0)",
        "slicer.app.connect('startupCompleted()', self.apply)",
        "SampleData.SampleDataLogic.registerCustomSampleDataSource(category='a', sampleName='b')",
        "slicer.packaging.pip_ensure(['pandas'], requester='me')",
        "node = slicer.vtkMRMLScalarVolumeNode()",
        "self.ui.slider.value = 3",
        "self.ui.added = qt.QLabel(); self.ui.added.text = 'a'",
    ],
)
def test_what_slicer_has_is_accepted(tmp_path: Path, line: str) -> None:
    assert found(tmp_path, line) == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("self.ui.applyButton.setTxt('a')", "QPushButton has no attribute setTxt"),
        ("self.ui.aplyButton.enabled = True", "there is no aplyButton in Form.ui"),
        ("self.ui.applyButton.text()", "is a property in Slicer: do not call it"),
        ("self.ui.applyButton.foo = 3", "nothing can be assigned to it"),
        ("self.ui.applyButton.connect('clickd()', self.apply)", "has no signal clickd()"),
        ("self.ui.slider.connect('valueChanged(int)', self.apply)", "but valueChanged(double)"),
        ("self.ui.applyButton.clicked.connect(functools.partial(self.apply, 1))", "surplus arguments"),
        ("self.ui.applyButton.setText.connect(self.apply)", "setText is not a signal"),
        ("anything.connect('noSuchSignal(int)', self.apply)", "no class of Slicer has a signal"),
        ("self.ui.slider.tickPosition = 1", "give it an enumerator"),
        ("self.ui.added = qt.QLabel(); self.ui.added.txt = 'a'", "QLabel has no property txt"),
        ("self.timer.active = True", "cannot be written"),
        ("qt.QThread()", "qt.QThread does not exist in Slicer"),
        ("qt.Qt.Orientation.Horizontal", "qt.Qt.Orientation does not exist in Slicer"),
        ("ctk.ctkNoSuchWidget()", "ctk.ctkNoSuchWidget does not exist"),
        ("slicer.qMRMLNoSuchWidget()", "slicer.qMRMLNoSuchWidget does not exist"),
        ("slicer.util.noSuchFunction()", "slicer.util.noSuchFunction does not exist"),
        ("slicer.util.errorDisplay()", "missing a required argument: 'text'"),
        ("slicer.util.launchConsoleProcess(['x'], wait=False)", "unexpected keyword argument 'wait'"),
        ("slicer.util.getNode(1, 2, 3, 4)", "too many positional arguments"),
        ("slicer.getNode('a')", "slicer.getNode does not exist in Slicer: slicer.util.getNode"),
        ("slicer.app.noSuchMethod()", "slicer.app has no attribute noSuchMethod"),
        ("slicer.app.temporaryPath()", "is a property in Slicer: do not call it"),
        ("layouts.sliceWidget('Red').sliceOffset()", "has no attribute sliceOffset"),
        ("slicer.packaging.pip_ensure(['a'], quiet=True)", "unexpected keyword argument 'quiet'"),
        ("SampleData.SampleDataLogic.registerCustomSampleDataSource(name='b')", "unexpected keyword argument 'name'"),
    ],
)
def test_what_slicer_does_not_have_is_named_with_its_line(tmp_path: Path, line: str, complaint: str) -> None:
    problems = found(tmp_path, line)
    assert any(complaint in problem for problem in problems), problems
    assert any(problem.startswith(f"{tmp_path / 'Form.py'}:13: ") for problem in problems), problems


def test_wrong_properties_classes_parameters_and_connections_of_a_form_are_named(tmp_path: Path) -> None:
    parameter = '<property name="SlicerParameterName" stdset="0"><string>facto</string></property>'
    cases = {
        "no property maximumm": {"slider": '<property name="maximumm"><double>3</double></property>'},
        "no class qMRMLNoSuch in Slicer": {"combo": "qMRMLNoSuch"},
        "has no signal sceneChanged()": {"signal": "sceneChanged()"},
        "add it to make_api_table.py": {"combo": "qMRMLColorTableComboBox"},
    }
    for number, (complaint, change) in enumerate(cases.items()):
        problems = found(tmp_path / str(number), "pass", **change)
        assert any(complaint in problem and "Form.ui" in problem for problem in problems), problems
    folder = tmp_path / "parameter"
    found(folder, "pass")
    form = folder / "Resources" / "UI" / "Form.ui"
    text = form.read_text(encoding="utf-8").replace(">factor<", ">facto<")
    form.write_text(text, encoding="utf-8")
    assert parameter in text
    assert any("slider: facto is not a parameter of Node" in problem for problem in problems_of(folder / "Form.py"))


def test_lazy_annotations_are_refused_where_the_parameter_node_reads_them(tmp_path: Path) -> None:
    found(tmp_path, "pass")
    source = tmp_path / "Form.py"
    source.write_text("from __future__ import annotations\n" + source.read_text(encoding="utf-8"), encoding="utf-8")
    assert any("reads real types" in problem for problem in problems_of(source))
