"""From the setting ``executor`` to what carries the work."""

from __future__ import annotations

from AutoSegmentQueueLib.cluster.settings import LOCAL
from AutoSegmentQueueLib.executor import Executor
from AutoSegmentQueueLib.executor_local import LocalExecutor
from AutoSegmentQueueLib.settings import QueueSettings


def executor_of(settings: QueueSettings) -> Executor:
    """Return the executor that the settings name, started.

    Raises
    ------
    DependencyError : a cluster is asked for, and Dask distributed is not installed.
    SettingsError : the TLS files cannot be used.
    """
    if settings.executor == LOCAL:
        return LocalExecutor(settings.slots)
    from AutoSegmentQueueLib.cluster.opening import cluster_executor

    return cluster_executor(settings)
