"""The model with its list of structures, and the three slices: what is there before the scripts take over."""

from __future__ import annotations

from typing import Any

from AutoSegmentQueueLib.web import assets
from AutoSegmentQueueLib.web.markup import Child, Markup, tag
from AutoSegmentQueueLib.web.pages_frame import View, button, icon
from AutoSegmentQueueLib.web.slices import AXES, EDGES

_FROM = (
    ("front", "Front", "A"),
    ("back", "Back", "P"),
    ("left", "Left", "L"),
    ("right", "Right", "R"),
    ("top", "Top", "S"),
    ("bottom", "Bottom", "I"),
)
_DIRECTIONS = {"R": "right", "L": "left", "A": "anterior", "P": "posterior", "S": "superior", "I": "inferior"}


def view_section(job: View) -> Markup:
    """Return the 3D view and the list of structures beside it."""
    model = (job.get("models") or {}).get("glb") or (job.get("models") or {}).get("gltf")
    structures = job["structures"]
    inside: list[Child] = [tag("h2", "3D model")]
    stage = tag(
        "div",
        tag(
            "canvas",
            None,
            id="scene",
            tabindex="0",
            role="application",
            aria_label=_CANVAS,
            aria_describedby="scene-help",
        ),
        tag("p", "Loading the model…", id="scene-note", class_="scene-note", role="status"),
        tag("p", "", id="picked", class_="picked", role="status", hidden=True),
        _gizmo(),
        class_="stage",
        id="stage",
        data_model=model,
        data_three=assets.url("three.js"),
    )
    help_text = tag(
        "p",
        "Drag to turn, wheel or two fingers to zoom, right button or two fingers to move. "
        "Keys: arrows turn, + and − zoom, 1 to 6 views, 0 resets.",
        id="scene-help",
        class_="soft small",
    )
    inside.append(
        tag("div", tag("div", stage, _views(), help_text, class_="stagebox"), _structures(structures), class_="split")
    )
    return tag("section", inside, class_="card view", aria_label="3D model")


_CANVAS = "3D model. Arrow keys turn it, plus and minus zoom, 1 to 6 choose a view, 0 resets."


def _gizmo() -> Markup:
    """Return the little sphere of letters that shows how the patient lies; a click on a letter looks from there."""
    return Markup(
        '<svg id="gizmo" class="gizmo" viewBox="-50 -50 100 100" width="96" height="96" aria-hidden="true" focusable="false"></svg>'
    )


def _views() -> Markup:
    buttons = [
        button(word, class_="plain small", data_view=name, title=f"Look from {name} ({letter})")
        for name, word, letter in _FROM
    ]
    reset = button("Reset", symbol="home", class_="plain small", data_view="reset")
    full = button("Full screen", symbol="full", class_="plain small", id="fullscreen", hidden=True)
    return tag("div", reset, buttons, full, class_="views js", role="group", aria_label="View")


def _structures(structures: list[View]) -> Markup:
    total = len(structures)
    find = tag(
        "input", type="search", id="find-structure", placeholder="Find a structure", aria_label="Find a structure"
    )
    tools = tag(
        "div",
        button("Show all", class_="plain small", id="show-all"),
        button("Hide all", class_="plain small", id="hide-all"),
        class_="tools js",
    )
    rows = [structure_row(one, number) for number, one in enumerate(structures, 1)]
    head = tag("div", tag("h3", "Structures ", tag("span", str(total), class_="count")), tools, class_="head")
    return tag(
        "div",
        head,
        tag("div", find, class_="js", hidden=total < 12),
        tag("ul", rows, id="structures", class_="structures", aria_label="Structures"),
        class_="panel",
    )


