"""What an engine is given and what it gives back: voxels in, labels with names, colours and codes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray, lps_to_ras, spacing_of, voxel_volume_mm3
from DicomWorkbenchLib.progress import CancelToken, Progress
from numpy.typing import NDArray

Labels = NDArray[np.uint16]
Color = tuple[float, float, float]  # sRGB, 0 to 1


@dataclass(frozen=True)
class Code:
    """A coded concept (DICOM PS3.3 section 8.8)."""

    scheme: str
    value: str
    meaning: str


ANATOMICAL_STRUCTURE = Code("SCT", "123037004", "Anatomical Structure")
TISSUE = Code("SCT", "85756007", "Tissue")


@dataclass(frozen=True)
class Structure:
    """One thing that was segmented.

    Attributes
    ----------
    name : as files, models and tables call it.
    labels : values of the label map that belong to it; more than one where a structure includes others.
    color : sRGB, 0 to 1.
    opacity : of its model, 0 to 1.
    group : the branch of the model's hierarchy it hangs on; empty for none.
    category, kind, modifier : what it is, in codes.
    """

    name: str
    labels: tuple[int, ...]
    color: Color
    opacity: float = 1.0
    group: str = ""
    category: Code = ANATOMICAL_STRUCTURE
    kind: Code | None = None
    modifier: Code | None = None

    def mask(self, labelmap: Labels) -> NDArray[np.bool_]:
        """Return (k, j, i) booleans: where the structure is."""
        return np.isin(labelmap, self.labels) if len(self.labels) > 1 else np.equal(labelmap, self.labels[0])


@dataclass(frozen=True, eq=False)
class ImageVolume:
    """The scan as engines see it: sorted, checked, on an orthogonal grid.

    Attributes
    ----------
    array : (k, j, i), int16 or float32.
    matrix_lps : (4, 4) from index (i, j, k, 1) to LPS mm.
    units : "HU" for CT, empty where not known.
    modality : DICOM modality, empty where not known.
    instance_uids : SOP instances the voxels come from, in the order of the slices.
    slab_mm : (k,) thickness each slice stands for where they are unevenly spaced; None where all have the matrix's step.
    planes_lps : (k, 3) true place of the first voxel of each slice where they are unevenly spaced, LPS mm.
    """

    array: NDArray[Any]
    matrix_lps: FloatArray
    units: str = ""
    modality: str = ""
    instance_uids: tuple[str, ...] = ()
    slab_mm: FloatArray | None = None
    planes_lps: FloatArray | None = None

    @property
    def matrix_ras(self) -> FloatArray:
        """Matrix (4, 4) from index (i, j, k, 1) to RAS mm."""
        return lps_to_ras(self.matrix_lps)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along (i, j, k)."""
        return spacing_of(self.matrix_lps)

    def volume_ml(self, voxels_of_slices: NDArray[np.integer], first: int = 0) -> float:
        """Return the volume of so many voxels in each of some slices, of which ``first`` is the first."""
        count = float(voxels_of_slices.sum()) * self.voxel_ml
        if self.slab_mm is None or not count:
            return count
        slabs = self.slab_mm[first : first + len(voxels_of_slices)]
        return count * float(voxels_of_slices @ slabs) / (float(voxels_of_slices.sum()) * self.spacing_mm[2])

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel."""
        return voxel_volume_mm3(self.matrix_lps) / 1000.0


@dataclass(frozen=True)
class EngineOptions:
    """What the job's file asks of an engine; see `SegmentationSettings` for the meaning."""

    task: str = "total"
    quality: str = "normal"
    structures: tuple[str, ...] = ()
    device: str = "cpu"
    split: bool = False  # in pieces, for less memory


@dataclass(frozen=True)
class EngineRequest:
    """One segmentation: the scan, what is wanted, and a private folder for temporary files."""

    volume: ImageVolume
    options: EngineOptions
    work: Path


@dataclass(frozen=True, eq=False)
class Segmented:
    """What an engine found.

    Attributes
    ----------
    labelmap : (k, j, i) on the grid of the scan, 0 is background.
    structures : those that were looked for; ones without a voxel are left out later, with a warning.
    version : names and versions of what did it, for the provenance.
    warnings : sentences a user should read.
    """

    labelmap: Labels
    structures: tuple[Structure, ...]
    version: Mapping[str, str]
    warnings: tuple[str, ...] = field(default=())


class Engine(Protocol):
    """One way to segment a scan."""

    name: str
    title: str

    def available(self) -> str | None:
        """Return why it cannot be used here and how that is mended; None if it can."""

    def segment(self, request: EngineRequest, progress: Progress, cancel: CancelToken) -> Segmented:
        """Segment the scan.

        Raises
        ------
        InputError : the scan is not of a kind it can segment.
        DependencyError : it, the device or its weights are not there.
        ProcessError : it failed.
        MemoryError : the memory was not enough.
        Cancelled : the token was turned.
        """
