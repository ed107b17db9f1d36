"""TotalSegmentator from PyPI, as a separate process in its own environment.

Nothing is sent to anybody: its usage statistics are off unless ``WORKBENCH_TOTALSEGMENTATOR_STATISTICS=1``. Weights are shared and
downloaded by TotalSegmentator when a task is used for the first time; everything else it writes lies in the job's private folder.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from DicomWorkbenchLib.errors import DependencyError, InputError, ProcessError, SettingsError
from DicomWorkbenchLib.progress import CancelToken, Progress

from AutoSegmentQueueLib.engines.child import ChildResult, run_child
from AutoSegmentQueueLib.engines.model import EngineOptions, EngineRequest, ImageVolume, Labels, Segmented, Structure
from AutoSegmentQueueLib.totalsegmentator_setup import Environment, find_environment

if TYPE_CHECKING:
    from AutoSegmentQueueLib.engines.totalsegmentator_facts import Facts

STATISTICS_VARIABLE = "WORKBENCH_TOTALSEGMENTATOR_STATISTICS"
WEIGHTS_VARIABLE = "TOTALSEG_WEIGHTS_PATH"
_QUALITY_OPTION = {"normal": [], "fast": ["--fast"], "faster": ["--fastest"]}
_MODE = {"fast": "fast", "faster": "fastest"}
_NO_WEIGHTS = ("ConnectionError", "NameResolutionError", "Max retries exceeded", "Failed to establish", "HTTPError")
_NO_LICENSE = ("requires a license", "license number has not been set", "Invalid license")
_GRID_TOLERANCE_MM = 1e-2  # NIfTI keeps positions in float32
_PERCENT = re.compile(r"(\d{1,3})%\|")
_PART = re.compile(r"Predicting part (\d+) of (\d+)")
# What it says, and how far it is then (percent); prediction goes on from its line to that of the next.
_STAGES = (
    ("Generating rough segmentation", 5, "finding the region"),
    ("Resampling", 10, "resampling"),
    ("Predicting", 20, "segmenting"),
    ("Saving segmentations", 95, "saving"),
)
_PREDICTED = 90


class TotalSegmentatorEngine:
    """The PyPI package TotalSegmentator in its own environment."""

    name = "totalsegmentator"
    title = "TotalSegmentator (in its own environment)"

    def available(self) -> str | None:
        """Return why it cannot be used here; None if it can."""
        try:
            find_environment()
        except DependencyError as error:
            return str(error)
        return None

    def tasks(self) -> list[str]:
        """Return the names of its tasks.

        Raises
        ------
        DependencyError : it is not installed.
        """
        from AutoSegmentQueueLib.engines.totalsegmentator_facts import ask

        return list(ask(find_environment()).tasks)

    def segment(self, request: EngineRequest, progress: Progress, cancel: CancelToken) -> Segmented:
        """Segment the scan; see `Engine.segment`."""
        from AutoSegmentQueueLib.engines.totalsegmentator_facts import ask, clean_environment

        environment = find_environment()
        facts = ask(environment)
        warnings = _check(request, facts)
        device = _device_variables(request.options.device, environment)
        folder = request.work / "totalsegmentator"
        folder.mkdir(parents=True, exist_ok=True)
        source, target = folder / "scan.nii", folder / "segmentation.nii"
        progress(0, 100, "writing the scan")
        _write_nifti(source, request.volume)
        result = run_child(
            _command(environment, source, target, request.options),
            environment={**clean_environment(), **private_variables(folder), **device},
            folder=folder,
            on_line=progress_of_lines(progress),
            cancel=cancel,
        )
        _raise_if_failed(result, target, request.options.task)
        labels = _read_labels(target, request.volume)
        structures = _wanted(facts.structures(request.options.task), request.options.structures)
        options = request.options
        version = {
            "name": self.name,
            "version": facts.versions["TotalSegmentator"],
            "nnunetv2": facts.versions["nnunetv2"],
            "torch": facts.versions["torch"],
            "task": options.task,
            "quality": options.quality,
            "device": options.device,
        }
        return Segmented(labels, structures, version, tuple(warnings))


def _check(request: EngineRequest, facts: Facts) -> list[str]:
    """Raise where the wish cannot be fulfilled; return warnings where it is fulfilled otherwise."""
    options, task = request.options, facts.tasks.get(request.options.task)
    if task is None:
        raise SettingsError(f"TotalSegmentator has no task {options.task!r}; it has {', '.join(facts.tasks)}")
    if unknown := sorted(set(options.structures) - set(task.classes.values())):
        raise SettingsError(f"the task {task.name} has no structure {', '.join(unknown)}")
    modality = request.volume.modality
    if modality in ("CT", "MR") and modality != task.modality:
        raise InputError(f"the task {task.name} is for {task.modality}, the scan is {modality}; choose another task")
    if options.quality != "normal" and _MODE[options.quality] not in task.modes:
        # TotalSegmentator takes the nearest it has without a word.
        return [f"the task {task.name} has no quality {options.quality}; the nearest it has was used"]
    return []


def _wanted(structures: list[Structure], names: tuple[str, ...]) -> tuple[Structure, ...]:
    return tuple(one for one in structures if not names or one.name in names)


def _command(environment: Environment, source: Path, target: Path, options: EngineOptions) -> list[str]:
    """Return the command line; ``--roi_subset`` exists for the tasks "total..." only, others are filtered afterwards."""
    subset = ["--roi_subset", *options.structures] if options.structures and options.task.startswith("total") else []
    return [
        str(environment.python),
        "-m",
        "totalsegmentator.bin.TotalSegmentator",
        *("-i", str(source), "-o", str(target), "--ml", "--task", options.task),
        *("--device", "cpu" if options.device == "cpu" else "gpu", "--nr_thr_resamp", "1", "--nr_thr_saving", "1"),
        *_QUALITY_OPTION[options.quality],
        *(["--force_split"] if options.split else []),
        *subset,
    ]


def _device_variables(device: str, environment: Environment) -> dict[str, str | None]:
    """Choose the GPU by CUDA_VISIBLE_DEVICES, and refuse one that is not there: TotalSegmentator would take the CPU silently."""
    if device == "cpu":
        return {"CUDA_VISIBLE_DEVICES": ""}
    from AutoSegmentQueueLib.engines.totalsegmentator_facts import count_gpus

    number = int(device.partition(":")[2] or 0)
    count = count_gpus(environment)
    if number >= count:
        raise DependencyError(
            f"the device {device}", hint=f"{count} GPUs can be used by torch in {environment.root}; choose device cpu"
        )
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return {"CUDA_VISIBLE_DEVICES": visible[number] if number < len(visible) else str(number)}


def private_variables(folder: Path) -> dict[str, str]:
    """Return the variables that give TotalSegmentator a home of its own in ``folder``, and the weights all jobs share."""
    users = Path(os.environ.get("TOTALSEG_HOME_DIR") or Path.home() / ".totalsegmentator")
    home = private_home(folder / "home", users)
    weights = Path(os.environ.get(WEIGHTS_VARIABLE) or users / "nnunet" / "results")
    weights.mkdir(parents=True, exist_ok=True)
    return {"TOTALSEG_HOME_DIR": str(home), WEIGHTS_VARIABLE: str(weights), "MPLCONFIGDIR": str(folder / "matplotlib")}


def private_home(home: Path, users: Path) -> Path:
    """Make a TOTALSEG_HOME_DIR for one job, in which usage statistics are off unless the user has opted in."""
    home.mkdir(parents=True, exist_ok=True)
    try:
        before = json.loads((users / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = {}
    config = {
        "totalseg_id": before.get("totalseg_id") or "totalseg_" + secrets.token_hex(4).upper(),
        "send_usage_stats": os.environ.get(STATISTICS_VARIABLE) == "1",
        "prediction_counter": 0,
        "statistics_disclaimer_shown": True,
    }
    if before.get("license_number"):
        config["license_number"] = before["license_number"]
    (home / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return home


def progress_of_lines(progress: Progress) -> Callable[[str], None]:
    """Return what takes TotalSegmentator's lines and reports its progress."""
    return _Lines(progress)


