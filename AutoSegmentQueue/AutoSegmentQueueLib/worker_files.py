"""The private folder of a running job, its log, its deadline, and what its child left behind."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.ledger import Job
from AutoSegmentQueueLib.settings import QueueSettings
from AutoSegmentQueueLib.states import Failure

BASE_SECONDS = 900.0  # starting Slicer, reading and writing, on a slow and busy machine
# Seconds per million voxels, ten times what TotalSegmentator takes at 1.5 mm on a slow CPU (4 cores) and on a small GPU.
_CPU_SECONDS_PER_MEGAVOXEL = 240.0
_GPU_SECONDS_PER_MEGAVOXEL = 30.0
_UNKNOWN_MEGAVOXELS = 200.0
# A process with its libraries, and per voxel of the scan: the scan, its resampled copy, scores and labels of the network.
_BASE_BYTES = 2_000_000_000
_BYTES_PER_VOXEL = 40


@dataclass(frozen=True)
class WorkFolder:
    """Private folder of one attempt."""

    path: Path
    log: Path
    log_start: int

    @staticmethod
    def make(home: Home, job: Job) -> WorkFolder:
        """Make the folder with its temporary folders; the log is begun if there is none.

        Raises
        ------
        OSError : it cannot be made.
        """
        path = home.work / f"{job.id}-{job.fence}"
        shutil.rmtree(path, ignore_errors=True)
        for name in ("tmp", "home"):
            (path / name).mkdir(parents=True)
        log = home.log_of(job.id)
        return WorkFolder(path, log, log.stat().st_size if log.exists() else 0)

    @property
    def result(self) -> Path:
        """What the child is to make."""
        return self.path / "result"

    @property
    def stdout(self) -> Path:
        """Its lines of progress."""
        return self.path / "stdout.jsonl"

    def environment(self) -> dict[str, str]:
        """Return the variables that keep two jobs apart: two of them in one temporary folder would mix up patients."""
        tmp = str(self.path / "tmp")
        return {"TMPDIR": tmp, "TEMP": tmp, "TMP": tmp, "TOTALSEG_HOME_DIR": str(self.path / "home")}

    def failure(self) -> tuple[Failure, str] | None:
        """Return what the child says about its failure."""
        try:
            data = json.loads((self.path / "result.failure.json").read_text(encoding="utf-8"))
            return Failure(data["class"]), str(data["message"])[:2000]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def write_log(path: Path, text: str) -> None:
    """Add a line of ours to a job's log; ids and paths of ours only, never a name."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    try:
        with path.open("a", encoding="utf-8", errors="replace") as file:
            file.write(f"{stamp} queue: {text}\n")
    except OSError:  # a full disk must not stop the queue for the sake of a log line
        return


def deadline_seconds(job: Job, settings: QueueSettings) -> float:
    """Return how long a job may take: by its size and device, with a wide margin."""
    if settings.deadline_seconds is not None:
        return settings.deadline_seconds
    megavoxels = job.voxels / 1e6 or _UNKNOWN_MEGAVOXELS
    each = _CPU_SECONDS_PER_MEGAVOXEL if job.device == "cpu" else _GPU_SECONDS_PER_MEGAVOXEL
    return BASE_SECONDS + each * megavoxels


def memory_bytes(job: Job) -> int:
    """Return an estimate of the memory a job needs, by its size; nodes of a cluster take no more than fits."""
    return _BASE_BYTES + _BYTES_PER_VOXEL * job.voxels if job.voxels else 0


def next_rung(job: Job, settings: QueueSettings) -> dict[str, object] | None:
    """Return the options with which a job is tried again after it ran out of memory; None at the end of the ladder."""
    for rung in settings.oom_ladder[job.ladder :]:
        options = dict(job.options)
        if rung == "split" and not options.get("force_split"):
            return {**options, "force_split": True, "rungs": job.ladder + 1}
        order = ["normal", "fast", "faster"]
        if rung in order and order.index(rung) > order.index(str(options.get("quality", "normal"))):
            return {**options, "quality": rung, "rungs": settings.oom_ladder.index(rung) + 1}
    return None
