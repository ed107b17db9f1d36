"""Kinds of jobs: how each is started, and how its results become a result with a manifest.

``segment`` is our own; the others are workflows of the table in `DicomWorkbenchLib.workflows`, run from a settings file.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import OutputError, SettingsError
from DicomWorkbenchLib.process import job_command
from DicomWorkbenchLib.workflows import WORKFLOWS

from AutoSegmentQueueLib.ledger import Job
from AutoSegmentQueueLib.publish import write_manifest

SEGMENT = "segment"


@dataclass(frozen=True)
class WorkflowKind:
    """Where a workflow's settings name what is read and what is written."""

    verb: str
    inputs: str
    several: bool


WORKFLOW_KINDS = {
    kind.verb: kind
    for kind in (
        WorkflowKind("optimize", "inputs", several=True),
        WorkflowKind("tumors", "dataset", several=False),
        WorkflowKind("spheres", "inputs", several=True),
    )
}
KINDS = (SEGMENT, *WORKFLOW_KINDS)


def check_kind(kind: str, options: dict[str, Any]) -> None:
    """Find out, before a job is queued, whether its kind and options can work.

    Raises
    ------
    SettingsError : there is no such kind, or its settings refuse the options.
    """
    if kind not in KINDS:
        raise SettingsError(f"there is no kind of job {kind!r}; there are: {', '.join(KINDS)}")
    if kind == SEGMENT:
        return
    from DicomWorkbenchLib.settings import from_json
    from DicomWorkbenchLib.workflows import job_of

    if kind not in WORKFLOWS or not WORKFLOWS[kind].job:
        raise SettingsError(f"the workflow {kind} is not part of this version")
    _, settings_class = job_of(kind)
    from_json(settings_class, _settings(WORKFLOW_KINDS[kind], options, [Path("input")], Path("output")))


def command_of(
    job: Job, inputs: list[Path], folder: Path, deadline_seconds: float, child: tuple[str, ...]
) -> list[str]:
    """Write the job file into the private folder of a job and return the command that runs it.

    Parameters
    ----------
    inputs : what it reads.
    folder : private folder; the result is to appear as ``result`` in it.
    child : program instead of ours for segmentations (tests).
    """
    if job.kind in WORKFLOW_KINDS:
        settings = _settings(WORKFLOW_KINDS[job.kind], job.options, inputs, folder / "result")
        command = job_command(job.kind, folder / "settings.json")
        if job.parent:  # what the workflow reads has to be made from the scan and the results of the step before
            settings["chain"] = [str(path) for path in inputs]
            command[command.index("DicomWorkbenchLib.job")] = "AutoSegmentQueueLib.chain_job"
        (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        return command
    data = {
        "id": job.id,
        "attempt": job.attempts,
        "fence": job.fence,
        "kind": job.kind,
        "inputs": [str(path) for path in inputs],
        "name": job.name,
        "engine": job.engine,
        "options": job.options,
        "work": str(folder),
        "result": str(folder / "result"),
        "deadline_seconds": deadline_seconds,
    }
    (folder / "job.json").write_text(json.dumps(data), encoding="utf-8")
    return [*(child or (sys.executable, "-m", "AutoSegmentQueueLib.job")), str(folder / "job.json")]


def collect(job: Job, folder: Path, stdout: Path) -> str:
    """Give the result of a workflow its manifest; returns why that cannot be, empty text if it was done.

    A workflow makes its output folder appear complete or not at all, and prints its report as the last line.

    Raises
    ------
    OutputError : the manifest cannot be written.
    """
    report = _last_report(stdout)
    if report is None:
        return "it ended without a report"
    if not (folder / "result").is_dir():
        return "it wrote no results"
    rest = {
        "engine": {"name": job.kind, "version": report.get("version", "")},
        "options": job.options,
        "inputs": report.get("inputs", []),
        "structures": [],
        "seconds": report.get("seconds", 0.0),
        "warnings": report.get("warnings", []),
    }
    try:
        write_manifest(folder / "result", job, rest)
    except OSError as error:
        raise OutputError(f"the manifest of job {job.id} cannot be written: {error.strerror}") from error
    return ""


def said_error(log: Path, start: int) -> str:
    """Return the sentence a workflow wrote to stderr before it gave up, from an offset of its log; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(start)
            lines = file.read()[-65536:].decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.removeprefix("error: ") for line in reversed(lines) if line.startswith("error: ")), "")


def _settings(kind: WorkflowKind, options: dict[str, Any], inputs: list[Path], output: Path) -> dict[str, Any]:
    paths = [str(path) for path in inputs]
    return {**options, kind.inputs: paths if kind.several else paths[0], "output": str(output)}


def _last_report(stdout: Path) -> dict[str, Any] | None:
    try:
        lines = stdout.read_bytes().rstrip(b"\n").rsplit(b"\n", 1)
        report = json.loads(lines[-1]).get("report")
    except (OSError, ValueError, AttributeError):
        return None
    return report if isinstance(report, dict) else None
