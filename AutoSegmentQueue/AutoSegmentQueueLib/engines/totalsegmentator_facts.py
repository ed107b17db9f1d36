"""What an installed TotalSegmentator says about itself: versions, tasks, classes. Asked in its own environment, in a tenth of a second."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from DicomWorkbenchLib.errors import DependencyError

from AutoSegmentQueueLib.engines.model import Structure
from AutoSegmentQueueLib.engines.terminology import read_mapping, structure_of
from AutoSegmentQueueLib.totalsegmentator_setup import HOW, Environment

ASK_SECONDS = 60.0  # the first start of an environment from a slow disk
# Without importing torch, which takes seconds; an older version without these names fails and is reported.
_QUESTION = """
import json
from importlib.metadata import version
from pathlib import Path
import totalsegmentator
from totalsegmentator.map_tasks_config import TASK_CONFIGS
from totalsegmentator.map_to_binary import class_map_5_parts
from totalsegmentator.registry import task_registry
tasks = task_registry()["tasks"]
for name, task in tasks.items():
    config = TASK_CONFIGS.get(name, {})
    task["modes"] = sorted(config.get("sub_modes", {}))
prefix = "class_map_part_"
parts = {part.removeprefix(prefix): list(v.values()) for part, v in class_map_5_parts.items() if part.startswith(prefix)}
folder = Path(totalsegmentator.__file__).parent
versions = {name: version(name) for name in ("TotalSegmentator", "nnunetv2", "torch")}
print(json.dumps({"versions": versions, "tasks": tasks, "parts": parts, "folder": str(folder)}))
"""
_GROUPS = {
    "organs": "Organs",
    "vertebrae": "Vertebrae",
    "cardiac": "Heart and vessels",
    "muscles": "Muscles and limbs",
    "ribs": "Ribs",
}
_DEVICES = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"


@dataclass(frozen=True)
class Task:
    """One task: names by label, the qualities it has besides "normal", and what it needs."""

    name: str
    modality: str
    license_required: bool
    modes: tuple[str, ...]
    classes: dict[int, str]


@dataclass(frozen=True)
class Facts:
    """Versions, tasks by name, and where the table of codes and colours is."""

    versions: dict[str, str]
    tasks: dict[str, Task]
    groups: dict[str, str]
    folder: Path

    def structures(self, task: str) -> list[Structure]:
        """Return the structures of a task, with standard colours and codes."""
        rows = read_mapping(self.folder / "resources" / "totalsegmentator_snomed_mapping.csv")
        classes = self.tasks[task].classes
        return [structure_of(name, label, rows, self.groups.get(name, "")) for label, name in sorted(classes.items())]


def clean_environment() -> dict[str, str | None]:
    """Return what is changed so that another Python finds its own packages and libraries only, also when we run in Slicer."""
    clean: dict[str, str | None] = {"PYTHONPATH": None, "PYTHONHOME": None, "PYTHONNOUSERSITE": "1"}
    if "SLICER_HOME" in os.environ:
        clean |= {"LD_LIBRARY_PATH": None, "DYLD_LIBRARY_PATH": None}
    return clean


@lru_cache(maxsize=4)
def ask(environment: Environment) -> Facts:
    """Ask an environment what it has.

    Raises
    ------
    DependencyError : TotalSegmentator is not in it, or is too old to answer.
    """
    answer = json.loads(_run(environment, _QUESTION))
    tasks = {
        name: Task(
            name,
            task["modality"],
            task["license_required"],
            tuple(task["modes"]),
            {int(label): structure for label, structure in task["classes"].items()},
        )
        for name, task in answer["tasks"].items()
    }
    groups = {name: _GROUPS.get(part, part) for part, names in answer["parts"].items() for name in names}
    return Facts(answer["versions"], tasks, groups, Path(answer["folder"]))


def count_gpus(environment: Environment) -> int:
    """Return how many GPUs torch can use there; takes a few seconds."""
    return int(_run(environment, _DEVICES).split()[-1])


def _run(environment: Environment, question: str) -> str:
    variables = {**os.environ, **clean_environment()}
    try:
        answer = subprocess.run(
            [str(environment.python), "-c", question],
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
            check=False,
            env={name: value for name, value in variables.items() if value is not None},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DependencyError(
            "TotalSegmentator", hint=f"{environment.python} cannot be asked ({error}); {HOW}"
        ) from error
    if answer.returncode:
        said = (answer.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise DependencyError("TotalSegmentator 2.18 or newer", hint=f"{environment.root} says: {said}; {HOW}")
    return answer.stdout
