"""Figures of each structure: volume, intensity, place; and the table of them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from DicomWorkbenchLib.geometry import Point3, transform_points

from AutoSegmentQueueLib.engines.model import ImageVolume, Segmented, Structure

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
    found = []
    for structure in segmented.structures:
        index = np.argwhere(structure.mask(segmented.labelmap))  # (n, 3) as (k, j, i)
        if len(index):
            found.append(_figures(volume, structure, index))
    return found


def _figures(
    volume: ImageVolume, structure: Structure, index: np.ndarray[tuple[int, int], np.dtype[np.intp]]
) -> StructureFigures:
    values = volume.array[tuple(index.T)].astype(np.float64)
    edge = bool((index == 0).any() or (index == np.asarray(volume.array.shape) - 1).any())
    places = transform_points(volume.matrix_lps, index[:, ::-1])
    return StructureFigures(
        structure.name,
        structure.labels[0],
        len(index),
        len(index) * volume.voxel_ml,
        float(values.mean()),
        float(values.std()),
        float(np.median(values)),
        float(values.min()),
        float(values.max()),
        edge,
        _point(places.mean(axis=0)),
        _point(places.min(axis=0)),
        _point(places.max(axis=0)),
        _point(np.percentile(places, STRAY_PERCENT, axis=0)),
        _point(np.percentile(places, 100 - STRAY_PERCENT, axis=0)),
    )


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
