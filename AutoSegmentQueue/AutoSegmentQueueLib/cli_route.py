"""The command ``queue route``: which routing rule would take a series, and why, without doing anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from DicomWorkbenchLib.errors import SettingsError

from AutoSegmentQueueLib.cli_options import home_option, opened, tell


@click.command()
@home_option
@click.argument("path", required=False, type=click.Path(path_type=Path, exists=True))
@click.option("--modality", default="", help="Of a series that is only imagined, such as CT.")
@click.option("--series-description", default="")
@click.option("--study-description", default="")
@click.option("--body-part", default="")
@click.option("--calling-ae", default="", help="AE title it would come from.")
@click.option("--slices", type=click.IntRange(min=0), default=1, show_default=True, help="How many it would have.")
@click.option("--dry-run", is_flag=True, help="Say what would happen; this command never does more.")
@click.option("--init", is_flag=True, help="Write a routing.toml with every key explained into the home.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def route(home: Path | None, path: Path | None, init: bool, as_json: bool, dry_run: bool, **imagined: Any) -> None:
    """Say which rule of routing.toml takes each series of PATH, or a series that the options describe."""
    from AutoSegmentQueueLib.pacs.facts import SeriesFacts, facts_of, series_in
    from AutoSegmentQueueLib.pacs.routing import Routing

    with opened(home) as (place, settings, _):
        if init:
            tell(f"written: {_write_example(place.root)}")
            return
        routing = Routing.load(place.root)
        calling = imagined["calling_ae"]
        series = [facts_of(files, calling) for files in series_in(path)] if path else [SeriesFacts(**imagined)]
        found = [(facts, routing.decide(facts)) for facts in series]
    if as_json:
        click.echo(json.dumps({"series": [_row(facts, decision, settings) for facts, decision in found]}, indent=2))
        return
    for facts, decision in found:
        action = decision.action
        wanted = action.settings(settings)
        click.echo(f"{facts.modality or '(no modality)'}, {facts.slices} slices -> {decision.rule}")
        for line in decision.why:
            click.echo(f"    {line}")
        if action.ignore:
            click.echo("    does: nothing, the series is ignored")
            continue
        what = f"engine {wanted.engine}, task {wanted.segmentation.task}, quality {wanted.segmentation.quality}"
        names = ", ".join(wanted.segmentation.structures) or "all structures"
        click.echo(f"    does: {what}, {names}, priority {action.priority}")
        for destination in action.destinations:
            click.echo(f"    sends to: {destination}")


def _row(facts: Any, decision: Any, settings: Any) -> dict[str, Any]:
    from DicomWorkbenchLib.settings import to_json

    wanted = decision.action.settings(settings)
    row = {"modality": facts.modality, "slices": facts.slices, "rule": decision.rule, "why": list(decision.why)}
    if decision.action.ignore:
        return {**row, "ignore": True}
    options = {"engine": wanted.engine, **to_json(wanted.segmentation)}
    keys = ("engine", "task", "quality", "structures")
    chosen = {key: options[key] for key in keys}
    return {**row, **chosen, "priority": decision.action.priority, "destinations": list(decision.action.destinations)}


def _write_example(root: Path) -> Path:
    from DicomWorkbenchLib.outputs import write_atomically

    from AutoSegmentQueueLib.pacs.routing import FILE
    from AutoSegmentQueueLib.pacs.routing_example import EXAMPLE

    path = root / FILE
    if path.exists():
        raise SettingsError(f"{path} exists already; it is not overwritten")
    write_atomically(path, EXAMPLE.encode())
    return path
