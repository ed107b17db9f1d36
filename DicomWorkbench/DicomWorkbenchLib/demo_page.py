"""The demo's gallery: one card per step, with its command, figures, pictures and links to every file a reader would open."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from pathlib import Path

from DicomWorkbenchLib.demo_pictures import drawn
from DicomWorkbenchLib.demo_step import Outcome, Step, shown_command
from DicomWorkbenchLib.pages import Page

CHAPTERS = {
    "journey": (
        "One journey through all of them",
        "A scan comes in, is segmented, measured, made small, served and shown.",
    ),
    "optimizer": ("DicomOptimizer", ""),
    "spheres": ("SphereVOI", ""),
    "tumors": ("TumorAnalysis", ""),
    "stream": ("MultiframeStreamer", ""),
    "data": ("Sample data", "Made on this computer, the same at every run; what is in them stands in truth.json."),
}
_MOST_PICTURES = 4
_MOST_LINKS = 12
_WORTH_OPENING = (".html", ".xlsx", ".csv", ".json", ".glb", ".gltf", ".nrrd")
_DICOM_RESULTS = ("segmentation.dcm", "rtstruct.dcm", "measurements.dcm")
_STYLE = """
nav { display: flex; flex-wrap: wrap; gap: .4rem; margin: 1rem 0 0; }
nav a, .files a { color: var(--accent); text-decoration: none; background: var(--band);
  border-radius: 999px; padding: .2rem .8rem; font-size: .88rem; }
nav a:hover, .files a:hover { text-decoration: underline; }
.card { border: 1px solid var(--line); border-radius: 10px; padding: .2rem 1.2rem 1rem; margin: 1rem 0; }
.card h3 { font-size: 1.1rem; margin: .9rem 0 .3rem; } .card p { margin: .3rem 0 .6rem; max-width: 46rem; }
.shots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr));
  gap: .8rem; margin: .8rem 0; align-items: start; }
.shots.one { grid-template-columns: minmax(0, 40rem); }
.facts { grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); }
.shots a { text-decoration: none; } .shots img { display: block; max-width: 100%; max-height: 24rem; border-radius: 6px; background: #fff; }
.shots span { display: block; color: var(--soft); font-size: .82rem; padding: .2rem 0; overflow-wrap: anywhere; }
.files { display: flex; flex-wrap: wrap; gap: .35rem; } .files a { padding: .1rem .6rem; font-size: .8rem; overflow-wrap: anywhere; }
pre.command { white-space: pre-wrap; overflow-wrap: anywhere; font: .82rem/1.5 "DejaVu Sans Mono", monospace; background: var(--band);
  border-radius: 6px; padding: .5rem .8rem; margin: .6rem 0; }
"""


def gallery(outcomes: Sequence[Outcome], folder: Path) -> str:
    """Return the page; pictures and files are linked relative to ``folder``. Nothing in it tells the time."""
    page = Page("DicomWorkbench: the demo", "What the workflows make of phantoms; no patients.")
    page.markup(f"<style>{_STYLE}</style>")
    chapters = [c for c in CHAPTERS if any(outcome.step.chapter == c for outcome in outcomes)]
    page.markup("<nav>" + "".join(f'<a href="#{c}">{CHAPTERS[c][0]}</a>' for c in chapters) + "</nav>")
    for chapter in chapters:
        title, text = CHAPTERS[chapter]
        page.markup(f'<h2 id="{chapter}">{title}</h2>' + (f"<p>{text}</p>" if text else ""))
        for outcome in outcomes:
            if outcome.step.chapter == chapter:
                _card(page, outcome, folder)
    return page.html()


def _card(page: Page, outcome: Outcome, folder: Path) -> None:
    step = outcome.step
    page.markup(f'<section class="card"><h3>{html.escape(step.title)}</h3><p>{html.escape(step.text)}</p>')
    facts = step.facts(outcome.report)
    if facts:
        page.facts(facts)
    if step.table is not None:
        page.table(*step.table(folder / step.output))
    shots = list(_shots(step, folder))
    if shots:
        one = " one" if len(shots) == 1 else ""
        page.markup(f'<div class="shots{one}">' + "".join(_shot(p, said, folder) for p, said in shots) + "</div>")
    page.markup(f'<pre class="command">$ {html.escape(shown_command(step))}</pre>')
    links = "".join(_link(path, folder) for path in files_of(folder / step.output))
    page.markup(f'<div class="files">{links}</div></section>')


def _shots(step: Step, folder: Path) -> Iterator[tuple[Path, str]]:
    yield from drawn(step, folder)
    found = [(p, said) for pattern, said in step.pictures.items() for p in sorted((folder / step.output).glob(pattern))]
    for path, said in found[:_MOST_PICTURES]:
        yield path, said or path.stem


def _shot(path: Path, caption: str, folder: Path) -> str:
    where, said = html.escape(path.relative_to(folder).as_posix(), quote=True), html.escape(caption, quote=True)
    return f'<a href="{where}"><img src="{where}" alt="{said}" loading="lazy"><span>{said}</span></a>'


def _link(path: Path, folder: Path) -> str:
    where = html.escape(path.relative_to(folder).as_posix(), quote=True)
    name = html.escape("/".join(path.relative_to(folder).parts[-2:]) + ("/" if path.is_dir() else ""))
    return f'<a href="{where}">{name}</a>'


def files_of(output: Path) -> list[Path]:
    """Return what a reader would open first, reports, tables, models and truth, and the folder that holds the rest."""
    found = [p for p in output.rglob("*") if _worth_opening(p) and p.is_file() and p.parent.name != "input"]
    return [output, *sorted(found, key=lambda p: (p.suffix != ".html", len(p.parts), p.name))[:_MOST_LINKS]]


def _worth_opening(path: Path) -> bool:
    return path.suffix in _WORTH_OPENING or path.name in _DICOM_RESULTS
