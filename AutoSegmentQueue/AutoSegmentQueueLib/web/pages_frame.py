"""What all pages share: head, bar at the top, messages, foot. No script and no style stands in a page (the policy forbids it)."""

from __future__ import annotations

from typing import Any

from DicomWorkbenchLib import __version__

from AutoSegmentQueueLib.web import assets, words
from AutoSegmentQueueLib.web.markup import Child, Markup, join, tag

View = dict[str, Any]
PRODUCT = "Segmentation queue"


def page(title: str, main: Child, *, me: View | None = None, scripts: tuple[str, ...] = (), kind: str = "") -> str:
    """Return a whole page.

    Parameters
    ----------
    me : who looks, as ``/api/me`` says; None before the login.
    scripts : names of modules.
    kind : class of the body.
    """
    token = str(me.get("csrf") or "") if me else ""
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="robots", content="noindex"),
        tag("meta", name="csrf-token", content=token) if token else None,
        tag("title", f"{title} · {PRODUCT}" if title != PRODUCT else PRODUCT),
        tag("link", rel="icon", href=assets.url("icon.svg"), type="image/svg+xml"),
        tag("link", rel="stylesheet", href=assets.url("app.css")),
        [tag("script", type="module", src=assets.url(name)) for name in scripts],
    ]
    body = [
        tag("a", "Skip to the content", class_="skip", href="#main"),
        _bar(me),
        tag("div", id="banner", class_="banner", role="status", hidden=True),
        tag("main", main, id="main", tabindex="-1"),
        tag("footer", f"DicomWorkbench {__version__} · For research; not for diagnostic use.", class_="foot"),
    ]
    html = tag("html", tag("head", head), "\n", tag("body", body, class_=f"page-{kind}" if kind else None), lang="en")
    return f"<!doctype html>\n{html}\n"


def _bar(me: View | None) -> Markup:
    brand = tag("a", icon("logo"), tag("span", PRODUCT), class_="brand", href="/")
    right: list[Child] = []
    if me:
        right.append(tag("span", tag("span", "", class_="dot"), tag("span", ""), id="live", class_="live", hidden=True))
        if me.get("name"):
            right.append(
                tag("span", tag("b", str(me["name"])), " ", tag("small", str(me.get("role", ""))), class_="who")
            )
            csrf = tag("input", type="hidden", name="csrf", value=str(me.get("csrf") or ""))
            button = tag("button", "Log out", class_="plain", type="submit")
            right.append(tag("form", csrf, button, method="post", action="/logout"))
    return tag("header", tag("div", brand, tag("div", right, class_="bar-right"), class_="bar-in"), class_="bar")


def icon(name: str) -> Markup:
    """Return an icon of the sheet; it says nothing to a screen reader."""
    return Markup(
        f'<svg class="icon" aria-hidden="true" focusable="false"><use href="{assets.url("icons.svg")}#{name}"/></svg>'
    )


def button(text: str, *, symbol: str = "", **attributes: str | int | float | bool | None) -> Markup:
    """Return a button with an icon before its text."""
    return tag("button", icon(symbol) if symbol else None, tag("span", text), **({"type": "button"} | attributes))


def badge(state: str) -> Markup:
    """Return the word for a state, coloured."""
    word, color = words.STATES.get(state, (state, "off"))
    return tag("span", word, class_=f"badge {color}")


def time_of(seconds: float | str | None) -> Markup:
    """Return a time that a script shows as a distance ("3 min ago")."""
    if seconds is None:
        return Markup()
    machine, people = words.moment(seconds)
    return tag("time", people, datetime=machine)


def facts(pairs: list[tuple[str, Child]]) -> Markup:
    """Return a list of names and values; pairs without a value are left out."""
    return tag("dl", [[tag("dt", name), tag("dd", value)] for name, value in pairs if join(value)], class_="facts")
