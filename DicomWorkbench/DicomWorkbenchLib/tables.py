"""Tables of results as Excel workbooks and CSV, with units where a reader looks for them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib.errors import DependencyError

if TYPE_CHECKING:
    import pandas as pd
    from openpyxl.worksheet.worksheet import Worksheet

_SHEET_NAME_LENGTH = 31  # Excel's limit
_FORBIDDEN = str.maketrans(dict.fromkeys("[]:*?/\\", "-"))
_WIDEST = 60
_DIGITS = "0.00##"


@dataclass(frozen=True)
class Table:
    """A sheet: rows by column, units by column, and a sentence on what it shows.

    Attributes
    ----------
    name : the sheet's name; Excel's forbidden characters are replaced and it is cut to 31 letters.
    frame : the rows; the column names are plain words or snake_case, without units.
    units : column name -> unit, such as "mm"; written behind the name.
    note : shown above the header.
    """

    name: str
    frame: pd.DataFrame
    units: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def sheet_name(self) -> str:
        """The name as Excel takes it."""
        return self.name.translate(_FORBIDDEN)[:_SHEET_NAME_LENGTH] or "Sheet"


def write_workbook(path: Path, tables: Sequence[Table]) -> Path:
    """Write one sheet a table: bold frozen header with units, filters, and columns as wide as their content.

    The file holds no time stamp, so that equal tables give equal files.

    Raises
    ------
    DependencyError : openpyxl is not installed.
    """
    try:
        import openpyxl
    except ModuleNotFoundError as error:
        raise DependencyError("the Python package openpyxl", extra="tables") from error
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for table in tables:
        _fill(book.create_sheet(_unused(table.sheet_name, book.sheetnames)), table)
    _save_without_time(book, path)
    return path


def write_csv(path: Path, table: Table) -> Path:
    """Write a table as UTF-8 CSV whose column names carry the units, such as ``volume_ml``.

    A column that already ends with its unit keeps its name.
    """
    names = {str(c): _csv_name(str(c), table.units.get(str(c), "")) for c in table.frame.columns}
    table.frame.rename(columns=names).to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
    return path


def with_unit(name: str, unit: str) -> str:
    """Return "name [unit]", or the name alone for a pure number."""
    return f"{name} [{unit}]" if unit else name


def safe_cell(value: Any) -> Any:
    """Turn a value into what a cell takes: plain numbers, text that is no formula, nothing for NaN."""
    if hasattr(value, "item"):
        value = value.item()
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, str):
        value = "".join(c for c in value if c >= " " or c in "\n\t")
        return f"'{value}" if value[:1] in ("=", "+", "@") else value
    if isinstance(value, bool | int | float):
        return value
    return str(value)


def _fill(sheet: Worksheet, table: Table) -> None:
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    top = 1
    if table.note:
        sheet.cell(1, 1, safe_cell(table.note)).font = Font(italic=True)
        top = 3
    header = [with_unit(str(name), table.units.get(str(name), "")) for name in table.frame.columns]
    _write_header(sheet, top, header)
    for row, values in enumerate(table.frame.itertuples(index=False, name=None), top + 1):
        for column, value in enumerate(values, 1):
            cell = sheet.cell(row, column, safe_cell(value))
            if isinstance(cell.value, float):
                cell.number_format = _DIGITS
    sheet.freeze_panes = f"A{top + 1}"
    if header:
        sheet.auto_filter.ref = f"A{top}:{get_column_letter(len(header))}{max(sheet.max_row, top)}"
    for column, width in enumerate(_widths(header, table.frame), 1):
        sheet.column_dimensions[get_column_letter(column)].width = width


def _write_header(sheet: Worksheet, row: int, header: Sequence[str]) -> None:
    from openpyxl.styles import Alignment, Font, PatternFill

    for column, title in enumerate(header, 1):
        cell = sheet.cell(row, column, title)
        cell.font = Font(bold=True)
        cell.fill = PatternFill("solid", fgColor="DCE6F1")
        cell.alignment = Alignment(wrap_text=True, vertical="top")


def _csv_name(name: str, unit: str) -> str:
    suffix = unit.lower().replace("%", "percent").replace("/", "_per_").replace("³", "3").replace("²", "2")
    suffix = "".join(c if c.isalnum() else "_" for c in suffix).strip("_")
    return name if not suffix or name.lower().endswith(suffix) else f"{name}_{suffix}"


def _widths(header: Sequence[str], frame: pd.DataFrame) -> list[float]:
    widths: list[float] = []
    for position, title in enumerate(header):
        column = frame.iloc[:200, position]  # the first rows tell the width
        longest = max([len(title), *(len(_shown(value)) for value in column)])
        widths.append(min(longest + 2, _WIDEST))
    return widths


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _unused(name: str, taken: Sequence[str]) -> str:
    candidate, number = name, 2
    while candidate.lower() in (other.lower() for other in taken):
        candidate = f"{name[: _SHEET_NAME_LENGTH - 4]} ({number})"
        number += 1
    return candidate


def _save_without_time(book: Any, path: Path) -> None:
    import datetime
    import io
    import zipfile

    fixed = datetime.datetime(2000, 1, 1)
    book.properties.created = book.properties.modified = fixed
    buffer = io.BytesIO()
    book.save(buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "docProps/core.xml":  # openpyxl writes the present time at saving
                content = _with_fixed_time(content)
            target.writestr(zipfile.ZipInfo(name, date_time=(2000, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)


def _with_fixed_time(core_xml: bytes) -> bytes:
    import re

    return re.sub(rb"(W3CDTF\">)[^<]*", rb"\g<1>2000-01-01T00:00:00Z", core_xml)
