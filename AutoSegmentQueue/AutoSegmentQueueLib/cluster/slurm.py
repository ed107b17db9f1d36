"""Nodes that Slurm gives: a batch job for every slot, each a node of a cluster whose scheduler runs in the queue's process."""

from __future__ import annotations

from typing import Any

from DicomWorkbenchLib.errors import DependencyError, ProcessError

from AutoSegmentQueueLib.cluster.fleet import CPU
from AutoSegmentQueueLib.cluster.starting import CONFIG
from AutoSegmentQueueLib.settings import QueueSettings

_DEFAULTS = {"--time": "24:00:00", "--mem": "16G", "--cpus-per-task": "4"}


def slurm_cluster(settings: QueueSettings, security: Any) -> Any:
    """Start a scheduler here and submit a batch job for every slot.

    Raises
    ------
    DependencyError : dask-jobqueue is not installed.
    ProcessError : ``sbatch`` does not work.
    """
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise DependencyError("the Python package dask-jobqueue", extra="cluster-slurm") from error
    import dask

    given = dict(one.partition("=")[::2] for one in settings.cluster.slurm)
    wanted = {**_DEFAULTS, **given}
    gpus = _gpus(given)
    resources = f"{CPU}=1" if not gpus else f"{CPU}=1 GPU={gpus}"
    with dask.config.set(CONFIG):
        cluster = SLURMCluster(
            cores=2 + gpus,  # threads of the node that only wait; what jobs use is in the lines below
            processes=1,
            memory=wanted["--mem"],
            job_cpu=int(wanted["--cpus-per-task"]),
            walltime=wanted["--time"],
            job_extra_directives=[one for one in settings.cluster.slurm if one.partition("=")[0] not in _DEFAULTS],
            job_script_prologue=["export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK"],
            nanny=False,
            worker_extra_args=["--resources", f'"{resources}"', "--memory-limit", "0", "--no-dashboard"],
            protocol="tls://" if security else "tcp://",
            security=security,
            shared_temp_directory=None,
            scheduler_options={"dashboard": False},
        )
        try:
            cluster.scale(jobs=settings.slots)
            cluster.sync(cluster._correct_state)
        except (OSError, RuntimeError) as error:
            cluster.close()
            raise ProcessError(f"sbatch does not take the batch job: {str(error)[-500:]}") from error
    return cluster


def _gpus(given: dict[str, str]) -> int:
    """Return how many GPUs the options of a batch job ask for: ``--gres=gpu:2``, ``--gpus=2``, ``--gpus-per-node=a100:2``."""
    for name in ("--gres", "--gpus", "--gpus-per-node"):
        value = given.get(name, "")
        if value and (name != "--gres" or value.startswith("gpu")):
            last = value.rpartition(":")[2]
            return int(last) if last.isdigit() else 1
    return 0
