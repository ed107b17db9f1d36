"""Is a result folder what its manifest says? Files by their hashes; then segmentation, models and label map against each other.

The job measured the engine's label map before the scene saw it. The segmentation file and the models are read back here without the
scene, and every structure must be found in them where it was: a shifted, mirrored or scaled result does not pass.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from DicomWorkbenchLib.errors import FileError, InputError
from DicomWorkbenchLib.geometry import FloatArray, spacing_of, transform_points
from DicomWorkbenchLib.report import sha256_of
from numpy.typing import NDArray

from AutoSegmentQueueLib.dicom_objects.check import problems_of_objects
from AutoSegmentQueueLib.export_mesh import enclosed_centroid
from AutoSegmentQueueLib.export_parts import Part, read_parts
from AutoSegmentQueueLib.job_model import MANIFEST
from AutoSegmentQueueLib.true_places import grid_places, true_centroid

ALWAYS = ("segmentation.seg.nrrd", "statistics.csv", "preview.html", "report.json")
GRID_TOLERANCE_MM = 1e-2  # the file keeps ten digits; nothing else may differ
# Smoothing and decimation move a surface by up to about a voxel; a mistake in the geometry moves it by centimetres.
SURFACE_TOLERANCE_VOXELS = 2.5
SURFACE_TOLERANCE_SHARE = 0.05  # of the structure's size
LEAST_VOXELS_FOR_CENTROID = 200  # smoothing may move a smaller one's centre by more than a voxel
COLOR_TOLERANCE = 0.01
Manifest = dict[str, Any]


def check_result(folder: Path) -> list[str]:
    """Check a result folder thoroughly.

    Parameters
    ----------
    folder : the result folder of a job, with its manifest.

    Returns
    -------
    Sentences about what is wrong; none if all is well.
    """
    try:
        manifest = read_manifest(folder)
    except FileError as error:
        return [str(error)]
    problems = check_files(folder, manifest)
    return problems or [*_check_segmentation(folder, manifest), *_check_models(folder, manifest)]


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a result folder.

    Raises
    ------
    FileError : there is none, or it is not complete.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        missing = {"id", "attempt", "fence", "engine", "outputs", "structures", "grid", "models"} - set(manifest)
    except (OSError, ValueError, TypeError) as error:
        raise FileError(f"the manifest cannot be read: {error}") from error
    if missing or not manifest["structures"]:
        raise FileError(f"the manifest lacks {', '.join(sorted(missing)) or 'structures'}")
    return dict(manifest)


def check_files(folder: Path, manifest: Manifest) -> list[str]:
    """Compare the files with the manifest: those that must be there, and size and hash of each."""
    problems = []
    listed = {str(output["path"]) for output in manifest["outputs"]}
    formats = set(manifest.get("options", {}).get("formats") or ("gltf", "glb"))
    wanted = [*ALWAYS, *(f"segmentation.{ending}" for ending in ("gltf", "glb") if ending in formats)]
    problems += [f"{name} is missing" for name in wanted if name not in listed]
    for output in manifest["outputs"]:
        name = PurePosixPath(output["path"])
        path = folder / name
        if name.is_absolute() or ".." in name.parts:
            problems.append(f"{name} lies outside of the result folder")
        elif not path.is_file():
            problems.append(f"{name} is missing")
        elif path.stat().st_size != output["bytes"] or not output["bytes"]:
            problems.append(f"{name} has {path.stat().st_size} bytes, the manifest says {output['bytes']}")
        elif sha256_of(path) != output["sha256"]:
            problems.append(f"{name} is not the file that was written: its hash differs")
    return problems


def _check_segmentation(folder: Path, manifest: Manifest) -> Iterator[str]:
    try:
        segmentation = _Segmentation(folder / "segmentation.seg.nrrd")
    except InputError as error:
        yield str(error)
        return
    if reason := segmentation.differs_from_grid(manifest["grid"]):
        yield f"the segmentation does not lie on the scan's grid: {reason}"
        return
    for expected in manifest["structures"]:
        count, centroid = segmentation.place_of(expected["name"], manifest["grid"])
        if not count:
            yield f"the segmentation has no {expected['name']}"
        elif count != expected["voxels"]:
            yield f"{expected['name']} has {count} voxels in the segmentation and {expected['voxels']} in the label map"
        elif np.abs(centroid - expected["centroid_lps_mm"]).max() > GRID_TOLERANCE_MM:
            yield f"{expected['name']} lies elsewhere in the segmentation than in the label map"
    yield from problems_of_objects(folder, manifest, lambda name: segmentation.mask_of(name, manifest["grid"]))


class _Segmentation:
    """A ``.seg.nrrd`` file as Slicer writes it: label maps in layers, segments by name."""

    def __init__(self, path: Path) -> None:
        import SimpleITK as sitk

        try:
            image = sitk.ReadImage(str(path))
        except RuntimeError as error:
            raise FileError(f"{path.name} cannot be read: {str(error).strip().splitlines()[-1][:200]}") from error
        array = sitk.GetArrayFromImage(image)
        self._layers: NDArray[Any] = array if array.ndim == 4 else array[..., None]
        self.matrix_lps: FloatArray = np.eye(4)
        self.matrix_lps[:3, :3] = np.asarray(image.GetDirection()).reshape(3, 3) * np.asarray(image.GetSpacing())
        self.matrix_lps[:3, 3] = image.GetOrigin()
        self._segments = dict(self._read_segments(image))

    @staticmethod
    def _read_segments(image: Any) -> Iterator[tuple[str, tuple[int, int]]]:
        number = 0
        while image.HasMetaDataKey(f"Segment{number}_ID"):
            name = image.GetMetaData(f"Segment{number}_Name")
            values = (image.GetMetaData(f"Segment{number}_{key}") for key in ("Layer", "LabelValue"))
            layer, label = (int(value) for value in values)
            yield name, (layer, label)
            number += 1

    def place_of(self, name: str, grid: Manifest) -> tuple[int, FloatArray]:
        """Return the number of voxels of a segment, 0 if there is none, and their centroid in LPS mm."""
        layer, label = self._segments.get(name, (0, -1))
        mask = self._layers[..., layer] == label
        if (planes := planes_of_grid(grid)) is not None and mask.any():
            voxels = np.nonzero(mask)
            matrix = np.asarray(grid["matrix_lps"], float)
            return len(voxels[0]), true_centroid(voxels, self._first(matrix), matrix, planes)
        along = [mask.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in (2, 1, 0)]
        count = int(along[0].sum())
        if not count:
            return 0, np.zeros(3)
        index = np.array([counts @ np.arange(len(counts)) / count for counts in along])
        return count, transform_points(self.matrix_lps, index)

    def mask_of(self, name: str, grid: Manifest) -> NDArray[np.bool_]:
        """Return the voxels (k, j, i) of a segment on the whole grid; the file may hold a box out of it."""
        layer, label = self._segments.get(name, (0, -1))
        mask = np.zeros(grid["shape_kji"], bool)
        first = self._first(np.asarray(grid["matrix_lps"], float))
        box = tuple(slice(a, a + n) for a, n in zip(first[::-1], self._layers.shape[:3], strict=True))
        mask[box] = self._layers[..., layer] == label
        return mask

    def _first(self, matrix_lps: FloatArray) -> NDArray[np.int_]:
        """Return the index (i, j, k) of the scan's voxel that is the first one of the file."""
        return np.asarray(np.rint(np.linalg.solve(matrix_lps, self.matrix_lps[:, 3])[:3]), int)

    def differs_from_grid(self, grid: Manifest) -> str:
        """Say how the grid differs from that of the scan; empty if it is a box out of it."""
        scan = np.asarray(grid["matrix_lps"], float)
        if np.abs(self.matrix_lps[:3, :3] - scan[:3, :3]).max() > GRID_TOLERANCE_MM:
            return "its axes or voxel sizes are others"
        first = np.linalg.solve(scan, self.matrix_lps[:, 3])[:3]
        last = first + np.asarray(self._layers.shape[2::-1]) - 1
        if np.abs(first - np.round(first)).max() > GRID_TOLERANCE_MM:
            return "its origin lies between voxels"
        if first.min() < -0.5 or (last - grid["shape_kji"][::-1]).max() > -0.5:
            return "it reaches beyond the scan"
        return ""


