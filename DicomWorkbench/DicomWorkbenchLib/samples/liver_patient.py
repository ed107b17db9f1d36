"""The voxels of one patient of the liver cohort: the scan and every mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.samples.anatomy import LESION_HU, Trunk
from DicomWorkbenchLib.samples.ct_image import CtPicture
from DicomWorkbenchLib.samples.grid import FloatArray, ImageGrid
from DicomWorkbenchLib.samples.liver_plan import PatientPlan
from DicomWorkbenchLib.samples.outline import Image, Outline, mask

FIRST_Z_MM = 26.0  # anatomy's height of the first slice; the liver begins at 34
DEPTH_MM = 160.0
GAP_MM = 10.0  # between the surfaces of two bodies: more than two voxels, so they stay separate components
CYST_HU, RESECTION_HU, ADRENAL_HU = 6.0, 25.0, 74.0

Mask = npt.NDArray[np.bool_]
OutlineAt = Callable[[float], Outline | None]


@dataclass(frozen=True)
class Ellipsoid:
    """A body: local centre and semi-axes, mm (x, y, z)."""

    center_mm: tuple[float, float, float]
    semi_axes_mm: tuple[float, float, float]

    def depth(self, grid: ImageGrid) -> FloatArray:
        """Return how far below its surface each voxel lies, in units of its size: positive inside; shape (k, j, i)."""
        x, y, z = ((axis - c) / a for axis, c, a in zip(_axes(grid), self.center_mm, self.semi_axes_mm, strict=True))
        depth: FloatArray = 1 - np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
        return depth


class LiverPatient:
    """Draws one patient; the same plan and seed give the same voxels.

    Attributes
    ----------
    grid : the scan's slices.
    masks : by mask folder, shape (k, j, i), in the order they are drawn.
    tumor_names : the mask folders that are liver tumours.
    """

    def __init__(self, plan: PatientPlan, *, size: int = 128, slices: int = 40, seed: int = 1) -> None:
        self.plan = plan
        self._random = np.random.default_rng([seed, plan.number])
        pixel = float(self._random.choice([2.55, 2.6, 2.65, 2.7])) * 128 / size
        center = tuple(float(v) for v in np.round(self._random.uniform(-60, 60, 3), 1))
        self.grid = ImageGrid(
            slices,
            size,
            size,
            (pixel, pixel),
            DEPTH_MM / slices,
            (center[0], center[1], center[2]),
            plan.rotation_deg,
        )
        self.trunk = Trunk(
            seed * 100 + plan.number, liver_size=float(self._random.uniform(0.9, 1.0)), with_lesion=False
        )
        self._picture = CtPicture(self.grid, self.trunk, seed * 100 + plan.number, first_z_mm=FIRST_Z_MM)
        self._hu: dict[str, float] = {}
        self.masks: dict[str, Mask] = {}
        self._draw_organs()
        self.tumor_names = list(plan.tumors)
        self._draw_bodies()

    def outlines(self) -> dict[str, OutlineAt]:
        """Return the outlines of the organs by mask folder, at heights of the anatomy."""
        trunk = self.trunk
        pairs: dict[str, OutlineAt] = {
            "rightkidney": lambda z: trunk.kidney(z, -1),
            "leftkidney": lambda z: trunk.kidney(z, 1),
            "rightlung": lambda z: trunk.lung(z, -1),
            "leftlung": lambda z: trunk.lung(z, 1),
        }
        return {
            "skin": trunk.body,
            **pairs,
            "spleen": trunk.spleen,
            "liver": trunk.liver,
            "gallbladder": trunk.gallbladder,
            "artery": trunk.aorta,
            "venacava" if self.plan.number % 2 else "venoussystem": trunk.vena_cava,
            "portalvein" if self.plan.number % 3 else "portalvein1": trunk.portal_vein,
        }

    def hounsfield(self) -> npt.NDArray[np.float32]:
        """Return the scan in HU, shape (k, j, i)."""
        return np.stack([self._slice(k) for k in range(self.grid.slices)])

    def _slice(self, k: int) -> Image:
        image = self._picture.clean(k)
        for name, hu in self._hu.items():
            image[self.masks[name][k]] = hu
        return self._picture.noisy(image, k)

    def _draw_organs(self) -> None:
        heights = self.grid.z_mm + FIRST_Z_MM
        for name, outline_at in self.outlines().items():
            self.masks[name] = np.stack([mask(outline_at(float(z)), self.grid) for z in heights])
        for name in ("rightlung", "leftlung"):  # the dome of the liver and the heart lie in front of them
            self.masks[name] &= ~self.masks["liver"]
        if self.plan.lungs_and_kidneys_as_one:
            for pair in ("lung", "kidney"):
                self.masks[pair + "s"] = self.masks.pop("left" + pair) | self.masks.pop("right" + pair)

    def _draw_bodies(self) -> None:
        if self.plan.corner:
            self._add("livertumor", self._blocks(), LESION_HU)
        elif self.plan.touching:
            self._halves()
        else:
            self._separate_bodies()
        for name, (radius, side) in self.plan.outside.items():
            z = 118.0 - FIRST_Z_MM - (16.0 if radius > 20 else 0.0)
            body = Ellipsoid((side * (46.0 + radius / 3), 22.0, z), (radius, radius * 0.8, radius))
            self._add(name, (body.depth(self.grid) > 0) & ~self.masks["liver"], ADRENAL_HU)

    def _separate_bodies(self) -> None:
        wanted = [(r, name) for name, radii in self.plan.tumors.items() for r in radii]
        wanted += [(r, name) for name, r in self.plan.other.items()]
        placed: list[Ellipsoid] = []
        for radius, name in sorted(wanted, key=lambda pair: -pair[0]):  # the large ones first, while there is room
            placed.append(self._place(radius, placed))
            hu = LESION_HU if name in self.plan.tumors else (RESECTION_HU if name.startswith("meta") else CYST_HU)
            self._add(name, placed[-1].depth(self.grid) > 0, hu)

    @cached_property
    def _below_surface_mm(self) -> FloatArray:
        """How deep each voxel lies in the liver, shape (k, j, i)."""
        spacing = (self.grid.slice_spacing_mm, *self.grid.pixel_spacing_mm)
        depth: FloatArray = distance_transform_edt(self.masks["liver"], sampling=spacing)
        return depth

    def _place(self, radius: float, placed: list[Ellipsoid]) -> Ellipsoid:
        """Find a place in the liver clear of its surface and of other bodies; a bulging one sits on the surface."""
        semi = radius * self._random.uniform(0.85, 1.15, 3)
        low, high = (5.0, 8.0) if self.plan.bulging else (float(semi.max()) + 3.0, np.inf)
        indices = np.argwhere((self._below_surface_mm > low) & (self._below_surface_mm < high))
        x, y, z = _axes(self.grid)
        places = np.column_stack([x[indices[:, 2]] + 0.4, y[indices[:, 1]] - 0.3, z[indices[:, 0]] + 0.7])
        for other in placed:
            apart = np.linalg.norm(places - np.asarray(other.center_mm), axis=1)
            places = places[apart > semi.max() + max(other.semi_axes_mm) + GAP_MM]
        if not len(places):
            raise SettingsError(f"no room for a body of {radius} mm in the liver of patient {self.plan.number}")
        at = places[self._random.integers(len(places))].tolist()
        return Ellipsoid((at[0], at[1], at[2]), (float(semi[0]), float(semi[1]), float(semi[2])))

    def _blocks(self) -> Mask:
        """Two blocks of voxels that share nothing but one corner."""
        body = self._place(22.0, [])
        at = [int(np.argmin(abs(a - c))) for a, c in zip(_axes(self.grid), body.center_mm, strict=True)][::-1]
        voxels = np.zeros(self.masks["liver"].shape, dtype=bool)
        size = (3, 4, 5)
        voxels[tuple(slice(a - s, a) for a, s in zip(at, size, strict=True))] = True
        voxels[tuple(slice(a, a + s) for a, s in zip(at, size, strict=True))] = True
        return voxels

    def _halves(self) -> None:
        first, second = self.plan.tumors
        body = self._place(self.plan.tumors[first][0], [])
        voxels = body.depth(self.grid) > 0
        left = np.broadcast_to(self.grid.x_mm > body.center_mm[0], voxels.shape)
        self._add(first, voxels & ~left, LESION_HU)
        self._add(second, voxels & left, LESION_HU + 14)

    def _add(self, name: str, voxels: Mask, hu: float) -> None:
        self.masks[name] = self.masks.get(name, np.zeros_like(voxels)) | voxels
        self._hu[name] = hu


def _axes(grid: ImageGrid) -> tuple[FloatArray, FloatArray, FloatArray]:
    return grid.x_mm, grid.y_mm, grid.z_mm
