"""``truth.json``: what is really in a sample, for tests and for users who want to check a tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TRUTH_NAME = "truth.json"


def write_truth(folder: Path, truth: dict[str, Any]) -> None:
    """Write the truth beside the data; the same truth gives the same bytes."""
    text = json.dumps(truth, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / TRUTH_NAME).write_text(text + "\n", encoding="utf-8", newline="\n")


def read_truth(folder: Path) -> dict[str, Any]:
    """Read the truth of a sample's folder."""
    truth: dict[str, Any] = json.loads((folder / TRUTH_NAME).read_text(encoding="utf-8"))
    return truth
