"""Liver tumours of many patients, or any segmentation, to measurements per lesion, pictures and a cohort report.

`run` writes everything, `analyse_cohort` returns a data frame, `analyse_patient` measures one patient.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from TumorAnalysisLib.analysis import PatientResult, analyse_patient
    from TumorAnalysisLib.job import analyse_cohort, run
    from TumorAnalysisLib.report import TumorReport
    from TumorAnalysisLib.settings import Override, TumorSettings

__all__ = ["Override", "PatientResult", "TumorReport", "TumorSettings", "analyse_cohort", "analyse_patient", "run"]

_HOME = {
    "analyse_cohort": "job",
    "run": "job",
    "analyse_patient": "analysis",
    "PatientResult": "analysis",
    "TumorReport": "report",
    "Override": "settings",
    "TumorSettings": "settings",
}


def __getattr__(name: str) -> Any:
    # Each name is imported when it is first used, so that reading the table of commands stays quick.
    if name not in _HOME:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
