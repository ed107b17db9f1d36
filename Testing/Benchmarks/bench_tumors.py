"""The full lesion table of a liver with 60 lesions, against uncropped scipy.ndimage and against SimpleITK doing the same columns.

The peers measure volume, centroid, bounding box, CT numbers, surface distance (scipy: distance map of the whole image; SimpleITK:
Maurer map) and, SimpleITK, perimeter, sphericity and Feret diameter; neither gives perpendicular axial diameters.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LESIONS = 60
SPACING = (0.7, 0.7, 2.5)  # i, j, k mm
Image = NDArray[Any]


def phantom(slices: int, size: int) -> tuple[Image, Image, Image, tuple[float, float, float]]:
    """Return CT, liver and tumour mask: 60 balls of 8 to 30 mm in an ellipsoid of about 1.6 l."""
    rng = np.random.default_rng(11)
    spacing = (SPACING[0] * 512 / size, SPACING[1] * 512 / size, SPACING[2] * 250 / slices)
    step = np.array([spacing[2], spacing[1], spacing[0]])
    shape = (slices, size, size)
    centre, half = np.array(shape) * step / 2, np.array([75.0, 60.0, 85.0])
    liver = _ball(np.zeros(shape, dtype=np.uint8), centre, half, step)
    tumor = np.zeros(shape, dtype=np.uint8)
    placed: list[tuple[Any, float]] = []
    while len(placed) < LESIONS:
        radius = rng.uniform(4, 15) if len(placed) < 12 else rng.uniform(4, 7)
        at = centre + rng.uniform(-0.85, 0.85, 3) * half
        inside = (((at - centre) / (half - radius - 2)) ** 2).sum() <= 1
        if inside and all(np.linalg.norm(at - other) > radius + r + 4 for other, r in placed):
            placed.append((at, radius))
            _ball(tumor, at, np.full(3, radius), step)
    image = np.full(shape, -80, dtype=np.int16)
    image[liver > 0] = 110
    image[tumor > 0] = 60
    return image, liver, tumor, spacing


def _ball(out: Image, centre: Any, half: Any, step: Any) -> Image:
    low = np.maximum(((centre - half) / step).astype(int) - 1, 0)
    high = np.minimum(((centre + half) / step).astype(int) + 2, out.shape)
    axes = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    inside = sum(((axis * s - c) / h) ** 2 for axis, s, c, h in zip(axes, step, centre, half, strict=True)) <= 1
    out[tuple(slice(a, b) for a, b in zip(low, high, strict=True))][inside] = 1
    return out


def ours(image: Image, liver: Image, tumor: Image, spacing: tuple[float, float, float]) -> int:
    """Measure with this project: every column of the lesion table."""
    from TumorAnalysisLib.analysis import analyse_patient
    from TumorAnalysisLib.grid import Grid
    from TumorAnalysisLib.masks import crop
    from TumorAnalysisLib.patient import PatientData, Structure

    k, j, i = image.shape
    structures = (Structure("liver", crop(liver)), Structure("livertumor", crop(tumor), one_lesion=False))
    data = PatientData("bench", image, Grid((k, j, i), np.diag([*spacing, 1.0])), structures, spacing[2])
    return len(analyse_patient(data).lesions)


def by_scipy(image: Image, liver: Image, tumor: Image, spacing: tuple[float, float, float]) -> int:
    """Measure as a plain script does, on the whole image."""
    from scipy import ndimage

    labels, count = ndimage.label(tumor, structure=np.ones((3, 3, 3)))
    index = np.arange(1, count + 1)
    ndimage.sum(tumor, labels, index)
    ndimage.center_of_mass(tumor, labels, index)
    for measure in (ndimage.mean, ndimage.standard_deviation, ndimage.median):
        measure(image, labels, index)
    distance = ndimage.distance_transform_edt(liver, sampling=spacing[::-1])
    ndimage.minimum(distance, labels, index)
    ndimage.find_objects(labels)
    return int(count)


def by_simpleitk(image: Image, liver: Image, tumor: Image, spacing: tuple[float, float, float]) -> int:
    """Measure with SimpleITK's shape and intensity filters and its distance map."""
    import SimpleITK as sitk  # noqa: N813 -- everybody's name for it

    pictures = [sitk.GetImageFromArray(array) for array in (image, liver, tumor)]
    for picture in pictures:
        picture.SetSpacing(spacing)
    ct, organ, mask = pictures
    labels = sitk.ConnectedComponent(mask, True)
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.ComputeFeretDiameterOn()
    shape.ComputePerimeterOn()
    shape.Execute(labels)
    values = sitk.LabelIntensityStatisticsImageFilter()
    values.Execute(labels, ct)
    distance = sitk.SignedMaurerDistanceMap(organ, insideIsPositive=True, squaredDistance=False, useImageSpacing=True)
    nearest = sitk.LabelIntensityStatisticsImageFilter()
    nearest.Execute(labels, distance)
    return int(shape.GetNumberOfLabels())


def timed(work: Callable[..., int], *arguments: Any, rounds: int = 1) -> tuple[float, float, int]:
    """Return the best time, the memory that came on top of the input (MB), and the result."""
    best, result = np.inf, 0
    before = _resident_mb()
    with _Peak() as peak:
        for _ in range(rounds):
            began = time.perf_counter()
            result = work(*arguments)
            best = min(best, time.perf_counter() - began)
    return float(best), peak.mb - before, result


class _Peak:
    """Watches the resident memory of this process every 10 ms."""

    def __enter__(self) -> _Peak:
        self.mb, self._stop = _resident_mb(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            self.mb = max(self.mb, _resident_mb())


def _resident_mb() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:  # Linux only; elsewhere no memory figure
        return 0.0
    return pages * 4096 / 1e6


def main(quick: bool) -> list[dict[str, Any]]:
    """Return one row per image size and peer."""
    rows = []
    for slices, size in ((60, 192),) if quick else ((250, 512), (1000, 512)):
        data = phantom(slices, size)
        name = f"lesion table, {size} x {size} x {slices}, {LESIONS} lesions"
        seconds, memory, count = timed(ours, *data, rounds=3)
        peers = (
            [("SimpleITK", by_simpleitk)]
            if slices > 250
            else [("scipy.ndimage, uncropped", by_scipy), ("SimpleITK", by_simpleitk)]
        )
        for peer, work in peers:
            theirs, their_memory, their_count = timed(work, *data)
            rows.append(
                {
                    "name": f"{name}, against {peer}",
                    "ours_s": round(seconds, 3),
                    "peer_s": round(theirs, 3),
                    "ratio": round(theirs / seconds, 1),
                    "ours_memory_mb": round(memory),
                    "peer_memory_mb": round(their_memory),
                    "lesions": count,
                    "peer_lesions": their_count,
                }
            )
    return rows


if __name__ == "__main__":
    for row in main("--quick" in sys.argv):
        print(row)