class _Lines:
    """Turns TotalSegmentator's lines into progress, and passes on the ones worth keeping to the job's log."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stage, self._done = "starting TotalSegmentator", 0
        self._part, self._parts = 1, 1
        progress(0, 100, self._stage)

    def __call__(self, line: str) -> None:
        if part := _PART.search(line):
            self._part, self._parts = int(part[1]), int(part[2])
        if (percent := _PERCENT.search(line)) and self._stage == "segmenting":
            share = (self._part - 1 + int(percent[1]) / 100) / self._parts
            self._at(20 + round((_PREDICTED - 20) * share), self._stage)
            return
        for words, done, stage in _STAGES:
            if line.strip().startswith(words):
                self._at(done, stage)
        if line.strip() and not percent:
            sys.stderr.write(line + "\n")

    def _at(self, done: int, stage: str) -> None:
        self._done, self._stage = max(done, self._done), stage
        self._progress(self._done, 100, stage)


def _raise_if_failed(result: ChildResult, target: Path, task: str) -> None:
    if result.exit_code == 0 and target.is_file():
        return
    if result.out_of_memory:
        raise MemoryError(f"TotalSegmentator ran out of memory: {result.reason}")
    said = "\n".join(result.lines)
    if any(word in said for word in _NO_LICENSE):
        raise DependencyError(
            f"a licence for TotalSegmentator's task {task}",
            hint="get one from its authors and run totalseg_set_license",
        )
    if any(word in said for word in _NO_WEIGHTS):
        raise DependencyError(
            f"the network of TotalSegmentator's task {task}",
            hint=f"it cannot be downloaded from here; put it where {WEIGHTS_VARIABLE} points, or connect this machine",
        )
    raise ProcessError(f"TotalSegmentator failed (exit code {result.exit_code}): {result.reason}")


def _write_nifti(path: Path, volume: ImageVolume) -> None:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(volume.array)
    spacing = np.asarray(volume.spacing_mm)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((volume.matrix_lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(volume.matrix_lps[:3, 3].tolist())
    sitk.WriteImage(image, str(path))


def _read_labels(path: Path, volume: ImageVolume) -> Labels:
    """Read the label map, and make sure that it lies where the scan does.

    Raises
    ------
    ProcessError : it does not.
    """
    import SimpleITK as sitk

    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image)
    last = np.asarray(volume.array.shape[::-1]) - 1
    ours = (volume.matrix_lps @ np.append(last, 1.0))[:3]
    fits = array.shape == volume.array.shape and np.allclose(
        image.GetOrigin(), volume.matrix_lps[:3, 3], atol=_GRID_TOLERANCE_MM
    )
    if not fits or not np.allclose(image.TransformIndexToPhysicalPoint(last.tolist()), ours, atol=_GRID_TOLERANCE_MM):
        raise ProcessError(
            "TotalSegmentator returned a label map that does not lie where the scan does; nothing was used"
        )
    return np.asarray(array, np.uint16)
