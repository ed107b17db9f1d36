"""The table of workflows: what each is called and where its command and its job live.

Names only, so that reading the table imports nothing; a workflow never imports another one, it asks here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from DicomWorkbenchLib.errors import DependencyError


@dataclass(frozen=True)
class Workflow:
    """One verb of the command ``dicom-workbench``.

    Attributes
    ----------
    verb : the sub-command.
    help : one line for ``--help``.
    command : ``module:attribute`` of its click command.
    job : ``module:attribute`` of ``run(settings, progress=, cancel=) -> Report``, empty if the queue cannot run it.
    settings : ``module:attribute`` of the settings dataclass of that job.
    extra : the extra that installs what it needs.
    """

    verb: str
    help: str
    command: str
    job: str = ""
    settings: str = ""
    extra: str = ""


WORKFLOWS: dict[str, Workflow] = {
    w.verb: w
    for w in (
        Workflow(
            "optimize",
            "Make series with their RTSTRUCT, SEG and RTDOSE small for the web.",
            "DicomOptimizerLib.cli:command",
            "DicomOptimizerLib.job:run",
            "DicomOptimizerLib.settings:OptimizerSettings",
            "optimizer",
        ),
        Workflow(
            "optimize-preview",
            "Show what optimize would do, its expected size and a picture.",
            "DicomOptimizerLib.cli:preview_command",
            "DicomOptimizerLib.inspection:inspect",
            "DicomOptimizerLib.inspection:InspectionSettings",
            "optimizer",
        ),
        Workflow(
            "tumors",
            "Measure the liver tumours of many patients and report on the cohort.",
            "TumorAnalysisLib.cli:command",
            "TumorAnalysisLib.job:run",
            "TumorAnalysisLib.settings:TumorSettings",
            "tumors",
        ),
        Workflow(
            "spheres",
            "Find and measure the spheres of PET phantoms and judge the scanner.",
            "SphereVOILib.cli:command",
            "SphereVOILib.job:run",
            "SphereVOILib.settings:SphereSettings",
            "spheres",
        ),
        Workflow(
            "queue",
            "Segment scans one after another with a durable queue; deliver 3D models.",
            "AutoSegmentQueueLib.cli:command",
            extra="queue",
        ),
        Workflow(
            "stream",
            "Open, serve and repack compressed multi-frame DICOM of any size, frame by frame.",
            "MultiframeStreamerLib.cli:command",
            "MultiframeStreamerLib.repack:run",
            "MultiframeStreamerLib.settings:RepackSettings",
            "stream",
        ),
        Workflow(
            "sample-data",
            "Make synthetic DICOM data to try everything with.",
            "DicomWorkbenchLib.samples.cli:command",
            extra="samples",
        ),
        Workflow(
            "demo",
            "Run what is ready on sample data and write a gallery.",
            "DicomWorkbenchLib.demo:command",
            extra="all",
        ),
    )
}


def load(reference: str, extra: str = "") -> Any:
    """Import ``module:attribute`` and return the attribute.

    Raises
    ------
    DependencyError : a package it needs is not installed; the message names the extra.
    """
    module, _, attribute = reference.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name and error.name.endswith("Lib"):
            raise
        raise DependencyError(f"the Python package {error.name}", extra=extra or "all") from error


def job_of(verb: str) -> tuple[Callable[..., Any], type[Any]]:
    """Return the job function and the settings class of a workflow, for the queue."""
    workflow = WORKFLOWS[verb]
    return load(workflow.job, workflow.extra), load(workflow.settings, workflow.extra)
