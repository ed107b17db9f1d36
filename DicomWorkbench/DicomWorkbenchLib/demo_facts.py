"""The figures of the demo's page, each taken from the report of the step's command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from DicomWorkbenchLib.demo_step import Facts


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
