"""The command ``dicom-workbench queue``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click
from DicomWorkbenchLib.errors import SettingsError, WorkbenchError
from DicomWorkbenchLib.job import cancel_on_signals

from AutoSegmentQueueLib.home import Home, default_home
from AutoSegmentQueueLib.ledger import Job, Ledger
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.states import State

F = TypeVar("F", bound=Callable[..., Any])


@click.group(name="queue", help="A durable queue that segments scans and delivers 3D models.")
def command() -> None:
    """Hold the sub-commands."""


def home_option(function: F) -> F:
    """Add ``--home`` to a sub-command."""
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        help=f"Folder with ledger, settings, logs, archive and failed files.  [default: {default_home()}]",
    )(function)


def work_options(function: F) -> F:
    """Add what a segmentation is asked for."""
    options = [
        click.option("--engine", help="Engine that segments, such as threshold or totalsegmentator."),
        click.option("--task", help="Task of TotalSegmentator, such as total."),
        click.option("--quality", type=click.Choice(["normal", "fast", "faster", "fastest"])),
        click.option("--structures", help="Only these structures, separated by commas."),
        click.option("--device", help="cpu, gpu or gpu:N; a GPU that is not there is an error."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@contextmanager
def opened(root: Path | None) -> Iterator[tuple[Home, QueueSettings, Ledger]]:
    """Open a home, its settings and its ledger."""
    home = Home.open(root)
    settings = home.load()
    ledger = Ledger(home.ledger)
    try:
        yield home, settings, ledger
    finally:
        ledger.close()


def chosen(settings: QueueSettings, given: dict[str, Any]) -> QueueSettings:
    """Return settings with what was given on the command line."""
    names = ("task", "quality", "device")
    changes = {name: given[name] for name in names if given.get(name)}
    if given.get("structures"):
        changes["structures"] = tuple(one.strip() for one in given["structures"].split(",") if one.strip())
    segmentation = replace(settings.segmentation, **changes)
    engine = given.get("engine") or settings.engine
    if given.get("engine"):
        _check_engine(engine)
    return replace(settings, engine=engine, segmentation=segmentation)


@command.command()
@home_option
@click.option("--input", "input_", type=click.Path(path_type=Path, file_okay=False), help="Folder that is watched.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for results.")
@work_options
@click.option("--slots", type=click.IntRange(min=1), help="Jobs at once on each device.")
@click.option(
    "--archive-days", type=click.FloatRange(min=0), help="Keep inputs so long after success; 0 deletes at once."
)
@click.option("--stable-seconds", type=click.FloatRange(min=0), help="A file must be unchanged so long (network: 10).")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Show the queue to a browser on this machine; 0 takes a free port."
)
def serve(
    home: Path | None,
    input_: Path | None,
    output: Path | None,
    slots: int | None,
    archive_days: float | None,
    stable_seconds: float | None,
    port: int | None,
    **given: Any,
) -> None:
    """Watch the input folder and work until stopped (Ctrl-C). What is given is kept for the next time."""
    from AutoSegmentQueueLib.serve import serve as run
    from AutoSegmentQueueLib.status_page import status_page

    with opened(home) as (place, settings, ledger):
        settings = chosen(settings, given)
        values: dict[str, Any] = {
            "input": input_ and input_.absolute(),
            "output": output and output.absolute(),
            "slots": slots,
        }
        values |= {"archive_days": archive_days, "stable_seconds": stable_seconds}
        settings = _with(settings, values)
        _check_folders(place, settings)
        place.save(settings)
        lines = [
            f"home   {place.root}",
            f"input  {place.input_of(settings)}",
            f"output {place.output_of(settings)}",
            f"ready: engine {settings.engine}, {settings.slots} slot(s); stop with Ctrl-C",
        ]
        with cancel_on_signals() as cancel, ExitStack() as stack:
            if port is not None:
                lines.insert(3, f"page   {stack.enter_context(status_page(place, settings, port))}")
            run(place, settings, ledger, cancel, lambda: _tell("\n".join(lines)), _tell)


@command.command()
@home_option
@click.option("--stay", is_flag=True, help="Wait for more when all is done.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for results.")
@click.option("--slots", type=click.IntRange(min=1), help="Jobs at once on each device.")
def work(home: Path | None, stay: bool, output: Path | None, slots: int | None) -> None:
    """Work off what is queued, without watching the input folder; ends when nothing is left."""
    from AutoSegmentQueueLib.worker import Worker

    with opened(home) as (place, settings, ledger):
        settings = _with(settings, {"output": output and output.absolute(), "slots": slots})
        worker = Worker(place, settings, ledger)
        with cancel_on_signals() as cancel:
            try:
                worker.run(cancel, drain=not stay)
            finally:
                worker.close()


@command.command()
@home_option
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@work_options
@click.option("--kind", default="segment", show_default=True, help="segment, optimize, tumors or spheres.")
@click.option("--options", "settings_json", default="{}", help="Settings of another kind, as JSON.")
@click.option("--then", multiple=True, help="Kind of the job after it, once for each: --then tumors --then optimize.")
@click.option("--then-options", default="{}", help='Settings of those, as JSON: {"optimize": {"decimate": 2}}.')
@click.option("--priority", type=int, default=0, show_default=True, help="Higher ones come first.")
@click.option("--json", "as_json", is_flag=True, help="Print the jobs as JSON.")
def add(
    home: Path | None,
    files: tuple[Path, ...],
    kind: str,
    settings_json: str,
    then: tuple[str, ...],
    then_options: str,
    priority: int,
    as_json: bool,
    **given: Any,
) -> int:
    """Queue scans from anywhere: files, DICOM folders, zip archives. They are read where they are and never moved."""
    from AutoSegmentQueueLib.adding import Wanted, add_path

    with opened(home) as (place, settings, ledger):
        wanted = Wanted(chosen(settings, given), kind, _object(settings_json), then, _object(then_options), priority)
        jobs = [add_path(place, ledger, path.absolute(), wanted) for path in files]
    if as_json:
        click.echo(json.dumps({"jobs": [_row(job) for job in jobs]}, indent=2))
    for job in jobs:
        if not as_json:
            click.echo(f"{job.id}  {job.state:<9}  {job.name}")
        if job.state is State.FAILED:
            click.echo(f"error: {job.name}: {job.error}", err=True)
    return 1 if any(job.state is State.FAILED for job in jobs) else 0


@command.command()
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--detail", is_flag=True, help="Say everything: times, position, stage, when it may be done.")
@click.option("--state", "states", multiple=True, type=click.Choice([s.value for s in State]), help="Only these.")
def status(home: Path | None, as_json: bool, detail: bool, states: tuple[str, ...]) -> None:
    """Say what is in the queue and how far it is."""
    from AutoSegmentQueueLib.status import Estimate, detail_of, positions, row_of

    with opened(home) as (_, settings, ledger):
        jobs = ledger.jobs([State(one) for one in states] or None)
        places, estimate, now = positions(jobs), Estimate(ledger, settings.slots), time.time()
        rows = [
            row_of(job) if as_json and not detail else detail_of(job, estimate, now, places.get(job.id)) for job in jobs
        ]
        paused, refusal = ledger.paused, ledger.fact("intake") or ""
    if as_json:
        click.echo(json.dumps({"jobs": rows, "paused": paused, "intake": refusal}, indent=2, ensure_ascii=False))
        return
    if paused:
        click.echo("the queue is paused; `queue resume` lets it go on")
    if refusal:
        click.echo(f"intake: {refusal}")
    for row in rows:
        click.echo(_line(row))
    if not rows:
        click.echo("no jobs")


@command.command()
@home_option
@click.argument("job_id", metavar="ID")
def cancel(home: Path | None, job_id: str) -> None:
    """Cancel a job; a running one ends with everything it started."""
    with opened(home) as (_, _, ledger):
        job = ledger.cancel(ledger.job(job_id).id)
    click.echo(f"{job.id}  {'is being cancelled' if job.cancel_requested else job.state}")


@command.command()
@home_option
@click.argument("job_id", metavar="ID")
def retry(home: Path | None, job_id: str) -> int:
    """Try a failed, quarantined or cancelled job again."""
    from AutoSegmentQueueLib.adding import settle_now

    with opened(home) as (place, settings, ledger):
        job = ledger.retry(ledger.job(job_id).id)
        job = settle_now(place, settings, ledger, job)
    click.echo(f"{job.id}  {job.state}")
    if job.state is State.FAILED:
        click.echo(f"error: {job.error}", err=True)
    return 1 if job.state is State.FAILED else 0


@command.command()
@home_option
@click.argument("job_id", metavar="ID")
@click.argument("value", type=int)
def priority(home: Path | None, job_id: str, value: int) -> None:
    """Set the priority of a job; higher ones come first."""
    with opened(home) as (_, _, ledger):
        job = ledger.prioritise(ledger.job(job_id).id, value)
    click.echo(f"{job.id}  priority {job.priority}")


@command.command()
@home_option
def pause(home: Path | None) -> None:
    """Start no more jobs; what runs goes on to its end."""
    with opened(home) as (_, _, ledger):
        ledger.set_paused(True)
    click.echo("paused")


@command.command()
@home_option
def resume(home: Path | None) -> None:
    """Start jobs again."""
    with opened(home) as (_, _, ledger):
        ledger.set_paused(False)
    click.echo("resumed")


@command.command()
@home_option
@click.argument("job_id", metavar="ID")
def history(home: Path | None, job_id: str) -> None:
    """Say everything that has happened to a job."""
    with opened(home) as (_, _, ledger):
        for event in ledger.history(ledger.job(job_id).id):
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.at))
            click.echo(f"{event.event:>8}  {stamp}  {event.state:<11}  {event.note}".rstrip())


def _tell(text: str) -> None:
    click.echo(text, err=True)


def _with(settings: QueueSettings, values: dict[str, Any]) -> QueueSettings:
    return replace(settings, **{name: value for name, value in values.items() if value is not None})


def _row(job: Job) -> dict[str, Any]:
    from AutoSegmentQueueLib.status import row_of

    return row_of(job)


def _line(row: dict[str, Any]) -> str:
    eta = f"  about {row['eta_seconds']:.0f} s" if row["eta_seconds"] is not None else ""
    percent = f"{100 * row['progress']:3.0f} %" if row["state"] == "running" else "     "
    tail = f"  {row['error'] or row['output'] or row['stage'] or ''}".rstrip()
    return f"{row['id']}  {row['state']:<11} {percent}  {row['engine']:<16} {row['name']}{eta}{tail}"


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"--options must be JSON: {error}") from error
    if not isinstance(value, dict):
        raise SettingsError("--options must be a JSON object")
    return value


def _check_engine(name: str) -> None:
    from AutoSegmentQueueLib import engines

    if name not in engines.names():
        raise SettingsError(f"there is no engine {name!r}; there are: {', '.join(engines.names())}")
    reason = engines.get(name).available()
    if reason:
        raise WorkbenchError(f"engine {name} cannot be used: {reason}")


def _check_folders(home: Home, settings: QueueSettings) -> None:
    input_folder, output = home.input_of(settings).resolve(), home.output_of(settings).resolve()
    if input_folder == output or input_folder in output.parents or output in input_folder.parents:
        raise SettingsError(f"input and output folder must lie apart, got {input_folder} and {output}")
    if input_folder in home.root.resolve().parents or input_folder == home.root.resolve():
        raise SettingsError(f"the home must not lie in the input folder {input_folder}")
