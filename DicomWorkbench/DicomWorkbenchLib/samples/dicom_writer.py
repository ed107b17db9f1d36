"""Data sets every sample object is built from: who, which study, which series, which equipment; and how a file is written.

Nothing here asks the clock or a random source: dates are fixed and UIDs come from names, so the same call gives the same bytes.
"""

from __future__ import annotations

import io
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from DicomWorkbenchLib import __version__

DATE = "20240115"
TIME = "101500"
IMPLEMENTATION_UID = UID("2.25.208148471346180930118428291836405364736")
_NAMESPACE = uuid.UUID("8f0f9d3c-5d4b-4c57-9a53-6b1b0f5f1c11")
_DS_CHARACTERS = 16  # PS3.5 6.2: a decimal string holds at most 16 characters


def uid_of(*parts: object) -> UID:
    """Return the UID that belongs to a name: ``2.25.`` and a name-based UUID (PS3.5 B.2), the same every time.

    The UUID's first bit is set, so that every UID has 44 characters and can be exchanged within a written file.
    """
    number = uuid.uuid5(_NAMESPACE, "/".join(str(part) for part in parts)).int | 1 << 127
    return UID(f"2.25.{number}")


def decimal(value: float) -> str:
    """Write a number as a decimal string (VR DS) of at most 16 characters, with as many digits as fit."""
    text = f"{value:.10f}".rstrip("0").rstrip(".")
    if abs(value) >= 1e-3 and len(text) <= _DS_CHARACTERS:
        return text
    for digits in range(12, 0, -1):
        text = f"{value + 0.0:.{digits}g}"
        if len(text) <= _DS_CHARACTERS:
            return text
    raise ValueError(f"{value} cannot be written as a decimal string")


def decimals(values: Any) -> list[str]:
    """Write several numbers as decimal strings."""
    return [decimal(float(value)) for value in values]


@dataclass(frozen=True)
class Subject:
    """The invented patient and study all objects of a sample share.

    Attributes
    ----------
    key : what the UIDs are made from; two samples with different keys share no UID.
    """

    key: str
    name: str = "Phantom^Workbench"
    patient_id: str = "PHANTOM-1"
    sex: str = "O"
    birth_date: str = "19700101"
    weight_kg: float | None = None
    study_description: str = "DicomWorkbench sample"
    character_set: str = "ISO_IR 100"

    @property
    def study_uid(self) -> UID:
        """StudyInstanceUID."""
        return uid_of(self.key, "study")

    @property
    def frame_of_reference_uid(self) -> UID:
        """FrameOfReferenceUID: one for all objects of the study."""
        return uid_of(self.key, "frame of reference")


@dataclass(frozen=True)
class SeriesOf:
    """One series of a subject."""

    subject: Subject
    modality: str
    number: int
    description: str
    model: str = "Sample generator"
    extra: dict[str, Any] = field(default_factory=dict)  # further elements every instance carries

    @property
    def uid(self) -> UID:
        """SeriesInstanceUID."""
        return uid_of(self.subject.key, "series", self.number, self.modality)

    def instance_uid(self, number: int) -> UID:
        """SOPInstanceUID of an instance."""
        return uid_of(self.uid, "instance", number)

    def dataset(self, sop_class_uid: UID, instance_number: int) -> Dataset:
        """Return patient, study, series, equipment and SOP common modules of one instance (PS3.3 C.7, C.12)."""
        dataset = Dataset()
        dataset.SpecificCharacterSet = self.subject.character_set
        dataset.SOPClassUID = sop_class_uid
        dataset.SOPInstanceUID = self.instance_uid(instance_number)
        dataset.update(_patient_and_study(self.subject))
        dataset.Modality = self.modality
        dataset.SeriesInstanceUID = self.uid
        dataset.SeriesNumber = self.number
        dataset.SeriesDescription = self.description
        dataset.SeriesDate = DATE
        dataset.SeriesTime = TIME
        dataset.Manufacturer = "DicomWorkbench"
        dataset.ManufacturerModelName = self.model
        dataset.DeviceSerialNumber = "1"
        dataset.SoftwareVersions = __version__
        dataset.InstanceNumber = instance_number
        for name, value in self.extra.items():
            setattr(dataset, name, value)
        return dataset


def _patient_and_study(subject: Subject) -> Dataset:
    dataset = Dataset()
    dataset.PatientName = subject.name
    dataset.PatientID = subject.patient_id
    dataset.PatientBirthDate = subject.birth_date
    dataset.PatientSex = subject.sex
    if subject.weight_kg is not None:
        dataset.PatientWeight = decimal(subject.weight_kg)
    dataset.StudyInstanceUID = subject.study_uid
    dataset.StudyDate = DATE
    dataset.StudyTime = TIME
    dataset.StudyID = "1"
    dataset.StudyDescription = subject.study_description
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    return dataset


def item(**elements: Any) -> Dataset:
    """Return a sequence item with the given elements."""
    dataset = Dataset()
    for name, value in elements.items():
        setattr(dataset, name, Sequence(value) if isinstance(value, list) and _are_items(value) else value)
    return dataset


def _are_items(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, Dataset) for value in values)


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return a code sequence item (PS3.3 section 8)."""
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def reference(dataset: Dataset) -> Dataset:
    """Return an item that refers to an instance."""
    return item(ReferencedSOPClassUID=dataset.SOPClassUID, ReferencedSOPInstanceUID=dataset.SOPInstanceUID)


def with_file_meta(dataset: Dataset, transfer_syntax_uid: UID = ExplicitVRLittleEndian) -> Dataset:
    """Give a data set a File Meta Information of ours (PS3.10 7.1) and return it."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = transfer_syntax_uid
    dataset.file_meta.ImplementationClassUID = IMPLEMENTATION_UID
    dataset.file_meta.ImplementationVersionName = "DICOMWORKBENCH"
    return dataset


def file_bytes(dataset: Dataset) -> bytes:
    """Return the bytes of a DICOM file, explicit little endian."""
    buffer = io.BytesIO()
    dcmwrite(buffer, with_file_meta(dataset), enforce_file_format=True)
    return buffer.getvalue()


def save(dataset: Dataset, path: Path, transfer_syntax_uid: UID = ExplicitVRLittleEndian) -> None:
    """Write a data set as a DICOM file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dcmwrite(path, with_file_meta(dataset, transfer_syntax_uid), enforce_file_format=True)
