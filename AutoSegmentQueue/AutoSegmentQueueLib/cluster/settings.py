"""Which executor carries the work, and how a cluster is reached."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from DicomWorkbenchLib.errors import SettingsError

Files = Literal["shared", "transfer"]

LOCAL, LOCAL_CLUSTER, SLURM = "local", "local-cluster", "slurm"
ADDRESS = re.compile(r"^(tcp|tls)://(\[[0-9a-fA-F:.]+\]|[^\s/:\[\]]+):\d{1,5}$")
GIGABYTE = 1 << 30


@dataclass(frozen=True)
class ClusterSettings:
    """How the nodes of a cluster get at files, and when one counts as lost.

    Attributes
    ----------
    tls : folder with ``ca.pem``, ``node.pem`` and ``node-key.pem``; needed for a ``tls://`` address.
    files : "shared": every node sees the queue's folders; "transfer": inputs are fetched and results returned over HTTP.
    path_map : ``HERE=THERE`` for folders that the nodes see under another path.
    files_address : host, or host:port, under which nodes reach this machine for transfers; empty: found out, any free port.
    lost_seconds : a node that has not been heard of for this long is lost, its jobs go back into the queue.
    result_bytes : most that one job may return in a transfer.
    slurm : lines for the head of the batch script, without ``#SBATCH``, such as ``--partition=gpu``.
    """

    tls: Path | None = None
    files: Files = "shared"
    path_map: tuple[str, ...] = ()
    files_address: str = ""
    lost_seconds: float = 30.0
    result_bytes: int = 50 * GIGABYTE
    slurm: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.files not in get_args(Files):
            raise SettingsError(f"files must be shared or transfer, got {self.files!r}")
        for one in self.path_map:
            if not all(one.partition("=")):
                raise SettingsError(f"a path map is written HERE=THERE, got {one!r}")
        if self.lost_seconds <= 0:
            raise SettingsError(f"lost_seconds must be positive, got {self.lost_seconds}")

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The path map as pairs: path here, path on the nodes."""
        return tuple((here, there) for here, _, there in (one.partition("=") for one in self.path_map))


def check_executor(name: str, cluster: ClusterSettings) -> None:
    """See that an executor's name is one and has what it needs.

    Raises
    ------
    SettingsError : it is not, or has not.
    """
    if name not in (LOCAL, LOCAL_CLUSTER, SLURM) and not ADDRESS.match(name):
        raise SettingsError(
            f"executor must be local, local-cluster, slurm, tcp://HOST:PORT or tls://HOST:PORT, got {name!r}"
        )
    if name.startswith("tls://") and cluster.tls is None:
        raise SettingsError("a tls:// address needs --tls FOLDER; `queue cluster certificates FOLDER` makes one")
