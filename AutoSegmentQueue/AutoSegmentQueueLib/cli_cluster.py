"""``--executor`` of ``queue serve`` and ``queue work``, and the commands that start scheduler and nodes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from DicomWorkbenchLib.errors import DependencyError, SettingsError
from DicomWorkbenchLib.job import cancel_on_signals

from AutoSegmentQueueLib.cli_options import tell
from AutoSegmentQueueLib.cluster.settings import ADDRESS, GIGABYTE, LOCAL, ClusterSettings, check_executor
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.settings import QueueSettings

_FOLDER = click.Path(path_type=Path, file_okay=False)
_TLS = click.option("--tls", type=_FOLDER, help="Folder with ca.pem, node.pem and node-key.pem.")
_OPTIONS = (
    click.option(
        "--executor", help="local, local-cluster, slurm, tcp://HOST:PORT or tls://HOST:PORT.  [default: local]"
    ),
    _TLS,
    click.option(
        "--files",
        type=click.Choice(["shared", "transfer"]),
        help="Nodes see the same folders, or fetch inputs and return results over HTTP(S).",
    ),
    click.option("--path-map", multiple=True, metavar="HERE=THERE", help="A folder that nodes see under another path."),
    click.option("--files-address", metavar="HOST[:PORT]", help="Where nodes reach this machine for transfers."),
    click.option("--slurm-option", "slurm", multiple=True, help="Line for the batch script, such as --partition=gpu."),
)


def options(function: Any) -> Any:
    """Add the options of clusters to a command that works."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def chosen(settings: QueueSettings, given: dict[str, Any]) -> QueueSettings:
    """Return settings with what was given."""
    values = {name: given.get(name) or None for name in ("tls", "files", "path_map", "files_address", "slurm")}
    if values["tls"]:
        values["tls"] = values["tls"].absolute()
    changes = {name: value for name, value in values.items() if value is not None}
    executor = given.get("executor") or settings.executor
    return replace(settings, executor=executor, cluster=replace(settings.cluster, **changes))


@contextmanager
def beside(
    place: Home, settings: QueueSettings, given: dict[str, Any], tell: Callable[[str], None]
) -> Iterator[list[str]]:
    """Nothing runs beside the workers; gives the line that says what carries the work."""
    yield [] if settings.executor == LOCAL else [f"work   {settings.executor}"]


@click.group(name="cluster")
def cluster() -> None:
    """Start the scheduler and the nodes that a queue gives its jobs to."""


@cluster.command()
@click.option("--host", help="Address to listen on.  [default: all]")
@click.option("--port", type=click.IntRange(0, 65535), default=8786, show_default=True)
@_TLS
def scheduler(host: str | None, port: int, tls: Path | None) -> None:
    """Run the scheduler until stopped. It keeps nothing: a new one in its place is as good."""
    _needs_distributed()
    from AutoSegmentQueueLib.cluster.starting import run_scheduler
    from AutoSegmentQueueLib.cluster.tls import dask_security

    if tls is None and host not in ("127.0.0.1", "localhost", "::1"):
        tell("warning: without --tls everybody who reaches this port can run commands on every node")
    with cancel_on_signals() as cancel:
        run_scheduler(host, port, dask_security(tls), cancel, lambda address: tell(f"scheduler {address}"))


@cluster.command()
@click.argument("address")
@click.option("--slots", type=click.IntRange(min=1), default=1, show_default=True, help="Jobs at once on the CPU.")
@click.option("--gpus", type=click.IntRange(min=0), default=0, show_default=True, help="GPUs; one job on each.")
@click.option(
    "--memory", "memory_gb", type=float, help="Memory for jobs in GB.  [default: nine tenths of this machine's]"
)
@click.option("--folder", type=_FOLDER, help="Fast local disk for running jobs.  [default: the temporary folder]")
@click.option("--host", help="Address under which the others reach this node.  [default: found out]")
@_TLS
def worker(
    address: str,
    slots: int,
    gpus: int,
    memory_gb: float | None,
    folder: Path | None,
    host: str | None,
    tls: Path | None,
) -> None:
    """Be a node of the cluster whose scheduler is at ADDRESS (tcp://HOST:PORT or tls://HOST:PORT) until stopped."""
    _needs_distributed()
    from distributed.system import MEMORY_LIMIT

    from AutoSegmentQueueLib.cluster.starting import resources_of, run_node
    from AutoSegmentQueueLib.cluster.tls import dask_security

    check_executor(address, ClusterSettings(tls=tls))
    if not ADDRESS.match(address):
        raise SettingsError(f"a node needs the address of a scheduler, such as tcp://HOST:8786, got {address!r}")
    tell(f"looking for the scheduler at {address}")
    memory = memory_gb * GIGABYTE if memory_gb else 0.9 * MEMORY_LIMIT
    with cancel_on_signals() as cancel:
        run_node(
            address,
            resources_of(slots, gpus, memory),
            dask_security(tls),
            cancel,
            lambda own: tell(f"node {own}"),
            folder,
            host,
        )


@cluster.command()
@click.argument("folder", type=_FOLDER)
@click.argument("hosts", nargs=-1)
def certificates(folder: Path, hosts: tuple[str, ...]) -> None:
    """Make an authority and a certificate for all nodes in FOLDER; HOSTS are names and addresses it also holds for.

    Copy ca.pem, node.pem and node-key.pem to every machine of the cluster, and keep ca-key.pem to yourself.
    """
    from AutoSegmentQueueLib.cluster.certificates import make_certificates

    for path in make_certificates(folder, hosts):
        click.echo(path)


def _needs_distributed() -> None:
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise DependencyError("the Python package distributed", extra="cluster") from error
    logging.getLogger("distributed").setLevel(
        logging.CRITICAL
    )  # pages of warnings when a peer goes; we say what matters
