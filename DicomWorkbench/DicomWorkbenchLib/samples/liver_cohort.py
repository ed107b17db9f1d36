"""Sample ``liver-cohort``: 20 small patients in the zipped layout of public liver data sets, with its traps."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.outputs import StagedFolder
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from DicomWorkbenchLib.samples.dicom_writer import SeriesOf, Subject
from DicomWorkbenchLib.samples.liver_files import (
    DS_STORE,
    labelled_entries,
    mask_entries,
    mesh_entries,
    scan_entries,
    write_zip,
)
from DicomWorkbenchLib.samples.liver_patient import LiverPatient, Mask
from DicomWorkbenchLib.samples.liver_plan import PLANS, PatientPlan
from DicomWorkbenchLib.samples.truth import write_truth

SCANNERS = (("Wirkstatt CT 16", "B30f"), ("Wirkstatt CT 64", "STANDARD"), ("Ring One", "FC08"))
_README_PDF = b"%PDF-1.4\n% terms of use would stand here\n%%EOF\n"


def make_liver_cohort(
    folder: Path,
    *,
    patients: Sequence[int] = tuple(range(1, 21)),
    size: int = 128,
    slices: int = 40,
    seed: int = 1,
    one_archive: bool = False,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
) -> dict[str, Any]:
    """Write the sample and return its truth.

    Parameters
    ----------
    folder : appears when everything is written; must not exist.
    patients : numbers from 1 to 20; each has its own traps, see `liver_plan.PLANS`.
    size, slices : of every scan; much smaller ones leave too few voxels for the small tumours.
    seed : another seed, other people.
    one_archive : put all patients into ``cohort.zip``, as such data sets are downloaded: archives within an archive.

    Raises
    ------
    SettingsError : a patient number does not exist.
    OutputError : the folder exists or cannot be written.
    """
    unknown = sorted(set(patients) - {plan.number for plan in PLANS})
    if unknown:
        raise SettingsError(f"the cohort has patients 1 to {len(PLANS)}, not {', '.join(map(str, unknown))}")
    plans = [plan for plan in PLANS if plan.number in patients]
    truths = []
    with StagedFolder(folder) as stage:
        for n, plan in enumerate(plans):
            cancel.check()
            progress(n, len(plans), "patients")
            patient = LiverPatient(plan, size=size, slices=slices, seed=seed)
            _write(stage / plan.folder_name, patient, seed, cancel)
            truths.append(patient_truth(patient))
        (stage / ".DS_Store").write_bytes(DS_STORE)
        if one_archive:
            _pack(stage)
        truth = {"sample": "liver-cohort", "seed": seed, **_cohort_truth(truths), "patients": truths}
        write_truth(stage, truth)
    return truth


def _write(folder: Path, patient: LiverPatient, seed: int, cancel: CancelToken) -> None:
    plan, series = patient.plan, _Series(patient, seed)
    folder.mkdir()
    (folder / ".DS_Store").write_bytes(DS_STORE)
    (folder / "terms-of-use.pdf").write_bytes(_README_PDF)
    masks = {name: series(10 + n, "OT", f"mask {n}") for n, name in enumerate(patient.masks)}
    write_zip(folder / "PATIENT_DICOM.zip", scan_entries(patient, series.scan()))
    cancel.check()
    write_zip(folder / "MASKS_DICOM.zip", mask_entries(patient, masks))
    cancel.check()
    write_zip(folder / "LABELLED_DICOM.zip", labelled_entries(patient, series(5, "OT", f"labelled {plan.number}")))
    write_zip(folder / "MESHES_VTK.zip", mesh_entries(patient))


def _pack(stage: Path) -> None:
    """Replace the patients' folders by one archive of them."""
    folders = sorted(path for path in stage.iterdir() if path.is_dir())
    files = sorted(path for folder in folders for path in folder.iterdir())
    write_zip(stage / "cohort.zip", ((f"cohort/{f.parent.name}/{f.name}", f.read_bytes()) for f in files))
    for folder in folders:
        shutil.rmtree(folder)


