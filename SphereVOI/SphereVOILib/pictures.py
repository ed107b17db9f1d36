"""Pictures of slices with circles and labels: one per slice a sphere touches, and a montage of them.

Greys are inverted as usual in PET: hot is black. Each circle is the sphere's cut with that slice; the cross is its centre in the slice
nearest to it, the small x the click.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from DicomWorkbenchLib.errors import DependencyError
from DicomWorkbenchLib.geometry import FloatArray

from SphereVOILib.coverage import chord_radius_mm
from SphereVOILib.grid import Box, Grid
from SphereVOILib.measure import Measurement, SphereResult
from SphereVOILib.report import unit_after
from SphereVOILib.seg_nrrd import color_of

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

PIXELS_PER_MM = 2.4
AROUND_MM = 95.0  # shown around the spheres; in the IEC phantom all of the body
TILE_COLUMNS = 4
MOST_TILES = 24
HIGHEST_PERCENTILE = 99.9


@dataclass(frozen=True)
class View:
    """A part of the slices that is shown, with its window.

    Attributes
    ----------
    box : columns and rows of the grid; all slices.
    low, high : values shown white and black.
    unit : of the values.
    """

    box: Box
    low: float
    high: float
    unit: str

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Size of a voxel (i, j)."""
        return self.box.grid.spacing_mm[0], self.box.grid.spacing_mm[1]


def view_of(measurement: Measurement, unit: str) -> View:
    """Choose the part of the slices around the spheres and a window from 0 to the hottest of it."""
    grid = measurement.grid
    points = [p for p in (_place(s) for s in measurement.spheres) if p is not None]
    inside = [p for p in points if grid.contains(p)] or [grid.point_of((np.array(grid.size_ijk) - 1) / 2)]
    boxes = [grid.around(p, AROUND_MM) for p in inside]
    low, high = np.min([b.low for b in boxes], axis=0), np.max([b.high for b in boxes], axis=0)
    box = Box(grid, (int(low[0]), int(low[1]), 0), (int(high[0]), int(high[1]), grid.size_ijk[2]))
    k = round(float(np.mean([grid.index_of(p)[2] for p in inside])))
    sample = np.asarray(grid.array[max(k - 8, 0) : k + 9, low[1] : high[1], low[0] : high[0]], dtype=float)
    sample = sample[np.isfinite(sample)]
    top = float(np.percentile(sample, HIGHEST_PERCENTILE)) if sample.size else 1.0
    return View(box, min(0.0, float(np.percentile(sample, 0.1))) if sample.size else 0.0, max(top, 1e-12), unit)


def write_slices(folder: Path, measurement: Measurement, unit: str) -> list[Path]:
    """Write one PNG per slice that a sphere touches and ``montage.png``; return the paths."""
    view = view_of(measurement, unit)
    slices = sorted({part.k for s in measurement.spheres for part in s.slices})
    paths = []
    for k in slices:
        path = folder / f"slice_{k:04d}.png"
        slice_picture(measurement, view, k).save(path)
        paths.append(path)
    if slices:
        path = folder / "montage.png"
        montage(measurement, view, slices).save(path)
        paths.append(path)
    return paths


def slice_picture(measurement: Measurement, view: View, k: int, scale: float = PIXELS_PER_MM) -> Image:
    """Draw one slice with the circles of the spheres it cuts."""
    image, draw = _grey(view, k, scale)
    for number, sphere in enumerate(measurement.spheres):
        _draw_sphere(draw, sphere, view, k, scale, _rgb(number))
    width, height = image.size
    height_mm = float(view.box.grid.point_of([0.0, 0.0, float(k)]) @ view.box.grid.normal_lps)
    _text(draw, (8, 6), f"slice {k}   {height_mm:+.1f} mm", "#003366")
    _text(draw, (8, height - 24), f"white {view.low:.3g}  black {view.high:.3g}{unit_after(view.unit)}", "#003366")
    _scale_bar(draw, width, height, scale)
    return image


