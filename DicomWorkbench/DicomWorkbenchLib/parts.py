"""Independent parts of one job on other machines: what a part is, and who carries it.

A workflow cuts its work into parts, each a command of its own with the files it reads; whoever carries them (the queue's executors, named
as text: a workflow never imports another one) runs each to its end once and gives its folder back. Merging is the workflow's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from DicomWorkbenchLib.errors import SettingsError, WorkbenchError
from DicomWorkbenchLib.progress import CancelToken, Progress

CARRIER = "AutoSegmentQueueLib.cluster.parts:carrier"
PART_FILE = "part.json"
RESULT = "result"
COMPLETE = "complete"  # the last file a part writes


@dataclass(frozen=True)
class Cluster:
    """Where parts run; see the documentation of the queue's clusters.

    Attributes
    ----------
    executor : local, local-cluster, slurm, tcp://HOST:PORT or tls://HOST:PORT.
    tls, files, path_map : certificates, "shared" or "transfer", and ``HERE=THERE``.
    """

    executor: str
    tls: Path | None = None
    files: str = "shared"
    path_map: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """One part of a job.

    Attributes
    ----------
    module : run as ``python -m MODULE .../part.json``.
    inputs : files and folders it reads; it finds their paths on its machine as ``inputs`` in its file.
    data : more JSON values for its file.
    files : bytes that lie beside its file, by name.
    """

    module: str
    inputs: tuple[Path, ...]
    data: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


class Carrier(Protocol):
    """Carries parts."""

    @property
    def slots(self) -> int:
        """How many parts run at once."""

    def run(
        self, parts: Sequence[Part], scratch: Path, progress: Progress, cancel: CancelToken
    ) -> Iterator[tuple[int, Path]]:
        """Yield (index of the part, folder of its results) in the order of completion; a folder may be taken apart.

        Raises
        ------
        ProcessError : a part failed.
        Cancelled : somebody asked to stop; nothing runs any more.
        """


def carried_by(cluster: Cluster) -> AbstractContextManager[Carrier]:
    """Open what carries parts; it is closed at the end of the block.

    Raises
    ------
    DependencyError, SettingsError : the executor cannot be used.
    ProcessError : the cluster does not answer, or has no nodes.
    """
    from DicomWorkbenchLib.workflows import load

    opened: AbstractContextManager[Carrier] = load(CARRIER, "cluster")(cluster)
    return opened


def run_part(work: Any) -> int:
    """Be the process of a part: call ``work(description, result folder)`` and say how it ended; returns the exit code."""
    path = Path(sys.argv[1])
    description = json.loads(path.read_text(encoding="utf-8"))
    result = Path(description["folder"]) / RESULT
    try:
        result.mkdir()
        work(description, result)
        (result / COMPLETE).write_bytes(b"complete")
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except WorkbenchError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0
