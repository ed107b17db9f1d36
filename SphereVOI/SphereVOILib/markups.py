"""Markups of Slicer (.mrk.json), written without Slicer: raw clicks and refined centres as point lists.

Schema: Slicer's markups JSON 1.0.3, coordinates in LPS mm.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.geometry import Point3

SCHEMA = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"


@dataclass(frozen=True)
class MarkedPoint:
    """A labelled point, LPS mm."""

    label: str
    lps_mm: Point3
    description: str = ""


def write_markups(
    path: Path, points: Sequence[MarkedPoint], *, color: tuple[float, float, float], locked: bool
) -> Path:
    """Write one point list; ``color`` is RGB from 0 to 1."""
    markup = {
        "type": "Fiducial",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": locked,
        "fixedNumberOfControlPoints": False,
        "labelFormat": "%N-%d",
        "controlPoints": [_control_point(n, point, locked) for n, point in enumerate(points, 1)],
        "display": {
            "visibility": True,
            "opacity": 1.0,
            "selectedColor": list(color),
            "color": list(color),
            "textScale": 2.5,
        },
    }
    path.write_text(
        json.dumps({"@schema": SCHEMA, "markups": [markup]}, indent=1, ensure_ascii=False), encoding="utf-8"
    )
    return path


def _control_point(number: int, point: MarkedPoint, locked: bool) -> dict[str, object]:
    return {
        "id": str(number),
        "label": point.label,
        "description": point.description,
        "associatedNodeID": "",
        "position": [round(v, 6) for v in point.lps_mm],
        "orientation": [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0],
        "selected": True,
        "locked": locked,
        "visibility": True,
        "positionStatus": "defined",
    }
