"""Colours and codes of structures by name: from TotalSegmentator's own table where it is there, and a stable colour otherwise."""

from __future__ import annotations

import colorsys
import csv
import hashlib
from collections.abc import Mapping
from pathlib import Path

from AutoSegmentQueueLib.engines.model import ANATOMICAL_STRUCTURE, Code, Color, Structure

_CATEGORY, _TYPE = "SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence"
_MODIFIER = "SegmentedPropertyTypeModifierCodeSequence"
Rows = dict[str, Mapping[str, str]]


def read_mapping(path: Path) -> Rows:
    """Read the table that comes with TotalSegmentator (DICOM codes and colours by structure); empty where there is none."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as stream:
        return {row["Structure"]: row for row in csv.DictReader(stream) if row.get("Structure")}


def structure_of(name: str, label: int, rows: Rows, group: str = "") -> Structure:
    """Return a structure with its standard colour and codes, or with stable ones of ours."""
    row = rows.get(name)
    if row is None:
        kind = Code("99DICOMWORKBENCH", name, name.replace("_", " ").capitalize())
        return Structure(name, (label,), stable_color(name), group=group, kind=kind)
    return Structure(
        name,
        (label,),
        _color(row.get("DicomRGBColor", ""), name),
        group=group,
        category=_code(row, _CATEGORY) or ANATOMICAL_STRUCTURE,
        kind=_code(row, _TYPE),
        modifier=_code(row, _MODIFIER),
    )


def stable_color(name: str) -> Color:
    """Return a colour that depends on the name alone, bright enough on white and on black."""
    hue = hashlib.sha256(name.encode()).digest()[0] / 256
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.55, 0.85)
    return (round(red, 3), round(green, 3), round(blue, 3))


def _code(row: Mapping[str, str], sequence: str) -> Code | None:
    parts = [row.get(f"{sequence}.{field}", "") for field in ("CodingSchemeDesignator", "CodeValue", "CodeMeaning")]
    return Code(*parts) if all(parts) else None


def _color(text: str, name: str) -> Color:
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdigit() for part in parts):
        return stable_color(name)
    red, green, blue = (int(part) / 255 for part in parts)
    return (red, green, blue)
