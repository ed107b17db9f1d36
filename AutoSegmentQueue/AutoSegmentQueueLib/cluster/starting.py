"""Scheduler and nodes with the settings that jobs of ours need.

A node has no nanny and no worker processes: jobs are child processes of its one process, and children of a daemon process may have none
of their own. Its memory is not limited by Dask, which would see only this small process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.progress import CancelToken

from AutoSegmentQueueLib.cluster.fleet import CPU, GPU, MEMORY

AGAIN_SECONDS = 1.0  # after which a node that has lost its scheduler tries to find it again
LOOK_SECONDS = 0.2
SCHEDULER_PORT = 8786
# A node that is silent for so long is taken from the list; a peer that does not acknowledge is given up.
_NO_PAGE: dict[str, Any] = {
    "dashboard": False,
    "dashboard_address": "127.0.0.1:0",
}  # its pages would need bokeh, and show what runs to everybody
CONFIG = {"distributed.scheduler.worker-ttl": "60 s", "distributed.comm.timeouts.tcp": "30 s"}


def resources_of(slots: int, gpus: int = 0, memory_bytes: float = 0.0) -> dict[str, float]:
    """Return what a node announces."""
    return {CPU: float(slots)} | ({GPU: float(gpus)} if gpus else {}) | ({MEMORY: memory_bytes} if memory_bytes else {})


def local_cluster(slots: int, security: Any) -> Any:
    """Start a scheduler and one node in this process; they end with it."""
    import dask
    from distributed import Scheduler, SpecCluster, Worker

    protocol = "tls" if security else "tcp"
    scheduler = {"host": "127.0.0.1", "port": 0, "protocol": protocol, "security": security, **_NO_PAGE}
    node = {"host": "127.0.0.1", "protocol": protocol, "security": security, **_NO_PAGE}
    node |= {"nthreads": slots + 1, "resources": resources_of(slots), "memory_limit": 0}
    with dask.config.set(CONFIG):
        return SpecCluster(
            workers={0: {"cls": Worker, "options": node}},
            scheduler={"cls": Scheduler, "options": scheduler},
            security=security,
            silence_logs=logging.CRITICAL,
        )


def run_node(
    address: str,
    resources: dict[str, float],
    security: Any,
    cancel: CancelToken,
    ready: Callable[[str], None],
    folder: Path | None = None,
    host: str | None = None,
) -> None:
    """Be a node of the cluster until cancelled; a scheduler that is lost is looked for again.

    Parameters
    ----------
    ready : called with the node's address whenever it has found its scheduler.
    folder : for what this node keeps while it works.
    host : address or name under which the others reach this machine; None: found out.
    """
    asyncio.run(_run_node(address, resources, security, cancel, ready, folder, host))


async def _run_node(
    address: str,
    resources: dict[str, float],
    security: Any,
    cancel: CancelToken,
    ready: Callable[[str], None],
    folder: Path | None,
    host: str | None,
) -> None:
    import dask
    from distributed import Worker

    threads = int(resources.get(CPU, 1) + resources.get(GPU, 0)) + 1
    with dask.config.set(CONFIG):
        while not cancel.cancelled:
            worker = Worker(
                address,
                nthreads=threads,
                resources=resources,
                memory_limit=0,
                security=security,
                local_directory=str(folder) if folder else None,
                host=host,
                **_NO_PAGE,
            )
            with contextlib.suppress(OSError, TimeoutError, RuntimeError):  # no scheduler there (any more)
                if await _started(worker, cancel):
                    ready(worker.address)
                    await _until(worker, cancel)
            with contextlib.suppress(OSError, TimeoutError, RuntimeError):
                await worker.close(timeout=10)
            if not cancel.cancelled:
                await asyncio.sleep(AGAIN_SECONDS)


async def _started(worker: Any, cancel: CancelToken) -> bool:
    """Wait until a node has found its scheduler; False if cancelled before."""
    start = asyncio.ensure_future(worker)
    while not start.done():
        await asyncio.wait([start], timeout=LOOK_SECONDS)
        if cancel.cancelled:
            start.cancel()
            return False
    await start
    return True


async def _until(server: Any, cancel: CancelToken) -> None:
    while not cancel.cancelled and server.status.name in ("running", "paused"):
        await asyncio.sleep(LOOK_SECONDS)


def run_scheduler(
    host: str | None, port: int, security: Any, cancel: CancelToken, ready: Callable[[str], None]
) -> None:
    """Be the scheduler until cancelled."""
    asyncio.run(_run_scheduler(host, port, security, cancel, ready))


async def _run_scheduler(
    host: str | None, port: int, security: Any, cancel: CancelToken, ready: Callable[[str], None]
) -> None:
    import dask
    from distributed import Scheduler

    with dask.config.set(CONFIG):
        async with Scheduler(
            host=host,
            port=port,
            protocol="tls" if security else "tcp",
            security=security,
            **_NO_PAGE,
        ) as scheduler:
            ready(scheduler.address)
            await _until(scheduler, cancel)
