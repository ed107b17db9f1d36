"""What a user asks for: the spheres to look for and how to find, measure and judge them.

Everything is checked when it is built and travels as JSON between panel, command and report.
"""

from __future__ import annotations

import enum
import json
import math
from dataclasses import dataclass, field
from pathlib import Path

from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.geometry import Point3

IEC_DIAMETERS_MM = (37.0, 28.0, 22.0, 17.0, 13.0, 10.0)  # inner diameters, IEC 61675-1 body phantom
IEC_RING_RADIUS_MM = 57.2  # NEMA NU 2: centres on a circle of 114.4 mm diameter


class Polarity(enum.StrEnum):
    """Whether a sphere holds more or less activity than its surroundings."""

    HOT = "hot"
    COLD = "cold"
    AUTO = "auto"  # decided by the sign of the fitted contrast


class Method(enum.StrEnum):
    """How a click becomes a centre."""

    FIT = "fit"  # fractional mask correlation, then fit of a blurred sphere
    GRID = "grid"  # integer voxel with the extreme mean, for comparison with older results


class Region(enum.StrEnum):
    """What a sphere's statistics are taken over."""

    SPHERE = "sphere"  # fractional sphere
    CYLINDER = "cylinder"  # in every slice the sphere touches, a disc of the sphere's diameter
    CHORD = "chord"  # in every slice, the disc in which the slice's plane cuts the sphere


class Unit(enum.StrEnum):
    """What PET values are shown in; where the header does not allow an SUV, the report says why and shows Bq/ml."""

    SUVBW = "suvbw"
    SUVLBM = "suvlbm"  # lean body mass after James, factor 128
    SUVBSA = "suvbsa"  # body surface area after Du Bois
    NATIVE = "native"  # as the file has it


class EarlVersion(enum.StrEnum):
    """Which of EARL's two accreditation standards is judged by."""

    V1 = "v1"
    V2 = "v2"


@dataclass(frozen=True)
class SphereTarget:
    """A sphere to be measured: what it is called, how large it is and roughly where it is.

    Attributes
    ----------
    label : name in tables, pictures and segments.
    diameter_mm : inner diameter.
    lps_mm : the click, LPS mm; None where the sphere is to be found without one.
    polarity : hot, cold, or decided by the fit.
    """

    label: str
    diameter_mm: float
    lps_mm: Point3 | None = None
    polarity: Polarity = Polarity.AUTO

    def __post_init__(self) -> None:
        if not (math.isfinite(self.diameter_mm) and self.diameter_mm > 0):
            raise SettingsError(f"sphere {self.label!r}: the diameter must be positive, got {self.diameter_mm} mm")
        if self.lps_mm is not None and not all(math.isfinite(v) for v in self.lps_mm):
            raise SettingsError(f"sphere {self.label!r}: the click must be three finite numbers, got {self.lps_mm}")

    @property
    def radius_mm(self) -> float:
        """Half the inner diameter."""
        return self.diameter_mm / 2


def targets_of(diameters_mm: tuple[float, ...] = IEC_DIAMETERS_MM) -> tuple[SphereTarget, ...]:
    """Name spheres the usual way, "S1 37 mm", without clicks."""
    return tuple(SphereTarget(f"S{n} {d:g} mm", d) for n, d in enumerate(diameters_mm, 1))


