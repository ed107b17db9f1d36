"""What a result folder says to a browser: files, structures, figures, provenance; names only, no path of this machine."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import numpy as np

from AutoSegmentQueueLib import preview_volume
from AutoSegmentQueueLib.publish import MANIFEST, read_manifest

EMPTY: dict[str, Any] = {"files": [], "structures": [], "report": {}, "previews": None, "models": {}}
SHOWN_INPUTS = 50  # hashes of a series of a thousand slices help nobody on a page; all are in report.json
_OPTIONS = ("task", "quality", "device", "structures", "reduction", "formats")
_HIDDEN = {preview_volume.NAME}  # for the page itself; it is in the manifest and in the archive


def describe(folder: Path, job_id: str) -> dict[str, Any]:
    """Describe the results of a job.

    Returns
    -------
    ``files``, ``structures``, ``report``, ``previews`` (None if there is nothing to look at), ``models``; `EMPTY` without a manifest.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return dict(EMPTY)
    root = f"/api/jobs/{quote(job_id)}"
    files = [_file(one, root) for one in manifest.get("outputs", []) if one.get("path") not in _HIDDEN]
    names = {one["name"]: one["url"] for one in files}
    grid = grid_of(folder)
    return {
        "files": files,
        "structures": [_structure(one, manifest, root, grid) for one in manifest.get("structures", [])],
        "report": _report(folder, manifest),
        "previews": {"axes": axes_of(grid), "url": f"{root}/slices", "windows": grid["windows"]} if grid else None,
        "models": {kind: names[f"segmentation.{kind}"] for kind in ("glb", "gltf") if f"segmentation.{kind}" in names},
    }


def grid_of(folder: Path) -> dict[str, Any] | None:
    """Return shape, matrix and windows of a result's small copy of the scan; None if it has none."""
    path = folder / preview_volume.NAME
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return None
    return _grid(path, changed)


@lru_cache(maxsize=256)
def _grid(path: Path, changed: int) -> dict[str, Any] | None:
    try:
        with np.load(path, allow_pickle=False) as parts:
            matrix, is_ct = parts["matrix_lps"], bool(parts["numbers"][2])
            shape = parts["labels"].shape  # the smaller of the two to unpack
    except (OSError, ValueError, KeyError):
        return None
    windows = ["soft tissue", "lung", "bone"] if is_ct else []
    return {"shape_kji": shape, "matrix_lps": matrix, "windows": windows}


def axes_of(grid: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return count of slices, size in pixels and their distance in mm along each axis; pixels are square."""
    (k, j, i), spacing = grid["shape_kji"], np.linalg.norm(grid["matrix_lps"][:3, :3], axis=0)
    return {
        "axial": _axis(k, spacing[2], i, spacing[0], j, spacing[1]),
        "coronal": _axis(j, spacing[1], i, spacing[0], k, spacing[2]),
        "sagittal": _axis(i, spacing[0], j, spacing[1], k, spacing[2]),
    }


def _axis(count: int, step_mm: float, across: int, across_mm: float, down: int, down_mm: float) -> dict[str, Any]:
    width, height = square_size(across, across_mm, down, down_mm)
    return {"count": count, "width": width, "height": height, "spacing": round(float(step_mm), 3)}


def square_size(across: int, across_mm: float, down: int, down_mm: float) -> tuple[int, int]:
    """Return the size in pixels, as square as the finer of the two directions allows."""
    pixel = min(across_mm, down_mm)
    return max(1, round(across * across_mm / pixel)), max(1, round(down * down_mm / pixel))


def _file(one: dict[str, Any], root: str) -> dict[str, Any]:
    path = str(one["path"])
    return {"name": path, "bytes": one["bytes"], "sha256": one["sha256"], "url": f"{root}/files/{quote(path)}"}


def _structure(one: dict[str, Any], manifest: dict[str, Any], root: str, grid: dict[str, Any] | None) -> dict[str, Any]:
    name = str(one["name"])
    shown = {
        "name": name,
        "label": one.get("label"),
        "labels": one.get("labels", []),
        "color": [round(255 * value) for value in one.get("color", (0.5, 0.5, 0.5))],
        "opacity": one.get("opacity", 1.0),
        "group": one.get("group", ""),
        "volume_ml": one.get("volume_ml"),
        "mean": one.get("mean"),
        "sd": one.get("sd"),
        "touches_edge": bool(one.get("touches_edge")),
        "stl": f"{root}/models/{quote(name, safe='')}.stl" if name in manifest.get("models", []) else None,
    }
    if grid is not None and "centroid_lps_mm" in one:
        shown["center_slices"] = _slices_through(one["centroid_lps_mm"], grid)
    return shown


def _slices_through(point_lps_mm: Iterable[float], grid: dict[str, Any]) -> dict[str, int]:
    """Return the numbers of the slices through a point."""
    index = np.linalg.solve(grid["matrix_lps"], [*point_lps_mm, 1.0])[:3]
    limits = np.array(grid["shape_kji"][::-1]) - 1
    i, j, k = np.clip(np.rint(index), 0, limits).astype(int).tolist()
    return {"axial": k, "coronal": j, "sagittal": i}


def _report(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    report = _read_json(folder / "report.json")
    inputs = manifest.get("inputs") or report.get("inputs") or []
    options = manifest.get("options") or {}
    grid = manifest.get("grid") or {}
    return {
        "program": _program(report),
        "engine": manifest.get("engine") if isinstance(manifest.get("engine"), dict) else {},
        "exporter": manifest.get("exporter", ""),
        "options": {name: options[name] for name in _OPTIONS if options.get(name) not in (None, "", [])},
        "warnings": list(manifest.get("warnings") or report.get("warnings") or []),
        "seconds": manifest.get("seconds", report.get("seconds")),
        "started": manifest.get("started"),
        "ended": manifest.get("ended"),
        "voxels": list(reversed(grid["shape_kji"])) if "shape_kji" in grid else None,
        "inputs": [_input(one) for one in inputs[:SHOWN_INPUTS]],
        "input_count": len(inputs),
        "manifest": MANIFEST,
    }


def _program(report: dict[str, Any]) -> str:
    version = report.get("version")
    return f"DicomWorkbench {version}" if version else "DicomWorkbench"


def _input(one: dict[str, Any]) -> dict[str, str]:
    name = PurePosixPath(str(one.get("path", "")).replace("\\", "/")).name
    return {"name": name, "sha256": str(one.get("sha256", ""))}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
