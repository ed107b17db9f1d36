"""``dicom-workbench spheres``: find and measure the spheres of PET phantoms."""

from __future__ import annotations

from pathlib import Path

import click
from DicomWorkbenchLib.cli import job_options, run_job

from SphereVOILib.clicks import read_clicks
from SphereVOILib.job import run
from SphereVOILib.report import SphereReport, unit_after
from SphereVOILib.settings import (
    IEC_DIAMETERS_MM,
    EarlVersion,
    MeasureSettings,
    Method,
    RefineSettings,
    Region,
    SphereSettings,
    SphereTarget,
    Unit,
    targets_of,
)


def parse_diameters(
    context: click.Context | None, parameter: click.Parameter | None, text: str | None
) -> tuple[float, ...]:
    """Read "37,28,22" as millimetres."""
    if not text:
        return ()
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of numbers such as 37,28,22,17,13,10") from None
    if any(not value > 0 for value in values):
        raise click.BadParameter("every diameter must be positive, in mm")
    return values


def _choice(values: type[Method] | type[Region] | type[Unit] | type[EarlVersion]) -> click.Choice[str]:
    return click.Choice([str(value) for value in values])


@click.command(name="spheres")
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the results; must not exist."
)
@click.option("--clicks", type=click.Path(path_type=Path), help="Clicks: our JSON list, or .mrk.json of Slicer.")
@click.option("--auto", is_flag=True, help="Find the IEC body phantom's six spheres without clicks.")
@click.option("--diameters", callback=parse_diameters, help="Inner diameters in mm, e.g. 37,28,22,17,13,10.")
@click.option(
    "--search", "search_mm", type=float, default=10.0, show_default=True, help="Search around each click, mm."
)
@click.option(
    "--method", type=_choice(Method), default="fit", show_default=True, help="grid: integer voxels, as older scripts."
)
@click.option("--psf-wall", "wall_mm", type=float, default=1.0, show_default=True, help="Wall without activity, mm.")
@click.option(
    "--contrast", type=float, default=4.0, show_default=True, help="True sphere-to-background concentration ratio."
)
@click.option(
    "--region", type=_choice(Region), default="sphere", show_default=True, help="What statistics are taken over."
)
@click.option("--unit", type=_choice(Unit), default="suvbw", show_default=True, help="What PET values are shown in.")
@click.option(
    "--value-unit", default="", help="Unit of NIfTI and NRRD values, where you know it; such files do not say."
)
@click.option(
    "--nema", is_flag=True, help="Contrast recovery, background variability and lung residual after NEMA NU 2."
)
@click.option("--earl", type=_choice(EarlVersion), help="Judge recovery coefficients by an EARL standard.")
@job_options
def command(
    inputs: tuple[Path, ...],
    output: Path,
    clicks: Path | None,
    auto: bool,
    diameters: tuple[float, ...],
    search_mm: float,
    method: str,
    wall_mm: float,
    contrast: float,
    region: str,
    unit: str,
    value_unit: str,
    nema: bool,
    earl: str | None,
    as_json: bool,
    progress_style: str,
) -> None:
    """Find the spheres of a PET or SPECT phantom to a fraction of a voxel, measure them, and judge the scanner.

    INPUT are folders, files or archives with DICOM, or NIfTI and NRRD volumes; every scan found is measured.
    """
    if auto == (clicks is not None):
        raise click.UsageError("give the spheres' places with --clicks FILE, or let them be found with --auto")
    refine = RefineSettings(Method(method), search_mm, wall_mm)
    measure = MeasureSettings(refine, Region(region), contrast, nema, EarlVersion(earl) if earl else None, auto)
    settings = SphereSettings(inputs, output, _targets(clicks, diameters), measure, Unit(unit), value_unit)
    run_job(
        lambda progress, cancel: run(settings, progress, cancel),
        as_json=as_json,
        progress_style=progress_style,
        summary=lambda report: summary(report, output),
    )


def _targets(clicks: Path | None, diameters: tuple[float, ...]) -> tuple[SphereTarget, ...]:
    if clicks is None:
        return targets_of(diameters or IEC_DIAMETERS_MM)
    return read_clicks(clicks, diameters)


def summary(report: SphereReport, output: Path) -> str:
    """Say in a few lines what came out."""
    if report.scans:
        lines = [
            f"{s['name']}: {s['error'] or str(s['found']) + ' of ' + str(s['spheres']) + ' spheres found'}"
            for s in report.scans
        ]
        return "\n".join([*lines, f"results in {output}"])
    lines = []
    for sphere in report.spheres:
        if not sphere["found"]:
            lines.append(f"{sphere['label']}: not found: {sphere['reason']}")
            continue
        center = ", ".join(f"{v:.2f}" for v in sphere["center_lps_mm"])
        lines.append(
            f"{sphere['label']}: ({center}) mm LPS, mean {sphere['mean']:.4g}, max {sphere['max']:.4g}{unit_after(report.unit)}"
        )
    for row in (report.earl or {}).get("spheres", []):
        lines.append(f"EARL {report.earl['version'] if report.earl else ''} {row['label']}: {row['verdict']}")
    return "\n".join([*lines, f"results in {output}"])
