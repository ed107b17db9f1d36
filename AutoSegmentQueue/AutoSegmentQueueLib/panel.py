"""What the panel does beside showing widgets: settings from its fields, commands for the queue's process, logs. No Qt, no MRML."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.outputs import free_name
from DicomWorkbenchLib.process import child_environment, workbench_command

from AutoSegmentQueueLib import engines, panel_cells, panel_network
from AutoSegmentQueueLib.engines import threshold
from AutoSegmentQueueLib.home import BusyError, Home, Lock
from AutoSegmentQueueLib.ledger import Job
from AutoSegmentQueueLib.settings import ModelFormat, QueueSettings, SegmentationSettings

RUNS = "The queue runs; stop it to change what it does."
TIPS = {
    "start": "Watch the input folder and work off the queue.",
    "web": "Open the queue's page in the browser.",
    "stop": "End the queue's process. Jobs that run are taken up again at the next start.",
    "pause": "Start no more jobs, or go on.",
    "addVolume": "Save the volume into the input folder and queue it.",
    "addFiles": "Queue NRRD, NIfTI or DICOM files, or zip archives; they are read where they are.",
    "addFolder": "Queue a folder of DICOM files; it is read where it is.",
    "cancel": "End the job and everything it started.",
    "retry": "Try the job again.",
    "sooner": "Raise the priority.",
    "later": "Lower the priority.",
    "load": "Load segmentation and table into the scene.",
    "preview": "Open the page with pictures in the browser.",
    "pull": "Fetch the study, or what of it is missing here, and queue its series by the rules of routing.toml.",
}
WORK_FIELDS = ("task", "quality", "structureNames", "device", "slots", "reduction", "stl", "obj")
FIELDS = ("input", "output", "engine", *WORK_FIELDS, *panel_network.FIELDS)
PAGE_LINE = "page "  # what ``queue serve --port`` writes before the address of its page
OBSTACLE_SECONDS = 5.0
LOG_BYTES = 16_000  # of a log's end; more nobody reads in a panel
HELP = (
    "A durable queue: scans that are dropped into a folder, or added here, are segmented one after another and come out "
    "as segmentations, 3D models, tables and pages. For research; not for diagnostic use."
)
ENGINES = engines.names()
DEVICES = ["cpu", "gpu", "gpu:0", "gpu:1", "gpu:2", "gpu:3"]
FILE_KINDS = "Scans (*.nrrd *.nii *.nii.gz *.dcm *.dicom *.zip);;All files (*)"
MOST_SLOTS = 64  # that the panel offers
BUILT_IN = threshold.ThresholdEngine.name  # has neither tasks nor qualities, and needs no device
Launcher = Callable[..., "subprocess.Popen[str]"]


def settings_of(fields: dict[str, Any], before: QueueSettings) -> QueueSettings:
    """Build the queue's settings from the panel's fields; what the panel does not show stays as it was.

    Raises
    ------
    SettingsError : a field cannot work.
    """
    formats: list[ModelFormat] = ["gltf", "glb"]
    if fields["stl"]:
        formats.append("stl")
    if fields["obj"]:
        formats.append("obj")
    segmentation = SegmentationSettings(
        task=fields["task"].strip(),
        quality=fields["quality"],
        structures=tuple(name.strip() for name in fields["structureNames"].split(",") if name.strip()),
        device=fields["device"],
        reduction=fields["reduction"],
        formats=tuple(formats),
    )
    return replace(
        panel_network.with_network(fields, before),
        input=_folder(fields["input"]),
        output=_folder(fields["output"]),
        engine=fields["engine"],
        slots=fields["slots"],
        segmentation=segmentation,
    )


def fields_of(settings: QueueSettings) -> dict[str, Any]:
    """Return the panel's fields for settings that were kept."""
    segmentation = settings.segmentation
    return {
        "input": settings.input or Path(),
        "output": settings.output or Path(),
        "engine": settings.engine,
        "task": segmentation.task,
        "quality": "faster" if segmentation.quality == "fastest" else segmentation.quality,
        "structureNames": ", ".join(segmentation.structures),
        "device": segmentation.device,
        "slots": min(settings.slots, MOST_SLOTS),
        "reduction": segmentation.reduction,
        "stl": "stl" in segmentation.formats,
        "obj": "obj" in segmentation.formats,
        **panel_network.network_fields(settings),
    }


def _folder(path: Path) -> Path | None:
    return path if path.name else None


def obstacle(fields: dict[str, Any]) -> str:
    """Return why the queue cannot be started with these fields; empty text if it can."""
    if fields["engine"] not in engines.ENGINES:
        return "Choose an engine."
    try:
        settings = settings_of(fields, QueueSettings())
        if fields["engine"] == BUILT_IN:
            threshold.wanted(settings.segmentation.structures)
    except SettingsError as error:
        return str(error)
    return engines.get(fields["engine"]).available() or ""


class Obstacle:
    """`obstacle`, found out anew when the fields have changed, and now and then: an engine may have been installed."""

    def __init__(self) -> None:
        self._known: tuple[float, dict[str, Any], str] | None = None

    def of(self, fields: dict[str, Any]) -> str:
        """Return why the queue cannot be started with these fields."""
        now = time.monotonic()
        if self._known is None or self._known[1] != fields or now - self._known[0] > OBSTACLE_SECONDS:
            self._known = now, fields, obstacle(fields)
        return self._known[2]


