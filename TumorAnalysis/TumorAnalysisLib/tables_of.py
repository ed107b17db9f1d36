"""The sheets of cohort.xlsx and the CSV files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib.tables import Table, write_csv, write_workbook

from TumorAnalysisLib.definitions import DEFINITIONS

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]
_UNITS = {"ml": "ml", "mm": "mm", "mm2": "mm²", "cm2": "cm²", "hu": "HU", "kv": "kV", "ma": "mA", "kg": "kg", "s": "s"}
_AXES = {"lps": ("left", "posterior", "superior"), "ras": ("right", "anterior", "superior")}


@dataclass
class CohortRows:
    """All rows of a cohort, filled patient by patient."""

    patients: list[dict[str, Any]] = field(default_factory=list)
    lesions: list[dict[str, Any]] = field(default_factory=list)
    components: list[dict[str, Any]] = field(default_factory=list)
    structures: list[dict[str, Any]] = field(default_factory=list)
    slices: list[dict[str, Any]] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    cohort: list[dict[str, Any]] = field(default_factory=list)


def frame_of(rows: Sequence[Row], columns: Sequence[str] = ()) -> pd.DataFrame:
    """Make a data frame whose columns end with their units; points become three columns."""
    import pandas as pd

    flat = [_flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row)) or list(columns)
    return pd.DataFrame(flat, columns=names)


def tables(rows: CohortRows) -> list[Table]:
    """Make all sheets in the order of the workbook."""
    return [
        _table(
            "Cohort",
            rows.cohort,
            "Counts of patients are given with and without those who have no lesion.",
            ("measure", "value"),
        ),
        _table(
            "Patients", rows.patients, "burden is tumour over the union of liver and tumour; see Definitions.", ("id",)
        ),
        _table(
            "Lesions",
            rows.lesions,
            "One line per lesion mask; pieces of a mask are in Components.",
            ("patient", "name"),
        ),
        _table(
            "Components", rows.components, "Connected pieces of lesion masks that have several.", ("patient", "name")
        ),
        _table(
            "Structures",
            rows.structures,
            "Every mask of the data set with the role it was given and why.",
            ("patient", "name"),
        ),
        _table(
            "Slices",
            rows.slices,
            "Areas per slice. The ratio of a slice is not the tumour burden.",
            ("patient", "slice"),
        ),
        _table("Metadata", rows.metadata, "From the CT headers; nothing that identifies a person.", ("patient",)),
        _table("Warnings", rows.warnings, "Everything that was assumed, refused or looks odd.", ("patient", "warning")),
        _table("Definitions", [{"term": t, "definition": d, "source": s} for t, d, s in DEFINITIONS], "", ()),
    ]


def write_tables(folder: Path, rows: CohortRows) -> None:
    """Write ``cohort.xlsx`` and one CSV per sheet into ``csv``."""
    sheets = tables(rows)
    write_workbook(folder / "cohort.xlsx", sheets)
    (folder / "csv").mkdir()
    for sheet in sheets:
        write_csv(folder / "csv" / f"{sheet.name.lower()}.csv", sheet)


def _table(name: str, rows: Sequence[Row], note: str, columns: Sequence[str]) -> Table:
    frame = frame_of(rows, columns)
    units = {column: _UNITS[unit] for column in frame.columns if (unit := str(column).rpartition("_")[2]) in _UNITS}
    named = {column: str(column).rpartition("_")[0] for column in units}
    frame = frame.rename(columns=named)
    return Table(name, frame, {named[column]: unit for column, unit in units.items()}, note)


def _flat(row: Row) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in row.items():
        if "_ends_" in name:  # line ends are for pictures and markups, not for a sheet
            continue
        frame = next((axes for key, axes in _AXES.items() if f"_{key}_mm" in name), None)
        if frame and isinstance(value, list):
            stem = name.removesuffix("_mm")
            out |= {f"{stem}_{axis}_mm": number for axis, number in zip(frame, value, strict=True)}
        else:
            out[name] = value
    return out
