"""Connected components inside a mask: the pieces of a lesion."""

from __future__ import annotations

import enum
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from TumorAnalysisLib.grid import BoolArray
from TumorAnalysisLib.masks import Mask, crop

Labeller = Callable[[BoolArray, int], tuple[NDArray[np.integer], int]]


class Connectivity(enum.IntEnum):
    """Which voxels touch: across faces, edges and corners (26, the default for lesions) or across faces only (6)."""

    CORNERS = 26
    FACES = 6


def label(voxels: BoolArray, connectivity: int = Connectivity.CORNERS) -> tuple[NDArray[np.integer], int]:
    """Number the connected pieces of a crop 1..n, in the order of their first voxel.

    Uses connected-components-3d where it is installed and scipy otherwise; a test holds that both give the same numbers.
    """
    return _labeller()(voxels, connectivity)


def pieces(mask: Mask, connectivity: int = Connectivity.CORNERS) -> list[Mask]:
    """Split a mask into its connected pieces, the largest first."""
    if mask.empty:
        return []
    labels, count = label(mask.voxels, connectivity)
    if count == 1:
        return [mask]
    from scipy import ndimage

    found = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        start = tuple(s + b.start for s, b in zip(mask.start_kji, box, strict=True))
        found.append(crop(labels[box] == number, (start[0], start[1], start[2])))
    return sorted(found, key=lambda piece: (-piece.count, piece.start_kji))


def count_pieces(mask: Mask, connectivity: int) -> int:
    """Count the connected pieces of a mask."""
    return 0 if mask.empty else label(mask.voxels, connectivity)[1]


def label_with_scipy(voxels: BoolArray, connectivity: int) -> tuple[NDArray[np.integer], int]:
    """Number the pieces with scipy; it numbers by first voxel in memory order, and so do we."""
    from scipy import ndimage

    rank = 3 if connectivity == Connectivity.CORNERS else 1
    labels, count = ndimage.label(voxels, structure=ndimage.generate_binary_structure(3, rank))
    return labels, int(count)


def label_with_cc3d(voxels: BoolArray, connectivity: int) -> tuple[NDArray[np.integer], int]:
    """Number the pieces with connected-components-3d, which is several times faster on large crops."""
    import cc3d

    labels, count = cc3d.connected_components(np.ascontiguousarray(voxels), connectivity=connectivity, return_N=True)
    return labels, int(count)


def _labeller() -> Labeller:
    try:
        import cc3d  # noqa: F401 -- only asks whether it is there
    except ImportError:
        return label_with_scipy
    return label_with_cc3d
