"""``dicom-workbench optimize``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from DicomWorkbenchLib.cli import job_options, run_job
from DicomWorkbenchLib.cli_parts import cluster_options
from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.parts import Cluster
from DicomWorkbenchLib.windowing import Window

from DicomOptimizerLib.settings import Compression, ContourRule, Dates, OnBadSlice, OptimizerSettings


def _window(context: click.Context, parameter: click.Parameter, value: str) -> Window:
    try:
        return Window.parse(value)
    except SettingsError as error:
        raise click.BadParameter(str(error)) from error


def _choice(kind: type[Any]) -> click.Choice[str]:
    return click.Choice([member.value for member in kind])


_OPTIONS = (
    click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path)),
    click.option("-o", "--output", type=click.Path(path_type=Path), help="The new folder [default: beside the input]."),
    click.option(
        "--decimate",
        type=int,
        default=1,
        is_flag=False,
        flag_value=2,
        metavar="[N]",
        help="Keep every n-th slice, by position [2].",
    ),
    click.option("--keep-last", is_flag=True, help="Keep the last slice too."),
    click.option("--eight-bit", is_flag=True, help="Reduce to 256 grey values from which HU are recoverable."),
    click.option(
        "--window",
        default="40/400",
        show_default=True,
        callback=_window,
        help="Level/width for CT, or a preset: liver, lung, bone, ...",
    ),
    click.option(
        "--resize",
        type=int,
        default=None,
        is_flag=False,
        flag_value=256,
        metavar="[PIXELS]",
        help="Longer image side [256].",
    ),
    click.option(
        "--contours",
        type=_choice(ContourRule),
        default="own-first",
        show_default=True,
        help="Where contours of removed slices go.",
    ),
    click.option(
        "--compress", type=_choice(Compression), default="none", show_default=True, help="Lossless compression."
    ),
    click.option(
        "--legal-ct", is_flag=True, help="8-bit CT stays a CT Image (16/12 bit) instead of Secondary Capture."
    ),
    click.option("--deidentify", is_flag=True, help="PS3.15 Basic Profile. New UIDs alone are no anonymisation."),
    click.option("--dates", type=_choice(Dates), default="remove", show_default=True, help="With --deidentify."),
    click.option(
        "--keep-patient-characteristics", is_flag=True, help="With --deidentify: sex, age, size, weight stay."
    ),
    click.option("--uid-salt", help="Same salt, same new UIDs in every run; keep it secret."),
    click.option(
        "--on-bad-slice",
        type=_choice(OnBadSlice),
        default="stop",
        show_default=True,
        help="Slices that cannot be read.",
    ),
    click.option("--jobs", type=int, default=None, help="Worker processes [default: the cores, at most 8]."),
)


def job_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the input and the options of a job to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_CONTEXT = {"help_option_names": ["-h", "--help"]}


@click.command(name="optimize", context_settings=_CONTEXT)
@job_arguments
@cluster_options
@job_options
def command(as_json: bool, progress_style: str, cluster: Cluster | None, **options: Any) -> None:
    """Make a small copy of DICOM series for the web, with RTSTRUCT, SEG and RTDOSE following.

    INPUT are folders, files or zip archives; they are only read. The result is a new folder, such as
    Optimized_Decimated_8Bit_Resized beside the input, with a report.json in it.
    """
    from DicomOptimizerLib.job import run
    from DicomOptimizerLib.report import summary

    settings = settings_from(options)
    run_job(
        lambda progress, cancel: run(settings, progress=progress, cancel=cancel, cluster=cluster),
        as_json=as_json,
        progress_style=progress_style,
        summary=summary,
    )


def settings_from(options: dict[str, Any]) -> OptimizerSettings:
    """Build the settings from the command's options."""
    return OptimizerSettings(**options)


@click.command(name="optimize-preview", context_settings=_CONTEXT)
@job_arguments
@click.option("--picture", type=click.Path(path_type=Path), help="Write before and after as a PNG file.")
@job_options
def preview_command(as_json: bool, progress_style: str, picture: Path | None, **options: Any) -> None:
    """Show what optimize would do with INPUT: series, problems and expected size. Nothing is written but the picture."""
    from DicomOptimizerLib.inspection import InspectionReport, InspectionSettings, inspect

    settings = InspectionSettings(settings_from(options))
    report: InspectionReport = run_job(
        lambda progress, cancel: inspect(settings, progress=progress, cancel=cancel),
        as_json=as_json,
        progress_style=progress_style,
        summary=lambda found: found.text,
    )
    if picture is not None:
        from DicomWorkbenchLib.outputs import write_atomically

        write_atomically(picture, report.picture)
