"""From the settings to an executor on a cluster: a scheduler elsewhere, a small cluster in this process, or Slurm."""

from __future__ import annotations

from typing import Any

from DicomWorkbenchLib.errors import DependencyError

from AutoSegmentQueueLib.cluster.executor_dask import DaskExecutor
from AutoSegmentQueueLib.cluster.settings import LOCAL_CLUSTER, SLURM
from AutoSegmentQueueLib.cluster.tls import dask_security
from AutoSegmentQueueLib.settings import QueueSettings

FIRST_SECONDS = 15.0  # how long a start waits for the cluster before the queue goes on without it


def cluster_executor(settings: QueueSettings) -> DaskExecutor:
    """Return an executor on the cluster that the settings name; it is connected, or keeps trying.

    Raises
    ------
    DependencyError : Dask distributed (or dask-jobqueue, for Slurm) is not installed.
    SettingsError : the TLS files cannot be used.
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise DependencyError("the Python package distributed", extra="cluster") from error
    security = dask_security(settings.cluster.tls)
    cluster: Any = None
    address = settings.executor
    if address == LOCAL_CLUSTER:
        from AutoSegmentQueueLib.cluster.starting import local_cluster

        cluster = local_cluster(settings.slots, security)
    elif address == SLURM:
        from AutoSegmentQueueLib.cluster.slurm import slurm_cluster

        cluster = slurm_cluster(settings, security)
    executor = DaskExecutor(
        cluster.scheduler_address if cluster else address,
        security=security,
        lost_seconds=settings.cluster.lost_seconds,
        paths=settings.cluster.pairs,
        files=_files(settings),
        closing=(lambda: cluster.close(timeout=10)) if cluster else lambda: None,
    )
    executor.link.wait_connected(FIRST_SECONDS)
    return executor


def _files(settings: QueueSettings) -> Any:
    if settings.cluster.files == "shared":
        return None
    from AutoSegmentQueueLib.cluster.transfer_server import FileServer

    return FileServer(settings.cluster, settings.executor)
