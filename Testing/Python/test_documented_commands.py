"""Every command and option the documentation names is one the command line understands, with the values it is shown with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from DicomWorkbenchLib.cli import command

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = {  # options of Slicer, dask and sbatch that the pages speak of
    "--testing", "--python-script", "--no-splash", "--no-main-window", "--additional-module-paths", "--ignore-slicerrc",
    "--resources", "--gres", "--partition", "--time",
}  # fmt: skip


def shown(page: Path) -> list[str]:
    """Return the lines of a page that call the command: those of shell blocks, and those in back quotes that say more than its name."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [
        line
        for line in [*lines, *(text for text in inline if text.count(" ") > 1)]
        if line.startswith("dicom-workbench ")
    ]


def understood(line: str) -> click.Command:
    """Find the command a line calls and let its parser read the rest, without running it; raise what a user would get."""
    words = shlex.split(line.replace("[", "").replace("]", ""), comments=True)[1:]
    words = [word for word in words if word != "..."]
    found: click.Command = command
    context = click.Context(found, info_name="dicom-workbench")
    while isinstance(found, click.Group) and words and not words[0].startswith("-") and words[0] != "VERB":
        name, *words = words
        inner = found.get_command(context, name)
        if inner is None:
            raise click.NoSuchOption(name, ctx=context)
        found, context = inner, click.Context(inner, info_name=name, parent=context)
    if not isinstance(found, click.Group):
        check_values(found, context, words)
    return found


def check_values(found: click.Command, context: click.Context, words: list[str]) -> None:
    values, left, _ = found.make_parser(context).parse_args(list(words))
    assert not left, f"too many words: {left}"
    for parameter in found.params:
        value = values.get(str(parameter.name))
        if isinstance(parameter, click.Argument):
            assert not (parameter.required and parameter.value_is_missing(value)), (
                f"{parameter.human_readable_name} is missing"
            )
        elif value is not None and isinstance(parameter.type, click.Choice | click.types.IntParamType):
            parameter.type_cast_value(context, value)


def options(of: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in of.params:
        yield from parameter.opts
        yield from parameter.secondary_opts
    if isinstance(of, click.Group):
        for name in of.list_commands(context):
            inner = of.get_command(context, name)
            assert inner is not None
            yield from options(inner, click.Context(inner, parent=context))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_is_understood(page):
    wrong = {}
    for line in shown(page):
        try:
            understood(line)
        except (click.ClickException, AssertionError) as error:
            wrong[line] = str(error)
    assert wrong == {}


def test_every_option_the_pages_name_exists():
    known = {*options(command, click.Context(command)), "--help", *OTHERS}
    named = {
        (page.name, option)
        for page in PAGES
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]+", page.read_text(encoding="utf-8"))
    }
    assert {(page, option) for page, option in named if option not in known} == set()
    assert {option for _, option in named} >= OTHERS, "what no page speaks of any more can go from this list"


@pytest.mark.parametrize(
    "line",
    ["dicom-workbench optimise SCAN", "dicom-workbench optimize SCAN --decimat 2", "dicom-workbench optimize SCAN --decimate two",
     "dicom-workbench queue cluster worker", "dicom-workbench queue cancel", "dicom-workbench optimize SCAN --contours nearest"],
)  # fmt: skip
def test_a_command_that_does_not_exist_would_be_found(line):
    with pytest.raises((click.ClickException, AssertionError)):
        understood(line)
