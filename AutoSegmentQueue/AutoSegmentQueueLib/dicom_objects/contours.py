"""Structures as closed contours on the planes of the images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray
from DicomWorkbenchLib.polygons import outlines
from DicomWorkbenchLib.progress import CancelToken

from AutoSegmentQueueLib.engines.model import Labels, Structure


@dataclass(frozen=True, eq=False)
class PlaneContour:
    """One closed contour: corners (n, 2) as (column, row) on a plane of the label map."""

    plane: int
    corners: FloatArray


def contours_of(structure: Structure, labelmap: Labels, cancel: CancelToken) -> Iterator[PlaneContour]:
    """Trace a structure plane by plane, along the edges of its pixels; holes are joined to the contour around them."""
    from scipy.ndimage import find_objects

    boxes = [box for n, box in enumerate(find_objects(labelmap), 1) if box is not None and n in structure.labels]
    if not boxes:
        return
    low = [min(box[axis].start for box in boxes) for axis in range(3)]
    high = [max(box[axis].stop for box in boxes) for axis in range(3)]
    inside = structure.mask(labelmap[tuple(slice(a, b) for a, b in zip(low, high, strict=True))])
    first = np.array([low[2], low[1]], float)
    for k, mask in enumerate(inside):
        cancel.check()
        for corners in outlines(mask):
            yield PlaneContour(low[0] + k, corners + first)
