"""The page of one job: where it stands, and when it is done the model, the slices, the files and how they were made."""

from __future__ import annotations

import json
from typing import Any

from AutoSegmentQueueLib.web import words
from AutoSegmentQueueLib.web.markup import Child, Markup, tag
from AutoSegmentQueueLib.web.pages_frame import View, badge, button, icon, page, time_of
from AutoSegmentQueueLib.web.pages_report import downloads_section, history_section, report_section
from AutoSegmentQueueLib.web.pages_sending import sending_section
from AutoSegmentQueueLib.web.pages_view import slices_section, view_section

_KEPT = ("id", "seq", "name", "state", "structures", "previews", "models", "can")


def job(view: View) -> str:
    """Return the page of a job."""
    one = view["job"]
    results = _results(one) if one["state"] == "done" else None
    main = [
        tag("p", tag("a", icon("back"), tag("span", "All jobs"), href="/"), class_="crumb"),
        _head(one),
        _state(one),
        results,
        sending_section(one, view["me"]),
        history_section(one),
        _dialog(),
    ]
    body = tag(
        "article", main, id="job", class_="jobpage", data_job=json.dumps(_known(one)), data_event=view.get("event")
    )
    return page(str(one["name"]), body, me=view["me"], scripts=("job.js",), kind="job")


def _known(one: View) -> dict[str, Any]:
    return {name: one.get(name) for name in _KEPT}


def _head(one: View) -> Markup:
    can = one.get("can") or {}
    about: list[Child] = [badge(one["state"]), tag("span", _how(one))]
    if who := words.person(one):
        about.append(tag("span", f"brought by {who}"))
    about.append(time_of(one.get("created")))
    acts = [
        button("Cancel", symbol="stop", class_="js", data_act="cancel") if can.get("cancel") else None,
        button("Try again", symbol="retry", class_="js primary", data_act="retry") if can.get("retry") else None,
        tag(
            "a",
            icon("download"),
            tag("span", "Download everything"),
            class_="button primary",
            href=f"/api/jobs/{one['id']}/archive.zip",
            download=True,
        )
        if one["state"] == "done"
        else None,
        button("Delete", symbol="trash", class_="js danger", data_act="delete") if can.get("delete") else None,
    ]
    left = tag("div", tag("h1", str(one["name"])), tag("p", about, class_="about soft"))
    return tag("header", left, tag("div", acts, class_="actions"), class_="jobhead")


def _how(one: View) -> str:
    quality = one.get("quality")
    parts = [
        one.get("engine") or one.get("kind"),
        one.get("task") if one.get("task") != "total" else "",
        quality,
        one.get("device"),
    ]
    return " · ".join(str(part) for part in parts if part and part not in ("normal", "cpu"))


def _state(one: View) -> Markup:
    """Return the card that says where a job stands; empty for one that is done."""
    state = one["state"]
    if state == "done":
        return tag("div", None, id="state")
    if state in ("failed", "quarantined"):
        inside: Child = _failure(one)
    elif state == "cancelled":
        text = "It was stopped before it was done. What was uploaded is still there: try it again, or delete it."
        inside = [icon("stop"), tag("div", tag("h2", "Cancelled"), tag("p", text))]
    else:
        inside = _progress(one)
    color = words.STATES.get(state, ("", "off"))[1]
    return tag("section", inside, id="state", class_=f"card state {color}", aria_label="Where it stands")


def _failure(one: View) -> Child:
    quarantined = one["state"] == "quarantined"
    title = "Put aside" if quarantined else "It did not work"
    advice = words.ADVICE.get(str(one.get("error_class") or ""), words.ADVICE["engine"])
    attempts = one.get("attempts") or 0
    tried = f"Tried {attempts} times. " if attempts > 1 else ""
    error = tag("p", str(one.get("error") or "No reason was given."), class_="reason")
    return [icon("alert"), tag("div", tag("h2", title), error, tag("h3", "What to do"), tag("p", tried + advice))]


def _progress(one: View) -> Child:
    waiting = one["state"] in words.GROUPS["waiting"][1]
    title = words.STATES.get(one["state"], (one["state"], ""))[0]
    share = one.get("progress") or 0
    bar = tag("progress", max=1, value=None if waiting else share, aria_label="Progress", id="bar")
    percent = tag("span", "" if waiting else f"{share:.0%}", id="percent", class_="percent")
    head = tag("div", tag("h2", title, id="state-title"), percent, class_="head")
    hint = tag(
        "p", "You may close this page; the work goes on, and the job is found again in the list.", class_="soft hint"
    )
    return tag("div", head, bar, tag("p", words.note(one), id="note"), hint, class_="wide")


def _results(one: View) -> Child:
    structures = one.get("structures") or []
    return [
        _cautions(one.get("report") or {}),
        view_section(one) if structures else None,
        slices_section(one) if one.get("previews") else None,
        downloads_section(one),
        report_section(one.get("report") or {}, structures),
    ]


def _cautions(report: View) -> Child:
    warnings = report.get("warnings") or []
    first = tag("p", tag("b", "Made automatically and not looked at by anybody: check it before you use it."))
    rest = tag("ul", [tag("li", str(one)) for one in warnings]) if warnings else None
    return tag("div", icon("alert"), tag("div", first, rest), class_="notice warn", role="note")


def _dialog() -> Markup:
    buttons = tag(
        "div",
        tag("button", "Keep it", value="no", class_="", type="submit"),
        tag("button", "Delete", value="yes", class_="danger solid", type="submit", id="confirm-yes"),
        class_="actions",
    )
    form = tag("form", tag("h2", "", id="confirm-title"), tag("p", "", id="confirm-text"), buttons, method="dialog")
    return tag("dialog", form, id="confirm", aria_labelledby="confirm-title", aria_describedby="confirm-text")
