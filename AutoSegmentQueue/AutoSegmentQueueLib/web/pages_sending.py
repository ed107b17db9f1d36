"""Where the results of a job went, and what could not be sent."""

from __future__ import annotations

from AutoSegmentQueueLib.web.markup import Child, Markup, tag
from AutoSegmentQueueLib.web.pages_frame import View, icon, time_of

# State -> (word, colour, what it means)
STATES = {
    "waiting": ("To be sent", "wait", "it is sent as soon as the destination can be reached"),
    "sent": ("Sent", "run", "the destination has it, and has not confirmed yet that it keeps it"),
    "stored": ("Stored", "good", "the destination has confirmed that it keeps it"),
    "dead": ("Given up", "bad", "it is not tried again by itself"),
}


def sending_section(job: View, me: View) -> Child:
    """Return where a job's results went; nothing where they are sent nowhere."""
    deliveries = job.get("deliveries") or []
    if not deliveries:
        return None
    rows = [tag("li", _delivery(one, job, me)) for one in deliveries]
    return tag("section", tag("h2", "Sent to"), tag("ul", rows, class_="sending"), class_="card", aria_label="Sent to")


def _delivery(one: View, job: View, me: View) -> list[Child]:
    word, color, meaning = STATES[one["state"]]
    error = str(one.get("error") or "")
    attempts = int(one.get("attempts") or 0)
    tried = f"{attempts} attempts failed. " if attempts > 1 else ""
    said = f"{tried}{error}" if error else f"{tried}{meaning[:1].upper()}{meaning[1:]}."
    return [
        tag("span", word, class_=f"badge {color}"),
        tag("div", tag("b", str(one["destination"])), tag("p", said, class_="soft reason")),
        time_of(one.get("changed")),
        _again(one, job, me) if one.get("again") else None,
    ]


def _again(one: View, job: View, me: View) -> Markup:
    csrf = tag("input", type="hidden", name="csrf", value=str(me.get("csrf") or ""))
    label = f"Send to {one['destination']} again"
    submit = tag("button", icon("retry"), tag("span", "Send again"), type="submit", aria_label=label)
    return tag("form", csrf, submit, method="post", action=f"/jobs/{job['id']}/deliveries/{one['id']}/send")


def undelivered_notice(undelivered: list[View]) -> Child:
    """Return what is said above the list of jobs when results could not be sent."""
    if not undelivered:
        return None
    count = len(undelivered)
    said = (
        "A result could not be sent to where it belongs."
        if count == 1
        else f"{count} results could not be sent to where they belong."
    )
    rows = [
        tag("li", tag("a", str(one["name"]), href=f"/jobs/{one['job']}"), f" to {one['destination']}: {one['error']}")
        for one in undelivered
    ]
    return tag("div", icon("alert"), tag("div", tag("b", said), tag("ul", rows)), class_="notice bad", role="status")
