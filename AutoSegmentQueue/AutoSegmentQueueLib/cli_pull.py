"""The command ``queue pull``: a study from a PACS into the queue."""

from __future__ import annotations

import json
from pathlib import Path

import click
from DicomWorkbenchLib.job import ProgressStyle, cancel_on_signals, progress_of

from AutoSegmentQueueLib.cli_options import home_option, tell

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@home_option
@click.option("--from", "source", required=True, metavar="PEER", help="AET@HOST:PORT, or a DICOMweb address.")
@click.option("--study", required=True, metavar="UID", help="Study Instance UID.")
@click.option("--series", multiple=True, metavar="UID", help="Only this series; once for each.")
@click.option("--ae-title", help="How we call ourselves.  [default: that of the node]")
@click.option(
    "--move-to", default="", metavar="AET", help="Let the peer send to our running node (C-MOVE) of this title."
)
@click.option("--tls-ca", type=_FILE, help="Authority of the peer's certificate (PEM); with it we speak TLS.")
@click.option("--tls-cert", type=_FILE, help="Certificate that we show (PEM).")
@click.option("--tls-key", type=_FILE, help="Its key (PEM).")
@click.option("--timeout", "seconds", type=click.FloatRange(min=0, min_open=True), default=60.0, show_default=True)
@click.option("--user", default="", hidden=True, help="Whose jobs these are.")
@click.option("--progress", "style", type=click.Choice([one.value for one in ProgressStyle]), default="auto")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def pull(
    home: Path | None,
    source: str,
    study: str,
    series: tuple[str, ...],
    ae_title: str | None,
    move_to: str,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    seconds: float,
    user: str,
    style: str,
    as_json: bool,
) -> int:
    """Fetch a study, or what of it is missing here, and queue its series by the rules of routing.toml.

    A name and password or a token for DICOMweb come from the environment (WORKBENCH_DICOMWEB_USER and _PASSWORD, or
    WORKBENCH_DICOMWEB_TOKEN) or from your netrc file, never from the command line.
    """
    from AutoSegmentQueueLib.pacs.pull import PullSettings, pull_study

    settings = PullSettings(source, study, series, home, ae_title, move_to, tls_ca, tls_cert, tls_key, seconds, user)
    chosen = ProgressStyle(style)
    with cancel_on_signals() as cancel, progress_of(chosen) as progress:
        report = pull_study(settings, progress, cancel)
    if chosen is ProgressStyle.JSON:
        click.echo(json.dumps({"report": report.to_json()}))
    elif as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        for one in report.series:
            known = "?" if one.expected is None else one.expected
            click.echo(f"{one.modality or '-':<8} {one.arrived} of {known}  {one.way or 'was there'}")
        click.echo("jobs: " + (", ".join(report.jobs) or "none new, or the server queues them"))
    for warning in report.warnings:
        tell(f"warning: {warning}")
    return 1 if report.warnings else 0
