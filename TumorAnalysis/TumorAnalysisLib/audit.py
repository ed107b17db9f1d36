"""Do the slices of a mask lie where the slices of the CT lie?

Masks are refused where they contradict the CT, inherit its geometry where they say nothing, and either is written down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from DicomWorkbenchLib.errors import GeometryError
from DicomWorkbenchLib.headers import Header, Tag
from numpy.typing import NDArray

from TumorAnalysisLib.grid import FloatArray, Grid
from TumorAnalysisLib.names import natural_key

POSITION_TOLERANCE = 0.1  # of a slice step: headers round positions, but never by a tenth of a slice
SPACING_TOLERANCE = 0.01  # relative
DIRECTION_TOLERANCE = 1e-3  # of a unit vector: 0.06 degrees


@dataclass(frozen=True)
class MaskSlice:
    """What a mask slice says about itself; None where it says nothing.

    Attributes
    ----------
    file_name : natural order of names is the last resort.
    position_lps : ImagePositionPatient.
    orientation : ImageOrientationPatient.
    spacing_mm : PixelSpacing (between rows, between columns).
    patient_id : only compared, never shown.
    """

    file_name: str
    shape_ji: tuple[int, int]
    position_lps: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing_mm: tuple[float, ...] | None
    instance_number: int | None
    patient_id: str = ""

    @classmethod
    def of(cls, file_name: str, header: Header) -> MaskSlice:
        """Read the geometry from a header."""
        return cls(
            file_name,
            (header.integer(Tag.ROWS) or 0, header.integer(Tag.COLUMNS) or 0),
            _if_complete(header.numbers(Tag.POSITION), 3),
            _if_complete(header.numbers(Tag.ORIENTATION), 6),
            _if_complete(header.numbers(Tag.PIXEL_SPACING), 2),
            header.integer(Tag.INSTANCE_NUMBER),
            header.text(Tag.PATIENT_ID),
        )


@dataclass(frozen=True)
class ReferenceSlices:
    """The CT's slices, in the order of its array.

    Attributes
    ----------
    order_k : file name -> slice, for masks without positions whose files are named as the CT's.
    numbers_k : instance number -> slice.
    """

    grid: Grid
    order_k: Mapping[str, int] = field(default_factory=dict)
    numbers_k: Mapping[int, int] = field(default_factory=dict)
    patient_id: str = ""


@dataclass(frozen=True)
class Placement:
    """Where each mask slice belongs, and what was assumed for it."""

    slices_k: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def place(slices: Sequence[MaskSlice], reference: ReferenceSlices) -> Placement:
    """Find the CT slice of each mask slice.

    Raises
    ------
    GeometryError : the mask contradicts the CT; the message says how.
    """
    _check_pixels(slices, reference.grid)
    if all(one.position_lps is not None for one in slices):
        return _by_position(slices, reference.grid)
    if any(one.position_lps is not None for one in slices):
        missing = sum(one.position_lps is None for one in slices)
        raise GeometryError(f"{missing} of {len(slices)} slices have no ImagePositionPatient; all or none must have it")
    return _inherited(slices, reference)


def check_gaps(filled_k: Sequence[int], placed_k: NDArray[np.int64], depth: int) -> tuple[str, ...]:
    """Judge slices the CT has and the mask lacks.

    Missing slices are taken as empty where the mask's neighbouring slices are empty too; a structure that runs into a missing slice is
    cut off, and its measurements would be wrong.

    Parameters
    ----------
    filled_k : CT slices with mask voxels.
    placed_k : CT slices for which the mask has a file.
    depth : number of CT slices.

    Raises
    ------
    GeometryError : the structure reaches a missing slice.
    """
    missing = set(range(depth)) - set(placed_k.tolist())
    if not missing:
        return ()
    touching = [k for k in filled_k if k - 1 in missing or k + 1 in missing]
    if touching:
        raise GeometryError(
            f"{len(missing)} of {depth} slices are missing and the structure runs into them (slice {touching[0] + 1}); "
            "it would be measured too small"
        )
    return (f"{len(missing)} of {depth} mask slices are missing; they are taken as empty",)


def _check_pixels(slices: Sequence[MaskSlice], grid: Grid) -> None:
    _, rows, columns = grid.shape_kji
    step_i, step_j, _ = grid.spacing_ijk_mm
    for one in slices:
        if one.shape_ji != (rows, columns):
            raise GeometryError(
                f"mask slices are {one.shape_ji[0]} x {one.shape_ji[1]} pixels, CT slices {rows} x {columns}"
            )
        if one.spacing_mm and not np.allclose(one.spacing_mm, (step_j, step_i), rtol=SPACING_TOLERANCE):
            raise GeometryError(
                f"mask pixels are {one.spacing_mm[0]:.3f} x {one.spacing_mm[1]:.3f} mm, CT pixels {step_j:.3f} x {step_i:.3f} mm"
            )
        if one.orientation and np.abs(_directions(grid) - np.array(one.orientation)).max() > DIRECTION_TOLERANCE:
            raise GeometryError("mask and CT slices have different orientations")


def _directions(grid: Grid) -> FloatArray:
    i, j, _ = grid.steps_mm
    return np.concatenate([i / np.linalg.norm(i), j / np.linalg.norm(j)])


def _by_position(slices: Sequence[MaskSlice], grid: Grid) -> Placement:
    positions = np.array([one.position_lps for one in slices])
    index = (positions - grid.matrix_lps[:3, 3]) @ np.linalg.inv(grid.steps_mm)
    k = np.rint(index[:, 2]).astype(np.int64)
    beside_mm = np.abs(index[:, :2]).max() * min(grid.spacing_ijk_mm[:2])
    if beside_mm > POSITION_TOLERANCE * max(grid.spacing_ijk_mm):
        raise GeometryError(f"mask slices lie {beside_mm:.1f} mm beside the CT slices; they seem to be of another scan")
    between = np.abs(index[:, 2] - k).max()
    outside = int(np.count_nonzero((k < 0) | (k >= grid.shape_kji[0])))
    if outside:
        raise GeometryError(
            f"{outside} of {len(slices)} mask slices lie where the CT has none; they seem to be of another scan"
        )
    if between > POSITION_TOLERANCE:
        raise GeometryError(
            f"mask slices lie between the CT slices, by up to {between * grid.spacing_ijk_mm[2]:.2f} mm"
        )
    _check_once(k)
    shuffled = () if _in_order(slices, k) else ("slices are not in the order of their names; sorted by position",)
    return Placement(k, shuffled)


def _in_order(slices: Sequence[MaskSlice], k: NDArray[np.int64]) -> bool:
    by_name = k[np.argsort(_name_ranks(slices))]
    return bool((np.diff(by_name) > 0).all() or (np.diff(by_name) < 0).all())


def _name_ranks(slices: Sequence[MaskSlice]) -> list[int]:
    order = sorted(range(len(slices)), key=lambda n: natural_key(slices[n].file_name))
    ranks = [0] * len(slices)
    for rank, n in enumerate(order):
        ranks[n] = rank
    return ranks


def _inherited(slices: Sequence[MaskSlice], reference: ReferenceSlices) -> Placement:
    said = "no ImagePositionPatient; geometry inherited from the CT slice of the same"
    names = [one.file_name for one in slices]
    if all(name in reference.order_k for name in names):
        k = np.array([reference.order_k[name] for name in names])
        _check_once(k)
        return Placement(k, (f"{said} file name",))
    numbers = [one.instance_number for one in slices]
    if all(number in reference.numbers_k for number in numbers) and len(set(numbers)) == len(numbers):
        return Placement(
            np.array([reference.numbers_k[n] for n in numbers if n is not None]), (f"{said} InstanceNumber",)
        )
    depth = reference.grid.shape_kji[0]
    if len(slices) != depth:
        raise GeometryError(
            f"{len(slices)} mask slices without ImagePositionPatient for {depth} CT slices, and neither file names nor instance "
            "numbers tell which belongs where"
        )
    ct_order = sorted(reference.order_k, key=natural_key)
    of_rank = [reference.order_k[name] for name in ct_order] if len(ct_order) == depth else list(range(depth))
    k = np.array([of_rank[rank] for rank in _name_ranks(slices)])
    return Placement(k, (f"{said} rank in the natural order of names",))


def _check_once(k: NDArray[np.int64]) -> None:
    if len(np.unique(k)) != len(k):
        raise GeometryError(f"{len(k) - len(np.unique(k))} mask slices lie at the position of another one")


def _if_complete(numbers: tuple[float, ...], count: int) -> tuple[float, ...] | None:
    return numbers if len(numbers) == count else None
