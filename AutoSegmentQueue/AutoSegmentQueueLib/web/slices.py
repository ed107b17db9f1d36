"""Pictures of single slices with the structures over them, made when asked for and kept in the home's cache.

Radiological convention: the patient's right is on the left of axial and coronal slices, anterior is on the left of sagittal ones, superior
is up. Slices count from inferior, anterior and right.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from DicomWorkbenchLib.errors import InputError
from DicomWorkbenchLib.outputs import write_atomically
from DicomWorkbenchLib.windowing import PRESETS, Window, apply_window
from numpy.typing import NDArray

from AutoSegmentQueueLib import preview_volume
from AutoSegmentQueueLib.publish import read_manifest
from AutoSegmentQueueLib.web.results import square_size

AXES = ("axial", "coronal", "sagittal")
EDGES = {"axial": "ARPL", "coronal": "SRIL", "sagittal": "SAIP"}  # top, left, bottom, right
PLAIN, OVERLAID, NUMBERED = 0, 1, 2
FILL = 0.4  # of an opaque structure, so that the scan shows through
KEPT = 40  # jobs whose slices stay in the cache, 20 to 40 MB each
_UNPACKED = ("scan", "labels")
_VERSION = 1  # of the files in the cache
Image = NDArray[np.uint8]


def png(folder: Path, cache: Path, axis: str, number: int, overlay: int = OVERLAID, window: str = "") -> bytes:
    """Return one slice as PNG.

    Parameters
    ----------
    folder : the result folder of a job.
    cache : folder for what was made, of this job alone; it may vanish at any time.
    axis : one of `AXES`.
    number : of the slice, from 0.
    overlay : `PLAIN`, `OVERLAID` (colours blended in, edges drawn) or `NUMBERED`, for programs: red is the scan, green the number of the
        structure in the manifest, counted from 1, 0 for none.
    window : name of a preset for CT, empty for the usual one.

    Raises
    ------
    InputError : there is no such slice.
    """
    if axis not in AXES or overlay not in (PLAIN, OVERLAID, NUMBERED) or (window and window not in PRESETS):
        raise InputError(f"there is no such slice; axes are {', '.join(AXES)}, windows {', '.join(PRESETS)}")
    kept = cache / f"{_VERSION}-{axis}-{number}-{overlay}{window.replace(' ', '_')}.png"
    try:
        return kept.read_bytes()
    except OSError:
        content = _draw(folder, cache, axis, number, overlay, window)
    write_atomically(kept, content)
    return content


def _draw(folder: Path, cache: Path, axis: str, number: int, overlay: int, window: str) -> bytes:
    from PIL import Image as Pictures

    volume = _unpacked(folder, cache)
    if not 0 <= number < volume.scan.shape[AXES.index(axis)]:
        raise InputError(f"the {axis} slices are numbered 0 to {volume.scan.shape[AXES.index(axis)] - 1}")
    plane, spacing = _plane_of(axis, number)
    size = square_size(*_sides(plane(volume.scan), [volume.spacing_mm[a] for a in spacing]))
    grey = apply_window(plane(volume.scan), _window(volume, window))
    picture = np.asarray(Pictures.fromarray(grey).resize(size, Pictures.Resampling.BILINEAR))
    if overlay != PLAIN:
        table, colors = _structures(folder, int(volume.labels.max(initial=0)))
        numbers = table[np.ascontiguousarray(plane(volume.labels))]
        numbers = np.asarray(Pictures.fromarray(numbers).resize(size, Pictures.Resampling.NEAREST))
        picture = _numbered(picture, numbers) if overlay == NUMBERED else _blended(picture, numbers, colors)
    stream = io.BytesIO()
    Pictures.fromarray(picture).save(stream, "PNG", compress_level=4)
    return stream.getvalue()


def _plane_of(axis: str, number: int) -> tuple[Callable[[NDArray[Any]], NDArray[Any]], tuple[int, int]]:
    """Return how a slice is cut out of (k, j, i), and the axes (0 is i) that run across and down."""
    if axis == "axial":
        return (lambda array: array[number]), (0, 1)
    if axis == "coronal":
        return (lambda array: array[::-1, number]), (0, 2)
    return (lambda array: array[::-1, :, number]), (1, 2)


def _sides(plane: NDArray[Any], spacing: list[float]) -> tuple[int, float, int, float]:
    down, across = plane.shape
    return across, spacing[0], down, spacing[1]


def _window(volume: preview_volume.PreviewVolume, name: str) -> Window:
    return PRESETS[name] if name and volume.is_ct else volume.window


def _structures(folder: Path, highest: int) -> tuple[Image, NDArray[np.float32]]:
    """Return the structure's number of every label, and (n + 1, 4) colours 0 to 255 with opacity 0 to 1."""
    structures = (read_manifest(folder) or {}).get("structures", [])[:255]
    table = np.zeros(highest + 1, np.uint8)
    colors = np.zeros((len(structures) + 1, 4), np.float32)
    order = sorted(enumerate(structures, 1), key=lambda one: -len(one[1].get("labels", ())))
    for number, structure in order:  # a label belongs to the smallest structure that includes it
        table[[label for label in structure.get("labels", ()) if label <= highest]] = number
        colors[number] = [*(255 * part for part in structure["color"]), FILL * structure.get("opacity", 1.0)]
    return table, colors


