"""A middle slice before and after, with its contours: made in memory, nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from DicomWorkbenchLib.geometry import FloatArray
from DicomWorkbenchLib.pixels import decode_pixels
from DicomWorkbenchLib.windowing import Window, apply_window
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from DicomOptimizerLib.contour_items import points_of
from DicomOptimizerLib.contours import CLOSED, Contour, remap
from DicomOptimizerLib.derivation import Treatment
from DicomOptimizerLib.greyscale import window_of
from DicomOptimizerLib.linked import LinkedSeries
from DicomOptimizerLib.picture import Colour, Rgb, draw, enlarged
from DicomOptimizerLib.planning import SeriesPlan
from DicomOptimizerLib.reading import read_file
from DicomOptimizerLib.resampling import Resize
from DicomOptimizerLib.settings import ContourRule
from DicomOptimizerLib.slices import new_pixels, real_values, valid_pixels

SIDE = 384  # pixels of a picture's longer side
COLOURS: tuple[Colour, ...] = (
    (255, 80, 80), (80, 220, 80), (90, 160, 255), (255, 200, 60), (220, 100, 255), (80, 230, 230)
)  # fmt: skip


@dataclass(frozen=True)
class Preview:
    """Two pictures (rows, columns, 3), and which slice they show (counted from 1, of how many before)."""

    before: Rgb
    after: Rgb
    slice_number: int
    slices: int


def make_preview(plan: SeriesPlan, structures: Sequence[Dataset], rule: ContourRule, window: Window) -> Preview:
    """Show the middle kept slice of a series before and after the job.

    Parameters
    ----------
    plan : what is done with the series.
    structures : RTSTRUCT data sets that refer to it.
    rule : the contours' rule.
    window : for Hounsfield units; other series get one from the slice.

    Raises
    ------
    FileError : the slice cannot be read.
    """
    k = plan.kept[len(plan.kept) // 2]
    instance = plan.series.planes[k].instance
    dataset, _, _ = read_file(instance.path, instance.origin)
    stored = decode_pixels(dataset, origin=instance.origin)[plan.series.planes[k].frame]
    if stored.ndim == 3:
        picture = stored[:, :, :3].astype(np.uint8)
        return Preview(picture, picture, k + 1, len(plan.series.planes))
    treatment = plan.treatment or Treatment("")
    valid = valid_pixels(dataset, stored)
    real = real_values(dataset, stored)
    shown = window if treatment.units == "HU" else window_of(real if valid is None else real[valid])
    before, zoom_before = enlarged(np.asarray(apply_window(real, shown)), SIDE)
    after, zoom_after = enlarged(_after(dataset, stored, treatment, shown), SIDE)
    linked = plan.linked()
    if linked is not None:
        lines = _Lines(linked, k, dataset)
        for structure in structures:
            for n, roi in enumerate(structure.get("ROIContourSequence", ())):
                contours = [_contour(item) for item in roi.get("ContourSequence", ())]
                colour = COLOURS[n % len(COLOURS)]
                lines.draw(before, contours, colour, zoom_before, None)
                placed, _ = remap(contours, linked.stack, rule)
                lines.draw(after, [p.contour for p in placed], colour, zoom_after, linked.resize)
    return Preview(before, after, k + 1, len(plan.series.planes))


def _after(dataset: Dataset, stored: NDArray[np.generic], treatment: Treatment, shown: Window) -> NDArray[np.uint8]:
    image = new_pixels(dataset, stored, treatment)
    if treatment.grey is None:
        return np.asarray(apply_window(real_values(dataset, image), shown), dtype=np.uint8)
    slope, intercept = treatment.grey.rescale
    return np.asarray(apply_window(image * slope + intercept, shown), dtype=np.uint8)


def _contour(item: Dataset) -> Contour:
    return Contour(points_of(item), str(item.get("ContourGeometricType", "")))


class _Lines:
    """Contours of one slice as lines in a picture of it."""

    def __init__(self, linked: LinkedSeries, k: int, dataset: Dataset) -> None:
        self._stack = linked.stack
        self._k = k
        self._origin = np.asarray(linked.origins_lps[k], dtype=float)
        cosines = np.asarray(dataset.ImageOrientationPatient, dtype=float)
        self._axes = np.stack([cosines[:3], cosines[3:]])
        self._spacing = (float(dataset.PixelSpacing[0]), float(dataset.PixelSpacing[1]))
        self._cosines = cosines

    def draw(
        self, picture: Rgb, contours: Sequence[Contour], colour: Colour, zoom: float, resize: Resize | None
    ) -> None:
        origin, spacing = self._origin, self._spacing
        if resize is not None:
            origin, spacing = resize.origin(origin, self._cosines, spacing), resize.spacing(spacing)
        for contour in contours:
            if len(contour.points_lps_mm) and self._is_here(contour.points_lps_mm):
                flat = (contour.points_lps_mm - origin) @ self._axes.T / (spacing[1], spacing[0])
                draw(picture, (flat + 0.5) * zoom - 0.5, colour, closed=contour.kind in CLOSED)

    def _is_here(self, points: FloatArray) -> bool:
        return self._stack.slice_at(float(np.median(self._stack.position_of(points)))) == self._k
