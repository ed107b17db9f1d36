"""The command ``dicom-workbench``: finds the sub-command, shows progress, turns errors into exit codes.

Exit codes: 0 done, 1 the job failed (reason on stderr), 2 wrong usage, 130 cancelled.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from DicomWorkbenchLib import __version__
from DicomWorkbenchLib.errors import Cancelled, SettingsError, WorkbenchError
from DicomWorkbenchLib.job import (
    CANCELLED,
    DONE,
    FAILED,
    USAGE,
    ProgressStyle,
    cancel_on_signals,
    progress_of,
    spare_cores,
)
from DicomWorkbenchLib.progress import CancelToken, Progress
from DicomWorkbenchLib.report import Report
from DicomWorkbenchLib.workflows import WORKFLOWS, load

R = TypeVar("R", bound=Report)
F = TypeVar("F", bound=Callable[..., Any])


def job_options(function: F) -> F:
    """Add ``--json`` and ``--progress`` (arguments ``as_json``, ``progress_style``) to a sub-command that runs a job."""
    styles = click.Choice([style.value for style in ProgressStyle])
    progress = click.option(
        "--progress", "progress_style", type=styles, default="auto", show_default=True, help="How progress is shown."
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON to stdout.")
    return as_json(progress(function))


class LazyGroup(click.Group):
    """Sub-commands that are imported when they are called, so that ``--help`` starts at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the verbs in the table's order."""
        return list(WORKFLOWS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one verb's command."""
        workflow = WORKFLOWS.get(cmd_name)
        if workflow is None:
            return None
        found: click.Command = load(workflow.command, workflow.extra)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs from the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(w.verb, w.help) for w in WORKFLOWS.values()])


@click.group(
    cls=LazyGroup,
    name="dicom-workbench",
    help="Five workflows for people who work with DICOM images every day. Results go to files, logs to stderr.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="dicom-workbench")
def command() -> None:
    """Hold the sub-commands."""


def run_job(
    job: Callable[[Progress, CancelToken], R],
    *,
    as_json: bool = False,
    progress_style: str = ProgressStyle.AUTO,
    summary: Callable[[R], str] | None = None,
) -> R:
    """Run a workflow's job the way every sub-command does and print what came of it.

    Parameters
    ----------
    job : called with the progress callable and the cancel token; returns the report.
    as_json : print the report as JSON to stdout and nothing else.
    progress_style : how progress is shown; with JSON lines, the last line is ``{"report": {...}}``.
    summary : makes the text for people from the report.
    """
    style = ProgressStyle(progress_style)
    with cancel_on_signals() as cancel, progress_of(style) as progress:
        report = job(progress, cancel)
    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)
    if style is ProgressStyle.JSON:
        click.echo(json.dumps({"report": report.to_json()}))
    elif as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    elif summary is not None:
        click.echo(summary(report))
    return report


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave the process with its exit code."""
    spare_cores()
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command in this process and return its exit code; errors are written to stderr."""
    try:
        result: Any = command.main(args=arguments, prog_name="dicom-workbench", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return USAGE
    except (click.Abort, KeyboardInterrupt, Cancelled):
        click.echo("cancelled; nothing was left half-made", err=True)
        return CANCELLED
    except SettingsError as error:
        click.echo(f"error: {error}", err=True)
        return USAGE
    except WorkbenchError as error:
        click.echo(f"error: {error}", err=True)
        return FAILED
    except click.ClickException as error:
        error.show()
        return FAILED
    return result if isinstance(result, int) else DONE
