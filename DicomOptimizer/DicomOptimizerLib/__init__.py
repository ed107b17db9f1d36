"""DicomOptimizer: series with their RTSTRUCT, SEG and RTDOSE made small, every link and contour true."""

from DicomOptimizerLib.job import run
from DicomOptimizerLib.report import OptimizerReport
from DicomOptimizerLib.settings import Compression, ContourRule, Dates, OnBadSlice, OptimizerSettings

optimize = run

__all__ = [
    "Compression",
    "ContourRule",
    "Dates",
    "OnBadSlice",
    "OptimizerReport",
    "OptimizerSettings",
    "optimize",
    "run",
]
