"""EARL's accreditation bands for recovery coefficients, and the verdict.

RC = measured / true concentration, without taking off the background. Three quantities: A50 (mean of the 50 % isocontour adapted to the
background), the maximum voxel, and the highest mean of a 1 ml sphere. The bands hold for a sphere-to-background ratio of 9.7 to 10.

Sources: v1 (EANM/EARL FDG PET/CT accreditation), A50 and maximum; v2 (EARL standard 2) as published with pynemaiqpet. No published band was
found for the peak of v2: its row is empty, and can be given in a table of one's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from SphereVOILib.settings import EarlVersion

Band = tuple[float, float]
RATIO_LOW, RATIO_HIGH = 9.0, 11.0  # EARL asks for 10; fills from 9.7 are usual


@dataclass(frozen=True)
class EarlBands:
    """Lowest and highest accepted recovery coefficient by nominal diameter in mm; an absent diameter is not judged."""

    mean: Mapping[float, Band]
    max: Mapping[float, Band]
    peak: Mapping[float, Band]


BANDS = {
    EarlVersion.V1: EarlBands(
        mean={
            37: (0.76, 0.89),
            28: (0.72, 0.85),
            22: (0.63, 0.78),
            17: (0.57, 0.73),
            13: (0.44, 0.60),
            10: (0.27, 0.43),
        },
        max={
            37: (0.95, 1.16),
            28: (0.91, 1.13),
            22: (0.83, 1.09),
            17: (0.73, 1.01),
            13: (0.59, 0.85),
            10: (0.34, 0.57),
        },
        peak={},
    ),
    EarlVersion.V2: EarlBands(
        mean={
            37: (0.85, 1.00),
            28: (0.82, 0.97),
            22: (0.80, 0.99),
            17: (0.76, 0.97),
            13: (0.63, 0.86),
            10: (0.39, 0.61),
        },
        max={
            37: (1.05, 1.29),
            28: (1.01, 1.26),
            22: (1.01, 1.32),
            17: (1.00, 1.38),
            13: (0.85, 1.22),
            10: (0.52, 0.88),
        },
        peak={},
    ),
}


@dataclass(frozen=True)
class EarlSphere:
    """Recovery coefficients of one sphere and whether they lie in the bands: "pass", "fail: ..." or why there is no verdict."""

    label: str
    diameter_mm: float
    rc_mean: float | None
    rc_max: float | None
    rc_peak: float | None
    verdict: str


def judge(
    label: str,
    diameter_mm: float,
    measured: tuple[float | None, float | None, float | None],
    true: float,
    bands: EarlBands,
) -> EarlSphere:
    """Compare A50 mean, maximum and peak of a sphere with the bands; ``true`` is its concentration in the same units."""
    rc = [None if value is None or true <= 0 else value / true for value in measured]
    rows = (("mean", bands.mean), ("max", bands.max), ("peak", bands.peak))
    said, judged = [], False
    for value, (name, row) in zip(rc, rows, strict=True):
        band = row.get(diameter_mm)
        if value is None or band is None:
            continue
        judged = True
        if not band[0] <= value <= band[1]:
            side = "below" if value < band[0] else "above"
            said.append(f"{name} {value:.3f} {side} {band[0]:.2f}-{band[1]:.2f}")
    verdict = "fail: " + "; ".join(said) if said else "pass" if judged else "not judged: no band for this diameter"
    return EarlSphere(label, diameter_mm, rc[0], rc[1], rc[2], verdict)
