"""Self-contained HTML reports: one file, no scripts, nothing from the network, fit for print and for a dark screen."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from DicomWorkbenchLib import __version__

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d5dbe3; --paper: #fff; --band: #f3f6fa; --accent: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaf0; --soft: #9aa7b8; --line: #364150; --paper: #151a21; --band: #1d242e; --accent: #6db3ff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.2rem 4rem; font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif;
  color: var(--ink); background: var(--paper); }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p.lead, figcaption, .foot { color: var(--soft); }
p.command { font: .85rem/1.5 "DejaVu Sans Mono", monospace; background: var(--band); padding: .5rem .8rem; overflow-x: auto; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .88rem; width: 100%; }
caption { text-align: left; color: var(--soft); padding: .2rem 0; }
th, td { padding: .3rem .6rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
th { background: var(--band); position: sticky; top: 0; } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; } figure img { max-width: 100%; height: auto; border-radius: 4px; background: #fff; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .8rem; margin: 1rem 0; }
.fact { background: var(--band); border-radius: 6px; padding: .6rem .8rem; } .fact b { display: block; font-size: 1.3rem; }
.fact span { color: var(--soft); font-size: .85rem; }
.good { color: #1a7f37; } .bad { color: #c62828; } .warn { color: #9a6700; }
@media (prefers-color-scheme: dark) { .good { color: #57d37c; } .bad { color: #ff8a80; } .warn { color: #f1c04d; } }
ul.warnings { border-left: 4px solid #d29922; background: var(--band); padding: .6rem 1rem .6rem 2rem; border-radius: 4px; }
@media print { body { max-width: none; } h2 { break-after: avoid; } figure, tr { break-inside: avoid; } }
"""


class Page:
    """An HTML page that is built from the top to the bottom; all text is escaped.

    Parameters
    ----------
    title : heading and window title.
    lead : one paragraph below it.
    """

    def __init__(self, title: str, lead: str = "") -> None:
        self._title = title
        self._parts = [f"<h1>{_text(title)}</h1>"]
        if lead:
            self._parts.append(f'<p class="lead">{_text(lead)}</p>')

    def section(self, title: str, text: str = "", *, level: int = 2) -> Page:
        """Start a section with a heading and, if given, a paragraph."""
        self._parts.append(f"<h{level}>{_text(title)}</h{level}>")
        return self.paragraph(text) if text else self

    def paragraph(self, text: str, kind: str = "") -> Page:
        """Add a paragraph; ``kind`` "good", "bad" or "warn" colours it, "command" sets it as typed."""
        self._parts.append(f'<p class="{kind}">{_text(text)}</p>' if kind else f"<p>{_text(text)}</p>")
        return self

    def facts(self, facts: Iterable[tuple[str, str]]) -> Page:
        """Add a row of large figures: (value with unit, what it is)."""
        tiles = "".join(f'<div class="fact"><b>{_text(v)}</b><span>{_text(what)}</span></div>' for v, what in facts)
        self._parts.append(f'<div class="facts">{tiles}</div>')
        return self

    def table(self, header: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> Page:
        """Add a table; numbers are set right-aligned, None as a dash.

        A cell may be a tuple (value, kind) with kind "good", "bad" or "warn".
        """
        body = [list(row) for row in rows]
        numeric = [bool(body) and all(_is_number(row[c]) for row in body) for c in range(len(header))]
        head = "".join(_cell("th", name, number) for name, number in zip(header, numeric, strict=True))
        lines = ("".join(_cell("td", v, n) for v, n in zip(row, numeric, strict=True)) for row in body)
        rows_html = "".join(f"<tr>{line}</tr>" for line in lines)
        said = f"<caption>{_text(caption)}</caption>" if caption else ""
        self._parts.append(
            f'<div class="scroll"><table>{said}<thead><tr>{head}</tr></thead><tbody>{rows_html}</tbody></table></div>'
        )
        return self

    def image(self, png: bytes, caption: str, *, alternative: str = "") -> Page:
        """Add a PNG picture with a caption; it is carried inside the page."""
        self._parts.append(_figure(png, caption, alternative))
        return self

    def images(self, pictures: Iterable[tuple[bytes, str]]) -> Page:
        """Add pictures (PNG, caption) side by side."""
        self._parts.append('<div class="row">' + "".join(_figure(png, said, "") for png, said in pictures) + "</div>")
        return self

    def warnings(self, sentences: Sequence[str]) -> Page:
        """Add a list of warnings, or nothing where there is none."""
        if sentences:
            items = "".join(f"<li>{_text(s)}</li>" for s in sentences)
            self._parts.append(f'<ul class="warnings">{items}</ul>')
        return self

    def links(self, links: Iterable[tuple[str, str]]) -> Page:
        """Add a list of links (relative address, text)."""
        items = "".join(f'<li><a href="{html.escape(a, quote=True)}">{_text(t)}</a></li>' for a, t in links)
        self._parts.append(f"<ul>{items}</ul>")
        return self

    def markup(self, text: str) -> Page:
        """Add HTML as it is; what it holds of other people's texts must be escaped already."""
        self._parts.append(text)
        return self

    def html(self) -> str:
        """Return the whole page."""
        foot = f'<p class="foot">DicomWorkbench {__version__}. For research; not for diagnostic use.</p>'
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{_text(self._title)}</title><style>{_STYLE}</style></head>\n<body>"
            + "\n".join([*self._parts, foot])
            + "</body></html>\n"
        )

    def write(self, path: Path) -> Path:
        """Write the page and return its path."""
        path.write_text(self.html(), encoding="utf-8")
        return path


def _figure(png: bytes, caption: str, alternative: str) -> str:
    data = base64.b64encode(png).decode("ascii")
    alt = html.escape(alternative or caption, quote=True)
    return f'<figure><img alt="{alt}" src="data:image/png;base64,{data}"><figcaption>{_text(caption)}</figcaption></figure>'


def _cell(tag: str, value: Any, number: bool) -> str:
    value, kind = value if isinstance(value, tuple) and len(value) == 2 else (value, "")
    classes = " ".join(name for name in ("number" if number else "", kind) if name)
    return (
        f'<{tag} class="{classes}">{_text(_shown(value))}</{tag}>'
        if classes
        else f"<{tag}>{_text(_shown(value))}</{tag}>"
    )


def _is_number(value: Any) -> bool:
    value = value[0] if isinstance(value, tuple) and len(value) == 2 else value
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _shown(value: Any) -> str:
    if value is None or value != value:  # None or NaN
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def _text(value: str) -> str:
    return html.escape(value, quote=False)
