"""The committed API table says what was read out of the running Slicer, and stays small."""

from __future__ import annotations

import pytest
from SlicerHost import api


def test_the_table_is_small_enough_to_live_in_the_repository() -> None:
    assert api.TABLE.stat().st_size < 300_000


@pytest.mark.parametrize(
    ("name", "methods", "properties", "signals"),
    [
        ("qt.QPushButton", {"setText", "isEnabled"}, {"text": ("QString", True)}, {"clicked(bool)", "clicked()"}),
        ("qt.QComboBox", {"findText"}, {"count": ("int", False)}, {"currentIndexChanged(int)"}),
        ("qt.QDialog", {"exec", "accept"}, {"modal": ("bool", True)}, {"finished(int)"}),
        ("ctk.ctkSliderWidget", {"setDecimals"}, {"value": ("double", True)}, {"valueChanged(double)"}),
        (
            "slicer.qMRMLNodeComboBox",
            {"currentNode"},
            {"noneEnabled": ("bool", True)},
            {"currentNodeChanged(vtkMRMLNode*)"},
        ),
    ],
)
def test_a_class_is_complete_although_it_is_written_as_a_difference(
    name: str, methods: set[str], properties: dict[str, tuple[str, bool]], signals: set[str]
) -> None:
    entry = api.class_entry(name)
    assert entry is not None
    assert methods <= entry.methods
    assert properties.items() <= entry.properties.items()
    assert all(entry.has_signal(signal) for signal in signals)
    assert not entry.has("noSuchThing")


def test_live_objects_and_functions_are_there() -> None:
    assert "layoutManager" in api.object_entry("slicer.app").methods
    assert api.object_entry("slicer.app").properties["temporaryPath"] == ("QString", True)
    assert api.python_names("slicer.util")["loadUI"] == "(path)"
    assert api.exists_but_is_not_stood_in("ctk.ctkDICOMBrowser")


def test_signatures_are_compared_as_qt_normalizes_them() -> None:
    assert api.normalized("dataChanged( const QModelIndex &,QModelIndex )") == "dataChanged(QModelIndex,QModelIndex)"
    assert api.normalized("clicked()") == "clicked()"
