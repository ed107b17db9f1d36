"""What a cohort analysis can be told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.errors import SettingsError

from TumorAnalysisLib.components import Connectivity
from TumorAnalysisLib.names import lesion_pattern
from TumorAnalysisLib.patient import Role

_RANGE = re.compile(r"^(\d+)(?:-(\d+))?$")


@dataclass(frozen=True)
class Override:
    """The user's word on a structure.

    Attributes
    ----------
    patient : id of the patient, or "" for all.
    structure : name of the structure.
    role : what it is to be taken for.
    """

    patient: str
    structure: str
    role: Role

    def __post_init__(self) -> None:
        if not self.structure:
            raise SettingsError("an override needs the name of a structure, such as livertumor2=extra-hepatic")

    @classmethod
    def parse(cls, text: str) -> Override:
        """Read ``structure=role`` or ``patient/structure=role``.

        Raises
        ------
        SettingsError : the text has another form or the role is unknown.
        """
        where, _, role = text.rpartition("=")
        patient, _, structure = where.rpartition("/")
        try:
            return cls(patient, structure, Role(role.strip()))
        except ValueError as error:
            allowed = ", ".join(r.value for r in Role)
            raise SettingsError(
                f'"{text}" is no override; write [PATIENT/]STRUCTURE=ROLE, ROLE one of {allowed}'
            ) from error


@dataclass(frozen=True)
class TumorSettings:
    """Settings of `run`.

    Attributes
    ----------
    dataset : folder or zip archive.
    output : folder to make; it must not exist.
    organ : name of the organ's mask.
    lesion : regular expression of lesion names; "" takes the organ's name + tumor, tumour, tumors, tumours with a number.
    connectivity : 26 or 6; which neighbours join a piece. Both counts are always given, this one decides which is primary.
    patients : numbers, ranges and ids to analyse, such as "1,3-5"; "" takes all.
    jobs : threads that read slices. Only one patient is in memory whatever this says.
    overrides : roles the user decided.
    dicom_seg, dicom_sr : also write a DICOM Segmentation, and a TID 1500 report with the Segmentation it refers to, for patients with
        lesions whose CT is DICOM.
    pictures : make the 3D picture and the lesion montage of each patient.
    volumes : also write the CT of each patient as NRRD, for viewing.
    list_only : read the patients and their structures, measure nothing.
    announce : write a JSON line ``{"patient": {...}}`` to stdout as soon as a patient is done, for a process that watches.
    """

    dataset: Path
    output: Path
    organ: str = "liver"
    lesion: str = ""
    connectivity: Connectivity = Connectivity.CORNERS
    patients: str = ""
    jobs: int = 1
    overrides: tuple[Override, ...] = ()
    dicom_seg: bool = False
    dicom_sr: bool = False
    pictures: bool = True
    volumes: bool = False
    list_only: bool = False
    announce: bool = False

    def __post_init__(self) -> None:
        if not self.organ.strip():
            raise SettingsError("the organ needs a name, such as liver")
        if self.jobs < 1:
            raise SettingsError(f"jobs must be at least 1, got {self.jobs}")
        if self.connectivity not in tuple(Connectivity):
            raise SettingsError(f"connectivity must be 26 or 6, got {self.connectivity}")
        lesion_pattern(self.organ, self.lesion)
        wanted(self.patients)

    def overrides_of(self, patient_id: str) -> dict[str, Role]:
        """Return structure name -> role for one patient; a word on this patient goes before one on all."""
        general = {o.structure: o.role for o in self.overrides if not o.patient}
        return general | {o.structure: o.role for o in self.overrides if o.patient == patient_id}


@dataclass(frozen=True)
class Wanted:
    """Which patients to take; nothing named takes all."""

    numbers: frozenset[int]
    ids: frozenset[str]

    def takes(self, patient_id: str) -> bool:
        """True for a patient that is named by its id or by the last number in it."""
        if not self.numbers and not self.ids:
            return True
        number = re.search(r"(\d+)\D*$", patient_id)
        return patient_id in self.ids or (number is not None and int(number.group(1)) in self.numbers)


def wanted(text: str) -> Wanted:
    r"""Read a list of numbers, ranges and ids, such as ``1,3-5``; a comma in an id is written ``\,``.

    Raises
    ------
    SettingsError : a range runs backwards.
    """
    numbers: set[int] = set()
    ids: set[str] = set()
    parts = (part.strip().replace("\\,", ",") for part in re.split(r"(?<!\\),", text))
    for part in filter(None, parts):
        match = _RANGE.match(part)
        if not match:
            ids.add(part)
            continue
        first, last = int(match.group(1)), int(match.group(2) or match.group(1))
        if last < first:
            raise SettingsError(f"the range {part} runs backwards; write {last}-{first}")
        numbers.update(range(first, last + 1))
    return Wanted(frozenset(numbers), frozenset(ids))
