"""What a panel shows of patients, structures and lesions. Its widgets and the module ``qt`` are handed in: no Qt here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.panel_widgets import fill_table, say

from TumorAnalysisLib import mrml, panel_tables
from TumorAnalysisLib.patient import Role
from TumorAnalysisLib.session import SCENE_PATIENT, summary_text

Entry = Mapping[str, Any]


class ResultsView:
    """Fills tables, shows patients and lesions in the scene.

    Parameters
    ----------
    ui : the panel's widgets by name.
    logic : with ``session`` and ``shown``.
    qt : Slicer's module of that name.
    """

    def __init__(self, ui: Any, logic: Any, qt: Any) -> None:
        self._ui, self._logic, self._qt = ui, logic, qt
        self._tables: tuple[Any, Any] | None = None
        self._plots = mrml.PlotSelection(self.point_selected)

    def close(self) -> None:
        """Let go of the plot views."""
        self._plots.disconnect()

    def clear(self) -> None:
        """Empty all tables and what was said of them."""
        say(self._ui.summaryLabel, "")
        for table in (self._ui.patientTable, self._ui.lesionTable, self._ui.structureTable):
            self._fill(table, [])

    def add_patient(self, entry: Entry) -> None:
        """Take in a patient that was found."""
        self._logic.session.add(entry)
        self._fill(self._ui.patientTable, panel_tables.patient_rows(self._logic.session.patients))

    def show(self, results: Path, entry: Entry) -> mrml.ShownPatient:
        """Replace the shown patient by another one."""
        if self._logic.shown:
            mrml.remove(self._logic.shown)
        shown = mrml.load_patient(self._logic.session.folder_of(results, entry["id"]), entry)
        self._logic.shown = shown
        mrml.show(shown)
        slider = self._ui.sliceSlider
        slider.minimum, slider.maximum, slider.singleStep = mrml.slice_range(shown)
        slider.value = (slider.minimum + slider.maximum) / 2
        self._fill_structures(entry)
        return shown

    def take(self, results: Path, report: Entry) -> None:
        """Show what an analysis found."""
        session = self._logic.session
        session.results, session.report = results, report
        self._fill(self._ui.lesionTable, panel_tables.lesion_rows(session.lesions))
        self._tables = (
            mrml.add_table("Lesions", mrml.lesion_columns(session.lesions)),
            mrml.add_table("Patients", mrml.patient_columns(report["patients"])),
        )
        only = report["patients"][0]
        if only["id"] != SCENE_PATIENT and (session.folder_of(results, only["id"]) / "ct.nrrd").is_file():
            self.show(results, only)
        say(self._ui.summaryLabel, summary_text(report))

    def plot(self, title: str, table: int, x: str, y: str, labels: str) -> None:
        """Plot two columns of the lesions (0) or the patients (1)."""
        if self._tables:
            mrml.show_plot(mrml.add_plot(title, self._tables[table], x, y, labels))
            self._plots.connect()

    def point_selected(self, table: Any, row: int) -> None:
        """Select the lesion or patient that a point of a plot stands for, and jump there.

        Parameters
        ----------
        table : table node of the plot.
        row : of that table.
        """
        if not self._tables or table not in self._tables:
            return
        lesions = self._logic.session.lesions
        if table is self._tables[0]:
            self._ui.lesionTable.selectRow(row)
            return
        patient = table.GetTable().GetColumnByName("patient").GetValue(row)
        ids = [entry["id"] for entry in self._logic.session.patients]
        if patient in ids:
            self._ui.patientTable.selectRow(ids.index(patient))
        first = next((n for n, lesion in enumerate(lesions) if lesion["patient"] == patient), None)
        if first is not None:
            self._ui.lesionTable.selectRow(first)

    def structure_checked(self, item: Any) -> None:
        """Show or hide a structure."""
        if item.column() == 0 and self._logic.shown:
            mrml.set_segment_visible(self._logic.shown, item.text(), item.checkState() == self._qt.Qt.Checked)

    def structure_selected(self) -> None:
        """Offer the role of the selected structure for a change."""
        row = self._ui.structureTable.currentRow()
        if row >= 0:
            self._ui.roleCombo.currentText = self._ui.structureTable.item(row, 1).text()

    def change_role(self, role: str) -> bool:
        """Give the selected structure another role; returns whether one was selected."""
        row, shown = self._ui.structureTable.currentRow(), self._logic.shown
        if row < 0 or not shown:
            return False
        name = self._ui.structureTable.item(row, 0).text()
        self._logic.session.roles[(shown.patient_id, name)] = Role(role)
        self._ui.structureTable.item(row, 1).setText(role)
        return True

    def lesion_selected(self) -> None:
        """Jump to the selected lesion and show its diameters, if its patient is the one in the views."""
        row, lesions = self._ui.lesionTable.currentRow(), self._logic.session.lesions
        if not 0 <= row < len(lesions):
            return
        shown, patient = self._logic.shown, lesions[row]["patient"]
        if shown and shown.patient_id == patient:
            mrml.jump_to(lesions[row]["centroid_ras_mm"])
            mrml.show_diameters(shown, lesions[row])
        else:
            say(self._ui.statusLabel, f"{patient} is not in the views: select it and show it to see this lesion.")

    def _fill(self, table: Any, rows: Any) -> None:
        fill_table(table, rows, self._qt)

    def _fill_structures(self, entry: Entry) -> None:
        table = self._ui.structureTable
        self._fill(table, panel_tables.structure_rows(entry))
        for row, one in enumerate(entry["structures"]):
            visible = one["role"] in panel_tables.SHOWN_AT_FIRST
            table.item(row, 0).setCheckState(self._qt.Qt.Checked if visible else self._qt.Qt.Unchecked)
            mrml.set_segment_visible(self._logic.shown, one["name"], visible)
        table.resizeColumnToContents(0)
