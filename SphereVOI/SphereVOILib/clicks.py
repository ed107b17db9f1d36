"""Clicks files: our JSON list, or Slicer's markups (.mrk.json)."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import FileError, InputError
from DicomWorkbenchLib.geometry import Point3

from SphereVOILib.settings import Polarity, SphereTarget

_EXAMPLE = '[{"label": "S1 37 mm", "diameter_mm": 37, "lps": [x, y, z], "polarity": "auto"}, ...]'


def read_clicks(path: Path, diameters_mm: Sequence[float] = ()) -> tuple[SphereTarget, ...]:
    """Read targets from a clicks file.

    Parameters
    ----------
    path : a JSON list of ``{"label", "diameter_mm", "lps" or "ras": [x, y, z], "polarity"}``, or a .mrk.json of Slicer; positions in mm.
    diameters_mm : for entries that name no diameter, in order; the number of clicks must then be the same.

    Raises
    ------
    FileError : the file cannot be read.
    InputError : it holds something else, or fewer or more clicks than there are spheres.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileError(f"the clicks file {path} cannot be read: {error}") from error
    entries = _markups_entries(data, path) if isinstance(data, dict) else data
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise InputError(f"the clicks file {path} must hold a list like {_EXAMPLE}")
    if not entries:
        raise InputError(f"the clicks file {path} holds no click")
    sizes = _diameters(entries, diameters_mm, path)
    return tuple(_target(entry, size, n, path) for n, (entry, size) in enumerate(zip(entries, sizes, strict=True), 1))


def write_clicks(path: Path, targets: Sequence[SphereTarget]) -> Path:
    """Write targets as our JSON list; those without a click are left out."""
    entries = [
        {"label": t.label, "diameter_mm": t.diameter_mm, "lps": list(t.lps_mm), "polarity": str(t.polarity)}
        for t in targets
        if t.lps_mm is not None
    ]
    path.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _markups_entries(data: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    markups = data.get("markups")
    if not isinstance(markups, list) or not markups:
        raise InputError(f"the clicks file {path} is neither a list of clicks nor a markups file of Slicer (.mrk.json)")
    found = []
    for markup in markups:
        frame = "ras" if str(markup.get("coordinateSystem", "LPS")).upper() in ("RAS", "0") else "lps"
        for point in markup.get("controlPoints", []):
            if point.get("positionStatus", "defined") != "defined":
                continue
            entry = {frame: point.get("position"), "diameter_mm": diameter_in(str(point.get("label", "")))}
            found.append({**entry, "label": str(point.get("label", ""))})
    return found


def diameter_in(label: str) -> float | None:
    """Read "37" from labels such as "S1 37 mm" or "37mm"; None where there is no diameter."""
    words = label.replace(",", ".").lower().replace("mm", " mm").split()
    for word, after in itertools.pairwise(words):
        if after.startswith("mm"):
            try:
                value = float(word)
            except ValueError:
                continue
            return value if math.isfinite(value) and value > 0 else None
    return None


def _diameters(entries: list[dict[str, Any]], given: Sequence[float], path: Path) -> list[Any]:
    own = [entry.get("diameter_mm") for entry in entries]
    if all(size is not None for size in own):
        if given and len(given) != len(own):
            raise _count(len(own), len(given), path)
        return own
    if not given:
        raise InputError(f"a click in {path} has no diameter_mm; add it, or name the diameters with --diameters")
    if len(given) != len(entries):
        raise _count(len(entries), len(given), path)
    return [size if size is not None else other for size, other in zip(own, given, strict=True)]


def _count(clicks: int, spheres: int, path: Path) -> InputError:
    more = "fewer" if clicks < spheres else "more"
    return InputError(
        f"{path} holds {clicks} clicks for {spheres} spheres, {more} than there are spheres: "
        "place one click per sphere, or name only the clicked spheres with --diameters"
    )


def _target(entry: dict[str, Any], diameter: Any, number: int, path: Path) -> SphereTarget:
    where = f"click {number} of {path}"
    try:
        size = float(diameter)
    except (TypeError, ValueError):
        raise InputError(f"{where}: diameter_mm must be a number, got {diameter!r}") from None
    label = str(entry.get("label") or f"S{number} {size:g} mm")
    try:
        polarity = Polarity(str(entry.get("polarity", "auto")).lower())
    except ValueError:
        raise InputError(f"{where}: polarity must be hot, cold or auto, got {entry['polarity']!r}") from None
    return SphereTarget(label, size, _position(entry, where), polarity)


def _position(entry: dict[str, Any], where: str) -> Point3:
    frame = "lps" if "lps" in entry else "ras"
    try:
        x, y, z = (float(v) for v in entry[frame])
    except (KeyError, TypeError, ValueError):
        raise InputError(f'{where}: needs "lps" or "ras": [x, y, z] in mm') from None
    return (x, y, z) if frame == "lps" else (-x, -y, z)