def montage(measurement: Measurement, view: View, slices: Sequence[int]) -> Image:
    """Put the slices side by side; of many, an even choice."""
    from PIL import Image as Pillow

    chosen = list(slices)
    if len(chosen) > MOST_TILES:
        chosen = [slices[round(n)] for n in np.linspace(0, len(slices) - 1, MOST_TILES)]
    tiles = [slice_picture(measurement, view, k, PIXELS_PER_MM * 0.6) for k in chosen]
    columns = min(TILE_COLUMNS, len(tiles))
    width, height = tiles[0].size
    sheet = Pillow.new("RGB", (columns * width, math.ceil(len(tiles) / columns) * height), "white")
    for n, tile in enumerate(tiles):
        sheet.paste(tile, (n % columns * width, n // columns * height))
    return sheet


def circles_picture(grid: Grid, view: View, k: int, circles: Sequence[tuple[FloatArray, float, str, str]]) -> Image:
    """Draw one slice with circles given as (centre LPS, diameter mm, label, colour), as NEMA's background circles."""
    image, draw = _grey(view, k, PIXELS_PER_MM)
    for center, diameter, label, color in circles:
        x, y = _on_picture(view, center, PIXELS_PER_MM)
        r = diameter / 2 * PIXELS_PER_MM
        draw.ellipse((x - r, y - r, x + r, y + r), outline=color, width=2)
        _text(draw, (x - 4 * len(label), y - 8), label, color)
    _text(draw, (8, 6), f"slice {k}", "#003366")
    return image


def png_of(image: Image) -> bytes:
    """Return a picture as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _place(sphere: SphereResult) -> FloatArray | None:
    if sphere.refined.center_lps_mm is not None:
        return sphere.refined.center_lps_mm
    click = sphere.refined.target.lps_mm
    return None if click is None else np.array(click)


def _grey(view: View, k: int, scale: float) -> tuple[Image, ImageDraw]:
    try:
        from PIL import Image as Pillow
        from PIL import ImageDraw as Drawing
    except ModuleNotFoundError as error:
        raise DependencyError("the Python package Pillow", extra="spheres") from error
    (i0, j0, _), (i1, j1, _) = view.box.low, view.box.high
    values = np.nan_to_num(np.asarray(view.box.grid.array[k, j0:j1, i0:i1], dtype=float), nan=view.low)
    grey = 255 - np.clip((values - view.low) / (view.high - view.low) * 255, 0, 255)
    width, height = round((i1 - i0) * view.pixel_mm[0] * scale), round((j1 - j0) * view.pixel_mm[1] * scale)
    image = (
        Pillow.fromarray(grey.astype(np.uint8))
        .resize((max(width, 1), max(height, 1)), Pillow.Resampling.BILINEAR)
        .convert("RGB")
    )
    return image, Drawing.Draw(image)


def _on_picture(view: View, point_lps: FloatArray, scale: float) -> tuple[float, float]:
    i, j, _ = view.box.grid.index_of(point_lps)
    return (i - view.box.low[0] + 0.5) * view.pixel_mm[0] * scale, (j - view.box.low[1] + 0.5) * view.pixel_mm[
        1
    ] * scale


def _draw_sphere(draw: ImageDraw, sphere: SphereResult, view: View, k: int, scale: float, color: str) -> None:
    grid, center = view.box.grid, sphere.refined.center_lps_mm
    if center is None:
        _draw_missing(draw, sphere, view, k, scale)
        return
    index = grid.index_of(center)
    step = abs(float(grid.matrix_lps[:3, 2] @ grid.normal_lps))
    radius = chord_radius_mm(sphere.diameter_mm / 2, (k - float(index[2])) * step) * scale
    x, y = _on_picture(view, center, scale)
    if radius > 0:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=color, width=2)
        _text(
            draw,
            (x + sphere.diameter_mm / 2 * scale * 0.72 + 3, y - sphere.diameter_mm / 2 * scale * 0.72 - 16),
            sphere.label,
            color,
        )
    if round(float(index[2])) == k:
        draw.line((x - 5, y, x + 5, y), fill=color, width=1)
        draw.line((x, y - 5, x, y + 5), fill=color, width=1)
    click = sphere.refined.target.lps_mm
    if click is not None and round(float(grid.index_of(click)[2])) == k:
        cx, cy = _on_picture(view, np.array(click), scale)
        draw.line((cx - 4, cy - 4, cx + 4, cy + 4), fill="#00aa00", width=1)
        draw.line((cx - 4, cy + 4, cx + 4, cy - 4), fill="#00aa00", width=1)


def _draw_missing(draw: ImageDraw, sphere: SphereResult, view: View, k: int, scale: float) -> None:
    click = sphere.refined.target.lps_mm
    if click is None or not view.box.grid.contains(click) or round(float(view.box.grid.index_of(click)[2])) != k:
        return
    x, y = _on_picture(view, np.array(click), scale)
    _text(draw, (x + 4, y - 8), f"{sphere.label}: not found", "#cc0000")


def _rgb(number: int) -> str:
    # Darker than the segments' colours: they lie on white paper here
    return "#" + "".join(f"{round(220 * c):02x}" for c in color_of(number))


def _text(draw: ImageDraw, place: tuple[float, float], text: str, color: str) -> None:
    from PIL import ImageFont

    draw.text(place, text, fill=color, font=ImageFont.load_default(14), stroke_width=2, stroke_fill="white")


def _scale_bar(draw: ImageDraw, width: int, height: int, scale: float) -> None:
    length = 50 * scale
    if length < width / 2:
        draw.line((width - 12 - length, height - 10, width - 12, height - 10), fill="#003366", width=3)
        _text(draw, (width - 12 - length, height - 30), "50 mm", "#003366")
