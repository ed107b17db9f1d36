"""Trim the table read out of a running Slicer to what the host and the static test need.

    python make_api_table.py SOURCE.json

A class is written as its difference from the class nearest to it (``extends``, ``without``), which is how the 2.6 MB
of the source become a file one can read. The base named there is a means of compression, not always the C++ base.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("api_table.json")

CTK = [
    "ctkCheckBox",
    "ctkCheckableComboBox",
    "ctkCheckablePushButton",
    "ctkCollapsibleButton",
    "ctkCollapsibleGroupBox",
    "ctkComboBox",
    "ctkDirectoryButton",
    "ctkDoubleSlider",
    "ctkDoubleSpinBox",
    "ctkExpandButton",
    "ctkFittedTextBrowser",
    "ctkMenuButton",
    "ctkMessageBox",
    "ctkPathLineEdit",
    "ctkPushButton",
    "ctkRangeWidget",
    "ctkSearchBox",
    "ctkSliderWidget",
]
SLICER = [
    "qMRMLCheckableNodeComboBox",
    "qMRMLNodeComboBox",
    "qMRMLPlotView",
    "qMRMLPlotWidget",
    "qMRMLSegmentSelectorWidget",
    "qMRMLSegmentsTableView",
    "qMRMLSliderWidget",
    "qMRMLSpinBox",
    "qMRMLSubjectHierarchyTreeView",
    "qMRMLTableView",
    "qMRMLTableWidget",
    "qMRMLVolumeThresholdWidget",
    "qMRMLWidget",
    "qSlicerMarkupsPlaceWidget",
    "qSlicerModuleSelectorToolBar",
    "qSlicerScriptedLoadableModule",
    "qSlicerScriptedLoadableModuleWidget",
    "qSlicerSimpleMarkupsWidget",
    "qSlicerWidget",
]
PYTHON = [
    "SampleData",
    "SegmentStatistics",
    "DICOMLib.DICOMUtils",
    "slicer.ScriptedLoadableModule",
    "slicer.i18n",
    "slicer.packaging",
    "slicer.parameterNodeWrapper",
    "slicer.testing",
    "slicer.util",
]
KINDS = ("methods", "properties", "signals", "enums")

EVERY_WRAPPER_HAS = {"className", "delete", "help", "inherits"}

Members = dict[str, Any]
Facts = set[tuple[str, str, str]]


def facts_of(entry: Members) -> Facts:
    """Return every (kind, name, detail) of one class or object of the source table."""
    found: Facts = set()
    for kind in KINDS:
        part = entry.get(kind) or {}
        pairs = part.items() if isinstance(part, dict) else ((name, "") for name in part)
        found |= {(kind, name, json.dumps(detail)) for name, detail in pairs if name not in EVERY_WRAPPER_HAS}
    return found


def as_members(facts: Facts) -> Members:
    """Turn facts back into methods, properties, signals and enums; empty kinds are left out."""
    ordered = sorted(facts)
    found: Members = {
        "methods": [name for kind, name, _ in ordered if kind == "methods"],
        "properties": {name: json.loads(detail) for kind, name, detail in ordered if kind == "properties"},
        "signals": [name for kind, name, _ in ordered if kind == "signals"],
        "enums": {name: json.loads(detail) for kind, name, detail in ordered if kind == "enums"},
    }
    return {kind: part for kind, part in found.items() if part}


def trimmed(mine: Facts, candidates: dict[str, Facts]) -> Members:
    """Write one class as the class nearest to it, what it lacks of that (``without``), and what it adds."""
    smaller = {name: theirs for name, theirs in candidates.items() if len(theirs) < len(mine)}
    base = min(smaller, key=lambda name: len(mine ^ smaller[name]), default=None)
    if base is None or len(mine ^ smaller[base]) >= len(mine):
        return as_members(mine)
    lacks = sorted(f"{kind}:{name}" for kind, name, _ in smaller[base] - mine)
    return {"extends": base} | ({"without": lacks} if lacks else {}) | as_members(mine - smaller[base])


def signatures_only(functions: Any) -> Any:
    """Drop what unittest adds to every test class: our sources do not take it from Slicer."""
    if isinstance(functions, list):
        return functions
    return {
        name: {key: value for key, value in what.items() if not key.startswith(("assert", "fail", "_add", "_base"))}
        if isinstance(what, dict)
        else what
        for name, what in functions.items()
    }


def make_table(source: dict[str, Any]) -> dict[str, Any]:
    """Return the trimmed table: classes, live objects, Python functions."""
    wanted = [name for name in source["widgets"] if name.startswith("qt.")]
    wanted += [f"ctk.{name}" for name in CTK] + [f"slicer.{name}" for name in SLICER]
    facts = {name: facts_of(source["widgets"][name]) for name in sorted(wanted)}
    return {
        "about": source["about"],
        "classes": {name: trimmed(mine, facts) for name, mine in facts.items()},
        "objects": {name: trimmed(facts_of(entry), facts) for name, entry in sorted(source["objects"].items())},
        "python": {name: signatures_only(source["python"][name]) for name in PYTHON},
        "not_stood_in": sorted(name for name in source["widgets"] if name not in wanted),
    }


def main() -> None:
    """Read the source named on the command line, write the table beside this script."""
    source = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    text = json.dumps(make_table(source), indent=0, separators=(",", ":"), sort_keys=True)
    TABLE.write_text(text + "\n", encoding="utf-8")
    print(f"{TABLE.name}: {len(text) // 1000} kB")


if __name__ == "__main__":
    main()
