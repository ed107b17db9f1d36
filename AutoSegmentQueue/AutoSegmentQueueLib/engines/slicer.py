"""TotalSegmentator as an extension of a headless Slicer.

Outside of Slicer the job starts the Slicer executable, see `job_slicer`; inside, `SlicerEngine.segment` calls the extension's logic.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from DicomWorkbenchLib.errors import DependencyError
from DicomWorkbenchLib.progress import CancelToken, Progress

from AutoSegmentQueueLib.engines.model import EngineRequest, Segmented

VARIABLE = "WORKBENCH_SLICER"  # the Slicer executable, or the folder it lies in
INSIDE = "WORKBENCH_INSIDE_SLICER"  # set for the Slicer we start
EXTENSIONS = (
    "install the extensions TotalSegmentator, PyTorch and NNUNet with Slicer's Extensions Manager and start Slicer once"
)


class SlicerEngine:
    """The extension TotalSegmentator in a Slicer without windows."""

    name = "slicer-totalsegmentator"
    title = "TotalSegmentator in a headless Slicer"

    def available(self) -> str | None:
        """Return why it cannot be used here; None if it can. Whether the extension is there only Slicer knows."""
        if inside_slicer():
            return None
        try:
            slicer_command()
        except DependencyError as error:
            return str(error)
        return None

    def segment(self, request: EngineRequest, progress: Progress, cancel: CancelToken) -> Segmented:
        """Segment the scan inside Slicer; see `Engine.segment`."""
        if not inside_slicer():
            raise DependencyError("Slicer around this engine", hint="run it as a job; that starts Slicer")
        from AutoSegmentQueueLib.engines.mrml import segment_with_extension

        return segment_with_extension(request, progress, cancel)


def inside_slicer() -> bool:
    """True in the Python of a Slicer that a job has started."""
    return os.environ.get(INSIDE) == "1"


def slicer_command() -> list[str]:
    """Return how Slicer is started: its executable, on Linux without a display below ``xvfb-run``.

    Its Linux packages bring no other Qt platform than X11, so a display must be there although nothing is shown.

    Raises
    ------
    DependencyError : Slicer, or xvfb-run where it is needed, is not there.
    """
    executable = find_slicer()
    if not sys.platform.startswith("linux") or os.environ.get("DISPLAY"):
        return [str(executable)]
    xvfb = shutil.which("xvfb-run")
    if xvfb is None:
        raise DependencyError(
            "a display for Slicer", hint="install xvfb (Debian and Ubuntu: apt-get install xvfb xauth)"
        )
    return [xvfb, "-a", str(executable)]


def find_slicer() -> Path:
    """Return the Slicer executable.

    Raises
    ------
    DependencyError : there is none; the message says how to name one.
    """
    name = "Slicer.exe" if sys.platform == "win32" else "Slicer"
    given = os.environ.get(VARIABLE, "").strip()
    if given:
        path = Path(given).expanduser()
        path = path / name if path.is_dir() else path
        if path.is_file():
            return path.absolute()
        raise DependencyError("Slicer", hint=f"{VARIABLE} names {given}, where it is not")
    for path in _places(name):
        if path.is_file():
            return path.absolute()
    raise DependencyError(
        "Slicer", hint=f"download it from slicer.org and name its executable in the variable {VARIABLE}"
    )


def _places(name: str) -> Iterator[Path]:
    """Yield where Slicer may be, the likeliest first."""
    if home := os.environ.get("SLICER_HOME"):  # we are a child of a Slicer
        yield Path(home, name)
    if found := shutil.which("Slicer"):
        yield Path(found)
    if sys.platform == "darwin":
        yield Path("/Applications/Slicer.app/Contents/MacOS/Slicer")
    elif sys.platform == "win32":
        installed = Path(os.environ.get("LOCALAPPDATA", "")) / "slicer.org"
        yield from sorted(installed.glob(f"*/{name}"), reverse=True)
