"""The texts of the panel's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from TumorAnalysisLib.patient import Role

Entry = Mapping[str, Any]
SHOWN_AT_FIRST = (Role.ORGAN.value, Role.LESION.value)
_LESION_NUMBERS = ("volume_ml", "longest_diameter_mm", "short_axis_mm", "distance_to_surface_mm", "hu_mean")


def patient_rows(patients: Sequence[Entry]) -> list[tuple[str, ...]]:
    """Return the texts of the patient table: id, sex, slices, spacing, number of structures, problems."""
    return [_patient(entry) for entry in patients]


def structure_rows(entry: Entry) -> list[tuple[str, ...]]:
    """Return the texts of the structure table: name, role, volume, overlap with the liver."""
    return [
        (
            one["name"],
            one["role"],
            f"{one['volume_ml']:.2f}",
            "" if one["liver_overlap"] is None else f"{one['liver_overlap']:.0%}",
        )
        for one in entry["structures"]
    ]


def lesion_rows(lesions: Sequence[Entry]) -> list[tuple[str, ...]]:
    """Return the texts of the lesion table."""
    return [
        (one["patient"], one["name"], *("" if one[key] is None else f"{one[key]:.2f}" for key in _LESION_NUMBERS))
        for one in lesions
    ]


def _patient(entry: Entry) -> tuple[str, ...]:
    if entry["status"] != "ok":
        return entry["id"], "", "", "", "", f"{entry['status']}: {entry['reason']}"
    spacing = f"{entry['pixel_mm']:.2f} / {entry['slice_spacing_mm']:.2f}"
    return (
        entry["id"],
        entry["sex"],
        str(entry["slices"]),
        spacing,
        str(len(entry["structures"])),
        "; ".join(entry["warnings"]),
    )
