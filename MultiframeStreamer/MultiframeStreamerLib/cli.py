"""The command ``dicom-workbench stream``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from DicomWorkbenchLib.cli import job_options, run_job

from .settings import (
    BlankSettings,
    Codec,
    ExportSettings,
    FrameForm,
    Region,
    RepackSettings,
    ServeSettings,
)

if TYPE_CHECKING:
    from .server.run import ServeReport

_FILE = click.Path(path_type=Path)


@click.group(name="stream", help="Open compressed multi-frame DICOM of any size at once, frame by frame.")
def command() -> None:
    """Hold the sub-commands."""


@command.command("info", help="Show what a file holds, how healthy it is, and how long the first frame takes.")
@click.argument("file")
@job_options
def info(file: str, as_json: bool, progress_style: str) -> None:
    """Print the facts."""
    from .info import InfoSettings, run, summary

    run_job(lambda p, c: run(InfoSettings(file), p, c), as_json=as_json, progress_style=progress_style, summary=summary)


@command.command("frames", help="Write frames such as 1,5-9 as files frame-000001.* into a new folder.")
@click.argument("file")
@click.argument("frames", default="")
@click.option("-o", "--output", type=_FILE, required=True, help="Folder that is made.")
@click.option("--encoded", "form", flag_value="encoded", default=True, help="The stored bytes of each frame (default).")
@click.option("--raw", "form", flag_value="raw", help="Decoded samples, little endian, row by row.")
@click.option("--png", "form", flag_value="png", help="As a person sees it.")
@job_options
def frames(file: str, frames: str, output: Path, form: str, as_json: bool, progress_style: str) -> None:
    """Export frames."""
    from .export import run

    settings = ExportSettings(file, output, frames, FrameForm(form))
    run_job(
        lambda p, c: run(settings, p, c),
        as_json=as_json,
        progress_style=progress_style,
        summary=lambda r: f"{r.written} frames written to {output}" + (f", {len(r.failed)} failed" if r.failed else ""),
    )


@command.command("index", help="Index every file below a folder, so that each opens at once later.")
@click.argument("folder", type=_FILE)
@click.option("--beside", is_flag=True, help="Write sidecars beside the files instead of into your cache folder.")
@job_options
def index(folder: Path, beside: bool, as_json: bool, progress_style: str) -> None:
    """Make sidecars."""
    from .indexing import IndexSettings, run, summary

    settings = IndexSettings(folder, beside)
    run_job(lambda p, c: run(settings, p, c), as_json=as_json, progress_style=progress_style, summary=summary)


@command.command("serve", help="Serve files and folders over DICOMweb, with a page of its own at /.")
@click.argument("paths", type=_FILE, nargs=-1, required=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8042, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option(
    "--token", default="", envvar="DICOM_WORKBENCH_STREAM_TOKEN", help="What clients must send as a bearer token."
)
@click.option(
    "--allow-origin", "origins", multiple=True, help="Web page that may read, such as https://viewer.example."
)
@job_options
def serve(
    paths: tuple[Path, ...],
    host: str,
    port: int,
    token: str,
    origins: tuple[str, ...],
    as_json: bool,
    progress_style: str,
) -> None:
    """Run the server until it is interrupted."""
    settings = ServeSettings(paths, host, port, token, origins)
    from DicomWorkbenchLib.workflows import load

    run = load("MultiframeStreamerLib.server.run:run", "stream")
    lines = progress_style == "json"
    run_job(
        lambda p, c: run(settings, p, c, lambda report: _say_where(report, settings.token, lines)),
        as_json=as_json,
        progress_style=progress_style,
    )


def _say_where(report: ServeReport, token: str, lines: bool) -> None:
    if lines:
        click.echo(json.dumps({"serving": report.url, "objects": report.objects, "not_served": len(report.not_served)}))
        return
    for problem in report.not_served[:10]:
        click.echo(f"not served: {problem}", err=True)
    key = "  (with the token)" if token else ""
    click.echo(f"{report.objects} objects: page {report.url}/   DICOMweb {report.url}/dicomweb{key}", err=True)


@command.command("blank", help="Make a shareable copy: same structure, no patient, pixels blanked.")
@click.argument("file", type=_FILE)
@click.argument("out", type=_FILE)
@click.option("--region", "regions", multiple=True, metavar="LEFT,TOP,WIDTH,HEIGHT", help="Blank only this rectangle.")
@job_options
def blank(file: Path, out: Path, regions: tuple[str, ...], as_json: bool, progress_style: str) -> None:
    """Blank a file."""
    from .blank import run

    settings = BlankSettings(file, out, tuple(Region.parse(text) for text in regions))
    run_job(
        lambda p, c: run(settings, p, c),
        as_json=as_json,
        progress_style=progress_style,
        summary=lambda r: f"{out}: {r.frames} frames blanked, {r.removed} header elements left out",
    )


@command.command("repack", help="Make a copy that every reader opens fast.")
@click.argument("file", type=_FILE)
@click.argument("out", type=_FILE)
@click.option(
    "--codec", type=click.Choice([c.value for c in Codec]), default="keep", show_default=True, help="Coding of frames."
)
@click.option("--split", default=0, help="Write a folder with a concatenation of this many frames a file.")
@job_options
def repack(file: Path, out: Path, codec: str, split: int, as_json: bool, progress_style: str) -> None:
    """Repack a file."""
    from .repack import run

    settings = RepackSettings(file, out, Codec(codec), split)
    run_job(
        lambda p, c: run(settings, p, c),
        as_json=as_json,
        progress_style=progress_style,
        summary=lambda r: (
            f"{out}: {r.frames} frames in {r.files} file{'s' if r.files > 1 else ''}, {r.bytes_out / 1e6:.1f} MB"
        ),
    )


@command.command("corpus", help="Write the collection of unusual files with their truth, to test any reader with.")
@click.argument("folder", type=_FILE)
def corpus(folder: Path) -> None:
    """Write the corpus."""
    from .corpus import write_corpus

    click.echo(f"{write_corpus(folder)} files in {folder}")
