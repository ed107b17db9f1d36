"""The commands that work: ``queue serve`` and ``queue work``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from DicomWorkbenchLib.job import cancel_on_signals

from AutoSegmentQueueLib import cli_cluster, cli_dicom, cli_send, cli_web
from AutoSegmentQueueLib.cli_options import check_folders, chosen, home_option, opened, tell, with_given, work_options

# Each adds its options to `queue serve`, puts what was given into the settings, and starts what runs beside the workers.
PARTS = (cli_web, cli_dicom, cli_send, cli_cluster)


def part_options(function: Any) -> Any:
    """Add the options of every part to a command."""
    for part in reversed(PARTS):
        function = part.options(function)
    return function


@click.command()
@home_option
@click.option("--input", "input_", type=click.Path(path_type=Path, file_okay=False), help="Folder that is watched.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for results.")
@work_options
@click.option("--slots", type=click.IntRange(min=1), help="Jobs at once on each device.")
@click.option(
    "--archive-days", type=click.FloatRange(min=0), help="Keep inputs so long after success; 0 deletes at once."
)
@click.option("--stable-seconds", type=click.FloatRange(min=0), help="A file must be unchanged so long (network: 10).")
@part_options
def serve(
    home: Path | None,
    input_: Path | None,
    output: Path | None,
    slots: int | None,
    archive_days: float | None,
    stable_seconds: float | None,
    **given: Any,
) -> None:
    """Watch the input folder and work until stopped (Ctrl-C). What is given is kept for the next time."""
    from AutoSegmentQueueLib.serve import serve as run
    from AutoSegmentQueueLib.serve import serve_lock

    with opened(home) as (place, settings, ledger):
        with serve_lock(place):
            pass  # a second server is told so before it starts anything or keeps its settings
        settings = chosen(settings, given)
        values: dict[str, Any] = {
            "input": input_ and input_.absolute(),
            "output": output and output.absolute(),
            "slots": slots,
        }
        values |= {"archive_days": archive_days, "stable_seconds": stable_seconds}
        settings = with_given(settings, values)
        for part in PARTS:
            settings = part.chosen(settings, given)
        check_folders(place, settings)
        place.save(settings)
        lines = [
            f"home   {place.root}",
            f"input  {place.input_of(settings)}",
            f"output {place.output_of(settings)}",
            f"ready: engine {settings.engine}, {settings.slots} slot(s); stop with Ctrl-C",
        ]
        with cancel_on_signals() as cancel, ExitStack() as stack:
            for part in PARTS:
                lines[-1:-1] = stack.enter_context(part.beside(place, settings, given, tell))
            run(place, settings, ledger, cancel, lambda: tell("\n".join(lines)), tell)


@click.command()
@home_option
@click.option("--stay", is_flag=True, help="Wait for more when all is done.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for results.")
@click.option("--slots", type=click.IntRange(min=1), help="Jobs at once on each device.")
@cli_cluster.options
def work(home: Path | None, stay: bool, output: Path | None, slots: int | None, **given: Any) -> None:
    """Work off what is queued, without watching the input folder; ends when nothing is left."""
    from AutoSegmentQueueLib.worker import Worker

    with opened(home) as (place, settings, ledger):
        settings = with_given(settings, {"output": output and output.absolute(), "slots": slots})
        settings = cli_cluster.chosen(settings, given)
        worker = Worker(place, settings, ledger)
        with cancel_on_signals() as cancel:
            try:
                worker.run(cancel, drain=not stay)
            finally:
                worker.close()
