"""What Dask calls on a node: one order, from its files to its ending."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from DicomWorkbenchLib import __version__

from AutoSegmentQueueLib.cluster.agent import agent
from AutoSegmentQueueLib.cluster.mapping import PathMap
from AutoSegmentQueueLib.cluster.parcel import Parcel
from AutoSegmentQueueLib.executor import Advance, Order

CLAIM = ".claimed"
LOST = "lost"
GPU = "GPU"
TOO_LARGE = 413  # HTTP: the results are more than the queue takes, and will be so on every node


@dataclass(frozen=True)
class RemoteOrder:
    """An order in plain values, so that a queue on one system can give it to a node on another.

    Attributes
    ----------
    python : the queue's Python; a command that begins with it is run with the node's.
    paths : pairs of a path at the queue and the same on the nodes.
    topic : under which the node tells how it goes.
    parcel : where its files are fetched from and returned to; None: the folders are shared.
    version : of the queue's program; a node with another one refuses.
    """

    key: str
    arguments: tuple[str, ...]
    folder: str
    stdout: str
    stderr: str
    device: str
    deadline_seconds: float
    environment: Mapping[str, str]
    python: str
    paths: tuple[tuple[str, str], ...]
    topic: str
    parcel: Parcel | None = None
    version: str = __version__


@dataclass(frozen=True)
class Site:
    """What a node is for a running order.

    Attributes
    ----------
    wanted : false once nobody wants the order any more.
    tell : how it says how far it is.
    gpus : how many jobs may use.
    folder : for the files of orders that bring theirs; None: the temporary folder.
    tls : CA, certificate and key files of this node.
    """

    wanted: Callable[[], bool]
    tell: Callable[[Advance], None]
    gpus: int = 0
    folder: Path | None = None
    tls: tuple[str, str, str] | None = None


def remote_job(remote: RemoteOrder) -> dict[str, Any]:
    """Run an order on this node and tell how it ended, both as an event and as the result."""
    from distributed import get_worker

    worker = get_worker()

    def say(event: dict[str, Any]) -> None:
        with suppress(RuntimeError):  # the worker has closed: nobody listens, and the order is over
            worker.log_event(remote.topic, event)

    def tell(advance: Advance) -> None:
        say({"key": remote.key, "fraction": advance.fraction, "stage": advance.stage})

    site = Site(
        lambda: _wanted(worker, remote.key),
        tell,
        int(worker.state.total_resources.get(GPU, 0)),
        Path(worker.local_directory),
        _tls_of(worker.security),
    )
    ending = {"key": remote.key, **perform(remote, site)}
    say({**ending, "ended": True})
    return ending


def _wanted(worker: Any, key: str) -> bool:
    """True while the scheduler wants this key from this worker.

    The queue's cancel, the queue's death and a lost scheduler all end that by Dask's own means; nothing else has to arrive here.
    """
    state = worker.state.tasks.get(key)
    return worker.status.name == "running" and state is not None and state.state in ("executing", "long-running")


def _tls_of(security: Any) -> tuple[str, str, str] | None:
    files = (security.tls_ca_file, security.tls_worker_cert, security.tls_worker_key)
    return files if all(files) else None


def perform(remote: RemoteOrder, site: Site) -> dict[str, Any]:
    """Bring the files of an order, run it, and return its files."""
    if remote.version != __version__:
        return _ending(-1, "refused", f"the node runs version {__version__}, the queue {remote.version}")
    try:
        if remote.parcel is not None:
            from AutoSegmentQueueLib.cluster.transfer_client import perform_away

            return perform_away(remote, remote.parcel, site)
        return perform_here(remote, PathMap(remote.paths), site)
    except FileExistsError:  # Dask has brought it a second time; only the ledger gives a job out again
        return _ending(-1, LOST, "it was started once already")
    except OSError as error:
        if error.errno == TOO_LARGE:
            return _ending(-1, "refused", str(error.strerror))
        return _ending(-1, LOST, f"the node cannot work on it: {error.strerror or type(error).__name__}")


def perform_here(remote: RemoteOrder, paths: PathMap, site: Site) -> dict[str, Any]:
    """Run an order in folders this node sees.

    Raises
    ------
    OSError : the folder is not there, the order was started before, or its program cannot be started.
    """
    folder = Path(paths.text(remote.folder))
    with (folder / CLAIM).open("x"):
        pass
    arguments = [sys.executable if one == remote.python else one for one in remote.arguments]
    order = Order(
        key=remote.key,
        arguments=tuple(paths.arguments(arguments, folder)),
        folder=folder,
        stdout=Path(paths.text(remote.stdout)),
        stderr=Path(paths.text(remote.stderr)),
        device=remote.device,
        deadline_seconds=remote.deadline_seconds,
        environment={name: paths.text(value) for name, value in remote.environment.items()},
    )
    ended = agent(site.gpus).run(order, site.wanted, site.tell)
    result = folder / "result"  # a manifest holds the hash of every other file, so then only the manifest may change
    paths.back.rewrite(result / ("manifest.json" if (result / "manifest.json").exists() else "report.json"))
    paths.back.rewrite_lines(order.stdout)
    return _ending(ended.exit_code, ended.why)


def _ending(exit_code: int, why: str, note: str = "") -> dict[str, Any]:
    return {"exit_code": exit_code, "why": why, "note": note}
