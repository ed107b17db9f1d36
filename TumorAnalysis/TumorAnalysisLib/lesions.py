"""All measurements of the lesions of one patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress
from numpy.typing import NDArray

from TumorAnalysisLib.axial import AxialDiameters, axial_diameters
from TumorAnalysisLib.components import Connectivity, count_pieces
from TumorAnalysisLib.distances import Surface, filled, gap_mm, reaches_surface, surface_of, touch
from TumorAnalysisLib.grid import FloatArray, Grid
from TumorAnalysisLib.intensity import Intensity, contrast_hu, contrast_to_noise, intensity
from TumorAnalysisLib.masks import Mask, union, without
from TumorAnalysisLib.recist import smallest_measurable_mm
from TumorAnalysisLib.shape3d import feret_mm, sphericity, surface_area_mm2

TINY_VOXELS = 3  # fewer are flagged
TINY_DIAMETER_MM = 3.0  # so is a smaller equivalent diameter


@dataclass(frozen=True)
class Lesion:
    """One lesion and everything measured of it; millimetres, millilitres and HU, positions in LPS.

    Attributes
    ----------
    name : of its mask; pieces of a mask get a number behind it.
    components_26, components_6 : connected pieces inside the mask with both connectivities.
    distance_to_surface_mm : smallest distance of the lesion's surface to that of organ and lesions together, holes closed; 0 is
        subcapsular; None without an organ mask.
    liver_overlap : fraction of the lesion inside the organ mask as supplied.
    tiny : fewer than 3 voxels or an equivalent diameter below 3 mm: flagged, never removed.
    """

    name: str
    mask: Mask
    voxels: int
    volume_ml: float
    equivalent_diameter_mm: float
    axial: AxialDiameters
    feret_mm: float
    surface_area_mm2: float
    sphericity: float
    centroid_lps_mm: tuple[float, float, float]
    components_26: int
    components_6: int
    hu: Intensity | None
    contrast_hu: float | None
    contrast_to_noise: float | None
    liver_overlap: float | None
    distance_to_surface_mm: float | None
    nearest_lesion: str
    nearest_lesion_mm: float | None
    vessel_distances_mm: Mapping[str, float]
    measurable: bool
    tiny: bool

    @property
    def centroid_ras_mm(self) -> tuple[float, float, float]:
        """Centre of the voxels in RAS mm."""
        left, posterior, superior = self.centroid_lps_mm
        return -left, -posterior, superior


@dataclass(frozen=True)
class Surroundings:
    """What lesions are measured against.

    Attributes
    ----------
    image : (K, J, I) CT numbers, HU; None leaves the CT numbers out.
    organ : the organ mask as supplied; empty if there is none.
    vessels : name of a vessel group -> its mask.
    slice_thickness_mm : of the reconstruction, for RECIST; not the spacing.
    """

    image: NDArray[Any] | None
    organ: Mask
    vessels: Mapping[str, Mask]
    slice_thickness_mm: float


def measure(
    masks: Mapping[str, Mask],
    grid: Grid,
    around: Surroundings,
    *,
    progress: Progress = no_progress,
    cancel: CancelToken = NEVER,
) -> tuple[list[Lesion], Intensity | None]:
    """Measure every lesion.

    Parameters
    ----------
    masks : name -> mask of one lesion; empty masks are passed over.
    grid : of the image; its slices are axial.

    Returns
    -------
    lesions, parenchyma : in the order of ``masks``; CT numbers of the organ without all lesions.
    """
    filled_masks = {name: mask for name, mask in masks.items() if not mask.empty}
    bodies = {name: body for name, mask in filled_masks.items() if (body := _body(mask, grid)) is not None}
    all_lesions = union(list(filled_masks.values()))
    parenchyma = None if around.image is None else intensity(around.image, without(around.organ, all_lesions))
    capsule = _Capsule.around(around.organ, all_lesions, grid) if bodies else None
    vessels = {name: surface_of(mask, grid) for name, mask in around.vessels.items()} if bodies else {}
    found = []
    for number, (name, mask) in enumerate(filled_masks.items(), start=1):
        cancel.check()
        own = _own(mask, grid, around)
        found.append(
            Lesion(
                name=name,
                mask=mask,
                **own,
                contrast_hu=contrast_hu(own["hu"], parenchyma),
                contrast_to_noise=contrast_to_noise(own["hu"], parenchyma),
                distance_to_surface_mm=capsule.distance_mm(mask, bodies[name].surface) if capsule else None,
                **_nearest(name, bodies),
                vessel_distances_mm={v: gap_mm(bodies[name].surface, s) for v, s in vessels.items() if s is not None},
            )
        )
        progress(number, len(filled_masks), "measuring lesions")
    return found, parenchyma


def _own(mask: Mask, grid: Grid, around: Surroundings) -> dict[str, Any]:
    """Measure what does not depend on other lesions."""
    voxels = mask.count
    volume_mm3 = voxels * grid.voxel_volume_mm3
    equivalent = float((6 * volume_mm3 / np.pi) ** (1 / 3))
    axial = axial_diameters(mask, grid)
    area = surface_area_mm2(mask.voxels, grid)
    pieces_26 = count_pieces(mask, Connectivity.CORNERS)
    return {
        "voxels": voxels,
        "volume_ml": volume_mm3 / 1000,
        "equivalent_diameter_mm": equivalent,
        "axial": axial,
        "feret_mm": max(feret_mm(mask, grid), axial.longest_mm),
        "surface_area_mm2": area,
        "sphericity": sphericity(volume_mm3, area),
        "centroid_lps_mm": centroid_lps(mask, grid),
        "components_26": pieces_26,
        "components_6": count_pieces(mask, Connectivity.FACES),
        "hu": None if around.image is None else intensity(around.image, mask),
        "liver_overlap": None if around.organ.empty else mask.overlap(around.organ) / voxels,
        "measurable": axial.longest_mm >= smallest_measurable_mm(around.slice_thickness_mm),
        "tiny": voxels < TINY_VOXELS or equivalent < TINY_DIAMETER_MM,
    }


def centroid_lps(mask: Mask, grid: Grid) -> tuple[float, float, float]:
    """Return the centre of a mask's voxels in LPS mm."""
    x, y, z = grid.to_lps(mask.indices_ijk().mean(axis=0)[None, :].astype(np.float64))[0]
    return float(x), float(y), float(z)


