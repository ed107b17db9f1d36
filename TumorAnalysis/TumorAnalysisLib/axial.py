"""The longest axial diameter of a lesion and the short axis across it, as RECIST and WHO mean them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from TumorAnalysisLib.contour import (
    Chord,
    centre_points,
    corner_points,
    crossing_points,
    hull_points,
    longest_across,
    longest_chord,
    segments,
)
from TumorAnalysisLib.discretisation import true_lengths
from TumorAnalysisLib.grid import BoolArray, FloatArray, Grid
from TumorAnalysisLib.masks import Mask

# Slices whose longest chords differ by less are equally long as far as pixels can tell; the one with the larger area is measured.
SAME_LENGTH_PIXELS = 0.5
EIGHT = np.ones((3, 3), dtype=np.int8)


@dataclass(frozen=True)
class AxialDiameters:
    """Longest diameter and short axis, both in the same slice.

    Attributes
    ----------
    slice_k : the slice, index along k in the full grid.
    longest_mm, short_mm : corrected for the excess of digitised outlines.
    longest_bounds_mm, short_bounds_mm : extent of the pixel centres (lower) and of the pixel corners (upper).
    longest_lps, short_lps : (2, 3) end points in LPS mm; their distance is the diameter.
    """

    slice_k: int
    longest_mm: float
    short_mm: float
    longest_bounds_mm: tuple[float, float]
    short_bounds_mm: tuple[float, float]
    longest_lps: FloatArray
    short_lps: FloatArray

    @property
    def who_product_mm2(self) -> float:
        """Product of the two diameters (WHO handbook for reporting results of cancer treatment, 1979)."""
        return self.longest_mm * self.short_mm


@dataclass(frozen=True)
class _Part:
    """One connected part of a slice: its pixels with an empty rim, and where the crop starts in the full slice."""

    slice_k: int
    start_ij: FloatArray
    pixels: BoolArray


def axial_diameters(mask: Mask, grid: Grid) -> AxialDiameters:
    """Measure the slice in which the lesion is longest.

    A diameter never bridges two parts that do not touch within the slice. The search uses the plain 0.5-level contour, the
    result is corrected as `discretisation` describes and kept between its two bounds.

    Parameters
    ----------
    mask : not empty.
    grid : its slices (k) are the axial planes; see `grid.axial_first`.
    """
    parts = _parts(mask, _promising(mask, grid))
    if not parts:
        raise ValueError("an empty mask has no diameter")
    lengths = np.array([longest_chord(crossing_points(part.pixels, grid.plane_mm)).length for part in parts])
    as_long = np.flatnonzero(lengths >= lengths.max() - SAME_LENGTH_PIXELS * np.sqrt(abs(np.linalg.det(grid.plane_mm))))
    best = max(as_long, key=lambda index: np.count_nonzero(parts[index].pixels))
    return _measure(parts[best], grid)


def _promising(mask: Mask, grid: Grid) -> list[int]:
    # A slice whose bounding box has a shorter diagonal than another slice's longer box side cannot hold the longest chord.
    rows, columns = np.any(mask.voxels, axis=2), np.any(mask.voxels, axis=1)
    step_i, step_j = grid.plane_mm
    filled = np.flatnonzero(rows.any(axis=1))
    extent_i = np.array([np.ptp(np.flatnonzero(columns[k])) for k in filled])
    extent_j = np.array([np.ptp(np.flatnonzero(rows[k])) for k in filled])
    at_most = (extent_i + 1) * np.linalg.norm(step_i) + (extent_j + 1) * np.linalg.norm(step_j)
    diagonal = np.hypot((extent_i + 1) * np.linalg.norm(step_i), (extent_j + 1) * np.linalg.norm(step_j))
    if abs(step_i @ step_j) < 1e-6:  # right-angled pixels: the diagonal is the sharper limit
        at_most = diagonal
    areas = mask.voxels.sum(axis=(1, 2))[filled] * abs(np.linalg.det(grid.plane_mm))
    # Of all shapes of an area the disc has the shortest diameter (isodiametric inequality); parts share the area of a slice,
    # so the limit only holds for the area of one part: a slice that is one piece is the usual case, the others are all looked at.
    at_least = np.where(_one_piece(mask.voxels[filled]), 2 * np.sqrt(areas / np.pi), 0.0).max(initial=0.0)
    return [int(k) for k, limit in zip(filled, at_most, strict=True) if limit >= 0.98 * at_least]


def _one_piece(slices: BoolArray) -> BoolArray:
    from scipy import ndimage

    return np.array([ndimage.label(pixels, structure=EIGHT)[1] == 1 for pixels in slices])


def _parts(mask: Mask, slices: list[int]) -> list[_Part]:
    from scipy import ndimage

    k0, j0, i0 = mask.start_kji
    found = []
    for k in slices:
        labels, _ = ndimage.label(mask.voxels[k], structure=EIGHT)
        for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
            pixels = np.pad(labels[rows, columns] == number, 1)
            start = np.array([i0 + columns.start - 1, j0 + rows.start - 1], dtype=np.float64)
            found.append(_Part(k0 + int(k), start, pixels))
    return found


def _measure(part: _Part, grid: Grid) -> AxialDiameters:
    plane = grid.plane_mm
    along = longest_chord(crossing_points(part.pixels, plane))
    across = longest_across(segments(part.pixels, plane), along)
    bounds = _bounds(part.pixels, plane, along, across)
    lengths = true_lengths(part.pixels, along, across, plane)
    longest = float(np.clip(lengths[0], *bounds[0]))
    short = min(float(np.clip(lengths[1], *bounds[1])), longest)
    return AxialDiameters(
        slice_k=part.slice_k,
        longest_mm=longest,
        short_mm=short,
        longest_bounds_mm=bounds[0],
        short_bounds_mm=bounds[1],
        longest_lps=_ends_lps(along, longest, part, grid),
        short_lps=_ends_lps(across, short, part, grid),
    )


def _bounds(
    pixels: BoolArray, plane: FloatArray, along: Chord, across: Chord
) -> tuple[tuple[float, float], tuple[float, float]]:
    centres, corners = centre_points(pixels, plane), corner_points(pixels, plane)
    longest = (longest_chord(centres).length, longest_chord(corners).length)
    low, high = (longest_across(_outline(points), along).length for points in (centres, corners))
    return longest, (min(low, across.length), max(high, across.length))


def _outline(points: FloatArray) -> FloatArray:
    corners = hull_points(points)
    if len(corners) < 3 or len(corners) == len(points):
        return np.empty((0, 2, 2)) if len(corners) < 3 else _closed(_round_trip(corners))
    return _closed(corners)


def _round_trip(points: FloatArray) -> FloatArray:
    angle = np.arctan2(*(points - points.mean(axis=0)).T)
    return np.ascontiguousarray(points[np.argsort(angle)])


def _closed(corners: FloatArray) -> FloatArray:
    return np.stack([corners, np.roll(corners, -1, axis=0)], axis=1)


def _ends_lps(chord: Chord, length_mm: float, part: _Part, grid: Grid) -> FloatArray:
    ends = np.stack([chord.start, chord.stop])
    middle = ends.mean(axis=0)
    if chord.length > 0:
        ends = middle + (ends - middle) * (length_mm / chord.length)
    ij = ends @ np.linalg.inv(grid.plane_mm) + part.start_ij
    return grid.to_lps(np.column_stack([ij, np.full(2, float(part.slice_k))]))