@dataclass(frozen=True)
class RefineSettings:
    """How a click becomes a sub-voxel centre.

    Attributes
    ----------
    method : fit, or the integer-voxel search of older scripts.
    search_mm : how far from the click the best position is looked for.
    psf_wall_mm : thickness of the sphere's wall, which holds no activity (0 for a phantom without walls).
    fit_margin_mm : how far beyond the wall the image takes part in the fit; its outer part has less weight.
    significance : the fitted contrast must be this many standard errors away from zero; noise alone reaches 5 to 6, because the best of
        many positions and widths is taken.
    """

    method: Method = Method.FIT
    search_mm: float = 10.0
    psf_wall_mm: float = 1.0
    fit_margin_mm: float = 10.0
    significance: float = 7.0

    def __post_init__(self) -> None:
        for name in ("search_mm", "fit_margin_mm", "significance"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise SettingsError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 <= self.psf_wall_mm <= 10:
            raise SettingsError(f"the wall must be 0 to 10 mm thick, got {self.psf_wall_mm} mm")


@dataclass(frozen=True)
class MeasureSettings:
    """How spheres are found, measured and judged in one volume.

    Attributes
    ----------
    refine : how clicks become centres.
    region : what mean, max, ... are taken over.
    contrast : true sphere activity concentration over that of the background.
    nema : report contrast recovery, background variability and lung residual after NEMA NU 2.
    earl : judge recovery coefficients by an EARL standard.
    auto : find the IEC body phantom's spheres without clicks.
    """

    refine: RefineSettings = field(default_factory=RefineSettings)
    region: Region = Region.SPHERE
    contrast: float = 4.0
    nema: bool = False
    earl: EarlVersion | None = None
    auto: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.contrast) and self.contrast >= 0):
            raise SettingsError(f"the true contrast must be a number of 0 or more, got {self.contrast}")
        if self.contrast == 1 and (self.nema or self.earl):
            raise SettingsError("the true contrast is 1: spheres as hot as their background cannot be judged")


@dataclass(frozen=True)
class SphereSettings:
    """One job: which scans, where the spheres are, and what is wanted of them.

    Attributes
    ----------
    inputs : folders, files or archives with DICOM, or NIfTI/NRRD volumes; every scan found in them is measured.
    output : folder that is to appear.
    targets : the spheres; with ``measure.auto`` their diameters only.
    measure : how they are found, measured and judged.
    unit : what PET values are shown in.
    value_unit : what the values of NIfTI and NRRD volumes are in, where the user knows it; such files do not say.
    pictures : write PNG pictures and the report page (needs matplotlib).
    """

    inputs: tuple[Path, ...]
    output: Path
    targets: tuple[SphereTarget, ...] = field(default_factory=targets_of)
    measure: MeasureSettings = field(default_factory=MeasureSettings)
    unit: Unit = Unit.SUVBW
    value_unit: str = ""
    pictures: bool = True

    def __post_init__(self) -> None:
        if not self.inputs:
            raise SettingsError("no scan was given; name a folder with PET DICOM, or a NIfTI or NRRD volume")
        if not self.targets:
            raise SettingsError("no sphere was given; name at least one diameter")
        labels = [t.label for t in self.targets]
        double = sorted({label for label in labels if labels.count(label) > 1})
        if double:
            raise SettingsError(f"two spheres are called {double[0]!r}; give every sphere its own label")
        if self.measure.auto and sorted(t.diameter_mm for t in self.targets) != sorted(IEC_DIAMETERS_MM):
            raise SettingsError(
                "finding spheres without clicks knows the IEC body phantom only (37, 28, 22, 17, 13, 10 mm); "
                "for other spheres give a clicks file"
            )
        if not self.measure.auto and any(t.lps_mm is None for t in self.targets):
            missing = next(t.label for t in self.targets if t.lps_mm is None)
            raise SettingsError(f"sphere {missing!r} has no click; give a clicks file with --clicks, or use --auto")


def targets_to_json(targets: tuple[SphereTarget, ...]) -> str:
    """Write a table of targets, without clicks, as a panel keeps it in the scene and in presets."""
    rows = [{"label": t.label, "diameter_mm": t.diameter_mm, "polarity": str(t.polarity)} for t in targets]
    return json.dumps(rows, ensure_ascii=False)


def targets_from_json(text: str) -> tuple[SphereTarget, ...]:
    """Read what `targets_to_json` wrote.

    Raises
    ------
    SettingsError : the text is something else, or a target cannot be.
    """
    try:
        rows = json.loads(text)
        return tuple(
            SphereTarget(str(r["label"]), float(r["diameter_mm"]), None, Polarity(r["polarity"])) for r in rows
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SettingsError(f"the table of spheres cannot be read: {error}") from error
