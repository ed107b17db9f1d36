"""The extension TotalSegmentator, called inside Slicer; its interface has changed over the years, so its signature is asked first."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import slicer
from DicomWorkbenchLib.errors import DependencyError, ProcessError
from DicomWorkbenchLib.progress import CancelToken, Progress

from AutoSegmentQueueLib.engines.model import (
    ANATOMICAL_STRUCTURE,
    Code,
    EngineOptions,
    EngineRequest,
    Segmented,
    Structure,
)
from AutoSegmentQueueLib.engines.slicer import EXTENSIONS
from AutoSegmentQueueLib.engines.totalsegmentator import progress_of_lines
from AutoSegmentQueueLib.mrml import add_scan


def segment_with_extension(request: EngineRequest, progress: Progress, cancel: CancelToken) -> Segmented:
    """Run ``TotalSegmentatorLogic.process``; see `Engine.segment`."""
    try:
        from TotalSegmentator import TotalSegmentatorLogic
    except ImportError as error:
        raise DependencyError("Slicer's extension TotalSegmentator", hint=EXTENSIONS) from error
    cancel.check()
    _check_device(request.options.device)
    logic = TotalSegmentatorLogic()
    logic.logCallback = progress_of_lines(progress)
    arguments, warnings = process_arguments(logic.process, request.options)
    with _temporary_nodes(request) as (scan, node):
        try:
            logic.process(scan, node, **arguments)
        except (RuntimeError, ValueError) as error:
            raise ProcessError(f"Slicer's TotalSegmentator failed: {error}") from error
        # Its reader gives back an empty segmentation where the result cannot be read, and no error.
        if node.GetSegmentation().GetNumberOfSegments() == 0:
            raise ProcessError("Slicer's TotalSegmentator came back with no segment at all; its log says why")
        labelmap, structures = _labels(node, scan, request)
    return Segmented(labelmap, structures, _version(request.options), tuple(warnings))


def process_arguments(process: Callable[..., None], options: EngineOptions) -> tuple[dict[str, Any], list[str]]:
    """Return the keywords for the ``process`` that is installed, and warnings where it cannot do what is asked.

    ``quality="normal|fast|faster"`` since 5.9, ``fast=True|False`` before.
    """
    known = inspect.signature(process).parameters
    arguments: dict[str, Any] = {"cpu": options.device == "cpu", "task": options.task, "interactive": False}
    warnings = []
    if options.structures:
        if not options.task.startswith("total"):
            raise ProcessError(
                f"Slicer's TotalSegmentator takes structures with the task total only, not {options.task}"
            )
        arguments["subset"] = list(options.structures)
    if "quality" in known:
        arguments["quality"] = options.quality
    else:
        arguments["fast"] = options.quality != "normal"
        if options.quality == "faster":
            warnings.append("this TotalSegmentator extension has no quality faster; fast was used")
    if options.split:
        warnings.append("this engine cannot work in pieces; the scan was segmented as a whole")
    return {name: value for name, value in arguments.items() if name in known}, warnings


def _check_device(device: str) -> None:
    """Refuse a GPU that is not there: the extension would take the CPU silently."""
    if device == "cpu":
        return
    try:
        import torch
    except ImportError as error:
        raise DependencyError("PyTorch in Slicer", hint=EXTENSIONS) from error
    if not torch.cuda.is_available():  # the job has made only the chosen one visible
        raise DependencyError(f"the device {device}", hint="Slicer's PyTorch sees no such GPU; choose device cpu")


@contextmanager
def _temporary_nodes(request: EngineRequest) -> Iterator[tuple[Any, Any]]:
    scan = add_scan(request.volume, "scan")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "TotalSegmentator")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    try:
        yield scan, node
    finally:
        for one in (node, scan):
            slicer.mrmlScene.RemoveNode(one)


def _labels(node: Any, scan: Any, request: EngineRequest) -> tuple[Any, tuple[Structure, ...]]:
    """Return one label map and the structures, with the extension's own colours and codes."""
    segmentation = node.GetSegmentation()
    labelmap = np.zeros(request.volume.array.shape, np.uint16)
    structures = []
    for number in range(segmentation.GetNumberOfSegments()):
        segment_id = segmentation.GetNthSegmentID(number)
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, scan)
        if mask is not None:
            labelmap[mask != 0] = number + 1
        structures.append(_structure(segmentation.GetSegment(segment_id), segment_id, number + 1))
    return labelmap, tuple(structures)


def _structure(segment: Any, segment_id: str, label: int) -> Structure:
    category, kind, modifier = _codes(segment)
    # The segment's id is the class name; its name may be one for people, and translated.
    return Structure(
        segment_id,
        (label,),
        tuple(segment.GetColor()),
        category=category or ANATOMICAL_STRUCTURE,
        kind=kind,
        modifier=modifier,
    )


def _codes(segment: Any) -> list[Code | None]:
    """Read category, type and modifier out of Slicer's text form."""
    import vtk

    text = vtk.mutable("")
    segment.GetTag(segment.GetTerminologyEntryTagName(), text)
    parts = str(text).split("~")[1:4]
    codes: list[Code | None] = [
        Code(*part.split("^")) if part.count("^") == 2 and part != "^^" else None for part in parts
    ]
    return (codes + [None] * 3)[:3]


def _version(options: EngineOptions) -> dict[str, str]:
    application = slicer.app.applicationVersion if hasattr(slicer.app, "applicationVersion") else ""
    return {
        "name": "slicer-totalsegmentator",
        "version": str(application or sys.version_info[:2]),
        "task": options.task,
        "quality": options.quality,
        "device": options.device,
    }
