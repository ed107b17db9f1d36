"""TotalSegmentator's own environment: where it is, and how it is made (``make setup-totalsegmentator``).

It never shares an environment with us, because it pins an older VTK. The trimmed installation leaves out what only its pictures and
its training need: 1.8 GB instead of 7.1 GB. Weights are downloaded by TotalSegmentator itself at its first run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.errors import DependencyError

from AutoSegmentQueueLib.home import default_home

VARIABLE = "WORKBENCH_TOTALSEGMENTATOR"  # an environment's folder, or the Python in it
TORCH = "torch==2.13.0"  # any other one is replaced by a CUDA build of several gigabytes
WITHOUT_DEPENDENCIES = (
    "TotalSegmentator==2.18.0",
    "nnunetv2==2.8.1",
    "dynamic-network-architectures==0.4.4",
    "acvl-utils==0.2.6",
    "batchgenerators==0.25.5",
    "batchgeneratorsv2==0.3.6",
)
DEPENDENCIES = (
    "numpy",
    "scipy",
    "nibabel",
    "SimpleITK",
    "tqdm",
    "requests",
    "scikit-image",
    "pandas",
    "blosc2",
    "einops",
    "xmltodict",
    "connected-components-3d",
    "matplotlib",
    "seaborn",
    "scikit-learn",
    "dicom2nifti",
)
HOW = "make it with: make setup-totalsegmentator, or name an existing one in the variable " + VARIABLE
_STAMP = ".complete"
_LAST_LINES = 15


@dataclass(frozen=True)
class Environment:
    """A folder with a Python that can import TotalSegmentator."""

    root: Path

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.root / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def complete(self) -> bool:
        """True if our set-up came to its end, or somebody else made it."""
        return self.python.exists() and ((self.root / _STAMP).exists() or self.root != default_folder())


def default_folder() -> Path:
    """Return where the set-up makes it: beside ``.venv`` in a checkout, otherwise in the user data directory."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").exists():
        return checkout / ".venv-totalsegmentator"
    return default_home().parent / "totalsegmentator"


def find_environment() -> Environment:
    """Return the environment that is to be used.

    Raises
    ------
    DependencyError : there is none; the message says how to get it.
    """
    given = os.environ.get(VARIABLE, "").strip()
    root = _root_of(Path(given).expanduser()) if given else default_folder()
    found = Environment(root)
    if not found.complete:
        where = f"{VARIABLE} names {given}, which holds no Python; " if given else ""
        raise DependencyError("an environment with TotalSegmentator", hint=where + HOW)
    return found


def _root_of(given: Path) -> Path:
    # Not resolved: the Python of an environment is often a link to the system's.
    return given.parent.parent if given.is_file() else given


def make_environment(folder: Path) -> Environment:
    """Make the environment, or complete one that was interrupted; about 2 minutes and 1.8 GB.

    Raises
    ------
    DependencyError : a step failed; the message holds the end of what it said.
    """
    environment = Environment(folder)
    mark = "\n".join((TORCH, *WITHOUT_DEPENDENCIES, *DEPENDENCIES, sys.version))
    stamp = folder / _STAMP
    if stamp.exists() and stamp.read_text(encoding="utf-8") == mark:
        return environment
    stamp.unlink(missing_ok=True)
    if not environment.python.exists():
        _run([sys.executable, "-m", "venv", "--clear", str(folder)], "making an environment for TotalSegmentator")
    constraints = folder / "constraints.txt"
    constraints.write_text(TORCH + "\n", encoding="utf-8")
    pip = [str(environment.python), "-m", "pip", "--disable-pip-version-check", "install", "--no-input"]
    _run([*pip, TORCH], "installing torch (900 MB)")
    _run([*pip, "--no-deps", *WITHOUT_DEPENDENCIES], "installing TotalSegmentator")
    _run([*pip, "--constraint", str(constraints), *DEPENDENCIES], "installing what it needs")
    _leave_out_transformers(environment)
    _run([str(environment.python), "-c", "import totalsegmentator.python_api"], "first import")
    stamp.write_text(mark, encoding="utf-8")
    return environment


def _leave_out_transformers(environment: Environment) -> None:
    """Remove nnU-Net's Primus trainers, which no task of TotalSegmentator uses.

    nnU-Net imports every trainer while it looks for the one a checkpoint names; these ask for timm, and that for a torchvision
    which does not fit a CPU build of torch.
    """
    question = "from importlib.util import find_spec; print(find_spec('nnunetv2').submodule_search_locations[0])"
    answer = subprocess.run([str(environment.python), "-c", question], capture_output=True, text=True, check=False)
    shutil.rmtree(Path(answer.stdout.strip()) / "training/nnUNetTrainer/primus", ignore_errors=True)


def _run(command: list[str], what: str) -> None:
    """Run a step and show one line that moves."""
    began, lines = time.monotonic(), [""]
    try:
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace"
        )
    except OSError as error:
        raise DependencyError(command[0], hint=f"{what} failed: {error.strerror}") from error
    with child:
        for line in child.stdout or ():
            lines.append(line.rstrip())
            _show(what, time.monotonic() - began, lines[-1])
    if child.returncode:
        said = "\n".join(lines[-_LAST_LINES:])
        raise DependencyError("TotalSegmentator", hint=f"{what} failed; run it again when this is mended:\n{said}")
    _show(what, time.monotonic() - began, "done", last=True)


def _show(what: str, seconds: float, line: str, *, last: bool = False) -> None:
    if sys.stderr.isatty():
        short = " ".join(line.split()[:2])[:40]
        sys.stderr.write(f"\r{what} {seconds:4.0f} s  {short:<40}" + ("\n" if last else ""))
    elif last:
        sys.stderr.write(f"{what}: done in {seconds:.0f} s\n")
    sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the environment from a command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make TotalSegmentator's own environment.")
    parser.add_argument("folder", nargs="?", type=Path, default=None, help="where; beside .venv if not given")
    folder = parser.parse_args(arguments).folder or default_folder()
    try:
        environment = make_environment(folder.expanduser().absolute())
    except DependencyError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stderr.write(f"TotalSegmentator is ready: {environment.python}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
