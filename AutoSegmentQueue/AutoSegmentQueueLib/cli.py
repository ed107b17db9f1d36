"""The command ``dicom-workbench queue``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
from DicomWorkbenchLib.errors import SettingsError

from AutoSegmentQueueLib.cli_cluster import cluster
from AutoSegmentQueueLib.cli_options import chosen, home_option, opened, work_options
from AutoSegmentQueueLib.cli_people import audit, token, user
from AutoSegmentQueueLib.cli_pull import pull
from AutoSegmentQueueLib.cli_route import route
from AutoSegmentQueueLib.cli_send import outbox
from AutoSegmentQueueLib.cli_serve import serve, work
from AutoSegmentQueueLib.cli_web import web
from AutoSegmentQueueLib.ledger import Job
from AutoSegmentQueueLib.states import State


@click.group(name="queue", help="A durable queue that segments scans and delivers 3D models.")
def command() -> None:
    """Hold the sub-commands."""


for _part in (serve, work, pull, route, web, user, token, audit, cluster, outbox):
    command.add_command(_part)


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
    """Queue scans from anywhere: files, DICOM folders, zip archives; slices of one series are one scan. They are read where they are."""
    from AutoSegmentQueueLib.adding import Wanted, add_paths

    with opened(home) as (place, settings, ledger):
        wanted = Wanted(chosen(settings, given), kind, _object(settings_json), then, _object(then_options), priority)
        jobs = add_paths(place, ledger, [path.absolute() for path in files], wanted)
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
