"""What the panel shows, as plain values: settings from its fields, table rows, sentences. No Qt and no scene here."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.windowing import PRESETS, Window

from DicomOptimizerLib.settings import OptimizerSettings

HELP = (
    "Makes DICOM series with their RTSTRUCT, SEG and RTDOSE small for the web and keeps every link and contour true. "
    "The input is only read. New UIDs are no anonymisation: use De-identify for that.\n"
    "1. Choose a folder. 2. Check what to do and compare the preview. 3. Run. 4. Open the folder or load the result.\n"
    "Sample: CT with RTSTRUCT under DICOM Workbench in the module Sample Data."
)
REMEMBERED = (
    "decimated", "step", "keepLast", "contours", "eightBit", "level", "width", "legalCt", "resize", "size",
    "compress", "deidentify", "dates", "onBadSlice",
)  # fmt: skip
CUSTOM = "custom"

Fields = Mapping[str, Any]  # the panel's fields by the names of its parameter node


def settings_of(fields: Fields, inputs: Sequence[Path], output: Path | None) -> OptimizerSettings:
    """Build the job from the panel's fields.

    Raises
    ------
    SettingsError : there is no input, nothing is chosen, or a value cannot work.
    """
    if not inputs:
        raise SettingsError("Choose a folder, a volume or a series first.")
    return OptimizerSettings(
        inputs=tuple(inputs),
        output=output,
        decimate=fields["step"] if fields["decimated"] else 1,
        keep_last=fields["keepLast"],
        eight_bit=fields["eightBit"],
        window=Window(fields["level"], fields["width"]),
        legal_ct=fields["legalCt"] and fields["eightBit"],
        resize=fields["size"] if fields["resize"] else None,
        contours=fields["contours"],
        compress=fields["compress"],
        deidentify=fields["deidentify"],
        dates=fields["dates"],
        uid_salt=fields["salt"].strip() or None,
        on_bad_slice=fields["onBadSlice"],
    )


def inspected(fields: Fields, inputs: Sequence[Path]) -> OptimizerSettings:
    """Return the job for a look at the input; where nothing is chosen yet, one that changes neither slices nor pixels."""
    chosen = any(fields[name] for name in ("decimated", "eightBit", "resize", "deidentify"))
    plain = {} if chosen or fields["compress"] != "none" else {"deidentify": True}
    return settings_of({**fields, **plain}, inputs, None)


def preset_of(level: float, width: float) -> str:
    """Return the name of the preset that a window is, or "custom"."""
    return next((name for name, window in PRESETS.items() if (window.level, window.width) == (level, width)), CUSTOM)


def run_obstacle(fields: Fields, inputs: Sequence[Path], output: Path | None, *, needs_output: bool) -> str:
    """Say why the job cannot start, for the button's tool tip; empty if it can."""
    try:
        settings_of(fields, inputs, output)
    except SettingsError as error:
        text = str(error)
        return text[:1].upper() + text[1:]
    if needs_output and output is None:
        return "Choose an output folder under Advanced; nothing is written into the DICOM database."
    return ""


def chosen(series: Sequence[Path], volume: Sequence[Path], folder: Path) -> list[Path]:
    """Return what the user chose: a series of the database before a volume before the folder."""
    return list(series) or list(volume) or ([folder] if folder.name else [])


def output_of(folder: Path) -> Path | None:
    """Return the output folder, None if the field is empty."""
    return folder if folder.name else None


def enabled(fields: Fields) -> dict[str, bool]:
    """Say which widgets have something to set: the options of techniques that are chosen."""
    owners = {
        "decimated": ("stepSpinBox", "keepLastCheckBox", "contoursComboBox"),
        "eightBit": ("presetComboBox", "levelSpinBox", "widthSpinBox", "legalCtCheckBox"),
        "resize": ("sizeSpinBox",),
        "deidentify": ("datesComboBox",),
    }
    return {widget: bool(fields[technique]) for technique, widgets in owners.items() for widget in widgets}


def look_texts(report: Mapping[str, Any], fields: Fields, inputs: Sequence[Path]) -> tuple[str, str]:
    """Return what the pictures show, and how large the result will be."""
    is_plain = bool(run_obstacle(fields, inputs, None, needs_output=False))
    shown = f"Before and after: {report['shown']}" if report["shown"] else "No preview."
    return shown, expected_text(report, is_plain=is_plain)


def recalled(text: str) -> dict[str, Any]:
    """Read the fields that `json.dumps` made of the last run; what does not belong there is passed over."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return {name: value for name, value in found.items() if name in REMEMBERED} if isinstance(found, dict) else {}


def series_rows(report: Mapping[str, Any]) -> list[list[tuple[str, str]]]:
    """Return per series the cells of its row, with its problems as their tool tip."""
    rows = []
    for one in report["series"]:
        slices = (
            f"{one['slices']} → {one['slices_after']}" if one["slices_after"] != one["slices"] else f"{one['slices']}"
        )
        size = f"{one['columns']}×{one['rows']}"
        linked = ", ".join(dict.fromkeys(one["linked"]))
        cells = [
            one["label"],
            slices,
            size,
            f"{one['bytes_before'] / 1e6:.1f}",
            linked,
            str(len(one["problems"]) or ""),
        ]
        tip = "\n".join(one["problems"]) or "No problems."
        rows.append([(cell, tip) for cell in cells])
    return rows


def expected_text(report: Mapping[str, Any], *, is_plain: bool) -> str:
    """Say how large the result will be."""
    before, after = report["bytes_before"], report["expected_bytes"]
    if is_plain or not after:
        return f"{before / 1e6:.1f} MB; choose what to do"
    return f"Expected size: {before / 1e6:.1f} MB → about {after / 1e6:.1f} MB ({before / after:.1f} times smaller)"


def pictures(report: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return before and after as PNG; empty if there is no preview."""
    return base64.b64decode(report["before_png"]), base64.b64decode(report["after_png"])


def summary_text(report: Mapping[str, Any]) -> str:
    """Say what came of the job, in the order a user asks: size, contours, warnings."""
    m = report["measured"]
    lines = [
        f"{m['bytes_before'] / 1e6:.1f} MB → {m['bytes_after'] / 1e6:.1f} MB ({m['times_smaller']:.1f} times smaller), "
        f"{m['slices_before']} → {m['slices_after']} slices, {report['seconds']:.1f}\u00a0s.",
        Path(report["output"]).name.replace("_", "_\u200b"),  # may be broken into lines there
    ]
    if any(one["rois"] for one in report["linked"]):
        lines.append(
            f"Contours: {m['contours_moved']} moved (at most {m['farthest_move_mm']:.2f} mm), {m['contours_merged']} merged, "
            f"{m['contours_dropped']} dropped because their neighbour has its own."
        )
    lines += [f"Warning: {text}" for text in report["warnings"]]
    return "\n".join(lines)


def in_panel_words(text: str) -> str:
    """Return a message of the job with the panel's own words for what it says of the command's options."""
    return text.replace("use --on-bad-slice skip", "set Bad slices to skip under Advanced")


def result_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Return one row per ROI or segment."""
    rows = []
    for one in report["linked"]:
        for roi in one["rois"]:
            farthest = max((abs(mm) for mm in roi["moved_mm"]), default=0.0)
            name = roi["name"] or f"{one['modality']} {roi['number']}"
            counts = (roi["kept"] + roi["untouched"], roi["moved"], roi["merged"] + roi["blended"], roi["dropped"])
            rows.append([name, *(str(count) for count in counts), f"{farthest:.2f}"])
    return rows
