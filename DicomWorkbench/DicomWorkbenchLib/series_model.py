"""What a scan finds: series of image planes, objects that refer to them, and problems.

All positions are LPS millimetres (DICOM). Everything here is plain data; `series.scan` fills it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from DicomWorkbenchLib.errors import GeometryError
from DicomWorkbenchLib.geometry import FloatArray, Point3, index_matrix_lps, slice_normal, spacing_of
from DicomWorkbenchLib.series_problems import Problem

Orientation = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One DICOM file that holds an image.

    ``origin`` is the file as the user knows it; it differs from ``path`` where the file was unpacked from an archive:
    ``.../case.zip/inner.zip/ct/image_0``.
    """

    path: Path
    origin: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    position_lps: Point3 | None  # ImagePositionPatient; of multi-frame objects the first plane's
    instance_number: int | None
    rows: int
    columns: int
    frames: int


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """One slice: an instance, or one frame of a multi-frame instance (``frame`` counts from 0)."""

    instance: Instance
    frame: int
    position_lps: Point3 | None
    orientation_lps: Orientation | None
    pixel_spacing_mm: tuple[float, float] | None  # between rows, between columns
    thickness_mm: float | None  # nominal thickness: the only hint of a single slice's extent
    marks: tuple[object, ...] = ()  # what tells planes at one position apart; see `series_stacks.MARK_NAMES`
    whole: bool = False  # stands for all frames of an image that gives them no places of their own: a cine


@dataclass(eq=False)
class LinkedObject:
    """An RTSTRUCT, SEG, RTDOSE, RTPLAN, PR, SR or REG with the images it refers to.

    ``referenced_*`` is what the file says; ``series_instance_uids`` is what that came to among the scanned series, also by way of other
    objects (a dose refers to a plan, the plan to a structure set, that to a series), and ``link_reason`` says how.
    """

    path: Path
    origin: str
    modality: str
    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    frame_of_reference_uid: str
    referenced_series_uids: tuple[str, ...]
    referenced_sop_uids: tuple[str, ...]
    series_instance_uids: tuple[str, ...] = ()
    link_reason: str = ""


@dataclass(eq=False)
class Series:
    """Planes of one series that lie in one stack, sorted along the slice normal; they do not change after the scan.

    A DICOM series becomes several of these where it holds several stacks (a localizer, time points, echoes); ``part`` then counts from 1.
    """

    series_instance_uid: str
    study_instance_uid: str
    frame_of_reference_uid: str
    modality: str
    description: str
    number: int | None
    rows: int
    columns: int
    planes: list[Plane]
    part: int = 1
    parts: int = 1
    problems: list[Problem] = field(default_factory=list)
    linked: list[LinkedObject] = field(default_factory=list)
    split_by: str = ""  # what told this stack from the others of its series, in words
    obstacle: str = ""  # why the planes are no volume; empty if they are one

    @cached_property
    def instances(self) -> list[Instance]:
        """The files, in the order of the planes, each once."""
        return list(dict.fromkeys(plane.instance for plane in self.planes))

    @property
    def is_volume(self) -> bool:
        """True if `volume.read_volume` can stack the planes; one slice with a position is a volume too."""
        return not self.obstacle

    @property
    def orientation_lps(self) -> Orientation | None:
        """ImageOrientationPatient of the first plane: row direction, column direction."""
        return self.planes[0].orientation_lps

    @property
    def normal_lps(self) -> FloatArray | None:
        """Unit normal (3,): row direction x column direction."""
        return None if self.orientation_lps is None else slice_normal(self.orientation_lps)

    @property
    def pixel_spacing_mm(self) -> tuple[float, float] | None:
        """Distance between rows, then between columns."""
        return self.planes[0].pixel_spacing_mm

    @cached_property
    def positions_mm(self) -> FloatArray:
        """Position of each plane along the normal (K,), ascending; empty without positions."""
        normal = self.normal_lps
        if normal is None or any(plane.position_lps is None for plane in self.planes):
            return np.empty(0)
        return np.asarray([plane.position_lps for plane in self.planes], dtype=float) @ normal

    @property
    def step_lps(self) -> FloatArray:
        """Mean vector (3,) from one plane's first pixel to the next plane's, mm.

        Raises
        ------
        GeometryError : the planes are no volume.
        """
        self.require_volume()
        first, last = self.planes[0].position_lps, self.planes[-1].position_lps
        if len(self.planes) > 1:
            return np.asarray((np.asarray(last, dtype=float) - np.asarray(first, dtype=float)) / (len(self.planes) - 1))
        normal = self.normal_lps
        assert normal is not None
        return np.asarray(normal * (self.planes[0].thickness_mm or 1.0))

    @property
    def matrix_lps(self) -> FloatArray:
        """Matrix (4, 4) from index (i, j, k, 1) to LPS mm, from the first and the last position.

        Raises
        ------
        GeometryError : the planes are no volume.
        """
        self.require_volume()
        plane = self.planes[0]
        assert plane.position_lps is not None
        assert plane.orientation_lps is not None
        assert plane.pixel_spacing_mm is not None
        return index_matrix_lps(
            plane.position_lps, plane.orientation_lps, plane.pixel_spacing_mm, self.step_lps.tolist()
        )

    @property
    def spacing_mm(self) -> Point3 | None:
        """Voxel size along (i, j, k); None if the planes are no volume."""
        return spacing_of(self.matrix_lps) if self.is_volume else None

    @property
    def label(self) -> str:
        """A short name for messages, free of patient data: modality, series number, part."""
        number = "" if self.number is None else f" {self.number}"
        part = f", stack {self.part} of {self.parts}" if self.parts > 1 else ""
        return f"{self.modality or 'image'} series{number}{part}"

    def require_volume(self) -> None:
        """Raise `GeometryError` with the reason if the planes are no volume."""
        if self.obstacle:
            raise GeometryError(f"{self.label} ({self.planes[0].instance.origin}) is no volume: {self.obstacle}")


def point_of(values: Sequence[float]) -> Point3 | None:
    """Return ImagePositionPatient as a point; None if it has not three values."""
    return (values[0], values[1], values[2]) if len(values) == 3 else None


@lru_cache(maxsize=4096)
def orientation_of(values: tuple[float, ...]) -> Orientation | None:
    """Return the six cosines, one object for the same values; None if they are not two perpendicular unit vectors."""
    try:
        slice_normal(values)
    except GeometryError:
        return None
    return (values[0], values[1], values[2], values[3], values[4], values[5])


@lru_cache(maxsize=4096)
def spacing_pair(values: tuple[float, ...]) -> tuple[float, float] | None:
    """Return PixelSpacing as a pair; None if it is not two positive numbers."""
    return (values[0], values[1]) if len(values) == 2 and min(values) > 0 else None


def origins_of(planes: Iterable[Plane]) -> tuple[str, ...]:
    """Name the files of some planes, each once."""
    return tuple(dict.fromkeys(plane.instance.origin for plane in planes))


def folder_of(origin: str) -> str:
    """Return the folder part of an origin, inside archives too."""
    return origin[: max(origin.rfind("/"), origin.rfind(os.sep), 0)]
