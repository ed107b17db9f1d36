"""What every panel does with its widgets. Widgets and the module ``qt`` are handed in: nothing here imports Qt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

_NUMBER = re.compile(r"[-+]?\d[\d.,]*( ?±.*| ?%)?|–|")  # "5.2 ± 0.01", "17 %", nothing measured

DOCUMENTATION = "https://github.com/DicomWorkbench/SlicerDicomWorkbench/blob/main/docs"
ACKNOWLEDGEMENT = (
    "DicomWorkbench is open source under the Apache License 2.0. How to cite it is in CITATION.cff of its repository. "
    "For research; not a medical device."
)

Cell = str | tuple[str, str]  # text, or text and tool tip


def fill_table(table: Any, rows: Iterable[Sequence[Cell]], qt: Any) -> None:
    """Replace the rows of a table; no signal is sent meanwhile, and columns become as wide as their texts.

    Parameters
    ----------
    table : a QTableWidget.
    rows : cells per row; a cell without a tool tip of its own shows its whole text there. Numbers stand on the right.
    qt : Slicer's module of that name.
    """
    rows = list(rows)
    blocked = table.blockSignals(True)
    table.clearSelection()
    table.setRowCount(len(rows))
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            text, tip = cell if isinstance(cell, tuple) else (cell, cell)
            item = qt.QTableWidgetItem(text)
            item.setToolTip(tip or text)
            side = qt.Qt.AlignRight if _NUMBER.fullmatch(text) else qt.Qt.AlignLeft
            item.setTextAlignment(side | qt.Qt.AlignVCenter)
            table.setItem(row, column, item)
    _fit_columns(table)
    table.blockSignals(blocked)


def _fit_columns(table: Any) -> None:
    """Make columns as wide as their texts; a last one that takes the rest of the room takes it again."""
    header = table.horizontalHeader()
    stretches = header.stretchLastSection
    header.setStretchLastSection(False)
    table.resizeColumnsToContents()
    header.setStretchLastSection(stretches)


def say(label: Any, text: str, *more: Any) -> None:
    """Show a text; a label without one takes no room. ``more``: further labels, each followed by its text."""
    for one, said in zip((label, *more[::2]), (text, *more[1::2]), strict=True):
        one.text, one.visible = said, bool(said)


def describe(parent: Any, title: str, category: str, text: str, page: str) -> None:
    """Tell Slicer about a module: what it is called, where it stands, and its help with a link to its tutorial.

    Parameters
    ----------
    parent : what Slicer hands to the module.
    title, category, text : in the user's language; ``text`` may be several paragraphs, each on a line.
    page : of the documentation, without ``.md``.
    """
    parent.title, parent.categories = title, [category]
    parent.dependencies, parent.contributors = ["DicomWorkbench"], ["DicomWorkbench contributors"]
    paragraphs = "".join(f"<p>{line}</p>" for line in text.splitlines())
    parent.helpText = f'{paragraphs}<p><a href="{DOCUMENTATION}/{page}.md">{title}: tutorial and definitions</a></p>'
    parent.acknowledgementText = ACKNOWLEDGEMENT
