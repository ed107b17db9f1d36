"""What the panel decides, without Qt and MRML: presets, units, settings, and which clicks have to be refined again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import WorkbenchError
from DicomWorkbenchLib.geometry import Point3
from DicomWorkbenchLib.headers import read_dataset

from SphereVOILib.grid import Grid
from SphereVOILib.measure import require_volume
from SphereVOILib.refine import Refined, high_level, refine
from SphereVOILib.report import UNKNOWN_UNIT
from SphereVOILib.scans import write_volume
from SphereVOILib.settings import (
    IEC_DIAMETERS_MM,
    EarlVersion,
    MeasureSettings,
    Method,
    Polarity,
    RefineSettings,
    Region,
    SphereSettings,
    SphereTarget,
    Unit,
    targets_from_json,
    targets_of,
    targets_to_json,
)
from SphereVOILib.suv import SuvScaling, suv_scaling
from SphereVOILib.suv_header import pet_header

HELP = (
    "Finds and measures the spheres of a PET or SPECT phantom and judges the scanner.\n"
    "1. Choose the scan. 2. Find automatically, or Place spheres and click each once, roughly. 3. Measure. 4. Export.\n"
    "Sample: PET phantom under DICOM Workbench in the module Sample Data."
)
IEC, IEC_COLD = "IEC body phantom", "IEC body phantom, 37 and 28 mm cold"
COLD_MM = (37.0, 28.0)  # NEMA NU 2 before 2018
FEW_FILES = 3  # headers read for the line under the volume; the job itself reads all of them
RESULT_COLUMNS = ("label", "mean", "max", "suv_peak", "sd", "fwhm_mm")
PRESETS = "SphereVOI/presets"  # key in Slicer's settings
VALUES = ("unit", "method", "region", "searchMm", "wallMm", "contrast", "nema", "earl")  # of the panel, needed by a job


def presets() -> dict[str, str]:
    """Return the sets of spheres that come with the panel, by name, as `targets_to_json` writes them."""
    cold = [SphereTarget(t.label, t.diameter_mm, None, _usual(t.diameter_mm)) for t in targets_of(IEC_DIAMETERS_MM)]
    return {IEC: targets_to_json(targets_of(IEC_DIAMETERS_MM)), IEC_COLD: targets_to_json(tuple(cold))}


def all_presets(saved: str) -> dict[str, str]:
    """Return our sets of spheres and the user's, which Slicer's settings hold as JSON; what cannot be read is left out."""
    try:
        own = json.loads(saved or "{}")
    except ValueError:
        own = {}
    return {**(own if isinstance(own, dict) else {}), **presets()}


def presets_with(known: Mapping[str, str], name: str, targets: str) -> str:
    """Return what Slicer's settings shall hold: the user's sets and a new one; ours keep their names."""
    own = {n: t for n, t in known.items() if n not in presets()}
    return json.dumps(own if name in presets() else {**own, name: targets})


def _usual(diameter_mm: float) -> Polarity:
    return Polarity.COLD if diameter_mm in COLD_MM else Polarity.HOT


def changed_table(targets: str, row: int, column: int, text: str) -> str:
    """Return the table with one cell changed; the old one where the text cannot be."""
    rows = list(targets_from_json(targets))
    old = rows[row]
    try:
        label = text.strip() if column == 0 else old.label
        diameter = float(text.replace(",", ".").replace("mm", "")) if column == 1 else old.diameter_mm
        polarity = Polarity(text.strip().lower()) if column == 2 else old.polarity
        if column == 1 and old.label.endswith(f"{old.diameter_mm:g} mm"):
            label = old.label.removesuffix(f"{old.diameter_mm:g} mm") + f"{diameter:g} mm"
        if label and all(label != other.label for n, other in enumerate(rows) if n != row):
            rows[row] = SphereTarget(label, diameter, None, polarity)
    except ValueError:
        return targets
    return targets_to_json(tuple(rows))


def longer_table(targets: str) -> str:
    """Return the table with another sphere like the last one."""
    rows = targets_from_json(targets)
    diameter = rows[-1].diameter_mm if rows else IEC_DIAMETERS_MM[0]
    taken = {t.label for t in rows}
    number = next(n for n in range(len(rows) + 1, len(rows) + 1000) if f"S{n} {diameter:g} mm" not in taken)
    return targets_to_json((*rows, SphereTarget(f"S{number} {diameter:g} mm", diameter)))


def shorter_table(targets: str, row: int) -> str:
    """Return the table without one row."""
    rows = targets_from_json(targets)
    return targets_to_json((*rows[:row], *rows[row + 1 :]))


def scaling_of(files: Sequence[Path], units: str, wanted: Unit) -> SuvScaling:
    """Return what the panel says about a volume's units, from a few of its files, or from what the node itself says."""
    if not files:
        return SuvScaling(
            units or UNKNOWN_UNIT,
            reason="" if units else "it does not come from DICOM files",
        )
    step = max(1, len(files) // FEW_FILES)
    try:
        return suv_scaling(pet_header([read_dataset(f, pixels=False) for f in files[::step]]), wanted)
    except WorkbenchError as error:
        return SuvScaling(units or UNKNOWN_UNIT, reason=str(error))


def values_of(parameters: Any) -> dict[str, Any]:
    """Return the panel's values that a job needs, by name."""
    return {name: getattr(parameters, name) for name in VALUES}


def refine_settings(values: Mapping[str, Any]) -> RefineSettings:
    """Build the settings of refinement from the panel's values."""
    return RefineSettings(Method(values["method"]), values["searchMm"], values["wallMm"])


def job_settings(
    values: Mapping[str, Any],
    grid: Grid,
    files: Sequence[Path],
    folder: Path,
    targets: Sequence[SphereTarget],
    units: str,
    auto: bool,
) -> SphereSettings:
    """Build the settings of a job.

    Parameters
    ----------
    values : the panel's, by name.
    grid : the volume; written into ``folder`` for the child where it has no files of its own.
    folder : an empty folder for the volume and the results.
    units : of the volume's values, where it has no files.
    """
    earl = None if values["earl"] == "no" else EarlVersion(values["earl"])
    measure = MeasureSettings(
        refine_settings(values), Region(values["region"]), values["contrast"], values["nema"], earl, auto
    )
    placed = tuple(t for t in targets if auto or t.lps_mm is not None)
    inputs = tuple(files) or (write_volume(folder / "volume.nrrd", grid),)
    return SphereSettings(inputs, folder / "results", placed, measure, Unit(values["unit"]), units)


class Refiner:
    """Refines the clicks of one volume and remembers them, so that dragging one point costs one refinement."""

    def __init__(self, grid: Grid) -> None:
        require_volume(grid)
        self.grid = grid
        self._level = high_level(grid)
        self._known: dict[tuple[SphereTarget, RefineSettings], Refined] = {}

    def refined(self, targets: Sequence[SphereTarget], settings: RefineSettings) -> list[Refined]:
        """Return the refined spheres of all targets that have a click."""
        known = {}
        for target in targets:
            if target.lps_mm is not None:
                key = (target, settings)
                known[key] = self._known.get(key) or refine(self.grid, target, settings, self._level)
        self._known = known
        return list(known.values())


def state_of(refined: Refined | None) -> tuple[str, str]:
    """Return the text of a sphere's last column and its tool tip."""
    if refined is None:
        return "", "not placed yet"
    if not refined.found:
        return "not found", refined.reason
    error = None if refined.fit is None else float(max(refined.fit.sigma_mm))
    sigma = "" if error is None else f", sigma {error:.2f} mm"
    width = "" if refined.fit is None else f", {refined.fit.fwhm_mm:.1f} mm FWHM"
    moved = refined.moved_mm or 0.0
    return f"{moved:.1f}" + (
        "" if error is None else f" ± {error:.2f}"
    ), f"{refined.polarity}, moved {moved:.2f} mm{sigma}{width}"


Cell = tuple[str, str]  # text and tool tip


def target_rows(targets: str, refined: Mapping[str, Refined]) -> list[list[Cell]]:
    """Return the table of targets: label, diameter, polarity, and what became of the click."""
    rows = []
    for target in targets_from_json(targets):
        text, tip = state_of(refined.get(target.label))
        cells = (target.label, f"{target.diameter_mm:g}", str(target.polarity), text)
        rows.append([(cell, tip) for cell in cells])
    return rows


def result_rows(report: Mapping[str, Any]) -> list[list[Cell]]:
    """Return the table of results; the tool tip of a sphere that was not found says why."""
    rows = []
    for sphere in report["spheres"]:
        texts = ["–" if sphere[name] is None else f"{sphere[name]:#.4g}" for name in RESULT_COLUMNS[1:]]
        rows.append([(text, sphere["reason"]) for text in (sphere["label"], *texts)])
    return rows


def with_iec(targets: str) -> str:
    """Return the table if it holds the IEC phantom's six spheres, which can be found without clicks; otherwise that phantom's."""
    own = sorted(t.diameter_mm for t in targets_from_json(targets))
    return targets if own == sorted(IEC_DIAMETERS_MM) else presets()[IEC]


def clicks_of(report: Mapping[str, Any]) -> list[tuple[str, Point3]]:
    """Return labels and clicks of a report, those of spheres found without clicks too."""
    return [(s["label"], tuple(s["click_lps_mm"])) for s in report["spheres"] if s["click_lps_mm"]]


def summary_of(report: Mapping[str, Any]) -> str:
    """Return what stands under the result table."""
    found = sum(bool(s["found"]) for s in report["spheres"])
    unit = report["unit"] if report["unit"] != UNKNOWN_UNIT else "of unknown unit"
    lines = [
        f"{found} of {len(report['spheres'])} spheres found. Values {'in ' if unit == report['unit'] else ''}{unit}."
    ]
    if report["background"]["mean"] is not None:
        lines.append(f"Background {report['background']['mean']:#.4g}, SD {report['background']['sd']:.3g}.")
    if report.get("ring"):
        lines.append(f"Ring radius {report['ring']['radius_mm']:.2f} mm (nominal 57.2).")
    if report.get("nema") and report["nema"]["lung_residual_percent"] is not None:
        lines.append(f"Lung residual {round(report['nema']['lung_residual_percent'], 1) + 0.0:.1f} %.")
    if report.get("earl"):
        passed = sum(s["verdict"] == "pass" for s in report["earl"]["spheres"])
        lines.append(f"EARL {report['earl']['version']}: {passed} of {len(report['earl']['spheres'])} pass.")
    return "\n".join([" ".join(lines), *(f"Warning: {w.replace(' (--contrast)', '')}." for w in report["warnings"])])


WHY_NOT = {
    "volume": "Choose a scan first.",
    "busy": "Wait for the running job, or cancel it.",
    "points": "Place the spheres first.",
    "results": "Measure first.",
}
BUTTONS = {
    "placeButton": (("volume", "busy"), "Click each sphere once, in the table's order, on any slice."),
    "undoButton": (("points", "busy"), "Take back the last click."),
    "clearButton": (("points", "busy"), "Take back all clicks."),
    "findButton": (("volume", "busy"), "Find the IEC body phantom's six spheres and measure them."),
    "measureButton": (("volume", "points", "busy"), "Measure all placed spheres."),
    "exportButton": (
        ("busy", "results"),
        "Write pictures, Excel files, report, markups and segmentation into a new folder.",
    ),
}


def button_states(volume: bool, points: bool, busy: bool, results: bool) -> dict[str, tuple[bool, str]]:
    """Return, for every button by name, whether it is enabled, and its tool tip: what it does, or why it does not."""
    given = {"volume": volume, "points": points, "busy": not busy, "results": results}
    states = {}
    for name, (needs, tip) in BUTTONS.items():
        reason = next((WHY_NOT[need] for need in needs if not given[need]), "")
        states[name] = (not reason, reason or tip)
    return states
