"""The list of jobs: filters, rows, and what is shown when there is none."""

from __future__ import annotations

from urllib.parse import urlencode

from AutoSegmentQueueLib.web import words
from AutoSegmentQueueLib.web.markup import Child, Markup, tag
from AutoSegmentQueueLib.web.pages_frame import View, badge, button, icon, time_of


def jobs_section(view: View, may_submit: bool) -> Markup:
    """Return the jobs, newest first: the first page of them; a script adds more and keeps them up to date."""
    listed, me = view["list"], view["me"]
    asked, query = group_of(str(view.get("state") or "")), str(view.get("q") or "")
    jobs = listed.get("jobs") or []
    return tag(
        "section",
        tag("div", tag("h2", "Jobs", id="jobs-title"), _pause(me, bool(listed.get("paused"))), class_="head"),
        tag("div", _paused(me) if listed.get("paused") else None, id="paused", role="status"),
        _filters(listed.get("counts") or {}, asked, query),
        tag("ul", [row(one) for one in jobs], id="jobs", class_="jobs", aria_labelledby="jobs-title"),
        tag("div", None if jobs else _nothing(asked, query, may_submit), id="nothing"),
        _more(listed, asked, query),
        class_="card list",
        id="list",
        data_event=listed.get("event"),
        data_next=listed.get("next"),
        data_state=asked,
        data_q=query,
        data_submit=may_submit,
        data_admin=bool(me.get("can_admin", me.get("role") == "admin")),
    )


def row(job: View) -> Markup:
    """Return one job; ``static/rows.js`` makes the same."""
    name = str(job["name"])
    about = " · ".join(part for part in (_engine(job), words.person(job)) if part)
    running = job["state"] in words.GROUPS["running"][1]
    bar = tag("progress", max=1, value=job.get("progress") or 0, aria_label=f"Progress of {name}") if running else None
    return tag(
        "li",
        tag(
            "div",
            tag("a", name, href=f"/jobs/{job['id']}", class_="name"),
            tag("p", about, class_="soft"),
            class_="what",
        ),
        tag("div", badge(job["state"]), tag("span", words.note(job), class_="note"), bar, class_="how"),
        tag("div", time_of(job.get("ended") or job.get("created")), class_="when soft"),
        tag("div", _acts(job), class_="acts"),
        class_="job",
        id=f"job-{job['id']}",
        data_id=job["id"],
        data_seq=job["seq"],
        data_state=job["state"],
    )


def _engine(job: View) -> str:
    parts = [str(job.get("engine") or job.get("kind") or "")]
    if job.get("task") not in (None, "", "total"):
        parts.append(str(job["task"]))
    if job.get("quality") not in (None, "", "normal"):
        parts.append(str(job["quality"]))
    return " · ".join(parts)


def _acts(job: View) -> list[Child]:
    can = job.get("can") or {}
    name = job["name"]
    return [
        button("Cancel", class_="plain js", data_act="cancel", aria_label=f"Cancel {name}")
        if can.get("cancel")
        else None,
        button("Try again", class_="plain js", data_act="retry", aria_label=f"Try {name} again")
        if can.get("retry")
        else None,
        tag("a", "Open", class_="button plain", href=f"/jobs/{job['id']}", aria_label=f"Open {name}")
        if job["state"] == "done"
        else None,
    ]


def _filters(counts: View, asked: str, query: str) -> Markup:
    chips = []
    for group, (word, states) in words.GROUPS.items():
        count = sum(counts.get(state, 0) for state in states) if states else sum(counts.values())
        address = "/?" + urlencode({"state": ",".join(states), "q": query}) if states else "/"
        chip = tag("a", tag("span", word), " ", tag("b", str(count)), href=address, class_="chip", data_group=group)
        chips.append(chip if group != asked else Markup(chip.replace("<a ", '<a aria-current="true" ', 1)))
    box = tag(
        "input",
        type="search",
        name="q",
        id="q",
        value=query,
        placeholder="Find by name",
        aria_label="Find jobs by name",
    )
    shown = ",".join(words.GROUPS[asked][1])
    hidden = tag("input", type="hidden", name="state", value=shown) if shown else None
    find = tag(
        "form",
        hidden,
        box,
        tag("button", "Find", type="submit", class_="nojs"),
        role="search",
        method="get",
        action="/",
        class_="find",
    )
    return tag("div", tag("nav", chips, class_="chips", aria_label="Show jobs"), find, class_="filters")


def _pause(me: View, paused: bool) -> Child:
    if not me.get("can_admin", me.get("role") == "admin"):
        return None
    word, symbol = ("Go on", "play") if paused else ("Pause the queue", "pause")
    return button(word, symbol=symbol, id="pause", class_="plain js", data_paused=paused)


def _paused(me: View) -> Markup:
    return tag(
        "div",
        icon("pause"),
        tag(
            "div",
            tag("b", "The queue is paused."),
            tag("p", "What runs goes on to its end; nothing new is started. Uploads are taken in and wait."),
        ),
        class_="notice warn",
    )


def _nothing(asked: str, query: str, may_submit: bool) -> Markup:
    if asked or query:
        said = ("Nothing matches", "No job is in this state or has this name.")
    elif may_submit:
        said = ("Nothing here yet", "Bring a scan above: it is segmented here, and its 3D model appears in this list.")
    else:
        said = ("Nothing here yet", "As soon as somebody brings a scan, it appears in this list.")
    return tag("div", icon("empty"), tag("h3", said[0]), tag("p", said[1], class_="soft"), class_="empty")


def _more(listed: View, asked: str, query: str) -> Markup:
    following = listed.get("next")
    states = ",".join(words.GROUPS[asked][1])
    address = "/?" + urlencode({"state": states, "q": query, "after": following or ""})
    return tag(
        "p", tag("a", "Show more", class_="button", id="more", href=address, hidden=following is None), class_="more"
    )


def group_of(states: str) -> str:
    """Return the name of the filter that shows these states (a name, or states separated by commas); empty for all."""
    if states in words.GROUPS:
        return states
    asked = {part for part in states.split(",") if part}
    return next((name for name, (_, group) in words.GROUPS.items() if group and asked == set(group)), "")