def structure_row(one: View, number: int) -> Markup:
    """Return one structure: eye, colour, name, volume; below it, when chosen, opacity, isolation and its own file."""
    name = str(one["name"])
    said = name.replace("_", " ")
    eye = tag(
        "button",
        icon("eye"),
        type="button",
        class_="eye js",
        aria_pressed="true",
        aria_label=f"Show {said}",
        title="Show or hide",
    )
    pick = tag(
        "button", tag("span", said), type="button", class_="pick", aria_expanded="false", aria_controls=f"more-{number}"
    )
    slider = tag(
        "input",
        type="range",
        min=0,
        max=100,
        value=round(100 * one.get("opacity", 1.0)),
        step=5,
        id=f"opacity-{number}",
        class_="opacity",
    )
    more = tag(
        "div",
        tag("div", tag("label", "Opacity", for_=f"opacity-{number}"), slider, class_="field-row"),
        tag("p", _measured(one), class_="soft small"),
        tag(
            "div",
            button("Only this", class_="plain small only"),
            tag("a", "STL", href=one["stl"], class_="button plain small", download=True) if one.get("stl") else None,
            class_="tools",
        ),
        id=f"more-{number}",
        class_="more-row",
        hidden=True,
    )
    return tag(
        "li",
        tag(
            "div",
            eye,
            swatch(one.get("color") or [128, 128, 128]),
            pick,
            tag("span", volume(one.get("volume_ml")), class_="ml"),
            class_="line",
        ),
        more,
        class_="structure",
        data_name=name,
        data_number=number,
    )


def _measured(one: View) -> str:
    parts = []
    if one.get("mean") is not None:
        spread = f" ± {one['sd']:.3g}" if one.get("sd") is not None else ""
        parts.append(f"Mean {one['mean']:.4g}{spread}")
    if one.get("touches_edge"):
        parts.append("reaches the edge of the scan: a part may be missing")
    return "; ".join(parts)


def swatch(color: list[int]) -> Markup:
    """Return a spot of colour; an attribute of SVG, since the policy allows no style in a page."""
    red, green, blue = (int(part) for part in color)
    fill = f"#{red:02x}{green:02x}{blue:02x}"
    return Markup(
        f'<svg class="swatch" viewBox="0 0 12 12" aria-hidden="true"><circle cx="6" cy="6" r="6" fill="{fill}"/></svg>'
    )


def volume(millilitres: float | None) -> str:
    """Return a volume with three digits."""
    if millilitres is None:
        return ""
    if millilitres >= 1000:
        return f"{millilitres / 1000:.2f} l"
    return f"{millilitres:.0f} ml" if millilitres >= 100 else f"{millilitres:.3g} ml"


def slices_section(job: View) -> Markup:
    """Return the three slices through the middle; a script lets them be turned over."""
    previews: dict[str, Any] = job["previews"]
    windows = previews.get("windows") or []
    choose = None
    if windows:
        options = [
            tag("option", "Soft tissue" if one == "soft tissue" else one.capitalize(), value=one) for one in windows
        ]
        choose = tag(
            "div", tag("label", "Window", for_="window"), tag("select", options, id="window"), class_="field-row"
        )
    overlay = tag(
        "div",
        tag("label", "Overlay", for_="overlay"),
        tag("input", type="range", id="overlay", min=0, max=100, value=70, step=5),
        class_="field-row",
    )
    panes = [_pane(axis, previews) for axis in AXES]
    note = tag(
        "p",
        "Seen as radiologists do: the patient's right is on the left. A smaller copy of the scan, to look at; measure in the files.",
        class_="soft small",
    )
    return tag(
        "section",
        tag("div", tag("h2", "Slices"), tag("div", overlay, choose, class_="tools js"), class_="head"),
        tag("div", panes, class_="panes"),
        note,
        class_="card slices",
        aria_label="Slices",
    )


def _pane(axis: str, previews: View) -> Markup:
    one, number = previews["axes"][axis], previews["axes"][axis]["count"] // 2
    title = axis.capitalize()
    picture = tag(
        "img",
        src=f"{previews['url']}/{axis}/{number}.png?overlay=1",
        width=one["width"],
        height=one["height"],
        alt=f"{title} slice through the middle, with the structures in colour",
        loading="lazy",
    )
    letters = [
        tag("span", letter, class_=f"edge {side}", title=_DIRECTIONS[letter])
        for side, letter in zip(("top", "left", "bottom", "right"), EDGES[axis], strict=True)
    ]
    slider = tag(
        "input", type="range", min=0, max=one["count"] - 1, value=number, class_="js", aria_label=f"{title} slice"
    )
    return tag(
        "figure",
        tag("div", picture, letters, class_="slice", data_axis=axis),
        tag(
            "figcaption",
            tag("b", title),
            tag("span", f"{number + 1} / {one['count']}", class_="soft number"),
            tag("span", "", class_="under soft"),
        ),
        slider,
        class_="pane",
        data_axis=axis,
    )
