"""``dicom-workbench sample-data``."""

from __future__ import annotations

from pathlib import Path

import click

from DicomWorkbenchLib.cli import job_options, run_job
from DicomWorkbenchLib.samples.catalog import SAMPLES, SampleReport, SampleSettings, run


def _table() -> str:
    rows = "\n\n".join(f"{sample.name}: {sample.description}" for sample in SAMPLES.values())
    return f"Make the sample NAME in the new folder DIR; what is in it stands in DIR/truth.json.\n\n{rows}"


@click.command(help=_table(), short_help="Make synthetic DICOM data to try everything with.")
@click.argument("name", metavar="NAME", type=click.Choice(list(SAMPLES)))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Another seed, other data.")
@job_options
def command(name: str, folder: Path, seed: int, as_json: bool, progress_style: str) -> None:
    """Make a sample."""
    settings = SampleSettings(name, folder, seed)
    run_job(
        lambda progress, cancel: run(settings, progress, cancel),
        as_json=as_json,
        progress_style=progress_style,
        summary=_summary,
    )


def _summary(report: SampleReport) -> str:
    files, megabytes = report.measured["files"], report.measured["bytes"] / 1e6
    folder = report.settings["folder"]
    return f"{files} files, {megabytes:.1f} MB in {report.seconds:.1f} s: {folder} (what is in them: truth.json)"
