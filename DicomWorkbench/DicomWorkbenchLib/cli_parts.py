"""The options of commands whose work can be done in parts on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from DicomWorkbenchLib.parts import Cluster

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--executor",
        help="Work on a cluster: local-cluster, slurm, tcp://HOST:PORT or tls://HOST:PORT.  [default: here]",
    ),
    click.option(
        "--tls", type=click.Path(path_type=Path, file_okay=False), help="Folder with the cluster's certificates."
    ),
    click.option(
        "--files", type=click.Choice(["shared", "transfer"]), help="How nodes get at files.  [default: shared]"
    ),
    click.option("--path-map", multiple=True, metavar="HERE=THERE", help="A folder that nodes see under another path."),
)


def cluster_options(function: F) -> F:
    """Add the options; the command gets them as one argument ``cluster``, None for work on this machine."""

    @wraps(function)
    def with_cluster(
        *, executor: str | None, tls: Path | None, files: str | None, path_map: tuple[str, ...], **rest: Any
    ) -> Any:
        cluster = Cluster(executor, tls, files or "shared", path_map) if executor else None
        return function(cluster=cluster, **rest)

    changed: Any = with_cluster
    for option in reversed(_OPTIONS):
        changed = option(changed)
    found: F = changed
    return found
