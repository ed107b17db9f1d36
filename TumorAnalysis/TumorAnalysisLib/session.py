"""What a panel remembers between two clicks: the data set, its patients, the user's roles, and where results lie. No Qt, no MRML."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.outputs import StagedFolder

from TumorAnalysisLib.components import Connectivity
from TumorAnalysisLib.job import safe_name
from TumorAnalysisLib.patient import Role
from TumorAnalysisLib.settings import Override, TumorSettings

Entry = Mapping[str, Any]
SCENE_PATIENT = "scene"  # id of what was saved from the user's own scene


class Session:
    """One data set in one panel. Results go to a temporary folder until they are exported; `close` removes it."""

    def __init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="tumor-analysis-", ignore_cleanup_errors=True)
        self._number = 0
        self.dataset = Path()
        self.patients: list[Entry] = []
        self.roles: dict[tuple[str, str], Role] = {}
        self.results: Path | None = None
        self.report: Entry | None = None

    def close(self) -> None:
        """Remove everything temporary."""
        self._scratch.cleanup()

    def new_folder(self) -> Path:
        """Return a path that does not exist yet."""
        self._number += 1
        return Path(self._scratch.name) / f"{self._number}"

    def open(self, dataset: Path) -> None:
        """Start with another data set."""
        self.dataset, self.patients, self.roles, self.results, self.report = dataset, [], {}, None, None

    def open_scene(self, organ: str, lesions: Iterable[str], others: Iterable[str]) -> None:
        """Start with what was saved from the scene; the user's choice of segments is the roles."""
        self.open(self.dataset)
        chosen = set(lesions)
        self.roles = {("", name): Role.LESION if name in chosen else Role.OTHER for name in others}
        self.roles[("", organ)] = Role.ORGAN

    def add(self, entry: Entry) -> None:
        """Take in a patient; one that came before is replaced."""
        ids = [one["id"] for one in self.patients]
        if entry["id"] in ids:
            self.patients[ids.index(entry["id"])] = entry
        else:
            self.patients.append(entry)

    @property
    def lesions(self) -> list[Entry]:
        """The lesions of the last analysis, patient by patient."""
        return [lesion for entry in self.report["patients"] for lesion in entry["lesions"]] if self.report else []

    def obstacles(self, parameters: Any, chosen: Entry | None, lesions_checked: bool) -> dict[str, str]:
        """Say for each button why it cannot be used now; an empty text means that it can."""
        scene = parameters.volume and parameters.segmentation and lesions_checked
        no_patient = "" if chosen and chosen["status"] == "ok" else "Select a patient that could be read first."
        not_analysed = "" if self.report else "Analyse first."
        return {
            "scanButton": "" if chosen_path(parameters.dataset) else "Choose a folder or a zip archive first.",
            "analyseSceneButton": "" if scene else "Choose a CT, a segmentation, its organ and its lesions first.",
            "showButton": no_patient,
            "analysePatientButton": no_patient,
            "analyseAllButton": "" if self.patients else "Find patients first.",
            "exportButton": not_analysed or ("" if chosen_path(parameters.output) else "Choose a new folder first."),
            "burdenPlotButton": not_analysed,
            "sizePlotButton": not_analysed,
        }

    def list_settings(self, parameters: Any) -> TumorSettings:
        """Return the settings that list the patients."""
        return self._settings(parameters, list_only=True, announce=True)

    def show_settings(self, patient_id: str, parameters: Any) -> TumorSettings:
        """Return the settings that read one patient for viewing."""
        return self._settings(parameters, patients=_literal(patient_id), list_only=True, volumes=True)

    def analyse_settings(self, patient_id: str, parameters: Any) -> TumorSettings:
        """Return the settings that measure one patient, or all for an empty id."""
        return self._settings(parameters, patients=_literal(patient_id), volumes=bool(patient_id))

    def folder_of(self, results: Path, patient_id: str) -> Path:
        """Return where a job put the files of a patient."""
        return results / "patients" / safe_name(patient_id)

    def export(self, target: Path) -> Path:
        """Copy the results to the user's folder, completely or not at all.

        Raises
        ------
        OutputError : there is nothing to export, or the folder exists or cannot be written.
        """
        if self.results is None:
            raise OutputError("there are no results yet; analyse a patient or all patients first")
        with StagedFolder(target) as stage:
            shutil.copytree(self.results, stage, dirs_exist_ok=True, ignore=shutil.ignore_patterns("ct.nrrd"))
        return target / "report.html"

    def _settings(self, parameters: Any, **more: Any) -> TumorSettings:
        return TumorSettings(
            self.dataset,
            self.new_folder(),
            organ=parameters.organ,
            lesion=parameters.lesion,
            connectivity=Connectivity(parameters.connectivity),
            overrides=tuple(Override(patient, name, role) for (patient, name), role in self.roles.items()),
            **more,
        )


def _literal(patient_id: str) -> str:
    return patient_id.replace(",", "\\,")


def chosen_path(path: Path | None) -> bool:
    """True if the user has chosen a path; an empty field is the current folder."""
    return path is not None and str(path) not in ("", ".")


def summary_text(report: Entry) -> str:
    """Return the result in a sentence or two."""
    measured = report["measured"]
    read = [entry for entry in report["patients"] if entry["status"] == "ok"]
    burdens = sorted(entry["burden"] for entry in read if entry["tumor_count"] and entry["burden"] is not None)
    middle = f" Median burden of patients with lesions: {100 * burdens[len(burdens) // 2]:.2f} %." if burdens else ""
    return (
        f"{measured['patients_read']} of {measured['patients']} patients read, {measured['patients_with_lesions']} with lesions; "
        f"{measured['lesions']} lesions, {measured['components']} pieces.{middle}"
    )
