"""An invented trunk, from the kidneys to the heart: which outlines a slice at height z has, and what each is filled with.

Local millimetres: x to the patient's left, y to the back, z upwards from 0 to `HEIGHT_MM`. Values are Hounsfield units of a portal
venous contrast phase.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from DicomWorkbenchLib.samples.grid import FloatArray
from DicomWorkbenchLib.samples.outline import Outline, bump, circle, ellipse, swell, waves

HEIGHT_MM = 240.0
AIR, FAT, LUNG, WATER, MUSCLE, BLOOD = -1000.0, -105.0, -860.0, 8.0, 58.0, 150.0
CORTEX, MARROW, DISC = 620.0, 190.0, 85.0
LESION_Z = (84.0, 126.0)
LIVER_HU, LESION_HU = 112.0, 62.0


@dataclass(frozen=True)
class Layer:
    """An outline, what fills it (HU), and whether the fill is parenchyma with a texture."""

    outline: Outline
    hu: float
    soft_mm: float = 0.0


class Trunk:
    """The anatomy; the same seed gives the same person."""

    def __init__(self, seed: int, *, liver_size: float = 1.0, with_lesion: bool = True) -> None:
        self.liver_size, self.with_lesion = liver_size, with_lesion
        random = np.random.default_rng([seed, 11])
        names = ("body", "liver", "spleen", "kidney", "heart", "lung", "lesion", "stomach")
        self._ripple = {name: waves(random, 0.025) for name in names}
        self._bowel = [_Loop(random) for _ in range(38)]
        self._random = random

    @cached_property
    def vessels(self) -> list[tuple[FloatArray, FloatArray, float, float]]:
        """Straight vessel pieces as (start, end, radius at start, HU) in lungs and liver."""
        random = self._random
        made = []
        for side, count in ((-1, 70), (1, 60)):
            hilum = np.array([side * 36.0, 12.0, 190.0])
            for _ in range(count):
                end = np.array([side * random.uniform(45, 125), random.uniform(-70, 75), random.uniform(120, 245)])
                made.append((hilum, end, random.uniform(1.8, 4.5), 60.0))
        for _ in range(26):
            end = np.array([random.uniform(-128, -10), random.uniform(-70, 55), random.uniform(60, 160)])
            made.append((np.array([-38.0, 8.0, 105.0]), end, random.uniform(2.5, 6.0), 168.0))
        return made

    def body(self, z: float) -> Outline:
        """The skin."""
        wide = 1 - 0.05 * np.cos(2 * np.pi * z / HEIGHT_MM)
        outline = ellipse(0, 0, 168 * wide, 114, power=2.35).scaled(self._ripple["body"])
        return outline.scaled(1 - 0.035 * bump(90, 9) - 0.02 * bump(-90, 25))

    def cavity(self, z: float) -> Outline:
        """Inner side of the chest and abdominal wall."""
        return self.body(z).grown(-26 - 3 * np.cos(z / 35))

    def liver(self, z: float) -> Outline | None:
        """Right lobe with the left lobe reaching over the midline."""
        size = swell(z, 34, 176)
        if size <= 0:
            return None
        lobe = 0.0 if z < 70 else swell(z, 70, 160, 2.0)
        outline = ellipse(-66, -4, 66, 78, turn_deg=8, power=2.3).scaled(self._ripple["liver"])
        size *= self.liver_size
        outline = outline.scaled(size * (1 - 0.22 * bump(62, 30)) * (1 - 0.5 * swell(z, 0, 120) * bump(84, 32)))
        return outline.scaled(1 + 1.05 * lobe * bump(-24, 24))

    def lesion(self, z: float) -> Outline | None:
        """A tumour that tapers upwards to a point and leans, so that no two of its contours are alike."""
        low, high = LESION_Z
        if not (self.with_lesion and low <= z <= high):
            return None
        share = (z - low) / (high - low)
        radius = 19.0 * (1 - share) + 2.5
        return circle(-84 + 12 * share, 4 - 9 * share, radius).scaled(self._ripple["lesion"])

    def spleen(self, z: float) -> Outline | None:
        """The spleen."""
        size = swell(z, 82, 172)
        return ellipse(104, 38, 25, 47, turn_deg=28).scaled(self._ripple["spleen"] * size) if size > 0 else None

    def kidney(self, z: float, side: int) -> Outline | None:
        """Outer border of a kidney; side -1 is the right one, which lies lower."""
        size = swell(z, 6 if side < 0 else 20, 108 if side < 0 else 124)
        if size <= 0:
            return None
        outline = ellipse(side * 62, 54, 24, 30, turn_deg=side * 25).scaled(self._ripple["kidney"])
        return outline.scaled(size * (1 - 0.28 * swell(z, 40, 90) * bump(180 if side > 0 else 0, 28)))

    def medulla(self, z: float, side: int) -> Outline | None:
        """Inner part of a kidney, a hole in its cortex."""
        outer = self.kidney(z, side)
        return outer.grown(-8).scaled(0.95) if outer is not None and outer.radii_mm.min() > 12 else None

    def heart(self, z: float) -> Outline | None:
        """Heart muscle with what it holds."""
        size = swell(z, 160, 268)
        return ellipse(24, -30, 62, 46, turn_deg=32).scaled(self._ripple["heart"] * size) if size > 0 else None

    def heart_cavity(self, z: float) -> Outline | None:
        """The left ventricle's blood, a hole in the muscle."""
        size = swell(z, 174, 256)
        return ellipse(44, -26, 26, 19, turn_deg=32).scaled(size) if size > 0 else None

    def lung(self, z: float, side: int) -> Outline | None:
        """A lung; its base wraps around the dome of the liver."""
        size = swell(z, 106, 400, 3.0)
        if size <= 0:
            return None
        x, a = (-80, 55) if side < 0 else (82, 53)
        outline = ellipse(x, 2, a, 84, turn_deg=side * 5, power=2.5).scaled(self._ripple["lung"] * size)
        return outline.scaled(1 - 0.18 * bump(0 if side < 0 else 180, 35))

    def aorta(self, z: float) -> Outline:
        """The descending aorta."""
        return circle(20 - 8 * np.cos(z / 90), 33 + 8 * np.sin(z / 110), 10.5 + z / 120)

    def vena_cava(self, z: float) -> Outline | None:
        """The inferior vena cava, up to the heart."""
        return ellipse(-24, 30, 13, 10, turn_deg=15) if z < 176 else None

    def gallbladder(self, z: float) -> Outline | None:
        """The gall bladder."""
        size = swell(z, 60, 92)
        return ellipse(-40, -44, 17, 24, turn_deg=-20).scaled(size) if size > 0 else None

    def portal_vein(self, z: float) -> Outline | None:
        """The portal vein, from the pancreas into the liver."""
        if not 80 < z < 116:
            return None
        share = (z - 80) / 36
        return ellipse(-14 - 34 * share, 12 - 6 * share, 11, 7, turn_deg=-15)

    def layers(self, z: float) -> Iterator[Layer]:
        """Yield what a slice is painted with, from the outside in."""
        yield Layer(self.body(z), 40.0)  # skin
        yield Layer(self.body(z).grown(-2.2), FAT)
        yield Layer(self.body(z).grown(-13 - 4 * np.cos(z / 35)), MUSCLE, 2.5)
        yield Layer(self.cavity(z), FAT, 2.5)
        yield from self._back(z)
        yield from self._chest(z)
        if z < 112:
            for loop in self._bowel:
                yield from loop.layers(z)
        yield from self._belly(z)
        yield from self._spine(z)
        yield from self._vessels(z)
        yield from self._ribs(z)

    def _back(self, z: float) -> Iterator[Layer]:
        for side in (-1, 1):
            yield Layer(ellipse(side * 36, 86, 30, 17, turn_deg=side * 12, power=2.4), MUSCLE, 2.5)
            if z < 96:
                psoas = swell(z, -120, 96)
                yield Layer(ellipse(side * 40, 50, 17 * psoas, 22 * psoas), MUSCLE, 2.0)

    def _chest(self, z: float) -> Iterator[Layer]:
        for side in (-1, 1):
            lung = self.lung(z, side)
            if lung is not None:
                yield Layer(lung, LUNG, 2.0)
        if z > 120:
            yield Layer(ellipse(0, 38, 22, 26), 20.0, 3.0)
            yield Layer(ellipse(-6, 22, 7, 5), 48.0, 1.5)  # oesophagus
        heart, cavity = self.heart(z), self.heart_cavity(z)
        if heart is not None:
            yield Layer(heart.grown(4), -90.0, 3.0)
            yield Layer(heart, 105.0, 3.0)
            yield Layer(ellipse(-8, -34, 27, 24).scaled(swell(z, 170, 275)), 165.0, 4.0)
        if cavity is not None:
            yield Layer(cavity, 172.0, 4.0)

    def _belly(self, z: float) -> Iterator[Layer]:
        stomach = swell(z, 74, 158)
        if stomach > 0:
            wall = ellipse(56, -36, 44, 34, turn_deg=-18).scaled(self._ripple["stomach"] * stomach)
            yield Layer(wall, 70.0, 2.0)
            yield Layer(wall.grown(-4), 22.0, 2.0)
            yield Layer(ellipse(52, -50, 30, 12, power=3).scaled(stomach * 0.95), -960.0, 2.0)
        spleen, liver, lesion = self.spleen(z), self.liver(z), self.lesion(z)
        if spleen is not None:
            yield Layer(spleen, 124.0)
        if liver is not None:
            yield Layer(liver, LIVER_HU)
            gallbladder = self.gallbladder(z)
            if gallbladder is not None:
                yield Layer(gallbladder, WATER, 2.0)
        if lesion is not None:
            yield Layer(lesion, LESION_HU + 16, 4.0)
            yield Layer(lesion.grown(-3), LESION_HU, 4.0)
        if 84 < z < 116:
            yield Layer(ellipse(14, -2, 56, 11, turn_deg=-14).scaled(swell(z, 84, 116)), 92.0, 2.0)  # pancreas
        for side in (-1, 1):
            yield from self._kidney_layers(z, side)

    def _kidney_layers(self, z: float, side: int) -> Iterator[Layer]:
        outer, inner = self.kidney(z, side), self.medulla(z, side)
        if outer is not None:
            yield Layer(outer, 192.0)
        if inner is not None:
            yield Layer(inner, 142.0, 3.5)
            yield Layer(ellipse(side * 52, 52, 13, 8, turn_deg=side * 25).scaled(swell(z, 36, 94)), -50.0, 4.0)

    def _vessels(self, z: float) -> Iterator[Layer]:
        yield Layer(self.aorta(z).grown(1.2), 60.0)
        yield Layer(self.aorta(z), 172.0)
        for vein in (self.vena_cava(z), self.portal_vein(z)):
            if vein is not None:
                yield Layer(vein, 142.0, 2.0)
        if z > 205:
            yield Layer(circle(-14, -24, 15), 175.0)
            yield Layer(circle(14, -34, 13), 168.0)
            yield Layer(circle(0, 12, 9), -985.0, 1.5)  # trachea

    def _spine(self, z: float) -> Iterator[Layer]:
        phase = z % 30.0
        if phase < 6.5:
            yield Layer(ellipse(0, 60, 22, 17, power=2.3), DISC, 2.0)
        else:
            waist = 1 - 0.08 * np.sin(np.pi * (phase - 6.5) / 23.5)
            yield Layer(ellipse(0, 60, 23 * waist, 18 * waist, power=2.4), CORTEX - 180, 2.0)
            yield Layer(ellipse(0, 60, 20.5 * waist, 15.5 * waist, power=2.4), MARROW, 2.5)
        if phase > 9:
            for side in (-1, 1):
                yield Layer(ellipse(side * 25, 80, 17, 5.5, turn_deg=side * 20), 330.0, 2.5)
        yield Layer(ellipse(0, 83, 15, 12), 480.0, 2.0)
        yield Layer(ellipse(0, 81, 9.5, 8), 22.0, 1.5)
        if phase > 5:
            yield Layer(ellipse(0, 97, 3.8, 8.5), 440.0, 2.0)
        if z > 140:
            yield Layer(ellipse(0, -95, 17, 5.5, power=2.5), 300.0, 2.0)  # sternum

    def _ribs(self, z: float) -> Iterator[Layer]:
        wall = self.cavity(z).grown(7)
        for rib in range(11):
            top = 72.0 + 27.0 * rib
            along = (top - z) / 62.0  # radians walked from the spine to the front
            if not 0.12 < along < 2.25:
                continue
            for side in (-1, 1):
                theta = np.pi / 2 - side * along
                radius = wall.radii_mm[round(theta / (2 * np.pi) * len(wall.radii_mm)) % len(wall.radii_mm)]
                x, y = radius * np.cos(theta), radius * np.sin(theta)
                tangent = np.rad2deg(theta) + 90
                cartilage = along > 1.95
                yield Layer(ellipse(x, y, 11, 5.2, turn_deg=tangent), 130.0 if cartilage else CORTEX, 1.5)
                if not cartilage:
                    yield Layer(ellipse(x, y, 8.6, 3.2, turn_deg=tangent), MARROW, 1.5)


