"""DicomOptimizer: series with their RTSTRUCT, SEG and RTDOSE made small, every link and contour true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from DicomOptimizerLib.job import run
    from DicomOptimizerLib.job import run as optimize
    from DicomOptimizerLib.report import OptimizerReport
    from DicomOptimizerLib.settings import Compression, ContourRule, Dates, OnBadSlice, OptimizerSettings

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

_PLACES = {"run": "job", "optimize": "job", "OptimizerReport": "report"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for, so that panels and worker processes load only what they need."""
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from importlib import import_module

    module = import_module(f"{__name__}.{_PLACES.get(name, 'settings')}")
    return getattr(module, "run" if name == "optimize" else name)
