"""The report of a cohort analysis: ``report.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from DicomWorkbenchLib.report import Report


@dataclass
class TumorReport(Report):
    """What `run` returns and writes.

    Attributes
    ----------
    patients : one entry per patient found, read or not: ``id``, ``status`` (ok, failed, duplicate), ``reason``, counts, volumes, the
        three burdens, ``warnings``, ``structures`` and ``lesions``; see docs/tumors.md for every field.
    cohort : measure, unit and value or spread, one entry per line of the sheet Cohort.
    """

    patients: list[dict[str, Any]] = field(default_factory=list)
    cohort: list[dict[str, Any]] = field(default_factory=list)

    @property
    def read(self) -> list[dict[str, Any]]:
        """The patients that could be read."""
        return [entry for entry in self.patients if entry["status"] == "ok"]