def is_served(home: Home) -> bool:
    """True if some process is working off this home's queue."""
    if not (home.root / "serve.lock").exists():
        return False
    try:
        with Lock(home.root / "serve.lock", ""):
            return False
    except BusyError:
        return True


def place_in_input(home: Home, settings: QueueSettings, name: str, save: Callable[[Path], bool]) -> Path:
    """Save a volume where the queue takes it from; it appears there complete or not at all.

    Parameters
    ----------
    save : writes a NRRD file of the given name, and returns whether it could.

    Raises
    ------
    OSError : it cannot be written.
    """
    folder = home.input_of(settings)
    folder.mkdir(parents=True, exist_ok=True)
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name).strip("._") or "volume"
    target = free_name(folder / f"{safe}.nrrd")
    stage = home.work / f".from-panel-{target.name}"
    try:
        if not save(stage):
            raise OSError(f"{stage} cannot be written")
        part = target.with_name(f"{target.name}.part")  # the queue passes it over, also on another disk
        part.write_bytes(stage.read_bytes())
        part.replace(target)
    finally:
        stage.unlink(missing_ok=True)
    return target


def log_stamp(home: Home, job: Job | None) -> tuple[object, ...]:
    """Return what changes when there is something new in a job's log."""
    if job is None:
        return ()
    try:
        size = home.log_of(job.id).stat().st_size
    except OSError:
        size = -1
    return job.id, size, job.error


def log_text(home: Home, job: Job | None) -> str:
    """Return the end of a job's log."""
    if job is None:
        return ""
    path = home.log_of(job.id)
    if not path.exists():
        return job.error or "This job has no log yet."
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - LOG_BYTES))
        text = stream.read().decode("utf-8", "replace")
    return f"{text}\n{job.error}" if job.error else text


def result_file(job: Job, name: str) -> Path | None:
    """Return a file of a job's results, None if there is none."""
    path = Path(job.output, name) if job.output else None
    return path if path is not None and path.exists() else None


class QueueProcess:
    """A child process of the panel that runs a command of the queue: ``serve`` for long, ``add`` for a moment.

    Parameters
    ----------
    launch : ``slicer.util.launchConsoleProcess``.
    on_line : called with each line it writes.
    on_ended : called with its exit code.
    """

    def __init__(self, launch: Launcher, on_line: Callable[[str], None], on_ended: Callable[[int], None]) -> None:
        self._launch = launch
        self._on_line = on_line
        self._on_ended = on_ended
        self._child: subprocess.Popen[str] | None = None
        self.page = ""  # address of the page that a running ``serve`` shows

    @property
    def running(self) -> bool:
        """True from `start` until it has ended."""
        return self._child is not None

    def start(self, home: Home, verb: str, *arguments: str) -> None:
        """Start a command of the queue; returns at once."""
        self._child = self._launch(
            workbench_command("queue", verb, "--home", str(home.root), *arguments),
            updateEnvironment={**child_environment(), "PYTHONUNBUFFERED": "1"},
            blocking=False,
            logCallback=self._line,
            completedCallback=self._ended,
        )

    def stop(self) -> None:
        """Ask it to end; ``serve`` then ends its jobs, which are taken up again the next time."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()

    def _line(self, line: str) -> None:
        if line.startswith(PAGE_LINE) and len(line.split()) > 1:
            self.page = line.split()[1]  # after it stands the fingerprint of the certificate, where there is one
        if line.strip():
            self._on_line(line.strip())

    def _ended(self, code: int) -> None:
        self._child, self.page = None, ""
        self._on_ended(code)


@dataclass(frozen=True)
class Situation:
    """What the buttons depend on.

    Attributes
    ----------
    obstacle : why the fields cannot work.
    served, ours : some process works off the queue; the panel has started it.
    adding, has_scan, has_ledger : something is being added, a volume is chosen, the home has a ledger.
    job : the one that was clicked.
    page : address of the page of a queue that the panel has started.
    pull : why no study can be pulled.
    """

    obstacle: str
    served: bool
    ours: bool
    adding: bool
    has_scan: bool
    has_ledger: bool
    job: Job | None
    page: str = ""
    pull: str = ""


def why_disabled(now: Situation) -> dict[str, str]:
    """Return for each button why it is disabled; empty text if it is not."""
    job = now.job
    none = "" if job else "Click a job first."
    state = job.state.value if job else ""
    adding = now.obstacle or ("Something is being added." if now.adding else "")
    open_ended = none or ("" if job and panel_cells.can_cancel(job) else f"This job is {state}.")
    result = none or ("" if job and job.output else f"This job has no results; it is {state}.")
    return {
        "start": RUNS if now.served else now.obstacle,
        "stop": "" if now.ours else "The queue was not started here.",
        "web": "" if now.page else "Start the queue here first.",
        "pause": "" if now.has_ledger else "Nothing has been queued yet.",
        "addVolume": adding or ("" if now.has_scan else "Choose a volume of the scene first."),
        "addFiles": adding,
        "addFolder": adding,
        "cancel": open_ended,
        "retry": none or ("" if job and panel_cells.can_retry(job) else f"This job is {state}."),
        "sooner": open_ended,
        "later": open_ended,
        "pull": ("Something is being added." if now.adding else "") or now.pull,
        "load": result,
        "preview": result,
    }
