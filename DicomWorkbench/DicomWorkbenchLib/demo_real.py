"""The demo's steps on real data, where ``WORKBENCH_DATA`` names a folder that holds them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from DicomWorkbenchLib.demo_facts import sphere_facts, sphere_table
from DicomWorkbenchLib.demo_step import Step, Table

_CYLINDERS = [  # of the reference objects, mm LPS
    {"label": "hot cylinder", "diameter_mm": 40, "lps": [635, 509, 37]},
    {"label": "cold cylinder", "diameter_mm": 40, "lps": [389, 514, 42]},
]
_CLICKS = "suv-clicks.json"


def real_scans(real: Path) -> Iterator[Step]:
    """Yield the steps for what of the real data is there."""
    phantom, objects = real / "nema_pet" / "recon_1", sorted((real / "suv").glob("DRO_*/PT"))
    if phantom.is_dir():
        yield _phantom(phantom)
    if objects:
        yield _reference_objects(objects)


def _phantom(scan: Path) -> Step:
    return Step(
        "spheres",
        "SphereVOI: a real scan of the phantom",
        "Six spheres of a scanned NEMA IEC body phantom (MIT licence, gschramm/pynemaiqpet). "
        "What was filled in is not told, so recovery is not judged.",
        ("spheres", str(scan), "-o", "spheres-real", "--auto"),
        "spheres-real",
        {"output_images/slice_0042.png": "One slice with the spheres that were found."},
        sphere_facts,
        table=sphere_table,
    )


def _reference_objects(scans: list[Path]) -> Step:
    return Step(
        "spheres",
        "SphereVOI: SUV of reference objects",
        "Digital reference objects for SUV, each with other units, decay correction or vendor tags (CC BY 4.0, oncoray/suv_computation). "
        "The right answer is the same for all: maximum 4.00, background 1.00.",
        ("spheres", *map(str, scans), "--clicks", _CLICKS, "-o", "suv"),
        "suv",
        before={_CLICKS: json.dumps(_CYLINDERS, indent=2) + "\n"},
        table=suv_table,
    )


def suv_table(output: Path) -> Table:
    """Return maximum and background of every scan of a batch, with the unit each was shown in."""
    batch = json.loads((output / "report.json").read_text(encoding="utf-8"))
    rows = []
    for scan in batch["scans"]:
        report = json.loads((output / scan["folder"] / "report.json").read_text(encoding="utf-8"))
        hottest = max(sphere["max"] for sphere in report["spheres"] if sphere["found"])
        name = Path(report["inputs"][0]["path"]).parents[1].name
        rows.append((name, report["unit"], f"{hottest:.2f}", f"{report['background']['mean']:.2f}"))
    return ("object", "unit", "maximum", "background"), rows, "Measured here; true values 4.00 and 1.00."
