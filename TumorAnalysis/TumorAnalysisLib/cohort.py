"""Statistics over patients: with and without those who have no lesion, medians and quartiles before means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Row = Mapping[str, Any]


def cohort_rows(patients: Sequence[Row], lesions: Sequence[Row], components: int) -> list[dict[str, Any]]:
    """Return measure and value, one line each.

    Parameters
    ----------
    patients, lesions : rows of those tables.
    components : connected pieces with the chosen connectivity, summed over patients.
    """
    read = [row for row in patients if row["status"] == "ok"]
    positive = [row for row in read if row["tumor_count"]]
    rows: list[dict[str, Any]] = [
        _line("patients found", len(patients)),
        _line("patients read", len(read)),
        _line("patients that could not be read", sum(row["status"] == "failed" for row in patients)),
        _line("patients given twice", sum(row["status"] == "duplicate" for row in patients)),
        _line("patients with lesions", len(positive)),
        _line("patients without lesions", len(read) - len(positive)),
        _line("lesions", len(lesions)),
        _line("components of lesions", components),
    ]
    rows += _spread("lesions per patient", "", [row["tumor_count"] for row in read], len(positive))
    rows += _spread("tumour volume per patient", "ml", [row["tumor_volume_ml"] for row in read], len(positive))
    rows += _spread("liver volume", "ml", [row["liver_volume_ml"] for row in read], 0)
    rows += _spread(
        "burden (tumour over union of liver and tumour)", "", [row["burden"] for row in read], len(positive)
    )
    rows += _spread(
        "RECIST sum of longest diameters", "mm", [row["recist_sum_of_longest_diameters_mm"] for row in positive], 0
    )
    for name, unit in (
        ("volume", "ml"),
        ("longest_diameter", "mm"),
        ("short_axis", "mm"),
        ("sphericity", ""),
        ("distance_to_surface", "mm"),
    ):
        rows += _spread(
            f"lesion {name.replace('_', ' ')}", unit, [row[f"{name}_{unit}" if unit else name] for row in lesions], 0
        )
    rows += _spread("lesion contrast to parenchyma", "HU", [row["contrast_to_parenchyma_hu"] for row in lesions], 0)
    return rows


def _spread(name: str, unit: str, values: Sequence[float | None], positive: int) -> list[dict[str, Any]]:
    """Describe all values and, where zeros stand for patients without lesions, the rest once more."""
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    rows = [_line(name, None, unit, known)] if known.size else []
    if positive and known.size > np.count_nonzero(known) > 0:
        rows.append(_line(f"{name}, only patients with lesions", None, unit, known[known > 0]))
    return rows


def _line(name: str, value: float | None, unit: str = "", values: Any = None) -> dict[str, Any]:
    row: dict[str, Any] = {"measure": name, "unit": unit, "value": value}
    keys = ("n", "median", "q1", "q3", "minimum", "maximum", "mean", "sd")
    if values is None:
        return row | dict.fromkeys(keys)
    q1, median, q3 = (float(v) for v in np.percentile(values, [25, 50, 75]))
    sd = float(values.std(ddof=1)) if values.size > 1 else None
    spread = (int(values.size), median, q1, q3, float(values.min()), float(values.max()), float(values.mean()), sd)
    return row | dict(zip(keys, spread, strict=True))
