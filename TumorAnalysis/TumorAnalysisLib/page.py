"""``report.html``: the cohort for somebody who reads it with a cup of coffee, in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from DicomWorkbenchLib.pages import Page

from TumorAnalysisLib.charts import cohort_figures
from TumorAnalysisLib.definitions import DEFINITIONS
from TumorAnalysisLib.tables_of import CohortRows

Row = Mapping[str, Any]


@dataclass(frozen=True)
class PatientPictures:
    """Pictures of one patient, PNG; None where there is nothing to show; and what could not be written."""

    patient: str
    surface: bytes | None
    montage: bytes | None
    warnings: tuple[str, ...] = ()


def report_page(rows: CohortRows, pictures: Sequence[PatientPictures], *, connectivity: int, title: str) -> Page:
    """Build the page: figures of the cohort first, then patient by patient, then definitions."""
    read = [row for row in rows.patients if row["status"] == "ok"]
    page = Page(title, "Liver tumours of a cohort: measurements per lesion, per patient and over all patients.")
    page.facts(_facts(rows, read, connectivity))
    _problems(page, rows)
    page.section("Cohort")
    _cohort_table(page, rows)
    page.images(cohort_figures(rows.patients, rows.lesions))
    page.section("Patients")
    _patient_table(page, rows.patients, connectivity)
    _review_table(page, rows)
    by_patient = {one.patient: one for one in pictures}
    for row in read:
        _patient(page, row, rows, by_patient.get(row["id"]))
    page.section("Definitions")
    page.table(["term", "definition", "source"], DEFINITIONS)
    return page


def _facts(rows: CohortRows, read: list[dict[str, Any]], connectivity: int) -> list[tuple[str, str]]:
    positive = [row for row in read if row["tumor_count"]]
    burdens = sorted(row["burden"] for row in positive if row["burden"] is not None)
    facts = [
        (f"{len(read)} of {len(rows.patients)}", "patients read"),
        (f"{len(positive)}", "patients with liver lesions"),
        (f"{len(rows.lesions)}", "lesions (masks)"),
        (f"{sum(row['tumor_count_components'] for row in read)}", f"connected pieces ({connectivity} neighbours)"),
        (f"{sum(row['tumor_volume_ml'] for row in read):.1f} ml", "tumour volume in all"),
    ]
    if burdens:
        middle = (burdens[(len(burdens) - 1) // 2] + burdens[len(burdens) // 2]) / 2
        facts.append((f"{100 * middle:.2f} %", "median burden of patients with lesions"))
    return facts


def _problems(page: Page, rows: CohortRows) -> None:
    unread = [row for row in rows.patients if row["status"] != "ok"]
    page.warnings([f"{row['id']}: {row['status']}. {row['reason']}" for row in unread])


def _cohort_table(page: Page, rows: CohortRows) -> None:
    spread = [row for row in rows.cohort if row["n"] is not None]
    header = ["measure", "unit", "n", "median", "quartiles", "range", "mean ± SD"]
    page.table(
        header,
        [_spread_line(row) for row in spread],
        "Medians and quartiles; zeros of patients without lesions included unless said otherwise.",
    )


def _spread_line(row: Row) -> list[Any]:
    sd = "" if row["sd"] is None else f" ± {_figures(row['sd'])}"
    quartiles, extremes = (
        f"{_figures(row['q1'])} – {_figures(row['q3'])}",
        f"{_figures(row['minimum'])} – {_figures(row['maximum'])}",
    )
    return [
        row["measure"],
        row["unit"],
        row["n"],
        float(f"{row['median']:.4g}"),
        quartiles,
        extremes,
        f"{_figures(row['mean'])}{sd}",
    ]


def _patient_table(page: Page, patients: Sequence[Row], connectivity: int) -> None:
    header = [
        "patient",
        "sex",
        "slices",
        "lesions",
        f"pieces ({connectivity})",
        "tumour ml",
        "liver ml",
        "burden %",
        "longest mm",
        "targets: sum mm",
        "warnings",
    ]
    lines = []
    for row in patients:
        if row["status"] != "ok":
            lines.append([row["id"], "", None, (row["status"], "bad"), None, None, None, None, None, "", row["reason"]])
            continue
        measured = [
            row["tumor_count"],
            row["tumor_count_components"],
            _round(row["tumor_volume_ml"]),
            _round(row["liver_volume_ml"]),
        ]
        burden = None if row["burden"] is None else _round(100 * row["burden"])
        sum_mm = (
            f"{row['recist_targets']}: {row['recist_sum_of_longest_diameters_mm']:.1f}"
            if row["recist_targets"]
            else "none"
        )
        lines.append(
            [
                row["id"],
                row["sex"],
                row["slices"],
                *measured,
                burden,
                _round(row["longest_diameter_mm"]),
                sum_mm,
                row["warning_count"],
            ]
        )
    page.table(
        header, lines, "Burden: tumour over the union of liver and tumour. Targets after RECIST 1.1, baseline only."
    )


def _review_table(page: Page, rows: CohortRows) -> None:
    review = [row for row in rows.structures if row["role"] == "extra-hepatic"]
    if review:
        page.section(
            "Outside the liver, or for review",
            "These masks are not counted as liver lesions. Override the role where it is wrong.",
            level=3,
        )
        lines = [
            [
                r["patient"],
                r["name"],
                _round(r["volume_ml"]),
                _percent(r["liver_overlap"]),
                _percent(r["liver_overlap_dilated"]),
                r["reason"],
            ]
            for r in review
        ]
        page.table(["patient", "structure", "volume ml", "in liver", "in dilated liver", "why"], lines)


def _patient(page: Page, row: Row, rows: CohortRows, pictures: PatientPictures | None) -> None:
    lesions = [one for one in rows.lesions if one["patient"] == row["id"]]
    page.section(row["id"], _sentence(row), level=3)
    if lesions:
        header = [
            "lesion",
            "volume ml",
            "longest mm",
            "between mm",
            "short mm",
            "Feret mm",
            "spheric.",
            "surface mm",
            "mean HU",
            "Δ HU",
            "pieces",
            "RECIST",
        ]
        page.table(header, [_lesion_line(one) for one in lesions])
        pieces = [one for one in rows.components if one["patient"] == row["id"]]
        if pieces:
            page.table(
                ["piece", *header[1:10]],
                [_lesion_line(one)[:10] for one in pieces],
                "Connected pieces of lesions that have several.",
            )
    if pictures:
        found = [(pictures.surface, f"{row['id']}: liver and lesions from the front.")] if pictures.surface else []
        found = [(png, said) for png, said in found if png]
        if pictures.montage:
            said = "Slices of the longest diameter (yellow) with the short axis (blue); lesion red, liver green. Window 60/160 HU."
            found.append((pictures.montage, said))
        page.images([(png, said) for png, said in found if png is not None])
    own = [one for one in rows.warnings if one["patient"] == row["id"]]
    page.warnings([one["warning"] for one in own if one["kind"] == "warning"])
    notes = [one["warning"] for one in own if one["kind"] == "note"]
    if notes:
        page.paragraph("Notes: " + "; ".join(notes) + ".")


def _sentence(row: Row) -> str:
    geometry = f"{row['slices']} slices of {row['slice_spacing_mm']:.2f} mm, pixels of {row['pixel_mm']:.2f} mm."
    if not row["tumor_count"]:
        return f"No liver lesion. {geometry}"
    burden = "" if row["burden"] is None else f", burden {100 * row['burden']:.2f} %"
    return f"{_counted(row['tumor_count'], 'lesion')}, {row['tumor_volume_ml']:.2f} ml{burden}. {geometry}"


def _lesion_line(one: Row) -> list[Any]:
    between = f"{one['longest_diameter_lower_mm']:.1f} – {one['longest_diameter_upper_mm']:.1f}"
    recist = "target" if one["recist_target"] else "measurable" if one["recist_measurable"] else "not measurable"
    numbers = (one["distance_to_surface_mm"], one["hu_mean"], one["contrast_to_parenchyma_hu"])
    shown = [None if value is None else round(value, 1) for value in numbers]
    size = [
        _round(one["volume_ml"]),
        round(one["longest_diameter_mm"], 1),
        between,
        round(one["short_axis_mm"], 1),
        round(one["feret_mm"], 1),
    ]
    return [one["name"], *size, round(one["sphericity"], 2), *shown, one["components_26"], recist]


def _figures(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{fraction:.0%}"
