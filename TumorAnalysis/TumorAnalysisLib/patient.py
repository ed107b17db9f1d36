"""A patient as it is read: CT, structures, what is known about the scan, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from TumorAnalysisLib.grid import Grid
from TumorAnalysisLib.masks import Mask


class Role(StrEnum):
    """What a structure is taken for."""

    ORGAN = "organ"
    LESION = "lesion"
    REVIEW = "extra-hepatic"  # tumours outside, cysts, resection beds, tumour names without enough overlap: for a person to look at
    OTHER = "other"


@dataclass(frozen=True)
class Structure:
    """One mask as found in the data set, on the grid of the CT.

    Attributes
    ----------
    name : as the data set calls it.
    mask : may be empty.
    refused : why it cannot be used; empty if it can. A refused structure has an empty mask and is listed with the reason.
    notes : what was assumed while reading it, such as an inherited geometry.
    one_lesion : a mask stands for one lesion; False for label maps, in which each connected piece is one.
    """

    name: str
    mask: Mask
    refused: str = ""
    notes: tuple[str, ...] = ()
    one_lesion: bool = True


@dataclass(frozen=True)
class PatientData:
    """Everything of one patient that is needed at once; only one of these lives at a time.

    Attributes
    ----------
    id : how the data set names the patient: the folder, never a name or a patient id from a header.
    image : (K, J, I) CT numbers; slices are axial.
    slice_thickness_mm : from the header, else the slice spacing.
    metadata : what is known of scan and patient and does not identify: name -> text or number.
    warnings, notes : what may have gone wrong with the scan; what was left aside on purpose.
    ct_files : DICOM files of the CT in the order of its slices; empty for other formats.
    """

    id: str
    image: NDArray[Any]
    grid: Grid
    structures: tuple[Structure, ...]
    slice_thickness_mm: float
    metadata: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ct_files: tuple[Path, ...] = ()
