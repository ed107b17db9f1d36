"""Binary masks kept as bounding-box crops: a liver tumour fills a thousandth of its CT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from TumorAnalysisLib.grid import BoolArray

Start = tuple[int, int, int]


@dataclass(frozen=True)
class Mask:
    """A binary structure: the voxels of its bounding box and where that box starts.

    Attributes
    ----------
    start_kji : index of the crop's first voxel in the full grid.
    voxels : (k, j, i) bool crop without empty margins; (0, 0, 0) for an empty mask.
    """

    start_kji: Start
    voxels: BoolArray

    @property
    def count(self) -> int:
        """Number of voxels inside."""
        return int(np.count_nonzero(self.voxels))

    @property
    def empty(self) -> bool:
        """True if no voxel is inside."""
        return self.voxels.size == 0

    @property
    def stop_kji(self) -> Start:
        """Index one past the crop's last voxel."""
        k, j, i = (a + n for a, n in zip(self.start_kji, self.voxels.shape, strict=True))
        return k, j, i

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Slices that cut the bounding box out of a full (K, J, I) array."""
        k, j, i = (slice(a, b) for a, b in zip(self.start_kji, self.stop_kji, strict=True))
        return k, j, i

    def indices_ijk(self) -> NDArray[np.int64]:
        """(n, 3) indices ``(i, j, k)`` of the voxels inside, in the full grid."""
        kji = np.argwhere(self.voxels) + np.array(self.start_kji)
        return np.ascontiguousarray(kji[:, ::-1])

    def within(self, start_kji: Start, shape_kji: Start) -> BoolArray:
        """Cut this mask to another box of the grid; outside its own box it is empty."""
        out = np.zeros(shape_kji, dtype=np.bool_)
        if self.empty:
            return out
        low = [max(a, b) for a, b in zip(self.start_kji, start_kji, strict=True)]
        high = [min(a, b + n) for a, b, n in zip(self.stop_kji, start_kji, shape_kji, strict=True)]
        if all(a < b for a, b in zip(low, high, strict=True)):
            into = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start_kji, strict=True))
            out_of = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, self.start_kji, strict=True))
            out[into] = self.voxels[out_of]
        return out

    def overlap(self, other: Mask) -> int:
        """Count the voxels that lie in both masks."""
        if self.empty or other.empty:
            return 0
        return int(np.count_nonzero(self.voxels & other.within(self.start_kji, _shape(self.voxels))))


EMPTY = Mask((0, 0, 0), np.zeros((0, 0, 0), dtype=np.bool_))


def crop(full: NDArray[np.generic], start_kji: Start = (0, 0, 0)) -> Mask:
    """Keep the bounding box of everything that is not zero.

    Parameters
    ----------
    full : (k, j, i), any number type; values other than zero are inside (masks come as 0/1 and as 0/255).
    start_kji : where ``full`` itself starts, if it is a crop.
    """
    inside: BoolArray = np.asarray(full if full.dtype == np.bool_ else full != 0, dtype=np.bool_)
    bounds = _bounds(inside)
    if bounds is None:
        return EMPTY
    voxels = np.ascontiguousarray(inside[tuple(slice(a, b) for a, b in bounds)])
    k, j, i = (s + a for s, (a, _) in zip(start_kji, bounds, strict=True))
    return Mask((k, j, i), voxels)


def union(masks: list[Mask]) -> Mask:
    """Join masks of one grid."""
    filled = [mask for mask in masks if not mask.empty]
    if not filled:
        return EMPTY
    if len(filled) == 1:
        return filled[0]
    start, shape = enclosing_box(filled)
    voxels = np.zeros(shape, dtype=np.bool_)
    for mask in filled:
        into = tuple(slice(a - s, b - s) for a, b, s in zip(mask.start_kji, mask.stop_kji, start, strict=True))
        voxels[into] |= mask.voxels
    return Mask(start, voxels)


def without(mask: Mask, other: Mask) -> Mask:
    """Take the voxels of ``other`` out of ``mask``."""
    if mask.empty or other.empty:
        return mask
    return crop(mask.voxels & ~other.within(mask.start_kji, _shape(mask.voxels)), mask.start_kji)


def enclosing_box(masks: list[Mask]) -> tuple[Start, Start]:
    """Return start and shape (k, j, i) of the smallest box around non-empty masks."""
    start = np.min([mask.start_kji for mask in masks], axis=0)
    shape = np.max([mask.stop_kji for mask in masks], axis=0) - start
    return (int(start[0]), int(start[1]), int(start[2])), (int(shape[0]), int(shape[1]), int(shape[2]))


def _shape(voxels: BoolArray) -> Start:
    k, j, i = voxels.shape
    return k, j, i


def _bounds(inside: NDArray[np.bool_]) -> list[tuple[int, int]] | None:
    # One axis after the other on what is left: the whole image is read only once, along its fastest axis last.
    bounds: list[tuple[int, int]] = []
    block = inside
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        found = np.flatnonzero(block.any(axis=others))
        if not found.size:
            return None
        low, high = int(found[0]), int(found[-1]) + 1
        bounds.append((low, high))
        block = block[(slice(None),) * axis + (slice(low, high),)]
    return bounds
