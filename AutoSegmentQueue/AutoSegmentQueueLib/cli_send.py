"""Sending results: the options of ``queue serve`` for it, and the command ``queue outbox``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from AutoSegmentQueueLib.cli_options import home_option, opened, with_given
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.settings import QueueSettings

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_OPTIONS = (
    click.option("--send-to", multiple=True, metavar="DEST", help="Send results to AET@HOST:PORT or a DICOMweb address; once for each."),
    click.option("--send-nowhere", is_flag=True, help="Send results nowhere any more, except where routing rules say."),
    click.option("--send-as", metavar="AET", help="Our AE title when we send.  [default: WORKBENCH]"),
    click.option("--send-attempts", type=click.IntRange(min=1), help="Give up after so many failures.  [default: 20]"),
    click.option("--send-days", type=click.FloatRange(min=0, min_open=True), help="Give up after so long.  [default: 7]"),
    click.option("--commitment-port", type=click.IntRange(1, 65535), help="Ask for storage commitment; answers come to this port."),
    click.option("--commitment-address", help="Interface of that port.  [default: 127.0.0.1]"),
    click.option("--send-tls-ca", type=_FILE, help="Authority of the destinations (PEM); DICOM nodes are then called by TLS."),
    click.option("--send-tls-cert", type=_FILE, help="Certificate we show (PEM)."),
    click.option("--send-tls-key", type=_FILE, help="Its key (PEM)."),
)  # fmt: skip
_NAMES = {
    "send_to": "to",
    "send_as": "ae_title",
    "send_attempts": "attempts",
    "send_days": "days",
    "commitment_port": "commitment_port",
    "commitment_address": "commitment_address",
    "send_tls_ca": "tls_ca",
    "send_tls_cert": "tls_cert",
    "send_tls_key": "tls_key",
}


def options(function: Any) -> Any:
    """Add the options of sending to ``queue serve``."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def chosen(settings: QueueSettings, given: dict[str, Any]) -> QueueSettings:
    """Return settings with what was given."""
    changes: dict[str, Any] = {
        field: value.absolute() if isinstance(value, Path) else value
        for option, field in _NAMES.items()
        if (value := given.get(option) or None) is not None
    }
    if given.get("send_nowhere"):
        changes["to"] = ()
    return with_given(settings, {"send": replace(settings.send, **changes)}) if changes else settings


@contextmanager
def beside(
    place: Home, settings: QueueSettings, given: dict[str, Any], tell: Callable[[str], None]
) -> Iterator[list[str]]:
    """Send results while the block runs; gives the lines that say where to."""
    from AutoSegmentQueueLib.pacs.outbox_sender import sending

    with sending(place, settings.send, tell):
        yield [f"send   {destination}" for destination in settings.send.to]


@click.group(invoke_without_command=True)
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def outbox(context: click.Context, home: Path | None, as_json: bool) -> None:
    """Say which results are sent where, and how far that is."""
    if context.invoked_subcommand is None:
        _list(home, as_json)


def _list(home: Path | None, as_json: bool) -> None:
    from AutoSegmentQueueLib.pacs.outbox import FILE, Outbox

    with opened(home) as (place, _, _):
        box = Outbox(place.root / FILE)
        rows, pauses = box.deliveries(), box.pauses()
        box.close()
    if as_json:
        paused = {name: {"until": until, "reason": reason} for name, (until, reason) in pauses.items()}
        click.echo(json.dumps({"deliveries": [asdict(row) for row in rows], "paused": paused}, indent=2))
        return
    for row in rows:
        tries = f"  {row.attempts} failed" if row.attempts else ""
        click.echo(f"{row.id}  {row.state:<7}  {row.job}  {row.destination}{tries}  {row.error}".rstrip())
    for name, (until, reason) in pauses.items():
        click.echo(f"paused until {time.strftime('%H:%M:%S', time.localtime(until))}: {name}: {reason}")
    if not rows:
        click.echo("nothing to send")


@outbox.command()
@home_option
@click.argument("delivery_id", metavar="ID")
def retry(home: Path | None, delivery_id: str) -> None:
    """Send again now, with all attempts; a stored one may be sent again too, which changes nothing at its destination."""
    from AutoSegmentQueueLib.pacs.outbox import FILE, Outbox

    with opened(home) as (place, _, _):
        box = Outbox(place.root / FILE)
        try:
            delivery = box.retry(delivery_id)
        finally:
            box.close()
    click.echo(f"{delivery.id}  {delivery.state}")
