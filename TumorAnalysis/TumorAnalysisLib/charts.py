"""The figures of the cohort report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from DicomWorkbenchLib.figures import COLORS, new_figure, png_bytes

Row = Mapping[str, Any]
Figure = tuple[bytes, str]
BLUE, ORANGE, GREEN = COLORS[0], COLORS[1], COLORS[2]


def cohort_figures(patients: Sequence[Row], lesions: Sequence[Row]) -> list[Figure]:
    """Draw every figure that the data allow: (PNG, caption)."""
    read = [row for row in patients if row.get("status") == "ok"]
    figures = []
    if read:
        figures += [burden_bars(read), count_against_burden(read)]
    if lesions:
        figures += [lesion_bars(lesions), size_histogram(lesions), diameter_against_volume(lesions)]
        figures += [hu_boxes(read)] if any(row["hu_mean"] is not None for row in lesions) else []
        figures += [capsule_strip(lesions)] if any(row["distance_to_surface_mm"] is not None for row in lesions) else []
    return figures


def burden_bars(patients: Sequence[Row]) -> Figure:
    """Draw one bar per patient, the largest burden first; patients without a lesion stand at zero."""
    known = [(row["id"], 100 * row["burden"], row["tumor_count"]) for row in patients if row["burden"] is not None]
    known.sort(key=lambda item: -item[1])
    figure, axis = new_figure(16, 7.5)
    axis.bar(range(len(known)), [value for _, value, _ in known], color=[BLUE if n else "#b8c2cc" for _, _, n in known])
    for place, (_, value, count) in enumerate(known):
        axis.annotate(f"{count}", (place, value), ha="center", va="bottom", fontsize=7, color="#445")
    axis.set_xticks(range(len(known)), [_short(name) for name, _, _ in known], rotation=60, ha="right", fontsize=7)
    axis.set_ylabel("tumour burden (%)")
    axis.grid(axis="x", visible=False)
    caption = (
        "Tumour burden (tumour over the union of liver and tumour), patients ordered by it; the number of lesions stands above each "
        "bar, patients without a lesion are shown at 0. Ordered like a waterfall plot, which itself would need a second scan."
    )
    return png_bytes(figure), caption


def count_against_burden(patients: Sequence[Row]) -> Figure:
    """Draw number of lesions against burden."""
    known = [row for row in patients if row["burden"] is not None]
    figure, axis = new_figure(12, 8)
    axis.scatter(
        [row["tumor_count"] for row in known], [100 * row["burden"] for row in known], color=BLUE, s=28, alpha=0.8
    )
    axis.set_xlabel("lesions")
    axis.set_ylabel("tumour burden (%)")
    axis.xaxis.get_major_locator().set_params(integer=True)
    return png_bytes(figure), "Number of lesions against tumour burden, one point per patient."


def lesion_bars(lesions: Sequence[Row]) -> Figure:
    """Draw the volume of every lesion, the largest first, on a logarithmic axis."""
    ordered = sorted(lesions, key=lambda row: -row["volume_ml"])
    figure, axis = new_figure(16, 7.5)
    axis.bar(range(len(ordered)), [row["volume_ml"] for row in ordered], color=ORANGE)
    axis.set_yscale("log")
    axis.set_ylabel("volume (ml)")
    if len(ordered) <= 60:
        labels = [f"{_short(row['patient'])} {_short(row['name'])}" for row in ordered]
        axis.set_xticks(range(len(ordered)), labels, rotation=75, ha="right", fontsize=6)
    else:
        axis.set_xlabel(f"{len(ordered)} lesions")
    axis.grid(axis="x", visible=False)
    return png_bytes(figure), "Volume of every lesion, the largest first (logarithmic)."


def size_histogram(lesions: Sequence[Row]) -> Figure:
    """Draw how many lesions have which volume, in classes of equal ratio."""
    volumes = np.array([row["volume_ml"] for row in lesions])
    low, high = np.log10(volumes.min()) - 0.05, np.log10(volumes.max()) + 0.05
    figure, axis = new_figure(12, 8)
    axis.hist(
        volumes,
        bins=np.logspace(low, high, int(np.clip(len(volumes) ** 0.5 * 2, 5, 30)) + 1),
        color=ORANGE,
        edgecolor="white",
    )
    axis.set_xscale("log")
    axis.set_xlabel("volume (ml)")
    axis.set_ylabel("lesions")
    axis.yaxis.get_major_locator().set_params(integer=True)
    return png_bytes(figure), "Distribution of lesion volumes, in classes of equal ratio."


def diameter_against_volume(lesions: Sequence[Row]) -> Figure:
    """Draw longest diameter against volume with the line of spheres."""
    diameters = np.array([row["longest_diameter_mm"] for row in lesions])
    figure, axis = new_figure(12, 8)
    axis.scatter(diameters, [row["volume_ml"] for row in lesions], color=ORANGE, s=22, alpha=0.8, label="lesions")
    line = np.linspace(diameters.min() * 0.9, diameters.max() * 1.1, 50)
    axis.plot(line, np.pi / 6 * line**3 / 1000, color="#667", linewidth=1, label="sphere")
    axis.set_xscale("log")
    axis.set_yscale("log")
    ticks = [tick for tick in (2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200) if line[0] <= tick <= line[-1]]
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    axis.set_xlabel("longest axial diameter (mm)")
    axis.set_ylabel("volume (ml)")
    axis.legend()
    return (
        png_bytes(figure),
        (
            "Longest axial diameter against volume; the line is a sphere. Lesions below it are flatter or more irregular, those above it "
            "consist of several pieces."
        ),
    )


def hu_boxes(patients: Sequence[Row]) -> Figure:
    """Draw CT numbers of lesions beside those of the parenchyma, patient by patient."""
    shown = [row for row in patients if row["tumor_mean_hu"] is not None]
    figure, axis = new_figure(16, 8)
    for what, colour, shift in (("parenchyma", GREEN, -0.2), ("tumor", ORANGE, 0.2)):
        places = [place + shift for place, row in enumerate(shown) if row[f"{what}_mean_hu"] is not None]
        boxes = [_box(row, what) for row in shown if row[f"{what}_mean_hu"] is not None]
        style = {"facecolor": colour, "alpha": 0.75}
        axis.bxp(boxes, positions=places, widths=0.32, showfliers=False, patch_artist=True, manage_ticks=False, boxprops=style,
                 medianprops={"color": "black"})  # fmt: skip
    axis.set_xticks(range(len(shown)), [_short(row["id"]) for row in shown], rotation=60, ha="right", fontsize=7)
    axis.set_xlim(-0.7, len(shown) - 0.3)
    axis.set_ylabel("CT number (HU)")
    axis.legend([_swatch(GREEN), _swatch(ORANGE)], ["liver without lesions", "all lesions"], ncols=2, loc="upper right")
    caption = (
        "CT numbers of the liver without lesions and of all lesions of a patient: line median, box quartiles, whiskers 5th and 95th "
        "percentile."
    )
    return png_bytes(figure), caption


def capsule_strip(lesions: Sequence[Row]) -> Figure:
    """Draw the distance of each lesion to the liver's surface against its size."""
    known = [row for row in lesions if row["distance_to_surface_mm"] is not None]
    figure, axis = new_figure(12, 8)
    axis.scatter(
        [row["longest_diameter_mm"] for row in known],
        [row["distance_to_surface_mm"] for row in known],
        color=BLUE,
        s=22,
        alpha=0.8,
    )
    axis.set_xlabel("longest axial diameter (mm)")
    axis.set_ylabel("distance to the liver surface (mm)")
    axis.set_ylim(bottom=-0.5)
    touching = sum(row["distance_to_surface_mm"] < 1 for row in known)
    return png_bytes(
        figure
    ), f"Distance of each lesion to the liver surface; {touching} of {len(known)} lie within 1 mm of it (subcapsular)."


def _box(row: Row, what: str) -> dict[str, Any]:
    keys = {"whislo": "p5", "q1": "p25", "med": "median", "q3": "p75", "whishi": "p95"}
    return {key: row[f"{what}_{name}_hu"] for key, name in keys.items()} | {"fliers": []}


def _swatch(colour: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, alpha=0.75)


def drawable(text: str) -> str:
    """Replace letters that the font of the figures does not have; everywhere else names stay as they are."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    return "".join(letter if letter.isspace() or font.get_char_index(ord(letter)) else "□" for letter in text)


def _short(name: str) -> str:
    name = drawable(name)
    return name if len(name) <= 18 else f"{name[:8]}…{name[-8:]}"
