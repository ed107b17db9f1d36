"""What several commands of the queue share: their options, opening a home, and settings made of what was given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click
from DicomWorkbenchLib.errors import SettingsError, WorkbenchError

from AutoSegmentQueueLib.home import Home, default_home
from AutoSegmentQueueLib.ledger import Ledger
from AutoSegmentQueueLib.settings import QueueSettings

F = TypeVar("F", bound=Callable[..., Any])


def home_option(function: F) -> F:
    """Add ``--home`` to a sub-command."""
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        help=f"Folder with ledger, settings, logs, archive and failed files.  [default: {default_home()}]",
    )(function)


def work_options(function: F) -> F:
    """Add what a segmentation is asked for."""
    options = [
        click.option("--engine", help="Engine that segments, such as threshold or totalsegmentator."),
        click.option("--task", help="Task of TotalSegmentator, such as total."),
        click.option("--quality", type=click.Choice(["normal", "fast", "faster", "fastest"])),
        click.option("--structures", help="Only these structures, separated by commas."),
        click.option("--device", help="cpu, gpu or gpu:N; a GPU that is not there is an error."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@contextmanager
def opened(root: Path | None) -> Iterator[tuple[Home, QueueSettings, Ledger]]:
    """Open a home, its settings and its ledger."""
    home = Home.open(root)
    settings = home.load()
    ledger = Ledger(home.ledger)
    try:
        yield home, settings, ledger
    finally:
        ledger.close()


def chosen(settings: QueueSettings, given: dict[str, Any]) -> QueueSettings:
    """Return settings with what was given on the command line."""
    names = ("task", "quality", "device")
    changes = {name: given[name] for name in names if given.get(name)}
    if given.get("structures"):
        changes["structures"] = tuple(one.strip() for one in given["structures"].split(",") if one.strip())
    segmentation = replace(settings.segmentation, **changes)
    engine = given.get("engine") or settings.engine
    if given.get("engine"):
        _check_engine(engine)
    return replace(settings, engine=engine, segmentation=segmentation)


def tell(text: str) -> None:
    """Write a line for people: to stderr, because stdout belongs to programs."""
    click.echo(text, err=True)


def with_given(settings: QueueSettings, values: dict[str, Any]) -> QueueSettings:
    """Return settings with those values that were given; None stands for one that was not."""
    return replace(settings, **{name: value for name, value in values.items() if value is not None})


def _check_engine(name: str) -> None:
    from AutoSegmentQueueLib import engines

    if name not in engines.names():
        raise SettingsError(f"there is no engine {name!r}; there are: {', '.join(engines.names())}")
    reason = engines.get(name).available()
    if reason:
        raise WorkbenchError(f"engine {name} cannot be used: {reason}")


def check_folders(home: Home, settings: QueueSettings) -> None:
    """See that home, input and output folder lie apart.

    Raises
    ------
    SettingsError : one lies in another.
    """
    input_folder, output = home.input_of(settings).resolve(), home.output_of(settings).resolve()
    if input_folder == output or input_folder in output.parents or output in input_folder.parents:
        raise SettingsError(f"input and output folder must lie apart, got {input_folder} and {output}")
    if input_folder in home.root.resolve().parents or input_folder == home.root.resolve():
        raise SettingsError(f"the home must not lie in the input folder {input_folder}")
