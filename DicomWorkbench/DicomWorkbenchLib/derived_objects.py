"""What objects that are made from a series have in common: the attributes they take over, and the maker's name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from DicomWorkbenchLib.errors import DependencyError
from DicomWorkbenchLib.headers import read_dataset

if TYPE_CHECKING:
    from pydicom import Dataset

MANUFACTURER = "DicomWorkbench"
# Patient and study attributes that must be present, if empty (PS3.3 C.7.1.1, C.7.2.1); many published scans have lost some.
PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber",
    "ReferringPhysicianName", "StudyID",
)  # fmt: skip
_TYPE_2 = (*PATIENT_AND_STUDY, "PositionReferenceIndicator")


def source_header(file: Path) -> Dataset:
    """Read the header of an image something is made from; what must be present is.

    Raises
    ------
    FileError : the file cannot be read or is no DICOM.
    """
    header = read_dataset(file, pixels=False)
    for keyword in _TYPE_2:
        if keyword not in header:
            setattr(header, keyword, "")
    return header


def require_highdicom(extra: str) -> Any:
    """Return the package highdicom.

    Raises
    ------
    DependencyError : it is not installed; names the extra that brings it.
    """
    try:
        import highdicom
    except ModuleNotFoundError as error:
        raise DependencyError("the Python package highdicom", extra=extra) from error
    return highdicom
