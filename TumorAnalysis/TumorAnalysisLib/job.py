"""The job: every patient of a data set, one at a time, to tables, pictures and reports."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from DicomWorkbenchLib.errors import Cancelled, InputError, WorkbenchError
from DicomWorkbenchLib.outputs import StagedFolder
from DicomWorkbenchLib.parts import Cluster
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress, part_of
from DicomWorkbenchLib.report import InputFile, relative_files, sha256_of
from DicomWorkbenchLib.settings import to_json

from TumorAnalysisLib.analysis import PatientResult, analyse_patient, slice_rows
from TumorAnalysisLib.cohort import cohort_rows
from TumorAnalysisLib.components import Connectivity
from TumorAnalysisLib.dataset import Dataset, PatientSource
from TumorAnalysisLib.faults import fault_text, is_of_the_data, trace_text
from TumorAnalysisLib.page import PatientPictures, report_page
from TumorAnalysisLib.parts import patients_elsewhere
from TumorAnalysisLib.patient import PatientData
from TumorAnalysisLib.patient_files import write_patient
from TumorAnalysisLib.read_volumes import lits_mask_of
from TumorAnalysisLib.report import TumorReport
from TumorAnalysisLib.rows import (
    DUPLICATE,
    FAILED,
    OK,
    lesion_row,
    metadata_row,
    patient_row,
    structure_row,
    unread_row,
)
from TumorAnalysisLib.settings import Override, TumorSettings, wanted
from TumorAnalysisLib.tables_of import CohortRows, frame_of, write_tables

if TYPE_CHECKING:
    import pandas as pd

STEPS = 100  # progress units per patient


def run(
    settings: TumorSettings,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
    cluster: Cluster | None = None,
) -> TumorReport:
    """Analyse a data set, on this machine or on a cluster, and write the results.

    Raises
    ------
    InputError : the data set does not exist, holds no patient, or none of its patients could be read.
    OutputError : the output folder exists or cannot be written.
    Cancelled : nothing is left.
    """
    began = time.monotonic()
    with Dataset(settings.dataset, progress=progress, cancel=cancel) as dataset, StagedFolder(settings.output) as stage:
        cohort = Cohort(settings)
        if cluster is not None:
            pictures = patients_elsewhere(cohort, dataset, stage, cluster, progress, cancel)
        else:
            pictures = _patients_here(cohort, dataset, stage, progress, cancel)
        if not cohort.any_read:
            raise InputError("no patient could be read: " + "; ".join(_reasons(cohort.rows.patients)[:3]))
        progress(cohort.steps, cohort.steps, "writing tables and report")
        report = cohort.report(began)
        cancel.check()
        if not settings.list_only:
            write_tables(stage, cohort.rows)
            title = f"{settings.organ.capitalize()} tumours: {settings.dataset.name}"
            page = report_page(cohort.rows, pictures, connectivity=settings.connectivity, title=title)
            page.write(stage / "report.html")
        report.outputs = [name for name in relative_files(stage) if not name.startswith(".")] + ["report.json"]
        report.seconds = time.monotonic() - began
        report.write(stage)
    return report


def _patients_here(
    cohort: Cohort, dataset: Dataset, stage: Path, progress: Progress, cancel: CancelToken
) -> list[PatientPictures]:
    pictures: list[PatientPictures] = []
    for result in cohort.results(dataset, progress, cancel):
        folder = stage / "patients" / safe_name(result.data.id)
        pictures.append(write_patient(folder, result, cohort.settings))
        cohort.warn(result.data.id, pictures[-1].warnings)
    return pictures


def analyse_cohort(
    dataset: Path | str,
    *,
    organ: str = "liver",
    lesion: str = "",
    connectivity: int = Connectivity.CORNERS,
    patients: str = "",
    overrides: Sequence[Override] = (),
    jobs: int = 1,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
) -> pd.DataFrame:
    """Measure a data set and return one row per patient; nothing is written.

    Returns
    -------
    DataFrame with, among others, ``id``, ``status``, ``tumor_count``, ``tumor_count_components``, ``tumor_volume_ml``,
    ``liver_volume_ml``, ``burden``. The attribute ``attrs`` holds further frames: ``lesions``, ``components``, ``structures``.

    Raises
    ------
    InputError : the data set does not exist or holds no patient.
    """
    settings = TumorSettings(
        Path(dataset),
        Path(),
        organ=organ,
        lesion=lesion,
        connectivity=Connectivity(connectivity),
        patients=patients,
        overrides=tuple(overrides),
        jobs=jobs,
    )
    cohort = Cohort(settings)
    with Dataset(settings.dataset, progress=progress, cancel=cancel) as found:
        for _ in cohort.results(found, progress, cancel):
            pass
    frame = frame_of(cohort.rows.patients)
    frame.attrs = {
        "lesions": cohort.rows.lesions,
        "components": cohort.rows.components,
        "structures": cohort.rows.structures,
    }
    return frame


@dataclass
class Cohort:
    """Collects the rows of a cohort while its patients pass by."""

    settings: TumorSettings
    rows: CohortRows = field(default_factory=CohortRows)
    warnings: list[str] = field(default_factory=list)
    inputs: list[InputFile] = field(default_factory=list)
    steps: int = 0
    _digests: dict[str, str] = field(default_factory=dict)
    _entries: list[dict[str, Any]] = field(default_factory=list)

    @property
    def any_read(self) -> bool:
        """True once a patient could be read."""
        return any(row["status"] == OK for row in self.rows.patients)

    def results(self, dataset: Dataset, progress: Progress, cancel: CancelToken) -> Iterator[PatientResult]:
        """Read and measure the patients one after the other; one that cannot be read becomes a row, never an exception."""
        chosen = self.chosen(dataset)
        for number, source in enumerate(chosen):
            cancel.check()
            own = _scaled(progress, number * STEPS, self.steps, source.id)
            try:
                self.inputs += inputs_of(Path(source.origin), cancel)
                with source.opened(jobs=self.settings.jobs, progress=part_of(own, 0, 60), cancel=cancel) as data:
                    result = self._measured(replace(data, id=source.id), source, part_of(own, 60, 100), cancel)
                    if result is not None:
                        yield result
            except Cancelled:
                raise
            except WorkbenchError as error:
                self._add_unread(source, FAILED, str(error))
            except Exception as error:  # noqa: BLE001 -- the others are still measured, and `faults` says that this is a bug
                self._add_failed(source, error)
        self.finish()

    def chosen(self, dataset: Dataset) -> list[PatientSource]:
        """Return the patients that the settings ask for.

        Raises
        ------
        InputError : there is none.
        """
        chosen = [source for source in dataset.patients if wanted(self.settings.patients).takes(source.id)]
        if not chosen:
            known = ", ".join(source.id for source in dataset.patients[:10])
            raise InputError(f'no patient matches "{self.settings.patients}"; the data set has {known}')
        self.steps = STEPS * len(chosen)
        return chosen

    def finish(self) -> None:
        """Work out the rows of the cohort as a whole, after its last patient."""
        self.rows.cohort = cohort_rows(self.rows.patients, self.rows.lesions, self._components())

    def collected(self) -> dict[str, Any]:
        """Return what was collected of one patient, for `merge` in another process."""
        digest = next(iter(self._digests), "")
        return {"rows": vars(self.rows), "inputs": self.inputs, "entries": self._entries, "digest": digest}

    def merge(self, source: PatientSource, collected: dict[str, Any]) -> bool:
        """Add a patient that another process has measured; False if its CT has come before."""
        self.inputs += collected["inputs"]
        if self._is_known(collected["digest"], source):
            return False
        for name, rows in collected["rows"].items():
            if name != "cohort":
                getattr(self.rows, name).extend(rows)
        for entry in collected["entries"]:
            self._enter(entry)
        return True

    def warn(self, patient_id: str, texts: Sequence[str]) -> None:
        """Add warnings about a patient that came up while its files were written."""
        self.rows.warnings += [{"patient": patient_id, "kind": "warning", "warning": text} for text in texts]
        entry = next(one for one in self._entries if one["id"] == patient_id)
        entry["warnings"] += texts

    def report(self, began: float) -> TumorReport:
        """Make the report of what was collected."""
        read = [entry for entry in self._entries if entry["status"] == OK]
        return TumorReport(
            job="tumors",
            settings=to_json(self.settings),
            inputs=self.inputs,
            warnings=[f"{row['patient']}: {row['warning']}" for row in self.rows.warnings if row["kind"] == "warning"],
            measured={
                "patients": len(self._entries),
                "patients_read": len(read),
                "patients_with_lesions": sum(bool(entry["tumor_count"]) for entry in read),
                "lesions": len(self.rows.lesions),
                "components": self._components(),
            },
            seconds=time.monotonic() - began,
            patients=self._entries,
            cohort=self.rows.cohort,
        )

    def _components(self) -> int:
        return sum(row.get("tumor_count_components") or 0 for row in self.rows.patients)

    def _measured(
        self, data: PatientData, source: PatientSource, progress: Progress, cancel: CancelToken
    ) -> PatientResult | None:
        digest = hashlib.sha256(np.ascontiguousarray(data.image).data).hexdigest()
        if self._is_known(digest, source):
            return None
        settings = self.settings
        result = analyse_patient(
            data,
            organ=settings.organ,
            lesion=settings.lesion,
            connectivity=settings.connectivity,
            overrides=settings.overrides_of(source.id),
            measured=not settings.list_only,
            progress=progress,
            cancel=cancel,
        )
        self._add(result)
        return result

    def _is_known(self, digest: str, source: PatientSource) -> bool:
        """Remember a CT; True, with a row that says so, if it has come before."""
        if digest in self._digests:
            said = f"the CT is the same as that of {self._digests[digest]}; the patient is counted once"
            self._add_unread(source, DUPLICATE, said)
            return True
        if digest:
            self._digests[digest] = source.id
        return False

    def _add(self, result: PatientResult) -> None:
        rows, patient_id = self.rows, result.data.id
        row = patient_row(result)
        by_26 = self.settings.connectivity == Connectivity.CORNERS
        row["tumor_count_components"] = result.count_26 if by_26 else result.count_6
        rows.patients.append(row)
        lesions = [lesion_row(patient_id, one, target=n in result.targets) for n, one in enumerate(result.lesions)]
        components = [lesion_row(patient_id, one) for one in result.components]
        structures = [structure_row(result, one) for one in result.structures]
        rows.lesions += lesions
        rows.components += components
        rows.structures += structures
        rows.slices += slice_rows(result)
        rows.metadata.append(metadata_row(result))
        for kind, texts in (("warning", result.warnings), ("note", result.data.notes)):
            rows.warnings += [{"patient": patient_id, "kind": kind, "warning": text} for text in texts]
        parts = {"structures": structures, "lesions": lesions, "components": components}
        self._enter(
            row
            | {
                "metadata": dict(result.data.metadata),
                "warnings": list(result.warnings),
                "notes": list(result.data.notes),
                **parts,
            }
        )

    def _add_unread(self, source: PatientSource, status: str, reason: str) -> None:
        row = unread_row(source.id, status, reason)
        self.rows.patients.append(row)
        self.rows.warnings.append({"patient": source.id, "kind": "warning", "warning": f"{status}: {reason}"})
        self._enter(row | {"warnings": [reason], "structures": [], "lesions": [], "components": []})

    def _add_failed(self, source: PatientSource, error: Exception) -> None:
        if is_of_the_data(error):
            self._add_unread(source, FAILED, f"its files cannot be read: {error}")
            return
        self._add_unread(source, FAILED, fault_text(error))
        self.warn(source.id, [trace_text(error)])

    def _enter(self, entry: dict[str, Any]) -> None:
        self._entries.append(entry)
        if self.settings.announce:
            sys.stdout.write(json.dumps({"patient": to_json(entry)}) + "\n")
            sys.stdout.flush()


def inputs_of(origin: Path, cancel: CancelToken) -> list[InputFile]:
    """Return the files of a patient with their digests; slices lying loose in a folder get one digest for the folder."""
    if origin.is_file():
        both = [origin, *filter(None, [lits_mask_of(origin)])]
        return [InputFile(str(file), sha256_of(file)) for file in both]
    found = []
    for base, names, files in os.walk(origin):
        names.sort()
        loose = hashlib.sha256()
        count = 0
        for name in sorted(files):
            cancel.check()
            file = Path(base) / name
            if file.suffix.casefold() == ".zip":
                found.append(InputFile(str(file), sha256_of(file)))
            else:
                count += 1
                loose.update(f"{name}\n{sha256_of(file)}\n".encode())
        if count:
            found.append(InputFile(f"{base}{os.sep}* ({count} files)", loose.hexdigest()))
    return found


def safe_name(name: str) -> str:
    """Turn an id into a file name that every system takes; letters of any script stay."""
    kept = "".join(c if c.isalnum() or c in " ._-" else "_" for c in name).strip(" .")
    return kept[:100] or "patient"


def _scaled(progress: Progress, first: int, total: int, name: str) -> Progress:
    def report(done: int, of: int, message: str) -> None:
        share = done / of if of else 0.0
        progress(first + round(STEPS * min(max(share, 0.0), 1.0)), total, f"{name}: {message}")

    return report


def _reasons(patients: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"{row['id']}: {row['reason']}" for row in patients if row["status"] != OK]