class _Series:
    """Makes the series of one patient."""

    def __init__(self, patient: LiverPatient, seed: int) -> None:
        number = patient.plan.number
        key = f"liver-cohort {seed} {number} {patient.grid}"
        decade = 1940 + (number * 7) % 45
        self._plan = patient.plan
        self._subject = Subject(
            key,
            f"Liver^{number}",
            f"LIVER-{number}",
            "FM"[number % 2],
            f"{decade}0615",
            study_description="Liver cohort sample",
        )

    def __call__(self, number: int, modality: str, description: str) -> SeriesOf:
        return SeriesOf(self._subject, modality, number, description)

    def scan(self) -> SeriesOf:
        model, kernel = SCANNERS[self._plan.number % len(SCANNERS)]
        extra = {"ContrastBolusAgent": "iodine", "ContrastBolusRoute": "IV", "ProtocolName": f"portal venous {kernel}"}
        return SeriesOf(self._subject, "CT", 2, "Abdomen portal venous", model, extra)


def patient_truth(patient: LiverPatient) -> dict[str, Any]:
    """Return what is in a patient; volumes are voxel counts times the voxel's volume.

    Components are those the plan draws, counted by construction: bodies that lie more than two voxels apart.
    """
    plan, liver = patient.plan, patient.masks["liver"]
    voxel_ml = float(np.prod(patient.grid.pixel_spacing_mm)) * patient.grid.slice_spacing_mm / 1000
    tumor = np.zeros_like(liver)
    for name in patient.tumor_names:
        tumor |= patient.masks[name]
    drawn = sum(len(radii) for radii in plan.tumors.values())
    both = int((liver | tumor).sum())
    return {
        "number": plan.number,
        "folder": plan.folder_name,
        "traits": plan.traits,
        **patient.grid.truth(),
        "has_liver_tumor": bool(plan.tumors),
        "tumor_folders": len(plan.tumors),
        "tumor_components_26": drawn,
        "tumor_components_6": 2 * drawn if plan.corner else drawn,
        "tumor_components_of_union_26": 1 if plan.touching else drawn,
        "tumor_volume_ml": _ml(int(tumor.sum()), voxel_ml),
        "liver_volume_ml": _ml(int(liver.sum()), voxel_ml),
        "burden": round(int(tumor.sum()) / both, 6),
        "burden_tumor_over_liver_mask": round(int(tumor.sum()) / int(liver.sum()), 6),
        "burden_tumor_over_parenchyma": round(int(tumor.sum()) / int((liver & ~tumor).sum()), 6),
        "structures": [_structure(plan, name, voxels, liver, voxel_ml) for name, voxels in patient.masks.items()],
    }


def _structure(plan: PatientPlan, name: str, voxels: Mask, liver: Mask, voxel_ml: float) -> dict[str, Any]:
    count = int(voxels.sum())
    role = "organ" if name == "liver" else "lesion" if name in plan.tumors else "other"
    return {
        "name": name,
        "role": "extra-hepatic" if name in plan.outside else role,
        "voxels": count,
        "volume_ml": _ml(count, voxel_ml),
        "liver_overlap": round(int((voxels & liver).sum()) / count, 6) if count else 0.0,
    }


def _cohort_truth(patients: list[dict[str, Any]]) -> dict[str, Any]:
    positive = [truth for truth in patients if truth["has_liver_tumor"]]
    return {
        "patient_count": len(patients),
        "patients_with_liver_tumor": len(positive),
        "tumor_folders": sum(truth["tumor_folders"] for truth in positive),
        "tumor_components_26": sum(truth["tumor_components_26"] for truth in positive),
        "tumor_components_6": sum(truth["tumor_components_6"] for truth in positive),
    }


def _ml(voxels: int, voxel_ml: float) -> float:
    return round(voxels * voxel_ml, 5)
