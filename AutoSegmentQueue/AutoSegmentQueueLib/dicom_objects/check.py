"""Do the DICOM objects of a result hold the same voxels as its label map, and the figures that were measured?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from DicomWorkbenchLib.errors import InputError

from AutoSegmentQueueLib.dicom_objects.identity import label_of
from AutoSegmentQueueLib.dicom_objects.read_back import (
    Mask,
    Planes,
    structures_of_segmentation,
    structures_of_structure_set,
)
from AutoSegmentQueueLib.dicom_objects.read_back_report import problems_of_report
from AutoSegmentQueueLib.dicom_objects.write import MEASUREMENTS, SEGMENTATION, STRUCTURES

LEAST_DICE = 0.97
MOST_VOLUME_SHARE = 0.02
MaskOf = Callable[[str], Mask]


def planes_of(grid: dict[str, Any]) -> Planes:
    """Return the planes of a manifest's grid: evenly spread, unless it says where each one lies."""
    matrix = np.asarray(grid["matrix_lps"], float)
    count, rows, columns = grid["shape_kji"]
    origins = matrix[:3, 3] + np.arange(count)[:, None] * matrix[:3, 2]
    return Planes(np.asarray(grid.get("planes_lps", origins), float), matrix[:3, :2], (rows, columns))


def problems_of_objects(folder: Path, manifest: dict[str, Any], mask_of: MaskOf) -> Iterator[str]:
    """Compare the objects of a result folder with its label map.

    Parameters
    ----------
    mask_of : gives the voxels (k, j, i) of a structure by its name, on the manifest's grid.
    """
    planes, names = planes_of(manifest["grid"]), {label_of(one["name"]): one["name"] for one in manifest["structures"]}
    for name, read, compare in (
        (SEGMENTATION, structures_of_segmentation, _same),
        (STRUCTURES, structures_of_structure_set, _alike),
    ):
        if not (folder / name).is_file():
            continue
        missing = set(names)
        try:
            for structure, mask in read(folder / name, planes):
                missing.discard(structure)
                if reason := compare(mask, mask_of(names.get(structure, structure))):
                    yield f"{structure} in {name} {reason}"
        except (InputError, AttributeError, KeyError, IndexError, ValueError) as error:
            yield f"{name} cannot be used: {error}"
            continue
        if missing:
            yield f"{name} lacks {', '.join(sorted(missing))}"
    yield from _problems_of_measurements(folder, manifest)


def _problems_of_measurements(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    report, segmentation = folder / MEASUREMENTS, folder / SEGMENTATION
    if not report.is_file():
        return
    if not segmentation.is_file():
        yield f"{MEASUREMENTS} is about {SEGMENTATION}, which is not there"
        return
    try:
        yield from problems_of_report(report, segmentation, manifest["structures"])
    except (InputError, AttributeError, KeyError, IndexError, ValueError) as error:
        yield f"{MEASUREMENTS} cannot be used: {error}"


def _same(found: Mask, expected: Mask) -> str:
    different = int((found != expected).sum())
    return f"differs from the label map in {different} voxels" if different else ""


def _alike(found: Mask, expected: Mask) -> str:
    inside, wanted = int(found.sum()), int(expected.sum())
    dice = 2 * int((found & expected).sum()) / max(inside + wanted, 1)
    if dice < LEAST_DICE:
        return f"overlaps the label map with a Dice of only {dice:.3f}"
    if abs(inside - wanted) > MOST_VOLUME_SHARE * wanted:
        return f"has {inside} voxels, the label map {wanted}"
    return ""