@dataclass(frozen=True)
class _Capsule:
    """The organ with all lesions in it and its holes closed."""

    organ: Mask
    surface: Surface

    @classmethod
    def around(cls, organ: Mask, lesions: Mask, grid: Grid) -> _Capsule | None:
        # The mask of an organ may or may not contain its lesions, and vessels leave holes in it: neither is capsule.
        if organ.empty:
            return None
        whole = filled(union([organ, lesions]))
        surface = surface_of(whole, grid)
        return None if surface is None else cls(whole, surface)

    def distance_mm(self, lesion: Mask, surface: Surface) -> float:
        return 0.0 if reaches_surface(lesion, self.organ) else gap_mm(surface, self.surface)


@dataclass(frozen=True)
class _Body:
    mask: Mask
    surface: Surface
    centre: FloatArray
    radius: float


def _nearest(name: str, bodies: Mapping[str, _Body]) -> dict[str, Any]:
    own = bodies[name]
    # Enclosing balls tell cheaply which lesions cannot be the nearest one.
    ordered = sorted(
        (float(np.linalg.norm(one.centre - own.centre)) - one.radius - own.radius, other)
        for other, one in bodies.items()
        if other != name
    )
    best: tuple[float, str] | None = None
    for at_least, other in ordered:
        if best is not None and at_least >= best[0]:
            break
        one = bodies[other]
        gap = 0.0 if touch(own.mask, one.mask) else gap_mm(own.surface, one.surface)
        if best is None or gap < best[0]:
            best = (gap, other)
    return {"nearest_lesion": best[1] if best else "", "nearest_lesion_mm": best[0] if best else None}


def _body(mask: Mask, grid: Grid) -> _Body | None:
    surface = surface_of(mask, grid)
    return None if surface is None else _Body(mask, surface, *_ball(surface.points_lps))


def _ball(points: FloatArray) -> tuple[FloatArray, float]:
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, float(np.linalg.norm(high - low) / 2)
