"""The regions of the ``ct-rtstruct`` sample: outlines of the anatomy turned into contours, masks and known volumes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from DicomWorkbenchLib.samples.anatomy import HEIGHT_MM, LESION_Z, Trunk
from DicomWorkbenchLib.samples.grid import FloatArray, ImageGrid, stack
from DicomWorkbenchLib.samples.outline import Outline, circle, mask

CLOSED, XOR = "CLOSED_PLANAR", "CLOSEDPLANAR_XOR"


@dataclass(frozen=True)
class Contour:
    """One contour: its kind, its points in local mm (n, 3) and the slice it lies on (None: on none)."""

    kind: str
    points: FloatArray
    slice_index: int | None


@dataclass(frozen=True)
class Roi:
    """A region of interest.

    Attributes
    ----------
    name, color : as shown.
    interpreted_type : RTROIInterpretedType.
    contours : in order along the normal.
    area_mm2 : enclosed area per slice index, holes taken out; empty where the region encloses nothing.
    traits : what makes it special, for truth.json.
    """

    name: str
    color: tuple[int, int, int]
    interpreted_type: str
    contours: list[Contour]
    area_mm2: dict[int, float] = field(default_factory=dict)
    traits: tuple[str, ...] = ()

    def truth(self, grid: ImageGrid) -> dict[str, Any]:
        """Return what truth.json says about it; volume is area times slice spacing."""
        volume_ml = sum(self.area_mm2.values()) * grid.slice_spacing_mm / 1000
        return {
            "name": self.name,
            "kinds": sorted({contour.kind for contour in self.contours}),
            "contours": len(self.contours),
            "slices": sorted({c.slice_index for c in self.contours if c.slice_index is not None}),
            "volume_ml": round(volume_ml, 4),
            "area_mm2_by_slice": {str(k): round(area, 3) for k, area in self.area_mm2.items()},
            "traits": list(self.traits),
        }


OutlineAt = Callable[[float], Outline | None]


def odd_slice(grid: ImageGrid) -> int:
    """Return the slice, odd along the normal, that alone carries the calcification: keeping every second slice removes it."""
    nearest = round(130.0 / HEIGHT_MM * (grid.slices - 1))
    return min(max(nearest | 1, 1), grid.slices - 1 if grid.slices % 2 == 0 else grid.slices - 2)


def calcification(z: float) -> Outline:
    """Outline of the calcification in the spleen."""
    return circle(102.0, 36.0 + 0 * z, 6.5)


def all_rois(grid: ImageGrid, trunk: Trunk, heights: list[float], *, xor_holes: bool) -> list[Roi]:
    """Return every region of the sample.

    Parameters
    ----------
    heights : the anatomy's height at each slice, mm.
    xor_holes : give the heart wall the kind CLOSEDPLANAR_XOR, which older readers and checkers do not know.
    """
    make = _Maker(grid, heights)
    k_odd, k_iso = odd_slice(grid), min(range(grid.slices), key=lambda k: abs(heights[k] - np.mean(LESION_Z)))
    return [
        make.solid("BODY", (0, 255, 0), "EXTERNAL", trunk.body, 180),
        make.solid("Liver", (160, 82, 45), "ORGAN", trunk.liver, 144),
        make.solid("Lesion tapered", (255, 0, 0), "GTV", trunk.lesion, 48, ("tapered",)),
        make.nested(
            "Kidney cortex L nested",
            (255, 165, 0),
            (lambda z: trunk.kidney(z, 1), lambda z: trunk.medulla(z, 1)),
            CLOSED,
            ("hole", "hole as a second contour"),
        ),
        make.keyhole(
            "Kidney cortex R keyhole", (255, 215, 0), lambda z: trunk.kidney(z, -1), lambda z: trunk.medulla(z, -1)
        ),
        make.nested(
            "Heart wall",
            (220, 20, 60),
            (trunk.heart, trunk.heart_cavity),
            XOR if xor_holes else CLOSED,
            ("hole", "hole as a second contour"),
        ),
        make.solid(
            "Calcification odd slice", (255, 255, 255), "CONTROL", calcification, 32, ("single odd slice",), only=k_odd
        ),
        make.solid("Spleen", (0, 191, 255), "ORGAN", trunk.spleen, 96),
        make.solid("Aorta", (178, 34, 34), "ORGAN", trunk.aorta, 40),
        make.point("Isocentre", (-78.0, 0.0), k_iso),
        make.open_planar("Catheter planar", k_odd),
        make.open_nonplanar("Drain non-planar"),
    ]


@dataclass(frozen=True)
class _Maker:
    grid: ImageGrid
    heights: list[float]

    def _slices(self, only: int | None) -> list[int]:
        return [only] if only is not None else list(range(self.grid.slices))

    def _closed(self, outline: Outline, k: int, count: int, kind: str = CLOSED) -> Contour:
        points = outline.points(count)
        return Contour(kind, stack(points[:, 0], points[:, 1], float(self.grid.z_mm[k])), k)

    def solid(
        self,
        name: str,
        color: tuple[int, int, int],
        kind: str,
        outline_at: OutlineAt,
        count: int,
        traits: tuple[str, ...] = (),
        only: int | None = None,
    ) -> Roi:
        contours, areas = [], {}
        for k in self._slices(only):
            outline = outline_at(self.heights[k])
            if outline is not None:
                contours.append(self._closed(outline, k, count))
                areas[k] = polygon_area(contours[-1].points)
        return Roi(name, color, kind, contours, areas, traits)

    def nested(
        self,
        name: str,
        color: tuple[int, int, int],
        outlines_at: tuple[OutlineAt, OutlineAt],
        kind: str,
        traits: tuple[str, ...],
    ) -> Roi:
        contours, areas = [], {}
        for k in self._slices(None):
            rings = [outline_at(self.heights[k]) for outline_at in outlines_at]
            made = [self._closed(ring, k, 72, kind) for ring in rings if ring is not None]
            if made:
                contours += made
                areas[k] = polygon_area(made[0].points) - sum(polygon_area(hole.points) for hole in made[1:])
        return Roi(name, color, "ORGAN", contours, areas, traits)

    def keyhole(self, name: str, color: tuple[int, int, int], outer_at: OutlineAt, inner_at: OutlineAt) -> Roi:
        """One contour that goes around outside, crosses over, goes around the hole the other way and comes back."""
        contours, areas = [], {}
        for k in self._slices(None):
            outer, inner = outer_at(self.heights[k]), inner_at(self.heights[k])
            if outer is None:
                continue
            points = outer.points(72)
            if inner is not None:
                hole = inner.points(72)
                points = np.vstack([points, points[:1], hole[:1], hole[:0:-1], hole[:1]])
            contours.append(Contour(CLOSED, stack(points[:, 0], points[:, 1], float(self.grid.z_mm[k])), k))
            areas[k] = polygon_area(contours[-1].points)
        return Roi(name, color, "ORGAN", contours, areas, ("hole", "hole as a keyhole"))

    def point(self, name: str, at: tuple[float, float], k: int) -> Roi:
        where = np.array([[*at, self.grid.z_mm[k] + 0.3 * self.grid.slice_spacing_mm]])  # between slices, on purpose
        return Roi(name, (0, 255, 255), "ISOCENTER", [Contour("POINT", where, k)], traits=("point between slices",))

    def open_planar(self, name: str, k: int) -> Roi:
        x = np.linspace(-118, -30, 12)
        points = stack(x, 20 - 0.002 * (x + 70) ** 2, float(self.grid.z_mm[k]))
        return Roi(name, (255, 0, 255), "CONTROL", [Contour("OPEN_PLANAR", points, k)], traits=("open",))

    def open_nonplanar(self, name: str) -> Roi:
        share = np.linspace(0.1, 0.8, 24)
        z = share * self.grid.z_mm[-1]
        points = np.column_stack([-30 - 20 * np.sin(4 * share), -20 + 30 * share, z])
        return Roi(name, (238, 130, 238), "CONTROL", [Contour("OPEN_NONPLANAR", points, None)], traits=("open",))


def polygon_area(points: FloatArray) -> float:
    """Area of a polygon in mm2; the bridge of a keyhole counts nothing, its hole is taken out."""
    x, y = points[:, 0], points[:, 1]
    return float(abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2)


def masks(grid: ImageGrid, heights: list[float], outline_at: OutlineAt) -> npt.NDArray[np.bool_]:
    """Return a region's voxels, shape (k, j, i)."""
    return np.stack([mask(outline_at(z), grid) for z in heights])
