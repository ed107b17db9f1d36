"""Each lesion in the slice of its longest diameter, with contour, longest diameter and short axis drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from DicomWorkbenchLib.figures import new_figure, png_bytes
from DicomWorkbenchLib.windowing import PRESETS, Window, apply_window

from TumorAnalysisLib.analysis import PatientResult
from TumorAnalysisLib.charts import drawable
from TumorAnalysisLib.contour import segments
from TumorAnalysisLib.grid import FloatArray, Grid
from TumorAnalysisLib.lesions import Lesion

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 4
MOST = 24  # lesions drawn; a liver with more has the largest ones shown and the rest counted
SMALLEST_FIELD_MM = 60.0
LONGEST_COLOUR, SHORT_COLOUR, LESION_COLOUR, LIVER_COLOUR = "#ffd92f", "#56b4e9", "#ff5a36", "#7fd67f"


def montage(result: PatientResult, window: Window | None = None) -> bytes | None:
    """Draw the lesions of a patient, the largest first, as PNG; None if there is none.

    A lesion of several pieces is shown piece by piece.
    """
    split = {piece.name.partition(" #")[0] for piece in result.components}
    units = [one for one in result.lesions if one.name not in split] + list(result.components)
    shown = sorted(units, key=lambda one: -one.axial.longest_mm)[:MOST]
    if not shown:
        return None
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure, axes = new_figure(4.6 * columns, 5.6 * rows, rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, one in zip(axes.flat, shown, strict=False):
        _draw(axis, one, result, window or PRESETS["liver"])
    return png_bytes(figure)


def _draw(axis: Axes, one: Lesion, result: PatientResult, window: Window) -> None:
    grid, k = result.data.grid, one.axial.slice_k
    box = _field(one, grid)
    grey = apply_window(result.data.image[k][box], window)
    # The lines of the picture run along i and j; unequal pixel sides are shown in proportion.
    step_i, step_j, _ = grid.spacing_ijk_mm
    extent = (box[1].start - 0.5, box[1].stop - 0.5, box[0].stop - 0.5, box[0].start - 0.5)
    axis.imshow(grey, cmap="gray", vmin=0, vmax=255, extent=extent, aspect=step_j / step_i, interpolation="bilinear")
    _contour(axis, result.organ, k, box, LIVER_COLOUR, 0.7)
    _contour(axis, one.mask, k, box, LESION_COLOUR, 1.1)
    for ends, colour in ((one.axial.longest_lps, LONGEST_COLOUR), (one.axial.short_lps, SHORT_COLOUR)):
        line = (ends - grid.matrix_lps[:3, 3]) @ np.linalg.inv(grid.steps_mm)
        axis.plot(line[:, 0], line[:, 1], color=colour, linewidth=1.4, solid_capstyle="round")
    axis.set_title(
        f"{drawable(one.name)}\n{one.axial.longest_mm:.1f} × {one.axial.short_mm:.1f} mm\n{one.volume_ml:.2f} ml, slice {k + 1}",
        fontsize=7,
    )
    axis.set_xlim(extent[0], extent[1])
    axis.set_ylim(extent[2], extent[3])


def _contour(axis: Axes, mask: Any, k: int, box: tuple[slice, slice], colour: str, width: float) -> None:
    from matplotlib.collections import LineCollection

    shape = (1, box[0].stop - box[0].start + 2, box[1].stop - box[1].start + 2)
    pixels = mask.within((k, box[0].start - 1, box[1].start - 1), shape)[0]
    lines: FloatArray = segments(pixels, np.eye(2)) + np.array([box[1].start - 1, box[0].start - 1])
    axis.add_collection(LineCollection([*lines], colors=colour, linewidths=width))


def _field(one: Lesion, grid: Grid) -> tuple[slice, slice]:
    """Cut a square around the diameter: 60 mm, or twice the lesion."""
    middle = (one.axial.longest_lps.mean(axis=0) - grid.matrix_lps[:3, 3]) @ np.linalg.inv(grid.steps_mm)
    half_mm = max(SMALLEST_FIELD_MM, 2 * one.axial.longest_mm) / 2
    found = []
    for centre, step, size in zip(middle[1::-1], grid.spacing_ijk_mm[1::-1], grid.shape_kji[1:], strict=True):
        low, high = int(centre - half_mm / step), int(centre + half_mm / step) + 1
        found.append(slice(max(low, 0), min(high, size)))
    return found[0], found[1]
