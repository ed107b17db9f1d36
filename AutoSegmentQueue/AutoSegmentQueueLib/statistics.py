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

Mask = NDArray[np.bool_]
BIN_MM = 0.25  # of the histograms that percentiles of positions are read from
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
    centroid_lps_mm : mean of its voxels' centres.
    lowest_lps_mm, highest_lps_mm : corners of the box around its voxels' centres.
    core_lowest_lps_mm, core_highest_lps_mm : the same without the outermost `STRAY_PERCENT` along each axis: without specks.
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
    lowest_lps_mm: Point3
    highest_lps_mm: Point3
    core_lowest_lps_mm: Point3
    core_highest_lps_mm: Point3


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
    places = _Places(volume.matrix_lps, mask, [part.start for part in box])
    return StructureFigures(
        structure.name,
        structure.labels[0],
        len(values),
        len(values) * volume.voxel_ml,
        float(values.mean(dtype=np.float64)),
        float(values.std(dtype=np.float64)),
        float(np.median(values)),
        float(values.min()),
        float(values.max()),
        edge,
        _point(places.mean),
        _point(places.low),
        _point(places.high),
        _point(places.percentile(STRAY_PERCENT)),
        _point(places.percentile(100 - STRAY_PERCENT)),
    )


class _Places:
    """Where the voxels of a mask are in LPS mm, gathered slice by slice: a body has tens of millions."""

    def __init__(self, matrix_lps: FloatArray, mask: Mask, first_kji: Sequence[int]) -> None:
        corners = np.array([[i, j, k] for k in (0, 1) for j in (0, 1) for i in (0, 1)]) * (
            np.array(mask.shape[::-1]) - 1
        )
        self._matrix = matrix_lps @ _moved(first_kji[::-1])
        ends = transform_points(self._matrix, corners)
        self._start = ends.min(axis=0)
        bins = np.ceil((ends.max(axis=0) - self._start) / BIN_MM).astype(int) + 1
        self._counts = [np.zeros(count, np.int64) for count in bins]
        self.low, self.high, total, number = ends.max(axis=0), ends.min(axis=0), np.zeros(3), 0
        for k in np.flatnonzero(mask.any(axis=(1, 2))):
            j, i = np.nonzero(mask[k])
            points = transform_points(self._matrix, np.stack([i, j, np.full(len(i), k)], axis=1))
            self.low = np.minimum(self.low, points.min(axis=0))
            self.high = np.maximum(self.high, points.max(axis=0))
            total += points.sum(axis=0)
            number += len(points)
            places = ((points - self._start) / BIN_MM).astype(int)
            for axis, counts in enumerate(self._counts):
                counts += np.bincount(places[:, axis], minlength=len(counts))
        self.mean = total / number

    def percentile(self, percent: float) -> FloatArray:
        """Return (3,) the coordinates below which so many of the voxels are, to the width of a bin."""
        found = [int(np.searchsorted(np.cumsum(c), percent / 100 * c.sum())) for c in self._counts]
        return np.asarray(np.clip(self._start + (np.array(found) + 0.5) * BIN_MM, self.low, self.high))


def _moved(first_ijk: Sequence[int]) -> FloatArray:
    matrix = np.eye(4)
    matrix[:3, 3] = first_ijk
    return matrix


def _point(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Point3:
    x, y, z = values.tolist()
    return (x, y, z)


def write_csv(path: Path, figures: Sequence[StructureFigures], units: str) -> None:
    """Write the table; the unit of the scan's values stands in the column names."""
    unit = f"_{units.lower()}" if units else ""
    renamed = {name: f"{name}{unit}" for name in ("mean", "sd", "median", "low", "high")}
    plain = [field.name for field in fields(StructureFigures) if not field.name.endswith("_lps_mm")]
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
