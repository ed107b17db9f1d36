"""The upload area. Without scripts it is a plain form; with them it takes folders, pauses, and goes on after a reload."""

from __future__ import annotations

import json

from AutoSegmentQueueLib.web import words
from AutoSegmentQueueLib.web.markup import Child, Markup, tag
from AutoSegmentQueueLib.web.pages_frame import View, icon

ACCEPT = ".nii,.nii.gz,.gz,.nrrd,.dcm,.ima,.zip,application/dicom,application/zip"
QUALITIES = {"normal": "Normal", "fast": "Fast", "faster": "Fastest"}


def upload_section(view: View) -> Markup:
    """Return the area where scans are dropped."""
    me, defaults = view["me"], view.get("defaults") or {}
    engines = view.get("engines") or []
    intake = str((view.get("list") or {}).get("intake") or "")
    form = tag(
        "form",
        tag("input", type="hidden", name="csrf", value=str(me.get("csrf") or "")),
        _zone(),
        _choices(engines, defaults),
        tag("button", "Upload", class_="primary nojs", type="submit"),
        id="upload",
        method="post",
        action="/upload",
        enctype="multipart/form-data",
        data_engines=json.dumps(engines),
        data_limit=_limit(me),
    )
    return tag(
        "section",
        tag("h2", "Bring a scan"),
        tag("div", _intake(intake), id="intake", role="status"),
        form,
        tag("ul", id="uploads", class_="uploads", aria_label="Uploads"),
        _room(me),
        class_="card upload",
        aria_label="Upload",
    )


def _limit(me: View) -> str | None:
    quota = me.get("quota") or {}
    return str(quota["limit"]) if quota.get("limit") else None


def _zone() -> Markup:
    picks = [
        tag("label", icon("file"), tag("span", "Choose files"), class_="button primary", for_="files"),
        tag("label", icon("folder"), tag("span", "Choose a folder"), class_="button js", for_="folder"),
    ]
    return tag(
        "div",
        icon("scan"),
        tag(
            "p",
            tag("span", "Drop scans or a whole folder here", class_="fine"),
            tag("span", "Choose a scan", class_="touch"),
            class_="zone-title",
        ),
        tag("p", "NIfTI, NRRD, DICOM files or folders, or a zip of them. Names stay on this server.", class_="soft"),
        tag("div", picks, class_="actions"),
        tag(
            "input",
            type="file",
            id="files",
            name="files",
            multiple=True,
            accept=ACCEPT,
            class_="sr",
            aria_label="Choose files",
        ),
        tag("input", type="file", id="folder", class_="sr js", webkitdirectory=True, aria_label="Choose a folder"),
        id="zone",
        class_="zone",
    )


def _choices(engines: list[View], defaults: View) -> Markup:
    chosen = next((one for one in engines if one["name"] == defaults.get("engine")), engines[0] if engines else {})
    options = [
        tag(
            "option",
            one["title"] if one.get("available") else f"{one['title']} (not available)",
            value=one["name"],
            selected=one is chosen,
            disabled=not one.get("available"),
        )
        for one in engines
    ]
    tasks, qualities = chosen.get("tasks") or [], chosen.get("qualities") or []
    fields = [
        _select("Engine", "engine", options),
        _select("Task", "task", [_option(one, one, defaults.get("task")) for one in tasks], hidden=len(tasks) < 2),
        _select(
            "Quality",
            "quality",
            [_option(one, QUALITIES.get(one, one), defaults.get("quality")) for one in qualities],
            hidden=len(qualities) < 2,
        ),
    ]
    missing = [
        tag("li", tag("b", str(one["title"])), f": {one['reason']}")
        for one in engines
        if not one.get("available") and one.get("reason")
    ]
    why = (
        tag("details", tag("summary", "Why an engine is not available"), tag("ul", missing), class_="why")
        if missing
        else None
    )
    return tag("div", tag("div", fields, class_="fields"), why, class_="choices")


def _option(value: str, text: str, chosen: str | None) -> Markup:
    return tag("option", text, value=value, selected=value == chosen)


def _select(label: str, name: str, options: list[Markup], *, hidden: bool = False) -> Markup:
    box = tag("select", options, id=name, name=name)
    return tag("div", tag("label", label, for_=name), box, class_="field", hidden=hidden)


def _intake(text: str) -> Child:
    if not text:
        return None
    advice = "What is queued already goes on. Uploads start again by themselves when there is room."
    return tag("div", icon("alert"), tag("div", tag("b", text), tag("p", advice)), class_="notice warn")


def _room(me: View) -> Child:
    quota = me.get("quota") or {}
    if quota.get("limit") and quota.get("used"):
        used, limit = float(quota.get("used") or 0), float(quota["limit"])
        bar = tag("meter", min=0, max=limit, value=used, high=0.8 * limit, aria_label="Room used")
        return tag("p", f"{words.size(used)} of {words.size(limit)} used", " ", bar, class_="room soft")
    return None