class _Loop:
    """A loop of bowel: a short, roughly upright tube with a wall, fluid and often gas on top of it."""

    def __init__(self, random: np.random.Generator) -> None:
        angle, reach = random.uniform(0, 2 * np.pi), np.sqrt(random.uniform(0.02, 1))
        self.x, self.y = 104 * reach * np.cos(angle) + 6, -30 + 38 * reach * np.sin(angle)
        self.low = random.uniform(-60, 40)
        self.high = self.low + random.uniform(55, 95)
        self.radius = random.uniform(11, 19)
        self.turn = random.uniform(0, 180)
        self.drift = random.uniform(-0.25, 0.25, 2)
        self.gas = random.uniform() < 0.4
        self.fluid = random.uniform(8, 45)

    def vena_cava(self, z: float) -> Outline | None:
        """The inferior vena cava, up to the heart."""
        return ellipse(-24, 30, 13, 10, turn_deg=15) if z < 176 else None

    def gallbladder(self, z: float) -> Outline | None:
        """The gall bladder."""
        size = swell(z, 60, 92)
        return ellipse(-40, -44, 17, 24, turn_deg=-20).scaled(size) if size > 0 else None

    def portal_vein(self, z: float) -> Outline | None:
        """The portal vein, from the pancreas into the liver."""
        if not 80 < z < 116:
            return None
        share = (z - 80) / 36
        return ellipse(-14 - 34 * share, 12 - 6 * share, 11, 7, turn_deg=-15)

    def layers(self, z: float) -> Iterator[Layer]:
        size = swell(z, self.low, min(self.high, 108.0))
        if size <= 0:
            return
        x, y = self.x + self.drift[0] * z, self.y + self.drift[1] * z
        wall = ellipse(x, y, self.radius * 1.25, self.radius * 0.9, self.turn).scaled(size)
        yield Layer(wall, 88.0, 1.5)
        yield Layer(wall.grown(-2.5), self.fluid, 1.5)
        if self.gas:
            yield Layer(
                ellipse(x, y - 0.25 * self.radius, self.radius * 0.8, self.radius * 0.4).scaled(size), -900.0, 2.0
            )
