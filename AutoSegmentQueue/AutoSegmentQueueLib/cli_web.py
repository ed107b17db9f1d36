"""The web page of ``queue serve``: its options, and its start beside the workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.settings import QueueSettings


def options(function: Any) -> Any:
    """Add the options of the page to ``queue serve``."""
    return click.option(
        "--port",
        type=click.IntRange(0, 65535),
        help="Show the queue to a browser on this machine; 0 takes a free port.",
    )(function)


def chosen(settings: QueueSettings, given: dict[str, Any]) -> QueueSettings:
    """Return settings with what was given."""
    return settings


@contextmanager
def beside(
    place: Home, settings: QueueSettings, given: dict[str, Any], tell: Callable[[str], None]
) -> Iterator[list[str]]:
    """Serve the page while the block runs; gives the lines that say where."""
    from AutoSegmentQueueLib.status_page import status_page

    port = given["port"]
    if port is None:
        yield []
        return
    with status_page(place, settings, port) as address:
        yield [f"page   {address}"]
