"""Patients on a cluster: each part opens the data set, takes its patients out of the list, and measures them as a run on one machine does.

What it returns per patient is merged here in the order of the list, with the same question whether a CT has come before; so tables,
report and files are those of a run on one machine. As a program it is the other side. Messages are pickles; both ends are ours.
"""

from __future__ import annotations

import pickle
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib.outputs import ScratchFolder
from DicomWorkbenchLib.parts import Cluster, Part, carried_by, run_part
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, json_lines_progress, no_progress, part_of
from DicomWorkbenchLib.report import InputFile

from TumorAnalysisLib.dataset import Dataset, PatientSource
from TumorAnalysisLib.page import PatientPictures
from TumorAnalysisLib.patient_files import write_patient
from TumorAnalysisLib.settings import TumorSettings

if TYPE_CHECKING:
    from TumorAnalysisLib.job import Cohort

SETTINGS, PATIENTS = "settings.pickle", "patients.pickle"
PARTS_PER_SLOT = 4  # where folders are shared; a transfer brings the whole data set to every part


@dataclass(frozen=True)
class MeasuredPatient:
    """What a part says about one patient of a data set: everything a cohort collects, and its pictures if it could be read."""

    number: int
    dataset: str
    collected: dict[str, Any]
    pictures: PatientPictures | None


@dataclass
class _One:
    """A data set of one patient."""

    patients: list[PatientSource] = field(default_factory=list)


def patients_elsewhere(
    cohort: Cohort, dataset: Dataset, stage: Path, cluster: Cluster, progress: Progress, cancel: CancelToken
) -> list[PatientPictures]:
    """Have patients measured on a cluster, put their folders into the stage and their rows into the cohort.

    Raises
    ------
    ProcessError : the cluster cannot do it.
    Cancelled : somebody asked to stop.
    """
    settings = cohort.settings
    chosen = cohort.chosen(dataset)
    numbers = [number for number, source in enumerate(dataset.patients) if any(source is one for one in chosen)]
    found: dict[int, tuple[MeasuredPatient, Path]] = {}
    with carried_by(cluster) as carrier:
        scratch = ScratchFolder(stage.parent)
        try:
            count = min(len(numbers), carrier.slots * (PARTS_PER_SLOT if cluster.files == "shared" else 1))
            parts = [_part(settings, numbers[first::count]) for first in range(count)]
            for _, result in carrier.run(parts, scratch.path, progress, cancel):
                for one in pickle.loads((result / PATIENTS).read_bytes()):
                    found[one.number] = (one, result / str(one.number))
            pictures = []
            for number in numbers:
                one, folder = found[number]
                collected = _renamed(one.collected, one.dataset, str(settings.dataset))
                if cohort.merge(dataset.patients[number], collected) and one.pictures is not None:
                    pictures.append(one.pictures)
                    for made in folder.iterdir():  # one folder, the patient's
                        (stage / "patients").mkdir(exist_ok=True)
                        shutil.move(made, stage / "patients" / made.name)
            cohort.finish()
        finally:
            scratch.close()
    return pictures


def _part(settings: TumorSettings, numbers: list[int]) -> Part:
    sent = replace(settings, patients="", announce=False, dataset=Path(), output=Path())
    return Part(
        "TumorAnalysisLib.parts", (settings.dataset.absolute(),), {"numbers": numbers}, {SETTINGS: pickle.dumps(sent)}
    )


def measure(description: dict[str, Any], result: Path) -> None:
    """Be a part: measure the patients of a description."""
    from TumorAnalysisLib.job import Cohort, safe_name

    settings: TumorSettings = pickle.loads((Path(description["folder"]) / SETTINGS).read_bytes())
    numbers, here, progress = description["numbers"], Path(description["inputs"][0]), json_lines_progress()
    measured = []
    with Dataset(here, progress=no_progress, cancel=NEVER) as dataset:
        for done, number in enumerate(numbers):
            cohort, pictures = Cohort(settings), None
            own = part_of(progress, 100 * done // len(numbers), 100 * (done + 1) // len(numbers))
            one: Any = _One([dataset.patients[number]])
            for patient in cohort.results(one, own, NEVER):
                pictures = write_patient(result / str(number) / safe_name(patient.data.id), patient, settings)
                cohort.warn(patient.data.id, pictures.warnings)
            measured.append(MeasuredPatient(number, str(here), cohort.collected(), pictures))
    (result / PATIENTS).write_bytes(pickle.dumps(measured))


def _renamed(value: Any, there: str, here: str) -> Any:
    """Return rows and entries with a path of another machine replaced by the one the user gave."""
    if isinstance(value, str):
        return value.replace(there, here)
    if isinstance(value, list):
        return [_renamed(one, there, here) for one in value]
    if isinstance(value, dict):
        return {name: _renamed(one, there, here) for name, one in value.items()}
    if isinstance(value, InputFile):
        return replace(value, path=value.path.replace(there, here))
    return value


if __name__ == "__main__":
    from TumorAnalysisLib import parts  # under its own name, by which the other side knows what it pickles

    sys.exit(run_part(parts.measure))
