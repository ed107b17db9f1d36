"""Files to take home, the table of figures, how they were made, and what happened when."""

from __future__ import annotations

from typing import Any

from AutoSegmentQueueLib.web import words
from AutoSegmentQueueLib.web.markup import Child, Markup, tag
from AutoSegmentQueueLib.web.pages_frame import View, facts, icon, time_of
from AutoSegmentQueueLib.web.pages_view import swatch, volume

# File -> (title, what it is for); in this order, the rest after it
_KNOWN = {
    "segmentation.glb": ("3D model, GLB", "one file for most viewers, PowerPoint, phones"),
    "segmentation.gltf": ("3D model, glTF", "the same as text, for the web and for programs"),
    "segmentation.seg.nrrd": ("Segmentation, seg.nrrd", "for 3D Slicer, with names and colours"),
    "segmentation.dcm": ("DICOM SEG", "for PACS and DICOM viewers"),
    "rtstruct.dcm": ("DICOM RTSTRUCT", "contours, for planning systems"),
    "statistics.csv": ("Table of figures, CSV", "volumes and intensities, for a spreadsheet"),
    "preview.html": ("Picture page, HTML", "one page to print or to send"),
    "report.json": ("Report, JSON", "how it was made, for programs"),
}
_SHORT = 12  # of a hash, to tell two files apart; the whole one is in its title


def downloads_section(job: View) -> Markup:
    """Return the files of a job, the known ones first and explained."""
    files = {str(one["name"]): one for one in job.get("files") or []}
    known = [_file(files.pop(name), *said) for name, said in _KNOWN.items() if name in files]
    rest = [_file(one, name, "") for name, one in sorted(files.items())]
    archive = tag(
        "a",
        icon("zip"),
        tag("span", tag("b", "Everything, zip"), tag("small", "all files in one archive")),
        href=f"/api/jobs/{job['id']}/archive.zip",
        download=True,
        class_="file",
    )
    more = None
    if rest:
        shown = tag("ul", [tag("li", one) for one in rest], class_="files")
        more = (
            tag("details", tag("summary", f"{len(rest)} more file{'s' if len(rest) > 1 else ''}"), shown)
            if known
            else shown
        )
    listed = tag("ul", [tag("li", one) for one in [*known, archive]], class_="files")
    return tag("section", tag("h2", "Take home"), listed, more, class_="card downloads", aria_label="Downloads")


def _file(one: View, title: str, said: str) -> Markup:
    size = words.size(one["bytes"])
    text = f"{said} · {size}" if said else size
    return tag(
        "a",
        icon("file"),
        tag("span", tag("b", title), tag("small", text)),
        href=one["url"],
        download=True,
        class_="file",
        title=f"SHA-256 {one['sha256']}",
        data_sha256=one["sha256"],
        data_name=one["name"],
    )


def report_section(report: View, structures: list[View]) -> Markup:
    """Return figures and provenance."""
    inside: list[Child] = [tag("h2", "Report")]
    if structures:
        inside.append(_figures(structures))
    inside += [tag("h3", "How it was made"), _provenance(report), _inputs(report)]
    return tag("section", inside, class_="card report", aria_label="Report")


def _figures(structures: list[View]) -> Markup:
    head = ("Structure", "Volume", "Mean", "SD", "Edge")
    rows = [
        tag(
            "tr",
            tag(
                "th",
                swatch(one.get("color") or [128, 128, 128]),
                tag("span", str(one["name"]).replace("_", " ")),
                scope="row",
            ),
            tag("td", volume(one.get("volume_ml"))),
            tag("td", _number(one.get("mean"))),
            tag("td", _number(one.get("sd"))),
            tag(
                "td", "reached" if one.get("touches_edge") else "–", class_="warn" if one.get("touches_edge") else None
            ),
        )
        for one in structures
    ]
    caption = "Mean and SD are of the scan's values inside the structure (HU for CT). One that reaches the edge of the scan may be cut off."
    table = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", [tag("th", word, scope="col") for word in head])),
        tag("tbody", rows),
    )
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="Figures of the structures")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _provenance(report: View) -> Markup:
    engine: dict[str, Any] = report.get("engine") or {}
    named = " ".join(str(engine[key]) for key in ("name", "version") if engine.get(key))
    others = ", ".join(f"{key} {value}" for key, value in engine.items() if key not in ("name", "version"))
    options = ", ".join(f"{key}: {_shown(value)}" for key, value in (report.get("options") or {}).items())
    voxels = " × ".join(str(one) for one in report.get("voxels") or [])
    seconds = report.get("seconds")
    pairs: list[tuple[str, Child]] = [
        ("Program", str(report.get("program") or "")),
        ("Engine", f"{named} ({others})" if named and others else named),
        ("Model exporter", str(report.get("exporter") or "")),
        ("Options", options),
        ("Scan", f"{voxels} voxels" if voxels else ""),
        ("Time", words.duration(seconds) if seconds is not None else ""),
        ("Finished", time_of(report["ended"]) if report.get("ended") else ""),
    ]
    return facts(pairs)


def _shown(value: Any) -> str:
    return " ".join(str(one) for one in value) if isinstance(value, list) else str(value)


def _inputs(report: View) -> Child:
    inputs, count = report.get("inputs") or [], report.get("input_count") or 0
    if not inputs:
        return None
    rows = [tag("li", tag("span", one["name"]), " ", tag("code", one["sha256"])) for one in inputs]
    rest = (
        tag("p", f"and {count - len(inputs)} more; all of them are in report.json", class_="soft")
        if count > len(inputs)
        else None
    )
    word = "1 file that was read" if count == 1 else f"{count} files that were read"
    return tag("details", tag("summary", f"{word}, with SHA-256"), tag("ul", rows, class_="hashes"), rest)


def history_section(job: View) -> Child:
    """Return what happened when, the newest last."""
    history = job.get("history") or []
    if not history:
        return None
    rows = [
        tag(
            "li",
            time_of(one.get("at")),
            tag("b", words.STATES.get(str(one.get("state")), (str(one.get("state") or ""), ""))[0]),
            tag("span", str(one.get("note") or ""), class_="soft"),
        )
        for one in history
    ]
    opened = job["state"] in ("failed", "quarantined")
    return tag(
        "details", tag("summary", "What happened when"), tag("ol", rows, class_="history"), class_="card", open=opened
    )
