"""Figures of each structure: volume, intensity, place; and the table of them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray, Point3, transform_points
from numpy.typing import NDArray

from AutoSegmentQueueLib.engines.model import ImageVolume, Segmented, Structure
from AutoSegmentQueueLib.true_places import true_centroid

Mask = NDArray[np.bool_]
STRAY_PERCENT = 2.0  # of a structure's voxels; smoothing takes small islands away from its surface


@dataclass(frozen=True)
class StructureFigures:
    """What was measured of one structure.

    Attributes
    ----------
    name, label : of the structure.
    voxels, volume_ml : voxels that belong to it.
    mean, sd, median, low, high : of the scan's values in them, in its units (HU for CT); sd is that of the population.
    touches_edge : it reaches the edge of the scan, so a part of it may be missing.
    centroid_lps_mm : mean of its voxels' centres, on the slices' true places and each as thick as its slice.
    lowest_ijk, highest_ijk : first and last voxel along each axis of the scan.
    core_lowest_ijk, core_highest_ijk : the same without the outermost `STRAY_PERCENT` along each axis: without specks.
    """

    name: str
    label: int
    voxels: int
    volume_ml: float
    mean: float
    sd: float
    median: float
    low: float
    high: float
    touches_edge: bool
    centroid_lps_mm: Point3
    lowest_ijk: Point3
    highest_ijk: Point3
    core_lowest_ijk: Point3
    core_highest_ijk: Point3


def measure(volume: ImageVolume, segmented: Segmented) -> list[StructureFigures]:
    """Measure every structure that has voxels, in the engine's order."""
    from scipy.ndimage import find_objects

    boxes = find_objects(segmented.labelmap)
    found = []
    for structure in segmented.structures:
        parts = [boxes[label - 1] for label in structure.labels if label <= len(boxes) and boxes[label - 1] is not None]
        if parts:
            box = tuple(slice(min(p[a].start for p in parts), max(p[a].stop for p in parts)) for a in range(3))
            found.append(_figures(volume, structure, structure.mask(segmented.labelmap[box]), box))
    return found


def _figures(volume: ImageVolume, structure: Structure, mask: Mask, box: tuple[slice, ...]) -> StructureFigures:
    values = volume.array[box][mask]
    edge = any(part.start == 0 or part.stop == length for part, length in zip(box, volume.array.shape, strict=True))
    along = [mask.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in (2, 1, 0)]  # i, j, k
    first = np.array([part.start for part in reversed(box)])
    center = _center(volume, mask, along, first)
    return StructureFigures(
        structure.name,
        structure.labels[0],
        len(values),
        volume.volume_ml(along[2], box[0].start),
        float(values.mean(dtype=np.float64)),
        float(values.std(dtype=np.float64)),
        float(np.median(values)),
        float(values.min()),
        float(values.max()),
        edge,
        _point(center),
        *(
            _point(first + _percentile(along, percent))
            for percent in (0.0, 100.0, STRAY_PERCENT, 100.0 - STRAY_PERCENT)
        ),
    )


def _center(volume: ImageVolume, mask: Mask, along: Sequence[NDArray[np.int_]], first: FloatArray) -> FloatArray:
    if volume.planes_lps is not None:
        return true_centroid(np.nonzero(mask), first, volume.matrix_lps, volume.planes_lps)
    index = first + [counts @ np.arange(len(counts)) / counts.sum() for counts in along]
    return transform_points(volume.matrix_lps, index)


def _percentile(along: Sequence[NDArray[np.int_]], percent: float) -> FloatArray:
    """Return (3,) the index along each axis below which so many of the voxels are."""
    sums = [np.cumsum(counts) for counts in along]
    return np.array([float(np.searchsorted(s, max(percent / 100 * s[-1], 1))) for s in sums])


def _point(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Point3:
    x, y, z = values.tolist()
    return (x, y, z)


def write_csv(path: Path, figures: Sequence[StructureFigures], units: str) -> None:
    """Write the table; the unit of the scan's values stands in the column names."""
    unit = f"_{units.lower()}" if units else ""
    renamed = {name: f"{name}{unit}" for name in ("mean", "sd", "median", "low", "high")}
    plain = [field.name for field in fields(StructureFigures) if not field.name.endswith(("_lps_mm", "_ijk"))]
    header = [renamed.get(name, name) for name in plain]
    axes = [f"centroid_{axis}_lps_mm" for axis in "xyz"]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([*header, *axes])
        for one in figures:
            row = asdict(one)
            writer.writerow([_shown(row[name]) for name in plain] + [f"{value:.2f}" for value in one.centroid_lps_mm])


def _shown(value: object) -> object:
    return (
        f"{value:.4g}"
        if isinstance(value, float) and abs(value) < 1000
        else f"{value:.1f}"
        if isinstance(value, float)
        else value
    )
