"""Each lesion in the slice of its longest diameter, with contour, longest diameter and short axis drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from DicomWorkbenchLib.figures import new_figure, png_bytes
from DicomWorkbenchLib.windowing import PRESETS, Window, apply_window

from TumorAnalysisLib.analysis import PatientResult
from TumorAnalysisLib.charts import drawable
from TumorAnalysisLib.contour import segments
from TumorAnalysisLib.grid import FloatArray, Grid
from TumorAnalysisLib.lesions import Lesion
from TumorAnalysisLib.masks import Mask

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 4
MOST = 24  # lesions drawn; a liver with more has the largest ones shown and the rest counted
SMALLEST_FIELD_MM = 60.0
TILE_CM, TITLE_CM, GAP_CM = 4.6, 1.2, 0.2  # a tile with its gap; the three lines above it
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
    # All tiles in one pair of axes whose unit is the centimetre: axes for each tile take matplotlib three times as long.
    width, height = TILE_CM * columns, (TILE_CM + TITLE_CM) * rows
    figure, axis = new_figure(width, height)
    figure.set_layout_engine("none")
    axis.set(position=(0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axis.axis("off")
    for number, one in enumerate(shown):
        corner = (number % columns * TILE_CM, number // columns * (TILE_CM + TITLE_CM) + TITLE_CM)
        _draw(axis, _Tile.of(one, result.data.grid, corner), one, result, window or PRESETS["liver"])
    return png_bytes(figure)


@dataclass(frozen=True)
class _Tile:
    """A part of a slice and its place in the figure.

    Attributes
    ----------
    box : rows and columns of the slice.
    corner_cm, size_cm : of the upper left pixel's corner from that of the figure; both (right, down).
    """

    box: tuple[slice, slice]
    corner_cm: FloatArray
    size_cm: FloatArray

    @classmethod
    def of(cls, one: Lesion, grid: Grid, corner_cm: tuple[float, float]) -> _Tile:
        box = _field(one, grid)
        pixels = np.array([box[1].stop - box[1].start, box[0].stop - box[0].start])
        # The lines of the picture run along i and j; unequal pixel sides are shown in proportion.
        size_mm = pixels * grid.spacing_ijk_mm[:2]
        size_cm = size_mm * (TILE_CM - GAP_CM) / size_mm.max()
        return cls(box, np.array(corner_cm) + (TILE_CM - size_cm) / 2, size_cm)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top, cm, as matplotlib takes them for images."""
        left, top = self.corner_cm
        return float(left), float(left + self.size_cm[0]), float(top + self.size_cm[1]), float(top)

    def at(self, ij: FloatArray) -> FloatArray:
        """Turn pixel indices (..., (i, j)) into centimetres of the figure."""
        first = np.array([self.box[1].start, self.box[0].start]) - 0.5
        pixels = np.array([self.box[1].stop - self.box[1].start, self.box[0].stop - self.box[0].start])
        return np.asarray(self.corner_cm + (ij - first) * self.size_cm / pixels)


def _draw(axis: Axes, tile: _Tile, one: Lesion, result: PatientResult, window: Window) -> None:
    grid, k = result.data.grid, one.axial.slice_k
    left, right, _, top = tile.extent
    grey = apply_window(result.data.image[k][tile.box], window)
    axis.imshow(grey, cmap="gray", vmin=0, vmax=255, extent=tile.extent, aspect="auto", interpolation="bilinear")
    _contour(axis, tile, result.organ, k, LIVER_COLOUR, 0.7)
    _contour(axis, tile, one.mask, k, LESION_COLOUR, 1.1)
    for ends, colour in ((one.axial.longest_lps, LONGEST_COLOUR), (one.axial.short_lps, SHORT_COLOUR)):
        line = tile.at(((ends - grid.matrix_lps[:3, 3]) @ np.linalg.inv(grid.steps_mm))[:, :2])
        axis.plot(line[:, 0], line[:, 1], color=colour, linewidth=1.4, solid_capstyle="round")
    axis.text(
        (left + right) / 2,
        top - 0.1,
        f"{drawable(one.name)}\n{one.axial.longest_mm:.1f} × {one.axial.short_mm:.1f} mm\n{one.volume_ml:.2f} ml, slice {k + 1}",
        fontsize=7,
        ha="center",
        va="bottom",
    )


def _contour(axis: Axes, tile: _Tile, mask: Mask, k: int, colour: str, width: float) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.patches import Rectangle

    rows, columns = tile.box
    shape = (1, rows.stop - rows.start + 2, columns.stop - columns.start + 2)
    pixels = mask.within((k, rows.start - 1, columns.start - 1), shape)[0]
    lines = tile.at(segments(pixels, np.eye(2)) + np.array([columns.start - 1, rows.start - 1]))
    drawn = LineCollection([*lines], colors=colour, linewidths=width)
    axis.add_collection(drawn, autolim=False)
    corner = (float(tile.corner_cm[0]), float(tile.corner_cm[1]))
    drawn.set_clip_path(Rectangle(corner, *tile.size_cm, transform=axis.transData))


def _field(one: Lesion, grid: Grid) -> tuple[slice, slice]:
    """Cut a square around the diameter: 60 mm, or twice the lesion."""
    middle = (one.axial.longest_lps.mean(axis=0) - grid.matrix_lps[:3, 3]) @ np.linalg.inv(grid.steps_mm)
    half_mm = max(SMALLEST_FIELD_MM, 2 * one.axial.longest_mm) / 2
    found = []
    for centre, step, size in zip(middle[1::-1], grid.spacing_ijk_mm[1::-1], grid.shape_kji[1:], strict=True):
        low, high = int(centre - half_mm / step), int(centre + half_mm / step) + 1
        found.append(slice(max(low, 0), min(high, size)))
    return found[0], found[1]
