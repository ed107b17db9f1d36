"""One file per panel: how it gets into the states that are photographed."""

from __future__ import annotations

from typing import Any

NARROW = 300  # pixels: Slicer's module panel at its narrowest


def everywhere(panel: Any, state: str) -> None:
    """Photograph a state, the last one also narrow and in the dark, and say which texts do not fit a narrow panel."""
    panel.picture(state)
    if state == "done":
        panel.picture(f"{state}-narrow", width=NARROW)
        panel.dark(True)
        panel.picture(f"{state}-dark")
        panel.dark(False)
    for text in panel.cut_texts(NARROW):
        if "scans" not in text:  # a path the user chose may be of any length
            print(f"{panel.name} {state}: cut at {NARROW} pixels: {text}", flush=True)