def _numbered(grey: Image, numbers: Image) -> Image:
    return np.stack([grey, numbers, np.zeros_like(grey)], axis=-1)


def _blended(grey: Image, numbers: Image, colors: NDArray[np.float32]) -> Image:
    chosen = colors[numbers]
    strength = np.where(_edges(numbers), np.where(numbers > 0, 0.9, 0.0), chosen[..., 3])[..., None]
    picture = grey[..., None] * (1 - strength) + chosen[..., :3] * strength
    return np.asarray(np.rint(picture), np.uint8)


def _edges(numbers: Image) -> NDArray[np.bool_]:
    """Return where a pixel's right or lower neighbour, or its left or upper one, is of another structure."""
    edge = np.zeros(numbers.shape, bool)
    across, down = numbers[:, 1:] != numbers[:, :-1], numbers[1:] != numbers[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge


def _unpacked(folder: Path, cache: Path) -> preview_volume.PreviewVolume:
    """Return the small copy, mapped from the cache, where it lies unpacked: a slice costs no memory and no unpacking."""
    packed = folder / preview_volume.NAME
    if not packed.is_file():
        raise InputError("this result has no slices to show; it was made by an older version or by another kind of job")
    files = {name: cache / f"{_VERSION}-{name}.npy" for name in _UNPACKED}
    if not all(path.is_file() for path in files.values()):
        _unpack(preview_volume.read(packed), cache, files)
    scan, labels = (np.load(files[name], mmap_mode="r", allow_pickle=False) for name in _UNPACKED)
    with np.load(packed, allow_pickle=False) as parts:
        level, width, is_ct = (float(value) for value in parts["numbers"])
        return preview_volume.PreviewVolume(scan, labels, parts["matrix_lps"], Window(level, width), bool(is_ct))


def _unpack(volume: preview_volume.PreviewVolume, cache: Path, files: dict[str, Path]) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    for name, path in files.items():
        stream = io.BytesIO()
        np.save(stream, getattr(volume, name), allow_pickle=False)
        write_atomically(path, stream.getvalue())
    _make_room(cache)


def _make_room(cache: Path) -> None:
    """Remove the caches of the jobs that were looked at longest ago."""
    others = [path for path in cache.parent.iterdir() if path.is_dir() and path != cache]
    others.sort(key=lambda path: path.stat().st_mtime)
    for path in others[: max(0, len(others) - KEPT + 1)]:
        shutil.rmtree(path, ignore_errors=True)
