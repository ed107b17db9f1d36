"""The figures of the demo's page, each taken from the report of the step's command."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.demo_step import Facts, Table

_PHANTOM_TRUTH = "data/pet-phantom/truth.json"


def optimizer_facts(report: Mapping[str, Any]) -> Facts:
    """Size before and after, slices, and how far contours moved."""
    m = report.get("measured", {})
    if not m:
        return []
    return [
        (f"{m['bytes_before'] / 1e6:.1f} MB", "before"),
        (f"{m['bytes_after'] / 1e6:.1f} MB", "after"),
        (f"{m['slices_before']} → {m['slices_after']}", "slices"),
        (f"{m['farthest_move_mm']:.1f} mm", "farthest move of a contour"),
    ]


def sphere_facts(report: Mapping[str, Any]) -> Facts:
    """How many spheres were found."""
    spheres = report.get("spheres", [])
    found = sum(bool(sphere.get("found")) for sphere in spheres)
    return [(f"{found} of {len(spheres)}", "spheres found")] if spheres else []


def sphere_table(output: Path) -> Table:
    """Return the spheres of a scan: uncertainty, values and, for the sample phantom, how far the centre is from the truth."""
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    truth = _true_centers(output.parent) if output.name == "spheres" else []
    background = report["background"]["mean"]
    header = [
        "sphere",
        *(["off the true centre, mm"] if truth else []),
        "uncertainty, mm",
        "mean",
        "maximum",
        "mean / background",
    ]
    rows = []
    for sphere in (one for one in report["spheres"] if one["found"]):
        off = [f"{min(math.dist(sphere['center_lps_mm'], center) for center in truth):.2f}"] if truth else []
        values = [_valued(sphere["mean"]), _valued(sphere["max"]), f"{sphere['mean'] / background:.2f}"]
        rows.append([sphere["label"], *off, f"{math.hypot(*sphere['sigma_mm']):.2f}", *values])
    unit = "as stored, the file names no unit" if report["unit"] == "unknown" else f"in {report['unit']}"
    return (
        header,
        rows,
        f"Mean and maximum {unit}. Uncertainty: one standard deviation of the centre, in three dimensions.",
    )


def _valued(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def _true_centers(demo: Path) -> list[Sequence[float]]:
    truth = json.loads((demo / _PHANTOM_TRUTH).read_text(encoding="utf-8"))
    return [sphere["center_lps_mm"] for sphere in truth["spheres"]]


def tumor_facts(report: Mapping[str, Any]) -> Facts:
    """Patients, lesions and, of a single patient, the burden."""
    patients = report.get("patients", [])
    lesions = sum(patient.get("tumor_count") or 0 for patient in patients)
    facts = [_counted(len(patients), "patient"), _counted(lesions, "lesion")]
    if len(patients) == 1 and patients[0].get("burden") is not None:
        facts.append((f"{100 * patients[0]['burden']:.2f} %", "of the liver is tumour"))
    return facts


def _counted(number: int, what: str) -> tuple[str, str]:
    return str(number), what if number == 1 else f"{what}s"


def served_facts(report: Mapping[str, Any]) -> Facts:
    """What the server listed and rendered."""
    return [
        (str(report["studies"]), "study found by QIDO-RS"),
        (str(report["instances"]), "instances in the series"),
        (f"{report['bytes'] / 1e3:.0f} kB", "rendered frame, PNG"),
    ]
