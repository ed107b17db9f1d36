"""What is done with one scan, and how the queue as a whole behaves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from DicomWorkbenchLib.errors import SettingsError

from AutoSegmentQueueLib.cluster.settings import LOCAL, ClusterSettings, check_executor
from AutoSegmentQueueLib.pacs.send_settings import SendSettings
from AutoSegmentQueueLib.pacs.settings import DicomSettings

Quality = Literal["normal", "fast", "faster", "fastest"]
ModelFormat = Literal["gltf", "glb", "stl", "obj"]
DicomObject = Literal["seg", "seg-labelmap", "rtstruct", "sr", "stl"]
Validation = Literal["full", "manifest"]

DEVICE = re.compile(r"^(cpu|gpu(:\d+)?)$")
STABLE_SECONDS = 2.0  # on a local disk; 10 s where the input folder is on the network
GIGABYTE = 1 << 30


@dataclass(frozen=True)
class SegmentationSettings:
    """How a scan is segmented.

    Attributes
    ----------
    task : which structures, by TotalSegmentator's name of the task.
    quality : voxel size the network works at: "normal" 1.5 mm, "fast" 3 mm, "faster" (also called "fastest") 6 mm.
    structures : only these; empty takes all of the task.
    device : "cpu", "gpu" or "gpu:N". A GPU that is not there is an error, never the CPU instead.
    reduction : fraction of triangles that is removed from the models.
    formats : model files to write beside the segmentation.
    dicom : objects to write for DICOM scans: segmentation (BINARY, or LABELMAP where the archive takes it), structure set, report of
        the measurements, encapsulated surfaces.
    """

    task: str = "total"
    quality: Quality = "normal"
    structures: tuple[str, ...] = ()
    device: str = "cpu"
    reduction: float = 0.9
    formats: tuple[ModelFormat, ...] = ("gltf", "glb")
    dicom: tuple[DicomObject, ...] = ("seg", "rtstruct", "sr")

    def __post_init__(self) -> None:
        if not self.task:
            raise SettingsError("task must name a task of TotalSegmentator, such as total; it is empty")
        if self.quality not in get_args(Quality):
            raise SettingsError(f"quality must be one of {', '.join(get_args(Quality))}, got {self.quality!r}")
        if not DEVICE.match(self.device):
            raise SettingsError(f"device must be cpu, gpu or gpu:N, got {self.device!r}")
        if not 0 <= self.reduction < 1:
            raise SettingsError(f"reduction must be at least 0 and less than 1, got {self.reduction}")
        if unknown := set(self.formats) - set(get_args(ModelFormat)):
            raise SettingsError(
                f"formats must be of {', '.join(get_args(ModelFormat))}, got {', '.join(sorted(unknown))}"
            )
        if strange := set(self.dicom) - set(get_args(DicomObject)):
            raise SettingsError(
                f"dicom must be of {', '.join(get_args(DicomObject))}, got {', '.join(sorted(strange))}"
            )

    def options(self) -> dict[str, Any]:
        """Return the ``options`` of the job file."""
        return {
            "task": self.task,
            "quality": "faster" if self.quality == "fastest" else self.quality,
            "structures": list(self.structures) or None,
            "device": self.device,
            "reduction": self.reduction,
            "formats": list(self.formats),
            "dicom": list(self.dicom),
        }


@dataclass(frozen=True)
class QueueSettings:
    """How the queue behaves; kept as ``settings.json`` in the queue's home.

    Attributes
    ----------
    input, output : folder that is watched and folder for results; None: in the home.
    engine, segmentation : what is done with scans that are dropped into the input folder.
    slots : jobs at once on each device.
    stable_seconds : a file must not have changed for this long.
    incomplete_seconds : a file whose check says "not complete" is given up after this long without a change.
    rescan_seconds : how often the input folder is read in any case; change notices only make it sooner.
    archive_days : how long an input is kept after its results were verified; 0 deletes it at once.
    lease_seconds : a job whose worker has not been heard of for this long is given to another one.
    crashes, losses : how often a job may end without a word, and lose its worker, before it is quarantined.
    deadline_seconds : for a job; None: by its size and device.
    free_bytes : nothing is taken in below this much free space; None: 5 GB, on small disks a twentieth.
    oom_ladder : what is tried, in this order, after the memory was not enough.
    validation : "full" opens every result; "manifest" compares sizes and hashes only.
    dicom : who may send to the DICOM node, and when a series counts as complete.
    send : where results are sent, and how often that is tried.
    child_command : program that runs a segmentation instead of ours (tests).
    executor : what carries the work: "local", "local-cluster", "slurm", "tcp://HOST:PORT" or "tls://HOST:PORT".
    cluster : how the nodes of a cluster get at files.
    """

    input: Path | None = None
    output: Path | None = None
    engine: str = "threshold"
    segmentation: SegmentationSettings = field(default_factory=SegmentationSettings)
    slots: int = 1
    stable_seconds: float = STABLE_SECONDS
    incomplete_seconds: float = 600.0
    rescan_seconds: float = 1.0
    archive_days: float = 7.0
    lease_seconds: float = 10.0
    crashes: int = 2
    losses: int = 5
    deadline_seconds: float | None = None
    free_bytes: int | None = None
    oom_ladder: tuple[str, ...] = ("split", "fast", "faster")
    validation: Validation = "full"
    dicom: DicomSettings = field(default_factory=DicomSettings)
    send: SendSettings = field(default_factory=SendSettings)
    child_command: tuple[str, ...] = ()
    executor: str = LOCAL
    cluster: ClusterSettings = field(default_factory=ClusterSettings)

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise SettingsError(f"slots must be at least 1, got {self.slots}")
        for name in ("stable_seconds", "incomplete_seconds", "archive_days", "crashes", "losses"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("rescan_seconds", "lease_seconds"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name} must be positive, got {getattr(self, name)}")
        if self.validation not in get_args(Validation):
            raise SettingsError(f"validation must be full or manifest, got {self.validation!r}")
        if unknown := set(self.oom_ladder) - {"split", "fast", "faster"}:
            raise SettingsError(f"oom_ladder knows split, fast and faster, not {', '.join(sorted(unknown))}")
        check_executor(self.executor, self.cluster)

    def least_free_bytes(self, disk_bytes: int) -> int:
        """Return the free space below which nothing is taken in, for a disk of that size."""
        return min(5 * GIGABYTE, disk_bytes // 20) if self.free_bytes is None else self.free_bytes
