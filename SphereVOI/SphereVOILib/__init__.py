"""SphereVOI: from rough clicks to sub-voxel sphere centres, statistics, and NEMA and EARL judgements of PET phantom scans.

`measure` works on an array and its matrix; `run` reads scans and writes a folder of results.
"""

from SphereVOILib.grid import Grid
from SphereVOILib.job import run
from SphereVOILib.measure import Measurement, SphereResult, measure
from SphereVOILib.refine import Refined, refine
from SphereVOILib.report import SphereReport
from SphereVOILib.settings import (
    EarlVersion,
    MeasureSettings,
    Method,
    Polarity,
    RefineSettings,
    Region,
    SphereSettings,
    SphereTarget,
    Unit,
    targets_of,
)

__all__ = [
    "EarlVersion",
    "Grid",
    "MeasureSettings",
    "Measurement",
    "Method",
    "Polarity",
    "RefineSettings",
    "Refined",
    "Region",
    "SphereReport",
    "SphereResult",
    "SphereSettings",
    "SphereTarget",
    "Unit",
    "measure",
    "refine",
    "run",
    "targets_of",
]