def _check_models(folder: Path, manifest: Manifest) -> Iterator[str]:
    for name in ("segmentation.gltf", "segmentation.glb"):
        if not (folder / name).is_file():
            continue
        try:
            parts = {part.name: part for part in read_parts(folder / name)}
        except InputError as error:
            yield str(error)
            continue
        if sorted(parts) != sorted(manifest["models"]):
            yield f"{name} holds {', '.join(sorted(parts)) or 'nothing'}; expected: {', '.join(sorted(manifest['models']))}"
            continue
        grid = manifest["grid"]
        own = manifest.get("exporter") == "DicomWorkbench"
        for expected in manifest["structures"]:
            if part := parts.get(expected["name"]):
                yield from (f"{name}: {problem}" for problem in _check_part(part, expected, grid, own))


def planes_of_grid(grid: Manifest) -> FloatArray | None:
    """Return the true places (k, 3) of unevenly spaced slices, None where the grid is even."""
    return np.asarray(grid["planes_lps"], float) if "planes_lps" in grid else None


def _check_part(part: Part, expected: Manifest, grid: Manifest, own: bool) -> Iterator[str]:
    """Compare on the scan's grid: nothing may lie outside of the voxels, and nothing but specks may be missing."""
    if len(part.points_m) == 0 or not np.isfinite(part.points_m).all():
        yield f"{part.name} has no usable points"
        return
    matrix_lps, planes = np.asarray(grid["matrix_lps"], float), planes_of_grid(grid)
    spacing = np.asarray(spacing_of(matrix_lps))

    def on_grid(points_lps: Any) -> FloatArray:  # mm along the axes of the grid
        grid_lps = grid_places(points_lps, matrix_lps, planes)
        return np.asarray(transform_points(np.linalg.inv(matrix_lps), grid_lps) * spacing)

    points = on_grid(part.points_lps_mm)
    names = ("lowest", "highest", "core_lowest", "core_highest")
    low, high, core_low, core_high = (np.asarray(expected[f"{name}_ijk"]) * spacing for name in names)
    tolerance = SURFACE_TOLERANCE_VOXELS * spacing.max() + SURFACE_TOLERANCE_SHARE * (high - low)
    outside = np.maximum(low - points.min(axis=0), points.max(axis=0) - high)
    missing = np.maximum(points.min(axis=0) - core_low, core_high - points.max(axis=0))
    off = np.maximum(outside, missing)
    if (off > tolerance).any():
        yield f"{part.name} is up to {off.max():.1f} mm away from where its voxels are"
    elif expected["voxels"] >= LEAST_VOXELS_FOR_CENTROID:
        surface = enclosed_centroid(part.points_lps_mm, part.triangles)
        surface, center = on_grid(np.stack([surface, np.asarray(expected["centroid_lps_mm"], float)]))
        away = np.abs(surface - center)
        if (away > tolerance).any():
            yield f"the centre of {part.name} is {away.max():.1f} mm away from that of its voxels"
    if own and np.abs(np.subtract(part.color, expected["color"])).max() > COLOR_TOLERANCE:
        yield f"{part.name} has another colour than its structure"
