"""The area where a study is fetched from a PACS the queue knows. It works with scripts only; without them there is the command."""

from __future__ import annotations

from AutoSegmentQueueLib.web.markup import Child, tag
from AutoSegmentQueueLib.web.pages_frame import View

UID_PATTERN = r"[0-9]+(\.[0-9]+)+"


def pull_section(view: View) -> Child:
    """Return the area; None where the queue knows no PACS and the reader may name none."""
    peers, may_name = [str(one) for one in view.get("peers") or []], bool(view["me"].get("can_admin"))
    if not (peers or may_name):
        return None
    form = tag(
        "form",
        tag("div", _source(peers, may_name), _study(), class_="fields"),
        tag("div", tag("button", "Fetch", class_="primary", type="submit"), class_="actions"),
        tag("ul", id="pulls", class_="uploads", aria_label="Fetches"),
        id="pull",
    )
    said = "Its series are queued as if they had been sent: by the rules of routing, and only what is missing here is fetched."
    return tag(
        "details",
        tag("summary", "Fetch a study from a PACS"),
        tag("p", said, class_="soft"),
        form,
        class_="card pull js",
        aria_label="Fetch a study",
    )


def _source(peers: list[str], may_name: bool) -> Child:
    if not may_name:
        box = tag("select", [tag("option", one, value=one) for one in peers], id="pull-source", name="source")
        return tag("div", tag("label", "From", for_="pull-source"), box, class_="field")
    box = tag(
        "input",
        id="pull-source",
        name="source",
        value=peers[0] if peers else None,
        list="pull-peers",
        placeholder="PACS@10.1.2.3:104 or https://pacs/dicom-web",
        required=True,
        autocapitalize="none",
        autocomplete="off",
        spellcheck="false",
    )
    known = tag("datalist", [tag("option", value=one) for one in peers], id="pull-peers")
    return tag("div", tag("label", "From", for_="pull-source"), box, known, class_="field")


def _study() -> Child:
    box = tag(
        "input",
        id="pull-study",
        name="study",
        pattern=UID_PATTERN,
        maxlength=64,
        placeholder="1.2.840…",
        title="The StudyInstanceUID: numbers and points",
        required=True,
        inputmode="decimal",
        autocomplete="off",
    )
    return tag("div", tag("label", "Study UID", for_="pull-study"), box, class_="field")
