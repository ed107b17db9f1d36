"""``dicom-workbench demo``: every workflow on sample data, one journey through all of them, and a gallery of what came of it.

Each step is the command a user would type, run as a child; the page shows the command, its figures, its pictures and links to its files.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from DicomWorkbenchLib.cli import job_options, run_job
from DicomWorkbenchLib.demo_page import gallery
from DicomWorkbenchLib.demo_queue import drop_scan
from DicomWorkbenchLib.demo_serving import fetch_served
from DicomWorkbenchLib.demo_step import Outcome, Step, shown_command
from DicomWorkbenchLib.demo_steps import steps
from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.process import raise_if_failed, run_command, workbench_command
from DicomWorkbenchLib.progress import NEVER, CancelToken, Progress, no_progress, part_of
from DicomWorkbenchLib.report import Report
from DicomWorkbenchLib.workflows import WORKFLOWS

_MARK = ".dicom-workbench-demo"  # says that a folder is ours and may be made anew


def run(folder: Path, progress: Progress = no_progress, cancel: CancelToken = NEVER, only: str = "") -> Report:
    """Run the steps into ``folder`` and write ``index.html`` there; an earlier demo in it is replaced.

    Parameters
    ----------
    folder : the gallery's.
    only : a word that the chosen steps' outputs begin with or hold, such as "data" or "spheres"; empty runs all.

    Raises
    ------
    OutputError : the folder exists and is not one of ours.
    ProcessError : a step failed; what it made before stays to be looked at.
    """
    _prepare(folder)
    began = time.monotonic()
    chosen = [s for s in steps(_real_scans()) if s.verb in WORKFLOWS and (not only or only in s.output)]
    outcomes = []
    for number, step in enumerate(chosen):
        share = part_of(progress, number * 100 // len(chosen), (number + 1) * 100 // len(chosen))
        outcomes.append(_one(step, folder, share, cancel))
    (folder / "index.html").write_text(gallery(outcomes, folder), encoding="utf-8")
    measured = {"steps": len(outcomes), "seconds": round(time.monotonic() - began, 1)}
    return Report("demo", {"folder": str(folder)}, outputs=["index.html"], measured=measured)


def _real_scans() -> Path | None:
    named = os.environ.get("WORKBENCH_DATA", "")
    return Path(named) if named and Path(named).is_dir() else None


def _prepare(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise OutputError(f"{folder} exists and holds something else; choose another folder for the demo")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / _MARK).touch()


def _one(step: Step, folder: Path, progress: Progress, cancel: CancelToken) -> Outcome:
    progress(0, 1, step.title)
    began = time.monotonic()
    for name, text in step.before.items():
        (folder / name).write_text(text, encoding="utf-8")
    runner: Mapping[str, Callable[..., dict[str, Any]]] = {"": _command, "serve": fetch_served, "drop": drop_scan}
    report = runner[step.how](step, folder, lambda done, total, _: progress(done, total, step.title), cancel)
    return Outcome(step, report, time.monotonic() - began)


def _command(step: Step, folder: Path, progress: Progress, cancel: CancelToken) -> dict[str, Any]:
    command = workbench_command(*step.arguments, "--progress", "json")
    result = run_command(command, progress=progress, cancel=cancel, folder=folder)
    raise_if_failed(result, shown_command(step))
    return result.report or {}


@click.command(name="demo")
@click.argument("folder", type=click.Path(path_type=Path), default="demo-output")
@click.option("--only", default="", help="Only steps whose output holds this word, such as data or spheres.")
@job_options
def command(folder: Path, only: str, as_json: bool, progress_style: str) -> None:
    """Run the workflows on sample data into FOLDER and write a gallery, index.html, there."""
    run_job(
        lambda progress, cancel: run(folder.absolute(), progress, cancel, only),
        as_json=as_json,
        progress_style=progress_style,
        summary=lambda report: f"{report.measured['seconds']:.0f} s; open {folder / 'index.html'} in a browser",
    )
